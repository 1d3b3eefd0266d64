//! What an order promises.

use joulebook_types::{LotSize, MicroEc, Price, Qty};

/// The fee on a notional: parts per million, rounded toward zero per trade.
#[inline(always)]
pub const fn fee(notional: MicroEc, ppm: i32) -> MicroEc {
    notional.ppm(ppm)
}

/// What a bid for `leaves` lots at `limit` holds: the most that it can cost, with the dearer of the two fees.
///
/// A pure function of what is left, so a fill releases exactly `bid_hold(before) − bid_hold(after)`. That covers the
/// trade: the notional is linear in lots and the fee rounds down, so the difference is at least notional and fee of
/// the lots that traded. `None` when it does not fit a balance.
pub fn bid_hold(lot: LotSize, limit: Price, leaves: Qty, fee_ppm_max: i32) -> Option<MicroEc> {
    with_fee(lot.notional(limit, leaves)?, fee_ppm_max)
}

/// The same of a notional that is known.
#[inline(always)]
pub fn with_fee(notional: MicroEc, fee_ppm_max: i32) -> Option<MicroEc> {
    if fee_ppm_max == 0 { Some(notional) } else { notional.checked_add(fee(notional, fee_ppm_max)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_fill_releases_always_covers_it() {
        let lot = LotSize::new(1, 15).unwrap();
        let hold = |lots| bid_hold(lot, Price::new(1_004), Qty::new(lots), 1_999).unwrap();
        for leaves in 1..60 {
            for lots in 1..=leaves {
                let released = hold(leaves) - hold(leaves - lots);
                let notional = lot.notional(Price::new(1_004), Qty::new(lots)).unwrap();
                assert!(released >= notional + fee(notional, 1_999), "{lots} of {leaves}");
            }
        }
        assert_eq!(hold(0), MicroEc::ZERO);
        assert_eq!(bid_hold(lot, Price::new(i64::MAX), Qty::new(5), 0), None);
    }
}
