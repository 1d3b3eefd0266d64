//! What the daemon's threads tell each other besides commands and events.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use joulebook_rings::Wake;
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
    stop: AtomicBool,
    health: watch::Sender<Health>,
    /// The gateways refuse new orders while this is true.
    read_only: Arc<AtomicBool>,
    /// Whoever must look at `stop`.
    wakers: Mutex<Vec<Arc<dyn Wake>>>,
}

impl Control {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            stop: AtomicBool::new(false),
            health: watch::Sender::new(Health::Running),
            read_only: Arc::default(),
            wakers: Mutex::default(),
        })
    }

    pub fn wake_on_stop(&self, waker: Arc<dyn Wake>) {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner).push(waker);
    }

    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        for waker in self.wakers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            waker.wake();
        }
    }

    pub fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// What the gateways look at.
    pub fn read_only(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.read_only)
    }

    pub fn is_read_only(&self) -> bool {
        self.read_only.load(Ordering::Acquire)
    }

    /// Written only when it changes, so that the gateways keep it in their caches.
    pub fn set_read_only(&self, is_read_only: bool) {
        if self.read_only.load(Ordering::Relaxed) != is_read_only {
            self.read_only.store(is_read_only, Ordering::Release);
            match is_read_only {
                true => tracing::warn!("the disk is full: new orders are refused, cancels are not"),
                false => tracing::info!("the disk has room again: orders are taken"),
            }
        }
    }

    /// The first fault counts.
    pub fn fault(&self, what: String) {
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
