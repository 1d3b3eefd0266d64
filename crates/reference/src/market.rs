//! Everything that commands change, sessions' numbering left out: small enough to be copied.

use std::collections::{BTreeMap, BTreeSet};

use joulebook_protocol::messages::{AuctionIndication, Genesis, RequestDone};
use joulebook_protocol::{Event, Message, PublicEvent, RejectReason};
use joulebook_types::{
    AreaCode, ClassCode, ClientOrderId, InstrumentId, LotSize, ModelId, OrderId, Phase, Price, SessionId,
    TimeNs, TradeId, Window, Yield,
};

use crate::ledger::{Account, KilledBy, SlotKey};
use crate::orders::Order;
use crate::protection::Protection;
use crate::rejection::{Checked, field, whole};
use crate::said::Spoken;
use crate::timers::{Timer, Timers};

/// The market. An index of an account, a session or an instrument is its place in the vector here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Market {
    pub(crate) limits: Genesis,
    pub(crate) time: TimeNs,
    /// In the order of opening.
    pub(crate) accounts: Vec<Account>,
    /// In the order of first logon.
    pub(crate) sessions: Vec<Session>,
    /// In listing order.
    pub(crate) instruments: Vec<Instrument>,
    pub(crate) yields: BTreeMap<(ModelId, ClassCode), Yield>,
    /// Every open order, and the one in hand.
    pub(crate) orders: BTreeMap<OrderId, Order>,
    /// Every quarter hour that was ever named, and whether it is delivered.
    pub(crate) slots: BTreeMap<SlotKey, bool>,
    pub(crate) protections: BTreeMap<(usize, ClassCode), Protection>,
    pub(crate) killed_classes: BTreeSet<ClassCode>,
    pub(crate) killed_exchange: bool,
    pub(crate) timers: Timers,
    pub(crate) fees: i64,
    pub(crate) minted: i128,
    pub(crate) retired: i128,
    pub(crate) seed: u64,
    /// Random numbers drawn since the seed was set.
    pub(crate) draws: u64,
    last_order_id: OrderId,
    last_trade_id: TradeId,
    last_place: u64,
    /// What was said and not numbered yet.
    pub(crate) said: Vec<Spoken>,
}

/// A logical session, as the market knows it.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) account: usize,
    pub(crate) id: SessionId,
    pub(crate) killed: Option<KilledBy>,
}

/// A listed instrument.
#[derive(Clone, Debug)]
pub(crate) struct Instrument {
    pub(crate) id: InstrumentId,
    pub(crate) class: ClassCode,
    pub(crate) area: AreaCode,
    pub(crate) window: Window,
    pub(crate) lot: LotSize,
    /// The quarter hours of the window.
    pub(crate) slots: Vec<SlotKey>,
    pub(crate) tick: Price,
    pub(crate) band_low: Price,
    pub(crate) band_high: Price,
    pub(crate) opens: TimeNs,
    pub(crate) gate: TimeNs,
    pub(crate) qty_max: u32,
    pub(crate) taker_fee_ppm: i32,
    pub(crate) maker_fee_ppm: i32,
    pub(crate) phase: Phase,
    /// Zero: nothing.
    pub(crate) reference_price: Price,
    pub(crate) dynamic_bps: u32,
    /// Zero: off.
    pub(crate) velocity_move: Price,
    pub(crate) velocity_window_ms: u32,
    pub(crate) halt_ms: u32,
    pub(crate) auction_ms: u32,
    pub(crate) auction_random_ms: u32,
    /// Length and random part of the call that a velocity halt ends with.
    pub(crate) call_after_halt: (u32, u32),
    pub(crate) last_print: Option<Price>,
    /// The price that velocity is measured from, and since when.
    pub(crate) velocity: Option<(Price, TimeNs)>,
    /// What bands refer to during this step.
    pub(crate) step_base: Option<Price>,
    /// What velocity is measured from during this step.
    pub(crate) step_velocity: Option<Price>,
    /// The indication that was published last.
    pub(crate) last_indication: AuctionIndication,
}

impl Instrument {
    pub(crate) fn is_closed(&self) -> bool {
        match self.phase {
            Phase::Pending | Phase::PreOpen | Phase::Open | Phase::Halted | Phase::Auction => false,
            Phase::Closed | Phase::Delivering | Phase::Settled => true,
        }
    }
}

impl Market {
    /// Prices that a step refers to are those at its beginning, whatever prints while it runs.
    pub(crate) fn begin_step(&mut self) {
        let now = self.time.raw();
        for instrument in &mut self.instruments {
            let listed = Some(instrument.reference_price).filter(|price| *price != Price::ZERO);
            instrument.step_base = instrument.last_print.or(listed);
            instrument.step_velocity = match instrument.velocity {
                Some((price, since)) if now - since.raw() < window_ns(instrument) => Some(price),
                Some(_) | None => instrument.step_base,
            };
        }
    }

    /// The order in hand is finished: stops that were reached act, then the step is over.
    pub(crate) fn end_step(&mut self) {
        self.fire_stops();
    }

    pub(crate) fn tell(&mut self, session: usize, event: impl Into<Event>) {
        self.said.push(Spoken::Tell(session, event.into()));
    }

    pub(crate) fn answer(&mut self, session: usize, event: impl Into<Event>) {
        self.said.push(Spoken::Answer(session, event.into()));
    }

    pub(crate) fn publish(&mut self, event: impl Into<PublicEvent>) {
        self.said.push(Spoken::Publish(event.into()));
    }

    /// Tells the session that a request of its own, which was not an order, was carried out.
    pub(crate) fn request_done<M: Message>(&mut self, session: usize, id: ClientOrderId, result: u64) {
        let template_id = M::TEMPLATE_ID;
        self.tell(session, RequestDone { client_order_id: id, result, template_id, ..Default::default() });
    }

    pub(crate) fn new_order_id(&mut self) -> OrderId {
        self.last_order_id = self.last_order_id.next();
        self.last_order_id
    }

    pub(crate) fn new_trade_id(&mut self) -> TradeId {
        self.last_trade_id = self.last_trade_id.next();
        self.last_trade_id
    }

    /// A place behind all others.
    pub(crate) fn new_place(&mut self) -> u64 {
        self.last_place += 1;
        self.last_place
    }

    pub(crate) fn find_account(&self, id: joulebook_types::AccountId) -> Option<usize> {
        self.accounts.iter().position(|account| account.id == id)
    }

    pub(crate) fn account_of(&self, session: usize) -> usize {
        self.sessions[session].account
    }

    /// The index of an instrument that a request names in the field at `offset`. Of one that is settled only this much
    /// is known, that its gate has closed.
    pub(crate) fn find_instrument(&self, id: InstrumentId, offset: usize) -> Checked<usize> {
        let index = self.ever_listed(id, offset)?;
        if self.instruments[index].phase == Phase::Settled {
            return Err(whole(RejectReason::GateClosed).met(0, self.time.raw()));
        }
        Ok(index)
    }

    /// The same, settled instruments included.
    pub(crate) fn ever_listed(&self, id: InstrumentId, offset: usize) -> Checked<usize> {
        let found = self.instruments.iter().position(|instrument| instrument.id == id);
        found.ok_or(field(RejectReason::UnknownInstrument, offset).met(0, id.raw()))
    }

    /// Whether two accounts never trade with each other.
    pub(crate) fn same_group(&self, a: usize, b: usize) -> bool {
        let group = self.accounts[a].self_trade_group;
        a == b || group != 0 && group == self.accounts[b].self_trade_group
    }

    /// A number from 0 to `max`, from a sequence that the seed alone decides.
    pub(crate) fn random(&mut self, max: u32) -> u32 {
        if max == 0 {
            return 0;
        }
        self.draws += 1;
        (split_mix_64(self.seed.wrapping_add(self.draws)) % (u64::from(max) + 1)) as u32
    }

    /// Runs a timer that is due.
    pub(crate) fn fire(&mut self, timer: Timer) {
        self.begin_step();
        match timer {
            Timer::Open(instrument) => self.opening_time(instrument),
            Timer::Gate(instrument) => self.close_gate(instrument),
            Timer::Start(instrument) => self.start_delivery(instrument),
            Timer::Phase(instrument) => self.end_phase(instrument),
            Timer::Indication(instrument) => self.indicate_again(instrument),
            Timer::Expiry(order) => self.expire(order),
            Timer::Grace(session) => self.end_grace(session),
            Timer::DeadMan(session) => self.dead_man(session),
            Timer::SlotEnd(slot) => self.end_slot(slot),
        }
        self.end_step();
    }
}

fn window_ns(instrument: &Instrument) -> u64 {
    u64::from(instrument.velocity_window_ms) * 1_000_000
}

/// The reference of a velocity check is older than its window, or there is none.
pub(crate) fn velocity_is_old(instrument: &Instrument, now: TimeNs) -> bool {
    instrument.velocity.is_none_or(|(_, since)| now.raw() - since.raw() >= window_ns(instrument))
}

fn split_mix_64(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}
