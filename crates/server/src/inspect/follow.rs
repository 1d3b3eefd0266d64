//! Waiting for a running daemon to write more.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;

use joulebook_sys::{EventFd, FolderWatch, PollSet, Readiness};

/// How often the journal is looked at where the system cannot tell of writes: when it has no watch left to give.
const LOOK_EVERY_NS: u64 = 100_000_000;

/// Sleeps until something was written to a folder's journal. The kernel tells: nothing is asked again and again.
#[derive(Debug)]
pub struct Following {
    watch: Option<FolderWatch>,
    stop: Arc<EventFd>,
}

/// Ends the waiting, from any thread.
#[derive(Clone, Debug)]
pub struct Stopper(Arc<EventFd>);

impl Stopper {
    pub fn stop(&self) {
        self.0.notify();
    }
}

/// Why the waiting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Something was written: the journal may have more.
    Written,
    Stopped,
    /// Nobody reads the output any more.
    OutputClosed,
}

impl Following {
    /// To be made before the journal is read, or a write in between would be missed.
    pub fn new(dir: &Path) -> io::Result<Self> {
        let watch = FolderWatch::new(&dir.join("journal")).ok();
        Ok(Self { watch, stop: Arc::new(EventFd::new()?) })
    }

    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.stop))
    }

    pub fn wait(&self, output: BorrowedFd<'_>) -> io::Result<Woken> {
        loop {
            let mut set = PollSet::new();
            let stop = set.add(self.stop.as_fd(), Readiness::READABLE);
            // Nothing is waited for here, so only the end of a pipe shows.
            let output = set.add(output, Readiness::default());
            let watch = self.watch.as_ref().map(|watch| set.add(watch.as_fd(), Readiness::READABLE));
            let ready = set.wait(watch.is_none().then_some(LOOK_EVERY_NS))?;
            if set.readiness(stop).readable {
                return Ok(Woken::Stopped);
            }
            if set.readiness(output).writable {
                return Ok(Woken::OutputClosed);
            }
            let written = match &self.watch {
                Some(watch) => watch.drain()?,
                None => ready == 0,
            };
            if written {
                return Ok(Woken::Written);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_wakes_for_a_write_a_stop_and_a_closed_pipe() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("journal")).unwrap();
        let following = Following::new(dir.path()).unwrap();
        let (reader, writer) = io::pipe().unwrap();
        std::fs::write(dir.path().join("journal/x"), "y").unwrap();
        assert_eq!(following.wait(writer.as_fd()).unwrap(), Woken::Written);
        drop(reader);
        assert_eq!(following.wait(writer.as_fd()).unwrap(), Woken::OutputClosed);
        following.stopper().stop();
        assert_eq!(following.wait(writer.as_fd()).unwrap(), Woken::Stopped);
    }

    #[test]
    fn without_a_watch_it_looks_now_and_then() {
        let following = Following { watch: None, stop: Arc::new(EventFd::new().unwrap()) };
        let (_reader, writer) = io::pipe().unwrap();
        assert_eq!(following.wait(writer.as_fd()).unwrap(), Woken::Written);
    }
}
