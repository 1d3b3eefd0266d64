//! The engine's state from bytes that anybody wrote: loaded, saved again, and traded on.

use joulebook_engine::{Engine, Events};
use joulebook_protocol::messages::{AdvanceTime, CancelOrder, MassCancel, NewOrder, Restarted};
use joulebook_protocol::{Command, Origin, SequencedCommand};
use joulebook_types::{
    AccountId, ClientOrderId, InstrumentId, Price, SeqNum, SessionId, Side, TimeInForce, TimeNs,
};

use crate::Traits;

pub(crate) fn run(input: &[u8], traits: &mut Traits) {
    let engine = match Engine::load(input) {
        Ok(engine) => engine,
        Err(error) => {
            assert!(error.offset_bytes <= input.len() && !error.what.is_empty());
            let words = error.what.bytes();
            traits.saw("refused", words.fold(0, |sum, byte| (sum * 31 + u64::from(byte)) % 65_521));
            traits.counted("at", error.offset_bytes);
            return;
        }
    };
    let saved = save(&engine);
    traits.counted("loaded", saved.len());
    let again = Engine::load(&saved).expect("what was saved can be loaded");
    assert_eq!(again.state_hash(), engine.state_hash(), "the same state");
    assert!(save(&again) == saved, "the same bytes for the same state");
    let (one, other) = (go_on(engine, traits), go_on(again, &mut Traits::default()));
    assert_eq!(one.event_chain_hash(), other.event_chain_hash(), "both go on alike");
    assert_eq!(one.state_hash(), other.state_hash(), "both go on alike");
}

pub(crate) fn save(engine: &Engine) -> Vec<u8> {
    let mut bytes = Vec::new();
    engine.save(&mut |piece| bytes.extend_from_slice(piece));
    bytes
}

/// Days go by in which accounts of the script language's market trade.
fn go_on(mut engine: Engine, traits: &mut Traits) -> Engine {
    let mut events = Events::new();
    let start = engine.time();
    for (number, seconds) in [0, 1, 60, 7_200, 86_400].into_iter().enumerate() {
        let Some(first_seq) = engine.last_seq().raw().checked_add(1) else { break };
        let time = TimeNs::new(start.raw().saturating_add(seconds * 1_000_000_000));
        engine.begin_batch(SeqNum::new(first_seq), time, &mut events);
        for command in commands(number as u64, time) {
            engine.apply(&command, &mut events);
        }
        engine.end_batch(&mut events);
        engine.recount().expect("everything adds up");
        for record in events.iter() {
            traits.saw("event", record.template_id.into());
        }
        events.clear();
    }
    engine
}

/// Every trader buys, sells, cancels one order, and at the end all of them.
fn commands(round: u64, received: TimeNs) -> Vec<SequencedCommand> {
    let mut commands = Vec::new();
    for account in [10, 11, 20, 21, 30, 31] {
        let origin = Origin { account: AccountId::new(account), session: SessionId::new(1), received };
        let id = |number: u64| ClientOrderId::new(1_000 + 10 * round + number);
        let mut send = |command: Command| commands.push(SequencedCommand { origin, command });
        let (side, price) = if account < 20 { (Side::Sell, 26_900_000) } else { (Side::Buy, 27_100_000) };
        let order = NewOrder {
            client_order_id: id(0),
            price: Price::new(price),
            instrument: InstrumentId::new(1),
            qty: 3,
            side: side.raw(),
            time_in_force: TimeInForce::Gtc.raw(),
            ..NewOrder::default()
        };
        send(order.into());
        send(
            CancelOrder {
                client_order_id: id(1),
                target: ClientOrderId::new(1 + round),
                ..CancelOrder::default()
            }
            .into(),
        );
        if round == 3 {
            send(MassCancel { client_order_id: id(2), ..MassCancel::default() }.into());
        }
    }
    let system: Command =
        if round == 2 { Restarted::default().into() } else { AdvanceTime::default().into() };
    commands.push(SequencedCommand { origin: Origin::SYSTEM, command: system });
    commands
}
