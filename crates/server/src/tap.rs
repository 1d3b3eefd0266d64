//! The console's reader: a thread that takes public events from its ring as they come.

use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam::sync::Parker;
use joulebook_console::ConsoleState;
use joulebook_protocol::pipe::EventFrame;
use joulebook_rings::{Consumer, Doorbell};

use crate::control::Control;

/// Events handed to the console under one lock.
const BATCH: usize = 1_024;

pub struct Tap {
    thread: JoinHandle<()>,
    bell: Arc<Doorbell>,
}

impl Tap {
    /// Ends when the core has let go of the ring's other end.
    pub fn start(mut events: Consumer<EventFrame>, state: Arc<ConsoleState>, control: &Control) -> Self {
        let parker = Parker::new();
        let waker = Arc::new(parker.unparker().clone());
        control.wake_on_stop(waker.clone());
        let bell = Arc::new(Doorbell::new(waker));
        let own_bell = Arc::clone(&bell);
        let run = move || {
            let mut batch = Vec::with_capacity(BATCH);
            loop {
                batch.clear();
                events.drain_with(BATCH, |event| batch.push(*event));
                if !batch.is_empty() {
                    state.apply_public(batch.iter().map(EventFrame::bytes));
                    continue;
                }
                if events.is_abandoned() {
                    return;
                }
                own_bell.prepare_sleep();
                if events.is_empty() && !events.is_abandoned() {
                    parker.park();
                }
                own_bell.awake();
            }
        };
        let thread = std::thread::Builder::new().name("console-tap".into()).spawn(run);
        Self { thread: thread.expect("a thread for the console"), bell }
    }

    pub fn bell(&self) -> Arc<Doorbell> {
        Arc::clone(&self.bell)
    }

    /// To be called when the core is gone.
    pub fn stop(self) {
        // The core dropped its end without ringing: it had nothing more to say.
        self.bell.ring();
        // A panic there was reported where it happened; the exchange itself is whole.
        let _ = self.thread.join();
    }
}
