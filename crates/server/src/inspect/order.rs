//! An order's whole life: what entered it, what changed it, who traded with it, how it ended.

mod life;
mod told;

use joulebook_engine::{Engine, Record};
use joulebook_protocol::messages::BookUpdate;
use joulebook_protocol::{Command, Event, Frame, PublicEvent, SequencedCommand};
use joulebook_types::{AccountId, ClientOrderId, OrderId, SeqNum, SessionId};

use self::life::{details_of, moment};
use self::told::Told;
use super::json::{event_object, view_of};
use super::steps::{Cause, Step};

pub use self::life::{Happened, Moment, OrderLife};

/// How the order is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Order(OrderId),
    /// By the request that entered it. A mass quote, linked orders or a batch may have entered several.
    Request {
        account: AccountId,
        session: SessionId,
        client_order_id: ClientOrderId,
    },
}

/// Watches a replay for orders.
#[derive(Debug)]
pub struct OrderFinder {
    wanted: Wanted,
    lives: Vec<OrderLife>,
    /// What came of the wanted request itself, when it was met.
    request: Option<Moment>,
}

impl OrderFinder {
    /// `engine` is what the replay begins with: orders that are open there have a past that cannot be shown.
    pub fn new(wanted: Wanted, engine: &Engine) -> Self {
        let mut finder = Self { wanted, lives: Vec::new(), request: None };
        let known = match wanted {
            Wanted::Order(id) => engine.order_details(id).into_iter().collect(),
            Wanted::Request { account, session, client_order_id } => {
                let is_wanted = |order: &joulebook_engine::OpenOrder| {
                    (order.account, order.session, order.client_order_id)
                        == (account, session, client_order_id)
                };
                let resting = engine.open_orders().filter(is_wanted);
                let outside = engine.orders_outside().map(|details| details.order).filter(is_wanted);
                let ids = resting.chain(outside).map(|order| order.order_id);
                ids.filter_map(|id| engine.order_details(id)).collect::<Vec<_>>()
            }
        };
        finder.lives.extend(known.iter().map(|details| OrderLife::from_state(engine, details)));
        finder
    }

    pub fn on_step(&mut self, engine: &Engine, step: &Step<'_>) {
        let mut touched: Vec<(usize, Vec<Happened>)> = Vec::new();
        let mut answers = Vec::new();
        for record in step.records() {
            let Some(told) = Told::of(engine, &record) else { continue };
            if let Some(index) = self.life_of(engine, step, &record, &told) {
                let life = &mut self.lives[index];
                if let Some(happened) = life.on_event(engine, step, &record, &told) {
                    push(&mut touched, index, happened);
                }
            }
            if self.is_answer(&told) {
                answers.push(told.happened(engine, step, &record));
            }
        }
        self.see_quotes(engine, step, &mut touched);
        for (index, events) in touched {
            let life = &mut self.lives[index];
            life.moments.push(moment(engine, step, events));
            life.is_ended = engine.open_order(life.order_id).is_none();
        }
        if self.is_request(step) {
            self.request = Some(moment(engine, step, answers));
        }
    }

    /// Whether nothing can follow any more, so that the rest of the journal need not be read.
    pub fn is_done(&self) -> bool {
        let all_ended = self.lives.iter().all(|life| life.is_ended);
        all_ended && (!self.lives.is_empty() || self.request.is_some())
    }

    pub fn lives(&self) -> &[OrderLife] {
        &self.lives
    }

    /// The request by which the order was named and its answers, when it was met.
    pub fn request(&self) -> Option<&Moment> {
        self.request.as_ref()
    }

    /// Why nothing was found. `begins` is the command before the first one that was read.
    pub fn explanation(&self, engine: &Engine, begins: SeqNum) -> String {
        let read = match begins {
            SeqNum::NONE => String::new(),
            seq => format!(" before command {}, where the journal of this folder begins", seq.next()),
        };
        match self.wanted {
            Wanted::Order(id) if engine.last_order_id() < id => {
                format!("there is no order {id} yet: the newest has the id {}", engine.last_order_id())
            }
            Wanted::Order(id) => format!("order {id} ended{read}"),
            Wanted::Request { account, session, client_order_id } => {
                match engine.session(account, session).map(|session| session.last_client_order_id) {
                    None => format!("account {account} never opened a session {session}"),
                    Some(last) if last < client_order_id => format!(
                        "session {session} of account {account} has not used client order id {client_order_id}: its \
                         highest is {last}"
                    ),
                    Some(_) if begins.is_none() => format!(
                        "session {session} of account {account} skipped client order id {client_order_id}"
                    ),
                    Some(_) => format!("what client order {client_order_id} entered ended{read}"),
                }
            }
        }
    }

    /// The life that an event belongs to; begins one with the first event of a wanted order.
    fn life_of(
        &mut self,
        engine: &Engine,
        step: &Step<'_>,
        record: &Record<'_>,
        told: &Told,
    ) -> Option<usize> {
        if told.order_id.is_none() {
            return None;
        }
        if let Some(index) = self.lives.iter().position(|life| life.order_id == told.order_id) {
            return Some(index);
        }
        let is_wanted = match self.wanted {
            Wanted::Order(id) => told.order_id == id,
            Wanted::Request { account, session, client_order_id } => {
                (told.account, told.session, told.client_order_id) == (account, session, client_order_id)
            }
        };
        let says_that_it_is = matches!(
            told.event,
            Event::RequestRejected(_) | Event::RequestRepeated(_) | Event::OrderStatus(_)
        );
        if !is_wanted || says_that_it_is || told.client_order_id.is_none() {
            return None;
        }
        self.lives.push(OrderLife::begins(engine, step, record, told));
        Some(self.lives.len() - 1)
    }

    /// A quote is not accepted one by one: what a mass quote does to it shows in the book only.
    fn see_quotes(&mut self, engine: &Engine, step: &Step<'_>, touched: &mut Vec<(usize, Vec<Happened>)>) {
        let Cause::Command(SequencedCommand { command: Command::MassQuote(_), origin }) = step.cause else {
            return;
        };
        for record in step.records() {
            let Some(update) = book_update(&record).filter(|update| update.action != BookUpdate::FILLED)
            else {
                continue;
            };
            let index = self.quote(engine, update.order_id, (origin.account, origin.session));
            let (Some(index), Some(mut view)) = (index, view_of(record.frame)) else { continue };
            view.fields.retain(|(name, _)| matches!(*name, "price" | "leaves_qty"));
            let what = match update.action {
                BookUpdate::ADDED => "quoted",
                BookUpdate::REMOVED => "removed",
                _ => "changed",
            };
            let object = event_object(engine, step, &record);
            push(touched, index, Happened { what, details: details_of(&view, engine), object });
        }
    }

    /// The life of a quote of who sent the mass quote; orders of others only met it.
    fn quote(&mut self, engine: &Engine, id: OrderId, sender: (AccountId, SessionId)) -> Option<usize> {
        let known = self.lives.iter().position(|life| life.order_id == id);
        if known.is_some_and(|index| self.lives[index].owner == sender) {
            return known;
        }
        let details = engine.order_details(id).filter(|_| known.is_none())?;
        let order = &details.order;
        let is_wanted = match self.wanted {
            Wanted::Order(wanted) => id == wanted,
            Wanted::Request { account, session, client_order_id } => {
                (order.account, order.session, order.client_order_id) == (account, session, client_order_id)
            }
        };
        let is_sent = (order.account, order.session) == sender;
        (is_wanted && is_sent).then(|| {
            self.lives.push(OrderLife { before: None, ..OrderLife::from_state(engine, &details) });
            self.lives.len() - 1
        })
    }

    fn is_answer(&self, told: &Told) -> bool {
        let Wanted::Request { account, session, client_order_id } = self.wanted else { return false };
        let named = told.client_order_id == client_order_id || told.request == client_order_id;
        (told.account, told.session) == (account, session) && named
    }

    fn is_request(&self, step: &Step<'_>) -> bool {
        let (Wanted::Request { account, session, client_order_id }, Cause::Command(command)) =
            (self.wanted, step.cause)
        else {
            return false;
        };
        let first = command.command.client_order_id().unwrap_or(ClientOrderId::NONE).raw();
        let ids = first..first.saturating_add(command.command.client_order_ids());
        // A repeat has no effect: the first is the one.
        let is_first = self.request.is_none() && first != 0;
        is_first
            && (command.origin.account, command.origin.session) == (account, session)
            && ids.contains(&client_order_id.raw())
    }
}

/// What a mass quote did to an order in its book.
fn book_update(record: &Record<'_>) -> Option<BookUpdate> {
    let (frame, _) = Frame::split(record.frame).ok()??;
    match PublicEvent::decode(&frame).ok()? {
        PublicEvent::BookUpdate(update) => Some(update),
        PublicEvent::InstrumentDefinition(_)
        | PublicEvent::PhaseChanged(_)
        | PublicEvent::YieldDefinition(_)
        | PublicEvent::AccountDefinition(_)
        | PublicEvent::Trade(_)
        | PublicEvent::BandsChanged(_)
        | PublicEvent::AuctionIndication(_) => None,
    }
}

fn push(touched: &mut Vec<(usize, Vec<Happened>)>, life: usize, happened: Happened) {
    match touched.iter_mut().find(|(index, _)| *index == life) {
        Some((_, events)) => events.push(happened),
        None => touched.push((life, vec![happened])),
    }
}
