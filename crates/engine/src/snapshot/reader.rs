//! Bytes to numbers. Nothing is believed: no length, no count, no value that has no meaning.

use joulebook_types::{AreaCode, ClassCode, MicroEc, Price, TimeNs};
use zerocopy::FromBytes;

use super::LoadError;
use super::section::Section;

/// Reads sections of records from bytes that anybody may have written.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
    /// Where the section in hand ends; never beyond the bytes.
    end: usize,
    /// Where the record in hand starts: what errors name.
    record: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0, end: bytes.len(), record: 0 }
    }

    /// The error that names the record in hand.
    pub(super) fn error(&self, what: &'static str) -> LoadError {
        LoadError { offset_bytes: self.record, what }
    }

    /// Says that the record in hand breaks a rule unless it keeps it.
    pub(super) fn check(&self, keeps: bool, what: &'static str) -> Result<(), LoadError> {
        if keeps { Ok(()) } else { Err(self.error(what)) }
    }

    /// Goes into the next section, which must be this one.
    pub(super) fn enter(&mut self, section: Section) -> Result<(), LoadError> {
        self.begin_record();
        let found = self.u32()?;
        self.check(found == section.raw(), "sections come in their order")?;
        self.zeros::<4>()?;
        let bytes = self.u64()?;
        let rest = self.end - self.offset;
        let bytes = usize::try_from(bytes).ok().filter(|bytes| *bytes <= rest);
        self.end = self.offset + bytes.ok_or(self.error("a section is longer than all bytes"))?;
        self.begin_record();
        Ok(())
    }

    /// Leaves a section, all of which was read.
    pub(super) fn leave(&mut self) -> Result<(), LoadError> {
        self.begin_record();
        self.check(self.offset == self.end, "a section ends with its last record")?;
        self.end = self.bytes.len();
        Ok(())
    }

    /// After the last section nothing follows.
    pub(super) fn finish(&mut self) -> Result<(), LoadError> {
        self.begin_record();
        self.check(self.offset == self.bytes.len(), "nothing follows the last section")
    }

    /// A number of records of at least `record_bytes` bytes each, all of which lie in the section in hand: so what is
    /// allocated for them is in proportion to the bytes.
    pub(super) fn count(&mut self, record_bytes: usize) -> Result<usize, LoadError> {
        let count = self.u64()?;
        let most = (self.end - self.offset) / record_bytes;
        let count = usize::try_from(count).ok().filter(|count| *count <= most);
        count.ok_or(self.error("more records than bytes"))
    }

    /// A list of records of one length.
    pub(super) fn list(
        &mut self,
        section: Section,
        record_bytes: usize,
        mut read: impl FnMut(&mut Self) -> Result<(), LoadError>,
    ) -> Result<(), LoadError> {
        self.enter(section)?;
        for _ in 0..self.count(record_bytes)? {
            self.begin_record();
            read(self)?;
        }
        self.leave()
    }

    pub(super) fn begin_record(&mut self) {
        self.record = self.offset;
    }

    /// Where the next byte lies, and a way back to it.
    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    /// Goes to a record of the section in hand.
    pub(super) fn go_to(&mut self, offset: usize) {
        self.offset = offset.min(self.end);
        self.begin_record();
    }

    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8], LoadError> {
        let rest = self.bytes.get(self.offset..self.end).unwrap_or_default();
        let Some((bytes, _)) = rest.split_at_checked(len) else {
            return Err(LoadError { offset_bytes: self.offset, what: "the bytes end within a record" });
        };
        self.offset += len;
        Ok(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], LoadError> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    /// Bytes without a meaning yet.
    pub(super) fn zeros<const N: usize>(&mut self) -> Result<(), LoadError> {
        let bytes = self.array::<N>()?;
        self.check(bytes == [0; N], "reserved bytes are zero")
    }

    pub(super) fn u8(&mut self) -> Result<u8, LoadError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn flag(&mut self) -> Result<bool, LoadError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            2.. => Err(self.error("a flag is zero or one")),
        }
    }

    pub(super) fn u16(&mut self) -> Result<u16, LoadError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, LoadError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, LoadError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, LoadError> {
        self.array().map(i32::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, LoadError> {
        self.array().map(i64::from_le_bytes)
    }

    pub(super) fn i128(&mut self) -> Result<i128, LoadError> {
        self.array().map(i128::from_le_bytes)
    }

    pub(super) fn time(&mut self) -> Result<TimeNs, LoadError> {
        self.u64().map(TimeNs::new)
    }

    pub(super) fn price(&mut self) -> Result<Price, LoadError> {
        self.i64().map(Price::new)
    }

    pub(super) fn credits(&mut self) -> Result<MicroEc, LoadError> {
        self.i64().map(MicroEc::new)
    }

    /// A price that may be missing, which zero says.
    pub(super) fn price_if_any(&mut self) -> Result<Option<Price>, LoadError> {
        let price = self.price()?;
        self.check(price >= Price::ZERO, "a price is positive")?;
        Ok((price != Price::ZERO).then_some(price))
    }

    /// A counter that has not come far: adding to it never overflows.
    pub(super) fn counter(&mut self) -> Result<u64, LoadError> {
        let counter = self.u64()?;
        self.check(counter <= COUNTER_MAX, "no run counts that far")?;
        Ok(counter)
    }

    /// A class code as listings have it.
    pub(super) fn class(&mut self) -> Result<ClassCode, LoadError> {
        let class = ClassCode::read_from_bytes(self.bytes(size_of::<ClassCode>())?);
        let class = class.ok().filter(|class| class.validate().is_ok());
        class.ok_or(self.error("a class code has capital letters and digits"))
    }

    /// An area code as listings have it, or none at all.
    pub(super) fn area(&mut self) -> Result<AreaCode, LoadError> {
        let area = AreaCode::read_from_bytes(self.bytes(size_of::<AreaCode>())?);
        let area = area.ok().filter(|area| area.is_none() || area.validate().is_ok());
        area.ok_or(self.error("an area code has capital letters and digits"))
    }
}

/// Half of what 64 bits count.
const COUNTER_MAX: u64 = u64::MAX / 2;
