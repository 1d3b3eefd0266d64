//! Turns steps into sequenced commands. It knows only what clients would know.

use std::collections::BTreeMap;

use joulebook_protocol::messages::*;
use joulebook_protocol::{Command, Frame, HEADER_BYTES};
use joulebook_types::*;

use super::day::{DAY_MINUTES, Day};
use super::orders::{New, Oco};
use super::steps::{Entry, Leg, Pair, Step};

/// 2026-11-24T14:00Z, in minutes.
pub const START: u32 = 29_925_480;
pub const OPERATOR: u32 = 1;
pub const TRADERS: [u32; 5] = [10, 11, 20, 21, 30];

/// Who sends a command.
pub type Sent = (u32, u32, Command);

#[derive(Default)]
pub struct Script {
    last_ids: BTreeMap<(u32, u32), u64>,
    connections: u64,
    day: Day,
}

/// What a client can see when it sends: exchange time, and open orders with their accounts.
pub struct View {
    pub now: TimeNs,
    pub orders: Vec<(OrderId, AccountId)>,
}

impl View {
    /// The order that a client would name: one of its own, now and then another's or one that is gone.
    fn order(&self, account: u32, back: u64) -> OrderId {
        let own =
            |(_, owner): &&(OrderId, AccountId)| back.is_multiple_of(8) || *owner == AccountId::new(account);
        let mut orders: Vec<OrderId> = self.orders.iter().filter(own).map(|(id, _)| *id).collect();
        if orders.is_empty() && !back.is_multiple_of(3) {
            orders = self.orders.iter().map(|(id, _)| *id).collect();
        }
        let gone = OrderId::new(1 + back);
        if orders.is_empty() { gone } else { orders[back as usize % orders.len()] }
    }
}

fn price(ticks: i64) -> Price {
    Price::new(ticks * 1_000)
}

fn class(number: u8) -> ClassCode {
    match number {
        0 => "H200S".parse().unwrap(),
        1 => "TPU6E".parse().unwrap(),
        2 => "B200S".parse().unwrap(),
        _nothing => ClassCode::default(),
    }
}

fn area() -> AreaCode {
    "DE".parse().unwrap()
}

impl Script {
    pub fn next_id(&mut self, account: u32, session: u32) -> ClientOrderId {
        self.next_ids(account, session, 1)
    }

    /// The first of several numbers.
    fn next_ids(&mut self, account: u32, session: u32, count: u64) -> ClientOrderId {
        let last = self.last_ids.entry((account, session)).or_default();
        *last += count;
        ClientOrderId::new(*last - count + 1)
    }

    pub fn commands(&mut self, view: &View, who: (u32, u32), step: &Step) -> Vec<Sent> {
        let sent = self.commands_of_first_day(view, who, step);
        let numbers = self.last_ids.get(&who).copied().unwrap_or(0)..;
        let moved = sent.into_iter().zip(numbers);
        moved
            .map(|((account, session, command), number)| (account, session, self.day.moved(&command, number)))
            .collect()
    }

    /// Begins the next day, before which so many instruments were listed, and lists and registers its windows.
    pub fn next_day(&mut self, listed: u32) -> Vec<Sent> {
        self.day = Day { listed, minutes: self.day.minutes + DAY_MINUTES };
        let of_day =
            |command: &Command| matches!(command, Command::ListInstrument(_) | Command::RegisterCapacity(_));
        let opening = self.windows();
        assert!(opening.iter().all(|(_, _, command)| of_day(command)), "nothing else comes again");
        opening
            .into_iter()
            .map(|(account, session, command)| (account, session, self.day.moved(&command, 1)))
            .collect()
    }

    /// Reports the delivery of a quarter hour of the day.
    pub fn deliver(&mut self, number: u8, quarter: u32) -> Sent {
        let client_order_id = self.next_id(OPERATOR, 1);
        (OPERATOR, 1, self.day.moved(&deliver(client_order_id, number, quarter), 1))
    }

    /// When the day's windows start, in minutes.
    pub fn start(&self) -> u32 {
        START + self.day.minutes
    }

    fn commands_of_first_day(&mut self, view: &View, who: (u32, u32), step: &Step) -> Vec<Sent> {
        if let Step::Spoiled { step, place, byte } = step {
            let mut commands = self.commands_of_first_day(view, who, step);
            if let Some((_, _, command)) = commands.last_mut() {
                *command = spoiled(command, usize::from(*place), *byte);
            }
            return commands;
        }
        let (account, session) = who;
        let count = match step {
            Step::Oco(_) => 2,
            Step::Batch(entries) => entries.len().max(1) as u64,
            _one => 1,
        };
        let operator = matches!(
            step,
            Step::Phase { .. }
                | Step::Bands(_)
                | Step::Limits { .. }
                | Step::Deliver { .. }
                | Step::SetYield { .. }
                | Step::Kill { by_operator: true, .. }
                | Step::List { .. }
                | Step::Account { .. }
                | Step::Credits { .. }
        );
        let (account, session) = if operator { (OPERATOR, 1) } else { (account, session) };
        let client_order_id = self.next_ids(account, session, count);
        match step {
            Step::Disconnect => {
                let connection = self.connection();
                let closed = SessionClosed { connection, reason: 9, ..Default::default() };
                vec![(account, session, closed.into()), self.log_on(account, session)]
            }
            Step::Restart => {
                let mut commands = vec![(0, 0, Restarted::default().into())];
                for account in TRADERS.into_iter().chain([OPERATOR]) {
                    commands.push(self.log_on(account, 1));
                }
                commands
            }
            Step::Query { back } => {
                let order_id = view.order(account, *back);
                vec![
                    (account, session, OrderQuery { client_order_id, order_id, ..Default::default() }.into()),
                    (account, session, AccountQuery { client_order_id }.into()),
                ]
            }
            Step::Wait { .. } => vec![(0, 0, AdvanceTime::default().into())],
            Step::Seed { seed } => vec![(0, 0, Seed { seed: *seed }.into())],
            step => vec![(account, session, request(view, account, client_order_id, step))],
        }
    }

    fn connection(&self) -> ConnectionId {
        ConnectionId::of_gateway(1, self.connections.max(1))
    }

    fn log_on(&mut self, account: u32, session: u32) -> Sent {
        self.connections += 1;
        let opened = SessionOpened {
            connection: self.connection(),
            last_event_seq: self.connections % 7,
            heartbeat_ms: 3_000,
            cancel_on_disconnect_ms: [0, 500, u32::MAX][self.connections as usize % 3],
        };
        (account, session, opened.into())
    }

    /// Accounts of which two share a group; three classes over the same hour; two quarters of it for the first class;
    /// and a book that opens later.
    pub fn opening(&mut self) -> Vec<Sent> {
        let mut commands: Vec<Sent> = Vec::new();
        let roles = |role: &[Role]| role.iter().copied().collect::<Roles>().bits();
        let open = |account, roles, self_trade_group| OpenAccount {
            account: AccountId::new(account),
            roles,
            self_trade_group,
            ..Default::default()
        };
        commands.push((0, 0, open(OPERATOR, roles(&[Role::Operator, Role::Issuer]), 0).into()));
        for (index, account) in TRADERS.into_iter().enumerate() {
            let group = index as u32 / 3;
            let roles = roles(&[Role::Seller, Role::Buyer, Role::Maker]);
            commands.push((0, 0, open(account, roles, group).into()));
        }
        commands.push(self.log_on(OPERATOR, 1));
        for (number, yield_ktok) in [(0, 40), (1, 30), (2, 90)] {
            let client_order_id = self.next_id(OPERATOR, 1);
            commands.push((OPERATOR, 1, set_yield(client_order_id, number, yield_ktok)));
        }
        let amount = MicroEc::from_ec(1_000);
        let client_order_id = self.next_id(OPERATOR, 1);
        commands.push((OPERATOR, 1, MintCredits { client_order_id, amount, ..Default::default() }.into()));
        for (index, account) in TRADERS.into_iter().enumerate() {
            // Some are rich and some are soon out of credits.
            let amount = MicroEc::new([4_000_000, 2_000_000, 1_000_000, 3_000_000, 500_000][index]);
            let to = AccountId::new(account);
            let client_order_id = self.next_id(OPERATOR, 1);
            let deposit = DepositCredits { client_order_id, amount, to, ..Default::default() };
            commands.push((OPERATOR, 1, deposit.into()));
            for session in [1, 2] {
                commands.push(self.log_on(account, session));
            }
        }
        commands.extend(self.windows());
        commands
    }

    /// The listings of a day, and the capacity that everybody has in it.
    fn windows(&mut self) -> Vec<Sent> {
        let mut commands: Vec<Sent> = Vec::new();
        for list in listings() {
            let client_order_id = self.next_id(OPERATOR, 1);
            commands.push((OPERATOR, 1, ListInstrument { client_order_id, ..list }.into()));
        }
        for account in TRADERS {
            for accelerators in [30, 31, 32] {
                let client_order_id = self.next_id(account, 1);
                commands.push((account, 1, register(client_order_id, accelerators)));
            }
        }
        commands
    }
}

fn request(view: &View, account: u32, client_order_id: ClientOrderId, step: &Step) -> Command {
    let trader = |index: usize| AccountId::new(*TRADERS.get(index).unwrap_or(&99));
    match *step {
        Step::New(ref new) => new_order(view, client_order_id, new),
        Step::Oco(ref oco) => oco_order(view, client_order_id, oco),
        Step::Batch(ref entries) => order_batch(view, account, client_order_id, entries),
        Step::Cancel { back, by_request, slot } => {
            let target = ClientOrderId::new(client_order_id.raw().saturating_sub(back));
            let order_id = if by_request { OrderId::NONE } else { view.order(account, back) };
            let slot = SlotHint::new(slot);
            CancelOrder { client_order_id, order_id, target, slot, ..Default::default() }.into()
        }
        Step::Reduce { back, lots } => {
            let (order_id, slot) = (view.order(account, back), SlotHint::UNKNOWN);
            ReduceOrder { client_order_id, order_id, slot, lots, ..Default::default() }.into()
        }
        Step::Replace { back, ticks, lots, trigger_ticks } => ReplaceOrder {
            client_order_id,
            order_id: view.order(account, back),
            price: price(ticks),
            slot: SlotHint::UNKNOWN,
            qty: lots,
            trigger_price: price(trigger_ticks),
            ..Default::default()
        }
        .into(),
        Step::MassCancel { scope, instrument, class: number, side, low, high } => MassCancel {
            client_order_id,
            instrument: InstrumentId::new(instrument),
            scope,
            side,
            class: class(number),
            price_low: price(low),
            price_high: price(high),
            ..Default::default()
        }
        .into(),
        Step::Quote { ref pairs, flags, self_trade } => mass_quote(client_order_id, pairs, flags, self_trade),
        Step::Protect { class: number, window_ms, fills, lots, credits } => SetProtection {
            client_order_id,
            class: class(number),
            credits_max: MicroEc::new(credits),
            lots_max: lots,
            window_ms,
            fills_max: fills,
        }
        .into(),
        Step::ResetProtection { class: number } => {
            ResetProtection { client_order_id, class: class(number) }.into()
        }
        Step::Token { ktok, limit, flags, time_in_force, self_trade, count, first } => TokenOrder {
            client_order_id,
            quantity: KiloTokens::new(ktok),
            limit: TokenPrice::new(limit * 1_000),
            model: ModelId::new(1),
            time_in_force,
            flags,
            count,
            self_trade,
            instruments: core::array::from_fn(|index| InstrumentId::new(first + index as u32)),
            ..Default::default()
        }
        .into(),
        Step::Basket { ref legs, self_trade } => basket(client_order_id, legs, self_trade),
        Step::Sweep { sell, ticks, lots, minutes, windows, first, self_trade } => BlockSweep {
            client_order_id,
            price: price(ticks),
            class: class(0),
            area: area(),
            start_minute: START + first * 15,
            qty: lots,
            window_minutes: minutes,
            windows,
            side: 1 + u8::from(sell),
            self_trade,
            ..Default::default()
        }
        .into(),
        Step::DeadMan { timeout_ms } => {
            SetDeadMan { client_order_id, timeout_ms, ..Default::default() }.into()
        }
        Step::Kill { scope, action, class: number, by_operator, trader: index } => KillSwitch {
            client_order_id,
            class: class(number),
            account: if by_operator || index == 0 { trader(index) } else { AccountId::NONE },
            session: SessionId::new(1 + number as u32 % 3),
            scope,
            action,
            ..Default::default()
        }
        .into(),
        Step::Phase { instrument, class: number, phase, duration_ms, random_ms } => SetPhase {
            client_order_id,
            class: class(number),
            area: AreaCode::default(),
            instrument: InstrumentId::new(instrument),
            duration_ms,
            random_ms,
            phase,
            ..Default::default()
        }
        .into(),
        Step::Bands(ref bands) => SetBands {
            client_order_id,
            band_low: price(bands.low),
            band_high: price(bands.high),
            velocity_move: price(bands.velocity_ticks),
            instrument: InstrumentId::new(bands.instrument),
            dynamic_bps: bands.dynamic_bps,
            velocity_window_ms: bands.window_ms,
            halt_ms: bands.halt_ms,
            auction_ms: bands.auction_ms,
            auction_random_ms: bands.random_ms,
        }
        .into(),
        Step::Limits { trader: index, order, open, orders, window } => SetLimits {
            client_order_id,
            order_value_max: MicroEc::new(order),
            open_value_max: MicroEc::new(open),
            account: trader(index),
            open_orders_max: orders,
            window_accelerators_max: window,
            ..Default::default()
        }
        .into(),
        Step::Register { accelerators } => register(client_order_id, accelerators),
        Step::Deliver { quarter } => deliver(client_order_id, 0, quarter),
        Step::SetYield { yield_ktok } => set_yield(client_order_id, 0, yield_ktok),
        Step::Repeat { back } => {
            let client_order_id = ClientOrderId::new(client_order_id.raw().saturating_sub(back));
            NewOrder { client_order_id, qty: 1, ..Default::default() }.into()
        }
        Step::List { odd, value } => ListInstrument { client_order_id, ..odd_listing(odd, value) }.into(),
        Step::Account { account, roles } => {
            let account = AccountId::new(account);
            OpenAccount { client_order_id, account, roles, ..Default::default() }.into()
        }
        Step::Credits { kind, amount, trader: index } => {
            let amount = MicroEc::new(amount);
            match kind {
                0 => MintCredits { client_order_id, amount, ..Default::default() }.into(),
                1 => RetireCredits { client_order_id, amount }.into(),
                _deposit => {
                    DepositCredits { client_order_id, amount, to: trader(index), ..Default::default() }.into()
                }
            }
        }
        Step::Query { .. } | Step::Disconnect | Step::Restart | Step::Seed { .. } | Step::Wait { .. } => {
            unreachable!("no single request")
        }
        Step::Spoiled { .. } => unreachable!("it was unpacked"),
    }
}

fn new_order(view: &View, client_order_id: ClientOrderId, new: &New) -> Command {
    let expires = if new.expires_ms == 0 { TimeNs::ZERO } else { view.now.saturating_add_ms(new.expires_ms) };
    NewOrder {
        client_order_id,
        price: price(new.ticks),
        instrument: InstrumentId::new(new.instrument),
        qty: if new.order_type == 2 && new.flags == 0 { 0 } else { new.lots },
        side: 1 + u8::from(new.sell),
        time_in_force: new.time_in_force,
        flags: new.flags,
        order_type: new.order_type,
        trigger: new.trigger,
        self_trade: new.self_trade,
        expires,
        budget: MicroEc::new(new.budget),
        trigger_price: price(new.trigger_ticks),
        trail_distance: price(new.trail_ticks),
        activation_price: price(new.activation_ticks),
        min_qty: new.min_qty,
        display_qty: new.display,
        trail_bps: new.trail_bps,
        ..Default::default()
    }
    .into()
}

fn oco_order(view: &View, client_order_id: ClientOrderId, oco: &Oco) -> Command {
    let expires = if oco.expires_ms == 0 { TimeNs::ZERO } else { view.now.saturating_add_ms(oco.expires_ms) };
    OcoOrder {
        client_order_id,
        price: price(oco.ticks),
        trigger_price: price(oco.trigger_ticks),
        stop_price: price(oco.stop_ticks),
        expires,
        instrument: InstrumentId::new(oco.instrument),
        qty: oco.lots,
        side: 1 + u8::from(oco.sell),
        time_in_force: oco.time_in_force,
        self_trade: oco.self_trade,
        ..Default::default()
    }
    .into()
}

fn order_batch(view: &View, account: u32, client_order_id: ClientOrderId, entries: &[Entry]) -> Command {
    let mut batch = OrderBatch { client_order_id, count: entries.len() as u8, ..Default::default() };
    for (place, entry) in batch.entries.iter_mut().zip(entries) {
        *place = BatchEntry {
            kind: entry.kind,
            side: 1 + u8::from(entry.sell),
            time_in_force: entry.time_in_force,
            flags: 0,
            instrument: InstrumentId::new(entry.instrument),
            qty: entry.lots,
            slot: SlotHint::UNKNOWN,
            order_id: if entry.kind == BatchEntry::NEW {
                OrderId::NONE
            } else {
                view.order(account, entry.back)
            },
            target: ClientOrderId::NONE,
            price: price(entry.ticks),
        };
    }
    batch.into()
}

fn mass_quote(client_order_id: ClientOrderId, pairs: &[Pair], flags: u8, self_trade: u8) -> Command {
    let mut quote =
        MassQuote { client_order_id, count: pairs.len() as u8, flags, self_trade, ..Default::default() };
    for (place, pair) in quote.pairs.iter_mut().zip(pairs) {
        *place = QuotePair {
            bid: price(pair.bid),
            ask: price(pair.ask),
            instrument: InstrumentId::new(pair.instrument),
            bid_qty: pair.bid_lots,
            ask_qty: pair.ask_lots,
            ..Default::default()
        };
    }
    quote.into()
}

fn basket(client_order_id: ClientOrderId, legs: &[Leg], self_trade: u8) -> Command {
    let mut basket = Basket { client_order_id, count: legs.len() as u8, self_trade, ..Default::default() };
    for (place, leg) in basket.legs.iter_mut().zip(legs) {
        *place = BasketLeg {
            price: price(leg.ticks),
            instrument: InstrumentId::new(leg.instrument),
            qty: leg.lots,
            side: 1 + u8::from(leg.sell),
            ..Default::default()
        };
    }
    basket.into()
}

fn register(client_order_id: ClientOrderId, accelerators: u32) -> Command {
    RegisterCapacity {
        client_order_id,
        class: class((accelerators % 3) as u8),
        area: area(),
        start_minute: START,
        window_minutes: 60,
        accelerators,
        ..Default::default()
    }
    .into()
}

fn deliver(client_order_id: ClientOrderId, number: u8, quarter: u32) -> Command {
    let slot = QuarterSlot::new(START / 15 + quarter);
    DeliverSlot { client_order_id, class: class(number), area: area(), slot, ..Default::default() }.into()
}

fn set_yield(client_order_id: ClientOrderId, number: u8, yield_ktok: u32) -> Command {
    let (class, model) = (class(number), ModelId::new(1));
    SetYield { client_order_id, class, yield_ktok: Yield::new(yield_ktok), model, ..Default::default() }
        .into()
}

/// A command with another byte at some place after its number, if it still is one then.
fn spoiled(command: &Command, place: usize, byte: u8) -> Command {
    let mut frame = Vec::new();
    command.encode(&mut frame);
    let fields = HEADER_BYTES + 8;
    if frame.len() > fields {
        let at = fields + place % (frame.len() - fields);
        frame[at] = byte;
    }
    let (frame, _) = Frame::split(&frame).unwrap().unwrap();
    Command::decode(&frame).unwrap()
}

/// A further hour, with one field that may be wrong.
fn odd_listing(odd: u8, value: i64) -> ListInstrument {
    let [mut list, ..] = listings();
    list.start_minute += 60;
    list.gate = TimeNs::from_minutes(START + 30);
    match odd {
        0 => list.reference_price = Price::new(value),
        1 => list.maker_fee_ppm = value as i32,
        2 => list.taker_fee_ppm = value as i32,
        3 => list.band_low = Price::new(value),
        4 => list.band_high = Price::new(value),
        5 => list.tick = Price::new(value),
        6 => list.gate = TimeNs::new(value as u64),
        7 => list.opens = TimeNs::new(value as u64),
        8 => list.qty_max = value as u32 % 3,
        9 => list.accelerators_per_lot = value as u16 % 5,
        10 => list.start_minute = START + value as u32 % 100,
        11 => list.window_minutes = [15, 60, 1_440, 30][value as usize % 4],
        12 => list.class = class(value as u8 % 4),
        13 => list.area = AreaCode::default(),
        _good => list.maker_fee_ppm = -list.taker_fee_ppm,
    }
    list
}

/// Hours of three classes, the first two quarters of the first, and an hour that opens later.
fn listings() -> [ListInstrument; 6] {
    let hour = ListInstrument {
        class: class(0),
        area: area(),
        start_minute: START,
        window_minutes: 60,
        accelerators_per_lot: 2,
        tick: Price::new(1_000),
        band_low: price(97),
        band_high: price(103),
        opens: TimeNs::ZERO,
        gate: TimeNs::from_minutes(START - 15),
        qty_max: 6,
        taker_fee_ppm: 3_333,
        maker_fee_ppm: 1_111,
        reference_price: price(100),
        ..Default::default()
    };
    let quarter = |start_minute| ListInstrument {
        start_minute,
        window_minutes: 15,
        gate: TimeNs::from_minutes(START - 3),
        reference_price: Price::ZERO,
        ..hour
    };
    [
        hour,
        ListInstrument { class: class(1), accelerators_per_lot: 3, maker_fee_ppm: -2_345, ..hour },
        ListInstrument { class: class(2), reference_price: Price::ZERO, ..hour },
        quarter(START),
        quarter(START + 15),
        ListInstrument { class: "L40S".parse().unwrap(), opens: TimeNs::from_minutes(START - 40), ..hour },
    ]
}
