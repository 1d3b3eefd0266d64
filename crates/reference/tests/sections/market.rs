//! A small market on the slow engine: commands in, what the accounts hear out.

use std::collections::BTreeMap;

use joulebook_protocol::messages::*;
use joulebook_protocol::{Command, Event, Origin, PublicEvent, SequencedCommand};
use joulebook_reference::{Reference, Said};
use joulebook_types::*;

pub const OPERATOR: u32 = 1;
/// Sell, buy and make markets; `SISTER` is of one group with `BUYER`.
pub const SELLER: u32 = 10;
pub const BUYER: u32 = 20;
pub const SISTER: u32 = 21;
pub const MAKER: u32 = 30;

/// 2026-11-24T14:00Z, in minutes: the hour that is traded from two hours before.
pub const START: u32 = 29_925_480;
pub const HOUR: InstrumentId = InstrumentId::new(1);

pub struct Market {
    pub reference: Reference,
    pub time: TimeNs,
    last_ids: BTreeMap<u32, u64>,
    public: Vec<PublicEvent>,
}

impl Market {
    /// An hour of lots of 4 at a tick of 1,000 and a band of 1,000 to 1,000,000, no fees. Everybody has 100 accelerators
    /// and a billion micro-EC.
    pub fn new() -> Self {
        let time = TimeNs::from_minutes(START - 120);
        let (reference, last_ids) = (Reference::new(), BTreeMap::new());
        let mut market = Self { reference, time, last_ids, public: Vec::new() };
        let limits = Genesis {
            accounts_max: 10,
            sessions_max: 10,
            instruments_max: 10,
            orders_max: 100,
            ..Default::default()
        };
        market.send(0, limits);
        let everything = Roles::NONE.with(Role::Seller).with(Role::Buyer).with(Role::Maker);
        let runs = Roles::NONE.with(Role::Operator).with(Role::Issuer).with(Role::Meter);
        for (account, roles, self_trade_group) in [
            (OPERATOR, runs, 0),
            (SELLER, everything, 0),
            (BUYER, everything, 7),
            (SISTER, everything, 7),
            (MAKER, everything, 0),
        ] {
            let roles = roles.bits();
            let account_id = AccountId::new(account);
            let open = OpenAccount { account: account_id, roles, self_trade_group, ..Default::default() };
            market.send(0, open);
            let connection = ConnectionId::of_gateway(1, u64::from(account));
            let cancel_on_disconnect_ms = u32::MAX;
            market.send(account, SessionOpened { connection, cancel_on_disconnect_ms, ..Default::default() });
        }
        market.send(OPERATOR, hour());
        let amount = MicroEc::new(10_000_000_000);
        market.send(OPERATOR, MintCredits { amount, ..Default::default() });
        for account in [SELLER, BUYER, SISTER, MAKER] {
            let (amount, to) = (MicroEc::new(1_000_000_000), AccountId::new(account));
            market.send(OPERATOR, DepositCredits { amount, to, ..Default::default() });
            market.send(account, register(100));
        }
        market
    }

    /// Sends with the next client order id and returns what accounts heard.
    pub fn send(&mut self, account: u32, command: impl Into<Command>) -> Vec<(u32, Event)> {
        let mut command = command.into();
        if account != 0 {
            let id = self.last_ids.entry(account).or_default();
            // An OCO order takes two.
            let (first, used) = (*id + 1, if matches!(command, Command::OcoOrder(_)) { 2 } else { 1 });
            if number(&mut command, first) {
                *id += used;
            }
        }
        let session = SessionId::new(u32::from(account != 0));
        let origin = Origin { account: AccountId::new(account), session, received: self.time };
        self.reference.begin_batch(self.reference.last_seq().next(), self.time);
        self.reference.apply(&SequencedCommand { origin, command });
        self.reference.end_batch();
        self.heard()
    }

    pub fn wait_ms(&mut self, ms: u32) -> Vec<(u32, Event)> {
        self.time = self.time.saturating_add_ms(ms);
        self.send(0, AdvanceTime::default())
    }

    fn heard(&mut self) -> Vec<(u32, Event)> {
        self.public.clear();
        let mut private = Vec::new();
        for said in self.reference.take_events() {
            match said {
                Said::To { account, event, .. } => private.push((account.raw(), event)),
                Said::Public(event) => self.public.push(event),
                Said::Session { .. } => {}
            }
        }
        private
    }

    /// What everybody heard of the last command.
    pub fn public(&self) -> &[PublicEvent] {
        &self.public
    }

    pub fn phases(&self) -> Vec<u8> {
        let phase = |event: &PublicEvent| match event {
            PublicEvent::PhaseChanged(changed) => Some(changed.phase),
            _other => None,
        };
        self.public.iter().filter_map(phase).collect()
    }

    /// Free and held credits, and those in escrow, in micro-EC.
    pub fn credits(&self, account: u32) -> (i64, i64, i64) {
        let (free, held, escrow) = self.reference.credits(AccountId::new(account)).unwrap();
        (free.raw(), held.raw(), escrow.raw())
    }

    /// Free and held accelerators in the hour's first quarter.
    pub fn capacity(&self, account: u32) -> (u64, u64) {
        let positions = self.reference.positions(AccountId::new(account));
        (positions[0].free, positions[0].held)
    }

    pub fn levels(&self, side: Side) -> Vec<(i64, u64, u32)> {
        let levels = self.reference.levels(HOUR, side);
        levels.iter().map(|(price, qty, orders)| (price.raw(), *qty, *orders)).collect()
    }
}

/// Gives a request its number; a command without one stays as it is.
fn number(command: &mut Command, id: u64) -> bool {
    let id = ClientOrderId::new(id);
    macro_rules! numbered {
        ($($name:ident)*) => {
            match command {
                $(Command::$name(message) => message.client_order_id = id,)*
                _of_the_exchange => return false,
            }
        };
    }
    numbered! {
        NewOrder CancelOrder ReplaceOrder ReduceOrder OcoOrder OrderBatch MassCancel TokenOrder Basket BlockSweep
        MassQuote SetProtection ResetProtection SetDeadMan KillSwitch SetPhase SetBands SetLimits MintCredits
        RetireCredits DepositCredits RegisterCapacity DeliverSlot ListInstrument OpenAccount SetYield OrderQuery
        AccountQuery
    }
    true
}

pub fn hour() -> ListInstrument {
    ListInstrument {
        class: "H200S".parse().unwrap(),
        area: "DE".parse().unwrap(),
        start_minute: START,
        window_minutes: 60,
        accelerators_per_lot: 4,
        tick: Price::new(1_000),
        band_low: Price::new(1_000),
        band_high: Price::new(1_000_000),
        gate: TimeNs::from_minutes(START - 5),
        qty_max: 50,
        ..Default::default()
    }
}

pub fn register(accelerators: u32) -> RegisterCapacity {
    let ListInstrument { class, area, start_minute, window_minutes, .. } = hour();
    RegisterCapacity { class, area, start_minute, window_minutes, accelerators, ..Default::default() }
}

/// Good till canceled, at a price in thousands.
pub fn buy(qty: u32, thousands: i64) -> NewOrder {
    NewOrder {
        price: Price::new(1_000 * thousands),
        instrument: HOUR,
        qty,
        side: Side::Buy.raw(),
        time_in_force: TimeInForce::Gtc.raw(),
        ..Default::default()
    }
}

pub fn sell(qty: u32, thousands: i64) -> NewOrder {
    NewOrder { side: Side::Sell.raw(), ..buy(qty, thousands) }
}

pub fn set_phase(phase: Phase) -> SetPhase {
    SetPhase { instrument: HOUR, phase: phase.raw(), ..Default::default() }
}

/// Names of events, with the account that heard them.
pub fn names(heard: &[(u32, Event)]) -> Vec<String> {
    heard.iter().map(|(account, event)| format!("{account} {}", event.name())).collect()
}

/// Account, lots and price in thousands of every fill.
pub fn fills(heard: &[(u32, Event)]) -> Vec<(u32, u32, i64)> {
    let fill = |(account, event): &(u32, Event)| match event {
        Event::OrderFilled(fill) => Some((*account, fill.qty, fill.price.raw() / 1_000)),
        _other => None,
    };
    heard.iter().filter_map(fill).collect()
}

/// Order id, lots and reason of every cancel.
pub fn cancels(heard: &[(u32, Event)]) -> Vec<(u64, u32, u8)> {
    let cancel = |(_, event): &(u32, Event)| match event {
        Event::OrderCanceled(canceled) => {
            Some((canceled.order_id.raw(), canceled.canceled_qty, canceled.reason))
        }
        _other => None,
    };
    heard.iter().filter_map(cancel).collect()
}

/// The code of a reject, if that is all that was said.
pub fn reject(heard: &[(u32, Event)]) -> Option<u16> {
    match heard {
        [(_, Event::RequestRejected(rejected))] => Some(rejected.reason),
        _other => None,
    }
}
