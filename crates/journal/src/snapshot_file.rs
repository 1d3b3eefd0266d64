//! The bytes of a snapshot file. Little-endian throughout.
//!
//! A header block, blocks of the body, and an end block, each of [`BLOCK_BYTES`] with a checksum of itself, so whatever
//! a disk does to the file is found and named by its offset. What the body means is the engine's business.

use core::fmt;

use joulebook_types::{SeqNum, ShardId, TimeNs};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::format::{BLOCK_BYTES, is_blank};
use crate::{JournalMark, StorageError, Term};

/// The format of snapshot files that this program writes, and the only one that it reads.
pub const SNAPSHOT_VERSION: u32 = 1;

const MAGIC: u64 = u64::from_le_bytes(*b"JBKSNAPS");

/// Bytes of the body in one block.
const PIECE_BYTES: usize = BLOCK_BYTES - size_of::<BlockHeader>();

/// Blocks that go to the storage at once.
const STEP_BLOCKS: usize = 256;

/// What a snapshot is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotHeader {
    /// Where in the journal it stands: the first command that it lacks is the one behind it.
    pub mark: JournalMark,
    /// The engine's chained hash of all events up to there.
    pub events: [u64; 2],
    /// The hash of the logical state, to be computed again from what was loaded.
    pub state_hash: [u8; 32],
    /// Which encoding of the engine's state the body has.
    pub state_version: u32,
    /// It was made by a program that was told not to compare: what the exchange attested of commands up to here may be
    /// what another program said.
    pub unattested: bool,
}

impl SnapshotHeader {
    pub fn name(&self) -> SnapshotName {
        let mut state_hash_prefix = [0; 8];
        state_hash_prefix.copy_from_slice(&self.state_hash[..8]);
        SnapshotName { seq: self.mark.seq, state_hash_prefix }
    }

    fn to_block(self) -> [u8; BLOCK_BYTES] {
        let mark = &self.mark;
        let raw = RawHeader {
            magic: MAGIC,
            version: SNAPSHOT_VERSION,
            crc: 0,
            journal_id: mark.journal_id,
            term: mark.term.raw(),
            seq: mark.seq,
            time_ns: mark.time.raw(),
            events: self.events,
            chain: mark.chain,
            state_hash: self.state_hash,
            state_version: self.state_version,
            shard: mark.shard,
            flags: if self.unattested { UNATTESTED } else { 0 },
        };
        let mut block = [0; BLOCK_BYTES];
        block[..size_of::<RawHeader>()].copy_from_slice(raw.as_bytes());
        let crc = header_crc(&block);
        block[12..16].copy_from_slice(&crc.to_le_bytes());
        block
    }

    /// Anything from a disk: the first block of a snapshot file.
    pub fn from_block(block: &[u8]) -> Result<Self, SnapshotDamage> {
        let Some(block) = block.get(..BLOCK_BYTES) else {
            return Err(SnapshotDamage::at(block.len(), "the file ends in its header"));
        };
        let (raw, rest) = RawHeader::read_from_prefix(block).expect("a block is longer than a header");
        if raw.magic != MAGIC {
            return Err(SnapshotDamage::at(0, "this is no snapshot, or its header is damaged"));
        }
        if raw.crc != header_crc(block) {
            return Err(SnapshotDamage::at(0, "the checksum of the header does not match"));
        }
        if raw.version != SNAPSHOT_VERSION {
            let what =
                format!("this is snapshot format {}, and this program reads {SNAPSHOT_VERSION}", raw.version);
            return Err(SnapshotDamage { offset_bytes: 8, what });
        }
        if raw.flags & !UNATTESTED != 0 {
            return Err(SnapshotDamage::at(FLAGS_AT, "a flag of the header is none that this program knows"));
        }
        if !is_blank(rest) {
            return Err(SnapshotDamage::at(size_of::<RawHeader>(), "the padding of the header is not zero"));
        }
        Ok(Self {
            mark: JournalMark {
                journal_id: raw.journal_id,
                shard: raw.shard,
                term: Term::new(raw.term),
                seq: raw.seq,
                time: TimeNs::new(raw.time_ns),
                chain: raw.chain,
            },
            events: raw.events,
            state_hash: raw.state_hash,
            state_version: raw.state_version,
            unattested: raw.flags & UNATTESTED != 0,
        })
    }
}

/// The start of the first block; the rest of it is zero. `magic`, `version` and `crc` stand where a segment has them.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct RawHeader {
    magic: u64,
    version: u32,
    crc: u32,
    journal_id: u64,
    term: u64,
    seq: SeqNum,
    time_ns: u64,
    events: [u64; 2],
    chain: [u8; 32],
    state_hash: [u8; 32],
    state_version: u32,
    shard: ShardId,
    flags: u16,
}

/// A flag: [`SnapshotHeader::unattested`].
const UNATTESTED: u16 = 1;
const FLAGS_AT: usize = core::mem::offset_of!(RawHeader, flags);

/// Covers the block but for the checksum itself.
fn header_crc(block: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&block[..12]), &block[16..])
}

/// Begins every block but the first.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct BlockHeader {
    /// Of the rest of the block. It begins with the checksum of the file's header, so a block of another snapshot does
    /// not pass for one of this.
    crc: u32,
    /// Of the body that lie in this block; 0 in the end block.
    bytes: u32,
    /// Its place in the file, the header being 0.
    number: u64,
}

/// Follows the block header in the end block.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct End {
    body_bytes: u64,
    /// BLAKE3 of the header block and then the body.
    hash: [u8; 32],
}

fn block_crc(file_crc: u32, block: &[u8]) -> u32 {
    crc32c::crc32c_append(file_crc, &block[4..])
}

/// How a snapshot is found: `{seq}-{hash}.snap`, 20 decimal and 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotName {
    pub seq: SeqNum,
    /// The first bytes of the state hash.
    pub state_hash_prefix: [u8; 8],
}

impl SnapshotName {
    /// The name that a file name stands for, if it is one.
    pub fn parse(file_name: &str) -> Option<Self> {
        let (seq, hash) = file_name.strip_suffix(".snap")?.split_once('-')?;
        let plain = seq.len() == 20 && hash.len() == 16 && seq.bytes().all(|byte| byte.is_ascii_digit());
        let hex = hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !plain || !hex {
            return None;
        }
        let hash = u64::from_str_radix(hash, 16).ok()?;
        Some(Self { seq: SeqNum::new(seq.parse().ok()?), state_hash_prefix: hash.to_be_bytes() })
    }
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hash = u64::from_be_bytes(self.state_hash_prefix);
        write!(f, "{:020}-{hash:016x}.snap", self.seq.raw())
    }
}

/// Why a file is not the snapshot that was written, or cannot be read by this version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset_bytes}: {what}")]
pub struct SnapshotDamage {
    /// Where in the file it shows: the beginning of the damaged block.
    pub offset_bytes: u64,
    pub what: String,
}

impl SnapshotDamage {
    fn at(offset: usize, what: &str) -> Self {
        Self { offset_bytes: offset as u64, what: what.to_owned() }
    }

    /// Damage of the body, which only its reader can see: the checksums are right, and yet it makes no sense.
    pub fn in_body(body_offset: usize, what: &str) -> Self {
        let (block, within) = (1 + body_offset / PIECE_BYTES, body_offset % PIECE_BYTES);
        Self::at(block * BLOCK_BYTES + size_of::<BlockHeader>() + within, what)
    }
}

/// Where snapshots are kept. Blocking: it belongs to a thread that writes them, or to recovery.
pub trait SnapshotStorage {
    /// The snapshots that exist completely, in ascending order.
    fn list(&mut self) -> Result<Vec<SnapshotName>, StorageError>;

    /// Begins a snapshot, which does not exist before it is finished. One at a time.
    fn begin(&mut self, name: SnapshotName) -> Result<(), StorageError>;

    /// Goes on with it: whole blocks. After an error it can only be abandoned.
    fn append(&mut self, bytes: &[u8]) -> Result<(), StorageError>;

    /// Makes it durable and then visible, both for good. After an error it can only be abandoned.
    fn finish(&mut self) -> Result<(), StorageError>;

    /// Drops what was begun, as far as the disk lets it.
    fn abandon(&mut self);

    /// All bytes of a snapshot.
    fn read(&mut self, name: SnapshotName) -> Result<Vec<u8>, StorageError>;

    fn remove(&mut self, name: SnapshotName) -> Result<(), StorageError>;

    /// How people find it: a path, for messages.
    fn file_name(&self, name: SnapshotName) -> String;
}

impl<S: SnapshotStorage + ?Sized> SnapshotStorage for &mut S {
    fn list(&mut self) -> Result<Vec<SnapshotName>, StorageError> {
        (**self).list()
    }

    fn begin(&mut self, name: SnapshotName) -> Result<(), StorageError> {
        (**self).begin(name)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        (**self).append(bytes)
    }

    fn finish(&mut self) -> Result<(), StorageError> {
        (**self).finish()
    }

    fn abandon(&mut self) {
        (**self).abandon();
    }

    fn read(&mut self, name: SnapshotName) -> Result<Vec<u8>, StorageError> {
        (**self).read(name)
    }

    fn remove(&mut self, name: SnapshotName) -> Result<(), StorageError> {
        (**self).remove(name)
    }

    fn file_name(&self, name: SnapshotName) -> String {
        (**self).file_name(name)
    }
}

/// Writes one snapshot, in steps of whole blocks. Dropped before [`Self::finish`], it leaves none.
pub struct SnapshotWriter<S: SnapshotStorage> {
    storage: S,
    name: SnapshotName,
    /// Blocks that the storage does not have yet; the last may be unfinished.
    blocks: Vec<u8>,
    /// Bytes of the body in the unfinished block.
    filled: usize,
    file_crc: u32,
    next_number: u64,
    body_bytes: u64,
    hasher: blake3::Hasher,
    /// The first refusal of the storage; nothing is written after it.
    refused: Option<StorageError>,
    finished: bool,
}

impl<S: SnapshotStorage> SnapshotWriter<S> {
    /// Begins the snapshot in `storage`, under the name that the header gives it.
    pub fn begin(mut storage: S, header: &SnapshotHeader) -> Result<Self, StorageError> {
        let (name, block) = (header.name(), header.to_block());
        storage.begin(name)?;
        let mut blocks = Vec::with_capacity((STEP_BLOCKS + 1) * BLOCK_BYTES);
        blocks.extend_from_slice(&block);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&block);
        Ok(Self {
            storage,
            name,
            blocks,
            filled: 0,
            file_crc: header_crc(&block),
            next_number: 1,
            body_bytes: 0,
            hasher,
            refused: None,
            finished: false,
        })
    }

    /// Goes on with the body. A refusal of the storage is told by [`Self::finish`]; until then nothing more is done.
    pub fn write(&mut self, mut bytes: &[u8]) {
        if self.refused.is_some() {
            return;
        }
        self.hasher.update(bytes);
        self.body_bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.filled == 0 {
                self.blocks.extend_from_slice(&[0; size_of::<BlockHeader>()]);
            }
            let (now, later) = bytes.split_at(bytes.len().min(PIECE_BYTES - self.filled));
            self.blocks.extend_from_slice(now);
            self.filled += now.len();
            bytes = later;
            if self.filled == PIECE_BYTES {
                self.seal_block();
            }
        }
    }

    /// True once the storage has refused: what is written from now on goes nowhere.
    pub fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// Ends the body, and makes the snapshot durable and visible.
    pub fn finish(mut self) -> Result<SnapshotName, StorageError> {
        if self.filled > 0 {
            self.seal_block();
        }
        let end = End { body_bytes: self.body_bytes, hash: *self.hasher.finalize().as_bytes() };
        self.blocks.extend_from_slice(&[0; size_of::<BlockHeader>()]);
        self.blocks.extend_from_slice(end.as_bytes());
        self.seal_block();
        self.flush();
        if let Some(error) = self.refused.take() {
            return Err(error);
        }
        self.storage.finish()?;
        self.finished = true;
        Ok(self.name)
    }

    /// Fills the last block up with zeros and puts its header in place.
    fn seal_block(&mut self) {
        self.blocks.resize(self.blocks.len().next_multiple_of(BLOCK_BYTES), 0);
        let start = self.blocks.len() - BLOCK_BYTES;
        let block = &mut self.blocks[start..];
        let mut header = BlockHeader { crc: 0, bytes: self.filled as u32, number: self.next_number };
        block[..size_of::<BlockHeader>()].copy_from_slice(header.as_bytes());
        header.crc = block_crc(self.file_crc, block);
        block[..4].copy_from_slice(&header.crc.to_le_bytes());
        self.next_number += 1;
        self.filled = 0;
        if self.blocks.len() >= STEP_BLOCKS * BLOCK_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.refused.is_none() && !self.blocks.is_empty() {
            self.refused = self.storage.append(&self.blocks).err();
        }
        self.blocks.clear();
    }
}

impl<S: SnapshotStorage> Drop for SnapshotWriter<S> {
    fn drop(&mut self) {
        if !self.finished {
            self.storage.abandon();
        }
    }
}

/// Header and body of a snapshot file, if every byte of it is what was written.
pub fn read_snapshot(bytes: &[u8]) -> Result<(SnapshotHeader, Vec<u8>), SnapshotDamage> {
    let header = SnapshotHeader::from_block(bytes)?;
    let (first, blocks) = bytes.split_at(BLOCK_BYTES);
    let file_crc = header_crc(first);
    let mut body = Vec::with_capacity(blocks.len());
    let mut offset = BLOCK_BYTES;
    // Only the last block of the body may have room left.
    let mut is_full = true;
    for block in blocks.chunks(BLOCK_BYTES) {
        let damage = |what| SnapshotDamage::at(offset, what);
        if block.len() < BLOCK_BYTES {
            return Err(SnapshotDamage::at(bytes.len(), "the file ends in a block"));
        }
        let (block_header, piece) =
            BlockHeader::read_from_prefix(block).expect("a block is longer than its header");
        if block_header.crc != block_crc(file_crc, block) {
            return Err(damage("the checksum of a block does not match"));
        }
        if block_header.number != (offset / BLOCK_BYTES) as u64 {
            return Err(damage("a block is out of place"));
        }
        let used = block_header.bytes as usize;
        if used == 0 {
            check_end(piece, first, &body).map_err(damage)?;
            return match offset + BLOCK_BYTES == bytes.len() {
                true => Ok((header, body)),
                false => {
                    Err(SnapshotDamage::at(offset + BLOCK_BYTES, "the file goes on after its last block"))
                }
            };
        }
        if used > PIECE_BYTES || !is_full || !is_blank(&piece[used..]) {
            return Err(damage("the content of a block does not fit its length"));
        }
        is_full = used == PIECE_BYTES;
        body.extend_from_slice(&piece[..used]);
        offset += BLOCK_BYTES;
    }
    Err(SnapshotDamage::at(bytes.len(), "the file ends before its last block"))
}

/// Compares what the end block says with what came before it.
fn check_end(piece: &[u8], header_block: &[u8], body: &[u8]) -> Result<(), &'static str> {
    let (end, padding) = End::read_from_prefix(piece).expect("a block is longer than the end");
    let mut hasher = blake3::Hasher::new();
    hasher.update(header_block).update(body);
    if end.body_bytes != body.len() as u64 {
        Err("the body does not have the length that the end says")
    } else if end.hash != *hasher.finalize().as_bytes() {
        Err("the hash of header and body does not match")
    } else if !is_blank(padding) {
        Err("the padding of the end is not zero")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
