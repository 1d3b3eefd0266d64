//! The network of the daemon: QUIC.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use joulebook_quic::{ConnKey, Driver, DriverConfig, Event, QuicError, ServerConfig, StreamId};
use joulebook_types::TimeNs;

use crate::config::{GatewayError, Listener, Listeners};
use crate::gateway::Gateway;
use crate::network::{Network, NetworkEvent, NetworkTotals, ReadOutcome, WriteOutcome};

/// One UDP socket and who the exchange is on it.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// Address, and limits on connections: in all and per peer address.
    pub driver: DriverConfig,
    /// Certificate and transport.
    pub server: ServerConfig,
    /// SHA-256 of the leaf certificate (DER) in `server`: clients sign it at logon.
    pub leaf_sha256: [u8; 32],
}

/// Connections over QUIC, on one UDP socket.
pub struct QuicNetwork {
    driver: Driver,
    clock: SteadyClock,
}

/// Ties the machine's steady clock to the times that a gateway reckons in.
#[derive(Clone, Copy, Debug)]
pub struct SteadyClock {
    origin: Instant,
    origin_ns: u64,
}

impl SteadyClock {
    /// `instant` is called `time`; others by their distance from it.
    pub fn starting_at(instant: Instant, time: TimeNs) -> Self {
        Self { origin: instant, origin_ns: time.raw() }
    }

    pub fn time(&self, instant: Instant) -> TimeNs {
        let elapsed_ns = instant.saturating_duration_since(self.origin).as_nanos();
        let elapsed_ns = u64::try_from(elapsed_ns).unwrap_or(u64::MAX);
        TimeNs::new(self.origin_ns.saturating_add(elapsed_ns))
    }

    pub fn instant(&self, time: TimeNs) -> Instant {
        self.origin + Duration::from_nanos(time.raw().saturating_sub(self.origin_ns))
    }
}

impl QuicNetwork {
    /// Binds the socket. The gateway's times must be `clock`'s.
    pub fn open(driver: DriverConfig, server: ServerConfig, clock: SteadyClock) -> Result<Self, QuicError> {
        Ok(Self { driver: Driver::server(driver, server)?, clock })
    }
}

impl Network for QuicNetwork {
    type Connection = ConnKey;
    type Stream = StreamId;

    #[inline]
    fn slot(connection: ConnKey) -> usize {
        connection.slot()
    }

    fn receive(&mut self, now: TimeNs) -> bool {
        self.driver.receive(self.clock.instant(now)) > 0
    }

    #[inline]
    fn next_event(&mut self) -> Option<NetworkEvent<ConnKey, StreamId>> {
        Some(match self.driver.next_event()? {
            Event::Connected { conn, remote: _ } => NetworkEvent::Connected { connection: conn },
            Event::StreamOpened { conn, stream } => NetworkEvent::StreamOpened { connection: conn, stream },
            Event::Readable { conn, stream } => NetworkEvent::Readable { connection: conn, stream },
            Event::Writable { conn, stream } => NetworkEvent::Writable { connection: conn, stream },
            Event::Delivered { conn, stream } => NetworkEvent::Delivered { connection: conn, stream },
            Event::Stopped { conn, stream, code: _ } => NetworkEvent::Stopped { connection: conn, stream },
            Event::Closed { conn, reason: _ } => NetworkEvent::Closed { connection: conn },
        })
    }

    #[inline]
    fn read(
        &mut self,
        connection: ConnKey,
        stream: StreamId,
        budget_bytes: usize,
        out: impl FnMut(&[u8]),
    ) -> ReadOutcome {
        match self.driver.read(connection, stream, budget_bytes, out) {
            joulebook_quic::ReadOutcome::Blocked => ReadOutcome::Blocked,
            joulebook_quic::ReadOutcome::More => ReadOutcome::More,
            joulebook_quic::ReadOutcome::Finished => ReadOutcome::Finished,
            joulebook_quic::ReadOutcome::Reset { code: _ } | joulebook_quic::ReadOutcome::Gone => {
                ReadOutcome::Lost
            }
        }
    }

    #[inline]
    fn write(&mut self, connection: ConnKey, stream: StreamId, bytes: &[u8]) -> WriteOutcome {
        match self.driver.write(connection, stream, bytes) {
            joulebook_quic::WriteOutcome::All => WriteOutcome::All,
            joulebook_quic::WriteOutcome::Blocked { taken } => WriteOutcome::Blocked { taken },
            joulebook_quic::WriteOutcome::Stopped { code: _ } | joulebook_quic::WriteOutcome::Gone => {
                WriteOutcome::Lost
            }
        }
    }

    fn finish(&mut self, connection: ConnKey, stream: StreamId) -> bool {
        self.driver.finish(connection, stream)
    }

    fn reset(&mut self, connection: ConnKey, stream: StreamId, code: u32) {
        self.driver.reset(connection, stream, code);
    }

    fn stop_sending(&mut self, connection: ConnKey, stream: StreamId, code: u32) {
        self.driver.stop_sending(connection, stream, code);
    }

    fn grow_window(&mut self, connection: ConnKey, bytes: u32) {
        self.driver.grow_window(connection, bytes);
    }

    fn stop_accepting(&mut self) {
        self.driver.stop_accepting();
    }

    fn close_all(&mut self, code: u32, reason: &[u8], now: TimeNs) {
        self.driver.close_all(code, reason, self.clock.instant(now));
    }

    fn is_drained(&self) -> bool {
        self.driver.is_drained()
    }

    fn transmit(&mut self, now: TimeNs) {
        self.driver.transmit(self.clock.instant(now));
    }

    fn next_timeout(&self) -> Option<TimeNs> {
        self.driver.next_timeout().map(|at| self.clock.time(at))
    }

    fn has_work(&self) -> bool {
        self.driver.has_work()
    }

    fn open_connections(&self) -> usize {
        self.driver.open_connections()
    }

    fn totals(&self) -> NetworkTotals {
        let stats = self.driver.stats();
        NetworkTotals {
            bytes_in: stats.bytes_in,
            bytes_out: stats.bytes_out,
            datagrams_in: stats.datagrams_in,
            datagrams_out: stats.datagrams_out,
            accepted: stats.accepted,
            refused: stats.refused + stats.handshakes_failed,
        }
    }
}

impl Listeners<QuicNetwork> {
    /// Binds the sockets: for everybody, and for operators alone. The gateway's steady times must be `clock`'s.
    pub fn bind(
        public: ListenerConfig,
        operator: Option<ListenerConfig>,
        clock: SteadyClock,
    ) -> Result<Self, GatewayError> {
        let open = |config: ListenerConfig| -> Result<Listener<QuicNetwork>, QuicError> {
            let network = QuicNetwork::open(config.driver, config.server, clock)?;
            Ok(Listener { network, leaf_sha256: config.leaf_sha256 })
        };
        Ok(Self {
            public: open(public).map_err(GatewayError::Public)?,
            operator: operator.map(open).transpose().map_err(GatewayError::Operator)?,
        })
    }
}

impl Gateway<QuicNetwork> {
    /// The sockets, and whether each must also be watched for room to write.
    pub fn poll_fds(&self) -> impl Iterator<Item = (BorrowedFd<'_>, bool)> {
        self.networks().map(|network| (network.driver.fd(), network.driver.wants_write()))
    }

    pub fn public_addr(&self) -> SocketAddr {
        self.public().driver.local_addr()
    }

    /// `None` when the gateway has no endpoint for operators.
    pub fn operator_addr(&self) -> Option<SocketAddr> {
        self.operator().map(|network| network.driver.local_addr())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_times_and_instants_name_each_other_to_the_nanosecond() {
        let origin = Instant::now();
        let clock = SteadyClock::starting_at(origin, TimeNs::new(7_000));
        let later = origin + Duration::from_nanos(1_234_567_891);
        assert_eq!(clock.time(later), TimeNs::new(1_234_574_891));
        assert_eq!(clock.instant(clock.time(later)), later);
        assert_eq!(clock.time(origin), TimeNs::new(7_000));
        assert_eq!(clock.instant(TimeNs::ZERO), origin, "times before the start are the start");
    }
}
