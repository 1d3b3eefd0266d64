//! The chained hash of everything that the engine said: the first batch whose hash differs is where two runs parted.

use joulebook_protocol::Message;

/// 128 bits that change with everything absorbed. Not a cryptographic hash: it finds faults, not forgeries.
///
/// Words go in turn to two lanes, whose multiplications do not wait for each other; after each event the lanes meet. A
/// word changes its lane by exclusive or, rotation and an odd factor, each of which can be undone, and so can the
/// meeting: states that differ stay different whatever both absorb next, and a word that changes alone always shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventHash {
    pub(crate) a: u64,
    pub(crate) b: u64,
}

const KEY_A: u64 = 0x9E37_79B9_7F4A_7C15;
const KEY_B: u64 = 0xC2B2_AE3D_27D4_EB4F;
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
    #[inline(always)]
    pub(crate) fn absorb<M: Message, const LED: usize>(
        &mut self,
        lead: u64,
        event: &M,
        seen: impl Fn(usize, u64) -> u64,
    ) {
        const { assert!(size_of::<M>().is_multiple_of(WORD_BYTES) && LED * WORD_BYTES <= size_of::<M>()) };
        let bytes = event.as_bytes();
        let word = |place: usize| {
            let word = bytes[place * WORD_BYTES..].first_chunk().expect("a place in the message");
            seen(place, u64::from_le_bytes(*word))
        };
        let mut lanes = *self;
        lanes.a =
            into_lane(lanes.a, lead.wrapping_add(const { (M::TEMPLATE_ID as u64).wrapping_mul(KEY_B) }));
        let mut place = LED;
        while place < size_of::<M>() / WORD_BYTES {
            // The lead was the first word, so the one after it goes to the other lane.
            if (place - LED).is_multiple_of(2) {
                lanes.b = into_lane(lanes.b, word(place));
            } else {
                lanes.a = into_lane(lanes.a, word(place));
            }
            place += 1;
        }
        lanes.meet();
        *self = lanes;
    }

    /// Absorbs an event with all of its words.
    #[inline(always)]
    pub(crate) fn absorb_fact<M: Message>(&mut self, fact: &M) {
        let first = fact.as_bytes().first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        self.absorb::<M, 1>(first, fact, |_, word| word);
    }

    /// Absorbs what is no event: which command was the last of a batch, and when it was.
    pub(crate) fn absorb_batch(&mut self, last_seq: u64, time: u64) {
        self.a = into_lane(self.a, last_seq);
        self.b = into_lane(self.b, time);
        self.meet();
    }

    /// Each lane learns of the other.
    #[inline(always)]
    fn meet(&mut self) {
        self.a = self.a.wrapping_add(self.b.rotate_left(32));
        self.b ^= self.a.rotate_left(17);
    }
}

/// The rotation keeps upper bits from going only upwards, where a product leaves them.
#[inline(always)]
fn into_lane(lane: u64, word: u64) -> u64 {
    (lane ^ word).rotate_left(29).wrapping_mul(KEY_A)
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
        // The same change in two words of one lane, or of both.
        for (first, second, bit) in
            (0..words.len()).flat_map(|b| (0..b).flat_map(move |a| (0..64).map(move |bit| (a, b, bit))))
        {
            let mut changed = words.clone();
            changed[first] ^= 1 << bit;
            changed[second] ^= 1 << bit;
            assert_ne!(
                hashed(&[of_words::<OrderFilled>(&changed)]),
                base,
                "bit {bit} of {first} and {second}"
            );
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
