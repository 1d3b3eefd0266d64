//! Prices and ticks: the only place that turns one into the other.

use joulebook_types::{Price, Side};

/// The price step of a book, with what makes dividing by it one multiplication.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tick {
    step: i64,
    /// The inverse of the step's odd part modulo 2^64.
    inverse: u64,
    /// The step's factors of two.
    twos: u32,
    /// Most ticks that a price can have.
    ticks_max: u64,
}

impl Tick {
    pub(crate) fn new(step: Price) -> Self {
        assert!(step > Price::ZERO, "a tick is positive");
        let step = step.raw();
        let odd = step as u64 >> step.trailing_zeros();
        // Right in the lowest three bits to begin with, as an odd number is its own inverse modulo 8; each round
        // doubles the number of right bits.
        let inverse = (0..5)
            .fold(odd, |inverse: u64, _| inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse))));
        Self { step, inverse, twos: step.trailing_zeros(), ticks_max: (i64::MAX / step) as u64 }
    }

    /// The ticks of a price; `None` when it is not a positive multiple of the step.
    ///
    /// Multiplying by the inverse divides multiples of the step exactly, and takes every other number, the negative
    /// ones included, to one that is larger than the largest quotient.
    #[inline(always)]
    pub(crate) fn ticks(&self, price: Price) -> Option<u64> {
        let ticks = self.quotient(price);
        (ticks.wrapping_sub(1) < self.ticks_max).then_some(ticks)
    }

    #[inline(always)]
    fn quotient(&self, price: Price) -> u64 {
        (price.raw() as u64).wrapping_mul(self.inverse).rotate_right(self.twos)
    }

    /// Where a price stands on its side: the lower, the better. Every price has a rank of its own, and those off the tick
    /// have ranks that no level has.
    #[inline(always)]
    pub(crate) fn rank(&self, side: Side, price: Price) -> u64 {
        self.quotient(price) ^ reversal(side) as u64
    }

    #[inline]
    pub(crate) fn price(&self, side: Side, rank: u64) -> Price {
        Price::new((rank ^ reversal(side) as u64) as i64 * self.step)
    }
}

/// A price as its side ranks it: the lower, the better for those who take. Says the same as the rank, also of prices
/// between two ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RankedPrice(i64);

impl RankedPrice {
    /// Behind all others.
    pub(crate) const LAST: Self = Self(i64::MAX);

    #[inline]
    pub(crate) fn new(side: Side, price: Price) -> Self {
        Self(price.raw() ^ reversal(side))
    }

    /// As the side ranks it that `side` trades with.
    #[inline(always)]
    pub(crate) fn against(side: Side, price: Price) -> Self {
        Self(price.raw() ^ !reversal(side))
    }

    #[inline]
    pub(crate) fn price(self, side: Side) -> Price {
        Price::new(self.0 ^ reversal(side))
    }
}

/// What turns bids around, which are ranked downwards: all bits, and none for asks. A subtraction instead of a choice,
/// because which side an order is on cannot be predicted.
#[inline(always)]
fn reversal(side: Side) -> i64 {
    i64::from(side.raw()) - i64::from(Side::Sell.raw())
}

const _: () = assert!(Side::Sell.raw() - Side::Buy.raw() == 1, "one below zero is all bits");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn agrees(step: i64, raw: i64) {
        let want = (raw > 0 && raw % step == 0).then(|| (raw / step) as u64);
        let tick = Tick::new(Price::new(step));
        assert_eq!(tick.ticks(Price::new(raw)), want, "{raw} by {step}");
        for side in [Side::Buy, Side::Sell] {
            let rank = tick.rank(side, Price::new(raw));
            if want.is_some() {
                assert_eq!(tick.price(side, rank), Price::new(raw));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_divides(step in prop_oneof![1..100i64, 1..=i64::MAX], ticks in any::<i64>(), off in -3..4i64) {
            for raw in [ticks, ticks % 1_000, (ticks % 1_000).wrapping_mul(step).wrapping_add(off), i64::MAX - i64::MAX % step] {
                agrees(step, raw);
            }
        }
    }

    #[test]
    fn it_divides_at_the_ends() {
        for step in [1, 2, 3, 10, 1 << 40, 10_000_000, i64::MAX] {
            for raw in [i64::MIN, i64::MIN + 1, -step, -1, 0, 1, step, i64::MAX - 1, i64::MAX] {
                agrees(step, raw);
            }
        }
    }
}
