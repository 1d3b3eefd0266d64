//! The plain mix: 9 % new orders, 3 % immediate-or-cancel, 6 % cancels, 82 % moves, the mix that exchange-core
//! publishes for its test of one symbol, on books of about a thousand resting orders.
//!
//! Even sessions bid and odd ones ask, so nobody meets its own orders. Resting prices stay on their side of a fixed
//! mid; only immediate-or-cancel orders cross it, each for about the size of one order. So creates and removals
//! balance, and the books keep their size however long the run.

use joulebook_agents::Random;
use joulebook_protocol::messages::{CancelOrder, NewOrder, ReplaceOrder};
use joulebook_protocol::{Event, encode};
use joulebook_types::{ClientOrderId, InstrumentId, OrderId, Price, Side, SlotHint, TimeInForce};

use crate::hot::Flow;
use crate::plan::{Arrivals, Operation, Plan, Planned, Unscheduled};

/// Parts of a hundred, as published; moves are the rest.
const NEW_PERCENT: usize = 9;
const IOC_PERCENT: usize = 3;
const CANCEL_PERCENT: usize = 6;
/// Resting prices lie up to this many ticks away from the mid.
const DEPTH_TICKS: u64 = 50;
const QTY_MAX: u64 = 8;
/// The mid; 27.00 EC for an accelerator-hour.
const MID_TICKS: i64 = 2_700;
pub(crate) const TICK: Price = Price::new(10_000);

/// What the mix needs to know of its market.
pub(crate) struct Mix {
    books: Vec<InstrumentId>,
    sessions: Vec<Resting>,
    /// Cancels and moves that found no acknowledged order and became new orders.
    fallbacks: u64,
}

/// The orders of one session that are acknowledged and, as far as it knows, open.
#[derive(Default)]
struct Resting {
    orders: Vec<RestingOrder>,
    /// By client order id: the order's position in `orders`, plus one.
    positions: Vec<u32>,
}

struct RestingOrder {
    client_order_id: ClientOrderId,
    order_id: OrderId,
    slot: SlotHint,
    price: Price,
    qty: u32,
}

/// Side by session: bids and asks in turn.
pub(crate) fn side_of(session: usize) -> Side {
    if session.is_multiple_of(2) { Side::Buy } else { Side::Sell }
}

/// The schedule of a run; `resting` orders per book are there before it.
pub(crate) fn plan(arrivals: Arrivals, rate: u64, span_ns: u64, seed: u64, shape: MixShape) -> Plan {
    let mut random = Random::for_agent(seed, 1);
    let half = (shape.resting * shape.books / 2) as i64;
    // What each side should have left, by the plan alone: a new order adds one, a cancel and an opposite
    // immediate-or-cancel order take one.
    let mut expected = [half; 2];
    Plan::timed(arrivals, rate, span_ns, &mut random, |random| {
        let session = random.below(shape.sessions);
        let side = session % 2;
        let drift = expected[side] - half;
        let operation = match random.below(100) {
            // Chance alone would let the books wander off; swapping these two keeps the mix on average.
            part if part < NEW_PERCENT && half / 20 < drift => Operation::Cancel,
            part if part < NEW_PERCENT => Operation::New,
            part if part < NEW_PERCENT + IOC_PERCENT => Operation::Ioc,
            part if part < NEW_PERCENT + IOC_PERCENT + CANCEL_PERCENT && drift < -half / 20 => Operation::New,
            part if part < NEW_PERCENT + IOC_PERCENT + CANCEL_PERCENT => Operation::Cancel,
            _ => Operation::Move,
        };
        match operation {
            Operation::New => expected[side] += 1,
            Operation::Cancel => expected[side] -= 1,
            Operation::Ioc => expected[1 - side] -= 1,
            Operation::Move | Operation::Token => {}
        }
        Unscheduled { session: session as u16, book: random.below(shape.books) as u16, operation }
    })
}

/// The orders that stand before the run, in the order of sending.
pub(crate) fn preload(seed: u64, shape: MixShape) -> Vec<Planned> {
    let mut random = Random::for_agent(seed, 2);
    let orders = shape.resting * shape.books;
    (0..orders)
        .map(|index| Planned {
            at_ns: 0,
            draw: random.next_u64(),
            session: (index % shape.sessions) as u16,
            book: (index / shape.sessions % shape.books) as u16,
            operation: Operation::New,
        })
        .collect()
}

/// An order, then its cancel, and so on: what one-in-flight runs send. One session, one book.
pub(crate) fn ping_pong_plan(seed: u64) -> Plan {
    let mut random = Random::for_agent(seed, 3);
    let requests = [Operation::New, Operation::Cancel]
        .into_iter()
        .cycle()
        .take(4_096)
        .map(|operation| Planned { at_ns: 0, draw: random.next_u64(), session: 0, book: 0, operation })
        .collect();
    Plan { requests }
}

/// The size of the market.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MixShape {
    pub(crate) sessions: usize,
    pub(crate) books: usize,
    /// Per book, both sides together.
    pub(crate) resting: usize,
}

impl Mix {
    pub(crate) fn new(books: Vec<InstrumentId>, sessions: usize) -> Self {
        assert!(!books.is_empty(), "a mix needs a book");
        Self { books, sessions: (0..sessions).map(|_| Resting::default()).collect(), fallbacks: 0 }
    }

    fn new_order(&self, planned: &Planned, id: ClientOrderId, time_in_force: TimeInForce) -> NewOrder {
        let side = side_of(usize::from(planned.session));
        let price = match time_in_force {
            // Through the whole depth: it trades while anything rests on the other side.
            TimeInForce::Ioc | TimeInForce::Fok => price_at(side.opposite(), DEPTH_TICKS as i64),
            TimeInForce::Gtc | TimeInForce::Gtd => resting_price(side, planned.draw),
        };
        NewOrder {
            client_order_id: id,
            price,
            instrument: self.books[usize::from(planned.book) % self.books.len()],
            qty: 1 + scaled(planned.draw >> 16 & 0xffff, QTY_MAX) as u32,
            side: side.raw(),
            time_in_force: time_in_force.raw(),
            ..NewOrder::default()
        }
    }
}

impl Flow for Mix {
    fn write(&mut self, planned: &Planned, id: ClientOrderId, out: &mut Vec<u8>) -> Operation {
        let side = side_of(usize::from(planned.session));
        let session = &mut self.sessions[usize::from(planned.session)];
        match planned.operation {
            Operation::New | Operation::Token => {}
            Operation::Ioc => {
                encode(&self.new_order(planned, id, TimeInForce::Ioc), out);
                return Operation::Ioc;
            }
            Operation::Cancel => {
                if let Some(order) = session.pick(planned.draw).map(|at| session.remove_at(at)) {
                    let (order_id, slot) = (order.order_id, order.slot);
                    let cancel = CancelOrder { client_order_id: id, order_id, slot, ..Default::default() };
                    encode(&cancel, out);
                    return Operation::Cancel;
                }
                self.fallbacks += 1;
            }
            Operation::Move => {
                if let Some(at) = session.pick(planned.draw) {
                    encode(&session.orders[at].moved(side, planned.draw, id), out);
                    return Operation::Move;
                }
                self.fallbacks += 1;
            }
        }
        encode(&self.new_order(planned, id, TimeInForce::Gtc), out);
        Operation::New
    }

    fn on_event(&mut self, session: usize, event: &Event) {
        let session = &mut self.sessions[session];
        match event {
            Event::OrderAccepted(accepted) if accepted.time_in_force == TimeInForce::Gtc.raw() => {
                session.add(RestingOrder {
                    client_order_id: accepted.client_order_id,
                    order_id: accepted.order_id,
                    slot: accepted.slot,
                    price: accepted.price,
                    qty: accepted.qty,
                });
            }
            Event::OrderFilled(filled) if filled.leaves_qty == 0 => session.remove(filled.client_order_id),
            Event::OrderCanceled(canceled) => session.remove(canceled.client_order_id),
            _ => {}
        }
    }

    fn resting(&self) -> usize {
        self.sessions.iter().map(|session| session.orders.len()).sum()
    }

    fn fallbacks(&self) -> u64 {
        self.fallbacks
    }
}

impl Resting {
    fn pick(&self, draw: u64) -> Option<usize> {
        (!self.orders.is_empty()).then(|| (((draw >> 32) * self.orders.len() as u64) >> 32) as usize)
    }

    fn add(&mut self, order: RestingOrder) {
        let id = order.client_order_id.raw() as usize;
        if self.positions.len() <= id {
            self.positions.resize((id + 1).next_power_of_two(), 0);
        }
        self.orders.push(order);
        self.positions[id] = self.orders.len() as u32;
    }

    fn remove(&mut self, id: ClientOrderId) {
        let position = self.positions.get(id.raw() as usize).copied().unwrap_or(0);
        if 0 < position {
            self.remove_at(position as usize - 1);
        }
    }

    fn remove_at(&mut self, at: usize) -> RestingOrder {
        let order = self.orders.swap_remove(at);
        self.positions[order.client_order_id.raw() as usize] = 0;
        if let Some(moved) = self.orders.get(at) {
            self.positions[moved.client_order_id.raw() as usize] = at as u32 + 1;
        }
        order
    }
}

impl RestingOrder {
    /// To another price, with the same total quantity, so that a fill on the way cannot double it.
    fn moved(&mut self, side: Side, draw: u64, id: ClientOrderId) -> ReplaceOrder {
        let wanted = resting_price(side, draw);
        // A replace that changes nothing would be refused.
        let next = resting_price_ticks(side, (offset(draw) + 1) % DEPTH_TICKS);
        self.price = if wanted == self.price { next } else { wanted };
        ReplaceOrder {
            client_order_id: id,
            order_id: self.order_id,
            slot: self.slot,
            price: self.price,
            qty: self.qty,
            ..ReplaceOrder::default()
        }
    }
}

/// `draw` of 16 bits to `0..bound`.
fn scaled(draw: u64, bound: u64) -> u64 {
    (draw * bound) >> 16
}

fn offset(draw: u64) -> u64 {
    scaled(draw & 0xffff, DEPTH_TICKS)
}

fn resting_price(side: Side, draw: u64) -> Price {
    resting_price_ticks(side, offset(draw))
}

fn resting_price_ticks(side: Side, offset: u64) -> Price {
    price_at(side, 1 + offset as i64)
}

/// `ticks` away from the mid, on `side`'s side of it.
fn price_at(side: Side, ticks: i64) -> Price {
    let ticks = match side {
        Side::Buy => MID_TICKS - ticks,
        Side::Sell => MID_TICKS + ticks,
    };
    Price::new(ticks * TICK.raw())
}

#[cfg(test)]
mod tests {
    use super::*;
    use joulebook_protocol::Command;
    use joulebook_protocol::messages::{OrderAccepted, OrderFilled};

    const SHAPE: MixShape = MixShape { sessions: 4, books: 2, resting: 1_000 };

    fn share(plan: &Plan, operation: Operation) -> f64 {
        let count = plan.requests.iter().filter(|planned| planned.operation == operation).count();
        count as f64 / plan.requests.len() as f64
    }

    #[test]
    fn the_mix_is_the_published_one_and_reproducible() {
        let make = |seed| plan(Arrivals::Even, 500_000, 1_000_000_000, seed, SHAPE);
        let plan = make(1);
        assert_eq!(plan.hash(), make(1).hash());
        assert_ne!(plan.hash(), make(2).hash());
        for (operation, want) in [
            (Operation::New, 0.09),
            (Operation::Ioc, 0.03),
            (Operation::Cancel, 0.06),
            (Operation::Move, 0.82),
        ] {
            let got = share(&plan, operation);
            assert!((got - want).abs() < 0.003, "{} {got}", operation.name());
        }
    }

    #[test]
    fn planned_books_keep_their_size() {
        let plan = plan(Arrivals::Poisson, 1_000_000, 1_000_000_000, 3, SHAPE);
        let mut expected = [1_000_i64; 2];
        for planned in &plan.requests {
            let side = usize::from(planned.session) % 2;
            match planned.operation {
                Operation::New => expected[side] += 1,
                Operation::Cancel => expected[side] -= 1,
                Operation::Ioc => expected[1 - side] -= 1,
                Operation::Move | Operation::Token => {}
            }
            assert!(expected.iter().all(|side| (800..1_200).contains(side)), "{expected:?}");
        }
    }

    fn request(operation: Operation, draw: u64) -> Planned {
        Planned { at_ns: 0, draw, session: 0, book: 0, operation }
    }

    fn accepted(id: u64, price: Price) -> Event {
        OrderAccepted {
            client_order_id: ClientOrderId::new(id),
            order_id: OrderId::new(100 + id),
            slot: SlotHint::new(id as u32),
            price,
            qty: 5,
            time_in_force: TimeInForce::Gtc.raw(),
            ..Default::default()
        }
        .into()
    }

    #[test]
    fn cancels_and_moves_name_acknowledged_orders_only() {
        let mut mix = Mix::new(vec![InstrumentId::new(1)], 1);
        let id = ClientOrderId::new;
        let (operation, first) = mix.command(&request(Operation::Move, 9), id(1));
        assert_eq!((operation, mix.fallbacks), (Operation::New, 1), "nothing is acknowledged yet");
        let Command::NewOrder(order) = first else { panic!("{first:?}") };

        mix.on_event(0, &accepted(1, order.price));
        let (operation, moved) = mix.command(&request(Operation::Move, 9), id(2));
        let Command::ReplaceOrder(replace) = moved else { panic!("{moved:?}") };
        assert_eq!(
            (operation, replace.order_id.raw(), replace.slot.raw(), replace.qty),
            (Operation::Move, 101, 1, 5)
        );
        assert_ne!(replace.price, order.price, "the same draw would change nothing");
        assert!(replace.price.raw() < MID_TICKS * TICK.raw(), "bids stay below the mid");

        let filled = OrderFilled { client_order_id: id(1), leaves_qty: 2, ..Default::default() };
        mix.on_event(0, &filled.into());
        assert_eq!(mix.resting(), 1, "a partial fill leaves it open");
        let (operation, _) = mix.command(&request(Operation::Cancel, 9), id(3));
        assert_eq!(
            (operation, mix.resting()),
            (Operation::Cancel, 0),
            "nobody names an order after its cancel"
        );
        mix.on_event(0, &OrderFilled { client_order_id: id(1), ..Default::default() }.into());
        assert_eq!(mix.command(&request(Operation::Cancel, 9), id(4)).0, Operation::New);
    }

    #[test]
    fn positions_follow_orders_through_removals() {
        let mut resting = Resting::default();
        let order = |id| RestingOrder {
            client_order_id: ClientOrderId::new(id),
            order_id: OrderId::new(id),
            slot: SlotHint::UNKNOWN,
            price: TICK,
            qty: 1,
        };
        (1..=50).for_each(|id| resting.add(order(id)));
        for id in [1, 50, 7, 25, 7] {
            resting.remove(ClientOrderId::new(id));
        }
        assert_eq!(resting.orders.len(), 46);
        for (at, order) in resting.orders.iter().enumerate() {
            assert_eq!(resting.positions[order.client_order_id.raw() as usize], at as u32 + 1);
        }
    }
}
