//! From the recording to commands: which command an event is, and when it may be sent.
//!
//! Our exchange matches the recording's creates itself, so some of its later changes have happened already: an event
//! whose order is gone, or is as small as the event wants it, is no command. To know that, fills must be known; and to
//! reach the same fills every time, commands of the two sides must not overtake each other where that would matter.
//! Only a create that may meet the other side matters, and those few are sent with nothing else in flight and followed
//! until all their fills are known. Everything else may be in flight at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use joulebook_protocol::messages::{
    AccountQuery, CancelOrder, NewOrder, OrderFilled, OrderStatus, ReplaceOrder, RequestRefused,
};
use joulebook_protocol::{Command, Event, RejectReason};
use joulebook_types::{ClientOrderId, InstrumentId, OrderId, Price, Side, SlotHint, TimeInForce};

use super::recording::{Action, Recorded};

/// Hundred-millionths of a bitcoin in one lot: a millionth of a bitcoin. The largest recorded order, 200 BTC, then has
/// 200 million lots; ten times coarser lots already merge amounts that the recording keeps apart.
pub const UNITS_PER_LOT: u64 = 100;
/// One US cent.
pub const TICK: Price = Price::new(10_000);
/// Commands without an answer, both sides together.
const IN_FLIGHT_MAX: usize = 1_024;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this command in the session of this side.
    Send(Side, Command),
    /// Send this question, which uses up no client order id.
    Ask(Side, Command),
    /// Nothing before further events come in.
    Wait,
    /// Every event is played and every answer is in.
    Done,
}

/// What became of the recorded events and of our orders.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    pub events: u64,
    pub new_orders: u64,
    pub replaces: u64,
    pub cancels: u64,
    /// Events of orders from before the recording.
    pub unknown: u64,
    /// Changes and deletions of orders that our matching has filled already, or that are deleted already.
    pub gone: u64,
    /// Of these, the ones that the recording itself deletes twice.
    pub deleted_twice: u64,
    /// Changes to a size that our matching has reached or passed already.
    pub already_there: u64,
    pub trades: u64,
    /// Creates that traded.
    pub crossing: u64,
    pub rejects: u64,
}

impl Counts {
    pub fn commands(&self) -> u64 {
        self.new_orders + self.replaces + self.cancels
    }
}

/// Plays a recording, one event after the other.
pub struct Mapper {
    events: Vec<Recorded>,
    next: usize,
    instrument: InstrumentId,
    /// By recorded id.
    orders: HashMap<u64, Order>,
    /// Recorded ids by our exchange's.
    recorded: HashMap<OrderId, u64>,
    sides: [SideState; 2],
    settling: Settling,
    in_flight: usize,
    counts: Counts,
    first_reject: Option<String>,
    /// What the exchange says is open, as of the last settlement: recorded ids.
    reported: BTreeSet<u64>,
    mismatch: Option<String>,
}

struct SideState {
    next_id: ClientOrderId,
    first_id: ClientOrderId,
    /// By client order id, from the first one on: which recorded order it is about.
    subjects: Vec<u64>,
    /// Orders that may rest, by price in cents. A cancel on its way does not take its order out.
    prices: BTreeMap<i64, u32>,
    resting: usize,
}

struct Order {
    side: Side,
    price_cents: i64,
    entered_by: ClientOrderId,
    known_as: Option<(OrderId, SlotHint)>,
    /// Total lots, as last asked for.
    qty: u64,
    filled: u64,
    crossed: bool,
    /// By an event of the recording that was a command of ours.
    deleted: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    MayRest,
    /// Its cancel is sent. It may still trade before that arrives, so it counts as resting for the other side.
    Canceling,
    Gone,
}

/// After a create that may trade: first the taker's own fills, then the makers'. Answers to a question come after the
/// events of everything that the exchange did before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settling {
    No,
    Ask { side: Side, last: bool },
    Await { side: Side, last: bool },
    Finished,
}

/// What the exchange said of a command.
#[derive(Clone, Copy, Debug)]
enum Verdict {
    Done,
    Rejected(u16),
}

impl Mapper {
    /// Plays `events` in `instrument`; `first_ids` are the next unused client order ids of the bid and the ask session.
    pub fn new(events: Vec<Recorded>, instrument: InstrumentId, first_ids: [ClientOrderId; 2]) -> Self {
        let sides = first_ids.map(|first_id| SideState {
            next_id: first_id,
            first_id,
            subjects: Vec::new(),
            prices: BTreeMap::new(),
            resting: 0,
        });
        Self {
            events,
            next: 0,
            instrument,
            orders: HashMap::new(),
            recorded: HashMap::new(),
            sides,
            settling: Settling::No,
            in_flight: 0,
            counts: Counts::default(),
            first_reject: None,
            reported: BTreeSet::new(),
            mismatch: None,
        }
    }

    /// What to do now. Call until it says `Wait` or `Done`.
    pub fn step(&mut self) -> Step {
        match self.settling {
            Settling::Finished => return Step::Done,
            Settling::Await { .. } => return Step::Wait,
            Settling::Ask { side, last } => {
                self.settling = Settling::Await { side, last };
                let client_order_id = self.sides[index(side)].next_id;
                return Step::Ask(side, AccountQuery { client_order_id }.into());
            }
            Settling::No => {}
        }
        while let Some(event) = self.events.get(self.next).copied() {
            if IN_FLIGHT_MAX <= self.in_flight {
                return Step::Wait;
            }
            let may_trade = event.action == Action::Created && self.may_meet(event.side, event.price_cents);
            if may_trade && 0 < self.in_flight {
                return Step::Wait;
            }
            self.next += 1;
            self.counts.events += 1;
            let command = match event.action {
                Action::Created => self.create(&event),
                Action::Changed => self.change(&event),
                Action::Deleted => self.delete(&event),
            };
            if may_trade {
                self.settle(event.side, false);
            }
            if let Some(command) = command {
                return Step::Send(event.side, command);
            }
        }
        if 0 < self.in_flight {
            return Step::Wait;
        }
        self.settle(Side::Buy, true);
        self.step()
    }

    /// Something that the exchange said in the session of `side`.
    pub fn on_event(&mut self, side: Side, event: &Event) {
        match event {
            Event::OrderAccepted(accepted) => {
                if let Some(order) = self.answered(side, accepted.client_order_id, Verdict::Done) {
                    order.known_as = Some((accepted.order_id, accepted.slot));
                    let id = self.subject(side, accepted.client_order_id).expect("it has an order");
                    self.recorded.insert(accepted.order_id, id);
                }
            }
            Event::OrderFilled(filled) => self.filled(side, filled),
            Event::OrderReplaced(replaced) => _ = self.answered(side, replaced.request, Verdict::Done),
            Event::OrderCanceled(canceled) => {
                self.gone(side, canceled.client_order_id);
                self.answered(side, canceled.request, Verdict::Done);
            }
            Event::RequestRejected(rejected) => {
                self.answered(side, rejected.client_order_id, Verdict::Rejected(rejected.reason));
            }
            Event::RequestRepeated(repeated) => {
                self.answered(side, repeated.client_order_id, Verdict::Rejected(repeated.reason));
            }
            Event::OrderStatus(status) => self.reported(status),
            Event::SnapshotEnd(_) => self.snapshot_ended(side),
            Event::MassCancelDone(_)
            | Event::TokenOrderDone(_)
            | Event::RequestDone(_)
            | Event::CreditBalance(_)
            | Event::CapacityBalance(_)
            | Event::OrderTriggered(_)
            | Event::LegDone(_)
            | Event::SweepDone(_)
            | Event::MassQuoteAck(_)
            | Event::QuoteRejected(_)
            | Event::ProtectionTriggered(_) => {}
        }
    }

    /// The gateway refused a command.
    pub fn on_refused(&mut self, side: Side, refused: &RequestRefused) {
        self.answered(side, refused.client_order_id, Verdict::Rejected(refused.reason));
    }

    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Recorded ids of the orders that the exchange says are open.
    pub fn reported_open(&self) -> &BTreeSet<u64> {
        &self.reported
    }

    /// The first thing that should not have happened.
    pub fn complaint(&self) -> Option<&str> {
        self.first_reject.as_deref().or(self.mismatch.as_deref())
    }

    /// The recorded event that is played next, for messages.
    pub fn position(&self) -> usize {
        self.next
    }

    fn create(&mut self, event: &Recorded) -> Option<Command> {
        let qty = lots(event.volume);
        let client_order_id = self.number(event.side, event.id);
        let state = &mut self.sides[index(event.side)];
        *state.prices.entry(event.price_cents).or_default() += 1;
        state.resting += 1;
        self.orders.insert(
            event.id,
            Order {
                side: event.side,
                price_cents: event.price_cents,
                entered_by: client_order_id,
                known_as: None,
                qty,
                filled: 0,
                crossed: false,
                deleted: false,
                state: State::MayRest,
            },
        );
        self.counts.new_orders += 1;
        let order = NewOrder {
            client_order_id,
            price: Price::new(event.price_cents * TICK.raw()),
            instrument: self.instrument,
            qty: wire(qty),
            side: event.side.raw(),
            time_in_force: TimeInForce::Gtc.raw(),
            ..NewOrder::default()
        };
        Some(order.into())
    }

    fn change(&mut self, event: &Recorded) -> Option<Command> {
        let order = self.open_order(event.id)?;
        let qty = order.filled + lots(event.volume);
        if order.qty <= qty {
            self.counts.already_there += 1;
            return None;
        }
        order.qty = qty;
        let (side, price, (order_id, target, slot)) = (order.side, order.price_cents, order.name());
        self.counts.replaces += 1;
        let replace = ReplaceOrder {
            client_order_id: self.number(side, event.id),
            order_id,
            target,
            price: Price::new(price * TICK.raw()),
            slot,
            qty: wire(qty),
            ..Default::default()
        };
        Some(replace.into())
    }

    fn delete(&mut self, event: &Recorded) -> Option<Command> {
        let order = self.open_order(event.id)?;
        order.state = State::Canceling;
        order.deleted = true;
        let (side, (order_id, target, slot)) = (order.side, order.name());
        self.counts.cancels += 1;
        let client_order_id = self.number(side, event.id);
        Some(CancelOrder { client_order_id, order_id, target, slot, reserved: 0 }.into())
    }

    /// The order that an event is about, unless that makes it no command.
    fn open_order(&mut self, id: u64) -> Option<&mut Order> {
        match self.orders.get_mut(&id) {
            None => {
                self.counts.unknown += 1;
                None
            }
            Some(order) if order.state != State::MayRest => {
                self.counts.gone += 1;
                self.counts.deleted_twice += u64::from(order.deleted);
                None
            }
            order => order,
        }
    }

    fn number(&mut self, side: Side, subject: u64) -> ClientOrderId {
        self.in_flight += 1;
        let state = &mut self.sides[index(side)];
        let id = state.next_id;
        state.next_id = id.next();
        state.subjects.push(subject);
        id
    }

    /// True when an order of the other side that may rest would trade with one of `side` at `price_cents`.
    fn may_meet(&self, side: Side, price_cents: i64) -> bool {
        let other = &self.sides[index(side.opposite())].prices;
        match side {
            Side::Buy => other.first_key_value().is_some_and(|(best, _)| *best <= price_cents),
            Side::Sell => other.last_key_value().is_some_and(|(best, _)| price_cents <= *best),
        }
    }

    fn settle(&mut self, side: Side, last: bool) {
        self.reported.clear();
        self.settling = Settling::Ask { side, last };
    }

    fn snapshot_ended(&mut self, from: Side) {
        let Settling::Await { side, last } = self.settling else { return };
        if side != from {
            return;
        }
        let (tracked, reported) = (self.sides[index(side)].resting, self.reported_of(side));
        if tracked != reported {
            self.complain(format!(
                "the exchange reports {reported} open orders of {side}, {tracked} should be"
            ));
        }
        // The second side has nothing to wait for but its own answer.
        let first = if last { Side::Buy } else { self.events[self.next - 1].side };
        self.settling = match (side == first, last) {
            (true, _) => Settling::Ask { side: side.opposite(), last },
            (false, true) => Settling::Finished,
            (false, false) => Settling::No,
        };
    }

    fn reported_of(&self, side: Side) -> usize {
        self.reported.iter().filter(|id| self.orders.get(id).is_some_and(|order| order.side == side)).count()
    }

    fn subject(&self, side: Side, id: ClientOrderId) -> Option<u64> {
        let state = &self.sides[index(side)];
        let position = id.raw().checked_sub(state.first_id.raw())?;
        state.subjects.get(usize::try_from(position).ok()?).copied()
    }

    /// Takes the answer to the request `id`; the order that the request was about.
    fn answered(&mut self, side: Side, id: ClientOrderId, verdict: Verdict) -> Option<&mut Order> {
        let subject = self.subject(side, id)?;
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Verdict::Rejected(reason) = verdict {
            self.counts.rejects += 1;
            let reason = RejectReason::from_raw(reason).map_or("unknown reason", RejectReason::name);
            let text = format!("request {id} of {side} for recorded order {subject} was refused: {reason}");
            self.first_reject.get_or_insert(text);
        }
        self.orders.get_mut(&subject)
    }

    fn filled(&mut self, side: Side, filled: &OrderFilled) {
        const TAKER: u8 = 2;
        let Some(order) = self.subject(side, filled.client_order_id).and_then(|id| self.orders.get_mut(&id))
        else {
            return;
        };
        order.filled += u64::from(filled.qty);
        if filled.liquidity == TAKER {
            self.counts.trades += 1;
            self.counts.crossing += u64::from(!order.crossed);
            order.crossed = true;
        }
        if filled.leaves_qty == 0 {
            self.gone(side, filled.client_order_id);
        }
    }

    fn gone(&mut self, side: Side, entered_by: ClientOrderId) {
        let Some(order) = self.subject(side, entered_by).and_then(|id| self.orders.get_mut(&id)) else {
            return;
        };
        if order.state == State::Gone {
            return;
        }
        order.state = State::Gone;
        let SideState { prices, resting, .. } = &mut self.sides[index(side)];
        *resting -= 1;
        match prices.get_mut(&order.price_cents) {
            Some(count) if 1 < *count => *count -= 1,
            _ => _ = prices.remove(&order.price_cents),
        }
    }

    fn reported(&mut self, status: &OrderStatus) {
        let Some(id) = self.recorded.get(&status.order_id).copied() else {
            return self
                .complain(format!("the exchange reports order {}, which is not ours", status.order_id));
        };
        self.reported.insert(id);
        let Some(order) = self.orders.get(&id) else { return };
        let leaves = order.qty - order.filled.min(order.qty);
        if u64::from(status.leaves_qty) != leaves || order.state == State::Gone {
            self.complain(format!(
                "recorded order {id} has {} lots open on the exchange, {leaves} should be",
                status.leaves_qty
            ));
        }
    }

    fn complain(&mut self, what: String) {
        let event = self.next;
        self.mismatch.get_or_insert_with(|| format!("after event {event}: {what}"));
    }
}

impl Order {
    /// Order id, client order id and slot by which a command names it: the first is known once it is acknowledged.
    fn name(&self) -> (OrderId, ClientOrderId, SlotHint) {
        match self.known_as {
            Some((order_id, slot)) => (order_id, ClientOrderId::NONE, slot),
            None => (OrderId::NONE, self.entered_by, SlotHint::UNKNOWN),
        }
    }
}

/// Rounded up, so that an order that lives never has none. Rounding is monotonic: a smaller volume never has more
/// lots, so a recorded reduction is never an increase of ours.
fn lots(volume: u64) -> u64 {
    volume.div_ceil(UNITS_PER_LOT)
}

/// Volumes beyond the wire's 32 bits (4,294 BTC in one order) are cut; the exchange would refuse them anyway.
fn wire(lots: u64) -> u32 {
    u32::try_from(lots).unwrap_or(u32::MAX)
}

const fn index(side: Side) -> usize {
    match side {
        Side::Buy => 0,
        Side::Sell => 1,
    }
}

#[cfg(test)]
#[path = "mapper_tests.rs"]
mod tests;
