//! The small numbers that steps are made of: prices by the tick, few lots, few books.

use proptest::prelude::*;

pub fn ticks() -> impl Strategy<Value = i64> + Clone {
    prop_oneof![60 => 97..104i64, 1 => 94..107i64, 1 => Just(0i64)]
}

pub fn lots() -> impl Strategy<Value = u32> + Clone {
    prop_oneof![30 => 1..6u32, 1 => 0..9u32]
}

/// Mostly the first hour, so that orders meet.
pub fn instrument() -> impl Strategy<Value = u32> + Clone {
    prop_oneof![30 => Just(1u32), 36 => 2..6u32, 1 => 0..9u32]
}

pub fn self_trade() -> impl Strategy<Value = u8> + Clone {
    prop_oneof![4 => Just(0u8), 6 => 1..4u8, 1 => 0..6u8]
}

pub fn expires_ms() -> impl Strategy<Value = u32> + Clone {
    prop_oneof![6 => 1..3_000u32, 1 => Just(0u32)]
}

pub fn rarely<T: core::fmt::Debug + Clone>(
    usual: T,
    else_: impl Strategy<Value = T>,
) -> impl Strategy<Value = T> {
    prop_oneof![12 => Just(usual), 1 => else_]
}
