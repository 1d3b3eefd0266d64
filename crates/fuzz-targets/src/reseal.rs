//! Makes checksums and hashes of a changed journal right, so that what lies behind them is reached.
//!
//! The places are those of the format's description, written down a second time.

use core::ops::Range;

use joulebook_journal::BLOCK_BYTES;

const SEGMENT_MAGIC: &[u8] = b"JBKSEGMT";
const GROUP_MAGIC: &[u8] = b"JBKGROUP";
const BATCH_MAGIC: &[u8] = b"JBAT";
const GROUP_HEADER_BYTES: usize = 56;
const BATCH_HEADER_BYTES: usize = 88;
const RECORD_HEADER_BYTES: usize = 8;
const DIGEST_HEADER_BYTES: usize = 32;

/// What is made right besides checksums and hashes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    AsTheyAre,
    /// Numbers of segments, groups and commands, counts and lengths.
    Continued,
}

/// What comes before the place that is being repaired.
struct Resealer {
    numbers: Numbers,
    /// Segments of format 1 have no event digests.
    has_digests: bool,
    journal_id: Option<[u8; 8]>,
    last_group: u64,
    last_seq: u64,
    watermark: u64,
    chain: [u8; 32],
}

pub(crate) fn reseal<'a>(segments: impl Iterator<Item = &'a mut Vec<u8>>, numbers: Numbers) {
    let mut resealer = Resealer {
        numbers,
        has_digests: true,
        journal_id: None,
        last_group: 0,
        last_seq: 0,
        watermark: 0,
        chain: [0; 32],
    };
    for (number, bytes) in (1..).zip(segments) {
        resealer.segment(number, bytes);
    }
}

fn put_u64(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
}

impl Resealer {
    fn segment(&mut self, number: u64, bytes: &mut [u8]) {
        let segment_bytes = bytes.len() as u64;
        let (header, groups) = bytes.split_at_mut(BLOCK_BYTES);
        if header.starts_with(SEGMENT_MAGIC) {
            let journal_id = *header[16..].first_chunk().expect("a block");
            let journal_id = *self.journal_id.get_or_insert(journal_id);
            if number == 1 {
                self.chain = *blake3::hash(&journal_id).as_bytes();
            }
            if self.numbers == Numbers::Continued {
                header[16..24].copy_from_slice(&journal_id);
                put_u64(header, 24, number);
                put_u64(header, 32, segment_bytes);
                put_u64(header, 40, self.last_group + 1);
                put_u64(header, 48, self.last_seq.wrapping_add(1));
            }
            header[56..88].copy_from_slice(&self.chain);
            self.has_digests = u32_at(header, 8) != 1;
            let crc = crc32c::crc32c_append(crc32c::crc32c(&header[..12]), &header[16..]);
            put_u32(header, 12, crc);
        }
        let mut at = 0;
        while at < groups.len() {
            at += self.group(&mut groups[at..]).next_multiple_of(BLOCK_BYTES).max(BLOCK_BYTES);
        }
    }

    /// The group at the start of `bytes`; says how long it is.
    fn group(&mut self, bytes: &mut [u8]) -> usize {
        if !bytes.starts_with(GROUP_MAGIC) {
            return 0;
        }
        let room = bytes.len() - GROUP_HEADER_BYTES;
        let payload_bytes = u32_at(bytes, 40).min(room);
        let (header, rest) = bytes.split_at_mut(GROUP_HEADER_BYTES);
        if self.numbers == Numbers::Continued {
            self.last_group += 1;
            header[8..16].copy_from_slice(&self.journal_id.unwrap_or_default());
            put_u64(header, 16, self.last_group);
            self.watermark = u64_at(header, 24).clamp(self.watermark, self.last_seq);
            put_u64(header, 24, self.watermark);
            put_u64(header, 32, self.last_seq.wrapping_add(1));
        }
        let (batches, mut used) = self.batches(&mut rest[..payload_bytes]);
        if batches == 0 && self.has_digests {
            used = digest(&mut rest[..payload_bytes]);
        }
        if self.numbers == Numbers::Continued {
            rest[used..(used + GROUP_HEADER_BYTES).next_multiple_of(BLOCK_BYTES) - GROUP_HEADER_BYTES]
                .fill(0);
            put_u32(header, 40, used as u32);
            put_u32(header, 44, batches);
            put_u32(header, 48, if batches == 0 { 2 } else { 1 });
        }
        let crc = crc32c::crc32c(&header[..52]);
        put_u32(header, 52, crc);
        GROUP_HEADER_BYTES + if self.numbers == Numbers::Continued { used } else { payload_bytes }
    }

    /// The batches of a group: how many, and their bytes.
    fn batches(&mut self, payload: &mut [u8]) -> (u32, usize) {
        let (mut batches, mut at) = (0, 0);
        while payload.len() - at >= BATCH_HEADER_BYTES && payload[at..].starts_with(BATCH_MAGIC) {
            let used = self.batch(&mut payload[at..]);
            batches += 1;
            at += used;
        }
        (batches, at)
    }

    fn batch(&mut self, bytes: &mut [u8]) -> usize {
        let (header, rest) = bytes.split_at_mut(BATCH_HEADER_BYTES);
        let digest_wanted = u32_at(header, 80).min(rest.len());
        let digest_used = if self.has_digests { digest(&mut rest[..digest_wanted]) } else { 0 };
        let digest_bytes = if self.numbers == Numbers::Continued { digest_used } else { digest_wanted };
        let rest = &mut rest[digest_bytes..];
        let wanted = u32_at(header, 72).min(rest.len());
        let (count, used) = records(&mut rest[..wanted]);
        if self.numbers == Numbers::Continued {
            put_u32(header, 4, count);
            put_u64(header, 16, self.last_seq.wrapping_add(1));
            self.last_seq = self.last_seq.wrapping_add(count.into());
            put_u32(header, 72, used as u32);
            put_u32(header, 80, digest_used as u32);
        }
        header[40..72].copy_from_slice(&self.chain);
        let crc = crc32c::crc32c(&header[..84]);
        put_u32(header, 84, crc);
        let length = BATCH_HEADER_BYTES
            + digest_bytes
            + if self.numbers == Numbers::Continued { used } else { wanted };
        self.chain = *blake3::hash(&bytes[..length]).as_bytes();
        length
    }
}

/// The event digest at the start of `bytes`, if its length is possible: its bytes.
fn digest(bytes: &mut [u8]) -> usize {
    if bytes.len() < DIGEST_HEADER_BYTES {
        return 0;
    }
    let steps = u32_at(bytes, 24);
    let end = DIGEST_HEADER_BYTES + 4 * steps;
    let whole = end.next_multiple_of(8);
    if whole > bytes.len() {
        return 0;
    }
    bytes[end..whole].fill(0);
    let (header, rest) = bytes[..whole].split_at_mut(DIGEST_HEADER_BYTES);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&header[..28]), rest);
    put_u32(header, 28, crc);
    whole
}

/// The records at the start of `bytes`, as far as their lengths are possible: how many, and their bytes.
fn records(bytes: &mut [u8]) -> (u32, usize) {
    let (mut count, mut at) = (0, 0);
    while let Some(range) = record_at(bytes, at) {
        let length = range.len() as u32;
        let padded = range.start + range.len().next_multiple_of(8);
        bytes[range.end..padded].fill(0);
        let crc = crc32c::crc32c_append(length, &bytes[range]);
        put_u32(bytes, at + 4, crc);
        count += 1;
        at = padded;
    }
    (count, at)
}

fn record_at(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let header = bytes.get(at..at + RECORD_HEADER_BYTES)?;
    let start = at + RECORD_HEADER_BYTES;
    let length = u32_at(header, 0);
    let fits = length > 0 && length <= bytes.len() && start + length.next_multiple_of(8) <= bytes.len();
    fits.then_some(start..start + length)
}
