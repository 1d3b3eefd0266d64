//! The bytes on disk. Little-endian throughout.
//!
//! A segment is a header block and then groups. A group begins on a block and fills whole blocks with zeros at its
//! end; it is the unit of one write and one sync. A group holds batches, a batch holds records (see `batch`).
//! Every structure carries a checksum of itself; a batch also carries the hash of the whole batch before it, so the
//! hash of the last one vouches for every byte of every command before.

use joulebook_types::{SeqNum, ShardId};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The unit of placement on disk, and of what a disk may tear apart in eighths.
pub const BLOCK_BYTES: usize = 4096;

/// The format of segments that this program makes. It also reads format 1, which has no event digests, and goes on in a
/// segment of format 1 as that format says.
pub const FORMAT_VERSION: u32 = 2;

/// The oldest format that is read.
pub const FORMAT_VERSION_MIN: u32 = 1;

/// The first format in which batches and markers carry event digests.
pub(crate) const FORMAT_WITH_DIGESTS: u32 = 2;

/// The smallest segment that makes sense: a header and a few groups.
pub const MIN_SEGMENT_BYTES: u64 = 32 * 1024;

pub(crate) const SEGMENT_HEADER_BYTES: usize = BLOCK_BYTES;

const SEGMENT_MAGIC: u64 = u64::from_le_bytes(*b"JBKSEGMT");
const GROUP_MAGIC: u64 = u64::from_le_bytes(*b"JBKGROUP");
const BATCH_MAGIC: u32 = u32::from_le_bytes(*b"JBAT");

/// A BLAKE3 hash of a batch with its header.
pub(crate) type ChainHash = [u8; 32];

/// What the first batch of a journal carries as the hash of the batch before it. It names the journal, so batches
/// of two journals cannot be mixed.
pub(crate) fn chain_origin(journal_id: u64) -> ChainHash {
    *blake3::hash(&journal_id.to_le_bytes()).as_bytes()
}

/// The start of a segment's first block; the rest of the block is zero.
///
/// `magic`, `version` and `crc` keep their places in all versions, and `crc` covers the rest of the block, so
/// "another version" and "damaged" can always be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct SegmentHeader {
    magic: u64,
    pub(crate) version: u32,
    crc: u32,
    pub(crate) journal_id: u64,
    pub(crate) segment: u64,
    /// Length of the file.
    pub(crate) segment_bytes: u64,
    /// The first group in this segment.
    pub(crate) first_group: u64,
    /// The first command in this segment.
    pub(crate) first_seq: SeqNum,
    /// The hash that the first batch in this segment carries.
    pub(crate) chain: ChainHash,
    pub(crate) shard: ShardId,
    reserved: [u8; 6],
}

/// What a block that should be a segment header turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderBlock {
    Valid(SegmentHeader),
    OtherVersion(u32),
    Damaged,
}

impl SegmentHeader {
    pub(crate) fn new(journal_id: u64, shard: ShardId, segment: u64, segment_bytes: u64) -> Self {
        Self {
            magic: SEGMENT_MAGIC,
            version: FORMAT_VERSION,
            crc: 0,
            journal_id,
            segment,
            segment_bytes,
            first_group: 0,
            first_seq: SeqNum::NONE,
            chain: [0; 32],
            shard,
            reserved: [0; 6],
        }
    }

    pub(crate) fn to_block(self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut block = [0; SEGMENT_HEADER_BYTES];
        block[..size_of::<Self>()].copy_from_slice(self.as_bytes());
        let crc = segment_crc(&block);
        block[12..16].copy_from_slice(&crc.to_le_bytes());
        block
    }

    /// Anything from a disk.
    pub(crate) fn from_block(block: &[u8]) -> HeaderBlock {
        let Ok((header, _)) = Self::read_from_prefix(block) else { return HeaderBlock::Damaged };
        if block.len() != SEGMENT_HEADER_BYTES
            || header.magic != SEGMENT_MAGIC
            || header.crc != segment_crc(block)
        {
            return HeaderBlock::Damaged;
        }
        if (FORMAT_VERSION_MIN..=FORMAT_VERSION).contains(&header.version) {
            HeaderBlock::Valid(header)
        } else {
            HeaderBlock::OtherVersion(header.version)
        }
    }
}

/// Covers the block but for the checksum itself.
fn segment_crc(block: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&block[..12]), &block[16..])
}

/// Begins every group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct GroupHeader {
    magic: u64,
    /// Keeps leftovers of another journal, and records that look like a group, from being taken for one.
    pub(crate) journal_id: u64,
    /// 1 and up, without gaps through all segments.
    pub(crate) group: u64,
    /// The last command that was durable when this group was written.
    pub(crate) watermark: SeqNum,
    /// The first command of this group, or the next one if it is a marker.
    pub(crate) first_seq: SeqNum,
    /// Bytes of the batches, or of a marker's event digest.
    pub(crate) payload_bytes: u32,
    pub(crate) batches: u32,
    kind: u32,
    crc: u32,
}

/// A group that holds batches.
const KIND_DATA: u32 = 1;
/// A group without batches; it carries the watermark past the last data, and the newest event digest if there is one.
const KIND_MARKER: u32 = 2;

impl GroupHeader {
    pub(crate) fn new(journal_id: u64, group: u64, watermark: SeqNum, first_seq: SeqNum) -> Self {
        Self {
            magic: GROUP_MAGIC,
            journal_id,
            group,
            watermark,
            first_seq,
            payload_bytes: 0,
            batches: 0,
            kind: 0,
            crc: 0,
        }
    }

    pub(crate) fn sealed(mut self, payload_bytes: u32, batches: u32) -> Self {
        self.payload_bytes = payload_bytes;
        self.batches = batches;
        self.kind = if batches == 0 { KIND_MARKER } else { KIND_DATA };
        self.crc = self.checksum();
        self
    }

    /// Anything from a disk; `None` unless it is a group header, whole.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (header, _) = Self::read_from_prefix(bytes).ok()?;
        (header.magic == GROUP_MAGIC && header.crc == header.checksum()).then_some(header)
    }

    /// Whether the kind and the content fit each other, in a segment of format `version`.
    pub(crate) fn is_consistent(&self, version: u32) -> bool {
        match (self.kind, self.payload_bytes, self.batches) {
            (KIND_DATA, 1.., 1..) | (KIND_MARKER, 0, 0) => true,
            (KIND_MARKER, 1.., 0) => version >= FORMAT_WITH_DIGESTS,
            _ => false,
        }
    }

    fn checksum(&self) -> u32 {
        crc32c::crc32c(&self.as_bytes()[..size_of::<Self>() - 4])
    }
}

/// Begins every batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct BatchHeader {
    magic: u32,
    /// Records, which is commands.
    pub(crate) count: u32,
    pub(crate) term: u64,
    pub(crate) first_seq: SeqNum,
    pub(crate) time_ns: u64,
    /// The last command that was durable when this batch was proposed.
    pub(crate) watermark: SeqNum,
    /// The hash of the batch before.
    pub(crate) previous: ChainHash,
    /// Bytes of the records.
    pub(crate) records_bytes: u32,
    pub(crate) shard: ShardId,
    reserved: u16,
    /// Bytes of the event digest between this header and the records: what came of an earlier batch. Zero in format 1.
    pub(crate) digest_bytes: u32,
    crc: u32,
}

impl BatchHeader {
    pub(crate) fn new(
        shard: ShardId,
        term: u64,
        first_seq: SeqNum,
        watermark: SeqNum,
        previous: ChainHash,
    ) -> Self {
        Self {
            magic: BATCH_MAGIC,
            count: 0,
            term,
            first_seq,
            time_ns: 0,
            watermark,
            previous,
            records_bytes: 0,
            shard,
            reserved: 0,
            digest_bytes: 0,
            crc: 0,
        }
    }

    pub(crate) fn sealed(mut self, time_ns: u64, count: u32, digest_bytes: u32, records_bytes: u32) -> Self {
        self.time_ns = time_ns;
        self.count = count;
        self.digest_bytes = digest_bytes;
        self.records_bytes = records_bytes;
        self.crc = self.checksum();
        self
    }

    /// Anything from a disk; `None` unless it is a batch header, whole.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (header, _) = Self::read_from_prefix(bytes).ok()?;
        (header.magic == BATCH_MAGIC && header.crc == header.checksum()).then_some(header)
    }

    /// Bytes of the whole batch: this header, the digest and the records.
    pub(crate) fn batch_bytes(&self) -> usize {
        size_of::<Self>() + self.digest_bytes as usize + self.records_bytes as usize
    }

    fn checksum(&self) -> u32 {
        crc32c::crc32c(&self.as_bytes()[..size_of::<Self>() - 4])
    }
}

/// Whether bytes were never written.
pub(crate) fn is_blank(bytes: &[u8]) -> bool {
    // Comparing memory is the fastest loop there is, in every build profile.
    static BLANK: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];
    bytes.chunks(BLOCK_BYTES).all(|chunk| *chunk == BLANK[..chunk.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_part_of_the_format() {
        assert_eq!(
            (size_of::<SegmentHeader>(), size_of::<GroupHeader>(), size_of::<BatchHeader>()),
            (96, 56, 88)
        );
    }

    #[test]
    fn another_version_is_told_from_damage() {
        let header = SegmentHeader::new(7, ShardId::new(1), 1, 1 << 20);
        let block = header.to_block();
        assert!(
            matches!(SegmentHeader::from_block(&block), HeaderBlock::Valid(found) if found.journal_id == 7)
        );
        let newer = SegmentHeader { version: 3, ..header }.to_block();
        assert_eq!(SegmentHeader::from_block(&newer), HeaderBlock::OtherVersion(3));
        let older = SegmentHeader { version: 1, ..header }.to_block();
        assert!(matches!(SegmentHeader::from_block(&older), HeaderBlock::Valid(found) if found.version == 1));
        for bit in 0..BLOCK_BYTES * 8 {
            let mut damaged = block;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::from_block(&damaged), HeaderBlock::Damaged, "bit {bit}");
        }
        assert_eq!(SegmentHeader::from_block(&block[..95]), HeaderBlock::Damaged);
    }
}
