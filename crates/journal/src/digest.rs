//! What the engine said about a batch, and how that is kept: as a section of a later batch, or in a marker.
//!
//! The log does not know what the words mean. It keeps them, so that a replay can compare.

use joulebook_types::SeqNum;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::GroupBuffer;

/// What the engine had said when it had applied a batch: lets a replay prove that it says the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventDigest {
    /// The last command of the batch.
    pub seq: SeqNum,
    /// The chained hash of all events up to the end of the batch.
    pub chain: [u64; 2],
    /// Low 32 bits of the first word of that hash after the batch's timers, before its first command; then after each
    /// of its commands. Empty when there was no room to keep them.
    pub steps: Vec<u32>,
}

/// Begins the section; the steps follow, then zeros up to a multiple of eight bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct DigestHeader {
    seq: SeqNum,
    chain: [u64; 2],
    steps: u32,
    /// Covers the section but for itself.
    crc: u32,
}

const HEADER_BYTES: usize = size_of::<DigestHeader>();

impl EventDigest {
    /// Bytes of the shortest section: one without steps.
    pub(crate) const BYTES_MIN: usize = HEADER_BYTES;

    /// Bytes of the section in `room` bytes, of which there are at least [`Self::BYTES_MIN`]: without the steps if
    /// they do not fit.
    pub(crate) fn section_bytes_within(&self, room: usize) -> usize {
        let whole = section_bytes(self.steps.len());
        if whole <= room { whole } else { Self::BYTES_MIN }
    }

    /// Becomes equal to `other` in the memory that it has.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        (self.seq, self.chain) = (other.seq, other.chain);
        self.steps.clear();
        self.steps.extend_from_slice(&other.steps);
    }

    /// Appends the section in as many bytes as [`Self::section_bytes_within`] said.
    pub(crate) fn write(&self, bytes: usize, into: &mut GroupBuffer) {
        let whole = bytes == section_bytes(self.steps.len());
        let steps: &[u32] = if whole { &self.steps } else { &[] };
        let mut header = DigestHeader { seq: self.seq, chain: self.chain, steps: steps.len() as u32, crc: 0 };
        let padding = &[0; 4][..bytes - HEADER_BYTES - 4 * steps.len()];
        let crc = crc32c::crc32c(&header.as_bytes()[..HEADER_BYTES - 4]);
        header.crc = crc32c::crc32c_append(crc32c::crc32c_append(crc, steps.as_bytes()), padding);
        into.extend(header.as_bytes());
        into.extend(steps.as_bytes());
        into.extend(padding);
    }

    /// Checks bytes from a disk to be one section, whole, and says which command it is about.
    pub(crate) fn verify(bytes: &[u8]) -> Result<SeqNum, &'static str> {
        let Ok((header, rest)) = DigestHeader::read_from_prefix(bytes) else {
            return Err("an event digest is cut short");
        };
        if bytes.len() != section_bytes(header.steps as usize) {
            return Err("the length of an event digest is impossible");
        }
        let crc = crc32c::crc32c(&bytes[..HEADER_BYTES - 4]);
        if crc32c::crc32c_append(crc, rest) != header.crc {
            return Err("the checksum of an event digest does not match");
        }
        if rest[4 * header.steps as usize..].iter().any(|byte| *byte != 0) {
            return Err("the padding of an event digest is not zero");
        }
        Ok(header.seq)
    }

    /// Becomes what a verified section says.
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        let (header, rest) = DigestHeader::read_from_prefix(bytes).expect("the section was verified");
        (self.seq, self.chain) = (header.seq, header.chain);
        self.steps.clear();
        let words = rest[..4 * header.steps as usize].chunks_exact(4);
        self.steps.extend(words.map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])));
    }
}

fn section_bytes(steps: usize) -> usize {
    HEADER_BYTES + (4 * steps).next_multiple_of(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(steps: usize) -> (EventDigest, Vec<u8>) {
        let steps = (1..=steps as u32).map(|step| step * 0x0101_0101).collect();
        let digest = EventDigest { seq: SeqNum::new(77), chain: [5, u64::MAX], steps };
        let mut buffer = GroupBuffer::new(4096);
        digest.write(digest.section_bytes_within(4096), &mut buffer);
        assert_eq!(buffer.payload_len() % 8, 0);
        (digest, buffer.payload_from(0).to_vec())
    }

    #[test]
    fn a_digest_comes_back_as_it_went_in() {
        for steps in 0..20 {
            let (digest, bytes) = section(steps);
            assert_eq!(EventDigest::verify(&bytes), Ok(digest.seq));
            // Into memory that held something longer.
            let mut read = EventDigest { steps: vec![9; 100], ..EventDigest::default() };
            read.read(&bytes);
            assert_eq!(read, digest);
        }
    }

    #[test]
    fn steps_are_left_out_where_they_do_not_fit() {
        let digest = EventDigest { seq: SeqNum::new(3), chain: [1, 2], steps: vec![1, 2, 3] };
        assert_eq!([48, 47, 32].map(|room| digest.section_bytes_within(room)), [48, 32, 32]);
        let mut buffer = GroupBuffer::new(4096);
        digest.write(32, &mut buffer);
        let mut read = EventDigest::default();
        read.read(buffer.payload_from(0));
        assert_eq!(read, EventDigest { steps: Vec::new(), ..digest });
    }

    #[test]
    fn every_flipped_bit_of_a_digest_is_noticed() {
        for steps in [0, 1, 4] {
            let (_, bytes) = section(steps);
            for bit in 0..bytes.len() * 8 {
                let mut damaged = bytes.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert!(EventDigest::verify(&damaged).is_err(), "{steps} steps, bit {bit}");
            }
            assert!(EventDigest::verify(&bytes[..bytes.len() - 8]).is_err());
            assert!(EventDigest::verify(&[&bytes[..], &[0; 8]].concat()).is_err());
        }
    }
}
