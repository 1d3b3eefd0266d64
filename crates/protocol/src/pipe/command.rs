//! Commands on their way from a gateway to the core: journal records laid over slots of a ring.

use core::fmt;

use zerocopy::{Immutable, IntoBytes};

use super::COMMAND_FRAME_BYTES_MAX;
use crate::messages::NewOrder;
use crate::{Command, HEADER_BYTES, Origin};

/// Bytes of a slot: whole cache lines, two at least, and enough for an order.
pub const COMMAND_SLOT_BYTES: usize = {
    let order = (ORIGIN_BYTES + HEADER_BYTES + size_of::<NewOrder>()).next_multiple_of(64);
    if order < 128 { 128 } else { order }
};

/// The longest journal record of a command: its origin and its frame.
pub const COMMAND_RECORD_BYTES_MAX: usize = ORIGIN_BYTES + COMMAND_FRAME_BYTES_MAX;

/// Slots that the longest command takes. A ring must have at least as many.
pub const COMMAND_SLOTS_MAX: usize = COMMAND_RECORD_BYTES_MAX.div_ceil(COMMAND_SLOT_BYTES);

const ORIGIN_BYTES: usize = size_of::<Origin>();

const _: () = assert!(COMMAND_FRAME_BYTES_MAX.is_multiple_of(8) && COMMAND_SLOT_BYTES.is_multiple_of(8));

/// One slot of a ring that leads from a gateway to the core.
///
/// A command is authenticated and throttled, but not numbered yet. Its journal record (origin, header, block) begins
/// with a slot of its own and goes on in as many further slots as it needs; nearly every command needs one. The
/// producer publishes all slots of a command at once, and [`CommandAssembler`] puts them together again.
#[derive(Clone, Copy, IntoBytes, Immutable)]
#[repr(C, align(64))]
pub struct CommandSlot([u8; COMMAND_SLOT_BYTES]);

impl CommandSlot {
    /// A command that fits one slot.
    ///
    /// # Panics
    /// When it does not.
    pub fn new(origin: Origin, command: &Command) -> Self {
        let mut frame = Vec::with_capacity(COMMAND_SLOT_BYTES);
        command.encode(&mut frame);
        Self::single(origin, &frame).expect("a command of one slot")
    }

    /// The only slot of a command, or `None` when it needs more. `frame` is its header and block.
    #[inline]
    pub fn single(origin: Origin, frame: &[u8]) -> Option<Self> {
        let mut slot = Self([0; COMMAND_SLOT_BYTES]);
        slot.0[..ORIGIN_BYTES].copy_from_slice(origin.as_bytes());
        slot.0[ORIGIN_BYTES..].get_mut(..frame.len())?.copy_from_slice(frame);
        Some(slot)
    }

    /// Appends the slots of a command of any length, first one first. `frame` is its header and block.
    ///
    /// # Panics
    /// When `frame` is longer than [`COMMAND_FRAME_BYTES_MAX`].
    pub fn lay(origin: Origin, frame: &[u8], out: &mut Vec<Self>) {
        assert!(frame.len() <= COMMAND_FRAME_BYTES_MAX, "a command of {} bytes", frame.len());
        let (first, rest) = frame.split_at(frame.len().min(COMMAND_SLOT_BYTES - ORIGIN_BYTES));
        out.extend(Self::single(origin, first));
        out.extend(rest.chunks(COMMAND_SLOT_BYTES).map(|piece| {
            let mut slot = Self([0; COMMAND_SLOT_BYTES]);
            slot.0[..piece.len()].copy_from_slice(piece);
            slot
        }));
    }

    /// Of the first slot of a command: the length of the whole record.
    #[inline]
    fn record_len(&self) -> usize {
        let block_len = u16::from_le_bytes([self.0[ORIGIN_BYTES], self.0[ORIGIN_BYTES + 1]]);
        ORIGIN_BYTES + HEADER_BYTES + usize::from(block_len)
    }
}

impl fmt::Debug for CommandSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CommandSlot").finish_non_exhaustive()
    }
}

/// Puts the slots of one ring together again.
#[derive(Debug)]
pub struct CommandAssembler {
    /// What has come of a command of several slots; the rest of it is missing. Empty between commands.
    held: Vec<u8>,
    missing_bytes: usize,
}

impl Default for CommandAssembler {
    fn default() -> Self {
        Self { held: Vec::with_capacity(COMMAND_RECORD_BYTES_MAX), missing_bytes: 0 }
    }
}

impl CommandAssembler {
    /// Takes the next slot, and gives the journal record that it completes.
    #[inline]
    pub fn push<'a>(&'a mut self, slot: &'a CommandSlot) -> Option<&'a [u8]> {
        if self.missing_bytes == 0 {
            let record_len = slot.record_len();
            if record_len <= COMMAND_SLOT_BYTES {
                return Some(&slot.0[..record_len]);
            }
            assert!(record_len <= COMMAND_RECORD_BYTES_MAX, "a gateway let in {record_len} bytes");
            self.held.clear();
            self.missing_bytes = record_len;
        }
        self.append(slot)
    }

    fn append(&mut self, slot: &CommandSlot) -> Option<&[u8]> {
        let piece = self.missing_bytes.min(COMMAND_SLOT_BYTES);
        self.held.extend_from_slice(&slot.0[..piece]);
        self.missing_bytes -= piece;
        (self.missing_bytes == 0).then_some(&self.held)
    }

    /// Bytes of the command that is not complete yet.
    pub fn held_bytes(&self) -> usize {
        if self.missing_bytes == 0 { 0 } else { self.held.len() }
    }
}

#[cfg(test)]
mod tests {
    use joulebook_types::{AccountId, SessionId, TimeNs};

    use super::*;
    use crate::messages::TokenOrder;
    use crate::{RecordError, SequencedCommand, encode};

    const ORIGIN: Origin =
        Origin { account: AccountId::new(7), session: SessionId::new(2), received: TimeNs::new(9) };

    /// An order as a newer peer may send it: bytes that this version does not know follow its block.
    fn order_of(frame_bytes: usize) -> Vec<u8> {
        let mut frame = Vec::new();
        encode(&NewOrder { qty: 5, ..NewOrder::default() }, &mut frame);
        frame.resize(HEADER_BYTES + size_of::<NewOrder>(), 0);
        let appended = frame_bytes - frame.len();
        frame.extend((0..appended).map(|index| (index % 251) as u8 + 1));
        frame[..2].copy_from_slice(&((frame_bytes - HEADER_BYTES) as u16).to_le_bytes());
        frame
    }

    fn slots_of(frame: &[u8]) -> Vec<CommandSlot> {
        let mut slots = Vec::new();
        CommandSlot::lay(ORIGIN, frame, &mut slots);
        slots
    }

    #[test]
    fn an_order_is_one_slot_and_a_journal_record() {
        let order = NewOrder { qty: 3, ..NewOrder::default() };
        for command in [order.into(), TokenOrder { count: 3, ..TokenOrder::default() }.into()] {
            let slot = CommandSlot::new(ORIGIN, &command);
            let mut assembler = CommandAssembler::default();
            let record = assembler.push(&slot).expect("whole");
            assert_eq!(SequencedCommand::decode(record), Ok(SequencedCommand { origin: ORIGIN, command }));
            assert_eq!(Origin::of_record(record), Ok(ORIGIN));
            assert_eq!(assembler.held_bytes(), 0);
        }
        assert_eq!(Origin::of_record(&[0; ORIGIN_BYTES - 1]), Err(RecordError::ShortOrigin));
    }

    #[test]
    fn commands_of_every_length_come_out_as_they_went_in() {
        let shortest = HEADER_BYTES + size_of::<NewOrder>();
        let mut assembler = CommandAssembler::default();
        for frame_bytes in shortest..=COMMAND_FRAME_BYTES_MAX {
            let frame = order_of(frame_bytes);
            let slots = slots_of(&frame);
            assert_eq!(slots.len(), (ORIGIN_BYTES + frame_bytes).div_ceil(COMMAND_SLOT_BYTES));
            assert_eq!(slots.len() == 1, CommandSlot::single(ORIGIN, &frame).is_some());
            let (last, before) = slots.split_last().expect("at least one");
            for (count, slot) in (1..).zip(before) {
                assert_eq!(assembler.push(slot), None, "{frame_bytes} bytes");
                assert_eq!(assembler.held_bytes(), count * COMMAND_SLOT_BYTES);
            }
            let record = assembler.push(last).expect("whole");
            assert_eq!(record, [ORIGIN.as_bytes(), &frame].concat(), "{frame_bytes} bytes");
            let decoded = SequencedCommand::decode(record).expect("a record");
            assert_eq!(decoded.command, NewOrder { qty: 5, ..NewOrder::default() }.into());
            assert_eq!(assembler.held_bytes(), 0);
        }
        assert_eq!(slots_of(&order_of(COMMAND_FRAME_BYTES_MAX)).len(), COMMAND_SLOTS_MAX);
    }

    #[test]
    fn long_and_short_commands_follow_each_other() {
        let lengths = [200, 120, COMMAND_FRAME_BYTES_MAX, 121, 1_000, 130];
        let lengths = lengths.map(|length| length.max(HEADER_BYTES + size_of::<NewOrder>()));
        let slots: Vec<_> = lengths.iter().flat_map(|length| slots_of(&order_of(*length))).collect();
        let mut assembler = CommandAssembler::default();
        let mut seen = Vec::new();
        for slot in &slots {
            seen.extend(assembler.push(slot).map(|record| record.len() - ORIGIN_BYTES));
        }
        assert_eq!(seen, lengths);
    }

    #[test]
    #[should_panic(expected = "a command of 2305 bytes")]
    fn a_command_that_no_ring_takes_is_our_mistake() {
        slots_of(&order_of(COMMAND_FRAME_BYTES_MAX + 1));
    }
}
