//! What one lot is, and the one formula where price meets quantity.

use crate::{MicroEc, Price, Qty};

/// The size of one lot of an instrument: accelerators, for the whole delivery window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LotSize {
    accelerators: u16,
    /// Accelerator-minutes.
    minutes: u32,
}

/// Why a lot size was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LotSizeError {
    /// No accelerators, or an empty window.
    Zero,
}

impl LotSize {
    /// `accelerators` (1 and up) over a window of `window_minutes` (1 and up).
    pub const fn new(accelerators: u16, window_minutes: u16) -> Result<Self, LotSizeError> {
        if accelerators == 0 || window_minutes == 0 {
            return Err(LotSizeError::Zero);
        }
        Ok(Self { accelerators, minutes: accelerators as u32 * window_minutes as u32 })
    }

    pub const fn accelerators(self) -> u16 {
        self.accelerators
    }

    /// Accelerator-minutes in one lot.
    pub const fn accelerator_minutes(self) -> u64 {
        self.minutes as u64
    }

    /// What `qty` lots cost at `price`: the only place where price meets quantity.
    ///
    /// `None` when it does not fit a balance; the caller rejects with `NotionalOverflow`.
    #[inline(always)]
    pub const fn notional(self, price: Price, qty: Qty) -> Option<MicroEc> {
        match self.narrow_notional(price, qty) {
            Some(notional) => Some(notional),
            None => self.wide_notional(price, qty),
        }
    }

    /// In 64 bits, where nearly all orders fit: a division in 128 bits costs as much as the rest of a check. And without
    /// signs, as nearly all prices have none: a sixtieth of 64 bits fits a balance.
    #[inline(always)]
    const fn narrow_notional(self, price: Price, qty: Qty) -> Option<MicroEc> {
        if price.raw() < 0 {
            return None;
        }
        let Some(minutes) = qty.raw().checked_mul(self.accelerator_minutes()) else { return None };
        match minutes.checked_mul(price.raw() as u64) {
            Some(scaled) => Some(MicroEc::new((scaled / 60) as i64)),
            None => None,
        }
    }

    #[cold]
    #[inline(never)]
    const fn wide_notional(self, price: Price, qty: Qty) -> Option<MicroEc> {
        // 2^63 micro-EC times 2^32 minutes times 2^64 lots does not fit i128, hence the checks.
        let Some(lot_minutes) = (qty.raw() as i128).checked_mul(self.accelerator_minutes() as i128) else {
            return None;
        };
        let Some(scaled) = (price.raw() as i128).checked_mul(lot_minutes) else { return None };
        let notional = scaled / 60;
        if notional > i64::MAX as i128 || notional < i64::MIN as i128 {
            return None;
        }
        Some(MicroEc::new(notional as i64))
    }

    /// True when every multiple of `tick` is worth a whole number of micro-EC per lot and per quarter hour of it,
    /// so that no trade at a valid price is ever rounded.
    pub const fn is_exact_tick(self, tick: Price) -> bool {
        tick.raw() > 0 && (tick.raw() as i128 * self.accelerators as i128 * 15) % 60 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notional_is_price_times_accelerator_hours() {
        let hour = LotSize::new(8, 60).unwrap();
        let quarter = LotSize::new(8, 15).unwrap();
        let ec = |text: &str| text.parse::<MicroEc>().unwrap();
        let price = "27.00".parse::<Price>().unwrap();
        assert_eq!(hour.notional(price, Qty::new(1)), Some(ec("216")));
        assert_eq!(quarter.notional(price, Qty::new(1)), Some(ec("54")));
        assert_eq!(quarter.notional(price, Qty::new(4)), hour.notional(price, Qty::new(1)));
    }

    #[test]
    fn notional_overflow_is_none() {
        // The worst order that the units allow: 1,000,000 EC x 1,000,000 lots x 8 accelerators x 24 h.
        let day = LotSize::new(8, 1_440).unwrap();
        assert_eq!(day.notional("1000000".parse().unwrap(), Qty::new(1_000_000)), None);
        assert_eq!(day.notional(Price::new(i64::MAX), Qty::new(u64::MAX)), None);
        assert_eq!(day.notional(Price::new(i64::MIN), Qty::new(u64::MAX)), None);
    }

    #[test]
    fn narrow_and_wide_arithmetic_agree() {
        let lots = [
            LotSize::new(1, 15).unwrap(),
            LotSize::new(8, 60).unwrap(),
            LotSize::new(u16::MAX, 1_440).unwrap(),
        ];
        let prices = [0, 1, -1, 59, -61, 27_000_000, 1_000_000_000_000, i64::MAX / 120, i64::MIN / 120];
        for lot in lots {
            for (price, qty) in prices.into_iter().flat_map(|price| [1, 7, 1_000_000].map(|qty| (price, qty)))
            {
                let (price, qty) = (Price::new(price), Qty::new(qty));
                assert_eq!(lot.notional(price, qty), lot.wide_notional(price, qty), "{lot:?} {price} {qty}");
                if let Some(narrow) = lot.narrow_notional(price, qty) {
                    assert_eq!(Some(narrow), lot.wide_notional(price, qty), "{lot:?} {price} {qty}");
                }
            }
        }
    }

    #[test]
    fn ticks_that_round_are_found() {
        let tray = LotSize::new(1, 15).unwrap();
        assert!(tray.is_exact_tick(Price::new(4)));
        assert!(!tray.is_exact_tick(Price::new(2)));
        assert!(!tray.is_exact_tick(Price::ZERO));
        assert_eq!(LotSize::new(0, 60), Err(LotSizeError::Zero));
    }
}
