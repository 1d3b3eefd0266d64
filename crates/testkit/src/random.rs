//! A generator whose bytes will be the same in ten years, so a seed printed by a failing test stays useful.

/// xoshiro256++ by David Blackman and Sebastiano Vigna (public domain), seeded through their SplitMix64 as they
/// advise. Frozen: a library's default generator may change its stream with any release. Not for secrets.
#[derive(Clone, Debug)]
pub struct Xoshiro256pp {
    state: [u64; 4],
}

impl Xoshiro256pp {
    /// The same seed always gives the same stream. Any seed is fine, also 0.
    pub fn from_seed(seed: u64) -> Self {
        let mut mix = seed;
        Self { state: std::array::from_fn(|_| split_mix_64(&mut mix)) }
    }

    /// The next 64 uniformly distributed bits.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let result = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// A number in `0..bound`, each equally likely. `bound` must not be 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound != 0, "no number is below zero");
        // Draws past the last whole multiple of `bound` would favour the small numbers; draw again.
        let last_fair = u64::MAX - (u64::MAX % bound + 1) % bound;
        loop {
            let drawn = self.next_u64();
            if drawn <= last_fair {
                return drawn % bound;
            }
        }
    }

    /// A number in `low..=high`, each equally likely.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high, "empty range {low}..={high}");
        match (high - low).checked_add(1) {
            Some(width) => low + self.below(width),
            None => self.next_u64(),
        }
    }

    /// True `numerator` times out of `denominator` in the long run.
    pub fn chance(&mut self, numerator: u64, denominator: u64) -> bool {
        self.below(denominator) < numerator
    }

    /// One of `choices`, each equally likely. There must be one.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }
}

fn split_mix_64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_published_generator() {
        // The authors' C code started at state 1, 2, 3, 4.
        let mut random = Xoshiro256pp { state: [1, 2, 3, 4] };
        let drawn: [u64; 5] = std::array::from_fn(|_| random.next_u64());
        assert_eq!(
            drawn,
            [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386, 9_228_616_714_210_784_205]
        );
        assert_eq!(split_mix_64(&mut 0), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn draws_stay_in_their_range_and_reach_its_ends() {
        let mut random = Xoshiro256pp::from_seed(7);
        let mut seen = [false; 6];
        for _ in 0..1_000 {
            seen[random.below(6) as usize] = true;
            assert!((3..=5).contains(&random.between(3, 5)));
            assert!([1, 2].contains(random.pick(&[1, 2])));
        }
        assert_eq!(seen, [true; 6]);
        assert_eq!(random.between(9, 9), 9);
        assert_eq!(random.below(1), 0);
        random.between(0, u64::MAX);
    }

    #[test]
    fn chance_follows_its_odds() {
        let mut random = Xoshiro256pp::from_seed(1);
        let hits = (0..10_000).filter(|_| random.chance(1, 4)).count();
        assert!((2_300..2_700).contains(&hits), "{hits} of 10,000 at one in four");
    }

    #[test]
    fn seeds_give_different_streams_and_repeat_their_own() {
        let first = |seed| Xoshiro256pp::from_seed(seed).next_u64();
        assert_eq!(first(5), first(5));
        assert_ne!(first(5), first(6));
    }
}
