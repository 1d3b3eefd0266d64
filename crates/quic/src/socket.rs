use std::io::{ErrorKind, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use bytes::BytesMut;
use quinn_proto::{EcnCodepoint, Transmit};
use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};
use rustix::net::sockopt;

use crate::{DriverConfig, QuicError};

/// The UDP socket with its buffers: batches in, segment trains out, and the one train that the kernel had no room for.
pub(crate) struct Socket {
    udp: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    receive_buffer: Vec<u8>,
    metas: [RecvMeta; BATCH],
    /// Received bytes are copied here once; datagrams are slices of it, and it is reused when they are all gone.
    arena: BytesMut,
    /// What is being sent, or waits because the kernel had no room.
    train: Vec<u8>,
    waiting: Option<Transmit>,
    pub(crate) counts: SocketCounts,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SocketCounts {
    pub(crate) datagrams_in: u64,
    pub(crate) bytes_in: u64,
    pub(crate) receive_calls: u64,
    pub(crate) datagrams_out: u64,
    pub(crate) bytes_out: u64,
    pub(crate) send_calls: u64,
    pub(crate) send_blocked: u64,
    pub(crate) errors: u64,
}

/// Messages per receive call; with GRO each can hold up to 64 datagrams.
const BATCH: usize = quinn_udp::BATCH_SIZE;
/// No UDP message is longer, coalesced or not.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// A longer train of segments fails as "message too long", which looks like total loss.
const TRAIN_BYTES_MAX: usize = 60_000;

/// One datagram as it arrived.
pub(crate) struct Datagram {
    pub(crate) remote: SocketAddr,
    pub(crate) meta: RecvMeta,
    pub(crate) bytes: BytesMut,
}

impl Socket {
    pub(crate) fn bind(config: &DriverConfig) -> Result<Self, QuicError> {
        let address = config.bind;
        let udp = UdpSocket::bind(address).map_err(|source| match source.kind() {
            ErrorKind::AddrInUse => QuicError::AddressInUse(address),
            _ => QuicError::Bind { address, source },
        })?;
        let state = UdpSocketState::new(UdpSockRef::from(&udp)).map_err(QuicError::Socket)?;
        widen(&udp, config.socket_buffer_bytes);
        Ok(Self {
            local: udp.local_addr().map_err(QuicError::Socket)?,
            udp,
            state,
            receive_buffer: vec![0; BATCH * MESSAGE_BYTES_MAX],
            metas: [RecvMeta::default(); BATCH],
            arena: BytesMut::with_capacity(MESSAGE_BYTES_MAX),
            train: Vec::with_capacity(MESSAGE_BYTES_MAX),
            waiting: None,
            counts: SocketCounts::default(),
        })
    }

    /// Receives at most one batch and calls `each` per datagram; returns how many there were.
    pub(crate) fn receive(&mut self, mut each: impl FnMut(&mut SocketSender<'_>, Datagram)) -> usize {
        let mut chunks = self.receive_buffer.chunks_mut(MESSAGE_BYTES_MAX);
        let mut buffers: [IoSliceMut<'_>; BATCH] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().expect("the buffer holds a batch")));
        self.counts.receive_calls += 1;
        let messages = match self.state.recv(UdpSockRef::from(&self.udp), &mut buffers, &mut self.metas) {
            Ok(messages) => messages,
            Err(error) => {
                self.counts.errors += u64::from(error.kind() != ErrorKind::WouldBlock);
                return 0;
            }
        };
        let mut datagrams = 0;
        let mut sender = SocketSender { udp: &self.udp, state: &self.state, counts: &mut self.counts };
        for (meta, buffer) in self.metas.iter().zip(&buffers).take(messages) {
            self.arena.reserve(meta.len);
            self.arena.extend_from_slice(&buffer[..meta.len]);
            let mut bytes = self.arena.split();
            while !bytes.is_empty() {
                let one = bytes.split_to(meta.stride.clamp(1, bytes.len()));
                sender.counts.datagrams_in += 1;
                sender.counts.bytes_in += one.len() as u64;
                datagrams += 1;
                each(&mut sender, Datagram { remote: meta.addr, meta: *meta, bytes: one });
            }
        }
        datagrams
    }

    /// Sends the train that waits, if any. False when the kernel still has no room for it.
    pub(crate) fn flush(&mut self) -> bool {
        let Some(transmit) = self.waiting.take() else { return true };
        self.send_train(transmit)
    }

    /// Lets `fill` write one train into the buffer, and sends it.
    pub(crate) fn send(&mut self, fill: impl FnOnce(&mut Vec<u8>) -> Option<Transmit>) -> Sent {
        assert!(self.waiting.is_none(), "flush first: a waiting train would be overwritten");
        self.train.clear();
        let Some(transmit) = fill(&mut self.train) else { return Sent::Nothing };
        if self.send_train(transmit) { Sent::Train } else { Sent::Waiting }
    }

    /// How many segments of `mtu` bytes one call may carry.
    pub(crate) fn segments_max(&self, mtu: u16) -> usize {
        self.state.max_gso_segments().min(TRAIN_BYTES_MAX / usize::from(mtu.max(1))).max(1)
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.waiting.is_some()
    }

    pub(crate) fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.udp.as_fd()
    }

    /// Receive and send buffer as the kernel granted them.
    pub(crate) fn buffer_bytes(&self) -> (usize, usize) {
        let socket = UdpSockRef::from(&self.udp);
        let receive = self.state.recv_buffer_size(socket).unwrap_or(0);
        (receive, self.state.send_buffer_size(UdpSockRef::from(&self.udp)).unwrap_or(0))
    }

    fn send_train(&mut self, transmit: Transmit) -> bool {
        let mut sender = SocketSender { udp: &self.udp, state: &self.state, counts: &mut self.counts };
        let sent = sender.send(&transmit, &self.train);
        if !sent {
            self.waiting = Some(transmit);
        }
        sent
    }
}

/// What became of a request to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Nothing,
    Train,
    /// The kernel had no room; the train is kept and goes first next time.
    Waiting,
}

/// The half of the socket that can answer while a batch is being taken apart.
pub(crate) struct SocketSender<'a> {
    udp: &'a UdpSocket,
    state: &'a UdpSocketState,
    counts: &'a mut SocketCounts,
}

impl SocketSender<'_> {
    /// False when the kernel has no room. Other failures count as loss, which QUIC repairs (and expects of MTU probes).
    pub(crate) fn send(&mut self, transmit: &Transmit, contents: &[u8]) -> bool {
        let out = quinn_udp::Transmit {
            destination: transmit.destination,
            ecn: transmit.ecn.and_then(|ecn| quinn_udp::EcnCodepoint::from_bits(ecn as u8)),
            contents: &contents[..transmit.size],
            segment_size: transmit.segment_size,
            src_ip: transmit.src_ip,
        };
        self.counts.send_calls += 1;
        match self.state.try_send(UdpSockRef::from(self.udp), &out) {
            Ok(()) => {
                self.counts.datagrams_out +=
                    transmit.segment_size.map_or(1, |one| transmit.size.div_ceil(one)) as u64;
                self.counts.bytes_out += transmit.size as u64;
                true
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.counts.send_blocked += 1;
                false
            }
            Err(_) => {
                self.counts.errors += 1;
                true
            }
        }
    }
}

impl Datagram {
    pub(crate) fn ecn(&self) -> Option<EcnCodepoint> {
        self.meta.ecn.and_then(|ecn| EcnCodepoint::from_bits(ecn as u8))
    }
}

/// With privileges beyond the system's limit, else up to it; a smaller buffer is worse, not wrong.
fn widen(udp: &UdpSocket, bytes: usize) {
    if sockopt::set_socket_recv_buffer_size_force(udp, bytes).is_err() {
        let _ = sockopt::set_socket_recv_buffer_size(udp, bytes);
    }
    if sockopt::set_socket_send_buffer_size_force(udp, bytes).is_err() {
        let _ = sockopt::set_socket_send_buffer_size(udp, bytes);
    }
}
