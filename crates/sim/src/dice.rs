//! Chance that can be repeated.

use joulebook_agents::Random;

/// One stream of random numbers. Every part of a run has its own, so that switching one part off, as minimising a
/// failure does, leaves what the others draw as it was.
#[derive(Clone, Debug)]
pub struct Dice(Random);

impl Dice {
    /// The stream of one part of the run that `seed` names. Parts are told apart by number.
    pub fn new(seed: u64, part: u64) -> Self {
        Self(Random::for_agent(seed, part))
    }

    /// 64 uniformly distributed bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in `0..bound`; `bound` is not zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "no number is below zero");
        // The high half of a 128-bit product; its bias is below bound / 2^64.
        ((u128::from(self.0.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high && high < u64::MAX, "empty range {low}..={high}");
        low + self.below(high - low + 1)
    }

    /// Between `low` (at least 1) and `high`, each power of two as likely as any other: most are small, some are large.
    pub fn spread(&mut self, low: u64, high: u64) -> u64 {
        assert!(0 < low && low <= high, "empty range {low}..={high}");
        let (first, last) = (u64::from(low.ilog2()), u64::from(high.ilog2()));
        let magnitude = 1 << self.between(first, last);
        self.between(magnitude, 2 * magnitude - 1).clamp(low, high)
    }

    /// True `times` out of `of` in the long run.
    pub fn chance(&mut self, times: u64, of: u64) -> bool {
        self.below(of) < times
    }

    /// True with so many parts in a million.
    pub fn ppm(&mut self, parts: u32) -> bool {
        self.chance(u64::from(parts), 1_000_000)
    }

    /// One of them; there is one.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// An index, drawn by weight; one weight at least is not zero.
    pub fn weighted(&mut self, weights: &[u32]) -> usize {
        let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let mut drawn = self.below(total);
        for (index, weight) in weights.iter().enumerate() {
            match drawn.checked_sub(u64::from(*weight)) {
                Some(rest) => drawn = rest,
                None => return index,
            }
        }
        unreachable!("what was drawn lies below the sum")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_repeat_and_stay_in_range() {
        let mut dice = Dice::new(7, 1);
        let mut again = dice.clone();
        for _ in 0..10_000 {
            let drawn =
                (dice.between(3, 5), dice.spread(5, 100), dice.weighted(&[1, 0, 2]), dice.pick(&[1, 4]));
            assert!((3..=5).contains(&drawn.0) && (5..=100).contains(&drawn.1));
            assert!(drawn.2 != 1 && [1, 4].contains(&drawn.3));
            let repeated =
                (again.between(3, 5), again.spread(5, 100), again.weighted(&[1, 0, 2]), again.pick(&[1, 4]));
            assert_eq!(drawn, repeated);
        }
        assert_ne!(Dice::new(7, 2).bits(), Dice::new(7, 1).bits());
    }

    #[test]
    fn spread_draws_small_ones_as_often_as_large_ones() {
        let mut dice = Dice::new(1, 1);
        let small = (0..10_000).filter(|_| dice.spread(1, 1 << 20) < 1 << 10).count();
        assert!((4_000..5_500).contains(&small), "{small}");
    }
}
