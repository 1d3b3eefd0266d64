//! What the daemon's threads tell each other besides commands and events.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use joulebook_rings::{Demand, Gate, Wake};
use joulebook_types::SeqNum;
use tokio::sync::watch;

/// How the exchange is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    Running,
    /// It stopped acknowledging; the text says why.
    Faulted(String),
}

/// Shared by all threads of a daemon.
pub struct Control {
    /// Open for as long as the exchange may run.
    running: Gate,
    /// Shut when the core must not go on, whatever it thinks of itself.
    trusted: Gate,
    /// Commands that the journal may forget: up to which.
    compaction: Demand,
    health: watch::Sender<Health>,
    /// The gateways refuse new orders while this is shut. Only the core's thread moves it.
    order_gate: Arc<Gate>,
    /// Whoever must look at `running`.
    wakers: Mutex<Vec<Arc<dyn Wake>>>,
    /// Told whenever the journal stops or begins again to take orders, with the reason.
    on_journal: OnceLock<JournalListener>,
    /// Who makes room when the journal has none.
    on_read_only: OnceLock<Arc<dyn Wake>>,
}

type JournalListener = Box<dyn Fn(Result<&str, &str>) + Send + Sync>;

impl Control {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            running: Gate::open(),
            trusted: Gate::open(),
            compaction: Demand::default(),
            health: watch::Sender::new(Health::Running),
            order_gate: Arc::new(Gate::open()),
            wakers: Mutex::default(),
            on_journal: OnceLock::new(),
            on_read_only: OnceLock::new(),
        })
    }

    /// Who shows how the journal is; one at most.
    pub fn on_journal(&self, listener: JournalListener) {
        assert!(self.on_journal.set(listener).is_ok(), "the journal has one listener");
    }

    fn tell_journal(&self, state: Result<&str, &str>) {
        if let Some(listener) = self.on_journal.get() {
            listener(state);
        }
    }

    /// Who is woken when the journal has no room for new orders any more; one at most.
    pub fn wake_on_read_only(&self, waker: Arc<dyn Wake>) {
        assert!(self.on_read_only.set(waker).is_ok(), "one thread makes room");
    }

    pub fn wake_on_stop(&self, waker: Arc<dyn Wake>) {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner).push(waker);
    }

    pub fn stop(&self) {
        // Before the wakes: whoever looks after its wake must find the gate shut.
        self.running.set(false);
        self.wake_all();
    }

    fn wake_all(&self) {
        for waker in self.wakers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            waker.wake();
        }
    }

    pub fn is_stopping(&self) -> bool {
        !self.running.is_open()
    }

    /// Stops the exchange at its next turn, for a reason that the core itself cannot see.
    pub fn condemn(&self, what: String) {
        self.fault(what);
        self.trusted.set(false);
        self.wake_all();
    }

    pub fn is_condemned(&self) -> bool {
        !self.trusted.is_open()
    }

    /// Lets the core's log forget every command up to `upto`, at its next turn.
    pub fn compact(&self, upto: SeqNum) {
        self.compaction.ask(upto.raw());
        self.wake_all();
    }

    /// What [`Self::compact`] asked for since the last call.
    pub fn take_compaction(&self) -> Option<SeqNum> {
        self.compaction.take().map(SeqNum::new)
    }

    /// What the gateways look at.
    pub fn order_gate(&self) -> Arc<Gate> {
        Arc::clone(&self.order_gate)
    }

    pub fn is_read_only(&self) -> bool {
        !self.order_gate.is_open()
    }

    pub fn set_read_only(&self, is_read_only: bool) {
        if self.order_gate.set(!is_read_only) {
            if is_read_only {
                const FULL: &str = "the disk is full: new orders are refused, cancels are not";
                tracing::warn!("{FULL}");
                self.tell_journal(Err(FULL));
                if let Some(waker) = self.on_read_only.get() {
                    waker.wake();
                }
            } else {
                const ROOM: &str = "the disk has room again: orders are taken";
                tracing::info!("{ROOM}");
                self.tell_journal(Ok(ROOM));
            }
        }
    }

    /// The first fault counts.
    pub fn fault(&self, what: String) {
        self.tell_journal(Err(&what));
        self.health.send_if_modified(|health| {
            let first = *health == Health::Running;
            if first {
                *health = Health::Faulted(what);
            }
            first
        });
    }

    /// To be kept by a thread of the exchange: should it panic, the exchange is faulted, not merely silent.
    pub fn fault_on_panic(self: &Arc<Self>) -> FaultOnPanic {
        FaultOnPanic(Arc::clone(self))
    }

    pub fn health(&self) -> Health {
        self.health.borrow().clone()
    }

    pub fn watch(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }
}

/// See [`Control::fault_on_panic`].
pub struct FaultOnPanic(Arc<Control>);

impl Drop for FaultOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.condemn(
                "an invariant of the exchange broke: nothing more is acknowledged; the journal is whole"
                    .into(),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn the_journals_listener_hears_every_change_once() {
        let control = Control::new();
        let heard: Arc<Mutex<Vec<bool>>> = Arc::default();
        let log = Arc::clone(&heard);
        control.on_journal(Box::new(move |state| log.lock().unwrap().push(state.is_ok())));
        for is_read_only in [false, true, true, false] {
            control.set_read_only(is_read_only);
        }
        control.fault("broken".into());
        assert_eq!(*heard.lock().unwrap(), [false, true, false]);
        assert_eq!(control.health(), Health::Faulted("broken".into()));
    }

    #[test]
    fn the_core_is_asked_once_for_the_most() {
        let control = Control::new();
        assert_eq!(control.take_compaction(), None);
        control.compact(SeqNum::new(9));
        control.compact(SeqNum::new(7));
        assert_eq!(control.take_compaction(), Some(SeqNum::new(9)));
        assert_eq!(control.take_compaction(), None);
    }

    #[test]
    fn a_condemned_exchange_is_faulted_and_woken() {
        struct Woken(AtomicBool);
        impl Wake for Woken {
            fn wake(&self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let (control, woken) = (Control::new(), Arc::new(Woken(AtomicBool::new(false))));
        control.wake_on_stop(Arc::clone(&woken) as Arc<dyn Wake>);
        assert!(!control.is_condemned());
        control.condemn("the shadow differs".into());
        assert!(control.is_condemned() && woken.0.load(Ordering::Relaxed) && !control.is_stopping());
        assert_eq!(control.health(), Health::Faulted("the shadow differs".into()));
    }
}
