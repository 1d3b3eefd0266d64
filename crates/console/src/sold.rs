//! Tokens sold per vendor: since the start and lately.

use std::collections::VecDeque;

use joulebook_types::{TimeNs, TokenMinutes};

use crate::vendor::Vendor;

/// "Lately" is this many seconds.
pub(crate) const RECENT_S: u64 = 10;

/// Kilo-token-minutes per vendor, in the order of [`Vendor::ALL`]: exact, so shares do not drift.
pub(crate) type PerVendor = [u128; Vendor::COUNT];

#[derive(Debug, Default)]
pub(crate) struct Sold {
    total: PerVendor,
    /// One entry per second with a trade, oldest first, at most [`RECENT_S`] of them.
    recent: VecDeque<(u64, PerVendor)>,
}

impl Sold {
    /// Counts a trade at exchange time `time`, which never goes back.
    pub(crate) fn add(&mut self, vendor: Vendor, tokens: TokenMinutes, time: TimeNs) {
        let second = second_of(time);
        let add = |sold: &mut PerVendor| {
            let sold = &mut sold[vendor as usize];
            *sold = sold.saturating_add(tokens.raw());
        };
        add(&mut self.total);
        if self.recent.back().is_none_or(|(newest, _)| *newest != second) {
            self.recent.push_back((second, PerVendor::default()));
        }
        if let Some((_, sold)) = self.recent.back_mut() {
            add(sold);
        }
        if self.recent.len() as u64 > RECENT_S {
            self.recent.pop_front();
        }
    }

    /// Since the start.
    pub(crate) fn total(&self) -> PerVendor {
        self.total
    }

    /// In the second of `now` and those before it.
    pub(crate) fn recent(&self, now: TimeNs) -> PerVendor {
        let first = (second_of(now) + 1).saturating_sub(RECENT_S);
        let mut sum = PerVendor::default();
        for (_, sold) in self.recent.iter().filter(|(second, _)| first <= *second) {
            for (sum, sold) in sum.iter_mut().zip(sold) {
                *sum = sum.saturating_add(*sold);
            }
        }
        sum
    }
}

/// Each vendor's part of 1; `None` before anything was sold.
pub(crate) fn shares(sold: PerVendor) -> [Option<f64>; Vendor::COUNT] {
    let all = sold.iter().fold(0_u128, |all, sold| all.saturating_add(*sold));
    sold.map(|sold| (all != 0).then(|| sold as f64 / all as f64))
}

/// Million tokens, for display.
pub(crate) fn mtok(kilo_token_minutes: u128) -> f64 {
    kilo_token_minutes as f64 / 60_000.0
}

fn second_of(time: TimeNs) -> u64 {
    time.raw() / 1_000_000_000
}

#[cfg(test)]
mod tests {
    use joulebook_types::KiloTokens;

    use super::*;

    #[test]
    fn ten_seconds_pass_and_the_total_stays() {
        let at = |second: u64| TimeNs::new(second * 1_000_000_000);
        let ktok = |ktok: u64| KiloTokens::new(ktok).minutes();
        let mut sold = Sold::default();
        for second in 100..115 {
            sold.add(Vendor::Nvidia, ktok(3), at(second));
        }
        sold.add(Vendor::Google, ktok(10), at(114));

        assert_eq!(sold.total(), [45 * 60, 10 * 60]);
        assert_eq!(sold.recent(at(114)), [30 * 60, 10 * 60]);
        assert_eq!(sold.recent(at(120)), [12 * 60, 10 * 60]);
        assert_eq!(sold.recent(at(124)), [0, 0]);
        assert_eq!(shares(sold.recent(at(114))), [Some(0.75), Some(0.25)]);
        assert_eq!(shares([0, 0]), [None, None]);
        assert_eq!(mtok(ktok(1_500).raw()), 1.5);
    }
}
