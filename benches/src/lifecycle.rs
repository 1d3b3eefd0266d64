//! A venue without a tape: windows come, trade and go.

use joulebook_engine::{Engine, Events};
use joulebook_protocol::messages::{AdvanceTime, DeliverSlot, ListInstrument, NewOrder, RegisterCapacity};
use joulebook_protocol::{Command, Event, Frame, Origin, SequencedCommand};
use joulebook_types::{AccountId, ClientOrderId, InstrumentId, Side, TimeInForce, TimeNs, Window as Span};

use crate::venue::{OPERATOR, VenuePlan, owner, price, sender};

/// An engine whose every command is carried out.
pub struct Venue {
    engine: Engine,
    events: Events,
    /// By account.
    next_id: Vec<u64>,
    time: TimeNs,
    first: VenuePlan,
}

/// The first window that comes and goes lies behind those of the plan.
const FIRST_WINDOW: u32 = 2_000;

impl Venue {
    /// With all that the plan lists.
    pub fn open(plan: &VenuePlan) -> Self {
        let (engine, events) = (Engine::new(), Events::default());
        let mut venue = Self { engine, events, next_id: vec![1; 64], time: TimeNs::new(1), first: *plan };
        for (origin, command) in plan.commands() {
            venue.apply(origin, command);
        }
        venue
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Lists a quarter hour, sells a lot of it, lets its gate pass, and delivers it.
    pub fn trade_a_window(&mut self, window: u32) {
        // Every other quarter hour: the end of one is the gate of the next, which must lie ahead.
        let list = self.first.listing(FIRST_WINDOW + 2 * window);
        let ListInstrument { class, area, start_minute, window_minutes, .. } = list;
        let (seller, buyer) = (owner(Side::Sell, 0), owner(Side::Buy, 0));
        let client_order_id = self.id(OPERATOR);
        let listed =
            self.apply(sender(OPERATOR, self.time), ListInstrument { client_order_id, ..list }.into());
        let instrument = InstrumentId::new(listed as u32);
        let client_order_id = self.id(seller);
        let register = RegisterCapacity {
            client_order_id,
            class,
            area,
            start_minute,
            window_minutes,
            accelerators: 80,
            ..RegisterCapacity::default()
        };
        self.apply(sender(seller, self.time), register.into());
        for (account, side) in [(seller, Side::Sell), (buyer, Side::Buy)] {
            let order = NewOrder {
                client_order_id: self.id(account),
                price: price(30_000),
                instrument,
                qty: 1,
                side: side.raw(),
                time_in_force: TimeInForce::Gtc.raw(),
                ..NewOrder::default()
            };
            self.apply(sender(account, self.time), order.into());
        }
        let span = Span::new(start_minute, window_minutes).expect("a window of the plan");
        self.time = span.end();
        self.apply(Origin::SYSTEM, AdvanceTime::default().into());
        for slot in span.slots() {
            let client_order_id = self.id(OPERATOR);
            let deliver = DeliverSlot { client_order_id, class, area, slot, reserved: 0 };
            self.apply(sender(OPERATOR, self.time), deliver.into());
        }
    }

    fn id(&self, account: AccountId) -> ClientOrderId {
        ClientOrderId::new(self.next_id[account.raw() as usize])
    }

    /// What `RequestDone` says, or zero.
    fn apply(&mut self, origin: Origin, command: Command) -> u64 {
        if let Some(id) = command.client_order_id() {
            self.next_id[origin.account.raw() as usize] = id.raw() + 1;
        }
        let command = SequencedCommand { origin, command };
        let (seq, mut result) = (self.engine.last_seq().next(), 0);
        self.engine.begin_batch(seq, self.time, &mut self.events);
        self.engine.apply(&command, &mut self.events);
        self.engine.end_batch(&mut self.events);
        for record in self.events.iter() {
            let (frame, _) = Frame::split(record.frame).expect("an own frame").expect("a whole frame");
            match Event::decode(&frame) {
                Ok(Event::RequestRejected(event)) => panic!("refused: {event:?}"),
                Ok(Event::RequestDone(event)) => result = event.result,
                Ok(_) | Err(_) => {}
            }
        }
        self.events.clear();
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::{Tables, Window};

    #[test]
    fn windows_come_and_go() {
        let mut venue = Venue::open(&VenuePlan::windows(1, Window::Quarter, Tables::Short));
        (0..100).for_each(|window| venue.trade_a_window(window));
        // The plan's own window, which nobody traded, has gone too.
        assert_eq!(venue.engine().instruments().count(), 0);
        venue.engine().recount().expect("credits and capacity are conserved");
    }
}
