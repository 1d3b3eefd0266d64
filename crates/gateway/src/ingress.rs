//! The way to the core.

use std::collections::VecDeque;
use std::sync::Arc;

use joulebook_protocol::Origin;
use joulebook_protocol::pipe::{COMMAND_SLOTS_MAX, CommandSlot};
use joulebook_rings::{Doorbell, Producer};

/// The producing end of the command ring, and what must not be lost while it is full.
#[derive(Debug)]
pub(crate) struct Ingress {
    commands: Producer<CommandSlot>,
    bell: Arc<Doorbell>,
    /// Free slots that are known of; there may be more.
    free: usize,
    /// Ends of sessions that the core must learn of, one slot each. Bounded by the number of sessions.
    ends: VecDeque<CommandSlot>,
    /// The slots of a command that needs several.
    long: Vec<CommandSlot>,
    is_bell_due: bool,
}

impl Ingress {
    pub(crate) fn new(commands: Producer<CommandSlot>, bell: Arc<Doorbell>) -> Self {
        let long = Vec::with_capacity(COMMAND_SLOTS_MAX);
        Self { commands, bell, free: 0, ends: VecDeque::new(), long, is_bell_due: false }
    }

    /// Any command may be pushed, whatever its length. Ends of sessions go first.
    pub(crate) fn has_room(&mut self) -> bool {
        self.ends.is_empty() && self.has_slots(COMMAND_SLOTS_MAX)
    }

    /// Publishes a whole command at once: the core never meets a part of one that has no end.
    ///
    /// # Panics
    /// Unless [`Self::has_room`] said so before.
    pub(crate) fn push(&mut self, origin: Origin, frame: &[u8]) {
        if let Some(slot) = CommandSlot::single(origin, frame) {
            return self.push_slot(slot);
        }
        self.long.clear();
        CommandSlot::lay(origin, frame, &mut self.long);
        self.free = self.commands.free();
        assert!(self.long.len() <= self.free, "a command was taken from a session without room for it");
        self.free -= self.commands.push_slice(&self.long);
        self.is_bell_due = true;
    }

    fn push_slot(&mut self, slot: CommandSlot) {
        assert!(
            self.commands.try_push(slot).is_ok(),
            "a command was taken from a session without room for it"
        );
        self.free -= 1;
        self.is_bell_due = true;
    }

    /// Queues the end of a session; it is never lost.
    pub(crate) fn push_end(&mut self, end: CommandSlot) {
        self.ends.push_back(end);
        self.flush();
    }

    /// Moves ends of sessions into the ring as far as there is room.
    pub(crate) fn flush(&mut self) {
        while self.has_slots(1) {
            let Some(end) = self.ends.pop_front() else { return };
            self.push_slot(end);
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

    /// The ring has room for what goes first now: an end of a session if one waits, else any command.
    pub(crate) fn has_place(&mut self) -> bool {
        self.has_slots(if self.ends.is_empty() { COMMAND_SLOTS_MAX } else { 1 })
    }

    fn has_slots(&mut self, count: usize) -> bool {
        if self.free < count {
            self.free = self.commands.free();
        }
        count <= self.free
    }
}
