//! What durability is made of.

use std::{
    fs::File,
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
};

use rustix::{
    fs::{FallocateFlags, FlockOperation, fallocate, fdatasync, flock, major, minor, statvfs},
    io::Errno,
};

/// Writes all of `bytes` at `offset`, through short writes and signals. The file's position is left alone.
pub fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(bytes, offset)
}

/// Writes `length` zeros at `offset`: blocks that are really allocated and written, which a hole or an unwritten
/// extent is not, so a later overwrite and its sync change no file system metadata.
pub fn write_zeros_at(file: &File, mut offset: u64, length: u64) -> io::Result<()> {
    static ZEROS: [u8; 1 << 20] = [0; 1 << 20];
    let end = offset + length;
    while offset < end {
        let chunk = (end - offset).min(ZEROS.len() as u64);
        file.write_all_at(&ZEROS[..chunk as usize], offset)?;
        offset += chunk;
    }
    Ok(())
}

/// Claims space for the first `length` bytes, or fails before anything is written. The space is not zeroed on the disk:
/// see [`write_zeros_at`]. Where the file system cannot claim, this does nothing.
pub fn reserve(file: &File, length: u64) -> io::Result<()> {
    loop {
        match fallocate(file, FallocateFlags::empty(), 0, length) {
            Ok(()) | Err(Errno::OPNOTSUPP) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Makes the file's content durable. After an error nothing is known about what reached the disk, and a second try
/// may succeed without having written anything: never retry.
pub fn sync_data(file: &File) -> io::Result<()> {
    // Not retried on a signal either: Linux reports the error of a write-back once.
    Ok(fdatasync(file)?)
}

/// Makes creations, renames and removals in a directory durable.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Whether an advisory lock was free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advisory {
    /// Ours until the file is closed, also by the death of the process.
    Held,
    /// Someone else has it.
    Busy,
}

/// Tries to lock a whole file for ourselves, without waiting.
pub fn lock_exclusive(file: &File) -> io::Result<Advisory> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Advisory::Held),
        Err(Errno::WOULDBLOCK) => Ok(Advisory::Busy),
        Err(error) => Err(error.into()),
    }
}

/// The process that holds the lock of [`lock_exclusive`] on a file, without trying to take it: not even for an instant
/// is the lock missing to somebody who wants it. `None` when nobody has it, or when the process cannot be seen from here.
pub fn lock_holder(path: &Path) -> io::Result<Option<u32>> {
    let file = std::fs::metadata(path)?;
    let device = format!("{:02x}:{:02x}", major(file.dev()), minor(file.dev()));
    let locks = std::fs::read_to_string("/proc/locks")?;
    Ok(locks.lines().find_map(|line| holder(line, &device, file.ino())))
}

/// Of a line such as `1: FLOCK  ADVISORY  WRITE 7021 fe:01:1312 0 EOF`. Those who only wait have an arrow there.
fn holder(line: &str, device: &str, inode: u64) -> Option<u32> {
    let mut words = line.split_whitespace().skip(1);
    if words.next()? != "FLOCK" {
        return None;
    }
    let mut words = words.skip(2);
    let (process, place) = (words.next()?, words.next()?);
    let (found_device, found_inode) = place.rsplit_once(':')?;
    let is_it = found_device == device && found_inode.parse() == Ok(inode);
    is_it.then(|| process.parse().ok()).flatten()
}

/// Bytes that may still be written to the file system of `path`.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_written_where_they_belong() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("segment");
        let file = File::create_new(&path).unwrap();
        write_zeros_at(&file, 0, (1 << 20) + 512).unwrap();
        write_all_at(&file, b"abc", 4096).unwrap();
        write_zeros_at(&file, 4097, 1).unwrap();
        sync_data(&file).unwrap();
        sync_directory(folder.path()).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len(), (1 << 20) + 512);
        assert_eq!(&bytes[4095..4100], [0, b'a', 0, b'c', 0]);
        assert_eq!(bytes.iter().filter(|byte| **byte != 0).count(), 2);
    }

    #[test]
    fn space_is_claimed_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create_new(folder.path().join("file")).unwrap();
        reserve(&file, 1 << 20).unwrap();
        // Larger than any file may be.
        assert!(reserve(&file, 1 << 62).is_err());
    }

    #[test]
    fn a_lock_has_one_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("LOCK");
        let first = File::create_new(&path).unwrap();
        let second = File::open(&path).unwrap();
        assert_eq!(lock_exclusive(&first).unwrap(), Advisory::Held);
        assert_eq!(lock_exclusive(&second).unwrap(), Advisory::Busy);
        assert_eq!(lock_holder(&path).unwrap(), Some(std::process::id()));
        drop(first);
        assert_eq!(lock_holder(&path).unwrap(), None);
        assert_eq!(lock_exclusive(&second).unwrap(), Advisory::Held);
    }

    #[test]
    fn only_a_lock_that_is_held_names_its_holder() {
        let line = "3: FLOCK  ADVISORY  WRITE 7021 fe:01:1312 0 EOF";
        assert_eq!(holder(line, "fe:01", 1312), Some(7021));
        assert_eq!(holder(line, "fe:02", 1312), None);
        assert_eq!(holder(line, "fe:01", 312), None);
        for other in [
            "3: -> FLOCK  ADVISORY  WRITE 7021 fe:01:1312 0 EOF",
            "3: POSIX  ADVISORY  WRITE 7021 fe:01:1312 0 EOF",
            "3: FLOCK  ADVISORY",
            "",
        ] {
            assert_eq!(holder(other, "fe:01", 1312), None, "{other}");
        }
    }

    #[test]
    fn a_file_system_says_how_much_is_free() {
        assert!(free_bytes(Path::new("/")).unwrap() > 0);
        assert!(free_bytes(Path::new("/no/such/folder")).is_err());
    }
}
