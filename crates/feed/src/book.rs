//! Price levels of one instrument, as everybody sees them.

use joulebook_types::{Price, Side};

/// What rests at one price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    pub price: Price,
    /// Lots.
    pub qty: u64,
    pub orders: u32,
}

/// Both sides of a book, level by level.
///
/// Each side is a sorted array with its best level last: most changes happen there, so little moves, and nothing is
/// allocated once the array has grown to the book's depth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct L2Book {
    bids: Vec<Level>,
    asks: Vec<Level>,
}

impl L2Book {
    /// Replaces the level at `level.price`; a quantity of zero removes it.
    pub fn set(&mut self, side: Side, level: Level) {
        let levels = match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        let found = levels.binary_search_by(|known| match side {
            Side::Buy => known.price.cmp(&level.price),
            Side::Sell => level.price.cmp(&known.price),
        });
        match found {
            Ok(index) if level.qty == 0 => _ = levels.remove(index),
            Ok(index) => levels[index] = level,
            Err(_) if level.qty == 0 => {}
            Err(index) => levels.insert(index, level),
        }
    }

    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }

    /// The best level of a side.
    pub fn best(&self, side: Side) -> Option<Level> {
        self.side(side).last().copied()
    }

    /// The level at `price`, if anything rests there.
    pub fn level(&self, side: Side, price: Price) -> Option<Level> {
        self.levels(side).find(|level| level.price == price)
    }

    /// Levels of a side, best first.
    pub fn levels(&self, side: Side) -> impl ExactSizeIterator<Item = Level> + '_ {
        self.side(side).iter().rev().copied()
    }

    /// Levels of both sides together.
    pub fn len(&self) -> usize {
        self.bids.len() + self.asks.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The best bid is not below the best ask. An open instrument never shows this for longer than it takes to halt it; one
    /// that is halted or in a call auction may.
    pub fn is_crossed(&self) -> bool {
        match (self.best(Side::Buy), self.best(Side::Sell)) {
            (Some(bid), Some(ask)) => ask.price <= bid.price,
            _ => false,
        }
    }

    /// CRC-32C over price, quantity (u64) and orders (u32), little-endian, of every level: bids best first, then asks
    /// best first.
    pub fn checksum(&self) -> u32 {
        self.levels(Side::Buy).chain(self.levels(Side::Sell)).fold(0, |checksum, level| {
            let mut bytes = [0; 20];
            bytes[..8].copy_from_slice(&level.price.raw().to_le_bytes());
            bytes[8..16].copy_from_slice(&level.qty.to_le_bytes());
            bytes[16..].copy_from_slice(&level.orders.to_le_bytes());
            crc32c::crc32c_append(checksum, &bytes)
        })
    }

    fn side(&self, side: Side) -> &[Level] {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(price: i64, qty: u64) -> Level {
        Level { price: Price::new(price), qty, orders: 1 }
    }

    #[test]
    fn levels_stay_sorted() {
        let mut book = L2Book::default();
        for price in [5, 3, 4] {
            book.set(Side::Buy, level(price, 1));
            book.set(Side::Sell, level(price + 10, 1));
        }
        let prices = |book: &L2Book, side| book.levels(side).map(|l| l.price.raw()).collect::<Vec<_>>();
        assert_eq!(prices(&book, Side::Buy), [5, 4, 3]);
        assert_eq!(prices(&book, Side::Sell), [13, 14, 15]);
        assert_eq!(book.best(Side::Sell), Some(level(13, 1)));
        book.set(Side::Buy, level(5, 0));
        book.set(Side::Buy, level(7, 0));
        book.set(Side::Buy, level(4, 9));
        assert_eq!(book.best(Side::Buy), Some(level(4, 9)));
        assert_eq!((book.len(), book.is_crossed()), (5, false));
        book.set(Side::Buy, level(13, 1));
        assert!(book.is_crossed(), "locked counts as crossed");
    }

    #[test]
    fn the_checksum_is_the_documented_one() {
        let mut book = L2Book::default();
        assert_eq!(book.checksum(), 0);
        book.set(Side::Sell, level(2, 3));
        book.set(Side::Buy, level(1, 7));
        let mut bytes = Vec::new();
        for (price, qty) in [(1_i64, 7_u64), (2, 3)] {
            bytes.extend(price.to_le_bytes());
            bytes.extend(qty.to_le_bytes());
            bytes.extend(1_u32.to_le_bytes());
        }
        assert_eq!(book.checksum(), crc32c::crc32c(&bytes));
        assert_eq!(crc32c::crc32c(b"123456789"), 0xE306_9283, "the standard's check value");
    }
}
