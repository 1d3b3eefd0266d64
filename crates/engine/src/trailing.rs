//! Trailing stops: a trigger price that follows the best print at a distance.

use joulebook_types::{Price, Side};

/// How far behind its peak a trailing stop waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Distance {
    Price(Price),
    /// Of the peak, rounded down.
    BasisPoints(u32),
}

/// What a trailing stop has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trail {
    pub(crate) distance: Distance,
    /// Zero: the first print activates it.
    pub(crate) activation_price: Price,
    /// The best print since its activation: the highest for a sell order, the lowest for a buy order.
    pub(crate) peak: Option<Price>,
}

const BASIS_POINTS: i128 = 10_000;

impl Distance {
    fn of_peak(self, peak: Price) -> i64 {
        match self {
            Self::Price(distance) => distance.raw(),
            Self::BasisPoints(bps) => {
                let distance = i128::from(peak.raw()) * i128::from(bps) / BASIS_POINTS;
                i64::try_from(distance).unwrap_or(i64::MAX)
            }
        }
    }
}

impl Trail {
    /// What it waits for now; `None` before its activation. Zero or less is a price that never prints.
    pub(crate) fn trigger_price(&self, side: Side) -> Option<Price> {
        let peak = self.peak?;
        let distance = self.distance.of_peak(peak);
        Some(Price::new(match side {
            Side::Buy => peak.raw().saturating_add(distance),
            Side::Sell => peak.raw().saturating_sub(distance),
        }))
    }

    /// Follows a print and says whether that print triggers it. The print that activates it never does.
    pub(crate) fn sees(&mut self, side: Side, print: Price) -> bool {
        let (Some(peak), Some(trigger_price)) = (self.peak, self.trigger_price(side)) else {
            self.peak = self.activates(side, print).then_some(print);
            return false;
        };
        if is_reached(side, trigger_price, print) {
            return true;
        }
        self.peak = Some(match side {
            Side::Buy => peak.min(print),
            Side::Sell => peak.max(print),
        });
        false
    }

    /// A sell order waits for the market to rise to its activation price, a buy order for it to fall.
    fn activates(&self, side: Side, print: Price) -> bool {
        let activation = self.activation_price;
        activation == Price::ZERO || is_reached(side.opposite(), activation, print)
    }
}

/// Whether a print is at the trigger price or beyond: buy orders wait for a rise, sell orders for a fall.
pub(crate) fn is_reached(side: Side, trigger_price: Price, print: Price) -> bool {
    match side {
        Side::Buy => print >= trigger_price,
        Side::Sell => print <= trigger_price,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name, the stop, the prints that it sees, and what is noted.
    type Case = (&'static str, Side, Distance, i64, &'static [i64], &'static str);

    /// Feeds prints and notes the trigger price after each, or that it triggered.
    fn follow(side: Side, distance: Distance, activation: i64, prints: &[i64]) -> String {
        let activation_price = Price::new(activation);
        let mut trail = Trail { distance, activation_price, peak: None };
        let mut seen = String::new();
        for print in prints {
            if trail.sees(side, Price::new(*print)) {
                seen += "triggered";
                break;
            }
            match trail.trigger_price(side) {
                Some(trigger) => seen += &format!("{} ", trigger.raw()),
                None => seen += "- ",
            }
        }
        seen
    }

    #[test]
    fn the_trigger_price_follows_the_peak_only() {
        use Distance::{BasisPoints, Price as By};
        use Side::{Buy, Sell};
        let five = By(Price::new(5));
        let cases: &[Case] = &[
            (
                "a sell order rises with the market",
                Sell,
                five,
                0,
                &[100, 103, 101, 99, 98],
                "95 98 98 98 triggered",
            ),
            (
                "a buy order falls with the market",
                Buy,
                five,
                0,
                &[100, 97, 99, 101, 102],
                "105 102 102 102 triggered",
            ),
            (
                "a sell order sleeps below its activation",
                Sell,
                five,
                110,
                &[90, 109, 111, 106],
                "- - 106 triggered",
            ),
            (
                "a buy order sleeps above its activation",
                Buy,
                five,
                90,
                &[100, 91, 90, 95],
                "- - 95 triggered",
            ),
            (
                "basis points of the peak, rounded down",
                Sell,
                BasisPoints(150),
                0,
                &[1_050, 1_100, 1_085],
                "1035 1084 1084 ",
            ),
            (
                "basis points above a low",
                Buy,
                BasisPoints(150),
                0,
                &[1_050, 1_000, 1_015],
                "1065 1015 triggered",
            ),
            (
                "a trigger price below zero never prints",
                Sell,
                By(Price::new(500)),
                0,
                &[100, 1],
                "-400 -400 ",
            ),
            ("the first print is not compared", Sell, BasisPoints(1), 0, &[50, 50], "50 triggered"),
        ];
        for (name, side, distance, activation, prints, want) in cases {
            assert_eq!(follow(*side, *distance, *activation, prints), *want, "{name}");
        }
    }

    #[test]
    fn a_distance_beyond_all_prices_is_cut() {
        let peak = Some(Price::new(1_000));
        let far =
            Trail { distance: Distance::Price(Price::new(i64::MAX)), activation_price: Price::ZERO, peak };
        assert_eq!(far.trigger_price(Side::Buy), Some(Price::new(i64::MAX)));
    }
}
