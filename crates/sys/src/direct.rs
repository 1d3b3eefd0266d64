//! Reading a disk, not what memory holds of it.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use rustix::{
    fs::{Advice, OFlags, fadvise},
    io::Errno,
};

/// What every disk in use takes for offset, length and place in memory of a direct read.
const ALIGNMENT: usize = 4096;

/// Writes back what the page cache has of a file, and lets it go. Memory may keep some of it, for instance what somebody
/// else has mapped: only a [`DirectFile`] is sure to show the disk.
///
/// After a failed write-back Linux keeps what could not be written, as if it were on the disk.
pub fn forget_cached(file: &File) -> io::Result<()> {
    crate::sync_data(file)?;
    Ok(fadvise(file, 0, None, Advice::DontNeed)?)
}

/// A file that is read around the page cache.
#[derive(Debug)]
pub struct DirectFile {
    file: File,
    buffer: Vec<u8>,
}

impl DirectFile {
    /// `None` where the file system has no such way, as one in memory.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        let flags = OFlags::DIRECT.bits() as i32;
        match OpenOptions::new().read(true).custom_flags(flags).open(path) {
            Ok(file) => Ok(Some(Self { file, buffer: Vec::new() })),
            Err(error) if is_unsupported(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Fills `into` from `offset`. False, and nothing read, where the file system has no such way after all.
    pub fn read_exact_at(&mut self, into: &mut [u8], offset: u64) -> io::Result<bool> {
        let before = (offset % ALIGNMENT as u64) as usize;
        let length = (before + into.len()).next_multiple_of(ALIGNMENT);
        self.buffer.resize((length + ALIGNMENT).max(self.buffer.len()), 0);
        let start = self.buffer.as_ptr().align_offset(ALIGNMENT);
        let aligned = &mut self.buffer[start..start + length];
        let (mut filled, wanted) = (0, before + into.len());
        while filled < wanted {
            let read = match self.file.read_at(&mut aligned[filled..], offset - before as u64 + filled as u64)
            {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if filled == 0 && is_unsupported(&error) => return Ok(false),
                Err(error) => return Err(error),
            };
            // A short read goes on where the last whole block ended; without one, the file has ended.
            let whole = (filled + read) / ALIGNMENT * ALIGNMENT;
            if filled + read < wanted && whole == filled {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            filled = if filled + read < wanted { whole } else { wanted };
        }
        into.copy_from_slice(&aligned[before..before + into.len()]);
        Ok(true)
    }
}

fn is_unsupported(error: &io::Error) -> bool {
    [Errno::INVAL, Errno::OPNOTSUPP].map(|errno| Some(errno.raw_os_error())).contains(&error.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direct_read_gives_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("segment");
        let bytes: Vec<u8> = (0..20_000_u32).flat_map(u32::to_le_bytes).collect();
        std::fs::write(&path, &bytes).unwrap();
        forget_cached(&File::options().write(true).open(&path).unwrap()).unwrap();
        let Some(mut file) = DirectFile::open(&path).unwrap() else { return };
        for (offset, length) in
            [(0, 4_096), (8_192, 65_536), (4_095, 2), (5, 70_000), (79_999, 1), (4_096, 0)]
        {
            let mut read = vec![0; length];
            if file.read_exact_at(&mut read, offset).unwrap() {
                assert_eq!(read, bytes[offset as usize..offset as usize + length], "{length} at {offset}");
            }
        }
        if file.read_exact_at(&mut [0], 0).unwrap() {
            let error = file.read_exact_at(&mut [0; 2], 79_999).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
        assert!(DirectFile::open(&folder.path().join("none")).is_err());
    }
}
