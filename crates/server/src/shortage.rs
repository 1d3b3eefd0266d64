//! When the shadow makes room on a disk that has none left for the journal, and what it gives away for that.

use std::time::{Duration, Instant};

/// The pause after the first try; it doubles with each. In that time old segments go and a new one is made, if that was
/// all that was missing. Room that others make is found by the journal itself, sooner.
const PAUSE_MIN: Duration = Duration::from_secs(2);
const PAUSE_MAX: Duration = Duration::from_secs(8);

/// The present lack of room, if there is any.
#[derive(Debug, Default)]
pub struct Shortage {
    tries: u32,
    next_try: Option<Instant>,
}

impl Shortage {
    /// How many snapshots stay in a try to make room that is due now, if one is: first as many as always; if that does not
    /// help, the newest alone, which has all that a recovery needs.
    pub fn snapshots_to_keep(&mut self, is_short: bool, kept: u32, now: Instant) -> Option<u32> {
        if !is_short {
            *self = Self::default();
        }
        let is_due = is_short && self.next_try.is_none_or(|next_try| next_try <= now);
        is_due.then_some(if self.tries == 0 { kept } else { 1 })
    }

    /// In the try that is due, room that is left for a snapshot is left in vain: `would_help` says whether one would let
    /// anything go at all.
    pub fn is_hopeless(&self, would_help: bool) -> bool {
        2 <= self.tries || 1 == self.tries && !would_help
    }

    /// A try has ended.
    pub fn tried(&mut self, now: Instant) {
        let pause = PAUSE_MIN.saturating_mul(1 << self.tries.min(16)).min(PAUSE_MAX);
        self.tries = self.tries.saturating_add(1);
        self.next_try = Some(now + pause);
    }

    /// When to look again even if nobody trades.
    pub fn next_try(&self) -> Option<Instant> {
        self.next_try
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_away_more_when_the_first_try_did_not_help() {
        let (mut shortage, mut now) = (Shortage::default(), Instant::now());
        assert_eq!(shortage.snapshots_to_keep(false, 3, now), None);
        let (mut kept, mut pauses, mut hopeless) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..5 {
            kept.push(shortage.snapshots_to_keep(true, 3, now).expect("it is time"));
            hopeless.push([true, false].map(|would_help| shortage.is_hopeless(would_help)));
            shortage.tried(now);
            assert_eq!(shortage.snapshots_to_keep(true, 3, now), None, "not at once");
            let next_try = shortage.next_try().expect("it is not over");
            pauses.push((next_try - now).as_secs());
            now = next_try;
        }
        assert_eq!((kept, pauses), (vec![3, 1, 1, 1, 1], vec![2, 4, 8, 8, 8]));
        assert_eq!(hopeless, [[false, false], [false, true], [true, true], [true, true], [true, true]]);
        // There was room meanwhile: the next shortage is another one.
        assert_eq!((shortage.snapshots_to_keep(false, 3, now), shortage.next_try()), (None, None));
        assert_eq!(shortage.snapshots_to_keep(true, 3, now), Some(3));
    }
}
