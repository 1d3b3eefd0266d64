//! The engine itself: its state and its batches.

use joulebook_book::Slot;
use joulebook_ledger::Ledger;
use joulebook_protocol::messages::{Genesis, LegDone};
use joulebook_types::{OrderId, SeqNum, TimeNs, TradeId};

use crate::Events;
use crate::accounts::Accounts;
use crate::auction::CallMemory;
use crate::audit::Idle;
use crate::caps::OpenBids;
use crate::dry_walk::DryWalk;
use crate::hash::EventHash;
use crate::instruments::Instruments;
use crate::kill_switch::Disabled;
use crate::legs::Leg;
use crate::orders::Orders;
use crate::outbox::{Outbox, Position};
use crate::outcomes::OutcomeBudget;
use crate::protection::Protections;
use crate::random::Random;
use crate::sessions::Sessions;
use crate::stop_book::Stops;
use crate::timers::Timers;
use crate::token_walk::TokenWalk;
use crate::yields::Yields;

/// One shard's market: everything that commands change.
#[derive(Debug)]
pub struct Engine {
    pub(crate) started: bool,
    /// As `Genesis` said.
    pub(crate) limits: Genesis,
    pub(crate) time: TimeNs,
    pub(crate) last_seq: SeqNum,
    /// When the gateway received the command in hand; zero while timers run.
    pub(crate) received: TimeNs,
    /// Counts commands, entries of batches and timers: what happens at once has one number.
    pub(crate) step: u64,
    pub(crate) last_order_id: OrderId,
    pub(crate) last_trade_id: TradeId,
    pub(crate) accounts: Accounts,
    pub(crate) ledger: Ledger,
    pub(crate) instruments: Instruments,
    pub(crate) yields: Yields,
    pub(crate) orders: Orders,
    pub(crate) stops: Stops,
    pub(crate) sessions: Sessions,
    pub(crate) open_bids: OpenBids,
    pub(crate) disabled: Disabled,
    pub(crate) protections: Protections,
    pub(crate) outcome_budget: OutcomeBudget,
    pub(crate) outbox: Outbox,
    pub(crate) timers: Timers,
    pub(crate) random: Random,
    pub(crate) hash: EventHash,
    pub(crate) ignored_commands: u64,
    /// Events of sessions that nobody is logged on to come out too.
    pub(crate) tells_all: bool,
    /// Memory of commands that need some, used again.
    pub(crate) resend_positions: Vec<Position>,
    pub(crate) dry_walk: DryWalk,
    pub(crate) token_walk: TokenWalk,
    /// What the end of the batch asserts.
    pub(crate) idle: Idle,
    pub(crate) stop_slots: Vec<(OrderId, Slot)>,
    pub(crate) pulled_quotes: Vec<Slot>,
    pub(crate) legs: Vec<Leg>,
    pub(crate) leg_reports: Vec<LegDone>,
    /// By slot asset: zeros, but while legs are checked.
    pub(crate) slot_needs: Vec<u64>,
    pub(crate) call_memory: CallMemory,
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
            limits: Genesis::default(),
            time: TimeNs::ZERO,
            last_seq: SeqNum::NONE,
            received: TimeNs::ZERO,
            step: 0,
            last_order_id: OrderId::NONE,
            last_trade_id: TradeId::NONE,
            accounts: Accounts::default(),
            ledger: Ledger::default(),
            instruments: Instruments::default(),
            yields: Yields::default(),
            orders: Orders::default(),
            stops: Stops::default(),
            sessions: Sessions::default(),
            open_bids: OpenBids::default(),
            disabled: Disabled::default(),
            protections: Protections::default(),
            outcome_budget: OutcomeBudget::default(),
            outbox: Outbox::new(0),
            timers: Timers::default(),
            random: Random::default(),
            hash: EventHash::new(),
            ignored_commands: 0,
            tells_all: false,
            resend_positions: Vec::new(),
            dry_walk: DryWalk::default(),
            token_walk: TokenWalk::default(),
            idle: Idle::default(),
            stop_slots: Vec::new(),
            pulled_quotes: Vec::new(),
            legs: Vec::new(),
            leg_reports: Vec::new(),
            slot_needs: Vec::new(),
            call_memory: CallMemory::default(),
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
            self.step += 1;
            self.fire(timer, out);
            self.end_step(out);
        }
    }

    /// Closes the batch: its number and time enter the chain, so that no two batches look alike.
    ///
    /// # Panics
    /// When credits or capacity were made or lost, or a hold outlived its order: nothing may be acknowledged after that.
    pub fn end_batch(&mut self, _out: &mut Events) {
        self.ledger.check().expect("credits and capacity are conserved");
        self.assert_idle_hold_nothing();
        self.hash.absorb_batch(self.last_seq.raw(), self.time.raw());
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
    pub(crate) fn ignore(&mut self) {
        self.ignored_commands += 1;
    }

    pub(crate) fn next_order_id(&mut self) -> OrderId {
        self.last_order_id = self.last_order_id.next();
        self.last_order_id
    }

    /// Empty tables of the sizes that the limits say.
    pub(crate) fn genesis(&mut self, genesis: &Genesis) {
        self.started = true;
        self.limits = *genesis;
        self.accounts = Accounts::new(genesis.accounts_max);
        self.sessions = Sessions::new(genesis.sessions_max);
        self.instruments = Instruments::new(genesis.instruments_max);
        self.orders = Orders::new(genesis.orders_max);
        self.outbox = Outbox::new(genesis.outbox_events_max);
        self.outcome_budget =
            OutcomeBudget::new(genesis.session_outcomes_max as usize, genesis.outcomes_max as usize);
    }
}
