//! The price war on the real engine and the real feed, on a clock of its own: a minute of it takes a second or two.

use joulebook_agents::outcome::{Outcome, Record};
use joulebook_agents::price_war::{Participant, PriceWar};
use joulebook_agents::{Actions, Agent};
use joulebook_engine::{Destination, Engine, Events};
use joulebook_feed::{FeedChange, FeedPublisher, FeedReceiver, LEVELS_AND_TRADES, SubscriberId, Subscribers};
use joulebook_protocol::messages::{
    DepositCredits, Genesis, MintCredits, OpenAccount, SessionOpened, Subscribe, pad_text,
};
use joulebook_protocol::{Command, Event, FeedMessage, Frame, Origin, PublicEvent, SequencedCommand};
use joulebook_types::{
    AccountId, ClientOrderId, ConnectionId, InstrumentId, MicroEc, Price, Qty, Role, Roles, SessionId, Side,
    TimeNs,
};

const START: TimeNs = TimeNs::from_minutes(29_000_000);
const OPERATOR: AccountId = AccountId::new(1);
const ISSUER: AccountId = AccountId::new(2);
const FIRST_TRADER: u32 = 10;
const SAMPLE_NS: u64 = 100_000_000;

struct Trader {
    participant: Participant,
    agent: Box<dyn Agent>,
    actions: Actions,
}

/// The exchange and everybody on it, in one thread.
struct Market {
    war: PriceWar,
    engine: Engine,
    events: Events,
    publisher: FeedPublisher,
    receiver: FeedReceiver,
    wire: Wire,
    traders: Vec<Trader>,
    record: Record,
    now: TimeNs,
    rejects: u64,
}

#[derive(Default)]
struct Wire(Vec<u8>);

impl Subscribers for Wire {
    fn is_lagging(&self, _subscriber: SubscriberId) -> bool {
        false
    }

    fn send(&mut self, _subscriber: SubscriberId, frames: &[u8]) {
        self.0.extend_from_slice(frames);
    }
}

fn account_of(trader: usize) -> AccountId {
    AccountId::new(FIRST_TRADER + trader as u32)
}

impl Market {
    fn new(war: PriceWar, seconds: u32) -> Self {
        let mut market = Self {
            traders: Vec::new(),
            record: Record::new(war.clone()),
            engine: Engine::new(),
            events: Events::new(),
            publisher: FeedPublisher::new(1),
            receiver: FeedReceiver::new(LEVELS_AND_TRADES),
            wire: Wire::default(),
            now: START,
            rejects: 0,
            war,
        };
        market.open_exchange(seconds);
        market
    }

    fn open_exchange(&mut self, seconds: u32) {
        let everything =
            Subscribe { instrument: InstrumentId::NONE, kinds: LEVELS_AND_TRADES, reserved: [0; 3] };
        self.publisher.subscribe(SubscriberId(0), &everything).unwrap();
        self.apply(
            Origin::SYSTEM,
            Genesis {
                accounts_max: 100,
                sessions_max: 100,
                instruments_max: 1_000,
                orders_max: 100_000,
                outbox_events_max: 1_000,
                session_outcomes_max: 1_000,
                outcomes_max: 100_000,
                ..Genesis::default()
            },
        );
        self.open_account(OPERATOR, Roles::NONE.with(Role::Operator), "operator");
        self.open_account(ISSUER, Roles::NONE.with(Role::Issuer), "issuer");
        let war = self.war.clone();
        let windows: Vec<_> = war.front_windows(START, seconds).collect();
        let mut id = ClientOrderId::NONE;
        for bloc in &war.blocs {
            id = id.next();
            self.apply(origin(OPERATOR), war.yield_entry(bloc, id));
            for window in &windows {
                id = id.next();
                self.apply(origin(OPERATOR), war.listing(bloc, *window, id));
            }
        }
        for (index, participant) in war.participants().into_iter().enumerate() {
            let account = account_of(index);
            self.open_account(account, participant.roles(), &participant.to_string());
            self.fund(account, war.credits(participant, seconds));
            let mut id = ClientOrderId::NONE;
            if let Participant::Seller { bloc, .. } = participant {
                for window in &windows {
                    id = id.next();
                    self.apply(origin(account), war.registration(&war.blocs[bloc], *window, id));
                }
            }
            let agent = war.agent(participant, START);
            self.traders.push(Trader { participant, agent, actions: Actions::new(id.next()) });
        }
        assert_eq!(self.rejects, 0, "the scenario sets itself up");
    }

    fn open_account(&mut self, account: AccountId, roles: Roles, name: &str) {
        let open =
            OpenAccount { account, roles: roles.bits(), name: pad_text(name), ..OpenAccount::default() };
        self.apply(Origin::SYSTEM, open);
        let connection = ConnectionId::of_gateway(1, u64::from(account.raw()));
        let opened =
            SessionOpened { connection, cancel_on_disconnect_ms: u32::MAX, ..SessionOpened::default() };
        self.apply(origin(account), opened);
    }

    fn fund(&mut self, to: AccountId, amount: MicroEc) {
        if amount == MicroEc::ZERO {
            return;
        }
        let id = |step: u64| ClientOrderId::new(u64::from(to.raw()) * 2 + step);
        self.apply(origin(ISSUER), MintCredits { client_order_id: id(0), amount, attestation: 1 });
        self.apply(origin(ISSUER), DepositCredits { client_order_id: id(1), amount, to, reserved: 0 });
    }

    /// One batch of one command, and everything that follows from it at the same moment.
    fn apply(&mut self, origin: Origin, command: impl Into<Command>) {
        let mut due = vec![SequencedCommand { origin, command: command.into() }];
        while let Some(command) = due.pop() {
            self.events.clear();
            self.engine.begin_batch(self.engine.last_seq().next(), self.now, &mut self.events);
            self.engine.apply(&command, &mut self.events);
            self.engine.end_batch(&mut self.events);
            let events = std::mem::take(&mut self.events);
            for record in events.iter() {
                let (frame, _) = Frame::split(record.frame).unwrap().unwrap();
                match record.destination {
                    Destination::Public => self.on_public(&PublicEvent::decode(&frame).unwrap()),
                    Destination::Connection(connection) => self.on_private(connection, &frame),
                }
            }
            self.events = events;
            for trader in 0..self.traders.len() {
                due.splice(0..0, self.collect(trader).into_iter().rev());
            }
        }
        while self.publisher.serve(&mut self.wire) {}
        self.read_feed();
    }

    fn collect(&mut self, trader: usize) -> Vec<SequencedCommand> {
        let origin = Origin { received: self.now, ..origin(account_of(trader)) };
        let requests = self.traders[trader].actions.drain();
        requests.map(|request| SequencedCommand { origin, command: request.command }).collect()
    }

    fn on_public(&mut self, event: &PublicEvent) {
        self.publisher.publish(event, &mut self.wire);
    }

    fn on_private(&mut self, connection: ConnectionId, frame: &Frame<'_>) {
        let Ok(event) = Event::decode(frame) else { return };
        if let Event::RequestRejected(rejected) = &event {
            self.rejects += 1;
            // A maker's quote may meet a seller that came down meanwhile; nothing else should be refused.
            assert_eq!(rejected.reason, 32, "{rejected:?}");
        }
        let account = (connection.raw() & 0xffff_ffff) as u32;
        let Some(trader) =
            account.checked_sub(FIRST_TRADER).and_then(|index| self.traders.get_mut(index as usize))
        else {
            return;
        };
        trader.agent.on_event(&event, self.now, &mut trader.actions);
    }

    fn read_feed(&mut self) {
        let bytes = std::mem::take(&mut self.wire.0);
        let mut rest = bytes.as_slice();
        while let Some((frame, after)) = Frame::split(rest).unwrap() {
            rest = after;
            let change = match FeedMessage::decode(&frame) {
                Ok(message) => self.receiver.on_feed(&message),
                Err(_) => self.receiver.on_public(&PublicEvent::decode(&frame).unwrap()),
            };
            self.on_change(change);
        }
    }

    fn on_change(&mut self, change: FeedChange) {
        let instrument = match change {
            FeedChange::Trade(trade) => {
                let class = self.receiver.market(trade.instrument).unwrap().definition.unwrap().class;
                let bloc = self.war.blocs.iter().position(|bloc| bloc.class == class).unwrap();
                let (qty, aggressor) = (Qty::from(trade.qty), Side::from_raw(trade.aggressor));
                self.record.on_trade(self.second(), bloc, trade.price, qty, aggressor);
                return;
            }
            FeedChange::Level { instrument, .. } | FeedChange::Definition { instrument } => instrument,
            FeedChange::Resubscribe { .. } | FeedChange::Refused { .. } => panic!("{change:?}"),
            FeedChange::Snapshot { .. }
            | FeedChange::Indication(_)
            | FeedChange::Yields
            | FeedChange::SnapshotsDone { .. }
            | FeedChange::None => return,
        };
        assert!(!self.receiver.market(instrument).unwrap().book.is_crossed(), "book {instrument} is crossed");
        for trader in &mut self.traders {
            trader.agent.on_market(instrument, &self.receiver, self.now);
        }
    }

    fn second(&self) -> usize {
        ((self.now.raw() - START.raw()) / 1_000_000_000) as usize
    }

    fn sample(&mut self) {
        let windows = self.war.windows;
        let ask = |id: u32| -> Option<Price> {
            self.receiver.market(InstrumentId::new(id))?.book.best(Side::Sell).map(|level| level.price)
        };
        // Listed bloc by bloc, so the ids of one window lie this far apart.
        let asks: Vec<_> = (1..=windows).map(|id| [ask(id), ask(id + windows)]).collect();
        for asks in asks {
            self.record.on_best_asks(self.second(), asks);
        }
    }

    fn run(&mut self, seconds: u32) -> Outcome {
        let end = START.raw() + u64::from(seconds) * 1_000_000_000;
        let mut next_sample = START.raw() + SAMPLE_NS / 2;
        loop {
            let due = |trader: &Trader| trader.agent.deadline().map_or(u64::MAX, TimeNs::raw);
            let (trader, at) = self.traders.iter().map(due).enumerate().min_by_key(|(_, at)| *at).unwrap();
            while next_sample < at.min(end) {
                self.now = TimeNs::new(next_sample);
                self.sample();
                next_sample += SAMPLE_NS;
            }
            if at >= end {
                return self.record.outcome();
            }
            self.now = TimeNs::new(at);
            let Trader { agent, actions, .. } = &mut self.traders[trader];
            agent.on_timer(&self.receiver, self.now, actions);
            for command in self.collect(trader) {
                self.apply(command.origin, command.command);
            }
        }
    }
}

fn origin(account: AccountId) -> Origin {
    Origin { account, session: SessionId::new(1), received: START }
}

/// A smaller war, so that a test build fights it in seconds.
fn small_war(seed: u64, seconds: u32) -> PriceWar {
    let mut war = PriceWar::new(seed);
    war.windows = 4;
    war.sellers_per_bloc = 4;
    war.token_orders_per_second = 4.0;
    war.pace_for(seconds);
    war
}

fn fight(war: PriceWar, seconds: u32) -> (Outcome, Market) {
    let mut market = Market::new(war, seconds);
    let outcome = market.run(seconds);
    for check in &outcome.checks {
        println!("{check}");
    }
    (outcome, market)
}

#[test]
fn the_lower_floor_wins_whoever_has_it() {
    type Change = fn(&mut PriceWar);
    let cases: [(&str, Change, &str, usize); 3] = [
        ("as the demo", |_| {}, "Google", 1),
        ("floors swapped", PriceWar::swap_floors, "NVIDIA", 0),
        ("a poorer yield", |war| war.set_rho(450), "NVIDIA", 0),
    ];
    for (name, change, winner, bloc) in cases {
        let mut war = small_war(42, 30);
        change(&mut war);
        war.pace_for(30);
        let (outcome, market) = fight(war, 30);
        assert!(outcome.passed(), "{name}: {:#?}", outcome.checks);
        assert_eq!(outcome.winner, Some(winner), "{name}");
        assert!(
            outcome.total_ktok[bloc] > outcome.total_ktok[1 - bloc] / 2,
            "{name}: {:?}",
            outcome.total_ktok
        );
        assert_eq!(market.engine.recount(), Ok(()), "{name}");
        assert!(outcome.trades > 100, "{name}");
    }
}

#[test]
fn every_seed_ends_the_same_way_and_the_same_seed_exactly() {
    let hash = |market: &Market| market.engine.state_hash();
    let (first, market) = fight(small_war(1, 20), 20);
    let (again, same) = fight(small_war(1, 20), 20);
    assert_eq!((&first, hash(&market)), (&again, hash(&same)));
    for seed in 2..6 {
        let (outcome, other) = fight(small_war(seed, 20), 20);
        assert!(outcome.passed(), "seed {seed}: {:#?}", outcome.checks);
        assert_ne!(hash(&other), hash(&market), "seed {seed} is another run");
    }
}

#[test]
fn makers_trade_too() {
    let (_, market) = fight(small_war(7, 20), 20);
    let held = |trader: &Trader| matches!(trader.participant, Participant::Maker(_));
    let spent =
        market.traders.iter().enumerate().filter(|(_, trader)| held(trader)).filter(|(index, trader)| {
            let credits = market.engine.credits(account_of(*index)).unwrap();
            credits.free + credits.held != market.war.credits(trader.participant, 20)
        });
    assert!(spent.count() > 0, "no maker ever bought or sold");
}
