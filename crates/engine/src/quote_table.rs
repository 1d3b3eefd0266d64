//! Which quotes a session has: at most one bid and one ask an instrument.

use joulebook_book::Slot;
use joulebook_types::{InstrumentId, Side};

/// The quote of one instrument. At least one side of it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quote {
    pub(crate) instrument: InstrumentId,
    pub(crate) bid: Option<Slot>,
    pub(crate) ask: Option<Slot>,
}

/// The quotes of one session in the order of instruments. A sorted array: quotes come and go with fills, and neither
/// may allocate once it has grown.
#[derive(Debug, Default)]
pub(crate) struct QuoteTable(Vec<Quote>);

impl Quote {
    const fn none(instrument: InstrumentId) -> Self {
        Self { instrument, bid: None, ask: None }
    }

    pub(crate) const fn side(&self, side: Side) -> Option<Slot> {
        match side {
            Side::Buy => self.bid,
            Side::Sell => self.ask,
        }
    }

    /// Its open orders, the bid first.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> {
        [self.bid, self.ask].into_iter().flatten()
    }

    fn set(&mut self, side: Side, slot: Option<Slot>) {
        match side {
            Side::Buy => self.bid = slot,
            Side::Sell => self.ask = slot,
        }
    }
}

impl QuoteTable {
    /// The quote of an instrument; without sides when there is none.
    pub(crate) fn get(&self, instrument: InstrumentId) -> Quote {
        match self.find(instrument) {
            Ok(index) => self.0[index],
            Err(_) => Quote::none(instrument),
        }
    }

    pub(crate) fn open_side(&mut self, instrument: InstrumentId, side: Side, slot: Slot) {
        let index = self.find(instrument).unwrap_or_else(|index| {
            self.0.insert(index, Quote::none(instrument));
            index
        });
        assert!(self.0[index].side(side).is_none(), "a session has one quote an instrument");
        self.0[index].set(side, Some(slot));
    }

    pub(crate) fn close_side(&mut self, instrument: InstrumentId, side: Side) {
        let index = self.find(instrument).expect("an open quote is in its session's table");
        let quote = &mut self.0[index];
        assert!(quote.side(side).is_some(), "an open quote is in its session's table");
        quote.set(side, None);
        if *quote == Quote::none(instrument) {
            self.0.remove(index);
        }
    }

    /// In the order of instruments.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Quote> {
        self.0.iter()
    }

    fn find(&self, instrument: InstrumentId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&instrument, |quote| quote.instrument)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_kept_in_the_order_of_instruments_while_a_side_is_open() {
        let mut table = QuoteTable::default();
        let id = InstrumentId::new;
        for (instrument, side, slot) in [(7, Side::Buy, 1), (3, Side::Sell, 2), (7, Side::Sell, 3)] {
            table.open_side(id(instrument), side, Slot::new(slot));
        }
        let slots = |table: &QuoteTable| -> Vec<u32> {
            table.iter().flat_map(|quote| quote.slots()).map(Slot::raw).collect()
        };
        assert_eq!(slots(&table), [2, 1, 3]);
        table.close_side(id(7), Side::Buy);
        assert_eq!((table.get(id(7)).bid, table.get(id(7)).ask), (None, Some(Slot::new(3))));
        table.close_side(id(7), Side::Sell);
        assert_eq!(slots(&table), [2]);
        assert_eq!(table.get(id(7)), Quote::none(id(7)));
    }
}
