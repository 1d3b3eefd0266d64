//! The price at which a call would trade.

use joulebook_protocol::messages::AuctionIndication;
use joulebook_types::{Price, Side};

use crate::market::{Instrument, Market};
use crate::orders::{Order, Work};

/// What an uncross at a price would be, in lots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cross {
    pub(crate) price: Price,
    demand: u64,
    supply: u64,
}

impl Cross {
    fn volume(&self) -> u64 {
        self.demand.min(self.supply)
    }

    /// Positive: buyers find nobody.
    fn surplus(&self) -> i64 {
        self.demand as i64 - self.supply as i64
    }
}

impl Market {
    /// What the call would trade if it ended now; zero when nothing would.
    pub(crate) fn indication(&self, index: usize) -> AuctionIndication {
        let none = AuctionIndication {
            time: self.time,
            instrument: self.instruments[index].id,
            ..Default::default()
        };
        match self.auction_price(index) {
            Some(cross) => AuctionIndication {
                price: cross.price,
                volume: cross.volume(),
                surplus: cross.surplus(),
                ..none
            },
            None => none,
        }
    }

    /// Most lots traded, then least surplus, then the end of the range that the surplus pushes to, or what lies nearest
    /// the reference. `None` when nothing would trade.
    pub(crate) fn auction_price(&self, index: usize) -> Option<Cross> {
        let mut prices: Vec<Price> = self.in_call(index).map(|order| order.limit).collect();
        prices.sort();
        prices.dedup();
        let Instrument { step_base, band_low, band_high, .. } = &self.instruments[index];
        let base = step_base.map(|base| base.clamp(*band_low, *band_high));
        if prices.is_empty() {
            return base.map(|base| self.cross_at(index, base)).filter(|cross| cross.volume() > 0);
        }
        let mut kept: Vec<Cross> = prices.iter().map(|price| self.cross_at(index, *price)).collect();
        let most = kept.iter().map(Cross::volume).max().filter(|volume| *volume > 0)?;
        kept.retain(|cross| cross.volume() == most);
        let least = kept.iter().map(|cross| cross.surplus().abs()).min()?;
        kept.retain(|cross| cross.surplus().abs() == least);
        let (lowest, highest) = (*kept.first()?, *kept.last()?);
        if kept.iter().all(|cross| cross.surplus() > 0) {
            return Some(highest);
        }
        if kept.iter().all(|cross| cross.surplus() < 0) {
            return Some(lowest);
        }
        let price = match base {
            Some(base) => base.clamp(lowest.price, highest.price),
            None => {
                let tick = self.instruments[index].tick.raw();
                let middle = lowest.price.raw() + (highest.price.raw() - lowest.price.raw()) / 2;
                Price::new(middle / tick * tick)
            }
        };
        Some(self.cross_at(index, price))
    }

    /// Limit orders of the book.
    fn in_call(&self, index: usize) -> impl Iterator<Item = &Order> {
        self.orders.values().filter(move |order| order.instrument == index && order.work == Work::Resting)
    }

    fn cross_at(&self, index: usize, price: Price) -> Cross {
        let lots = |side| self.willing(index, side, price).iter().map(|order| u64::from(order.leaves)).sum();
        Cross { price, demand: lots(Side::Buy), supply: lots(Side::Sell) }
    }

    /// Orders that would trade at a price, in the order in which they do: market orders by id, then price, then place.
    pub(crate) fn willing(&self, index: usize, side: Side, price: Price) -> Vec<&Order> {
        let market = self
            .orders
            .values()
            .filter(|order| order.instrument == index && order.side == side && order.work == Work::InCall);
        let limit = self.queue(index, side).into_iter();
        market.chain(limit.filter(|order| Self::reaches(side, order.limit, price))).collect()
    }
}
