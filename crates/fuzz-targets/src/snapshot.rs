//! A snapshot file that holds anything: read, and written again.

use joulebook_journal::{
    BLOCK_BYTES, SnapshotHeader, SnapshotName, SnapshotStorage, SnapshotWriter, StorageError, read_snapshot,
};

use crate::Traits;
use crate::disk::Disk;
use crate::input::Input;

/// Choices of the first byte: checksums are made right first, and numbers, lengths and hashes too.
pub(crate) const RESEAL: u8 = 1;
pub(crate) const CONTINUE: u8 = 2;

pub(crate) fn run(input: &[u8], traits: &mut Traits) {
    let mut input = Input::new(input);
    let choices = input.byte();
    let mut file = Disk::blocks_of_input(&mut input);
    if choices & RESEAL != 0 {
        reseal(&mut file, choices & CONTINUE != 0);
    }
    match read_snapshot(&file) {
        Ok((header, body)) => {
            traits.counted("read", body.len());
            assert!(file == write(&header, &body), "what was read is written again, bit by bit");
            let name = header.name();
            assert_eq!(SnapshotName::parse(&name.to_string()), Some(name));
            assert_eq!(SnapshotHeader::from_block(&file), Ok(header), "the header alone says the same");
        }
        Err(damage) => {
            assert!(damage.offset_bytes <= file.len() as u64 && !damage.what.is_empty());
            let words = damage.what.bytes();
            traits.saw("damage", words.fold(0, |sum, byte| (sum * 31 + u64::from(byte)) % 65_521));
        }
    }
}

/// The file of a snapshot.
pub(crate) fn write(header: &SnapshotHeader, body: &[u8]) -> Vec<u8> {
    let mut kept = Kept::default();
    let mut writer = SnapshotWriter::begin(&mut kept, header).expect("memory takes everything");
    // In two pieces: how the body is cut says nothing.
    let (one, other) = body.split_at(body.len() / 3);
    writer.write(one);
    writer.write(other);
    writer.finish().expect("memory takes everything");
    kept.file
}

/// Makes the checksum of every block right. The places are those of the format's description, written down a second
/// time.
fn reseal(file: &mut [u8], with_numbers: bool) {
    let mut blocks = file.chunks_exact_mut(BLOCK_BYTES);
    let Some(header) = blocks.next() else { return };
    let file_crc = crc32c::crc32c_append(crc32c::crc32c(&header[..12]), &header[16..]);
    header[12..16].copy_from_slice(&file_crc.to_le_bytes());
    let mut hasher = blake3::Hasher::new();
    hasher.update(header);
    let mut body_bytes = 0_u64;
    for (number, block) in (1_u64..).zip(blocks) {
        if with_numbers {
            block[8..16].copy_from_slice(&number.to_le_bytes());
            let used = u32::from_le_bytes([block[4], block[5], block[6], block[7]]) as usize;
            if used == 0 {
                block[16..24].copy_from_slice(&body_bytes.to_le_bytes());
                block[24..56].copy_from_slice(hasher.finalize().as_bytes());
            } else if let Some(piece) = block.get(16..16 + used) {
                body_bytes += used as u64;
                hasher.update(piece);
            }
        }
        let crc = crc32c::crc32c_append(file_crc, &block[4..]);
        block[..4].copy_from_slice(&crc.to_le_bytes());
    }
}

/// One snapshot in memory.
#[derive(Default)]
struct Kept {
    file: Vec<u8>,
}

impl SnapshotStorage for Kept {
    fn list(&mut self) -> Result<Vec<SnapshotName>, StorageError> {
        Ok(Vec::new())
    }

    fn begin(&mut self, _name: SnapshotName) -> Result<(), StorageError> {
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        assert!(bytes.len().is_multiple_of(BLOCK_BYTES), "whole blocks");
        self.file.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), StorageError> {
        Ok(())
    }

    fn abandon(&mut self) {
        self.file.clear();
    }

    fn read(&mut self, _name: SnapshotName) -> Result<Vec<u8>, StorageError> {
        Ok(self.file.clone())
    }

    fn remove(&mut self, _name: SnapshotName) -> Result<(), StorageError> {
        self.file.clear();
        Ok(())
    }

    fn file_name(&self, name: SnapshotName) -> String {
        name.to_string()
    }
}
