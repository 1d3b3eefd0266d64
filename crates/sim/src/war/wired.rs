//! The war over the whole exchange: the agents trade over sessions, gateway, core and journal, and a minute takes a moment.

mod seat;

use std::collections::BTreeMap;

use joulebook_agents::outcome::Record;
use joulebook_agents::price_war::PriceWar;
use joulebook_feed::{FeedChange, FeedReceiver, LEVELS_AND_TRADES};
use joulebook_protocol::messages::FeedTrade;
use joulebook_types::{AccountId, InstrumentId, Price, Qty, Side, TimeNs};
use ring::signature::{Ed25519KeyPair, KeyPair};

use crate::checks::{Check, Violation};
use crate::clock::Clocks;
use crate::dice::Dice;
use crate::disk::SimDisk;
use crate::exchange::{Exchange, ExchangeConfig, OPERATORS, PUBLIC, Step, recover_disk};
use crate::net::{Fabric, Host, NetProfile};
use crate::plan::part;
use crate::scene::Scene;
use crate::war::stage::{self, DISK, EPOCH, LOOK_NS, journal_config};
use crate::war::wired::seat::Seat;
use crate::war::{WarOutcome, check_economics};

/// A running war.
struct War {
    war: PriceWar,
    scene: Scene,
    epoch_ns: u64,
    fabric: Fabric,
    disk: SimDisk,
    exchange: Exchange,
    /// The operator's first, who also watches the market for everybody, and then the participants'.
    seats: Vec<Seat>,
    market: Market,
    look_at: u64,
}

/// The market as the observer sees it.
struct Market {
    feed: FeedReceiver,
    record: Record,
    newest: u64,
    /// When each instrument last changed.
    versions: BTreeMap<InstrumentId, u64>,
}

/// Trading begins this long after the world does.
const START_NS: u64 = 5_000_000_000;
const EXCHANGE: ExchangeConfig = ExchangeConfig {
    is_inline: true,
    command_slots: 4_096,
    event_slots: 8_192,
    unread_bytes: 1 << 20,
    orders_per_s: 100_000,
    window_bytes: 64 << 10,
    stalls_ppm: 0,
};

pub(super) fn fight(war: &PriceWar, seconds: u32) -> Result<WarOutcome, Violation> {
    let mut world = War::new(war.clone(), seconds)?;
    // A moment before: the first agents act on the stroke.
    world.run_to(START_NS - 1)?;
    world.check_ready()?;
    world.run_to(START_NS + u64::from(seconds) * 1_000_000_000)?;
    world.judge()
}

impl War {
    fn new(war: PriceWar, seconds: u32) -> Result<Self, Violation> {
        let scene = Scene::default();
        let epoch_ns = EPOCH.raw();
        let clocks = Clocks::new(scene.time.clone(), epoch_ns);
        let fabric = Fabric::new(scene.clone(), Dice::new(war.seed, part::NET), NetProfile::PERFECT);
        let disk = SimDisk::new(scene.clone(), Dice::new(war.seed, part::DISK), DISK);
        let recovered = match recover_disk(&disk, journal_config(war.seed)) {
            Ok(recovered) => recovered,
            Err(error) => return Check::Recovery.broken(error.to_string()),
        };
        let mut keys = Dice::new(war.seed, part::KEYS);
        let people = stage::people(&war, TimeNs::new(epoch_ns + START_NS), seconds);
        let pairs: BTreeMap<AccountId, Ed25519KeyPair> =
            people.iter().map(|person| (person.account, key_pair(&mut keys))).collect();
        let first = stage::first_commands(&war, &people, |person| public_key(&pairs[&person.account]));
        let seat = |(index, (person, key))| {
            let place = if index == 0 { (10, OPERATORS) } else { (10 + index as Host, PUBLIC) };
            Seat::new(fabric.clone(), place, person, key)
        };
        let seats = people.into_iter().zip(pairs.into_values()).enumerate().map(seat).collect();
        let parts = (scene.clone(), Dice::new(war.seed, part::EXCHANGE));
        let exchange = Exchange::start(parts, EXCHANGE, clocks, fabric.clone(), recovered, &first);
        let market = Market {
            feed: FeedReceiver::new(LEVELS_AND_TRADES),
            record: Record::new(war.clone()),
            newest: 0,
            versions: BTreeMap::new(),
        };
        Ok(Self { war, scene, epoch_ns, fabric, disk, exchange, seats, market, look_at: START_NS })
    }

    fn run_to(&mut self, end: u64) -> Result<(), Violation> {
        while self.scene.now() < end {
            let seats = self.seats.iter().filter_map(Seat::next_event).min();
            let parts = [seats, self.exchange.next_event(), self.fabric.next_event(), self.disk.next_event()];
            let next = parts.into_iter().flatten().min().unwrap_or(end).min(self.look_at);
            self.scene.time.advance_to(next.clamp(self.scene.now(), end));
            self.turn()?;
        }
        Ok(())
    }

    fn turn(&mut self) -> Result<(), Violation> {
        let now = self.scene.now();
        let (seats, mut for_exchange) = (&mut self.seats, self.disk.take_wake());
        self.fabric.deliver(|host| match seats.iter_mut().find(|seat| seat.host() == host) {
            Some(seat) => seat.touch(),
            None => for_exchange = true,
        });
        if for_exchange {
            self.exchange.wake();
        }
        match self.exchange.step()? {
            Step::Running => {}
            Step::Faulted(_) | Step::Stopped | Step::Died => {
                return Check::Liveness.broken("the exchange stopped");
            }
        }
        let time = TimeNs::new(self.epoch_ns + now);
        for seat in &mut self.seats {
            if seat.next_event().is_some_and(|at| at <= now) {
                seat.step(now, time, &mut self.market)?;
            }
        }
        if self.look_at <= now {
            self.look_at += LOOK_NS;
            self.market.look(&self.war, second(now));
        }
        Ok(())
    }

    /// Everything was set up.
    fn check_ready(&self) -> Result<(), Violation> {
        for seat in &self.seats {
            Check::Liveness.that(seat.is_settled(), || seat.describe())?;
        }
        Ok(())
    }

    fn judge(&mut self) -> Result<WarOutcome, Violation> {
        let outcome = self.market.record.outcome();
        check_economics(&outcome)?;
        self.exchange.begin_stop();
        while self.exchange.step()? != Step::Stopped {
            let parts = [self.exchange.next_event(), self.disk.next_event(), self.fabric.next_event()];
            let next = parts.into_iter().flatten().min().unwrap_or(0).max(self.scene.now());
            self.scene.time.advance_to(next);
            self.fabric.deliver(|_| {});
            if self.disk.take_wake() {
                self.exchange.wake();
            }
        }
        let recovered = match recover_disk(&self.disk, journal_config(self.war.seed)) {
            Ok(recovered) => recovered.engine,
            Err(error) => return Check::Recovery.broken(error.to_string()),
        };
        let ran = self.exchange.engine();
        let is_same = recovered.state_hash() == ran.state_hash()
            && recovered.event_chain_hash() == ran.event_chain_hash();
        Check::Replay.that(is_same, || "the replay of the war is another war".into())?;
        if let Err(error) = ran.recount() {
            return Check::Conservation.broken(format!("{error:?}"));
        }
        Ok(WarOutcome {
            outcome,
            commands: ran.last_seq().raw(),
            event_hash: ran.event_chain_hash(),
            state_hash: ran.state_hash(),
        })
    }
}

impl Market {
    /// What changed since `seen`, which is brought up to date.
    fn since(&self, seen: &mut u64) -> Vec<InstrumentId> {
        let before = core::mem::replace(seen, self.newest);
        if before == self.newest {
            return Vec::new();
        }
        self.versions
            .iter()
            .filter(|(_, version)| **version > before)
            .map(|(instrument, _)| *instrument)
            .collect()
    }

    fn on_change(&mut self, change: FeedChange, now: u64) -> Result<(), Violation> {
        match change {
            FeedChange::Level { instrument, .. }
            | FeedChange::Snapshot { instrument }
            | FeedChange::Definition { instrument } => {
                self.newest += 1;
                self.versions.insert(instrument, self.newest);
            }
            FeedChange::Trade(trade) => self.on_trade(&trade, now),
            FeedChange::Resubscribe { instrument, fault } => {
                return Check::Feed.broken(format!("the book of {instrument}: {fault:?}"));
            }
            FeedChange::Indication(_)
            | FeedChange::Yields
            | FeedChange::SnapshotsDone { .. }
            | FeedChange::Refused { .. }
            | FeedChange::None => {}
        }
        Ok(())
    }

    fn on_trade(&mut self, trade: &FeedTrade, now: u64) {
        let class =
            self.feed.market(trade.instrument).and_then(|market| market.definition).map(|known| known.class);
        let bloc = BLOCS.iter().find(|(_, name)| class.is_some_and(|class| class.as_str() == *name));
        if let Some((bloc, _)) = bloc.filter(|_| START_NS <= now) {
            let (qty, aggressor) = (Qty::from(trade.qty), Side::from_raw(trade.aggressor));
            self.record.on_trade(second(now), *bloc, trade.price, qty, aggressor);
        }
    }

    /// The best asks of every window in which both blocs stand.
    fn look(&mut self, war: &PriceWar, second: usize) {
        let mut windows: BTreeMap<(u32, u16), [Option<Price>; 2]> = BTreeMap::new();
        for (_, market) in self.feed.markets() {
            let Some(definition) = &market.definition else { continue };
            let Some(bloc) = war.blocs.iter().position(|bloc| bloc.class == definition.class) else {
                continue;
            };
            let asks = windows.entry((definition.start_minute, definition.window_minutes)).or_default();
            asks[bloc] = market.book.best(Side::Sell).filter(|_| market.is_synced()).map(|level| level.price);
        }
        windows.into_values().for_each(|asks| self.record.on_best_asks(second, asks));
    }
}

/// The classes of the two blocs.
const BLOCS: [(usize, &str); 2] = [(0, "H200S"), (1, "TPU6E")];

fn second(now: u64) -> usize {
    (now.saturating_sub(START_NS) / 1_000_000_000) as usize
}

fn key_pair(dice: &mut Dice) -> Ed25519KeyPair {
    let mut seed = [0; 32];
    seed.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&dice.bits().to_le_bytes()));
    Ed25519KeyPair::from_seed_unchecked(&seed).expect("any 32 bytes are a seed")
}

fn public_key(pair: &Ed25519KeyPair) -> [u8; 32] {
    let mut key = [0; 32];
    key.copy_from_slice(pair.public_key().as_ref());
    key
}
