//! Connections in memory: bytes arrive at once, as far as there is room for them.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use crossbeam::sync::Parker;
use joulebook_gateway::{
    CoreLink, Entropy, Gateway, GatewayConfig, GatewayLimits, Listener, Listeners, Network, NetworkEvent,
    NetworkTotals, NoEntropy, ReadOutcome, WriteOutcome,
};
use joulebook_protocol::pipe::{CommandSlot, EventFrame};
use joulebook_rings::{Consumer, Doorbell, Gate, Producer, ring};
use joulebook_session::Now;
use joulebook_types::TimeNs;

type Event = NetworkEvent<u32, u32>;

/// A handle to all connections; the gateway has one, and the peers, who are the test, another.
#[derive(Clone, Default)]
pub struct Pipes(Rc<RefCell<Wires>>);

#[derive(Default)]
struct Wires {
    events: VecDeque<Event>,
    next_turn: Vec<(u32, u32)>,
    connections: u32,
    pipes: BTreeMap<(u32, u32), Pipe>,
}

/// One stream.
struct Pipe {
    inbound: VecDeque<u8>,
    is_inbound_over: bool,
    /// The gateway has read all there was: the next bytes are announced.
    is_armed: bool,
    outbound: Vec<u8>,
    /// Bytes that the peer lets wait.
    window: usize,
    is_blocked: bool,
    is_finished: bool,
    is_delivered: bool,
    reset: Option<u32>,
}

impl Pipes {
    pub fn connect(&self) -> u32 {
        let mut wires = self.0.borrow_mut();
        wires.connections += 1;
        let connection = wires.connections - 1;
        wires.events.push_back(Event::Connected { connection });
        connection
    }

    /// A stream whose peer takes `window` bytes before it reads them.
    pub fn open(&self, connection: u32, stream: u32, window: usize) {
        let mut wires = self.0.borrow_mut();
        let pipe = Pipe {
            inbound: VecDeque::new(),
            is_inbound_over: false,
            is_armed: false,
            outbound: Vec::new(),
            window,
            is_blocked: false,
            is_finished: false,
            is_delivered: false,
            reset: None,
        };
        wires.pipes.insert((connection, stream), pipe);
        wires.events.push_back(Event::StreamOpened { connection, stream });
        wires.events.push_back(Event::Readable { connection, stream });
    }

    pub fn send(&self, connection: u32, stream: u32, bytes: &[u8]) {
        let mut wires = self.0.borrow_mut();
        let pipe = wires.pipes.get_mut(&(connection, stream)).expect("a stream of this test");
        pipe.inbound.extend(bytes);
        if !bytes.is_empty() && std::mem::take(&mut pipe.is_armed) {
            wires.events.push_back(Event::Readable { connection, stream });
        }
    }

    /// What has come for the peer, and whether that was the end.
    pub fn receive(&self, connection: u32, stream: u32) -> (Vec<u8>, bool) {
        let mut wires = self.0.borrow_mut();
        let Some(pipe) = wires.pipes.get_mut(&(connection, stream)) else { return (Vec::new(), true) };
        let bytes = std::mem::take(&mut pipe.outbound);
        let is_over = pipe.is_finished || pipe.reset.is_some();
        let is_unblocked = !bytes.is_empty() && std::mem::take(&mut pipe.is_blocked);
        let is_delivered = pipe.is_finished && !std::mem::replace(&mut pipe.is_delivered, pipe.is_finished);
        if is_unblocked {
            wires.events.push_back(Event::Writable { connection, stream });
        }
        if is_delivered {
            wires.events.push_back(Event::Delivered { connection, stream });
        }
        (bytes, is_over)
    }
}

impl Network for Pipes {
    type Connection = u32;
    type Stream = u32;

    fn slot(connection: u32) -> usize {
        connection as usize
    }

    fn receive(&mut self, _now: TimeNs) -> bool {
        let mut wires = self.0.borrow_mut();
        let again = std::mem::take(&mut wires.next_turn);
        wires.events.extend(again.iter().map(|&(connection, stream)| Event::Readable { connection, stream }));
        !wires.events.is_empty()
    }

    fn next_event(&mut self) -> Option<Event> {
        self.0.borrow_mut().events.pop_front()
    }

    fn read(
        &mut self,
        connection: u32,
        stream: u32,
        budget_bytes: usize,
        mut out: impl FnMut(&[u8]),
    ) -> ReadOutcome {
        let mut wires = self.0.borrow_mut();
        let Some(pipe) = wires.pipes.get_mut(&(connection, stream)) else { return ReadOutcome::Lost };
        let count = budget_bytes.min(pipe.inbound.len());
        let bytes: Vec<u8> = pipe.inbound.drain(..count).collect();
        // In small pieces, as they may come.
        bytes.chunks(7).for_each(&mut out);
        if count == budget_bytes {
            wires.next_turn.push((connection, stream));
            return ReadOutcome::More;
        }
        if pipe.is_inbound_over {
            return ReadOutcome::Finished;
        }
        pipe.is_armed = true;
        ReadOutcome::Blocked
    }

    fn write(&mut self, connection: u32, stream: u32, bytes: &[u8]) -> WriteOutcome {
        let mut wires = self.0.borrow_mut();
        let Some(pipe) = wires.pipes.get_mut(&(connection, stream)) else { return WriteOutcome::Lost };
        let taken = bytes.len().min(pipe.window.saturating_sub(pipe.outbound.len()));
        pipe.outbound.extend_from_slice(&bytes[..taken]);
        if taken == bytes.len() {
            return WriteOutcome::All;
        }
        pipe.is_blocked = true;
        WriteOutcome::Blocked { taken }
    }

    fn finish(&mut self, connection: u32, stream: u32) -> bool {
        let mut wires = self.0.borrow_mut();
        let pipe = wires.pipes.get_mut(&(connection, stream));
        pipe.map(|pipe| pipe.is_finished = true).is_some()
    }

    fn reset(&mut self, connection: u32, stream: u32, code: u32) {
        if let Some(pipe) = self.0.borrow_mut().pipes.get_mut(&(connection, stream)) {
            pipe.reset = Some(code);
        }
    }

    fn stop_sending(&mut self, connection: u32, stream: u32, _code: u32) {
        if let Some(pipe) = self.0.borrow_mut().pipes.get_mut(&(connection, stream)) {
            pipe.inbound.clear();
            pipe.is_inbound_over = true;
        }
    }

    fn grow_window(&mut self, _connection: u32, _bytes: u32) {}

    fn stop_accepting(&mut self) {}

    fn close_all(&mut self, _code: u32, _reason: &[u8], _now: TimeNs) {
        let mut wires = self.0.borrow_mut();
        wires.pipes.clear();
        let all = 0..std::mem::take(&mut wires.connections);
        wires.events.extend(all.map(|connection| Event::Closed { connection }));
    }

    fn is_drained(&self) -> bool {
        self.0.borrow().connections == 0
    }

    fn transmit(&mut self, _now: TimeNs) {}

    fn next_timeout(&self) -> Option<TimeNs> {
        None
    }

    fn has_work(&self) -> bool {
        let wires = self.0.borrow();
        !wires.events.is_empty() || !wires.next_turn.is_empty()
    }

    fn open_connections(&self) -> usize {
        self.0.borrow().connections as usize
    }

    fn totals(&self) -> NetworkTotals {
        NetworkTotals { accepted: u64::from(self.0.borrow().connections), ..NetworkTotals::default() }
    }
}

/// Counts up: for tests alone.
struct Counting(u8);

impl Entropy for Counting {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
        self.0 += 1;
        bytes.fill(self.0);
        Ok(())
    }
}

/// A gateway on pipes, and the other ends of its rings.
pub struct World {
    pub gateway: Gateway<Pipes>,
    pub pipes: Pipes,
    _commands: Consumer<CommandSlot>,
    pub events: Producer<EventFrame>,
}

impl World {
    pub fn new(now: Now) -> Self {
        let pipes = Pipes::default();
        let listeners =
            Listeners { public: Listener { network: pipes.clone(), leaf_sha256: [7; 32] }, operator: None };
        let (commands_in, _commands) = ring(1_024);
        let (events, events_out) = ring(1_024);
        let link = CoreLink {
            commands: commands_in,
            core_bell: Arc::new(Doorbell::new(Arc::new(Parker::new().unparker().clone()))),
            events: events_out,
            order_gate: Arc::new(Gate::open()),
            metrics: Arc::default(),
        };
        let config = GatewayConfig { number: 1, limits: GatewayLimits::default(), feed_epoch: 1 };
        let gateway = Gateway::new(config, listeners, link, Box::new(Counting(0)), now);
        Self { gateway: gateway.expect("rings that are long enough"), pipes, _commands, events }
    }

    pub fn settle(&mut self, now: Now) {
        while self.gateway.turn(now) || self.gateway.has_work() {}
    }
}
