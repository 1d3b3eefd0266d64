//! The chained hash of everything that the engine said: the first batch whose hash differs is where two runs parted.

/// 128 bits that change with every byte absorbed. Not a cryptographic hash: it finds faults, not forgeries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventHash {
    pub(crate) a: u64,
    pub(crate) b: u64,
}

const KEY_A: u64 = 0x9E37_79B9_7F4A_7C15;
const KEY_B: u64 = 0xC2B2_AE3D_27D4_EB4F;

impl EventHash {
    pub(crate) const fn new() -> Self {
        Self { a: KEY_B, b: KEY_A }
    }

    pub(crate) const fn words(self) -> [u64; 2] {
        [self.a, self.b]
    }

    /// Absorbs a frame; its header holds its length, so frames need no separator.
    pub(crate) fn absorb(&mut self, frame: &[u8]) {
        let mut words = frame.chunks_exact(8);
        for word in &mut words {
            self.absorb_word(u64::from_le_bytes(word.try_into().expect("chunks of eight bytes")));
        }
        debug_assert!(words.remainder().is_empty(), "frames are multiples of eight bytes");
    }

    pub(crate) fn absorb_word(&mut self, word: u64) {
        let product = u128::from(self.a ^ word) * u128::from(KEY_A ^ self.b.rotate_left(29));
        // The addition keeps the other half alive even when the product is zero.
        self.a = self.b.wrapping_add(product as u64).rotate_left(17);
        self.b = (self.b ^ word).wrapping_mul(KEY_B) ^ (product >> 64) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_and_every_place_counts() {
        let hash = |words: &[u64]| {
            let mut hash = EventHash::new();
            words.iter().for_each(|word| hash.absorb_word(*word));
            hash.words()
        };
        let base = hash(&[1, 2, 3]);
        for place in 0..3 {
            for bit in 0..64 {
                let mut words = [1, 2, 3];
                words[place] ^= 1 << bit;
                assert_ne!(hash(&words), base, "bit {bit} of word {place}");
            }
        }
        assert_ne!(hash(&[2, 1, 3]), base);
        assert_ne!(hash(&[1, 2, 3, 0]), base);
    }
}
