//! Inference-normalised units: tokens, yields, and prices per million tokens.

use core::cmp::Ordering;
use core::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{LotSize, Price, Qty, decimal};

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident($raw:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, FromBytes, IntoBytes, KnownLayout, Immutable,
        )]
        #[repr(transparent)]
        pub struct $name($raw);

        impl $name {
            pub const ZERO: Self = Self(0);

            pub const fn new(raw: $raw) -> Self {
                Self(raw)
            }

            pub const fn raw(self) -> $raw {
                self.0
            }
        }
    };
}

unit!(
    /// Thousands of tokens of a reference model.
    KiloTokens(u64)
);
unit!(
    /// Thousands of tokens per accelerator-hour, for one (class, model). Zero means "no yield known".
    Yield(u32)
);
unit!(
    /// Micro-EC per million tokens.
    TokenPrice(i64)
);

/// Kilo-tokens times minutes: the unit in which tokens are counted exactly, because a yield is per hour and windows
/// are minutes. 60 of them are one kilo-token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenMinutes(u128);

impl KiloTokens {
    pub const fn minutes(self) -> TokenMinutes {
        TokenMinutes(self.0 as u128 * 60)
    }
}

impl Yield {
    /// What `qty` lots deliver over their window.
    pub fn delivers(self, lot: LotSize, qty: Qty) -> TokenMinutes {
        TokenMinutes(u128::from(self.0) * u128::from(lot.accelerator_minutes()) * u128::from(qty.raw()))
    }

    /// Which of two asks is cheaper per token: `price/yield` by cross-multiplication, never by division.
    #[inline(always)]
    pub fn compare_per_token(price_a: Price, yield_a: Yield, price_b: Price, yield_b: Yield) -> Ordering {
        // Prices below 4,294 EC, which is all of them, need no more than 64 bits.
        if let (Ok(a), Ok(b)) = (u32::try_from(price_a.raw()), u32::try_from(price_b.raw())) {
            return (u64::from(a) * u64::from(yield_b.0)).cmp(&(u64::from(b) * u64::from(yield_a.0)));
        }
        Self::compare_any_per_token(price_a, yield_a, price_b, yield_b)
    }

    #[cold]
    #[inline(never)]
    fn compare_any_per_token(price_a: Price, yield_a: Yield, price_b: Price, yield_b: Yield) -> Ordering {
        let a = i128::from(price_a.raw()) * i128::from(yield_b.0);
        let b = i128::from(price_b.raw()) * i128::from(yield_a.0);
        a.cmp(&b)
    }
}

impl TokenPrice {
    /// True when an ask at `price` (per accelerator-hour) costs at most this much per token.
    pub fn allows(self, price: Price, yield_: Yield) -> bool {
        // price [uEC/AH] / yield [ktok/AH] * 1000 [ktok/Mtok] <= limit [uEC/Mtok]
        i128::from(price.raw()) * 1_000 <= i128::from(self.0) * i128::from(yield_.0)
    }

    /// An ask's price per million tokens, rounded toward zero: for display, never to rank.
    ///
    /// `None` without a yield, or when it does not fit.
    pub fn of(price: Price, yield_: Yield) -> Option<Self> {
        if yield_.0 == 0 {
            return None;
        }
        i64::try_from(i128::from(price.raw()) * 1_000 / i128::from(yield_.0)).ok().map(Self)
    }
}

impl TokenMinutes {
    pub const ZERO: Self = Self(0);

    pub const fn raw(self) -> u128 {
        self.0
    }

    /// Whole kilo-tokens, rounded down, saturating.
    pub const fn kilo_tokens(self) -> KiloTokens {
        let whole = self.0 / 60;
        KiloTokens(if whole > u64::MAX as u128 { u64::MAX } else { whole as u64 })
    }

    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// How many lots of `lot_tokens` fit, rounded down.
    pub const fn lots_below(self, lot_tokens: Self) -> u128 {
        self.0 / lot_tokens.0
    }

    /// How many lots of `lot_tokens` cover this, rounded up.
    pub const fn lots_covering(self, lot_tokens: Self) -> u128 {
        self.0.div_ceil(lot_tokens.0)
    }
}

impl fmt::Display for TokenPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&decimal::format_micro(self.0, 4))
    }
}

impl core::str::FromStr for TokenPrice {
    type Err = decimal::DecimalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        decimal::parse_micro(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dearer_accelerator_can_be_the_cheaper_token() {
        // H200S at 27.00 EC and 15,387 ktok/AH is 1.7547 EC/Mtok; B200S at 70.00 and 45,724 is 1.5309.
        let (h200, b200) = (Yield::new(15_387), Yield::new(45_724));
        let (h200_ask, b200_ask) = ("27.00".parse().unwrap(), "70.00".parse().unwrap());
        assert_eq!(Yield::compare_per_token(h200_ask, h200, b200_ask, b200), Ordering::Greater);
        assert_eq!(TokenPrice::of(h200_ask, h200), "1.754728".parse().ok());
        assert_eq!(TokenPrice::of(b200_ask, b200), "1.530924".parse().ok());
        assert_eq!(TokenPrice::of(b200_ask, Yield::ZERO), None);
    }

    #[test]
    fn prices_are_compared_the_same_where_64_bits_end() {
        let edge = i64::from(u32::MAX);
        let prices = [1, edge - 1, edge, edge + 1, edge * 2, i64::MAX - 1, i64::MAX];
        let yields = [1, 2, 15_387, u32::MAX - 1, u32::MAX];
        let asks = || prices.iter().flat_map(|price| yields.iter().map(move |of| (*price, *of)));
        for ((price_a, yield_a), (price_b, yield_b)) in asks().flat_map(|a| asks().map(move |b| (a, b))) {
            let wide = |price: i64, of: u32| i128::from(price) * i128::from(of);
            let found = Yield::compare_per_token(
                Price::new(price_a),
                Yield::new(yield_a),
                Price::new(price_b),
                Yield::new(yield_b),
            );
            assert_eq!(found, wide(price_a, yield_b).cmp(&wide(price_b, yield_a)));
        }
    }

    #[test]
    fn the_limit_is_exact_where_division_would_round() {
        let yield_ = Yield::new(3);
        let limit = TokenPrice::new(1_000);
        assert!(limit.allows(Price::new(3), yield_));
        assert!(!limit.allows(Price::new(4), yield_));
        let just_below = TokenPrice::new(1_333);
        assert!(!just_below.allows(Price::new(4), yield_), "4/3 is above 1.333");
        assert!(TokenPrice::new(1_334).allows(Price::new(4), yield_));
    }

    #[test]
    fn a_quarter_lot_of_h200_delivers_30_8_mtok() {
        let lot = LotSize::new(8, 15).unwrap();
        let tokens = Yield::new(15_387).delivers(lot, Qty::new(1));
        assert_eq!(tokens.kilo_tokens(), KiloTokens::new(30_774));
        assert_eq!(KiloTokens::new(61_548).minutes().lots_below(tokens), 2);
        assert_eq!(KiloTokens::new(61_549).minutes().lots_below(tokens), 2);
        assert_eq!(KiloTokens::new(61_549).minutes().lots_covering(tokens), 3);
    }
}
