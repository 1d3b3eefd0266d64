//! Sleeping until somebody writes into a folder.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::inotify::{CreateFlags, WatchFlags, add_watch, init},
    io::Errno,
};

/// Readable once a file in the folder was written, made, renamed or removed, by any process, since the last
/// [`Self::drain`].
#[derive(Debug)]
pub struct FolderWatch(OwnedFd);

impl FolderWatch {
    pub fn new(folder: &Path) -> io::Result<Self> {
        let watch = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let changes = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::DELETE;
        add_watch(&watch, folder, changes | WatchFlags::ONLYDIR)?;
        Ok(Self(watch))
    }

    /// Forgets what has happened so far. True when something had.
    pub fn drain(&self) -> io::Result<bool> {
        let mut events = [0_u8; 4096];
        let mut any = false;
        loop {
            match rustix::io::read(&self.0, &mut events) {
                Ok(_) => any = true,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(any),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for FolderWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::OpenOptions, os::unix::fs::FileExt};

    use super::*;
    use crate::{PollSet, Readiness};

    #[test]
    fn a_write_in_place_wakes_whoever_watches_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("segment");
        std::fs::write(&path, [0; 64]).unwrap();
        let watch = FolderWatch::new(folder.path()).unwrap();
        let is_ready = || {
            let mut set = PollSet::new();
            set.add(watch.as_fd(), Readiness::READABLE);
            set.wait(Some(0)).unwrap() == 1
        };
        assert!(!is_ready() && !watch.drain().unwrap());
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        for offset in 0..10 {
            file.write_all_at(b"x", offset).unwrap();
        }
        assert!(is_ready() && watch.drain().unwrap() && !is_ready());
        std::fs::rename(&path, folder.path().join("other")).unwrap();
        assert!(is_ready() && watch.drain().unwrap() && !is_ready());
        assert!(FolderWatch::new(&folder.path().join("other")).is_err(), "a file is no folder");
    }
}
