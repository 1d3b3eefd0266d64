//! Energy credits, prices and lots.

use core::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::decimal;

/// Micro-EC per accelerator-hour. Only the book turns it into ticks. Negative prices are refused by the engine for now.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
)]
#[repr(transparent)]
pub struct Price(i64);

/// An amount of energy credits in millionths: 1 EC = 1 kWh, so 1 micro-EC = 3.6 J.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
)]
#[repr(transparent)]
pub struct MicroEc(i64);

/// A number of lots. `u32` on the wire, 64 bits inside so that sums of a level cannot overflow.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
)]
#[repr(transparent)]
pub struct Qty(u64);

impl Price {
    pub const ZERO: Self = Self(0);

    pub const fn new(raw: i64) -> Self {
        Self(raw)
    }

    pub const fn raw(self) -> i64 {
        self.0
    }
}

impl MicroEc {
    pub const ZERO: Self = Self(0);
    pub const MAX: Self = Self(i64::MAX);

    pub const fn new(raw: i64) -> Self {
        Self(raw)
    }

    /// Whole energy credits (kWh).
    pub const fn from_ec(ec: i64) -> Self {
        Self(ec * 1_000_000)
    }

    pub const fn raw(self) -> i64 {
        self.0
    }

    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// `ppm` millionths of this amount, rounded toward zero.
    #[inline(always)]
    pub const fn ppm(self, ppm: i32) -> Self {
        if ppm == 0 { Self::ZERO } else { self.some_ppm(ppm) }
    }

    const fn some_ppm(self, ppm: i32) -> Self {
        if let Some(scaled) = self.0.checked_mul(ppm as i64) {
            return Self(scaled / 1_000_000);
        }
        // |i64::MAX * i32::MAX| fits i128, and |ppm| <= 2^31 keeps the quotient below 2^75: checked on the way back.
        let share = self.0 as i128 * ppm as i128 / 1_000_000;
        assert!(
            share <= i64::MAX as i128 && share >= i64::MIN as i128,
            "a fee above the amounts that balances allow"
        );
        Self(share as i64)
    }
}

impl Qty {
    pub const ZERO: Self = Self(0);

    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    pub const fn raw(self) -> u64 {
        self.0
    }

    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// `None` when it does not fit the wire's 32 bits.
    pub const fn to_wire(self) -> Option<u32> {
        if self.0 <= u32::MAX as u64 { Some(self.0 as u32) } else { None }
    }

    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl From<u32> for Qty {
    fn from(lots: u32) -> Self {
        Self(u64::from(lots))
    }
}

macro_rules! arithmetic {
    ($name:ident, $what:literal) => {
        impl core::ops::Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0.checked_add(other.0).expect(concat!($what, " overflow")))
            }
        }
        impl core::ops::Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0.checked_sub(other.0).expect(concat!($what, " underflow")))
            }
        }
        impl core::ops::AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                *self = *self + other;
            }
        }
        impl core::ops::SubAssign for $name {
            fn sub_assign(&mut self, other: Self) {
                *self = *self - other;
            }
        }
        impl core::iter::Sum for $name {
            fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
                items.fold(Self(0), |total, item| total + item)
            }
        }
    };
}

// Overflow is *our* bug, never the counterparty's: every amount was checked when it entered.
arithmetic!(MicroEc, "credit balance");
arithmetic!(Qty, "lot count");

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&decimal::format_micro(self.0, 2))
    }
}

impl fmt::Display for MicroEc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&decimal::format_micro(self.0, 2))
    }
}

impl fmt::Display for Qty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl core::str::FromStr for Price {
    type Err = decimal::DecimalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        decimal::parse_micro(text).map(Self)
    }
}

impl core::str::FromStr for MicroEc {
    type Err = decimal::DecimalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        decimal::parse_micro(text).map(Self)
    }
}
