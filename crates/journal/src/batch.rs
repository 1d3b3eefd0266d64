//! A batch: the unit that is proposed, numbered and hashed.

use core::fmt;

use joulebook_types::TimeNs;

/// Records in the order in which they take effect, and the one time at which they all happen.
///
/// The log looks at nothing but lengths. The buffer is meant to be reused: [`Batch::clear`] keeps its capacity.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Batch {
    time: TimeNs,
    count: u32,
    bytes: Vec<u8>,
}

/// Bytes before each record: its length and its checksum.
pub(crate) const RECORD_HEADER_BYTES: usize = 8;

impl Batch {
    pub const fn new() -> Self {
        Self { time: TimeNs::ZERO, count: 0, bytes: Vec::new() }
    }

    /// A batch that does not allocate before it holds `bytes` ([`Self::bytes_len`]).
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ..Self::new() }
    }

    /// Forgets the records and sets the time of the ones to come.
    pub fn clear(&mut self, time: TimeNs) {
        self.time = time;
        self.count = 0;
        self.bytes.clear();
    }

    /// # Panics
    /// When the record is empty: a record is a command, and no command has no bytes.
    pub fn push(&mut self, record: &[u8]) {
        assert!(!record.is_empty(), "an empty record");
        let length = u32::try_from(record.len()).expect("a record is far below 4 GiB");
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(&record_crc(length, record).to_le_bytes());
        self.bytes.extend_from_slice(record);
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        self.count += 1;
    }

    /// Bytes by which a record of `length` bytes makes a batch grow.
    pub const fn record_bytes(length: usize) -> usize {
        RECORD_HEADER_BYTES + length.next_multiple_of(8)
    }

    pub const fn count(&self) -> u32 {
        self.count
    }

    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub const fn time(&self) -> TimeNs {
        self.time
    }

    pub fn records(&self) -> Records<'_> {
        Records(&self.bytes)
    }

    /// Bytes of the records with their lengths, checksums and padding.
    pub fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("time", &self.time)
            .field("count", &self.count)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

/// The records of a batch, without their lengths and checksums.
#[derive(Clone, Debug)]
pub struct Records<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let (header, rest) = self.0.split_first_chunk::<RECORD_HEADER_BYTES>()?;
        // One load: the lower half is the length, the upper one the checksum.
        let length = u64::from_le_bytes(*header) as u32 as usize;
        let record = rest.get(..length)?;
        // What `next_multiple_of` says, with one branch less.
        self.0 = rest.get((length + 7) & !7..)?;
        Some(record)
    }
}

/// Where and how the records of a batch differ from what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordDamage {
    pub(crate) offset_bytes: usize,
    pub(crate) what: &'static str,
}

/// Checks bytes that come from a disk: exactly `count` records, each as it was written.
pub(crate) fn verify_records(bytes: &[u8], count: u32) -> Result<(), RecordDamage> {
    let mut rest = bytes;
    for _ in 0..count {
        let damage = |what| RecordDamage { offset_bytes: bytes.len() - rest.len(), what };
        let Some((header, body)) = rest.split_first_chunk::<RECORD_HEADER_BYTES>() else {
            return Err(damage("the batch ends before its last record"));
        };
        let [l0, l1, l2, l3, c0, c1, c2, c3] = *header;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let padded = (length as usize).next_multiple_of(8);
        if length == 0 || body.len() < padded {
            return Err(damage("the length of a record is impossible"));
        }
        let (record, padding) = body[..padded].split_at(length as usize);
        if record_crc(length, record) != u32::from_le_bytes([c0, c1, c2, c3]) {
            return Err(damage("the checksum of a record does not match"));
        }
        if padding.iter().any(|byte| *byte != 0) {
            return Err(damage("the padding of a record is not zero"));
        }
        rest = &body[padded..];
    }
    if rest.is_empty() {
        return Ok(());
    }
    let offset_bytes = bytes.len() - rest.len();
    Err(RecordDamage { offset_bytes, what: "the batch goes on after its last record" })
}

/// The length is the checksum's start value, so one pass over contiguous bytes covers both.
#[inline]
fn record_crc(length: u32, record: &[u8]) -> u32 {
    crc32c::crc32c_append(length, record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_went_in() {
        let mut batch = Batch::with_capacity(256);
        batch.clear(TimeNs::new(7));
        let records: Vec<Vec<u8>> = (1..=17).map(|n| vec![n as u8; n]).collect();
        for record in &records {
            let before = batch.bytes_len();
            batch.push(record);
            assert_eq!(batch.bytes_len() - before, Batch::record_bytes(record.len()));
        }
        assert_eq!((batch.count(), batch.time()), (17, TimeNs::new(7)));
        assert!(batch.records().eq(records.iter().map(Vec::as_slice)));
        assert_eq!(verify_records(batch.bytes(), 17), Ok(()));
        assert!(verify_records(batch.bytes(), 16).is_err() && verify_records(batch.bytes(), 18).is_err());
        batch.clear(TimeNs::new(8));
        assert!(batch.is_empty() && batch.records().next().is_none());
    }

    #[test]
    fn every_flipped_bit_of_a_record_is_noticed() {
        let mut batch = Batch::new();
        batch.push(b"buy 1");
        batch.push(b"sell all of it");
        let bytes = batch.bytes().to_vec();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(verify_records(&damaged, 2).is_err(), "bit {bit}");
        }
    }
}
