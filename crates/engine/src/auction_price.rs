//! The one price of a call auction, from nothing but lots at prices.
//!
//! The most lots trade; among the prices at which they do, the one that leaves the fewest lots over; among those, the
//! side that presses decides, else the price nearest to the reference. The last rule follows Xetra's auctions.

use joulebook_types::Price;

/// What a book has at one price, hidden lots included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PricedLots {
    pub(crate) price: Price,
    pub(crate) bids: u64,
    pub(crate) asks: u64,
}

/// All that a call auction's price depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallBook<'a> {
    /// By price, lowest first; every price once.
    pub(crate) levels: &'a [PricedLots],
    /// Lots of market orders.
    pub(crate) market_buys: u64,
    pub(crate) market_sells: u64,
    /// The last trade's price, or what the listing named, moved into the static band.
    pub(crate) base: Option<Price>,
    pub(crate) tick: Price,
}

/// What an uncross at a price would trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cross {
    pub(crate) price: Price,
    pub(crate) demand: u64,
    pub(crate) supply: u64,
}

impl Cross {
    pub(crate) fn volume(self) -> u64 {
        self.demand.min(self.supply)
    }

    /// Lots that find nobody: positive to buy, negative to sell.
    pub(crate) fn surplus(self) -> i64 {
        let lots =
            |count: u64| i64::try_from(count).expect("fewer than 2^32 orders of fewer than 2^32 lots each");
        lots(self.demand) - lots(self.supply)
    }
}

/// The candidates that are as good as any other so far, which lie side by side.
#[derive(Clone, Copy, Debug)]
struct Kept {
    lowest: Cross,
    highest: Cross,
}

impl CallBook<'_> {
    /// The auction price; `None` when nothing would trade.
    pub(crate) fn cross(&self) -> Option<Cross> {
        let Some(kept) = self.kept() else {
            // Market orders alone name no price.
            let (demand, supply) = (self.market_buys, self.market_sells);
            let cross = Cross { price: self.base?, demand, supply };
            return (cross.volume() > 0).then_some(cross);
        };
        if kept.lowest.volume() == 0 {
            return None;
        }
        let price = self.choose(kept);
        Some(self.cross_at(price))
    }

    /// Demand and supply at a price that need not be a candidate.
    fn cross_at(&self, price: Price) -> Cross {
        let bids = self.levels.iter().filter(|level| level.price >= price).map(|level| level.bids);
        let asks = self.levels.iter().filter(|level| level.price <= price).map(|level| level.asks);
        let demand = self.market_buys + bids.sum::<u64>();
        let supply = self.market_sells + asks.sum::<u64>();
        Cross { price, demand, supply }
    }

    /// Most volume first, then least surplus. `None` without limit orders.
    ///
    /// Demand falls and supply rises with the price, so the best candidates have no worse one between them.
    fn kept(&self) -> Option<Kept> {
        let mut demand = self.market_buys + self.levels.iter().map(|level| level.bids).sum::<u64>();
        let mut supply = self.market_sells;
        let mut kept: Option<Kept> = None;
        for level in self.levels {
            supply += level.asks;
            let cross = Cross { price: level.price, demand, supply };
            demand -= level.bids;
            let rank = |cross: Cross| (cross.volume(), u64::MAX - cross.surplus().unsigned_abs());
            kept = match kept {
                Some(best) if rank(best.lowest) > rank(cross) => Some(best),
                Some(best) if rank(best.lowest) == rank(cross) => Some(Kept { highest: cross, ..best }),
                Some(_) | None => Some(Kept { lowest: cross, highest: cross }),
            };
        }
        kept
    }

    fn choose(&self, kept: Kept) -> Price {
        let Kept { lowest, highest } = kept;
        // The surplus falls with the price, so its signs at both ends are those of all between.
        if highest.surplus() > 0 {
            return highest.price;
        }
        if lowest.surplus() < 0 {
            return lowest.price;
        }
        match self.base {
            Some(base) => base.clamp(lowest.price, highest.price),
            None => {
                let gap = highest.price.raw() - lowest.price.raw();
                let middle = lowest.price.raw() + gap / 2;
                Price::new(middle - middle % self.tick.raw())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `bids` and `asks` as lots at a price, a tick of 10.
    fn book(bids: &[(u64, i64)], asks: &[(u64, i64)]) -> Vec<PricedLots> {
        let mut prices: Vec<i64> = bids.iter().chain(asks).map(|(_, price)| *price).collect();
        prices.sort_unstable();
        prices.dedup();
        let at = |orders: &[(u64, i64)], price| -> u64 {
            orders.iter().filter(|order| order.1 == price).map(|order| order.0).sum()
        };
        let lots =
            |price| PricedLots { price: Price::new(price), bids: at(bids, price), asks: at(asks, price) };
        prices.into_iter().map(lots).collect()
    }

    /// Price, volume and surplus.
    fn cross(
        bids: &[(u64, i64)],
        asks: &[(u64, i64)],
        (market_buys, market_sells): (u64, u64),
        base: Option<i64>,
    ) -> Option<(i64, u64, i64)> {
        let levels = book(bids, asks);
        let base = base.map(Price::new);
        let tick = Price::new(10);
        let cross = CallBook { levels: &levels, market_buys, market_sells, base, tick }.cross();
        cross.map(|cross| (cross.price.raw(), cross.volume(), cross.surplus()))
    }

    #[test]
    fn nothing_trades_without_both_sides() {
        assert_eq!(cross(&[], &[], (0, 0), Some(100)), None);
        assert_eq!(cross(&[(5, 100)], &[], (0, 0), Some(100)), None);
        assert_eq!(cross(&[(5, 100)], &[(5, 110)], (0, 0), Some(100)), None, "not crossed");
        assert_eq!(cross(&[], &[], (5, 0), Some(100)), None);
        assert_eq!(cross(&[], &[], (5, 5), None), None, "market orders alone need a reference");
    }

    #[test]
    fn the_most_lots_trade() {
        // At 100 ten lots trade, at 110 only six: the base does not matter.
        let bids = [(6, 110), (4, 100)];
        let asks = [(10, 100)];
        assert_eq!(cross(&bids, &asks, (0, 0), Some(110)), Some((100, 10, 0)));
    }

    #[test]
    fn then_the_fewest_are_left_over() {
        // Five lots trade from 100 to 120; at 120 nothing is left over, below it three bids are.
        let bids = [(5, 120), (3, 110)];
        let asks = [(5, 100)];
        assert_eq!(cross(&bids, &asks, (0, 0), Some(100)), Some((120, 5, 0)));
    }

    #[test]
    fn the_side_that_presses_moves_the_price() {
        assert_eq!(cross(&[(8, 120)], &[(5, 100)], (0, 0), Some(100)), Some((120, 5, 3)), "buyers: highest");
        assert_eq!(cross(&[(5, 120)], &[(8, 100)], (0, 0), Some(120)), Some((100, 5, -3)), "sellers: lowest");
    }

    #[test]
    fn without_pressure_the_price_is_the_nearest_to_the_base() {
        let (bids, asks) = ([(5, 120)], [(5, 100)]);
        assert_eq!(cross(&bids, &asks, (0, 0), Some(50)), Some((100, 5, 0)), "below: lowest");
        assert_eq!(cross(&bids, &asks, (0, 0), Some(110)), Some((110, 5, 0)), "between: the base itself");
        assert_eq!(cross(&bids, &asks, (0, 0), Some(900)), Some((120, 5, 0)), "above: highest");
        assert_eq!(cross(&bids, &asks, (0, 0), None), Some((110, 5, 0)), "none: the middle");
        assert_eq!(cross(&[(5, 130)], &asks, (0, 0), None), Some((110, 5, 0)), "115 is off the tick");
    }

    #[test]
    fn pressure_that_changes_sides_is_no_pressure() {
        // Five lots trade at both prices, with two bids left over at 100 and two asks at 120.
        let bids = [(5, 120), (2, 100)];
        let asks = [(5, 100), (2, 120)];
        assert_eq!(cross(&bids, &asks, (0, 0), None), Some((110, 5, 0)));
        assert_eq!(cross(&bids, &asks, (0, 0), Some(900)), Some((120, 5, -2)));
        assert_eq!(cross(&bids, &asks, (0, 0), Some(1)), Some((100, 5, 2)));
    }

    #[test]
    fn market_orders_count_at_every_price() {
        assert_eq!(cross(&[], &[(5, 100), (5, 110)], (7, 0), None), Some((110, 7, -3)));
        assert_eq!(cross(&[(5, 100)], &[], (0, 9), Some(500)), Some((100, 5, -4)));
        assert_eq!(cross(&[], &[], (7, 4), Some(105)), Some((105, 4, 3)), "at the base as it is");
    }

    #[test]
    fn sums_beyond_32_bits_are_exact() {
        let lots = u64::from(u32::MAX) * 1_000;
        assert_eq!(cross(&[(lots, 120)], &[(lots - 1, 100)], (0, 0), None), Some((120, lots - 1, 1)));
    }
}
