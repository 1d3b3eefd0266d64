//! What the daemon's threads tell each other besides commands and events.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use joulebook_rings::{Gate, Wake};
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
    health: watch::Sender<Health>,
    /// The gateways refuse new orders while this is shut. Only the core's thread moves it.
    order_gate: Arc<Gate>,
    /// Whoever must look at `running`.
    wakers: Mutex<Vec<Arc<dyn Wake>>>,
    /// Told whenever the journal stops or begins again to take orders, with the reason.
    on_journal: OnceLock<JournalListener>,
}

type JournalListener = Box<dyn Fn(Result<&str, &str>) + Send + Sync>;

impl Control {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            running: Gate::open(),
            health: watch::Sender::new(Health::Running),
            order_gate: Arc::new(Gate::open()),
            wakers: Mutex::default(),
            on_journal: OnceLock::new(),
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

    pub fn wake_on_stop(&self, waker: Arc<dyn Wake>) {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner).push(waker);
    }

    pub fn stop(&self) {
        // Before the wakes: whoever looks after its wake must find the gate shut.
        self.running.set(false);
        for waker in self.wakers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            waker.wake();
        }
    }

    pub fn is_stopping(&self) -> bool {
        !self.running.is_open()
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
            self.0.fault(
                "an invariant of the exchange broke: nothing more is acknowledged; the journal is whole"
                    .into(),
            );
        }
    }
}

#[cfg(test)]
mod tests {
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
}
