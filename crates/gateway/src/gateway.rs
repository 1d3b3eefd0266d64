//! The turn of a gateway, and what its owner may ask between turns.

use std::sync::Arc;

use joulebook_feed::FeedPublisher;
use joulebook_protocol::pipe::EventFrame;
use joulebook_rings::{Consumer, Gate};
use joulebook_session::{Intake, Now};
use joulebook_types::TimeNs;

use crate::config::{CoreLink, GatewayConfig, GatewayError, Listeners};
use crate::entropy::Entropy;
use crate::floor::Floor;
use crate::network::Network;
use crate::quic::QuicNetwork;

/// Everything between the network and the rings, for one thread.
///
/// ```text
/// loop {
///     if gateway.turn(now) { continue }
///     bell.prepare_sleep();
///     if !gateway.has_work() { wait for the network and the bell, until gateway.next_timeout() }
///     bell.awake();
/// }
/// ```
pub struct Gateway<N: Network = QuicNetwork> {
    floor: Floor<N>,
    events: Consumer<EventFrame>,
    order_gate: Arc<Gate>,
    /// More snapshots wait for subscribers that keep up.
    is_feed_busy: bool,
    /// Opens when the core has said what there is. `None` once the doors are open.
    doors_wait_for: Option<Arc<Gate>>,
}

/// Events passed on per turn, so that a mass cancel cannot keep the network waiting.
const EVENTS_PER_TURN: usize = 4_096;
/// While streams wait for room in the ring, the gateway looks again after this long.
const FULL_RING_RETRY_MS: u32 = 1;

impl<N: Network> Gateway<N> {
    /// A gateway whose first turn comes at `now` or later. Times on the network are `now.steady`'s.
    pub fn new(
        config: GatewayConfig,
        listeners: Listeners<N>,
        link: CoreLink,
        entropy: Box<dyn Entropy + Send>,
        now: Now,
    ) -> Result<Self, GatewayError> {
        let CoreLink { commands, core_bell, events, order_gate, metrics } = link;
        let floor = Floor::new(config, listeners, (commands, core_bell), metrics, entropy, now)?;
        Ok(Self { floor, events, order_gate, is_feed_busy: false, doors_wait_for: None })
    }

    /// Reads nothing from the network until `told` is open and everything that the core said before has been heard: a
    /// logon must not fail because its account is not in the table yet. Without this call the doors are open at once.
    pub fn open_doors_at(&mut self, told: Arc<Gate>) {
        self.doors_wait_for = Some(told);
    }

    /// One step, without blocking. True when something happened, so that another turn may find more. `now.steady` never
    /// goes back from turn to turn.
    pub fn turn(&mut self, now: Now) -> bool {
        let are_doors_open = self.are_doors_open();
        let floor = &mut self.floor;
        floor.streams.now = now;
        floor.intake = if self.order_gate.is_open() { Intake::Open } else { Intake::ReadOnly };

        let mut progress = floor.resume_waiting();
        if are_doors_open {
            progress |= floor.receive();
        }
        // The core can work on these while events are passed on.
        floor.ingress.ring();
        progress |= self.events.drain_with(EVENTS_PER_TURN, |event| floor.on_core_event(event)) > 0;
        self.is_feed_busy = floor.feed.serve(&mut floor.streams);
        progress |= self.is_feed_busy;
        progress |= floor.run_timers();
        floor.write_dirty();
        floor.ingress.ring();
        floor.transmit();
        progress
    }

    fn are_doors_open(&mut self) -> bool {
        // In this order: what the core said before it opened the gate is in the ring by then.
        if self.doors_wait_for.as_ref().is_some_and(|told| told.is_open()) && self.events.is_empty() {
            self.doors_wait_for = None;
        }
        self.doors_wait_for.is_none()
    }

    /// There is something to do without waiting: do not sleep.
    pub fn has_work(&mut self) -> bool {
        self.is_feed_busy || !self.events.is_empty() || self.floor.has_work()
    }

    /// When [`Self::turn`] must be called at the latest, on the steady clock, if nothing else happens.
    pub fn next_timeout(&self) -> Option<TimeNs> {
        let network = self.networks().filter_map(N::next_timeout).min();
        let sessions = self.floor.timers.next();
        let retry = || self.floor.now().steady.saturating_add_ms(FULL_RING_RETRY_MS);
        let retry = self.floor.is_held_up().then(retry);
        [network, sessions, retry].into_iter().flatten().min()
    }

    /// All networks below: that for everybody, then that for operators if there is one.
    pub fn networks(&self) -> impl Iterator<Item = &N> {
        self.floor.doors.iter().map(|door| &door.network)
    }

    /// The network for everybody but operators.
    pub fn public(&self) -> &N {
        &self.floor.doors[0].network
    }

    /// The network for operators alone.
    pub fn operator(&self) -> Option<&N> {
        self.floor.doors.get(1).map(|door| &door.network)
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
