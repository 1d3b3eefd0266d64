//! The engine itself: its state, its batches, and the one place where commands part.

use joulebook_protocol::messages::Genesis;
use joulebook_protocol::{Command, Origin, SequencedCommand};
use joulebook_types::{SeqNum, TimeNs};

use crate::Events;
use crate::accounts::Accounts;
use crate::hash::EventHash;
use crate::outbox::{Outbox, Position};
use crate::outcomes::OutcomeBudget;
use crate::policy::{Policy, policy};
use crate::sessions::Sessions;
use crate::timers::{Timer, Timers};

/// One shard's market: everything that commands change.
#[derive(Debug)]
pub struct Engine {
    pub(crate) started: bool,
    pub(crate) time: TimeNs,
    pub(crate) last_seq: SeqNum,
    /// When the gateway received the command in hand; zero while timers run.
    pub(crate) received: TimeNs,
    pub(crate) accounts: Accounts,
    pub(crate) sessions: Sessions,
    pub(crate) outcome_budget: OutcomeBudget,
    pub(crate) outbox: Outbox,
    pub(crate) timers: Timers,
    pub(crate) hash: EventHash,
    pub(crate) ignored_commands: u64,
    pub(crate) resend_positions: Vec<Position>,
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl Engine {
    /// An engine that waits for its `Genesis`.
    pub fn new() -> Self {
        Self {
            started: false,
            time: TimeNs::ZERO,
            last_seq: SeqNum::NONE,
            received: TimeNs::ZERO,
            accounts: Accounts::default(),
            sessions: Sessions::default(),
            outcome_budget: OutcomeBudget::default(),
            outbox: Outbox::new(0),
            timers: Timers::default(),
            hash: EventHash::new(),
            ignored_commands: 0,
            resend_positions: Vec::new(),
        }
    }

    /// Time enters only here, with its batch, so a replay sees the same clock. What is due happens before the batch's
    /// commands: a gate that closes now closes to all of them.
    ///
    /// # Panics
    /// When the stream has a gap: `first_seq` is not the number after the last command's.
    pub fn begin_batch(&mut self, first_seq: SeqNum, time: TimeNs, out: &mut Events) {
        assert_eq!(first_seq, self.last_seq.next(), "gap in the sequenced stream");
        self.time = self.time.max(time);
        self.received = TimeNs::ZERO;
        while let Some(timer) = self.timers.pop_due(self.time) {
            self.fire(timer, out);
        }
    }

    /// Applies the next command of the batch.
    pub fn apply(&mut self, command: &SequencedCommand, out: &mut Events) {
        self.last_seq = self.last_seq.next();
        let SequencedCommand { origin, ref command } = *command;
        self.received = origin.received;
        let policy = policy(command);
        if !self.may_come_from(origin, policy, command) {
            return self.ignore();
        }
        match command {
            Command::NewOrder(_) => self.ignore(),
            Command::CancelOrder(_) => self.ignore(),
            Command::ReplaceOrder(_) => self.ignore(),
            Command::MassCancel(_) => self.ignore(),
            Command::TokenOrder(_) => self.ignore(),
            Command::OrderQuery(_) => self.ignore(),
            Command::AccountQuery(_) => self.ignore(),
            Command::MintCredits(_) => self.ignore(),
            Command::RetireCredits(_) => self.ignore(),
            Command::DepositCredits(_) => self.ignore(),
            Command::RegisterCapacity(_) => self.ignore(),
            Command::DeliverSlot(_) => self.ignore(),
            Command::ListInstrument(_) => self.ignore(),
            Command::OpenAccount(open) if origin.account.is_none() => self.open_system_account(open, out),
            Command::OpenAccount(open) => self.request(origin, policy, open, Self::open_account, out),
            Command::SetYield(_) => self.ignore(),
            Command::Genesis(genesis) => self.genesis(genesis),
            Command::SessionOpened(opened) => self.session_opened(origin, opened, out),
            Command::SessionClosed(closed) => self.session_closed(origin, closed, out),
            Command::Restarted(_) => self.restarted(out),
            Command::AdvanceTime(_) => {}
        }
    }

    /// Closes the batch: its number and time enter the chain, so that no two batches look alike.
    pub fn end_batch(&mut self, _out: &mut Events) {
        self.hash.absorb_word(self.last_seq.raw());
        self.hash.absorb_word(self.time.raw());
    }

    /// The next instant at which something happens without a command; a batch at or after it makes it happen.
    pub fn next_deadline(&self) -> Option<TimeNs> {
        self.timers.next_deadline()
    }

    /// The number of the last command applied; zero before the first.
    pub fn last_seq(&self) -> SeqNum {
        self.last_seq
    }

    /// The time of the current batch, or of the last one.
    pub fn time(&self) -> TimeNs {
        self.time
    }

    /// The chained hash of all events up to the end of the last batch.
    pub fn event_chain_hash(&self) -> [u64; 2] {
        self.hash.words()
    }

    /// Whether the engine has seen its `Genesis`.
    pub fn is_started(&self) -> bool {
        self.started
    }

    /// Commands that had no effect because of where they came from. A gateway never causes one.
    pub fn ignored_commands(&self) -> u64 {
        self.ignored_commands
    }

    /// Wrong origins are ignored, not fatal: they can only come from a damaged journal or a defect elsewhere.
    fn may_come_from(&self, origin: Origin, policy: Policy, command: &Command) -> bool {
        let from_system = origin.account.is_none();
        match (policy, command) {
            (Policy::System, Command::Genesis(_)) => from_system && !self.started,
            (Policy::System, _) => from_system && self.started,
            (Policy::AnyOf(_), Command::OpenAccount(_)) => self.started,
            (Policy::Gateway | Policy::Anyone | Policy::AnyOf(_), _) => !from_system && self.started,
        }
    }

    pub(crate) fn ignore(&mut self) {
        self.ignored_commands += 1;
    }

    fn genesis(&mut self, genesis: &Genesis) {
        self.started = true;
        self.accounts = Accounts::new(genesis.accounts_max);
        self.sessions = Sessions::new(genesis.sessions_max);
        self.outbox = Outbox::new(genesis.outbox_events_max);
        self.outcome_budget = OutcomeBudget {
            session_max: genesis.session_outcomes_max as usize,
            total_max: genesis.outcomes_max as usize,
            total: 0,
        };
    }

    fn fire(&mut self, timer: Timer, _out: &mut Events) {
        match timer {
            Timer::Open(_) | Timer::Gate(_) | Timer::Grace(_) => {}
        }
    }
}
