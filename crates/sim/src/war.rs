//! The price war in virtual time: the agents trade over sessions, gateway, core and journal, and a minute takes a moment.

mod seat;

use std::collections::BTreeMap;

use joulebook_agents::outcome::{Outcome, Record};
use joulebook_agents::price_war::{Participant, PriceWar};
use joulebook_feed::{FeedChange, FeedReceiver, LEVELS_AND_TRADES};
use joulebook_journal::LocalConfig;
use joulebook_protocol::Command;
use joulebook_protocol::messages::{DepositCredits, FeedTrade, Genesis, MintCredits, OpenAccount, Seed};
use joulebook_types::{
    AccountId, InstrumentId, MicroEc, Price, Qty, Role, Roles, ShardId, Side, TimeNs, Window,
};

use crate::checks::{Check, Violation};
use crate::clock::Clocks;
use crate::dice::Dice;
use crate::disk::{DiskProfile, SimDisk};
use crate::exchange::{Exchange, ExchangeConfig, OPERATORS, PUBLIC, SHARD, Step, TERM, recover_disk};
use crate::net::{Fabric, NetProfile};
use crate::plan::part;
use crate::scene::Scene;
use crate::war::seat::Seat;

/// What a war came to.
#[derive(Clone, Debug)]
pub struct WarOutcome {
    pub outcome: Outcome,
    /// Durable commands.
    pub commands: u64,
    /// Of all that the exchange said, and of its state at the end.
    pub event_hash: [u64; 2],
    pub state_hash: [u8; 32],
}

/// A running war.
struct War {
    war: PriceWar,
    scene: Scene,
    epoch_ns: u64,
    fabric: Fabric,
    disk: SimDisk,
    exchange: Exchange,
    /// The operator, who also watches the market for everybody, and then the participants.
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

const OPERATOR: AccountId = AccountId::new(1);
const FIRST_ACCOUNT: u32 = 10;
/// Trading begins this long after the world does.
const START_NS: u64 = 5_000_000_000;
const LOOK_NS: u64 = 100_000_000;
/// 2026-11-24T12:00Z.
const EPOCH_MINUTE: u32 = 29_925_360;
const DISK: DiskProfile =
    DiskProfile { sync_ns: (60_000, 400_000), stalls_ppm: 0, sync_errors_ppm: 0, snapshot_errors_ppm: 0 };
const EXCHANGE: ExchangeConfig = ExchangeConfig {
    is_inline: true,
    command_slots: 4_096,
    event_slots: 8_192,
    unread_bytes: 1 << 20,
    orders_per_s: 100_000,
    window_bytes: 64 << 10,
    stalls_ppm: 0,
};

/// Plays the war for so many seconds of its own time.
pub fn fight(seed: u64, seconds: u32) -> Result<WarOutcome, Violation> {
    let mut war = PriceWar::new(seed);
    war.pace_for(seconds);
    let mut world = War::new(war, seconds)?;
    // A moment before: the first agents act on the stroke.
    world.run_to(START_NS - 1)?;
    world.check_ready()?;
    world.run_to(START_NS + u64::from(seconds) * 1_000_000_000)?;
    world.judge()
}

impl War {
    fn new(war: PriceWar, seconds: u32) -> Result<Self, Violation> {
        let scene = Scene::default();
        let epoch_ns = TimeNs::from_minutes(EPOCH_MINUTE).raw();
        let clocks = Clocks::new(scene.time.clone(), epoch_ns);
        let fabric = Fabric::new(scene.clone(), Dice::new(war.seed, part::NET), NetProfile::PERFECT);
        let disk = SimDisk::new(scene.clone(), Dice::new(war.seed, part::DISK), DISK);
        let recovered = match recover_disk(&disk, journal_config(war.seed)) {
            Ok(recovered) => recovered,
            Err(error) => return Check::Recovery.broken(error.to_string()),
        };
        let start = TimeNs::new(epoch_ns + START_NS);
        let seats = seats(&war, &fabric, (epoch_ns, start), seconds);
        let first = first_commands(&war, &seats);
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
        if let Some(check) = outcome.checks.iter().find(|check| !check.passed) {
            return Check::Economics.broken(format!("{}: {}", check.name, check.detail));
        }
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

fn journal_config(seed: u64) -> LocalConfig {
    LocalConfig {
        term: TERM,
        segment_bytes: 8 << 20,
        group_bytes_max: 1 << 20,
        ..LocalConfig::new(SHARD, seed | 1)
    }
}

fn seats(war: &PriceWar, fabric: &Fabric, (epoch_ns, start): (u64, TimeNs), seconds: u32) -> Vec<Seat> {
    let now = TimeNs::new(epoch_ns);
    let windows: Vec<Window> = war.front_windows(now, seconds).collect();
    let participants = war.participants();
    let mut keys = Dice::new(war.seed, part::KEYS);
    let mut operator =
        Seat::new(fabric.clone(), (10, OPERATORS), (OPERATOR, "operator".into()), &mut keys, None);
    for bloc in war.blocs {
        let entry = war.clone();
        operator.give_job(Box::new(move |id| entry.yield_entry(&bloc, id).into()));
        for window in &windows {
            let (war, window) = (war.clone(), *window);
            operator.give_job(Box::new(move |id| war.listing(&bloc, window, id).into()));
        }
    }
    let credits: Vec<MicroEc> = participants.iter().map(|who| war.credits(*who, seconds)).collect();
    let amount =
        credits.iter().fold(MicroEc::ZERO, |sum, more| sum.checked_add(*more).unwrap_or(MicroEc::MAX));
    operator.give_job(Box::new(move |client_order_id| {
        MintCredits { client_order_id, amount, attestation: 1 }.into()
    }));
    let mut seats = Vec::new();
    for (index, (participant, amount)) in participants.into_iter().zip(credits).enumerate() {
        let account = AccountId::new(FIRST_ACCOUNT + index as u32);
        if amount != MicroEc::ZERO {
            operator.give_job(Box::new(move |client_order_id| {
                DepositCredits { client_order_id, amount, to: account, reserved: 0 }.into()
            }));
        }
        let agent = Some((participant, war.agent(participant, start)));
        let name = participant.to_string();
        let mut seat =
            Seat::new(fabric.clone(), (11 + index as u32, PUBLIC), (account, name), &mut keys, agent);
        if let Participant::Seller { bloc, .. } = participant {
            for window in &windows {
                let (war, bloc, window) = (war.clone(), war.blocs[bloc], *window);
                seat.give_job(Box::new(move |id| war.registration(&bloc, window, id).into()));
            }
        }
        seats.push(seat);
    }
    seats.insert(0, operator);
    seats
}

fn first_commands(war: &PriceWar, seats: &[Seat]) -> Vec<Command> {
    let genesis = Genesis {
        shard: ShardId::new(1),
        accounts_max: 100,
        sessions_max: 200,
        instruments_max: 200,
        orders_max: 100_000,
        outbox_events_max: 1_000_000,
        session_outcomes_max: 65_536,
        outcomes_max: 1_000_000,
        ..Genesis::default()
    };
    let open = |seat: &Seat| {
        let roles =
            seat.roles().unwrap_or_else(|| [Role::Operator, Role::Issuer].into_iter().collect::<Roles>());
        let (account, public_key) = (seat.account(), seat.public_key());
        OpenAccount { account, roles: roles.bits(), public_key, ..OpenAccount::default() }.into()
    };
    let seed = Command::Seed(Seed { seed: war.seed });
    core::iter::once(genesis.into()).chain(seats.iter().map(open)).chain([seed]).collect()
}
