//! A thread that is not one: runs, sleeps, and is woken as threads are.

use core::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use joulebook_rings::{Doorbell, Wake};

use super::Bell;

/// Keeps a wake that comes too early, as an eventfd does.
#[derive(Debug, Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(&self) {
        self.0.store(true, Ordering::Release);
    }
}

pub(super) struct Actor {
    bell: Bell,
    woken: Arc<Flag>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Runs at this time, whatever comes.
    Busy(u64),
    /// Nothing to do before this time, unless somebody wakes it. It cannot run before `free_at`.
    Asleep { free_at: u64, until: Option<u64> },
}

impl Actor {
    pub fn new(now: u64) -> Self {
        let woken = Arc::<Flag>::default();
        let bell = Arc::new(Doorbell::new(Arc::clone(&woken) as Arc<dyn Wake>));
        Self { bell, woken, state: State::Busy(now) }
    }

    pub fn bell(&self) -> Bell {
        Arc::clone(&self.bell)
    }

    /// From outside: a socket, a disk, a signal.
    pub fn wake(&mut self, now: u64) {
        if let State::Asleep { free_at, .. } = self.state {
            self.state = State::Busy(now.max(free_at));
        }
        self.woken.wake();
    }

    pub fn next_event(&self) -> Option<u64> {
        match self.state {
            State::Busy(at) => Some(at),
            State::Asleep { free_at, .. } if self.woken.0.load(Ordering::Acquire) => Some(free_at),
            State::Asleep { free_at, until } => until.map(|until| until.max(free_at)),
        }
    }

    pub fn is_due(&self, now: u64) -> bool {
        self.next_event().is_some_and(|at| at <= now)
    }

    /// It runs.
    pub fn begin(&mut self) {
        if matches!(self.state, State::Asleep { .. }) {
            self.bell.awake();
        }
        self.woken.0.store(false, Ordering::Release);
    }

    pub fn prepare_sleep(&mut self) {
        self.bell.prepare_sleep();
    }

    /// What it did took until `free_at`; then it goes on, or sleeps.
    pub fn end(&mut self, free_at: u64, is_awake: bool, until: Option<u64>) {
        self.state = if is_awake {
            self.bell.awake();
            State::Busy(free_at)
        } else {
            State::Asleep { free_at, until }
        };
    }
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.state)
    }
}
