use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use quinn_proto::{
    ClientConfig, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig,
    HashedConnectionIdGenerator, Incoming, ServerConfig, StreamEvent, Transmit, VarInt,
};
use ring::hmac;

use crate::admission::{Admission, Verdict};
use crate::connections::{ConnKey, Connections, Live, Notice, Phase};
use crate::event::{CloseReason, Event};
use crate::inbox::Inbox;
use crate::socket::Datagram;
use crate::timers::Timers;
use crate::{DriverConfig, QuicError, ResetKey};

/// Everything of the driver that does no I/O: the endpoint, its connections, their timers and their events.
pub(crate) struct Hub {
    endpoint: Endpoint,
    config: DriverConfig,
    pub(crate) connections: Connections,
    pub(crate) admission: Admission,
    pub(crate) timers: Timers,
    pub(crate) inbox: Inbox,
    /// Slots that may have something to send, oldest first. A slot not in here costs nothing per turn.
    pub(crate) dirty: VecDeque<u32>,
    /// Slots that got datagrams since the last `collect_touched`.
    touched: Vec<u32>,
    /// Where the endpoint writes packets that belong to no connection.
    response: Vec<u8>,
    pub(crate) counts: HubCounts,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HubCounts {
    pub(crate) accepted: u64,
    pub(crate) retried: u64,
    pub(crate) refused: u64,
    pub(crate) handshakes_failed: u64,
    /// Of connections that are gone; those alive know their own.
    pub(crate) lost_packets: u64,
}

impl Hub {
    pub(crate) fn new(config: DriverConfig, server: Option<ServerConfig>, may_fragment: bool) -> Self {
        let endpoint = Endpoint::new(endpoint_config(&config), server.map(Arc::new), !may_fragment, None);
        Self {
            endpoint,
            connections: Connections::default(),
            admission: Admission::new(&config),
            config,
            timers: Timers::default(),
            inbox: Inbox::default(),
            dirty: VecDeque::new(),
            touched: Vec::new(),
            response: Vec::new(),
            counts: HubCounts::default(),
        }
    }

    /// Gives a datagram to its connection, or lets the endpoint answer it.
    pub(crate) fn handle(
        &mut self,
        now: Instant,
        datagram: Datagram,
        respond: impl FnOnce(&Transmit, &[u8]),
    ) {
        let ecn = datagram.ecn();
        self.response.clear();
        let answer = match self.endpoint.handle(
            now,
            datagram.remote,
            datagram.meta.dst_ip,
            ecn,
            datagram.bytes,
            &mut self.response,
        ) {
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                let slot = handle.0 as u32;
                if let Some(live) = self.connections.at(slot) {
                    live.quic.handle_event(event);
                    if !live.touched {
                        live.touched = true;
                        self.touched.push(slot);
                    }
                }
                None
            }
            Some(DatagramEvent::NewConnection(incoming)) => self.admit(now, incoming),
            Some(DatagramEvent::Response(transmit)) => Some(transmit),
            None => None,
        };
        if let Some(transmit) = answer {
            respond(&transmit, &self.response);
        }
    }

    fn admit(&mut self, now: Instant, incoming: Incoming) -> Option<Transmit> {
        let address = incoming.remote_address().ip();
        let proven = incoming.remote_address_validated();
        self.response.clear();
        match self.admission.judge(address, proven) {
            Verdict::Refuse => {
                self.counts.refused += 1;
                Some(self.endpoint.refuse(incoming, &mut self.response))
            }
            Verdict::Retry => {
                self.counts.retried += 1;
                let retry = self.endpoint.retry(incoming, &mut self.response);
                Some(retry.expect("an unproven address may always be asked to retry"))
            }
            Verdict::Accept => match self.endpoint.accept(incoming, now, &mut self.response, None) {
                Ok((handle, quic)) => {
                    let deadline = now + self.config.handshake_timeout;
                    self.admission.count_incoming(address, proven);
                    let key = self.connections.insert(handle, quic, deadline, Some(address), !proven);
                    self.touch_new(key);
                    self.counts.accepted += 1;
                    None
                }
                Err(error) => {
                    self.counts.handshakes_failed += 1;
                    error.response
                }
            },
        }
    }

    pub(crate) fn connect(
        &mut self,
        now: Instant,
        client: ClientConfig,
        address: std::net::SocketAddr,
        server_name: &str,
    ) -> Result<ConnKey, QuicError> {
        if !self.admission.has_room() {
            return Err(QuicError::TooManyConnections(self.config.max_connections));
        }
        let (handle, quic) = self.endpoint.connect(now, client, address, server_name)?;
        let key = self.connections.insert(handle, quic, now + self.config.handshake_timeout, None, false);
        self.admission.count_outgoing();
        self.touch_new(key);
        Ok(key)
    }

    fn touch_new(&mut self, key: ConnKey) {
        self.mark_dirty(key);
        let live = self.connections.get(key).expect("just inserted");
        live.touched = true;
        self.touched.push(live.slot());
    }

    pub(crate) fn mark_dirty(&mut self, key: ConnKey) {
        if let Some(live) = self.connections.get(key).filter(|live| !live.dirty) {
            live.dirty = true;
            self.dirty.push_back(key.slot() as u32);
        }
    }

    /// Turns what the batch did to connections into events.
    pub(crate) fn collect_touched(&mut self) {
        while let Some(slot) = self.touched.pop() {
            let Some(live) = self.connections.at(slot) else { continue };
            live.touched = false;
            let key = live.key;
            self.mark_dirty(key);
            self.collect(slot);
        }
    }

    /// Lets a connection whose deadline passed act on it. It is sent for, and its timer set anew, in the same turn.
    pub(crate) fn expire(&mut self, slot: u32, now: Instant) {
        let Some(live) = self.connections.at(slot) else { return };
        let key = live.key;
        live.quic.handle_timeout(now);
        if matches!(live.phase, Phase::Handshake { deadline } if deadline <= now) {
            live.quic.close(now, VarInt::from_u32(0), Bytes::from_static(b"handshake timed out"));
            self.end(key, CloseReason::HandshakeTimedOut);
        }
        self.mark_dirty(key);
        self.collect(slot);
    }

    /// Moves a connection's news to the inbox and to the endpoint, and frees the slot when all is over.
    pub(crate) fn collect(&mut self, slot: u32) {
        loop {
            let Some(live) = self.connections.at(slot) else { return };
            let Some(event) = live.quic.poll() else { break };
            match event {
                quinn_proto::Event::Connected => self.established(slot),
                quinn_proto::Event::Stream(event) => announce(&mut self.inbox, live, event),
                quinn_proto::Event::ConnectionLost { reason } => {
                    let key = live.key;
                    self.end(key, reason.into());
                }
                quinn_proto::Event::HandshakeDataReady
                | quinn_proto::Event::DatagramReceived
                | quinn_proto::Event::DatagramsUnblocked => {}
            }
        }
        self.serve_endpoint(slot);
        self.free_if_over(slot);
    }

    fn established(&mut self, slot: u32) {
        let Some(live) = self.connections.at(slot) else { return };
        live.phase = Phase::Established;
        live.known = true;
        if std::mem::take(&mut live.unproven) {
            self.admission.proven();
        }
        self.inbox.push(Event::Connected { conn: live.key, remote: live.quic.remote_address() });
    }

    fn serve_endpoint(&mut self, slot: u32) {
        while let Some(live) = self.connections.at(slot) {
            let (handle, key) = (live.handle(), live.key);
            let Some(event) = live.quic.poll_endpoint_events() else { return };
            if event.is_drained() {
                live.drained = Some(event);
            } else if let Some(reply) = self.endpoint.handle_event(handle, event) {
                live.quic.handle_event(reply);
                self.mark_dirty(key);
            }
        }
    }

    /// The connection is over for its owner, though it may still say so to the peer. Only the first reason counts.
    pub(crate) fn end(&mut self, key: ConnKey, reason: CloseReason) {
        let Some(live) = self.connections.get(key) else { return };
        if live.phase == Phase::Over {
            return;
        }
        live.phase = Phase::Over;
        live.farewell_done = !live.known;
        self.admission.closed(live.accepted_from);
        if std::mem::take(&mut live.unproven) {
            self.admission.proven();
        }
        if live.known {
            self.inbox.push(Event::Closed { conn: key, reason });
        } else {
            self.counts.handshakes_failed += 1;
        }
    }

    pub(crate) fn close(&mut self, key: ConnKey, now: Instant, code: u32, reason: &[u8]) {
        let Some(live) = self.connections.get(key).filter(|live| live.phase != Phase::Over) else { return };
        live.quic.close(now, VarInt::from_u32(code), Bytes::copy_from_slice(reason));
        live.closed_by_us = true;
        self.mark_dirty(key);
        self.end(key, CloseReason::Local);
    }

    pub(crate) fn next_event(&mut self) -> Option<Event> {
        let event = self.inbox.pop(&mut self.connections)?;
        if let Event::Closed { conn, .. } = event
            && let Some(live) = self.connections.get(conn)
        {
            live.farewell_done = true;
            self.free_if_over(conn.slot() as u32);
        }
        Some(event)
    }

    fn free_if_over(&mut self, slot: u32) {
        let Some(live) = self.connections.at(slot).filter(|live| live.farewell_done) else { return };
        let Some(drained) = live.drained.take() else { return };
        self.counts.lost_packets += live.quic.stats().path.lost_packets;
        self.endpoint.handle_event(ConnectionHandle(slot as usize), drained);
        self.timers.set(slot, None);
        self.connections.remove(slot);
    }
}

/// Without a key of the owner's, the endpoint draws one from the operating system and forgets it at its end.
fn endpoint_config(config: &DriverConfig) -> Arc<EndpointConfig> {
    let mut endpoint = EndpointConfig::default();
    if let Some(ResetKey(secret)) = &config.reset_key {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        // Connection ids carry a keyed checksum, and only an id that looks like ours is answered by a reset: both
        // must survive a restart. One is derived from the other, because its 64 bits are too few to be the secret.
        let tag = hmac::sign(&key, b"connection id checksum");
        let checksum = u64::from_le_bytes(tag.as_ref()[..8].try_into().expect("a tag has 32 bytes"));
        endpoint.reset_key(Arc::new(key));
        endpoint.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(checksum)));
    }
    Arc::new(endpoint)
}

fn announce(inbox: &mut Inbox, live: &mut Live, event: StreamEvent) {
    let conn = live.key;
    match event {
        StreamEvent::Opened { dir } => {
            while let Some(stream) = live.quic.streams().accept(dir) {
                // Streams in one direction are not offered to the peer, so there is nothing to accept there.
                if dir == Dir::Bi {
                    inbox.push(Event::StreamOpened { conn, stream });
                    inbox.announce(live, stream, Notice::Readable);
                }
            }
        }
        StreamEvent::Readable { id } => inbox.announce(live, id, Notice::Readable),
        StreamEvent::Writable { id } => inbox.announce(live, id, Notice::Writable),
        StreamEvent::Finished { id } => inbox.push(Event::Delivered { conn, stream: id }),
        StreamEvent::Stopped { id, error_code } => {
            inbox.push(Event::Stopped { conn, stream: id, code: error_code.into_inner() });
        }
        StreamEvent::Available { .. } => {}
    }
}
