//! Makes a recording of a flow: an engine carries each message out and says which id and slot the next one has to name.

use joulebook_protocol::Event;
use joulebook_protocol::messages::{CancelOrder, MassCancel, NewOrder, ReduceOrder, ReplaceOrder};
use joulebook_types::{OrderId, Side, SlotHint, TimeInForce};

use crate::flow::{Act, Flow, Message, Totals};
use crate::recording::Recording;
use crate::tape::{Tape, is_maker};
use crate::venue::{VenuePlan, owner, price, ticks};

/// Records a flow on a venue of its own.
///
/// # Panics
/// When the engine refuses a message or trades something else than the flow says.
pub fn record(flow: &Flow, plan: &VenuePlan) -> Recording {
    let mut recorder = Recorder {
        tape: Tape::new(plan),
        plan: *plan,
        orders: vec![Placed::default()],
        totals: Totals::default(),
    };
    flow.prelude.iter().for_each(|message| recorder.send(message));
    let (prelude, _) = recorder.tape.cut();
    flow.measured.iter().for_each(|message| recorder.send(message));
    let (measured, outcome) = recorder.tape.cut();
    recorder.totals.resting = outcome.open_orders;
    assert_eq!(recorder.totals, flow.totals, "the engine trades something else than the plain books");
    Recording { prelude, measured, outcome }
}

/// Records one command that cancels so many orders of one account, which lie over a thousand prices among as many of another.
pub fn mass_cancel(plan: &VenuePlan, orders: u32) -> Recording {
    let mut tape = Tape::new(plan);
    for order in 1..=2 * orders {
        // Two of the eight buyers in turn.
        let account = owner(Side::Buy, order % 2);
        let enter = NewOrder {
            client_order_id: tape.id(account),
            price: price(30_000 + order / 2 * 7 % 1_000),
            instrument: plan.instrument(0),
            qty: 1,
            side: Side::Buy.raw(),
            time_in_force: TimeInForce::Gtc.raw(),
            ..NewOrder::default()
        };
        tape.send(account, enter.into(), |_| {});
    }
    let (prelude, _) = tape.cut();
    let account = owner(Side::Buy, 0);
    let (client_order_id, scope) = (tape.id(account), MassCancel::SCOPE_SESSION);
    let cancel = MassCancel { client_order_id, scope, ..MassCancel::default() };
    let mut canceled = 0;
    tape.send(account, cancel.into(), |event| {
        canceled += u32::from(matches!(event, Event::OrderCanceled(_)))
    });
    assert_eq!(canceled, orders);
    let (measured, outcome) = tape.cut();
    Recording { prelude, measured, outcome }
}

/// An order as its owner knows it.
#[derive(Clone, Copy, Default)]
struct Placed {
    order_id: OrderId,
    slot: SlotHint,
    filled: u32,
    open: u32,
}

struct Recorder {
    tape: Tape,
    plan: VenuePlan,
    /// By the flow's order number.
    orders: Vec<Placed>,
    totals: Totals,
}

impl Recorder {
    fn send(&mut self, message: &Message) {
        let Message { act, side, order, lots, .. } = *message;
        let account = owner(side, order);
        let client_order_id = self.tape.id(account);
        let place = order as usize;
        if self.orders.len() <= place {
            self.orders.resize(place + 1, Placed::default());
        }
        let Placed { order_id, slot, filled, open } = self.orders[place];
        let command = match act {
            Act::Add | Act::Ioc => NewOrder {
                client_order_id,
                price: price(message.ticks),
                instrument: self.plan.instrument(message.book),
                qty: lots,
                side: side.raw(),
                time_in_force: if act == Act::Add { TimeInForce::Gtc } else { TimeInForce::Ioc }.raw(),
                ..NewOrder::default()
            }
            .into(),
            Act::Cancel => CancelOrder { client_order_id, order_id, slot, ..CancelOrder::default() }.into(),
            Act::Replace => {
                // The engine counts what has traded too.
                let (price, qty) = (price(message.ticks), filled + lots);
                ReplaceOrder { client_order_id, order_id, slot, price, qty, ..ReplaceOrder::default() }.into()
            }
            Act::Reduce => {
                let lots = open - lots;
                ReduceOrder { client_order_id, order_id, slot, lots, ..ReduceOrder::default() }.into()
            }
        };
        self.orders[place].open = lots;
        let Self { tape, orders, totals, .. } = self;
        tape.send(account, command, |event| learn(orders, totals, message, event));
    }
}

/// What an event says about the message's order and those that it met.
fn learn(orders: &mut [Placed], totals: &mut Totals, message: &Message, event: &Event) {
    match event {
        Event::OrderAccepted(event) => {
            let order = &mut orders[message.order as usize];
            (order.order_id, order.slot) = (event.order_id, event.slot);
        }
        Event::OrderReplaced(event) => orders[message.order as usize].slot = event.slot,
        Event::OrderFilled(event) => {
            let is_maker = is_maker(event);
            let order = match is_maker {
                // Engine ids are dense and every add and take of a flow gets one, in the flow's order.
                true => event.order_id.raw() as u32,
                false => message.order,
            };
            let placed = &mut orders[order as usize];
            assert_eq!(placed.order_id, event.order_id, "orders are numbered as the flow numbers them");
            placed.filled += event.qty;
            placed.open = event.leaves_qty;
            if is_maker {
                totals.add_fill(order, message.order, ticks(event.price), event.qty);
            }
        }
        _ => {}
    }
}
