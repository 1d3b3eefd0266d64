//! Random numbers for the ends of auctions: made from a seed in the journal, so that a replay draws the same ones.

use joulebook_protocol::messages::Seed;

use crate::Engine;

/// A seed and how often it was drawn from: draw n is a mix of their sum, so the state is two numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Random {
    pub(crate) seed: u64,
    pub(crate) draws: u64,
}

impl Random {
    /// A whole number from 0 to `most`. The bias of the remainder is below one in 2^32, far less than what a bidder
    /// could use.
    pub(crate) fn up_to(&mut self, most: u32) -> u32 {
        if most == 0 {
            return 0;
        }
        self.draws += 1;
        let drawn = splitmix64(self.seed.wrapping_add(self.draws)) % (u64::from(most) + 1);
        drawn as u32
    }

    /// Seed and draws, for the hash of the state.
    pub(crate) const fn words(self) -> [u64; 2] {
        [self.seed, self.draws]
    }
}

impl Engine {
    /// A new start of the exchange brings a new seed.
    pub(crate) fn seed(&mut self, seed: &Seed) {
        self.random = Random { seed: seed.seed, draws: 0 };
    }
}

fn splitmix64(x: u64) -> u64 {
    let z = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_is_the_published_one() {
        // The first outputs of the generator that starts at 1234567, from its reference implementation.
        let outputs = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        for (n, output) in (0u64..).zip(outputs) {
            assert_eq!(splitmix64(1_234_567u64.wrapping_add(n.wrapping_mul(0x9E37_79B9_7F4A_7C15))), output);
        }
    }

    #[test]
    fn nothing_to_choose_from_is_no_draw() {
        let mut random = Random { seed: 7, draws: 0 };
        assert_eq!((random.up_to(0), random.words()), (0, [7, 0]));
        let drawn = random.up_to(9);
        assert_eq!(u64::from(drawn), splitmix64(8) % 10);
        assert_eq!(random.words(), [7, 1]);
    }

    #[test]
    fn both_ends_are_drawn() {
        let mut random = Random::default();
        let drawn: Vec<u32> = (0..200).map(|_| random.up_to(3)).collect();
        for wanted in 0..=3 {
            assert!(drawn.contains(&wanted), "{wanted} is never drawn");
        }
        assert!(drawn.iter().all(|drawn| *drawn <= 3));
    }
}
