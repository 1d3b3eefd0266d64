//! What a seller asks when a rival sells the same tokens on other hardware: integers only.

use joulebook_types::{Price, TokenPrice, Yield};

/// An ask and what it yields, so that asks of different accelerators compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    pub price: Price,
    /// Not zero.
    pub yield_ktok: Yield,
}

/// Everything that decides a new price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reprice {
    /// What a lot costs the seller, per accelerator-hour.
    pub floor: Price,
    pub tick: Price,
    /// Of the seller's own class. Not zero.
    pub yield_ktok: Yield,
    pub rival: Ask,
    /// How far below a rival that still moves: a price per million tokens.
    pub undercut: TokenPrice,
    /// The rival has stopped: one own tick below is enough.
    pub rival_rests: bool,
}

impl Reprice {
    /// `max(floor, rival per token - step)`, in the seller's own ticks: the price is rounded down, the floor up.
    pub fn price(&self) -> Price {
        assert!(self.yield_ktok.raw() > 0 && self.rival.yield_ktok.raw() > 0, "tokens without a yield");
        let own_yield = i128::from(self.yield_ktok.raw());
        let rival_yield = i128::from(self.rival.yield_ktok.raw());
        // One common denominator and one division, so that nothing is rounded twice.
        let denominator = rival_yield * 1_000;
        let parity = i128::from(self.rival.price.raw()) * own_yield * 1_000;
        let step = if self.rival_rests {
            i128::from(self.tick.raw()) * denominator
        } else {
            i128::from(self.undercut.raw()) * own_yield * rival_yield
        };
        let wanted = (parity - step).div_euclid(denominator);
        let wanted = Price::new(i64::try_from(wanted).unwrap_or(i64::MAX));
        floor_to_tick(wanted, self.tick).max(ceil_to_tick(self.floor, self.tick))
    }
}

/// The highest price on the grid at or below `price`.
pub fn floor_to_tick(price: Price, tick: Price) -> Price {
    Price::new(price.raw().div_euclid(tick.raw()) * tick.raw())
}

/// The lowest price on the grid at or above `price`.
pub fn ceil_to_tick(price: Price, tick: Price) -> Price {
    let below = floor_to_tick(price, tick);
    if below == price { price } else { Price::new(below.raw().saturating_add(tick.raw())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cmp::Ordering;

    const GPU: Yield = Yield::new(15_387);
    const TPU: Yield = Yield::new(9_232);

    fn ec(text: &str) -> Price {
        text.parse().unwrap()
    }

    fn gpu(rival: &str, undercut: &str, rival_rests: bool) -> Reprice {
        Reprice {
            floor: ec("13.00"),
            tick: ec("0.01"),
            yield_ktok: GPU,
            rival: Ask { price: ec(rival), yield_ktok: TPU },
            undercut: undercut.parse().unwrap(),
            rival_rests,
        }
    }

    #[test]
    fn prices_by_table() {
        // A TPU hour at 16.00 is worth 26.667 EC of GPU time; 0.01 EC/Mtok are 0.15387 EC of it.
        let cases = [
            ("undercut", gpu("16.00", "0.01", false), "26.51"),
            (
                "the rival rests: parity 26.6672 less a tick, rounded down",
                gpu("16.00", "0.01", true),
                "26.65",
            ),
            ("no undercut is parity, rounded down", gpu("16.00", "0", false), "26.66"),
            ("never below the floor", gpu("7.80", "0.01", false), "13.00"),
            ("the floor counts for a resting rival too", gpu("7.80", "0.01", true), "13.00"),
            ("just above the floor", gpu("7.90", "0.01", false), "13.01"),
            ("an undercut beyond zero still ends at the floor", gpu("0.01", "9.00", false), "13.00"),
            (
                "an odd floor is rounded up",
                Reprice { floor: ec("13.000001"), ..gpu("1.00", "0", true) },
                "13.01",
            ),
            (
                "a same-class rival is one exact tick above",
                Reprice { rival: Ask { price: ec("20.00"), yield_ktok: GPU }, ..gpu("1.00", "0", true) },
                "19.99",
            ),
        ];
        for (name, reprice, want) in cases {
            assert_eq!(reprice.price(), ec(want), "{name}");
        }
    }

    #[test]
    fn the_new_price_beats_the_rival_by_less_than_a_step_and_two_ticks() {
        for raw in (13_500_000..30_000_000).step_by(7_777) {
            let rival = Ask { price: Price::new(raw / 1_000 * 1_000), yield_ktok: TPU };
            for rival_rests in [true, false] {
                let reprice = Reprice { rival, ..gpu("1.00", "0.005", rival_rests) };
                let price = reprice.price();
                assert_eq!(price.raw() % reprice.tick.raw(), 0);
                let against = |ticks: i64| {
                    let raised = Price::new(price.raw() + ticks * reprice.tick.raw());
                    Yield::compare_per_token(raised, GPU, rival.price, rival.yield_ktok)
                };
                assert_eq!(against(0), Ordering::Less, "cheaper per token than {rival:?}");
                // 0.005 EC/Mtok are 7.7 ticks of 0.01 EC.
                assert_ne!(against(if rival_rests { 2 } else { 9 }), Ordering::Less);
            }
        }
    }

    #[test]
    fn the_rule_knows_no_vendor() {
        // The same war seen from the other side: swapping every parameter swaps the answer, nothing else does.
        let duel = |own: Yield, tick: &str, rival: Yield, parity_mtok: i64| Reprice {
            floor: Price::new(1),
            tick: ec(tick),
            yield_ktok: own,
            rival: Ask { price: Price::new(parity_mtok * i64::from(rival.raw()) / 1_000), yield_ktok: rival },
            undercut: TokenPrice::new(5_000),
            rival_rests: false,
        };
        for parity in (900_000..1_800_000).step_by(10_007) {
            let asks =
                [duel(GPU, "0.000004", TPU, parity).price(), duel(TPU, "0.000004", GPU, parity).price()];
            let per_token = [TokenPrice::of(asks[0], GPU).unwrap(), TokenPrice::of(asks[1], TPU).unwrap()];
            assert!((per_token[0].raw() - per_token[1].raw()).abs() <= 1, "{per_token:?} at {parity}");
        }
    }

    #[test]
    fn ticks_round_both_ways() {
        let tick = ec("0.01");
        for (price, below, above) in [
            ("1.00", "1.00", "1.00"),
            ("1.001", "1.00", "1.01"),
            ("1.009999", "1.00", "1.01"),
            ("-0.001", "-0.01", "0"),
        ] {
            assert_eq!(
                (floor_to_tick(ec(price), tick), ceil_to_tick(ec(price), tick)),
                (ec(below), ec(above))
            );
        }
    }
}
