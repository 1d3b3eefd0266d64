//! Output commit: events wait here until their command is durable, then go to the rings in order.

use std::collections::VecDeque;
use std::sync::Arc;

use joulebook_engine::{Destination, Engine, Events};
use joulebook_protocol::pipe::EventFrame;
use joulebook_rings::{Doorbell, Producer};
use joulebook_types::{SeqNum, TimeNs};

use crate::CoreObserver;
use crate::backlog::Backlog;

/// Who reads a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EgressKind {
    /// Gets public events and those of its own connections.
    Gateway,
    /// Gets public events only.
    Tap,
}

/// One ring out and the bell that wakes its reader.
///
/// A gateway's full ring stops the core until there is room: what a session must hear is never dropped. A tap's never
/// does: see [`Backlog`].
pub struct Egress {
    pub kind: EgressKind,
    pub ring: Producer<EventFrame>,
    pub bell: Arc<Doorbell>,
}

impl Egress {
    /// No room now, and a reader that will make some and must miss nothing.
    fn is_full(&mut self) -> bool {
        self.kind == EgressKind::Gateway && self.ring.free() == 0 && !self.ring.is_abandoned()
    }
}

/// The events of one batch, and how far they have been let out.
struct Held {
    seq: SeqNum,
    proposed: TimeNs,
    events: Events,
    released_bytes: usize,
}

pub(crate) struct Outputs {
    egress: Vec<Egress>,
    /// Of each ring; those of gateways stay empty.
    backlogs: Vec<Backlog>,
    /// Which rings got something since their bell last rang.
    touched: Vec<bool>,
    held: VecDeque<Held>,
    /// How many of `held`, from the front, the observer knows to be durable.
    observed: usize,
    spare: Vec<Events>,
    committed: SeqNum,
    blocked: bool,
}

impl Outputs {
    pub fn new(egress: Vec<Egress>, committed: SeqNum) -> Self {
        let touched = vec![false; egress.len()];
        let backlogs = egress.iter().map(|_| Backlog::default()).collect();
        Self {
            egress,
            backlogs,
            touched,
            held: VecDeque::new(),
            observed: 0,
            spare: Vec::new(),
            committed,
            blocked: false,
        }
    }

    /// Tells every reader what the engine already holds.
    pub fn announce(&mut self, engine: &Engine) {
        let mut events = self.fresh();
        engine.publish_state(&mut events);
        self.hold(engine.last_seq(), engine.time(), events);
    }

    pub fn fresh(&mut self) -> Events {
        self.spare.pop().unwrap_or_default()
    }

    /// Keeps the events of the commands up to `seq` until [`Self::commit`] reaches it.
    pub fn hold(&mut self, seq: SeqNum, proposed: TimeNs, events: Events) {
        self.held.push_back(Held { seq, proposed, events, released_bytes: 0 });
    }

    pub fn commit(&mut self, seq: SeqNum, now: TimeNs, observer: &mut impl CoreObserver) {
        assert!(self.committed <= seq, "durability never goes back");
        self.committed = seq;
        while let Some(held) = self.held.get(self.observed).filter(|held| held.seq <= seq) {
            observer.on_committed(held.seq, now.raw().saturating_sub(held.proposed.raw()));
            self.observed += 1;
        }
    }

    /// Moves durable events to the rings until they are all out or a ring is full. True when any moved.
    pub fn release(&mut self, observer: &mut impl CoreObserver) -> bool {
        let mut moved = 0;
        self.blocked = false;
        for ((egress, backlog), touched) in
            self.egress.iter_mut().zip(&mut self.backlogs).zip(&mut self.touched)
        {
            *touched |= backlog.drain(&mut egress.ring);
        }
        while let Some(held) = self.held.front_mut().filter(|held| held.seq <= self.committed) {
            while let Some((record, next)) = held.events.record_at(held.released_bytes) {
                let rings = (&mut self.egress, &mut self.backlogs, &mut self.touched);
                if !offer(rings, record.destination, record.frame) {
                    self.blocked = true;
                    break;
                }
                held.released_bytes = next;
                moved += 1;
            }
            if self.blocked {
                break;
            }
            let mut done = self.held.pop_front().expect("the front was just there");
            self.observed = self.observed.saturating_sub(1);
            done.events.clear();
            self.spare.push(done.events);
        }
        for (egress, touched) in self.egress.iter().zip(&mut self.touched) {
            if std::mem::take(touched) {
                egress.bell.ring();
            }
        }
        if moved > 0 {
            observer.on_released(moved);
        }
        moved > 0
    }

    /// Lets taps that lost events begin anew, once nothing waits to be durable: the engine then holds nothing that
    /// the public may not see yet.
    pub fn restart_taps(&mut self, engine: &Engine) {
        if !self.held.is_empty() || !self.backlogs.iter().any(Backlog::is_lost) {
            return;
        }
        let mut state = self.fresh();
        engine.publish_state(&mut state);
        for backlog in self.backlogs.iter_mut().filter(|backlog| backlog.is_lost()) {
            backlog.restart(&state);
        }
        state.clear();
        self.spare.push(state);
    }

    /// A gateway's ring was full at the last release.
    pub fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// A reader is behind: look again soon, for nothing tells that it has caught up.
    pub fn is_behind(&self) -> bool {
        self.blocked || self.backlogs.iter().any(Backlog::is_behind)
    }

    /// A release would move something now.
    pub fn can_release(&mut self) -> bool {
        let durable = self.held.front().is_some_and(|held| held.seq <= self.committed);
        durable && (!self.blocked || !self.egress.iter_mut().any(Egress::is_full))
    }

    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub fn committed(&self) -> SeqNum {
        self.committed
    }
}

/// Rings, their backlogs, and which of them got something.
type Rings<'a> = (&'a mut Vec<Egress>, &'a mut Vec<Backlog>, &'a mut Vec<bool>);

/// Puts one record into every ring that it is for, or into none.
fn offer((egress, backlogs, touched): Rings<'_>, destination: Destination, frame: &[u8]) -> bool {
    match destination {
        Destination::Public => {
            if egress.iter_mut().any(Egress::is_full) {
                return false;
            }
            let event = EventFrame::new(None, frame);
            for ((egress, backlog), touched) in egress.iter_mut().zip(backlogs).zip(touched) {
                *touched |= match egress.kind {
                    EgressKind::Gateway => egress.ring.try_push(event).is_ok(),
                    EgressKind::Tap => backlog.offer(&mut egress.ring, event),
                };
            }
            true
        }
        Destination::Connection(connection) => {
            let gateway = usize::from(connection.gateway());
            let Some(egress) = egress.get_mut(gateway).filter(|egress| egress.kind == EgressKind::Gateway)
            else {
                // A connection of an earlier process with more gateways: nobody is there to read.
                return true;
            };
            if egress.is_full() {
                return false;
            }
            touched[gateway] |= egress.ring.try_push(EventFrame::new(Some(connection), frame)).is_ok();
            true
        }
    }
}
