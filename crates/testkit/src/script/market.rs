//! A market on an exchange: it sets the stage, carries lines out, and says what came of them.

use std::collections::BTreeMap;

use joulebook_protocol::messages::*;
use joulebook_protocol::{Command, Event, Origin, PublicEvent, SequencedCommand};
use joulebook_types::{
    AreaCode, ClientOrderId, InstrumentId, MicroEc, Price, Role, Roles, SeqNum, ShardId, Side, Symbol, Window,
};

use super::fields::set_field;
use super::line::{About, Line, Shown, parse};
use super::names::{Party, STANDARD_SYMBOL, Scene, account, script_start};
use super::requests::{listing, listing_options, register_capacity, session_opened};
use super::words::{Parsed, Words};
use super::{Exchange, Heard, show, show_public};

/// One market, driven line by line.
pub struct Market<E> {
    exchange: E,
    scene: Scene,
    is_set: bool,
    last_seq: SeqNum,
    last_ids: BTreeMap<Party, u64>,
    shown: Shown,
    /// Lots and orders at each price, as the public events say.
    levels: BTreeMap<(InstrumentId, u8, Price), (u64, u32)>,
}

/// What came of a line.
#[derive(Debug, Default)]
pub struct Answer {
    /// For people, filtered as the script asks.
    pub lines: Vec<String>,
    /// All of it.
    pub heard: Vec<Heard>,
}

/// Everybody of the standard market. Sellers and makers have registered capacity, all but the first three have credits.
const STANDARD_ACCOUNTS: &[(&str, &[Role])] = &[
    ("operator", &[Role::Operator]),
    ("issuer", &[Role::Issuer]),
    ("meter", &[Role::Meter]),
    ("alice", &[Role::Seller]),
    ("bob", &[Role::Seller]),
    ("carol", &[Role::Buyer]),
    ("dave", &[Role::Buyer]),
    ("mia", &[Role::Maker, Role::Seller]),
    ("max", &[Role::Maker, Role::Seller]),
];
/// 100 lots of 8.
const STANDARD_ACCELERATORS: u32 = 800;
const STANDARD_CREDITS: MicroEc = MicroEc::from_ec(1_000_000);
/// The stage is set from this session, so that the ids of the first one start at 1.
const STAGE_SESSION: u32 = 9;

const GENESIS: Genesis = Genesis {
    shard: ShardId::new(1),
    reserved: 0,
    accounts_max: 30,
    sessions_max: 64,
    instruments_max: 120,
    orders_max: 1_000,
    outbox_events_max: 10_000,
    session_outcomes_max: 100,
    outcomes_max: 1_000,
    area: AreaCode::NONE,
};

impl<E: Exchange> Market<E> {
    /// A market that has not started: its first line may say how it is set up, else it is the standard one.
    pub fn new(exchange: E) -> Self {
        Self {
            exchange,
            scene: Scene { now: script_start(), instruments: BTreeMap::new() },
            is_set: false,
            last_seq: SeqNum::NONE,
            last_ids: BTreeMap::new(),
            shown: Shown::Clear,
            levels: BTreeMap::new(),
        }
    }

    /// Carries out one line. The error says in a sentence why it could not be read.
    pub fn run(&mut self, line: &str) -> Result<Answer, String> {
        if !self.is_set {
            self.is_set = true;
            if let Some(set_up) = line.strip_prefix("market") {
                self.set_up(set_up)?;
                return Ok(Answer::default());
            }
            self.set_up("")?;
        }
        let mut answer = Answer::default();
        match parse(line, &self.scene)? {
            Line::Request { party, mut command, about } => {
                let id = self.last_ids.get(&party).copied().unwrap_or_default() + 1;
                command.set_client_order_id(ClientOrderId::new(id));
                answer = self.request(party, command, about);
            }
            Line::Numbered { party, command, about } => answer = self.request(party, command, about),
            Line::System { party, command } => {
                let heard = self.carry_out(party, command);
                answer = self.answer(heard, About::Everything);
            }
            Line::Wait(until) => {
                self.scene.now = until;
                let heard = self.carry_out(None, AdvanceTime::default().into());
                answer = self.answer(heard, About::Everything);
            }
            Line::Book(instrument) => answer.lines = self.book(instrument),
            Line::Show(shown) => self.shown = shown,
        }
        Ok(answer)
    }

    fn request(&mut self, party: Party, command: Command, about: About) -> Answer {
        let ids = command.client_order_ids();
        let first = command.client_order_id().map_or(0, ClientOrderId::raw);
        let last = self.last_ids.entry(party).or_default();
        *last = (*last).max(first.saturating_add(ids).saturating_sub(1));
        let heard = self.carry_out(Some(party), command);
        self.answer(heard, about)
    }

    /// One command in a batch of its own.
    fn carry_out(&mut self, party: Option<Party>, command: Command) -> Vec<Heard> {
        let origin = party.map_or(Origin::SYSTEM, |party| Origin {
            account: party.account,
            session: party.session,
            received: self.scene.now,
        });
        self.last_seq = self.last_seq.next();
        self.exchange.begin_batch(self.last_seq, self.scene.now);
        self.exchange.apply(&SequencedCommand { origin, command });
        self.exchange.end_batch();
        let heard = self.exchange.take_events();
        for one in &heard {
            self.note(one);
        }
        heard
    }

    /// Learns what later lines may name.
    fn note(&mut self, heard: &Heard) {
        let Heard::Public(event) = heard else { return };
        match event {
            PublicEvent::InstrumentDefinition(e) => {
                let window = Window::new(e.start_minute, e.window_minutes).expect("a listed window is valid");
                self.scene.instruments.insert(e.instrument, Symbol { class: e.class, area: e.area, window });
            }
            PublicEvent::BookUpdate(e) => {
                let level = (e.instrument, e.side, e.price);
                if e.level_orders == 0 {
                    self.levels.remove(&level);
                } else {
                    self.levels.insert(level, (e.level_qty, e.level_orders));
                }
            }
            PublicEvent::PhaseChanged(_)
            | PublicEvent::YieldDefinition(_)
            | PublicEvent::AccountDefinition(_)
            | PublicEvent::Trade(_)
            | PublicEvent::BandsChanged(_)
            | PublicEvent::AuctionIndication(_) => {}
        }
    }

    fn answer(&self, heard: Vec<Heard>, about: About) -> Answer {
        let mut lines = Vec::new();
        let mut quarters: Option<(Party, CapacityBalance, CapacityBalance)> = None;
        for one in &heard {
            if let Heard::Private(connection, Event::CapacityBalance(e)) = one {
                let party = Party::of_connection(*connection);
                if matches!(about, About::Everything | About::Capacity) {
                    match &mut quarters {
                        Some((_, first, last)) if goes_on(first, last, e) => *last = *e,
                        open => {
                            lines.extend(open.take().map(show_quarters));
                            *open = Some((party, *e, *e));
                        }
                    }
                }
                continue;
            }
            lines.extend(quarters.take().map(show_quarters));
            lines.extend(self.show(one, about));
        }
        lines.extend(quarters.take().map(show_quarters));
        Answer { lines, heard }
    }

    fn show(&self, heard: &Heard, about: About) -> Option<String> {
        match heard {
            Heard::Public(event) => {
                let text = || format!("* {}", show_public::public(event, &self.scene));
                show_public::is_shown(event, self.shown).then(text)
            }
            Heard::Private(connection, event) => {
                let text = || {
                    format!("{}: {}", Party::of_connection(*connection), show::private(event, &self.scene))
                };
                is_about(event, about).then(text)
            }
            Heard::Session(connection, message) => {
                Some(format!("{}: {}", Party::of_connection(*connection), show::session(message)))
            }
        }
    }

    /// Asks from the highest price down, then bids.
    fn book(&self, instrument: InstrumentId) -> Vec<String> {
        let of_side = |side: Side| {
            let levels = self
                .levels
                .iter()
                .rev()
                .filter(move |((of, raw, _), _)| *of == instrument && *raw == side.raw());
            levels.map(move |((_, _, price), (qty, orders))| {
                let plural = if *orders == 1 { "order" } else { "orders" };
                format!("  {} {qty} at {price} in {orders} {plural}", side.name())
            })
        };
        let lines: Vec<String> = of_side(Side::Sell).chain(of_side(Side::Buy)).collect();
        if lines.is_empty() { vec!["  the book is empty".to_owned()] } else { lines }
    }

    /// Starts the exchange. `words` may say `empty`, options of the standard instrument, and fields of `Genesis`.
    fn set_up(&mut self, words: &str) -> Parsed<()> {
        let (words, fields) = words.split_once("with ").unwrap_or((words, ""));
        let mut genesis: Command = GENESIS.into();
        for field in fields.split_whitespace() {
            let (name, value) =
                field.split_once('=').ok_or_else(|| format!("'{field}' is not FIELD=VALUE"))?;
            genesis = set_field(&genesis, name, value)?;
        }
        let mut words = Words::of(words);
        let is_empty = words.take("empty");
        let standard: Symbol = STANDARD_SYMBOL.parse().expect("the standard symbol is one");
        let mut list = listing(standard);
        listing_options(&mut words, &mut list)?;
        words.finish()?;
        self.carry_out(None, genesis);
        self.open_accounts()?;
        if !is_empty {
            self.set_stage("operator", list.into())?;
            self.fund(standard)?;
        }
        Ok(())
    }

    fn open_accounts(&mut self) -> Parsed<()> {
        for (name, roles) in STANDARD_ACCOUNTS {
            let account = account(name)?;
            let roles = roles.iter().copied().collect::<Roles>().bits();
            self.carry_out(None, OpenAccount { account, roles, ..Default::default() }.into());
            let party = Party::new(account, 1);
            self.carry_out(Some(party), session_opened(party).into());
        }
        Ok(())
    }

    fn fund(&mut self, standard: Symbol) -> Parsed<()> {
        for (name, roles) in STANDARD_ACCOUNTS {
            if roles.contains(&Role::Seller) {
                self.set_stage(name, register_capacity(standard, STANDARD_ACCELERATORS).into())?;
            }
            if Roles::from_iter(roles.iter().copied()).may_trade() {
                let (to, amount) = (account(name)?, STANDARD_CREDITS);
                self.set_stage(
                    "issuer",
                    MintCredits { amount, attestation: 1, ..Default::default() }.into(),
                )?;
                self.set_stage("issuer", DepositCredits { amount, to, ..Default::default() }.into())?;
            }
        }
        Ok(())
    }

    fn set_stage(&mut self, name: &str, mut command: Command) -> Parsed<()> {
        let party = Party::new(account(name)?, STAGE_SESSION);
        let id = self.last_ids.entry(party).or_default();
        *id += 1;
        let first = *id == 1;
        command.set_client_order_id(ClientOrderId::new(*id));
        if first {
            self.carry_out(Some(party), session_opened(party).into());
        }
        let refused = |heard: &Heard| matches!(heard, Heard::Private(_, Event::RequestRejected(_)));
        match self.carry_out(Some(party), command).iter().find(|heard| refused(heard)) {
            Some(heard) => Err(format!("the stage cannot be set: {heard:?}")),
            None => Ok(()),
        }
    }
}

/// Quarters that follow each other and say the same are told in one line.
fn goes_on(first: &CapacityBalance, last: &CapacityBalance, next: &CapacityBalance) -> bool {
    let same = CapacityBalance { stamp: next.stamp, slot: next.slot, ..*first } == *next;
    same && next.slot.raw() == last.slot.raw() + 1
}

fn show_quarters((party, first, last): (Party, CapacityBalance, CapacityBalance)) -> String {
    format!("{party}: {}", show::capacity(&first, last.slot))
}

/// A filtered question shows its subject and not the rest of the account.
fn is_about(event: &Event, about: About) -> bool {
    match about {
        About::Everything => true,
        About::Orders => {
            !matches!(event, Event::CreditBalance(_) | Event::CapacityBalance(_) | Event::SnapshotEnd(_))
        }
        About::Credits => {
            !matches!(event, Event::OrderStatus(_) | Event::CapacityBalance(_) | Event::SnapshotEnd(_))
        }
        About::Capacity => {
            !matches!(event, Event::OrderStatus(_) | Event::CreditBalance(_) | Event::SnapshotEnd(_))
        }
    }
}
