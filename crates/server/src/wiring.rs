//! Where the steps run: gateway and core in turns on one thread, or each on its own with rings between.
//!
//! Both wirings make the same steps in the same order; they differ in who sleeps where.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::Sender;
use crossbeam::sync::Parker;
use joulebook_engine::Engine;
use joulebook_gateway::{Gateway, SteadyClock};
use joulebook_journal::CommandLog;
use joulebook_rings::{Doorbell, Gate, Wake};
use joulebook_sequencer::{Clock, Core, ExchangeClock, Turn};
use joulebook_session::Now;
use joulebook_sys::{EventFd, PollSet, Readiness};

use crate::clock::SystemClock;
use crate::control::Control;
use crate::observer::MetricsObserver;

/// The core over any log: the local journal, or memory for benchmarks.
pub type ExchangeCore = Core<Box<dyn CommandLog + Send>, ExchangeClock<SystemClock>, MetricsObserver>;

/// How long a stopping exchange waits for peers to take what was sent to them.
const GOODBYE: Duration = Duration::from_secs(2);
/// How long a stopping exchange goes on while peers keep sending or the disk does not answer, in the hope of a moment
/// in which everything is answered.
const SETTLE: Duration = Duration::from_secs(1);
/// Readers ring no bell when they make room in a ring that was full, which is rare: the core looks again after this.
const FULL_RING_RETRY: Duration = Duration::from_millis(1);

/// An eventfd as a waker: it stays readable until its thread drains it, so no wake is lost.
pub struct FdWake(pub Arc<EventFd>);

impl Wake for FdWake {
    fn wake(&self) {
        self.0.notify();
    }
}

/// What a gateway's thread tells the time by.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    pub exchange: ExchangeClock<SystemClock>,
    /// The gateway's deadlines, and those of the network below it.
    pub steady: SteadyClock,
}

impl Clocks {
    pub fn read(&mut self, instant: Instant) -> Now {
        Now { steady: self.steady.time(instant), wall: self.exchange.now() }
    }
}

/// Tells the starter and the gateway, once, that the first commands are durable and everybody knows what they made.
pub struct Ready {
    starter: Option<Sender<()>>,
    doors: Arc<Gate>,
}

impl Ready {
    /// `doors` is what the gateway waits for.
    pub fn new(starter: Sender<()>, doors: Arc<Gate>) -> Self {
        Self { starter: Some(starter), doors }
    }

    fn tell_if(&mut self, is_ready: impl FnOnce() -> bool) {
        if self.starter.is_some() && is_ready() {
            self.doors.set(true);
            // Dropping the sender is the message.
            self.starter = None;
        }
    }
}

/// Gateway and core on this thread, until told to stop. Returns the engine as it was at the end.
pub fn run_inline(
    mut gateway: Gateway,
    mut core: ExchangeCore,
    mut clocks: Clocks,
    fd: &EventFd,
    control: &Control,
    mut ready: Ready,
) -> Engine {
    let (mut settle_by, mut goodbye): (Option<Instant>, Option<Instant>) = (None, None);
    loop {
        if obey(&mut core, control) {
            return core.into_engine();
        }
        let now = Instant::now();
        let mut moved = gateway.turn(clocks.read(now));
        match core.turn() {
            Turn::Busy => moved = true,
            Turn::Idle => {}
            Turn::Faulted => return fault(core, control),
        }
        control.set_read_only(core.is_read_only());
        ready.tell_if(|| core.is_settled());
        if control.is_stopping() {
            match goodbye {
                None => {
                    // What was received is finished first: its acknowledgements go out with the goodbye.
                    let patience = *settle_by.get_or_insert(now + SETTLE);
                    if (!moved && core.is_settled()) || patience <= now {
                        gateway.begin_shutdown();
                        goodbye = Some(now + GOODBYE);
                        moved = true;
                    }
                }
                Some(deadline) => {
                    if gateway.is_finished() || deadline <= now {
                        return close(core, control, &|deadline| {
                            let mut set = PollSet::new();
                            wait_for(&mut set, fd, deadline);
                        });
                    }
                }
            }
        }
        if !moved && !gateway.has_work() {
            let other = [goodbye.or(settle_by), retry(&core)].into_iter().flatten().min();
            let deadline = earliest(next_timeout(&gateway, &clocks), core.next_wait_ns(), other);
            sleep_on_sockets(&gateway, fd, deadline);
        }
    }
}

/// The gateway's thread of the threaded wiring.
pub fn run_gateway(
    mut gateway: Gateway,
    mut clocks: Clocks,
    fd: &EventFd,
    bell: &Doorbell,
    control: &Control,
) {
    let (mut settle_by, mut goodbye): (Option<Instant>, Option<Instant>) = (None, None);
    loop {
        let now = Instant::now();
        let moved = gateway.turn(clocks.read(now));
        if control.is_stopping() {
            let patience = *settle_by.get_or_insert(now + SETTLE);
            match goodbye {
                None if !moved || patience <= now => {
                    gateway.begin_shutdown();
                    goodbye = Some(now + GOODBYE);
                    continue;
                }
                Some(deadline) if gateway.is_finished() || deadline <= now => return,
                None | Some(_) => {}
            }
        }
        if !moved {
            bell.prepare_sleep();
            if !gateway.has_work() {
                sleep_on_sockets(&gateway, fd, earliest(next_timeout(&gateway, &clocks), None, goodbye));
            }
            bell.awake();
        }
    }
}

/// The core's thread of the threaded wiring. `gateways_done` says whether every gateway thread has ended.
pub fn run_core(
    mut core: ExchangeCore,
    parker: &Parker,
    bell: &Doorbell,
    control: &Control,
    gateways_done: &dyn Fn() -> bool,
    mut ready: Ready,
) -> Engine {
    let mut settle_by: Option<Instant> = None;
    loop {
        if obey(&mut core, control) {
            return core.into_engine();
        }
        let turn = core.turn();
        control.set_read_only(core.is_read_only());
        match turn {
            Turn::Busy => continue,
            Turn::Idle => {}
            Turn::Faulted => return fault(core, control),
        }
        ready.tell_if(|| core.is_settled());
        if control.is_stopping() && gateways_done() {
            let now = Instant::now();
            if core.is_settled() || *settle_by.get_or_insert(now + SETTLE) <= now {
                return close(core, control, &|deadline| park(parker, deadline));
            }
        }
        bell.prepare_sleep();
        if !core.has_work() {
            // While stopping, a gateway that ends rings no bell: look again soon.
            let soon = control.is_stopping().then(|| Instant::now() + Duration::from_millis(5));
            park(parker, earliest(soon, core.next_wait_ns(), retry(&core)));
        }
        bell.awake();
    }
}

/// What other threads ask of the core. True when it must not go on.
fn obey(core: &mut ExchangeCore, control: &Control) -> bool {
    if let Some(upto) = control.take_compaction()
        && let Err(error) = core.compact(upto)
    {
        tracing::warn!("journal files that no snapshot needs stay: {error}");
    }
    control.is_condemned()
}

/// Makes everything durable and writes the closing marker. `wait` sleeps until the disk wakes it or a deadline comes.
fn close(mut core: ExchangeCore, control: &Control, wait: &dyn Fn(Option<Instant>)) -> Engine {
    core.begin_shutdown();
    core.close_log();
    while !core.is_closed() {
        match core.turn() {
            Turn::Faulted => return fault(core, control),
            Turn::Busy => {}
            // The turn may have taken the last completion, after which nobody wakes us any more.
            Turn::Idle if core.is_closed() => break,
            Turn::Idle => wait(earliest(None, core.next_wait_ns(), None)),
        }
    }
    core.into_engine()
}

fn fault(core: ExchangeCore, control: &Control) -> Engine {
    let what = core.fault().map_or_else(|| "the exchange stopped".to_owned(), ToString::to_string);
    control.fault(what);
    core.into_engine()
}

fn next_timeout(gateway: &Gateway, clocks: &Clocks) -> Option<Instant> {
    gateway.next_timeout().map(|at| clocks.steady.instant(at))
}

fn sleep_on_sockets(gateway: &Gateway, fd: &EventFd, deadline: Option<Instant>) {
    let mut set = PollSet::new();
    for (socket, wants_write) in gateway.poll_fds() {
        set.add(socket, if wants_write { Readiness::BOTH } else { Readiness::READABLE });
    }
    wait_for(&mut set, fd, deadline);
}

fn wait_for<'fd>(set: &mut PollSet<'fd>, fd: &'fd EventFd, deadline: Option<Instant>) {
    set.add(fd.as_fd(), Readiness::READABLE);
    let timeout = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let timeout_ns = timeout.map(|timeout| u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX));
    set.wait(timeout_ns).expect("our own descriptors can be waited for");
    fd.drain();
}

/// When a core with a full ring looks for room.
fn retry(core: &ExchangeCore) -> Option<Instant> {
    core.is_behind().then(|| Instant::now() + FULL_RING_RETRY)
}

fn park(parker: &Parker, deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => parker.park_deadline(deadline),
        None => parker.park(),
    }
}

/// The next moment at which somebody must turn: timers of the sockets, of the exchange, of the goodbye.
fn earliest(socket: Option<Instant>, core_wait_ns: Option<u64>, other: Option<Instant>) -> Option<Instant> {
    let core = core_wait_ns.map(|wait| Instant::now() + Duration::from_nanos(wait.min(AN_HOUR_NS)));
    [socket, core, other].into_iter().flatten().min()
}

/// No sleep is longer: far deadlines, such as the gate of a window next century, do not fit an `Instant`.
const AN_HOUR_NS: u64 = 3_600_000_000_000;

#[cfg(test)]
mod tests {
    use std::thread::JoinHandle;

    use crossbeam::channel::{Receiver, bounded};
    use joulebook_journal::{Batch, LogEvent, LogFault, MemoryLog, Refused, SnapshotId, Term, Ticket};
    use joulebook_metrics::ServerMetrics;
    use joulebook_protocol::Command;
    use joulebook_protocol::messages::{Genesis, OpenAccount};
    use joulebook_protocol::pipe::{CommandSlot, EventFrame};
    use joulebook_rings::{Consumer, Producer, ring};
    use joulebook_sequencer::{Egress, EgressKind};
    use joulebook_types::{AccountId, Role, Roles, SeqNum, ShardId, TimeNs};

    use super::*;
    use crate::control::Health;

    const ACCOUNTS: u32 = 40;

    fn first_commands() -> Vec<Command> {
        let genesis = Genesis {
            shard: ShardId::new(1),
            accounts_max: ACCOUNTS,
            sessions_max: 8,
            instruments_max: 8,
            orders_max: 8,
            outbox_events_max: 64,
            session_outcomes_max: 64,
            outcomes_max: 64,
            area: joulebook_types::AreaCode::NONE,
            reserved: 0,
        };
        let account = |number| {
            let roles = Roles::from_iter([Role::Buyer]).bits();
            let account = AccountId::new(number);
            Command::OpenAccount(OpenAccount { account, roles, ..OpenAccount::default() })
        };
        std::iter::once(Command::Genesis(genesis)).chain((1..=ACCOUNTS).map(account)).collect()
    }

    /// A core on a thread of its own, and the other ends of what it has.
    struct Running {
        control: Arc<Control>,
        thread: JoinHandle<Engine>,
        reader: Consumer<EventFrame>,
        started: Receiver<()>,
        /// The core would stop if nobody could send commands.
        _commands: Producer<CommandSlot>,
    }

    fn run(log: Box<dyn CommandLog + Send>) -> Running {
        let parker = Parker::new();
        let bell = |wake| Arc::new(Doorbell::new(Arc::new(wake)));
        let (commands, ingress) = ring(4);
        let (events, reader) = ring(4);
        let egress =
            Egress { kind: EgressKind::Tap, ring: events, bell: bell(Parker::new().unparker().clone()) };
        let observer = MetricsObserver::new(ServerMetrics::new(1).core(), None);
        let clock = ExchangeClock::starting_after(SystemClock, TimeNs::ZERO);
        let (engine, term) = (Engine::new(), Term::new(1));
        let mut core = Core::new(engine, log, term, clock, observer, vec![ingress], vec![egress]);
        core.submit_system(&first_commands());

        let control = Control::new();
        control.wake_on_stop(Arc::new(parker.unparker().clone()));
        let core_bell = bell(parker.unparker().clone());
        let (starter, started) = bounded(0);
        let ready = Ready::new(starter, Arc::new(Gate::shut()));
        let thread = std::thread::spawn({
            let control = Arc::clone(&control);
            move || run_core(core, &parker, &core_bell, &control, &|| true, ready)
        });
        Running { control, thread, reader, started, _commands: commands }
    }

    impl Running {
        /// Reads until everything is out, in pieces between which the core falls asleep.
        fn read_all(&mut self) {
            let deadline = Instant::now() + Duration::from_secs(20);
            let mut seen = 0;
            while seen < ACCOUNTS as usize {
                assert!(
                    Instant::now() < deadline,
                    "the core sleeps although there is room; {seen} events came"
                );
                // Time for the core to fall asleep before a ring that is full, which nothing tells.
                std::thread::park_timeout(Duration::from_millis(2));
                seen += self.reader.drain_with(usize::MAX, |_| {});
            }
            assert!(self.started.recv().is_err(), "ready, because everything is out");
        }
    }

    fn memory() -> MemoryLog {
        MemoryLog::new(Term::new(1), 1 << 20)
    }

    #[test]
    fn a_core_behind_a_full_ring_goes_on_by_itself() {
        let mut running = run(Box::new(memory()));
        running.read_all();
        running.control.stop();
        assert_eq!(running.thread.join().unwrap().last_seq().raw(), u64::from(ACCOUNTS) + 1);
    }

    /// A log that notes what it may forget.
    struct Forgetful {
        log: MemoryLog,
        upto: Sender<SeqNum>,
    }

    impl CommandLog for Forgetful {
        fn propose(&mut self, term: Term, batch: Batch) -> Result<Ticket, Refused> {
            self.log.propose(term, batch)
        }

        fn poll(&mut self, now: TimeNs, out: &mut Vec<LogEvent>) {
            self.log.poll(now, out);
        }

        fn next_deadline(&self) -> Option<TimeNs> {
            self.log.next_deadline()
        }

        fn batch_bytes_max(&self) -> usize {
            self.log.batch_bytes_max()
        }

        fn compact(&mut self, upto: SeqNum, snapshot: SnapshotId) -> Result<(), LogFault> {
            assert_eq!(snapshot.raw(), upto.raw());
            self.upto.send(upto).unwrap();
            Err(LogFault::NotSupported("forgetting"))
        }

        fn shutdown(&mut self) {
            self.log.shutdown();
        }

        fn is_stopped(&self) -> bool {
            self.log.is_stopped()
        }
    }

    #[test]
    fn a_sleeping_core_hears_what_to_forget_and_when_to_stop_at_once() {
        let (upto, told) = bounded(4);
        let mut running = run(Box::new(Forgetful { log: memory(), upto }));
        running.read_all();
        let patience = Duration::from_secs(20);
        for seq in [7, 30] {
            running.control.compact(SeqNum::new(seq));
            assert_eq!(told.recv_timeout(patience), Ok(SeqNum::new(seq)));
        }
        assert!(!running.thread.is_finished(), "that a log cannot forget is no reason to stop");
        running.control.condemn("the shadow differs".into());
        // Nobody tells it to stop in order, and it writes no closing marker.
        assert_eq!(running.thread.join().unwrap().last_seq().raw(), u64::from(ACCOUNTS) + 1);
        assert_eq!(running.control.health(), Health::Faulted("the shadow differs".into()));
    }
}
