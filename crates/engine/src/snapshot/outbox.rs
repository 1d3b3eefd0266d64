//! Events that clients may still ask for, oldest first.
//!
//! An event's number is its own first field, and those of a session follow each other, so the chain needs no bytes.
//! Slots are left out as they are from hashes.

use joulebook_protocol::messages::Stamp;
use joulebook_protocol::{Event, Frame, HEADER_BYTES};
use zerocopy::FromBytes;

use super::LoadError;
use super::reader::Reader;
use super::section::Section;
use super::writer::Writer;
use crate::Engine;
use crate::outbox::{Entry, FRAME_BYTES_MAX};
use crate::sessions::SessionIx;

/// Session and length; the frame follows.
const ENTRY_BYTES: usize = 8;

impl Engine {
    pub(super) fn save_outbox(&self, writer: &mut Writer<'_>) {
        let (mut count, mut bytes) = (0, size_of::<u64>() as u64);
        for entry in self.outbox.iter() {
            count += 1;
            bytes += (ENTRY_BYTES + entry.frame().len()) as u64;
        }
        writer.section(Section::Outbox, bytes, |writer| {
            writer.u64(count);
            for entry in self.outbox.iter() {
                save_entry(writer, entry);
                writer.end_record();
            }
        });
    }

    pub(super) fn load_outbox(&mut self, reader: &mut Reader<'_>) -> Result<(), LoadError> {
        let mut encoded = Vec::with_capacity(FRAME_BYTES_MAX);
        reader.list(Section::Outbox, ENTRY_BYTES + HEADER_BYTES, |reader| {
            let session = reader.u32()?;
            let session = self.session_numbered(reader, session)?;
            let frame_len = reader.u16()?;
            reader.zeros::<2>()?;
            let frame = reader.bytes(usize::from(frame_len))?;
            self.load_event(reader, session, frame, &mut encoded)
        })?;
        for ix in self.sessions.indices() {
            let session = &self.sessions[ix];
            let newest = self.outbox.get(session.newest_event);
            let complete = newest.is_none_or(|newest| newest.event_seq() == session.last_event_seq);
            reader.check(complete, "a session's newest event is retained if any is")?;
        }
        Ok(())
    }

    /// `encoded` is memory to work in.
    fn load_event(
        &mut self,
        reader: &Reader<'_>,
        ix: SessionIx,
        frame: &[u8],
        encoded: &mut Vec<u8>,
    ) -> Result<(), LoadError> {
        let broken = reader.error("a retained event is one that a session can be told");
        let Ok(Some((split, []))) = Frame::split(frame) else { return Err(broken) };
        let event = Event::decode(&split).map_err(|_| broken)?;
        // What this version writes is exactly what it would write again.
        encoded.clear();
        event.encode(encoded);
        reader.check(encoded == frame && frame.len() <= FRAME_BYTES_MAX, broken.what)?;
        let (stamp, _) = Stamp::read_from_prefix(split.block).map_err(|_| broken)?;
        let session = &self.sessions[ix];
        let last = self.outbox.get(session.newest_event).map(|newest| newest.event_seq());
        let in_order = match last {
            Some(last) => stamp.event_seq == last + 1,
            None => stamp.event_seq > 0,
        };
        reader.check(
            in_order && stamp.event_seq <= session.last_event_seq,
            "a session's events have no gaps",
        )?;
        reader.check(!self.outbox.is_full(), "more events are retained than may be")?;
        let template_id = split.header.template_id;
        let position = self.outbox.restore(ix, session.newest_event, (template_id, frame));
        self.sessions[ix].newest_event = position;
        Ok(())
    }
}

fn save_entry(writer: &mut Writer<'_>, entry: &Entry) {
    writer.u32(entry.session.raw());
    entry.without_slot(|frame| {
        writer.u16(frame.len() as u16);
        writer.zeros::<2>();
        writer.bytes(frame);
    });
}
