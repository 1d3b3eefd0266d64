//! From the core to the sessions, and from the sessions to the network.

use joulebook_protocol::PublicEvent;
use joulebook_protocol::pipe::EventFrame;

use crate::floor::Floor;
use crate::network::{Network, NetworkTotals, WriteOutcome};
use crate::streams::StreamKey;

/// What a connection may have on its way unread once a session on it is logged on.
const WINDOW_BYTES_AFTER_LOGON: u32 = joulebook_quic::transport::WINDOW_BYTES_AFTER_LOGON;

impl<N: Network> Floor<N> {
    /// Passes an event on: a public one to the tables and the feed, any other to its session.
    pub(crate) fn on_core_event(&mut self, event: &EventFrame) {
        let Some(connection) = event.destination() else { return self.on_public_event(event) };
        let key = StreamKey::of_connection(connection);
        let now = self.now();
        // A session that ended meanwhile gets its events when it logs on again.
        let Some(stream) = self.streams.get(key).filter(|_| connection == key.connection(self.number)) else {
            return;
        };
        let was_open = stream.session.is_open();
        stream.session.on_event(event.bytes(), now);
        self.counts.event(event.bytes(), now.wall);
        if stream.session.is_closed() || was_open != stream.session.is_open() {
            self.on_logged_on(key);
            self.after(key);
        } else {
            self.streams.mark_dirty(key);
        }
    }

    fn on_public_event(&mut self, event: &EventFrame) {
        match PublicEvent::decode(&event.frame()) {
            Ok(PublicEvent::AccountDefinition(definition)) => self.accounts.define(&definition),
            Ok(event) => self.feed.publish(&event, &mut self.streams),
            Err(error) => panic!("the core sent everybody a frame that is no public event: {error}"),
        }
    }

    /// The core has let a session in: it may send more at once from now on.
    fn on_logged_on(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get(key).filter(|stream| stream.session.is_open()) else { return };
        stream.is_counted = true;
        self.counts.metrics.sessions.add(1);
        self.counts.metrics.logons.increment();
        let (listener, connection) = (stream.listener, stream.connection);
        let door = &mut self.doors[listener];
        if self.large_windows < self.limits.large_windows_max && door.wants_large_window(connection) {
            self.large_windows += 1;
            door.network.grow_window(connection, WINDOW_BYTES_AFTER_LOGON);
        }
    }

    /// Writes each stream once, so that all answers of a turn share datagrams.
    pub(crate) fn write_dirty(&mut self) {
        while let Some(key) = self.streams.pop_dirty() {
            self.write(key);
        }
    }

    fn write(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get(key).filter(|stream| !stream.is_write_blocked) else { return };
        let network = &mut self.doors[stream.listener].network;
        let unsent = stream.session.unsent();
        if !unsent.is_empty() {
            match network.write(stream.connection, stream.id, unsent) {
                WriteOutcome::All => {
                    let count = unsent.len();
                    stream.session.sent(count);
                }
                WriteOutcome::Blocked { taken } => {
                    stream.session.sent(taken);
                    stream.is_write_blocked = true;
                    return;
                }
                WriteOutcome::Lost => return self.lose(key),
            }
        }
        if let Some(ending) = stream.ending.as_mut().filter(|ending| !ending.is_finished) {
            ending.is_finished = true;
            if !network.finish(stream.connection, stream.id) {
                self.forget(key);
            }
        }
    }

    pub(crate) fn count_network(&mut self) {
        let now = self.now().steady;
        if !self.counts.network_is_due(now) {
            return;
        }
        let (mut total, mut connections) = (NetworkTotals::default(), 0);
        for door in &self.doors {
            let totals = door.network.totals();
            total.bytes_in += totals.bytes_in;
            total.bytes_out += totals.bytes_out;
            total.datagrams_in += totals.datagrams_in;
            total.datagrams_out += totals.datagrams_out;
            total.accepted += totals.accepted;
            total.refused += totals.refused;
            connections += door.network.open_connections();
        }
        self.counts.network(total, connections, now);
    }
}
