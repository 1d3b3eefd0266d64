//! The turn of a gateway, and what its owner may ask between turns.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use joulebook_feed::FeedPublisher;
use joulebook_protocol::pipe::EventFrame;
use joulebook_rings::Consumer;
use joulebook_session::{Intake, Now};
use joulebook_types::TimeNs;

use crate::config::{CoreLink, GatewayConfig, GatewayError};
use crate::floor::Floor;

/// Everything between the network and the rings, for one thread.
///
/// ```text
/// loop {
///     if gateway.turn(wall_clock_ns, Instant::now()) { continue }
///     bell.prepare_sleep();
///     if !gateway.has_work() { poll(gateway.poll_fds() and the bell's, until gateway.next_timeout()) }
///     bell.awake();
/// }
/// ```
pub struct Gateway {
    floor: Floor,
    events: Consumer<EventFrame>,
    read_only: Arc<AtomicBool>,
    clock: Clock,
    /// More snapshots wait for subscribers that keep up.
    is_feed_busy: bool,
    /// Set when the core has said what there is. `None` once the doors are open.
    doors_wait_for: Option<Arc<AtomicBool>>,
}

/// Events passed on per turn, so that a mass cancel cannot keep the network waiting.
const EVENTS_PER_TURN: usize = 4_096;
/// While streams wait for room in the ring, the gateway looks again after this long.
const FULL_RING_RETRY: Duration = Duration::from_millis(1);

impl Gateway {
    /// Binds the sockets. `now` is exchange time, `instant` the same moment on the clock that never goes back.
    pub fn new(
        config: GatewayConfig,
        link: CoreLink,
        now: TimeNs,
        instant: Instant,
    ) -> Result<Self, GatewayError> {
        let clock = Clock { origin: instant, origin_ns: now.raw() };
        let CoreLink { commands, core_bell, events, read_only, metrics } = link;
        let floor = Floor::new(config, commands, core_bell, metrics, clock.read(now, instant))?;
        Ok(Self { floor, events, read_only, clock, is_feed_busy: false, doors_wait_for: None })
    }

    /// Reads nothing from the network until `told` is set and everything that the core said before has been heard: a
    /// logon must not fail because its account is not in the table yet. Without this call the doors are open at once.
    pub fn open_doors_at(&mut self, told: Arc<AtomicBool>) {
        self.doors_wait_for = Some(told);
    }

    /// One step, without blocking. True when something happened, so that another turn may find more.
    pub fn turn(&mut self, now: TimeNs, instant: Instant) -> bool {
        let are_doors_open = self.are_doors_open();
        let floor = &mut self.floor;
        floor.streams.now = self.clock.read(now, instant);
        floor.intake = if self.read_only.load(Ordering::Acquire) { Intake::ReadOnly } else { Intake::Open };

        let mut progress = floor.resume_waiting();
        if are_doors_open {
            progress |= floor.receive(instant);
        }
        // The core can work on these while events are passed on.
        floor.ingress.ring();
        progress |= self.events.drain_with(EVENTS_PER_TURN, |event| floor.on_core_event(event)) > 0;
        self.is_feed_busy = floor.feed.serve(&mut floor.streams);
        progress |= self.is_feed_busy;
        progress |= floor.run_timers();
        floor.write_dirty();
        floor.ingress.ring();
        floor.transmit(instant);
        progress
    }

    fn are_doors_open(&mut self) -> bool {
        if self.doors_wait_for.as_ref().is_some_and(|told| told.load(Ordering::Acquire))
            && self.events.is_empty()
        {
            self.doors_wait_for = None;
        }
        self.doors_wait_for.is_none()
    }

    /// There is something to do without waiting: do not sleep.
    pub fn has_work(&mut self) -> bool {
        self.is_feed_busy || !self.events.is_empty() || self.floor.has_work()
    }

    /// When [`Self::turn`] must be called at the latest, if nothing else happens.
    pub fn next_timeout(&self) -> Option<Instant> {
        let network = self.floor.doors.iter().filter_map(|door| door.driver.next_timeout()).min();
        let sessions = self.floor.timers.next().map(|at| self.clock.instant(at));
        let retry =
            self.floor.is_held_up().then(|| self.clock.instant(self.floor.now().steady) + FULL_RING_RETRY);
        [network, sessions, retry].into_iter().flatten().min()
    }

    /// The sockets, and whether each must also be watched for room to write.
    pub fn poll_fds(&self) -> impl Iterator<Item = (BorrowedFd<'_>, bool)> {
        self.floor.doors.iter().map(|door| (door.driver.fd(), door.driver.wants_write()))
    }

    pub fn public_addr(&self) -> SocketAddr {
        self.floor.doors[0].driver.local_addr()
    }

    /// `None` when the gateway has no endpoint for operators.
    pub fn operator_addr(&self) -> Option<SocketAddr> {
        self.floor.doors.get(1).map(|door| door.driver.local_addr())
    }

    /// Books, trades and definitions as this gateway publishes them.
    pub fn feed(&self) -> &FeedPublisher {
        &self.floor.feed
    }

    /// Streams that are open, logged on or not.
    pub fn open_streams(&self) -> usize {
        self.floor.streams.len()
    }

    /// Says goodbye to every session and refuses newcomers. Go on with turns until [`Self::is_finished`], or for as long
    /// as the shutdown may take.
    pub fn begin_shutdown(&mut self) {
        self.floor.begin_shutdown();
    }

    /// After [`Self::begin_shutdown`]: everybody has left.
    pub fn is_finished(&self) -> bool {
        self.floor.is_finished()
    }
}

/// Ties the steady clock to exchange time, so that deadlines survive a clock that is set.
#[derive(Clone, Copy, Debug)]
struct Clock {
    origin: Instant,
    origin_ns: u64,
}

impl Clock {
    fn read(&self, wall: TimeNs, instant: Instant) -> Now {
        let elapsed_ns = instant.saturating_duration_since(self.origin).as_nanos();
        let elapsed_ns = u64::try_from(elapsed_ns).unwrap_or(u64::MAX);
        Now { steady: TimeNs::new(self.origin_ns.saturating_add(elapsed_ns)), wall }
    }

    fn instant(&self, steady: TimeNs) -> Instant {
        self.origin + Duration::from_nanos(steady.raw().saturating_sub(self.origin_ns))
    }
}
