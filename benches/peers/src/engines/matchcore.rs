//! matchcore: one book per symbol; an order's id is the number of the command that entered it, so ids are translated
//! both ways by arrays.

use matchcore as theirs;

use super::Engine;
use crate::stream::{Fills, Kind, Message, Stream};
use joulebook_types::Side;

pub struct Matchcore {
    books: Vec<Numbered>,
    /// By our id.
    their_ids: Vec<u64>,
}

struct Numbered {
    book: theirs::OrderBook,
    commands: u64,
    /// By the number of the command.
    our_ids: Vec<u32>,
}

impl Numbered {
    fn run(&mut self, id: u32, kind: theirs::CommandKind, fills: &mut Fills) -> u64 {
        let number = self.commands;
        self.commands += 1;
        self.our_ids.push(id);
        let meta = theirs::CommandMeta {
            sequence_number: theirs::SequenceNumber(number),
            timestamp: theirs::Timestamp(number),
        };
        let outcome = self.book.execute(&theirs::Command { meta, kind });
        // What it refuses shows as a difference in the fills.
        let theirs::CommandOutcome::Applied(report) = outcome else { return number };
        let (theirs::CommandReport::Submit(effects) | theirs::CommandReport::Amend(effects)) = report else {
            return number;
        };
        for trade in effects.target_order().match_result().into_iter().flat_map(|result| result.trades()) {
            let maker = self.our_ids[trade.maker_order_id().0 as usize];
            fills.add(maker, id, trade.price().0 as u32, trade.quantity().0 as u32);
        }
        number
    }
}

fn lots(lots: u32) -> theirs::QuantityPolicy {
    theirs::QuantityPolicy::Standard { quantity: theirs::Quantity(lots.into()) }
}

fn submit(message: &Message, time_in_force: theirs::TimeInForce) -> theirs::CommandKind {
    let side = match message.side {
        Side::Buy => theirs::Side::Buy,
        Side::Sell => theirs::Side::Sell,
    };
    let flags = theirs::OrderFlags::new(side, false, time_in_force);
    let order = theirs::LimitOrder::new(theirs::Price(message.price.into()), lots(message.lots), flags);
    theirs::CommandKind::Submit(theirs::SubmitCmd { order: theirs::NewOrder::Limit(order) })
}

impl Engine for Matchcore {
    fn new(stream: &Stream) -> Self {
        let numbered = |name: usize| Numbered {
            book: theirs::OrderBook::new(&name.to_string()),
            commands: 0,
            our_ids: Vec::new(),
        };
        Self {
            books: (0..stream.books).map(numbered).collect(),
            their_ids: vec![0; stream.last_id as usize + 1],
        }
    }

    fn apply(&mut self, message: &Message, fills: &mut Fills) {
        let order_id = theirs::OrderId(self.their_ids[message.id as usize]);
        let amend = |patch| {
            let patch = theirs::AmendPatch::Limit(patch);
            theirs::CommandKind::Amend(theirs::AmendCmd { order_id, patch })
        };
        let with_lots = theirs::LimitOrderPatch::new().with_quantity_policy(lots(message.lots));
        let kind = match message.kind {
            Kind::Add => submit(message, theirs::TimeInForce::Gtc),
            Kind::Ioc => submit(message, theirs::TimeInForce::Ioc),
            Kind::Cancel => {
                let order_kind = theirs::OrderKind::Limit;
                theirs::CommandKind::Cancel(theirs::CancelCmd { order_id, order_kind })
            }
            Kind::Replace => amend(with_lots.with_price(theirs::Price(message.price.into()))),
            Kind::Reduce => amend(with_lots),
        };
        let number = self.books[usize::from(message.book)].run(message.id, kind, fills);
        if let Kind::Add | Kind::Ioc = message.kind {
            self.their_ids[message.id as usize] = number;
        }
    }

    fn resting(&self) -> u64 {
        self.books.iter().map(|numbered| numbered.book.limit().orders().len() as u64).sum()
    }
}
