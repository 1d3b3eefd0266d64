//! Sleeping until a descriptor is ready, and waking whoever sleeps so.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, eventfd, poll},
    io::Errno,
    time::Timespec,
};

/// A counter in the kernel that one thread raises and another sleeps on, next to its sockets.
#[derive(Debug)]
pub struct EventFd(OwnedFd);

impl EventFd {
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?))
    }

    /// Makes the descriptor readable. It stays so until [`Self::drain`], however often it is notified.
    pub fn notify(&self) {
        let one = 1_u64.to_ne_bytes();
        loop {
            match rustix::io::write(&self.0, &one) {
                Err(Errno::INTR) => {}
                // A counter that is full is readable already, which is all that was asked for.
                Ok(_) | Err(Errno::AGAIN) => return,
                Err(error) => panic!("an eventfd of ours refused a write: {error}"),
            }
        }
    }

    /// Makes the descriptor unreadable again. True when it had been notified.
    pub fn drain(&self) -> bool {
        let mut count = [0_u8; 8];
        loop {
            match rustix::io::read(&self.0, &mut count) {
                Ok(_) => return true,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return false,
                Err(error) => panic!("an eventfd of ours refused a read: {error}"),
            }
        }
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What to wait for, or what came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Something can be read, or reading would report the end or an error.
    pub readable: bool,
    /// Something can be written, or writing would report an error.
    pub writable: bool,
}

impl Readiness {
    pub const READABLE: Self = Self { readable: true, writable: false };
    pub const BOTH: Self = Self { readable: true, writable: true };
}

/// Descriptors to wait for together.
#[derive(Debug, Default)]
pub struct PollSet<'fd>(Vec<PollFd<'fd>>);

impl<'fd> PollSet<'fd> {
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a descriptor and returns its position in the set.
    pub fn add(&mut self, fd: BorrowedFd<'fd>, wanted: Readiness) -> usize {
        self.0.push(PollFd::from_borrowed_fd(fd, flags(wanted)));
        self.0.len() - 1
    }

    /// Sleeps until a descriptor is ready or `timeout_ns` is over; `None` sleeps without end, zero only looks.
    /// Says how many are ready. A signal ends the sleep early with none, so the caller can look at its flags.
    pub fn wait(&mut self, timeout_ns: Option<u64>) -> io::Result<usize> {
        let timeout = timeout_ns.map(|ns| Timespec {
            tv_sec: i64::try_from(ns / 1_000_000_000).expect("2^64 ns are fewer than 2^63 s"),
            tv_nsec: (ns % 1_000_000_000) as _,
        });
        match poll(&mut self.0, timeout.as_ref()) {
            Err(Errno::INTR) => {
                self.0.iter_mut().for_each(PollFd::clear_revents);
                Ok(0)
            }
            result => Ok(result?),
        }
    }

    /// What the last [`Self::wait`] found for the descriptor at `position`.
    ///
    /// # Panics
    /// When nothing was added at `position`.
    pub fn readiness(&self, position: usize) -> Readiness {
        let came = self.0[position].revents();
        let ended = came.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
        Readiness {
            readable: ended || came.contains(PollFlags::IN),
            writable: ended || came.contains(PollFlags::OUT),
        }
    }
}

fn flags(wanted: Readiness) -> PollFlags {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::IN, wanted.readable);
    flags.set(PollFlags::OUT, wanted.writable);
    flags
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monotonic_ns;

    #[test]
    fn a_notification_lasts_until_it_is_drained() {
        let bell = EventFd::new().unwrap();
        let ready = |timeout_ns| {
            let mut set = PollSet::new();
            let position = set.add(bell.as_fd(), Readiness::READABLE);
            let count = set.wait(Some(timeout_ns)).unwrap();
            assert_eq!(set.readiness(position).readable, count == 1);
            count == 1
        };
        assert!(!ready(0) && !bell.drain());
        bell.notify();
        bell.notify();
        assert!(ready(0) && ready(0));
        assert!(bell.drain() && !bell.drain() && !ready(0));
    }

    #[test]
    fn timeouts_are_nanoseconds() {
        let bell = EventFd::new().unwrap();
        let start = monotonic_ns();
        let mut set = PollSet::new();
        set.add(bell.as_fd(), Readiness::READABLE);
        while set.wait(Some(3_000_000)).unwrap() == 0 && monotonic_ns() - start < 3_000_000 {}
        assert!((3_000_000..3_000_000_000).contains(&(monotonic_ns() - start)));
    }

    #[test]
    fn another_thread_ends_an_endless_wait() {
        let bell = EventFd::new().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| bell.notify());
            let mut set = PollSet::new();
            set.add(bell.as_fd(), Readiness::READABLE);
            while set.wait(None).unwrap() == 0 {}
        });
        assert!(bell.drain());
    }
}
