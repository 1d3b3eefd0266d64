//! The full check: everything that is kept as a running figure, counted again from the ground.

use std::collections::BTreeMap;

use joulebook_book::Slot;
use joulebook_ledger::{AccountIx, AssetIx};
use joulebook_types::{AccountId, InstrumentId, MicroEc, Phase, SessionId, Side, SlotHint};

use crate::Engine;
use crate::accounts::Account;
use crate::holds::Hold;
use crate::instruments::InstrumentIx;
use crate::orders::Place;

/// What does not add up. Any of these is a defect of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imbalance {
    /// Credits or capacity are not conserved.
    Ledger(joulebook_ledger::Imbalance),
    /// A book's levels are not its orders, or it is crossed while it is open.
    Book { instrument: InstrumentId },
    /// Slab, index, books and sessions know different numbers of orders.
    Orders { slab: usize, index: usize, books: usize, sessions: usize },
    /// A session's list of orders is not its orders, or its quotes are not where its table says.
    Session { account: AccountId, session: SessionId },
    /// An account's held credits are not what its open bids promise, in micro-EC.
    HeldCredits { account: AccountId, held: MicroEc, promised: i128 },
    /// An account's held capacity is not what its open asks promise.
    HeldCapacity { account: AccountId },
    /// What an account's open orders are worth, how many they are, or what its bids want is not the running figure.
    Open { account: AccountId },
    /// There are figures of open bids that no bid is behind.
    OpenBids { counted: usize, running: usize },
    /// What a session remembers of whether it enters orders freely is not what follows from its state.
    Entry { session: SessionId },
    /// The number of retained outcomes is not what the sessions retain.
    Outcomes { counted: usize, running: usize },
}

/// What an account's open orders come to. Summed so widely that no state whatsoever overflows it.
#[derive(Debug, Default)]
pub(crate) struct OpenFigures {
    pub(crate) orders: u32,
    /// Price times open lots, in micro-EC.
    pub(crate) value: i128,
    /// What bids hold, in micro-EC.
    credits: i128,
    /// Accelerators that asks hold, by the place of their instrument.
    sold: BTreeMap<u32, u128>,
    /// Accelerators that bids want, by the place of their instrument.
    pub(crate) bought: BTreeMap<u32, u128>,
}

impl Engine {
    /// Counts everything again. Linear in the whole state: for snapshots, tests and reports.
    pub fn recount(&self) -> Result<(), Imbalance> {
        self.ledger.recount().map_err(Imbalance::Ledger)?;
        self.recount_books()?;
        self.recount_orders()?;
        self.recount_accounts()?;
        let counted = self.sessions.indices().map(|ix| self.sessions[ix].outcomes.iter().count()).sum();
        let running = self.outcome_budget.total;
        if counted == running { Ok(()) } else { Err(Imbalance::Outcomes { counted, running }) }
    }

    fn recount_books(&self) -> Result<(), Imbalance> {
        for (ix, instrument) in self.instruments.iter() {
            let Some(book) = &instrument.book else { continue };
            let whole = book.is_consistent(&self.orders.slab, ix.raw());
            if !whole || book.is_crossed() && instrument.phase == Phase::Open {
                return Err(Imbalance::Book { instrument: instrument.id });
            }
        }
        Ok(())
    }

    fn recount_orders(&self) -> Result<(), Imbalance> {
        let mut sessions = 0;
        for ix in self.sessions.indices() {
            let session = &self.sessions[ix];
            if session.enters_freely != self.may_enter_freely(ix) {
                return Err(Imbalance::Entry { session: session.id });
            }
            let (mut listed, mut quotes) = (0, 0);
            for slot in self.orders.of_session(&session.orders) {
                let order = &self.orders.slab[slot];
                let found = self.orders.find(order.order_id, SlotHint::UNKNOWN);
                let own = self.orders.owner(slot).session == ix && order.account == session.account.raw();
                let terms = self.orders.terms(slot);
                quotes += usize::from(terms.is_quote);
                let placed = match terms.place {
                    Place::Book => order.is_resting(),
                    Place::Stop => self.waits_as_stop(slot),
                    Place::Call => self.waits_in_call(slot),
                };
                let noted = self.orders.concern_is_right(slot);
                listed += usize::from(own && placed && noted && found == Some(slot));
            }
            if listed != session.orders.len() as usize || !self.recount_quotes(ix, quotes) {
                let account = self.accounts[session.account].id;
                return Err(Imbalance::Session { account, session: session.id });
            }
            sessions += listed;
        }
        let books = self.instruments.iter().filter_map(|(_, instrument)| instrument.book.as_ref());
        let books = books.map(|book| book.order_count(&self.orders.slab)).sum::<usize>()
            + self.stops.len()
            + self.in_calls();
        let (slab, index) = (self.orders.slab.len(), self.orders.indexed());
        if slab == index && slab == books && slab == sessions {
            return Ok(());
        }
        Err(Imbalance::Orders { slab, index, books, sessions })
    }

    fn recount_accounts(&self) -> Result<(), Imbalance> {
        let mut open_bids = 0;
        for (index, account) in self.accounts.iter().enumerate() {
            let ix = AccountIx::new(index as u32);
            let open = self.count_open_of(ix);
            self.recount_holds(ix, account, &open)?;
            if !self.are_open_figures(ix, &open, &mut open_bids) {
                return Err(Imbalance::Open { account: account.id });
            }
        }
        let running = self.open_bids.len();
        if open_bids == running { Ok(()) } else { Err(Imbalance::OpenBids { counted: open_bids, running }) }
    }

    fn recount_holds(&self, ix: AccountIx, account: &Account, open: &OpenFigures) -> Result<(), Imbalance> {
        let (promised, mut capacity) = (open.credits, self.by_slot(&open.sold));
        let held = self.ledger.credits(ix).held;
        if i128::from(held.raw()) != promised {
            return Err(Imbalance::HeldCredits { account: account.id, held, promised });
        }
        for position in self.ledger.positions(ix) {
            if capacity.remove(&position.asset).unwrap_or(0) != u128::from(position.held) {
                return Err(Imbalance::HeldCapacity { account: account.id });
            }
        }
        if capacity.is_empty() { Ok(()) } else { Err(Imbalance::HeldCapacity { account: account.id }) }
    }

    /// What the account's open orders come to, in one walk over them.
    fn count_open_of(&self, account: AccountIx) -> OpenFigures {
        let mut open = OpenFigures::default();
        let sessions = self.accounts[account].sessions.iter();
        for slot in sessions.flat_map(|ix| self.orders.of_session(&self.sessions[*ix].orders)) {
            let promise = self.promise_at(slot);
            open.orders += 1;
            open.value += i128::from(self.value(&promise).raw());
            if promise.side == Side::Buy {
                let accelerators = self.instruments[promise.instrument].accelerators(promise.lots);
                *open.bought.entry(promise.instrument.raw()).or_default() += u128::from(accelerators);
            }
            // A bid of a call is paid when it trades.
            let holds = self.orders.terms(slot).place != Place::Call || promise.side == Side::Sell;
            match self.counted_hold(slot) {
                Hold::Credits(amount) if holds => open.credits += i128::from(amount.raw()),
                Hold::Capacity(accelerators) if holds => {
                    *open.sold.entry(promise.instrument.raw()).or_default() += u128::from(accelerators);
                }
                Hold::Credits(_) | Hold::Capacity(_) => {}
            }
        }
        open
    }

    /// Accelerators by instrument as accelerators by slot.
    pub(crate) fn by_slot(&self, by_instrument: &BTreeMap<u32, u128>) -> BTreeMap<AssetIx, u128> {
        let mut by_slot = BTreeMap::new();
        for (place, accelerators) in by_instrument {
            for asset in &self.instruments[InstrumentIx::new(*place)].assets {
                *by_slot.entry(*asset).or_default() += *accelerators;
            }
        }
        // A linked stop may promise nothing of its own.
        by_slot.retain(|_, accelerators| *accelerators > 0);
        by_slot
    }

    /// Whether a stop waits where its order says, and holds what it should.
    fn waits_as_stop(&self, slot: Slot) -> bool {
        let order_id = self.orders.slab[slot].order_id;
        let stop = self.stops.get(slot);
        stop.is_some_and(|stop| stop.order_id == order_id && stop.held == self.counted_hold(slot))
    }
}
