//! The way to the core.

use std::collections::VecDeque;
use std::sync::Arc;

use joulebook_protocol::pipe::CommandFrame;
use joulebook_rings::{Doorbell, Producer};

/// The producing end of the command ring, and what must not be lost while it is full.
#[derive(Debug)]
pub(crate) struct Ingress {
    commands: Producer<CommandFrame>,
    bell: Arc<Doorbell>,
    /// Free places that are known of; there may be more.
    free: usize,
    /// Ends of sessions that the core must learn of. Bounded by the number of sessions.
    ends: VecDeque<CommandFrame>,
    is_bell_due: bool,
}

impl Ingress {
    pub(crate) fn new(commands: Producer<CommandFrame>, bell: Arc<Doorbell>) -> Self {
        Self { commands, bell, free: 0, ends: VecDeque::new(), is_bell_due: false }
    }

    /// One command may be pushed. Ends of sessions go first.
    pub(crate) fn has_room(&mut self) -> bool {
        self.ends.is_empty() && self.has_place()
    }

    /// # Panics
    /// Unless [`Self::has_room`] said so before.
    pub(crate) fn push(&mut self, command: CommandFrame) {
        assert!(
            self.commands.try_push(command).is_ok(),
            "a command was taken from a session without room for it"
        );
        self.free -= 1;
        self.is_bell_due = true;
    }

    /// Queues the end of a session; it is never lost.
    pub(crate) fn push_end(&mut self, end: CommandFrame) {
        self.ends.push_back(end);
        self.flush();
    }

    /// Moves ends of sessions into the ring as far as there is room.
    pub(crate) fn flush(&mut self) {
        while self.has_place() {
            let Some(end) = self.ends.pop_front() else { return };
            self.push(end);
        }
    }

    /// Wakes the core if it got something since the last call.
    pub(crate) fn ring(&mut self) {
        if std::mem::take(&mut self.is_bell_due) {
            self.bell.ring();
        }
    }

    /// Ends of sessions that wait for room.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.ends.is_empty()
    }

    /// The ring has room, whoever is to get it.
    pub(crate) fn has_place(&mut self) -> bool {
        if self.free == 0 {
            self.free = self.commands.free();
        }
        self.free > 0
    }
}
