//! Two engines under the same commands, of which one is a copy that was saved and loaded.

use std::collections::BTreeMap;

use joulebook_engine::{Destination, Engine, Events, OrderPlace};
use joulebook_protocol::messages::Genesis;
use joulebook_protocol::{Event, Frame, Origin, PublicEvent, SequencedCommand};
use joulebook_types::*;
use proptest::prelude::*;

use crate::flow::script::{START, Sent, View};

pub fn saved(engine: &Engine) -> Vec<u8> {
    let mut bytes = Vec::new();
    engine.save(&mut |piece| bytes.extend_from_slice(piece));
    bytes
}

/// What an engine says, without what only that engine means.
type Said = Vec<(Destination, u32, Vec<u8>)>;

pub struct Twins {
    live: Engine,
    loaded: Engine,
    events: Events,
    listed: u32,
    pub time: TimeNs,
}

impl Twins {
    pub fn new() -> Self {
        let time = TimeNs::from_minutes(START - 60);
        let mut twins =
            Self { live: Engine::new(), loaded: Engine::new(), events: Events::new(), listed: 0, time };
        twins.save_and_load().expect("an engine that waits for its genesis is saved too");
        let genesis = Genesis {
            shard: ShardId::new(1),
            accounts_max: 10,
            sessions_max: 20,
            instruments_max: 10,
            orders_max: 40,
            // Small enough that old events and outcomes go.
            outbox_events_max: 300,
            session_outcomes_max: 300,
            outcomes_max: 500,
            ..Default::default()
        };
        twins.batch(&[(0, 0, genesis.into())]).expect("nothing is said");
        twins
    }

    /// Instruments that were ever listed.
    pub fn listed(&self) -> u32 {
        self.listed
    }

    /// The one that was never loaded.
    pub fn live(&self) -> &Engine {
        &self.live
    }

    pub fn batch(&mut self, commands: &[Sent]) -> Result<(), TestCaseError> {
        let Self { live, loaded, events, listed, time } = self;
        let said = apply(live, *time, commands, events);
        *listed += said.iter().filter(|(_, _, frame)| is_listing(frame)).count() as u32;
        let said_again = apply(loaded, *time, commands, events);
        let same = said.iter().zip(&said_again).take_while(|(live, loaded)| live == loaded).count();
        prop_assert_eq!(said.get(same), said_again.get(same), "event {} of {}", same, live.last_seq());
        prop_assert_eq!(live.event_chain_hash(), loaded.event_chain_hash());
        prop_assert_eq!(live.next_deadline(), loaded.next_deadline());
        prop_assert_eq!(live.state_hash(), loaded.state_hash());
        prop_assert_eq!(loaded.recount(), Ok(()));
        Ok(())
    }

    /// Both have the same bytes, whatever way led to them; then the copy is made anew from them.
    pub fn save_and_load(&mut self) -> Result<(), TestCaseError> {
        let bytes = saved(&self.live);
        prop_assert_eq!(&bytes, &saved(&self.loaded), "the bytes of the two");
        self.loaded = Engine::load(&bytes).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(&bytes, &saved(&self.loaded), "bytes that were loaded");
        prop_assert_eq!(self.live.state_hash(), self.loaded.state_hash());
        prop_assert_eq!(said_of_state(&self.live), said_of_state(&self.loaded));
        Ok(())
    }

    pub fn view(&self) -> View {
        let resting = self.live.open_orders();
        let orders = resting.chain(self.live.orders_outside().map(|details| details.order));
        let mut orders: Vec<_> = orders.map(|order| (order.order_id, order.account)).collect();
        orders.sort_unstable();
        View { now: self.time, orders }
    }
}

fn is_listing(frame: &[u8]) -> bool {
    let (split, _) = Frame::split(frame).unwrap().unwrap();
    matches!(PublicEvent::decode(&split), Ok(PublicEvent::InstrumentDefinition(_)))
}

fn apply(engine: &mut Engine, time: TimeNs, commands: &[Sent], events: &mut Events) -> Said {
    events.clear();
    engine.begin_batch(engine.last_seq().next(), time, events);
    for (account, session, command) in commands {
        let (account, session) = (AccountId::new(*account), SessionId::new(*session));
        let origin = Origin { account, session, received: time };
        engine.apply(&SequencedCommand { origin, command: *command }, events);
    }
    engine.end_batch(events);
    without_slots(events)
}

/// What somebody who comes now is told, and what bands and calls say.
fn said_of_state(engine: &Engine) -> (Said, String) {
    let mut events = Events::new();
    engine.publish_state(&mut events);
    let indications: Vec<_> =
        engine.instruments().map(|definition| engine.indication(definition.instrument)).collect();
    (without_slots(&events), format!("{indications:?}"))
}

fn without_slots(events: &Events) -> Said {
    let said = events.iter().map(|record| (record.destination, record.session, blank_slot(record.frame)));
    said.collect()
}

fn blank_slot(frame: &[u8]) -> Vec<u8> {
    let (split, _) = Frame::split(frame).unwrap().unwrap();
    let Ok(mut event) = Event::decode(&split) else { return frame.to_vec() };
    match &mut event {
        Event::OrderAccepted(event) => event.slot = SlotHint::UNKNOWN,
        Event::OrderReplaced(event) => event.slot = SlotHint::UNKNOWN,
        Event::RequestRepeated(event) => event.slot = SlotHint::UNKNOWN,
        Event::OrderStatus(event) => event.slot = SlotHint::UNKNOWN,
        _without_a_slot => return frame.to_vec(),
    }
    let mut blank = Vec::new();
    event.encode(&mut blank);
    blank
}

/// In which moments states were saved: the test is worth something only if all kinds came up.
#[derive(Debug, Default)]
pub struct Moments {
    all: u64,
    phases: BTreeMap<&'static str, u64>,
    with: BTreeMap<&'static str, u64>,
}

impl Moments {
    pub fn note(&mut self, engine: &Engine) {
        self.all += 1;
        for definition in engine.instruments() {
            let phase = Phase::from_raw(definition.phase).unwrap();
            *self.phases.entry(phase.name()).or_default() += 1;
        }
        let outside: Vec<_> = engine.orders_outside().collect();
        let mut with = |what, came_up: bool| *self.with.entry(what).or_default() += u64::from(came_up);
        let stops = || outside.iter().filter(|order| order.place == OrderPlace::Stop);
        let trigger = |wanted: Trigger| stops().any(|stop| stop.status.trigger == wanted.raw());
        // Places of forgotten instruments are used again, so listing order and places part.
        with("later listings", engine.instruments().any(|definition| definition.instrument.raw() > 12));
        with("plain stops", trigger(Trigger::Stop));
        with("trailing stops", trigger(Trigger::Trailing));
        with("marked stops", engine.pending_stops().any(|stop| stop.marked_by.is_some()));
        with("call orders", outside.iter().any(|order| order.place == OrderPlace::Call));
        let details = |order: joulebook_engine::OpenOrder| engine.order_details(order.order_id).unwrap();
        let hides = |details: joulebook_engine::OrderDetails| details.shown < details.order.leaves;
        with("icebergs", engine.open_orders().map(details).any(hides));
        let crossed = |definition: joulebook_protocol::messages::InstrumentDefinition| {
            let best = (engine.best_bid(definition.instrument), engine.best_ask(definition.instrument));
            matches!(best, (Some(bid), Some(ask)) if bid >= ask)
        };
        with("crossed books", engine.instruments().any(crossed));
    }

    pub fn check(&self) {
        // What is settled is forgotten, so nothing is saved in that phase.
        assert_eq!(self.phases.len(), Phase::ALL.len() - 1, "phases that never came up: {self:?}");
        let missing = self.with.iter().find(|(_, count)| **count == 0);
        assert_eq!(missing, None, "never saved with it: {self:?}");
    }
}
