//! The chained hash of everything that the engine said: the first batch whose hash differs is where two runs parted.

use joulebook_protocol::Message;

/// 128 bits that change with everything absorbed. Not a cryptographic hash: it finds faults, not forgeries.
///
/// An event becomes one number of 128 bits, the sum over its pairs of neighbouring words of
/// `(first + key) * (second + key)` with a key for every place. No multiplication waits for another one; only the sum
/// enters the chain. Products are of full width, so a word that changes alone changes the sum, unless its partner is the
/// one word in 2^64 that makes the other factor zero: the keys are large, so that no word that occurs does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventHash {
    pub(crate) a: u64,
    pub(crate) b: u64,
}

const KEY_A: u64 = 0x9E37_79B9_7F4A_7C15;
const KEY_B: u64 = 0xC2B2_AE3D_27D4_EB4F;

/// Of the place of each word; two neighbours are a pair.
const PLACE_KEYS: [u64; WORDS_MAX] = place_keys();
/// Words of the longest event, rounded up to pairs.
const WORDS_MAX: usize = 14;
const WORD_BYTES: usize = size_of::<u64>();

impl EventHash {
    pub(crate) const fn new() -> Self {
        Self { a: KEY_B, b: KEY_A }
    }

    pub(crate) const fn words(self) -> [u64; 2] {
        [self.a, self.b]
    }

    /// Absorbs an event: which message it is, a word that stands for its first `LED` words, and the others as `seen`
    /// says, given place and value. The compiler knows every place, so what `seen` leaves as it is costs nothing.
    #[inline]
    pub(crate) fn absorb<M: Message, const LED: usize>(
        &mut self,
        lead: u64,
        event: &M,
        seen: impl Fn(usize, u64) -> u64,
    ) {
        const { assert!(size_of::<M>().is_multiple_of(WORD_BYTES) && size_of::<M>() <= WORDS_MAX * WORD_BYTES) };
        let bytes = event.as_bytes();
        let word = |place: usize| match bytes[place * WORD_BYTES..].first_chunk() {
            Some(word) => seen(place, u64::from_le_bytes(*word)),
            None => 0,
        };
        let lead = lead.wrapping_add(const { (M::TEMPLATE_ID as u64).wrapping_mul(KEY_B) });
        let mut sum = pair(0, lead, word(LED));
        let mut place = LED + 1;
        while place < size_of::<M>() / WORD_BYTES {
            sum = sum.wrapping_add(pair(place - LED + 1, word(place), word(place + 1)));
            place += 2;
        }
        self.chain(sum);
    }

    /// Absorbs an event with all of its words.
    #[inline]
    pub(crate) fn absorb_fact<M: Message>(&mut self, fact: &M) {
        let first = fact.as_bytes().first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        self.absorb::<M, 1>(first, fact, |_, word| word);
    }

    /// Absorbs what is no event: which command was the last of a batch, and when it was.
    pub(crate) fn absorb_batch(&mut self, last_seq: u64, time: u64) {
        self.chain(pair(0, last_seq, time));
    }

    #[inline]
    fn chain(&mut self, sum: u128) {
        let (low, high) = (sum as u64, (sum >> 64) as u64);
        let product = u128::from(self.a ^ low) * u128::from(self.b ^ high);
        // The additions keep one half alive even when the product is zero.
        self.a = self.b.wrapping_add(product as u64);
        self.b = low.rotate_left(32).wrapping_add(high) ^ (product >> 64) as u64;
    }
}

#[inline(always)]
fn pair(place: usize, first: u64, second: u64) -> u128 {
    let first = first.wrapping_add(PLACE_KEYS[place]);
    u128::from(first) * u128::from(second.wrapping_add(PLACE_KEYS[place + 1]))
}

/// The first numbers of splitmix64 from zero: its constants are its authors' (Steele, Lea, Flood 2014).
const fn place_keys() -> [u64; WORDS_MAX] {
    let mut keys = [0; WORDS_MAX];
    let mut place = 0;
    while place < WORDS_MAX {
        let mut mixed = KEY_A.wrapping_mul(place as u64 + 1);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        keys[place] = mixed ^ (mixed >> 31);
        place += 1;
    }
    keys
}

#[cfg(test)]
mod tests {
    use joulebook_protocol::messages::{BookUpdate, MassCancelDone, OrderFilled, SnapshotEnd, Trade};
    use zerocopy::IntoBytes;

    use super::*;

    fn hashed<M: Message>(events: &[M]) -> [u64; 2] {
        let mut hash = EventHash::new();
        events.iter().for_each(|event| hash.absorb_fact(event));
        hash.words()
    }

    fn of_words<M: Message>(words: &[u64]) -> M {
        M::read_from_bytes(words.as_bytes()).expect("as many words as the message has")
    }

    fn every_bit_counts<M: Message>() {
        let places = 0..size_of::<M>() as u64 / 8;
        let samples: [Vec<u64>; 3] = [
            places.clone().collect(),
            places.clone().map(|place| !place).collect(),
            places.map(|_| 0).collect(),
        ];
        for words in samples {
            let base = hashed(&[of_words::<M>(&words)]);
            for (place, bit) in (0..words.len()).flat_map(|place| (0..64).map(move |bit| (place, bit))) {
                let mut other = words.clone();
                other[place] ^= 1 << bit;
                assert_ne!(hashed(&[of_words::<M>(&other)]), base, "{}: bit {bit} of word {place}", M::NAME);
            }
        }
    }

    #[test]
    fn every_bit_of_every_word_counts() {
        every_bit_counts::<Trade>();
        every_bit_counts::<BookUpdate>();
        every_bit_counts::<OrderFilled>();
        every_bit_counts::<SnapshotEnd>();
    }

    #[test]
    fn every_place_counts() {
        let words: Vec<u64> =
            (0..size_of::<OrderFilled>() as u64 / 8).map(|place| place * 1_000 + 7).collect();
        let base = hashed(&[of_words::<OrderFilled>(&words)]);
        for (first, second) in
            (0..words.len()).flat_map(|second| (0..second).map(move |first| (first, second)))
        {
            let mut swapped = words.clone();
            swapped.swap(first, second);
            assert_ne!(hashed(&[of_words::<OrderFilled>(&swapped)]), base, "words {first} and {second}");
        }
        for (first, second) in
            (0..words.len() / 2).flat_map(|second| (0..second).map(move |first| (first, second)))
        {
            let mut swapped = words.clone();
            swapped.swap(2 * first, 2 * second);
            swapped.swap(2 * first + 1, 2 * second + 1);
            assert_ne!(hashed(&[of_words::<OrderFilled>(&swapped)]), base, "pairs {first} and {second}");
        }
    }

    #[test]
    fn order_number_and_kind_of_events_count() {
        let events: Vec<Trade> = (1..4).map(|qty| Trade { qty, ..Trade::default() }).collect();
        let base = hashed(&events);
        assert_ne!(hashed(&[events[1], events[0], events[2]]), base);
        assert_ne!(hashed(&events[..2]), base);
        assert_ne!(hashed(&[events.as_slice(), &[Trade::default()]].concat()), base, "an event of zeros");
        assert_eq!(size_of::<MassCancelDone>(), size_of::<SnapshotEnd>());
        assert_ne!(hashed(&[MassCancelDone::default()]), hashed(&[SnapshotEnd::default()]));
        let batch = |seq, time| {
            let mut hash = EventHash::new();
            hash.absorb_batch(seq, time);
            hash.words()
        };
        assert!(batch(1, 2) != batch(2, 1) && batch(0, 0) != EventHash::new().words());
    }
}
