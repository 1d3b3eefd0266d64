//! The mix that is published for single-symbol tests, as commands in memory.

use joulebook_engine::{Engine, Events};
use joulebook_protocol::messages::{
    CancelOrder, DepositCredits, Genesis, ListInstrument, MintCredits, NewOrder, OpenAccount,
    RegisterCapacity, ReplaceOrder, SessionOpened,
};
use joulebook_protocol::{Command, Event, Frame, Origin, SequencedCommand};
use joulebook_types::{
    AccountId, AreaCode, ClientOrderId, ConnectionId, InstrumentId, MicroEc, OrderId, Price, Role, Roles,
    SessionId, ShardId, Side, SlotHint, TimeInForce, TimeNs,
};

use crate::BATCH_COMMANDS;

const OPERATOR: AccountId = AccountId::new(1);
const ISSUER: AccountId = AccountId::new(2);
/// The first buys, the second sells, so self-trade prevention stays out of the figures.
const TRADERS: [AccountId; 2] = [AccountId::new(10), AccountId::new(11)];
const SESSION: SessionId = SessionId::new(1);
const TICK: i64 = 10_000;
const MID_TICKS: i64 = 5_000;
/// The hour that is traded, in minutes since 1970; engines of benchmarks begin there.
const DELIVERY_MINUTE: u32 = 60_000;

/// A stream to replay: the first part makes the market and is not timed.
pub struct Stream {
    pub prelude: Vec<SequencedCommand>,
    pub measured: Vec<SequencedCommand>,
}

/// An order that the generator knows to be open.
#[derive(Clone, Copy)]
struct Resting {
    owner: usize,
    order_id: OrderId,
    slot: SlotHint,
    price: Price,
    qty: u32,
}

/// The mix that exchange-core publishes for its single-symbol test: 9 % GTC, 3 % IOC, 6 % cancel, 82 % move, on a book of
/// about `resting` orders.
pub fn plain_mix(resting: usize, commands: usize, seed: u64) -> Stream {
    let mut mix = PlainMix::new(resting, seed, DELIVERY_MINUTE);
    let (prelude, mut measured) = (mix.prelude(), Vec::new());
    while measured.len() < commands {
        mix.next(&mut measured);
    }
    Stream { prelude, measured }
}

/// The mix as it goes, without end.
pub struct PlainMix {
    market: Market,
    resting: usize,
}

impl PlainMix {
    /// The traded hour begins at `delivery_minute`, counted from 1970.
    pub fn new(resting: usize, seed: u64, delivery_minute: u32) -> Self {
        Self { market: Market::new(seed, delivery_minute), resting }
    }

    /// What makes the market and fills the book; comes first.
    pub fn prelude(&mut self) -> Vec<SequencedCommand> {
        while self.market.open.len() < self.resting {
            self.market.enter(TimeInForce::Gtc);
        }
        std::mem::take(&mut self.market.recorded)
    }

    /// Appends the next command, or a few.
    pub fn next(&mut self, out: &mut Vec<SequencedCommand>) {
        let market = &mut self.market;
        match market.random(100) {
            0..9 => market.enter(TimeInForce::Gtc),
            9..12 => market.enter(TimeInForce::Ioc),
            12..18 => market.cancel(),
            _ => market.replace(),
        }
        // Fills eat the book: refill it as the published test does, with the same kind of order.
        while market.open.len() < self.resting * 9 / 10 {
            market.enter(TimeInForce::Gtc);
        }
        out.append(&mut market.recorded);
    }
}

/// An engine with about `resting` resting orders and full tables of events and outcomes.
pub fn grown(resting: usize, seed: u64) -> Engine {
    let mut market = Market::new(seed, DELIVERY_MINUTE);
    while market.open.len() < resting {
        market.enter(TimeInForce::Gtc);
        // Commands have room for the longest of all: a million of them would not fit the memory.
        market.recorded.clear();
    }
    market.engine
}

/// Applies `commands` in batches; returns the engine's event hash so that nothing is optimised away.
pub fn run(engine: &mut Engine, commands: &[SequencedCommand], events: &mut Events) -> [u64; 2] {
    for batch in commands.chunks(BATCH_COMMANDS) {
        engine.begin_batch(engine.last_seq().next(), engine.time(), events);
        for command in batch {
            engine.apply(command, events);
        }
        engine.end_batch(events);
        events.clear();
    }
    engine.event_chain_hash()
}

/// An engine with the stream's market on it.
pub fn prepared(stream: &Stream) -> Engine {
    let mut engine = Engine::new();
    run(&mut engine, &stream.prelude, &mut Events::default());
    engine
}

struct Market {
    engine: Engine,
    events: Events,
    recorded: Vec<SequencedCommand>,
    open: Vec<Resting>,
    next_id: [u64; 2],
    random: u64,
    delivery_minute: u32,
}

impl Market {
    fn new(seed: u64, delivery_minute: u32) -> Self {
        let mut market = Self {
            delivery_minute,
            engine: Engine::new(),
            events: Events::default(),
            recorded: Vec::new(),
            open: Vec::new(),
            next_id: [1; 2],
            random: seed,
        };
        market.set_up();
        market
    }

    fn set_up(&mut self) {
        self.apply(
            Origin::SYSTEM,
            Command::Genesis(Genesis {
                shard: ShardId::new(1),
                reserved: 0,
                accounts_max: 16,
                sessions_max: 16,
                instruments_max: 16,
                orders_max: 1 << 20,
                outbox_events_max: 1 << 16,
                session_outcomes_max: 1 << 16,
                outcomes_max: 1 << 18,
                area: AreaCode::NONE,
            }),
        );
        let trader = Roles::from_iter([Role::Seller, Role::Buyer, Role::Maker]);
        let accounts = [
            (OPERATOR, Roles::from_iter([Role::Operator])),
            (ISSUER, Roles::from_iter([Role::Issuer])),
            (TRADERS[0], trader),
            (TRADERS[1], trader),
        ];
        for (account, roles) in accounts {
            let open = OpenAccount { account, roles: roles.bits(), ..OpenAccount::default() };
            self.apply(Origin::SYSTEM, Command::OpenAccount(open));
            let opened = SessionOpened {
                connection: ConnectionId::of_gateway(0, u64::from(account.raw())),
                cancel_on_disconnect_ms: u32::MAX,
                ..SessionOpened::default()
            };
            self.apply(from(account), Command::SessionOpened(opened));
        }
        let (class, area) = ("H200S".parse().expect("a class"), "DE".parse().expect("a zone"));
        self.apply(
            from(OPERATOR),
            Command::ListInstrument(ListInstrument {
                client_order_id: ClientOrderId::new(1),
                class,
                area,
                start_minute: self.delivery_minute,
                window_minutes: 60,
                accelerators_per_lot: 8,
                tick: Price::new(TICK),
                band_low: Price::new(TICK),
                band_high: Price::new(TICK * 100_000),
                gate: TimeNs::from_minutes(self.delivery_minute),
                qty_max: 1_000_000,
                ..ListInstrument::default()
            }),
        );
        let amount = MicroEc::from_ec(1_000_000_000_000);
        let mint =
            MintCredits { client_order_id: ClientOrderId::new(1), amount: amount + amount, attestation: 1 };
        self.apply(from(ISSUER), Command::MintCredits(mint));
        for (index, trader) in TRADERS.into_iter().enumerate() {
            let client_order_id = ClientOrderId::new(2 + index as u64);
            let deposit = DepositCredits { client_order_id, amount, to: trader, reserved: 0 };
            self.apply(from(ISSUER), Command::DepositCredits(deposit));
            let client_order_id = self.id(index);
            self.apply(
                from(trader),
                Command::RegisterCapacity(RegisterCapacity {
                    client_order_id,
                    class,
                    area,
                    start_minute: self.delivery_minute,
                    window_minutes: 60,
                    accelerators: 1 << 30,
                    ..RegisterCapacity::default()
                }),
            );
        }
    }

    fn enter(&mut self, time_in_force: TimeInForce) {
        let owner = self.random(2) as usize;
        let side = side_of(owner);
        let qty = 1 + (self.random(6) * self.random(6) * self.random(6)) as u32;
        let price = self.price(side, time_in_force);
        let order = NewOrder {
            client_order_id: self.id(owner),
            price,
            instrument: InstrumentId::new(1),
            qty,
            side: side.raw(),
            time_in_force: time_in_force.raw(),
            ..NewOrder::default()
        };
        self.apply(from(TRADERS[owner]), Command::NewOrder(order));
    }

    fn cancel(&mut self) {
        let Some(order) = self.pick() else { return };
        let cancel = CancelOrder {
            client_order_id: self.id(order.owner),
            order_id: order.order_id,
            slot: order.slot,
            ..CancelOrder::default()
        };
        self.apply(from(TRADERS[order.owner]), Command::CancelOrder(cancel));
    }

    /// A move: another price on the same side of the middle, the same size.
    fn replace(&mut self) {
        let Some(order) = self.pick() else { return };
        let price = loop {
            let price = self.price(side_of(order.owner), TimeInForce::Gtc);
            if price != order.price {
                break price;
            }
        };
        let replace = ReplaceOrder {
            client_order_id: self.id(order.owner),
            order_id: order.order_id,
            slot: order.slot,
            price,
            qty: order.qty,
            ..ReplaceOrder::default()
        };
        self.apply(from(TRADERS[order.owner]), Command::ReplaceOrder(replace));
    }

    /// Passive orders lie within 200 ticks of the middle, takers reach 5 ticks across it.
    fn price(&mut self, side: Side, time_in_force: TimeInForce) -> Price {
        let away = match time_in_force {
            TimeInForce::Gtc | TimeInForce::Gtd => 1 + self.random(200) as i64,
            TimeInForce::Ioc | TimeInForce::Fok => -5,
        };
        let ticks = match side {
            Side::Buy => MID_TICKS - away,
            Side::Sell => MID_TICKS + away,
        };
        Price::new(ticks * TICK)
    }

    fn pick(&mut self) -> Option<Resting> {
        let count = self.open.len() as u64;
        if count == 0 {
            return None;
        }
        let index = self.random(count) as usize;
        Some(self.open[index])
    }

    fn apply(&mut self, origin: Origin, command: Command) {
        let command = SequencedCommand { origin, command };
        self.engine.begin_batch(self.engine.last_seq().next(), self.engine.time(), &mut self.events);
        self.engine.apply(&command, &mut self.events);
        self.engine.end_batch(&mut self.events);
        self.recorded.push(command);
        self.learn(origin.account);
        self.events.clear();
    }

    /// What the events say about open orders.
    fn learn(&mut self, sender: AccountId) {
        let owner = usize::from(sender == TRADERS[1]);
        for record in self.events.iter() {
            let Ok(Some((frame, _))) = Frame::split(record.frame) else { continue };
            match Event::decode(&frame) {
                Ok(Event::OrderAccepted(event)) if event.time_in_force == TimeInForce::Gtc.raw() => {
                    self.open.push(Resting {
                        owner,
                        order_id: event.order_id,
                        slot: event.slot,
                        price: event.price,
                        qty: event.qty,
                    });
                }
                Ok(Event::OrderReplaced(event)) => {
                    let replaced = self.open.iter_mut().find(|order| order.order_id == event.order_id);
                    replaced.expect("only open orders are replaced").price = event.price;
                }
                Ok(Event::OrderCanceled(event)) => self.open.retain(|order| order.order_id != event.order_id),
                Ok(Event::OrderFilled(event)) if event.leaves_qty == 0 => {
                    self.open.retain(|order| order.order_id != event.order_id);
                }
                _ => {}
            }
        }
    }

    fn id(&mut self, owner: usize) -> ClientOrderId {
        let id = self.next_id[owner];
        self.next_id[owner] += 1;
        ClientOrderId::new(id)
    }

    /// A number below `bound`: splitmix64, whose constants are its authors' (Steele, Lea, Flood 2014).
    fn random(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

fn side_of(owner: usize) -> Side {
    if owner == 0 { Side::Buy } else { Side::Sell }
}

fn from(account: AccountId) -> Origin {
    Origin { account, session: SESSION, received: TimeNs::ZERO }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_stream_and_every_command_is_accepted() {
        let stream = plain_mix(200, 2_000, 7);
        let again = plain_mix(200, 2_000, 7);
        assert_eq!(stream.measured, again.measured);
        let mut engine = prepared(&stream);
        let mut events = Events::default();
        for command in &stream.measured {
            engine.begin_batch(engine.last_seq().next(), engine.time(), &mut events);
            engine.apply(command, &mut events);
            engine.end_batch(&mut events);
        }
        let rejected = events.iter().filter(|record| {
            let (frame, _) = Frame::split(record.frame).unwrap().unwrap();
            matches!(Event::decode(&frame), Ok(Event::RequestRejected(_) | Event::RequestRepeated(_)))
        });
        assert_eq!(rejected.count(), 0);
    }
}
