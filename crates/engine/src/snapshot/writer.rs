//! Numbers to bytes, in pieces.

use super::section::Section;

/// Bytes collected before the sink gets them.
const PIECE_BYTES: usize = 64 * 1024;

/// Writes sections of records. Everything is little-endian.
pub(super) struct Writer<'a> {
    sink: &'a mut dyn FnMut(&[u8]),
    piece: Vec<u8>,
    /// Bytes in pieces that have gone.
    gone: u64,
}

impl<'a> Writer<'a> {
    pub(super) fn new(sink: &'a mut dyn FnMut(&[u8])) -> Self {
        Self { sink, piece: Vec::with_capacity(PIECE_BYTES + 4_096), gone: 0 }
    }

    /// A section of `bytes` bytes, which `write` writes.
    pub(super) fn section(&mut self, section: Section, bytes: u64, write: impl FnOnce(&mut Self)) {
        self.u32(section.raw());
        self.u32(0);
        self.u64(bytes);
        let start = self.len();
        write(self);
        assert!(self.len() - start == bytes, "a section is as long as its header says");
    }

    /// A section that is a list of `count` records of `record_bytes` bytes each.
    pub(super) fn list(
        &mut self,
        section: Section,
        record_bytes: usize,
        count: usize,
        write: impl FnOnce(&mut Self),
    ) {
        let bytes = size_of::<u64>() as u64 + count as u64 * record_bytes as u64;
        self.section(section, bytes, |writer| {
            writer.u64(count as u64);
            write(writer);
        });
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.piece.extend_from_slice(bytes);
    }

    pub(super) fn zeros<const N: usize>(&mut self) {
        self.bytes(&[0; N]);
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    pub(super) fn flag(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn i128(&mut self, value: i128) {
        self.bytes(&value.to_le_bytes());
    }

    /// A record is complete: a good place to hand bytes on.
    pub(super) fn end_record(&mut self) {
        if self.piece.len() >= PIECE_BYTES {
            self.flush();
        }
    }

    pub(super) fn flush(&mut self) {
        (self.sink)(&self.piece);
        self.gone += self.piece.len() as u64;
        self.piece.clear();
    }

    fn len(&self) -> u64 {
        self.gone + self.piece.len() as u64
    }
}
