//! One line of a script: who does what.

use joulebook_protocol::messages::*;
use joulebook_protocol::{CloseReason, Command};
use joulebook_types::{ClientOrderId, InstrumentId, Phase, Side, TimeNs};

use super::fields::set_field;
use super::names::{Party, Scene};
use super::words::{Parsed, Words};
use super::{orders, requests};

/// What a line asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Line {
    /// A request of a session, with the client order id that comes next.
    Request { party: Party, command: Command, about: About },
    /// The same with the number that the line gave it.
    Numbered { party: Party, command: Command, about: About },
    /// A command of the exchange itself; without a party it comes from nobody.
    System { party: Option<Party>, command: Command },
    /// Time passes.
    Wait(TimeNs),
    /// The levels of a book are shown.
    Book(InstrumentId),
    /// From here on other events are shown.
    Show(Shown),
}

/// Which part of an account query's answer a line shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    Everything,
    Orders,
    Credits,
    Capacity,
}

/// Which events of a command a script shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shown {
    /// Private events, and public ones that have no private counterpart: phases, bands, indications.
    #[default]
    Clear,
    Private,
    /// Every change of a book, trades and definitions too.
    All,
}

pub(super) fn parse(text: &str, scene: &Scene) -> Parsed<Line> {
    let (sentence, fields) = text.split_once(" with ").unwrap_or((text, ""));
    let mut words = Words::of(sentence);
    let line = match words.next("who or what")?.to_owned().as_str() {
        "wait" => Line::Wait(wait(&mut words, scene)?),
        "book" => Line::Book(if words.take("on") {
            scene.instrument(words.next("an instrument")?)?
        } else {
            Scene::STANDARD
        }),
        "show" => Line::Show(shown(&mut words)?),
        "system" => Line::System { party: None, command: system(&mut words)? },
        name => {
            let party = Party::parse(name)?;
            let (command, about) = deed(&mut words, scene, party)?;
            numbered(&mut words, party, command, about)?
        }
    };
    words.finish()?;
    Words::of(fields).set_in(line)
}

fn wait(words: &mut Words, scene: &Scene) -> Parsed<TimeNs> {
    if words.take("until") { words.time() } else { Ok(scene.now.saturating_add_ms(words.duration_ms()?)) }
}

fn shown(words: &mut Words) -> Parsed<Shown> {
    match words.next("'all', 'private' or 'clear'")? {
        "all" => Ok(Shown::All),
        "private" => Ok(Shown::Private),
        "clear" => Ok(Shown::Clear),
        other => Err(format!("'{other}' is not 'all', 'private' or 'clear'")),
    }
}

/// What the exchange does to itself.
fn system(words: &mut Words) -> Parsed<Command> {
    match words.next("'seed', 'restarts', 'opens', 'starts' or 'ticks'")? {
        "seed" => Ok(Seed { seed: words.parse("a seed")? }.into()),
        "restarts" => Ok(Restarted::default().into()),
        "opens" => Ok(requests::open_account(words)?.into()),
        "starts" => Ok(Genesis::default().into()),
        "ticks" => Ok(AdvanceTime::default().into()),
        other => Err(format!("'{other}' is nothing that the exchange does by itself")),
    }
}

/// `as 7` gives a request its client order id.
fn numbered(words: &mut Words, party: Party, mut command: Command, about: About) -> Parsed<Line> {
    if command.client_order_id().is_none() {
        return Ok(Line::System { party: Some(party), command });
    }
    if !words.take("as") {
        return Ok(Line::Request { party, command, about });
    }
    command.set_client_order_id(ClientOrderId::new(words.parse("a client order id")?));
    Ok(Line::Numbered { party, command, about })
}

/// What an account does.
fn deed(words: &mut Words, scene: &Scene, party: Party) -> Parsed<(Command, About)> {
    if words.take_all("asks for") {
        return question(words);
    }
    let verb = words.next("what is done")?.to_owned();
    let command: Command = match verb.as_str() {
        "buys" => buys(words, scene)?,
        "sells" => orders::new_order(words, scene, Side::Sell)?.into(),
        "cancels" => orders::cancel(words)?.into(),
        "replaces" => orders::replace(words)?.into(),
        "reduces" => orders::reduce(words)?.into(),
        "oco" => orders::oco(words, scene)?.into(),
        "batch" => orders::batch(words, scene)?.into(),
        "mass-cancels" => requests::mass_cancel(words, scene)?.into(),
        "quotes" => orders::quotes(words, scene)?.into(),
        "protects" => requests::protect(words)?.into(),
        "resets" => ResetProtection { class: words.parse("a class")?, ..Default::default() }.into(),
        "basket" => orders::basket(words, scene)?.into(),
        "sweep" => orders::sweep(words)?.into(),
        "dead-man" => requests::dead_man(words)?.into(),
        "kills" => requests::kill_switch(words, KillSwitch::KILL)?.into(),
        "enables" => requests::kill_switch(words, KillSwitch::ENABLE)?.into(),
        "mints" => requests::mint(words)?.into(),
        "retires" => RetireCredits { amount: words.amount()?, ..Default::default() }.into(),
        "deposits" => requests::deposit(words)?.into(),
        "registers" => requests::register(words)?.into(),
        "delivers" => requests::deliver(words)?.into(),
        "lists" => lists(words)?.into(),
        "yields" => requests::set_yield(words)?.into(),
        "limits" => requests::set_limits(words)?.into(),
        "bands" => requests::set_bands(words, scene)?.into(),
        "opens" if words.take("account") => requests::open_account(words)?.into(),
        "opens" => requests::set_phase(words, scene, Phase::Open)?.into(),
        "pre-opens" => requests::set_phase(words, scene, Phase::PreOpen)?.into(),
        "halts" => requests::set_phase(words, scene, Phase::Halted)?.into(),
        "auctions" => requests::set_phase(words, scene, Phase::Auction)?.into(),
        "connects" => requests::log_on(words, party)?.into(),
        "disconnects" => SessionClosed {
            connection: party.connection(),
            reason: CloseReason::ConnectionLost.raw(),
            ..Default::default()
        }
        .into(),
        other => return Err(format!("nobody '{other}': see the verbs in the language's description")),
    };
    Ok((command, About::Everything))
}

/// `buys 500 ktok ...` is a token order, every other `buys` an order.
fn buys(words: &mut Words, scene: &Scene) -> Parsed<Command> {
    if words.take("tokens") {
        return Ok(orders::tokens(words, scene)?.into());
    }
    Ok(orders::new_order(words, scene, Side::Buy)?.into())
}

fn lists(words: &mut Words) -> Parsed<ListInstrument> {
    let mut list = requests::listing(super::names::symbol(words.next("a symbol")?)?);
    requests::listing_options(words, &mut list)?;
    Ok(list)
}

/// `orders`, `credits`, `capacity`, `everything`, `#3` or `id 5`.
fn question(words: &mut Words) -> Parsed<(Command, About)> {
    let all = [
        ("orders", About::Orders),
        ("credits", About::Credits),
        ("capacity", About::Capacity),
        ("everything", About::Everything),
    ];
    if let Some((_, about)) = all.into_iter().find(|(name, _)| words.take(name)) {
        return Ok((AccountQuery::default().into(), about));
    }
    let (order_id, target) = orders::target(words)?;
    Ok((OrderQuery { order_id, target, ..Default::default() }.into(), About::Everything))
}

impl Words {
    /// After `with`: any fields by name, `side=9 flags=2`.
    fn set_in(&mut self, mut line: Line) -> Parsed<Line> {
        while self.peek().is_some() {
            let word = self.next("a field")?;
            let (name, value) = word.split_once('=').ok_or_else(|| format!("'{word}' is not FIELD=VALUE"))?;
            match &mut line {
                Line::Request { command, .. }
                | Line::Numbered { command, .. }
                | Line::System { command, .. } => {
                    *command = set_field(command, name, value)?;
                }
                Line::Wait(_) | Line::Book(_) | Line::Show(_) => {
                    return Err("only commands have fields".to_owned());
                }
            }
        }
        Ok(line)
    }
}
