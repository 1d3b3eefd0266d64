//! One turn of the sequencer.

use joulebook_engine::Engine;
use joulebook_journal::{Batch, CommandLog, EventDigest, LogEvent, LogFault, Refused, SnapshotId, Term};
use joulebook_protocol::pipe::{COMMAND_RECORD_BYTES_MAX, COMMAND_SLOT_BYTES, CommandAssembler, CommandSlot};
use joulebook_protocol::{Command, Origin, SequencedCommand, messages};
use joulebook_rings::Consumer;
use joulebook_types::{SeqNum, TimeNs};

use crate::clock::Clock;
use crate::outputs::{Egress, Outputs};
use crate::replay;

/// Slots that one batch takes from the rings at most, which are as many commands unless some are long: few enough that
/// a turn stays short, enough that the journal's group is filled by few turns.
const BATCH_SLOTS_MAX: usize = 512;
/// Bytes by which a slot makes a batch grow at most.
const SLOT_RECORD_BYTES: usize = Batch::record_bytes(COMMAND_SLOT_BYTES);
/// What a batch must be able to hold so that every command fits one.
const BATCH_BYTES_NEEDED: usize = Batch::record_bytes(COMMAND_RECORD_BYTES_MAX) + SLOT_RECORD_BYTES;

/// What the owner may want to count; every method has an empty default.
pub trait CoreObserver {
    /// `commands` were applied in `duration_ns`; the last of them is `seq`.
    fn on_applied(&mut self, _seq: SeqNum, _commands: u32, _duration_ns: u64) {}
    /// `events` left, public ones counted once.
    fn on_released(&mut self, _events: u64) {}
    /// The batch that ended with `seq` became durable `wait_ns` after it was proposed.
    fn on_committed(&mut self, _seq: SeqNum, _wait_ns: u64) {}
    /// The time from a command's arrival at the gateway to its batch.
    fn on_taken(&mut self, _wait_ns: u64) {}
}

/// Observes nothing.
pub struct NoObserver;

impl CoreObserver for NoObserver {}

/// The commands of one gateway.
pub type Ingress = Consumer<CommandSlot>;

/// A ring, and the command of several slots that is being taken from it.
struct Lane {
    ring: Ingress,
    assembler: CommandAssembler,
}

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Something moved: turn again before sleeping.
    Busy,
    /// Nothing to do until a doorbell rings or [`Core::next_deadline`] comes.
    Idle,
    /// The log failed. Nothing was acknowledged that is not durable, and nothing will be any more.
    Faulted,
}

/// The single writer: engine, log, rings in, rings out.
pub struct Core<L, C, O = NoObserver> {
    engine: Engine,
    log: L,
    term: Term,
    clock: C,
    observer: O,
    lanes: Vec<Lane>,
    /// Which ring is asked first: rotates, so no gateway starves another.
    lane_next: usize,
    outputs: Outputs,
    /// A batch that the log could not take yet.
    refused: Option<Batch>,
    spare_batches: Vec<Batch>,
    log_events: Vec<LogEvent>,
    /// What the engine said about the last batch.
    digest: EventDigest,
    time: TimeNs,
    draining: bool,
    fault: Option<LogFault>,
}

impl<L: CommandLog, C: Clock, O: CoreObserver> Core<L, C, O> {
    /// A core around an engine that was replayed to the end of `log`. `egress` is indexed by gateway number; taps
    /// (the console) come after the gateways. The first thing every ring gets is the engine's public state.
    ///
    /// # Panics
    /// When the log takes no batch that is long enough for every command.
    pub fn new(
        engine: Engine,
        log: L,
        term: Term,
        clock: C,
        observer: O,
        ingress: Vec<Ingress>,
        egress: Vec<Egress>,
    ) -> Self {
        assert!(BATCH_BYTES_NEEDED <= log.batch_bytes_max(), "a log that does not take the longest command");
        let lanes = ingress.into_iter().map(|ring| Lane { ring, assembler: CommandAssembler::default() });
        let lanes = lanes.collect();
        let mut outputs = Outputs::new(egress, engine.last_seq());
        outputs.announce(&engine);
        let time = engine.time();
        Self {
            engine,
            log,
            term,
            clock,
            observer,
            lanes,
            lane_next: 0,
            outputs,
            refused: None,
            spare_batches: Vec::new(),
            log_events: Vec::new(),
            digest: EventDigest::default(),
            time,
            draining: false,
            fault: None,
        }
    }

    /// One non-blocking step: what the log says, events out, commands in.
    pub fn turn(&mut self) -> Turn {
        if self.fault.is_some() {
            return Turn::Faulted;
        }
        let mut moved = self.hear_log();
        moved |= self.outputs.release(&mut self.observer);
        self.outputs.restart_taps(&self.engine);
        // No ingress while egress is full: events of commands not taken yet cannot pile up.
        if self.fault.is_none() && !self.outputs.is_blocked() && self.take_commands() {
            moved = true;
            // The local journal numbers at once: apply while the disk works.
            self.hear_log();
            self.outputs.release(&mut self.observer);
        }
        match (self.fault.is_some(), moved) {
            (true, _) => Turn::Faulted,
            (false, true) => Turn::Busy,
            (false, false) => Turn::Idle,
        }
    }

    /// When to turn again even if no doorbell rings.
    pub fn next_deadline(&self) -> Option<TimeNs> {
        // A timer becomes a command: while none can be taken, one that is due must not make its owner spin.
        let timer = self.engine.next_deadline().filter(|_| self.takes_commands());
        [timer, self.log.next_deadline()].into_iter().flatten().min()
    }

    /// Nanoseconds until [`Self::next_deadline`], by the core's own clock.
    pub fn next_wait_ns(&mut self) -> Option<u64> {
        let deadline = self.next_deadline()?;
        Some(deadline.raw().saturating_sub(self.now().raw()))
    }

    /// True when a turn would find commands or room for events; asked between "I am about to sleep" and sleeping.
    pub fn has_work(&mut self) -> bool {
        self.outputs.can_release()
            || (self.takes_commands() && self.lanes.iter_mut().any(|lane| !lane.ring.is_empty()))
    }

    /// A ring out is full. Its reader rings no bell when it makes room: look again soon.
    pub fn is_behind(&self) -> bool {
        self.outputs.is_behind()
    }

    /// New orders should be refused at the door: the log can take only little more. See
    /// [`CommandLog::is_short_of_space`].
    pub fn is_read_only(&self) -> bool {
        self.log.is_short_of_space()
    }

    /// Whoever makes this true again (a reader, the log) does not depend on commands that wait.
    fn takes_commands(&self) -> bool {
        self.refused.is_none() && !self.draining && !self.outputs.is_blocked()
    }

    /// Issues commands of the exchange itself (genesis, restart), ahead of what the rings hold.
    ///
    /// # Panics
    /// When a batch is still waiting: the wiring submits only at start.
    pub fn submit_system(&mut self, commands: &[Command]) {
        assert!(self.refused.is_none(), "system commands come first");
        let mut batch = self.fresh_batch();
        let mut record = Vec::new();
        for command in commands {
            record.clear();
            SequencedCommand { origin: Origin::SYSTEM, command: *command }.encode(&mut record);
            batch.push(&record);
        }
        self.propose(batch);
    }

    /// Takes no more commands; what was taken is finished.
    pub fn begin_shutdown(&mut self) {
        self.draining = true;
    }

    /// Everything that was sent so far is durable and its events are in the rings.
    pub fn is_settled(&mut self) -> bool {
        self.refused.is_none()
            && self.outputs.is_empty()
            && self.lanes.iter_mut().all(|lane| lane.ring.is_empty())
    }

    /// After [`Self::is_settled`]: lets the log write its closing marker. [`Self::turn`] until [`Self::is_closed`].
    pub fn close_log(&mut self) {
        self.log.shutdown();
    }

    pub fn is_closed(&self) -> bool {
        self.log.is_stopped()
    }

    /// Lets the log forget what no recovery needs any more: every command up to `upto` is in a snapshot.
    pub fn compact(&mut self, upto: SeqNum) -> Result<(), LogFault> {
        self.log.compact(upto, SnapshotId::new(upto.raw()))
    }

    pub fn fault(&self) -> Option<&LogFault> {
        self.fault.as_ref()
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The last durable command.
    pub fn committed(&self) -> SeqNum {
        self.outputs.committed()
    }

    pub fn into_engine(self) -> Engine {
        self.engine
    }

    /// Carries out what the log reports. True when it reported anything.
    fn hear_log(&mut self) -> bool {
        let now = self.now();
        let mut events = std::mem::take(&mut self.log_events);
        self.log.poll(now, &mut events);
        let heard = !events.is_empty();
        for event in events.drain(..) {
            match event {
                LogEvent::Appended { first_seq, term: _, batch } => self.apply(first_seq, batch, now),
                LogEvent::Committed { seq, term: _ } => self.outputs.commit(seq, now, &mut self.observer),
                LogEvent::Fault(fault) => self.fault = Some(fault),
                // One node has one role and installs nothing; a proposal of the local log is never in doubt.
                LogEvent::Role { .. } | LogEvent::Install(_) | LogEvent::Unknown(_) => {}
            }
        }
        self.log_events = events;
        heard
    }

    fn apply(&mut self, first_seq: SeqNum, batch: Batch, proposed: TimeNs) {
        let started = self.clock.now();
        let mut events = self.outputs.fresh();
        // A record that we built ourselves a moment ago and cannot read is a bug of ours, not damage.
        let (time, records) = (batch.time(), batch.records());
        replay::apply_batch(&mut self.engine, first_seq, time, records, &mut events, &mut self.digest)
            .expect("own records decode");
        self.log.attest(&self.digest);
        let duration_ns = self.clock.now().raw().saturating_sub(started.raw());
        self.observer.on_applied(self.engine.last_seq(), batch.count(), duration_ns);
        self.outputs.hold(self.engine.last_seq(), proposed, events);
        self.spare_batches.push(batch);
    }

    /// Proposes one batch: what the rings hold, or the time alone when a timer is due. True when something moved.
    fn take_commands(&mut self) -> bool {
        if let Some(batch) = self.refused.take() {
            return self.propose(batch);
        }
        if self.draining {
            return false;
        }
        let mut batch = self.fresh_batch();
        let took = self.fill(&mut batch);
        if batch.is_empty() {
            if self.engine.next_deadline().is_none_or(|due| self.time < due) {
                self.spare_batches.push(batch);
                return took;
            }
            let tick = SequencedCommand {
                origin: Origin::SYSTEM,
                command: Command::AdvanceTime(messages::AdvanceTime::default()),
            };
            let mut record = Vec::new();
            tick.encode(&mut record);
            batch.push(&record);
        }
        self.propose(batch)
    }

    /// Moves commands from the rings into a batch, as many as its bounds in slots and in bytes allow. True when the rings
    /// gave anything, be it a part of a command.
    fn fill(&mut self, batch: &mut Batch) -> bool {
        let now_ns = self.time.raw();
        let batch_bytes_max = self.log.batch_bytes_max();
        let (mut slots_left, mut took) = (BATCH_SLOTS_MAX, false);
        for turn in 0..self.lanes.len() {
            let index = (self.lane_next + turn) % self.lanes.len();
            let Lane { ring, assembler } = &mut self.lanes[index];
            // In bytes, what has come of a long command counts with the slot that completes it.
            let bytes_left = batch_bytes_max - batch.bytes_len();
            let fit = bytes_left.saturating_sub(assembler.held_bytes()) / SLOT_RECORD_BYTES;
            let observer = &mut self.observer;
            let taken = ring.drain_with(slots_left.min(fit), |slot| {
                let Some(record) = assembler.push(slot) else { return };
                let received = Origin::of_record(record).expect("a record begins with its origin").received;
                observer.on_taken(now_ns.saturating_sub(received.raw()));
                batch.push(record);
            });
            slots_left -= taken;
            took |= taken > 0;
        }
        self.lane_next = (self.lane_next + 1) % self.lanes.len().max(1);
        took
    }

    fn propose(&mut self, batch: Batch) -> bool {
        match self.log.propose(self.term, batch) {
            Ok(_ticket) => true,
            Err(Refused { batch, reason: _ }) => {
                // The log is busy writing: the batch keeps its place and its time, and the rings fill behind it.
                self.refused = Some(batch);
                false
            }
        }
    }

    fn fresh_batch(&mut self) -> Batch {
        let mut batch = self.spare_batches.pop().unwrap_or_default();
        let now = self.now();
        batch.clear(now);
        batch
    }

    /// Exchange time: the clock's, but never backwards.
    fn now(&mut self) -> TimeNs {
        self.time = self.time.max(self.clock.now());
        self.time
    }
}
