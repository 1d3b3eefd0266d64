//! Does to an engine what reaches all of its state: whatever was loaded must take it.

use joulebook_engine::{Engine, Events};
use joulebook_protocol::messages::*;
use joulebook_protocol::{Command, Origin, SequencedCommand};
use joulebook_types::*;

/// Names the case that is tried when it panics.
pub struct Naming<'a>(pub &'a str);

impl Drop for Naming<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the case: {}", self.0);
        }
    }
}

/// Orders on both sides of every book, questions, a call in every market, time to the end, everything canceled.
pub fn poke(engine: &mut Engine) {
    let accounts = engine_accounts(engine);
    let sessions: Vec<u32> = accounts.clone();
    for account in &sessions {
        let connection = ConnectionId::of_gateway(9, u64::from(*account) + 1);
        let opened =
            SessionOpened { connection, cancel_on_disconnect_ms: 500, heartbeat_ms: 1, ..Default::default() };
        run(engine, *account, 0, opened);
    }
    let instruments: Vec<InstrumentDefinition> = engine.instruments().collect();
    for definition in &instruments {
        for account in &accounts {
            for (side, price) in [(Side::Buy, definition.band_high), (Side::Sell, definition.band_low)] {
                let order = NewOrder {
                    price,
                    instrument: definition.instrument,
                    qty: 1,
                    side: side.raw(),
                    time_in_force: TimeInForce::Gtc.raw(),
                    ..Default::default()
                };
                run(engine, *account, 0, order);
            }
        }
        let phase = |phase: Phase| SetPhase {
            instrument: definition.instrument,
            phase: phase.raw(),
            ..Default::default()
        };
        for account in &accounts {
            run(engine, *account, 0, phase(Phase::Auction));
        }
        run(engine, accounts[0], 1_100, phase(Phase::Open));
    }
    for account in &accounts {
        run(engine, *account, 10, AccountQuery::default());
        run(engine, *account, 0, MintCredits { amount: MicroEc::from_ec(1), ..Default::default() });
        run(engine, *account, 0, SetDeadMan { timeout_ms: 1_000, ..Default::default() });
    }
    run(engine, 0, 200_000, AdvanceTime::default());
    engine.recount().expect("everything adds up when it has gone on");
    run(engine, 0, 3_600_000, Restarted::default());
    for _ in 0..3 {
        run(engine, 0, 86_400_000, AdvanceTime::default());
    }
    engine.recount().expect("everything adds up at the end");
    let mut bytes = Vec::new();
    engine.save(&mut |piece| bytes.extend_from_slice(piece));
    match Engine::load(&bytes) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.what, "no run counts that far", "what went on is loaded again"),
    }
}

/// By their ids, as the public state names them.
fn engine_accounts(engine: &Engine) -> Vec<u32> {
    let mut events = Events::new();
    engine.publish_state(&mut events);
    let frames =
        events.iter().map(|record| joulebook_protocol::Frame::split(record.frame).unwrap().unwrap().0);
    let accounts = frames.filter_map(|frame| match joulebook_protocol::PublicEvent::decode(&frame) {
        Ok(joulebook_protocol::PublicEvent::AccountDefinition(definition)) => Some(definition.account.raw()),
        Ok(_) | Err(_) => None,
    });
    accounts.collect()
}

/// A batch of one command, from the account's first session, after so much time.
fn run(engine: &mut Engine, account: u32, after_ms: u32, command: impl Into<Command>) {
    let mut command = command.into();
    let session = SessionId::new(account.min(1));
    let last = engine.session(AccountId::new(account), session).map(|state| state.last_client_order_id);
    command.set_client_order_id(ClientOrderId::new(last.map_or(0, |last| last.raw().saturating_add(1))));
    let time = engine.time().saturating_add_ms(after_ms);
    let origin = Origin { account: AccountId::new(account), session, received: time };
    let mut events = Events::new();
    engine.begin_batch(engine.last_seq().next(), time, &mut events);
    engine.apply(&SequencedCommand { origin, command }, &mut events);
    engine.end_batch(&mut events);
}
