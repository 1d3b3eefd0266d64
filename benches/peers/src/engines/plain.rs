//! The plain engine that the streams come from.

use super::Engine;
use crate::plain::{Fill, Open, Plain};
use crate::stream::{Fills, Kind, Message, Stream};

impl Engine for Plain {
    fn new(stream: &Stream) -> Self {
        Self::new(stream.books)
    }

    fn apply(&mut self, message: &Message, fills: &mut Fills) {
        let Message { kind, side, book, id, price, lots } = *message;
        match kind {
            Kind::Cancel => {
                self.remove(id);
                return;
            }
            Kind::Reduce => return self.reduce(id, lots),
            Kind::Replace => drop(self.remove(id)),
            Kind::Add | Kind::Ioc => {}
        }
        let mut made = Vec::new();
        let left = self.take(book, side, price, lots, &mut made);
        for Fill { maker, price, lots } in made {
            fills.add(maker, id, price, lots);
        }
        if left > 0 && kind != Kind::Ioc {
            self.rest(id, Open { book, side, price, lots: left });
        }
    }

    fn resting(&self) -> u64 {
        self.open
    }
}
