//! How a client behaves.

use crate::dice::Dice;

/// Drawn once per client and run.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// Requests that it makes in all, after what it does first.
    pub requests: u32,
    /// Time between requests, on average.
    pub gap_ns: u64,
    /// Requests that come at once, now and then.
    pub burst_max: u64,
    pub unanswered_max: usize,
    pub heartbeat_ms: u32,
    pub cancel_on_disconnect_ms: u32,
    pub window_bytes: u32,
    /// Follows the market.
    pub subscribes: bool,
}

impl Habits {
    /// Habits for a run in which a client makes so many requests with such gaps.
    pub fn draw(dice: &mut Dice, requests: u32, gap_ns: u64) -> Self {
        Self {
            requests,
            gap_ns: dice.spread((gap_ns / 4).max(1), gap_ns * 4),
            burst_max: dice.spread(2, 64),
            unanswered_max: dice.spread(8, 256) as usize,
            heartbeat_ms: dice.pick(&[0, 300, 1_000, 3_000]),
            cancel_on_disconnect_ms: dice.pick(&[0, 500, 5_000, u32::MAX, u32::MAX]),
            window_bytes: dice.spread(4 << 10, 256 << 10) as u32,
            subscribes: dice.chance(2, 3),
        }
    }
}
