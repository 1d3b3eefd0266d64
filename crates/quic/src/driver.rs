use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use quinn_proto::{ClientConfig, Dir, ReadError, ServerConfig, StreamId, VarInt, WriteError};
use rustls_pki_types::CertificateDer;

use crate::connections::{ConnKey, Live, Phase};
use crate::event::{Event, ReadOutcome, WriteOutcome};
use crate::hub::Hub;
use crate::socket::{Sent, Socket};
use crate::{DriverConfig, QuicError};

/// QUIC for one thread: see the crate's page for the loop around it.
pub struct Driver {
    socket: Socket,
    hub: Hub,
}

/// Segment trains per connection and turn (up to 60 KB each), so that one bulk receiver cannot hold up the rest.
const TRAINS_PER_TURN: usize = 8;

impl Driver {
    /// A driver that accepts connections, and can make some too.
    pub fn server(config: DriverConfig, server: ServerConfig) -> Result<Self, QuicError> {
        Self::new(config, Some(server))
    }

    /// A driver that only makes connections.
    pub fn client(config: DriverConfig) -> Result<Self, QuicError> {
        Self::new(config, None)
    }

    fn new(config: DriverConfig, server: Option<ServerConfig>) -> Result<Self, QuicError> {
        let socket = Socket::bind(&config)?;
        let hub = Hub::new(config, server, socket.may_fragment());
        Ok(Self { socket, hub })
    }

    /// Starts a connection; `Connected` or `Closed` follows. Nothing is sent before `transmit`.
    pub fn connect(
        &mut self,
        client: ClientConfig,
        address: SocketAddr,
        server_name: &str,
        now: Instant,
    ) -> Result<ConnKey, QuicError> {
        self.hub.connect(now, client, address, server_name)
    }

    /// Takes at most one batch of datagrams from the socket, without blocking; returns how many there were.
    pub fn receive(&mut self, now: Instant) -> usize {
        self.hub.inbox.begin_turn();
        let hub = &mut self.hub;
        let datagrams = self.socket.receive(|sender, datagram| {
            // An answer that finds no room is dropped: it belongs to no connection, and whoever wants it asks again.
            hub.handle(now, datagram, |transmit, contents| _ = sender.send(transmit, contents));
        });
        self.hub.collect_touched();
        datagrams
    }

    /// What happened; call until `None`.
    pub fn next_event(&mut self) -> Option<Event> {
        self.hub.next_event()
    }

    /// Serves due timers, then sends what the connections have to say. Returns when all is sent or the kernel
    /// has no more room; nothing is lost then, and [`wants_write`](Self::wants_write) tells.
    pub fn transmit(&mut self, now: Instant) {
        while let Some(slot) = self.hub.timers.pop_due(now) {
            self.hub.expire(slot, now);
        }
        if !self.socket.flush() {
            return;
        }
        for _ in 0..self.hub.dirty.len() {
            let Some(slot) = self.hub.dirty.pop_front() else { return };
            let Some(live) = self.hub.connections.at(slot) else { continue };
            match send_for(live, &mut self.socket, now) {
                Flushed::All => {
                    live.dirty = false;
                    let deadline = live.deadline();
                    self.hub.timers.set(slot, deadline);
                    self.hub.collect(slot);
                }
                Flushed::SomeMore => self.hub.dirty.push_back(slot),
                Flushed::NoRoom => {
                    self.hub.dirty.push_front(slot);
                    return;
                }
            }
        }
    }

    /// When `transmit` must be called at the latest, if nothing else happens.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.hub.timers.next()
    }

    /// There is something to do without waiting: do not park.
    pub fn has_work(&self) -> bool {
        !self.hub.inbox.is_empty() || (!self.hub.dirty.is_empty() && !self.socket.is_blocked())
    }

    /// The kernel had no room for a datagram: call `transmit` when the socket becomes writable.
    pub fn wants_write(&self) -> bool {
        self.socket.is_blocked()
    }

    /// The socket, for poll: readable always, writable while [`wants_write`](Self::wants_write).
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.fd()
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.socket.local()
    }

    /// Receive and send buffer in bytes as the kernel granted them (Linux counts its own overhead, so it grants twice
    /// the wish); much less than asked for deserves a warning.
    pub fn socket_buffer_bytes(&self) -> (usize, usize) {
        self.socket.buffer_bytes()
    }
}

/// Streams.
impl Driver {
    /// Opens a stream; `None` while the connection is not established, is over, or the peer allows no more streams.
    pub fn open_bi(&mut self, conn: ConnKey) -> Option<StreamId> {
        self.established(conn)?.quic.streams().open(Dir::Bi)
    }

    /// Hands at most `budget_bytes` of what has arrived, in order, to `out`.
    pub fn read(
        &mut self,
        conn: ConnKey,
        stream: StreamId,
        budget_bytes: usize,
        mut out: impl FnMut(&[u8]),
    ) -> ReadOutcome {
        assert!(0 < budget_bytes, "a read without budget would come back for ever");
        // Reading is still possible when the peer has closed: what it sent before counts.
        let Some(live) = self.hub.connections.get(conn).filter(|live| !live.closed_by_us) else {
            return ReadOutcome::Gone;
        };
        let mut receiver = live.quic.recv_stream(stream);
        let Ok(mut chunks) = receiver.read(true) else { return ReadOutcome::Gone };
        let mut left = budget_bytes;
        let outcome = loop {
            if left == 0 {
                break ReadOutcome::More;
            }
            match chunks.next(left) {
                Ok(Some(chunk)) => {
                    left -= chunk.bytes.len();
                    out(&chunk.bytes);
                }
                Ok(None) => break ReadOutcome::Finished,
                Err(ReadError::Blocked) => break ReadOutcome::Blocked,
                Err(ReadError::Reset(code)) => break ReadOutcome::Reset { code: code.into_inner() },
            }
        };
        let tell_peer = chunks.finalize().should_transmit();
        if outcome == ReadOutcome::More {
            self.hub.inbox.announce_next_turn(live, stream);
        }
        if tell_peer {
            self.hub.mark_dirty(conn);
        }
        outcome
    }

    /// Queues as many of `bytes` as the windows allow. They leave with the next `transmit`, so that everything
    /// written in one turn shares datagrams.
    pub fn write(&mut self, conn: ConnKey, stream: StreamId, bytes: &[u8]) -> WriteOutcome {
        let Some(live) = self.established(conn) else { return WriteOutcome::Gone };
        let mut taken = 0;
        // Until it is all taken or refused: only a refused write makes the connection announce `Writable`.
        let outcome = loop {
            if taken == bytes.len() {
                break WriteOutcome::All;
            }
            match live.quic.send_stream(stream).write(&bytes[taken..]) {
                Ok(more) => taken += more,
                Err(WriteError::Blocked) => break WriteOutcome::Blocked { taken },
                Err(WriteError::Stopped(code)) => break WriteOutcome::Stopped { code: code.into_inner() },
                Err(WriteError::ClosedStream) => break WriteOutcome::Gone,
            }
        };
        self.hub.mark_dirty(conn);
        outcome
    }

    /// No more will be written; `Delivered` comes when the peer has it all. False if there is no such stream.
    pub fn finish(&mut self, conn: ConnKey, stream: StreamId) -> bool {
        self.touch_stream(conn, |live| live.quic.send_stream(stream).finish().is_ok())
    }

    /// Abandons what was written and not yet received. False if there is no such stream.
    pub fn reset(&mut self, conn: ConnKey, stream: StreamId, code: u32) -> bool {
        self.touch_stream(conn, |live| live.quic.send_stream(stream).reset(VarInt::from_u32(code)).is_ok())
    }

    /// Tells the peer that nothing more will be read. False if there is no such stream.
    pub fn stop_sending(&mut self, conn: ConnKey, stream: StreamId, code: u32) -> bool {
        self.touch_stream(conn, |live| live.quic.recv_stream(stream).stop(VarInt::from_u32(code)).is_ok())
    }

    fn touch_stream(&mut self, conn: ConnKey, change: impl FnOnce(&mut Live) -> bool) -> bool {
        let Some(live) = self.established(conn) else { return false };
        let changed = change(live);
        self.hub.mark_dirty(conn);
        changed
    }

    fn established(&mut self, conn: ConnKey) -> Option<&mut Live> {
        self.hub.connections.get(conn).filter(|live| live.phase == Phase::Established)
    }
}

/// Connections.
impl Driver {
    /// Lets the peer send `bytes` ahead of what was read, over all streams of the connection.
    pub fn grow_window(&mut self, conn: ConnKey, bytes: u32) {
        if let Some(live) = self.established(conn) {
            live.quic.set_receive_window(VarInt::from_u32(bytes));
            self.hub.mark_dirty(conn);
        }
    }

    /// Closes at once: what the peer has not received yet is lost, so `finish` and await `Delivered` before a
    /// polite goodbye. `Closed` with reason `Local` follows; the peer sees `code` and `reason`.
    pub fn close(&mut self, conn: ConnKey, code: u32, reason: &[u8], now: Instant) {
        self.hub.close(conn, now, code, reason);
    }

    /// Refuses newcomers from now on; connections that are open stay.
    pub fn stop_accepting(&mut self) {
        self.hub.admission.close_to_newcomers();
    }

    /// Refuses newcomers and closes every connection. Go on with the loop until [`is_drained`](Self::is_drained), or
    /// for as long as the shutdown may take.
    pub fn close_all(&mut self, code: u32, reason: &[u8], now: Instant) {
        self.stop_accepting();
        let keys: Vec<ConnKey> = self.hub.connections.iter().map(|live| live.key).collect();
        for key in keys {
            self.hub.close(key, now, code, reason);
        }
    }

    /// No connection is left, not even one that waits for late datagrams.
    pub fn is_drained(&self) -> bool {
        self.hub.connections.iter().next().is_none()
    }

    /// The connection is established and open.
    pub fn is_connected(&self, conn: ConnKey) -> bool {
        self.hub.connections.peek(conn).is_some_and(|live| live.phase == Phase::Established)
    }

    /// The peer's present address; it changes when the peer migrates.
    pub fn remote_addr(&self, conn: ConnKey) -> Option<SocketAddr> {
        self.hub.connections.peek(conn).map(|live| live.quic.remote_address())
    }

    /// The peer's certificates, leaf first; `None` before the handshake or when it showed none.
    pub fn peer_certificates(&self, conn: ConnKey) -> Option<Vec<CertificateDer<'static>>> {
        let identity = self.hub.connections.peek(conn)?.quic.crypto_session().peer_identity()?;
        identity.downcast().ok().map(|certificates| *certificates)
    }

    /// Connections that are open or shaking hands.
    pub fn open_connections(&self) -> usize {
        self.hub.admission.open()
    }

    pub fn connection_stats(&self, conn: ConnKey) -> Option<ConnectionStats> {
        let stats = self.hub.connections.peek(conn)?.quic.stats();
        Some(ConnectionStats {
            rtt: stats.path.rtt,
            congestion_window_bytes: stats.path.cwnd,
            mtu_bytes: stats.path.current_mtu,
            sent_packets: stats.path.sent_packets,
            lost_packets: stats.path.lost_packets,
        })
    }

    /// Totals since the start. Visits every connection: for a report now and then, not for every turn.
    pub fn stats(&self) -> DriverStats {
        let (socket, hub) = (&self.socket.counts, &self.hub.counts);
        let lost_alive: u64 =
            self.hub.connections.iter().map(|live| live.quic.stats().path.lost_packets).sum();
        DriverStats {
            datagrams_in: socket.datagrams_in,
            bytes_in: socket.bytes_in,
            receive_calls: socket.receive_calls,
            datagrams_out: socket.datagrams_out,
            bytes_out: socket.bytes_out,
            send_calls: socket.send_calls,
            send_blocked: socket.send_blocked,
            socket_errors: socket.errors,
            lost_packets: hub.lost_packets + lost_alive,
            accepted: hub.accepted,
            retried: hub.retried,
            refused: hub.refused,
            handshakes_failed: hub.handshakes_failed,
        }
    }
}

/// Counters of a driver since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DriverStats {
    pub datagrams_in: u64,
    pub bytes_in: u64,
    /// Receive calls, empty ones included.
    pub receive_calls: u64,
    pub datagrams_out: u64,
    pub bytes_out: u64,
    pub send_calls: u64,
    /// Send calls that found the kernel's buffer full.
    pub send_blocked: u64,
    /// Calls that failed otherwise; refused MTU probes are among them.
    pub socket_errors: u64,
    /// Packets that had to be repeated.
    pub lost_packets: u64,
    /// Handshakes begun by peers.
    pub accepted: u64,
    /// Newcomers that were asked to prove their address first.
    pub retried: u64,
    /// Newcomers turned away by a limit.
    pub refused: u64,
    /// Handshakes begun by peers and never completed.
    pub handshakes_failed: u64,
}

/// The path of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionStats {
    pub rtt: Duration,
    pub congestion_window_bytes: u64,
    pub mtu_bytes: u16,
    pub sent_packets: u64,
    pub lost_packets: u64,
}

enum Flushed {
    All,
    /// Its share of the turn is used up.
    SomeMore,
    /// The kernel has no room.
    NoRoom,
}

fn send_for(live: &mut Live, socket: &mut Socket, now: Instant) -> Flushed {
    for _ in 0..TRAINS_PER_TURN {
        let segments = socket.segments_max(live.quic.current_mtu());
        match socket.send(|train| live.quic.poll_transmit(now, segments, train)) {
            Sent::Nothing => return Flushed::All,
            Sent::Train => {}
            Sent::Waiting => return Flushed::NoRoom,
        }
    }
    Flushed::SomeMore
}
