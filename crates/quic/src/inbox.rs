use std::collections::VecDeque;

use quinn_proto::StreamId;

use crate::Event;
use crate::connections::{ConnKey, Connections, Live, Notice};

/// Events for the owner, at most one notice of a kind per stream, so that a peer that sends many
/// small frames cannot make the queue grow.
#[derive(Default)]
pub(crate) struct Inbox {
    events: VecDeque<Event>,
    /// Streams whose reading ran out of budget: announced again next turn, not in this one.
    next_turn: Vec<(ConnKey, StreamId)>,
}

impl Inbox {
    pub(crate) fn push(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// Announces that `stream` can be read or written, unless that is announced already.
    pub(crate) fn announce(&mut self, live: &mut Live, stream: StreamId, notice: Notice) {
        if live.announced.contains(&(stream, notice)) {
            return;
        }
        live.announced.push((stream, notice));
        let conn = live.key;
        self.events.push_back(match notice {
            Notice::Readable => Event::Readable { conn, stream },
            Notice::Writable => Event::Writable { conn, stream },
        });
    }

    /// The same, but not before the next turn.
    pub(crate) fn announce_next_turn(&mut self, live: &mut Live, stream: StreamId) {
        if !live.announced.contains(&(stream, Notice::Readable)) {
            live.announced.push((stream, Notice::Readable));
            self.next_turn.push((live.key, stream));
        }
    }

    pub(crate) fn begin_turn(&mut self) {
        let waiting = self.next_turn.drain(..);
        self.events.extend(waiting.map(|(conn, stream)| Event::Readable { conn, stream }));
    }

    /// The next event that still means something.
    pub(crate) fn pop(&mut self, connections: &mut Connections) -> Option<Event> {
        loop {
            let event = self.events.pop_front()?;
            let Some(live) = connections.get(event.conn()) else { continue };
            let notice = match event {
                Event::Readable { stream, .. } => Some((stream, Notice::Readable)),
                Event::Writable { stream, .. } => Some((stream, Notice::Writable)),
                Event::Closed { .. } => return Some(event),
                Event::Connected { .. }
                | Event::StreamOpened { .. }
                | Event::Delivered { .. }
                | Event::Stopped { .. } => None,
            };
            if let Some(notice) = notice {
                live.announced.retain(|other| *other != notice);
            }
            if !live.closed_by_us {
                return Some(event);
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.next_turn.is_empty()
    }
}
