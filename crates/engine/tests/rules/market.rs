//! A small market to drive: commands in by name, events out as short lines.

use std::collections::BTreeMap;

use joulebook_engine::{Destination, Engine, Events, Record};
use joulebook_protocol::messages::*;
use joulebook_protocol::{
    CancelReason, Command, Event, Frame, Origin, PublicEvent, RejectReason, RequestStatus, SequencedCommand,
    SessionMessage,
};
use joulebook_types::*;

pub const OPERATOR: u32 = 1;
pub const ISSUER: u32 = 2;
pub const METER: u32 = 3;
pub const SELLER: u32 = 10;
pub const SELLER_2: u32 = 11;
pub const BUYER: u32 = 20;
pub const BUYER_2: u32 = 21;
pub const MAKER: u32 = 30;

pub const GENESIS: Genesis = Genesis {
    shard: ShardId::new(1),
    reserved: 0,
    accounts_max: 20,
    sessions_max: 20,
    instruments_max: 20,
    orders_max: 1_000,
    outbox_events_max: 1_000,
    session_outcomes_max: 100,
    outcomes_max: 1_000,
    area: AreaCode::NONE,
};

/// The hour that most tests trade, and how long before it the market starts.
pub const HOUR: &str = "H200S.DE.20261124T1400.H";
pub const HOURS_BEFORE: u32 = 2;

/// Reason, field offset, limit and value of a refusal.
pub type Refused = (RejectReason, usize, i64, i64);

pub struct Market {
    pub engine: Engine,
    pub events: Events,
    last_ids: BTreeMap<(u32, u32), u64>,
}

impl Market {
    /// Accounts of every kind are logged on; nothing is listed, nobody owns anything.
    pub fn new() -> Self {
        Self::with_limits(GENESIS)
    }

    pub fn with_limits(genesis: Genesis) -> Self {
        let mut market = Self { engine: Engine::new(), events: Events::new(), last_ids: BTreeMap::new() };
        market.system(genesis);
        market.advance_to(TimeNs::from_minutes(symbol(HOUR).window.start_minute() - 60 * HOURS_BEFORE));
        let roles = [
            (OPERATOR, Role::Operator),
            (ISSUER, Role::Issuer),
            (METER, Role::Meter),
            (SELLER, Role::Seller),
            (SELLER_2, Role::Seller),
            (BUYER, Role::Buyer),
            (BUYER_2, Role::Buyer),
            (MAKER, Role::Maker),
        ];
        for (account, role) in roles {
            market.system(open_account(account, Roles::NONE.with(role), 0));
            market.log_on(account, 1);
        }
        market
    }

    /// An hour of H200S at a tick of 0.01 EC, with two sellers of 100 lots and three accounts of 1,000,000 EC.
    pub fn trading() -> Self {
        let mut market = Self::new();
        market.list(HOUR);
        market.fund();
        market
    }

    pub fn fund(&mut self) {
        for seller in [SELLER, SELLER_2] {
            self.register(seller, HOUR, 800);
        }
        for account in [BUYER, BUYER_2, MAKER] {
            self.deposit(account, 1_000_000);
        }
    }

    pub fn list(&mut self, name: &str) -> u32 {
        self.list_with(list_instrument(name))
    }

    pub fn list_with(&mut self, list: ListInstrument) -> u32 {
        let said = self.send(OPERATOR, list);
        assert!(said.iter().any(|line| line.starts_with("1: done")), "{said:?}");
        self.engine.instruments().last().unwrap().instrument.raw()
    }

    pub fn register(&mut self, seller: u32, name: &str, accelerators: u32) {
        let said = self.send(seller, register_capacity(name, accelerators));
        assert_eq!(said, [format!("{seller}: done {accelerators}")]);
    }

    pub fn deposit(&mut self, account: u32, ec: i64) {
        let amount = MicroEc::from_ec(ec);
        self.send(ISSUER, MintCredits { amount, ..Default::default() });
        self.send(ISSUER, DepositCredits { amount, to: AccountId::new(account), ..Default::default() });
    }

    /// Sends from session 1 with the next client order id and returns what was said, public facts left out.
    pub fn send(&mut self, account: u32, command: impl Into<Command>) -> Vec<String> {
        let all = self.send_all(account, command);
        all.into_iter().filter(|line| !line.starts_with('*')).collect()
    }

    /// The same with public facts, which start with an asterisk.
    pub fn send_all(&mut self, account: u32, command: impl Into<Command>) -> Vec<String> {
        self.send_from(account, 1, command)
    }

    pub fn send_from(&mut self, account: u32, session: u32, command: impl Into<Command>) -> Vec<String> {
        let mut command = command.into();
        let last_id = self.last_ids.entry((account, session)).or_default();
        command.set_client_order_id(ClientOrderId::new(*last_id + 1));
        *last_id += command.client_order_ids();
        self.send_raw(account, session, command)
    }

    /// Sends with the client order id as it is.
    pub fn send_raw(&mut self, account: u32, session: u32, command: impl Into<Command>) -> Vec<String> {
        let origin = Origin {
            account: AccountId::new(account),
            session: SessionId::new(session),
            received: self.engine.time(),
        };
        self.run(origin, self.engine.time(), command.into())
    }

    pub fn system(&mut self, command: impl Into<Command>) -> Vec<String> {
        self.run(Origin::SYSTEM, self.engine.time(), command.into())
    }

    pub fn advance_to(&mut self, time: TimeNs) -> Vec<String> {
        self.run(Origin::SYSTEM, time, AdvanceTime::default().into())
    }

    pub fn advance_minutes(&mut self, minutes: u32) -> Vec<String> {
        self.advance_ms(minutes * 60_000)
    }

    pub fn advance_ms(&mut self, ms: u32) -> Vec<String> {
        self.advance_to(self.engine.time().saturating_add_ms(ms))
    }

    pub fn log_on(&mut self, account: u32, session: u32) -> Vec<String> {
        self.log_on_with(account, session, u64::from(account) * 100 + u64::from(session), 0, u32::MAX)
    }

    pub fn log_on_with(
        &mut self,
        account: u32,
        session: u32,
        connection: u64,
        last_event_seq: u64,
        cancel_on_disconnect_ms: u32,
    ) -> Vec<String> {
        let connection = ConnectionId::of_gateway(1, connection);
        let opened =
            SessionOpened { connection, last_event_seq, heartbeat_ms: 3_000, cancel_on_disconnect_ms };
        self.send_raw(account, session, opened)
    }

    pub fn hang_up(&mut self, account: u32, session: u32, connection: u64) -> Vec<String> {
        let connection = ConnectionId::of_gateway(1, connection);
        self.send_raw(account, session, SessionClosed { connection, reason: 9, ..Default::default() })
    }

    fn run(&mut self, origin: Origin, time: TimeNs, command: Command) -> Vec<String> {
        self.events.clear();
        self.engine.begin_batch(self.engine.last_seq().next(), time, &mut self.events);
        self.engine.apply(&SequencedCommand { origin, command }, &mut self.events);
        self.engine.end_batch(&mut self.events);
        self.engine.recount().expect("everything adds up after every command");
        self.events.iter().map(|record| show(&record)).collect()
    }

    /// Free, held and escrow in micro-EC.
    pub fn credits(&self, account: u32) -> (i64, i64, i64) {
        let credits = self.engine.credits(AccountId::new(account)).unwrap();
        (credits.free.raw(), credits.held.raw(), credits.escrow.raw())
    }

    /// Messages of the last command for an account's connections, decoded.
    pub fn private_events(&self) -> Vec<Event> {
        let private = self.events.iter().filter(|record| record.destination != Destination::Public);
        private.filter_map(|record| Event::decode(&frame(&record)).ok()).collect()
    }

    /// Reason, field offset, limit and value of the last command's refusal.
    pub fn last_reject(&self) -> Refused {
        let Some(Event::RequestRejected(event)) = self.private_events().pop() else {
            panic!("it was not refused")
        };
        let reason = RejectReason::from_raw(event.reason).unwrap();
        (reason, usize::from(event.field_offset), event.limit, event.value)
    }

    pub fn resting(&self, id: u32, side: Side) -> Vec<String> {
        let levels = self.engine.levels(InstrumentId::new(id), side);
        levels
            .map(|level| format!("{} at {} in {}", level.total.qty, level.price, level.total.orders))
            .collect()
    }
}

pub fn symbol(name: &str) -> Symbol {
    name.parse().unwrap()
}

pub fn price(text: &str) -> Price {
    text.parse().unwrap()
}

pub fn open_account(account: u32, roles: Roles, self_trade_group: u32) -> OpenAccount {
    OpenAccount {
        account: AccountId::new(account),
        roles: roles.bits(),
        self_trade_group,
        ..Default::default()
    }
}

/// Lots of 8, tick 0.01, band 1 to 1,000 EC, gate five minutes before the window, no fees.
pub fn list_instrument(name: &str) -> ListInstrument {
    let Symbol { class, area, window } = symbol(name);
    ListInstrument {
        class,
        area,
        start_minute: window.start_minute(),
        window_minutes: window.minutes(),
        accelerators_per_lot: 8,
        tick: price("0.01"),
        band_low: price("1"),
        band_high: price("1000"),
        gate: TimeNs::from_minutes(window.start_minute() - 5),
        qty_max: 10_000,
        ..Default::default()
    }
}

pub fn register_capacity(name: &str, accelerators: u32) -> RegisterCapacity {
    let Symbol { class, area, window } = symbol(name);
    RegisterCapacity {
        class,
        area,
        start_minute: window.start_minute(),
        window_minutes: window.minutes(),
        accelerators,
        ..Default::default()
    }
}

/// Good till canceled, instrument 1.
pub fn buy(qty: u32, at: &str) -> NewOrder {
    order(Side::Buy, qty, at)
}

pub fn sell(qty: u32, at: &str) -> NewOrder {
    order(Side::Sell, qty, at)
}

pub fn order(side: Side, qty: u32, at: &str) -> NewOrder {
    NewOrder {
        price: price(at),
        instrument: InstrumentId::new(1),
        qty,
        side: side.raw(),
        time_in_force: TimeInForce::Gtc.raw(),
        ..Default::default()
    }
}

pub fn ioc(order: NewOrder) -> NewOrder {
    NewOrder { time_in_force: TimeInForce::Ioc.raw(), ..order }
}

pub fn fok(order: NewOrder) -> NewOrder {
    NewOrder { time_in_force: TimeInForce::Fok.raw(), ..order }
}

pub fn post_only(order: NewOrder) -> NewOrder {
    NewOrder { flags: NewOrder::POST_ONLY, ..order }
}

pub fn on(instrument: u32, order: NewOrder) -> NewOrder {
    NewOrder { instrument: InstrumentId::new(instrument), ..order }
}

/// Waits in a call for its uncross.
pub fn market_order(side: Side, qty: u32) -> NewOrder {
    NewOrder { order_type: OrderType::Market.raw(), price: Price::ZERO, ..order(side, qty, "0") }
}

/// Moves instrument 1.
pub fn set_phase(phase: Phase) -> SetPhase {
    SetPhase { instrument: InstrumentId::new(1), phase: phase.raw(), ..Default::default() }
}

/// The bands of `list_instrument` for instrument 1: nothing that moves with the market.
pub fn bands() -> SetBands {
    SetBands {
        band_low: price("1"),
        band_high: price("1000"),
        instrument: InstrumentId::new(1),
        ..Default::default()
    }
}

pub fn cancel(order_id: u64) -> CancelOrder {
    CancelOrder { order_id: OrderId::new(order_id), slot: SlotHint::UNKNOWN, ..Default::default() }
}

pub fn reduce(order_id: u64, lots: u32) -> ReduceOrder {
    ReduceOrder { order_id: OrderId::new(order_id), slot: SlotHint::UNKNOWN, lots, ..Default::default() }
}

pub fn replace(order_id: u64, qty: u32, at: &str) -> ReplaceOrder {
    ReplaceOrder {
        order_id: OrderId::new(order_id),
        price: price(at),
        slot: SlotHint::UNKNOWN,
        qty,
        ..Default::default()
    }
}

fn frame<'a>(record: &Record<'a>) -> Frame<'a> {
    let (frame, rest) = Frame::split(record.frame).unwrap().unwrap();
    assert!(rest.is_empty(), "one record, one frame");
    frame
}

/// `account: what happened`, or `* what everybody sees`. Connections of tests are account * 100 + session.
fn show(record: &Record<'_>) -> String {
    let frame = frame(record);
    match record.destination {
        Destination::Public => format!("* {}", show_public(&PublicEvent::decode(&frame).unwrap())),
        Destination::Connection(connection) => {
            let account = (connection.raw() & 0xFFFF_FFFF) / 100;
            let text = match Event::decode(&frame) {
                Ok(event) => show_private(&event),
                Err(_) => show_session(&SessionMessage::decode(&frame).unwrap()),
            };
            format!("{account}: {text}")
        }
    }
}

fn side(raw: u8) -> Side {
    Side::from_raw(raw).unwrap()
}

fn cancel_reason(raw: u8) -> &'static str {
    CancelReason::from_raw(raw).map_or("done", CancelReason::name)
}

fn show_private(event: &Event) -> String {
    match event {
        Event::OrderAccepted(e) => format!("accepted {} {} {}@{}", e.order_id, side(e.side), e.qty, e.price),
        Event::RequestRejected(e) => {
            format!("rejected {}", RejectReason::from_raw(e.reason).unwrap())
        }
        Event::OrderFilled(e) => {
            let liquidity = ["maker", "taker", "auction"][usize::from(e.liquidity) - 1];
            format!(
                "filled {} {}@{} leaves {} {liquidity} fee {}",
                e.order_id, e.qty, e.price, e.leaves_qty, e.fee
            )
        }
        Event::OrderCanceled(e) => {
            format!("canceled {} of {} {}", e.canceled_qty, e.order_id, cancel_reason(e.reason))
        }
        Event::OrderReplaced(e) => {
            let place = if e.kept_priority == 1 { "kept" } else { "back" };
            format!("replaced {} {}@{} leaves {} {place}", e.order_id, e.qty, e.price, e.leaves_qty)
        }
        Event::MassCancelDone(e) => format!("mass canceled {}", e.canceled_orders),
        Event::TokenOrderDone(e) => format!(
            "tokens {} for {} + {} avg {} in {} {}",
            e.filled_ktok_minutes,
            e.notional,
            e.fees,
            e.average_price,
            e.fills,
            cancel_reason(e.reason)
        ),
        Event::RequestDone(e) => format!("done {}", e.result),
        Event::RequestRepeated(e) => format!(
            "repeated {} {} order {} reason {}",
            e.client_order_id,
            RequestStatus::from_raw(e.status).unwrap(),
            e.order_id,
            e.reason
        ),
        Event::OrderStatus(e) => {
            format!("status {} {} {}@{} leaves {}", e.order_id, side(e.side), e.qty, e.price, e.leaves_qty)
        }
        Event::CreditBalance(e) => format!("credits {} {} {}", e.free, e.held, e.escrow),
        Event::CapacityBalance(e) => {
            format!(
                "capacity {} {} free {} held {} registered {}",
                e.class, e.slot, e.free, e.held, e.registered
            )
        }
        Event::SnapshotEnd(e) => format!("snapshot end {}", e.last_event_seq),
        Event::OrderTriggered(e) => {
            format!("triggered {} at {} by {}", e.order_id, e.trigger_price, e.print_price)
        }
        Event::LegDone(e) => format!(
            "leg {} {} of {} for {} + {} avg {}",
            side(e.side),
            e.qty,
            e.instrument,
            e.notional,
            e.fees,
            e.average_price
        ),
        Event::SweepDone(e) => format!(
            "swept bought {} sold {} + {} avg {} in {} {}",
            e.bought,
            e.sold,
            e.fees,
            e.average_price,
            e.fills,
            cancel_reason(e.reason)
        ),
        Event::MassQuoteAck(e) => {
            format!("quoted {:b}: {} accepted {} rejected", e.accepted_pairs, e.accepted, e.rejected)
        }
        Event::QuoteRejected(e) => {
            format!("quote {} rejected {}", e.pair, RejectReason::from_raw(e.reason).unwrap())
        }
        Event::ProtectionTriggered(e) => format!(
            "protected {}: {} fills {} lots {} credits, pulled {}",
            e.class, e.fills, e.lots, e.credits, e.canceled_orders
        ),
    }
}

fn show_public(event: &PublicEvent) -> String {
    match event {
        PublicEvent::InstrumentDefinition(e) => {
            format!("instrument {} {}", e.instrument, Phase::from_raw(e.phase).unwrap())
        }
        PublicEvent::PhaseChanged(e) => {
            format!("phase {} {}", e.instrument, Phase::from_raw(e.phase).unwrap())
        }
        PublicEvent::YieldDefinition(e) => format!("yield {} {} {}", e.model, e.class, e.yield_ktok.raw()),
        PublicEvent::AccountDefinition(e) => format!("account {}", e.account),
        PublicEvent::BookUpdate(e) => {
            let action = ["added", "filled", "reduced", "removed"][usize::from(e.action) - 1];
            let (order, leaves) = (e.order_id, e.leaves_qty);
            let level = format!("{} {}: {} in {}", side(e.side), e.price, e.level_qty, e.level_orders);
            format!("{action} {order} leaves {leaves}, {level}")
        }
        PublicEvent::Trade(e) => {
            let aggressor = Side::from_raw(e.aggressor).map_or("auction", Side::name);
            format!("trade {} {}@{} {aggressor}", e.trade_id, e.qty, e.price)
        }
        PublicEvent::BandsChanged(e) => format!("bands {} {}..{}", e.instrument, e.band_low, e.band_high),
        PublicEvent::AuctionIndication(e) => {
            format!("indication {} {}@{} surplus {}", e.instrument, e.volume, e.price, e.surplus)
        }
    }
}

fn show_session(message: &SessionMessage) -> String {
    match message {
        SessionMessage::LogonAccepted(e) => format!(
            "welcome hwm {} last {} resend {} snapshot {}",
            e.last_client_order_id, e.last_event_seq, e.resend_from_seq, e.snapshot
        ),
        SessionMessage::LogonRejected(e) => {
            format!("logon rejected {}", RejectReason::from_raw(e.reason).unwrap())
        }
        SessionMessage::Terminate(e) => format!("terminated {}", e.reason),
        other => panic!("the engine does not send {}", other.name()),
    }
}
