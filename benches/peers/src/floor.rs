//! What the memory alone costs: the cache lines that no engine can avoid, with all addresses known beforehand.

use std::hint::black_box;
use std::time::Instant;

use crate::plain::{Fill, Open, Plain};
use crate::stream::{Fills, Kind, Message, Stream};

/// Half a cache line, as a small order is.
#[derive(Clone, Copy, Default)]
#[repr(align(32))]
struct Line([u32; 8]);

/// The stream with every address that its messages lead to.
pub struct Floor<'a> {
    messages: &'a [Message],
    /// By message: the slot of its order.
    slots: Vec<u32>,
    /// By message: how many fills it makes.
    counts: Vec<u16>,
    /// By fill: the slot of the maker.
    makers: Vec<(u32, Fill)>,
    orders: usize,
    last_id: usize,
    books: usize,
}

impl<'a> Floor<'a> {
    pub fn new(stream: &'a Stream) -> Self {
        let mut plain = Plain::new(stream.books);
        let mut slot_of = vec![0; stream.last_id as usize + 1];
        let (mut vacant, mut used) = (Vec::new(), 0);
        let mut floor = Self {
            messages: stream.measured(),
            slots: Vec::new(),
            counts: Vec::new(),
            makers: Vec::new(),
            orders: 0,
            last_id: stream.last_id as usize,
            books: stream.books,
        };
        let mut fills = Vec::new();
        for (at, message) in stream.messages.iter().enumerate() {
            let Message { kind, side, book, id, price, lots } = *message;
            if kind == Kind::Add || kind == Kind::Ioc {
                slot_of[id as usize] = vacant.pop().unwrap_or_else(|| {
                    used += 1;
                    used - 1
                });
            }
            let mut left = 0;
            match kind {
                Kind::Reduce => plain.reduce(id, lots),
                Kind::Cancel => drop(plain.remove(id)),
                Kind::Replace => {
                    plain.remove(id);
                    left = plain.take(book, side, price, lots, &mut fills);
                }
                Kind::Add | Kind::Ioc => left = plain.take(book, side, price, lots, &mut fills),
            }
            if at >= stream.prefill {
                floor.slots.push(slot_of[id as usize]);
                floor.counts.push(fills.len() as u16);
                floor.makers.extend(fills.iter().map(|fill| (slot_of[fill.maker as usize], *fill)));
            }
            let gone = fills.drain(..).map(|fill| fill.maker).filter(|maker| plain.order(*maker).lots == 0);
            vacant.extend(gone.map(|maker| slot_of[maker as usize]));
            if left > 0 && kind != Kind::Ioc {
                plain.rest(id, Open { book, side, price, lots: left });
            } else if kind != Kind::Reduce {
                vacant.push(slot_of[id as usize]);
            }
        }
        floor.orders = used as usize;
        floor
    }

    /// Nanoseconds a message.
    pub fn touch(&self) -> f64 {
        const PRICES: usize = 1 << 16;
        let mut index = vec![0_u32; self.last_id + 1];
        let mut orders = vec![Line::default(); self.orders + 1];
        let mut levels = vec![[0_u64; 2]; PRICES * self.books];
        let mut makers = self.makers.iter();
        let mut done = Fills::default();
        let start = Instant::now();
        for ((message, slot), count) in self.messages.iter().zip(&self.slots).zip(&self.counts) {
            index[message.id as usize] = *slot;
            let order = &mut orders[*slot as usize].0;
            (order[0], order[1]) = (message.id, message.lots);
            let level = &mut levels[usize::from(message.book) * PRICES + message.price as usize];
            level[0] = level[0].wrapping_add(message.lots.into());
            for (slot, fill) in makers.by_ref().take(usize::from(*count)) {
                let left = &mut orders[*slot as usize].0[1];
                *left = left.wrapping_sub(fill.lots);
                done.add(fill.maker, message.id, fill.price, fill.lots);
            }
        }
        let ns = start.elapsed().as_nanos() as f64 / self.messages.len() as f64;
        black_box((done, index, orders, levels));
        ns
    }
}
