//! What all parts of a run share: its time, its trace, and counts of what happened.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::clock::WorldTime;
use crate::trace::Trace;

/// A handle; clones are the same scene.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    pub time: WorldTime,
    trace: Rc<RefCell<Trace>>,
    counts: Rc<RefCell<Counts>>,
}

/// How often things happened, by name.
pub type Counts = BTreeMap<&'static str, u64>;

impl Scene {
    /// A scene that keeps the text of its trace, or only the hash.
    pub fn new(recording: bool) -> Self {
        let trace = if recording { Trace::recording() } else { Trace::default() };
        Self { trace: Rc::new(RefCell::new(trace)), ..Self::default() }
    }

    /// World time.
    pub fn now(&self) -> u64 {
        self.time.now()
    }

    /// Tells the trace of a fact.
    pub fn note(&self, kind: &'static str, words: &[u64], text: impl FnOnce() -> String) {
        self.trace.borrow_mut().note(self.now(), kind, words, text);
    }

    /// Counts a fact that is not worth a line.
    pub fn count(&self, what: &'static str) {
        self.count_many(what, 1);
    }

    pub fn count_many(&self, what: &'static str, times: u64) {
        *self.counts.borrow_mut().entry(what).or_default() += times;
    }

    pub fn counts(&self) -> Counts {
        self.counts.borrow().clone()
    }

    /// Of everything noted so far.
    pub fn hash(&self) -> [u64; 2] {
        self.trace.borrow().hash()
    }

    /// The text of the trace, if it is kept.
    pub fn lines(&self) -> Vec<String> {
        self.trace.borrow().lines().to_vec()
    }
}
