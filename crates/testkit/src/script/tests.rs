//! The language itself: every command can be written, every event can be read, and mistakes are named.

use joulebook_protocol::messages::*;
use joulebook_protocol::{Command, Event, PublicEvent, SessionMessage, TABLE};
use joulebook_types::{ConnectionId, InstrumentId, MicroEc, OrderId, Price, SeqNum, Symbol, TimeNs};

use super::line::{Line, parse};
use super::names::{Party, STANDARD_SYMBOL, Scene, parse_time, show_time};
use super::{Exchange, Heard, Market, blocks, show, show_public};

fn scene() -> Scene {
    let mut scene = Scene { now: parse_time("12:00").unwrap(), ..Default::default() };
    let symbols = [STANDARD_SYMBOL, "TPU6E.DE.20261124T1400.H", "H200S.DE.20261124T1500.H"];
    for (number, text) in (1..).zip(symbols) {
        scene.instruments.insert(InstrumentId::new(number), text.parse::<Symbol>().unwrap());
    }
    scene
}

fn command(line: &str) -> Command {
    match parse(line, &scene()).unwrap_or_else(|error| panic!("{line}: {error}")) {
        Line::Request { command, .. } | Line::Numbered { command, .. } | Line::System { command, .. } => {
            command
        }
        other @ (Line::Wait(_) | Line::Book(_) | Line::Show(_)) => {
            panic!("{line} is no command but {other:?}")
        }
    }
}

/// A line for every command: a new one does not compile before it can be written.
fn line_of(command: &Command) -> &'static str {
    match command {
        Command::NewOrder(_) => "carol buys 5 at 27.00",
        Command::CancelOrder(_) => "carol cancels #3",
        Command::ReplaceOrder(_) => "carol replaces #3 to 5 at 27.01",
        Command::MassCancel(_) => "carol mass-cancels",
        Command::TokenOrder(_) => "carol buys tokens 500 ktok at 1.80 on TPU6E",
        Command::OrderQuery(_) => "carol asks for #3",
        Command::AccountQuery(_) => "carol asks for everything",
        Command::MintCredits(_) => "issuer mints 1000 EC",
        Command::RetireCredits(_) => "carol retires 10 EC",
        Command::DepositCredits(_) => "issuer deposits 1000 EC to carol",
        Command::RegisterCapacity(_) => "alice registers 800 of H200S.DE.1400.H",
        Command::DeliverSlot(_) => "meter delivers H200S.DE.1400.Q",
        Command::ListInstrument(_) => "operator lists L40S.DE.1400.H tick 0.001 lots of 1",
        Command::OpenAccount(_) => "operator opens account erin as buyer maker group 7",
        Command::SetYield(_) => "operator yields H200S to 15387",
        Command::ReduceOrder(_) => "carol reduces #3 by 2",
        Command::OcoOrder(_) => "alice oco sells 5 at 28.00 or stop 26.00 at 25.90",
        Command::OrderBatch(_) => {
            "carol batch: buys 5 at 27.00; cancels #3; replaces #4 to 5 at 27.01; reduces #5 by 2"
        }
        Command::MassQuote(_) => "mia quotes post-only 5 at 26.90 / 4 at 27.10; 0 / 0 on TPU6E",
        Command::SetProtection(_) => "mia protects H200S 3 fills, 20 lots, 1000 EC in 10 s",
        Command::ResetProtection(_) => "mia resets H200S",
        Command::Basket(_) => "carol basket: buys 2 at 27.00; buys 1 at 12.00 on TPU6E",
        Command::BlockSweep(_) => "carol sweep buys 2 at 27.00 in 4 windows from H200S.DE.1400.Q",
        Command::SetDeadMan(_) => "carol dead-man 5 s",
        Command::KillSwitch(_) => "operator kills class H200S",
        Command::SetPhase(_) => "operator auctions all of H200S in DE for 10 s random 2 s",
        Command::SetBands(_) => {
            "operator bands 20.00..40.00 dynamic 500 bps velocity 1.00 in 10 s halt 2 s auction 5 s random 1 s"
        }
        Command::SetLimits(_) => {
            "operator limits carol orders 2, order value 1000, open value 5000, window 80"
        }
        Command::Genesis(_) => "system starts with accounts_max=3",
        Command::SessionOpened(_) => "carol/2 connects last 7 grace 5 s",
        Command::SessionClosed(_) => "carol disconnects",
        Command::Restarted(_) => "system restarts",
        Command::AdvanceTime(_) => "system ticks",
        Command::Seed(_) => "system seed 42",
    }
}

#[test]
fn every_command_can_be_written() {
    let mut bytes = Vec::new();
    let mut written = 0;
    for info in TABLE {
        let Some(empty) = empty_command(info.template_id) else { continue };
        let made = command(line_of(&empty));
        assert_eq!(made.template_id(), info.template_id, "{}", info.name);
        bytes.clear();
        made.encode(&mut bytes);
        written += 1;
    }
    assert_eq!(written, TABLE.iter().filter(|info| (20..60).contains(&info.template_id)).count());
}

fn empty_command(template_id: u16) -> Option<Command> {
    let info = TABLE.iter().find(|info| info.template_id == template_id)?;
    Command::decode(&joulebook_protocol::Frame {
        header: header(info.template_id),
        block: &vec![0; info.block_len],
    })
    .ok()
}

fn header(template_id: u16) -> joulebook_protocol::FrameHeader {
    joulebook_protocol::FrameHeader {
        block_len: 0,
        template_id,
        schema_id: joulebook_protocol::SCHEMA_ID,
        version: joulebook_protocol::VERSION,
    }
}

#[test]
fn every_event_can_be_read() {
    let scene = scene();
    let mut lines = std::collections::BTreeSet::new();
    for info in TABLE {
        let block = vec![0; info.block_len];
        let frame = joulebook_protocol::Frame { header: header(info.template_id), block: &block };
        // Exhaustive inside: `show` names every event of the protocol.
        let line = Event::decode(&frame)
            .map(|event| show::private(&event, &scene))
            .or_else(|_| PublicEvent::decode(&frame).map(|event| show_public::public(&event, &scene)))
            .or_else(|_| SessionMessage::decode(&frame).map(|message| show::session(&message)));
        if let Ok(line) = line {
            assert!(line.len() > 3 && !line.contains('\n'), "{}: {line}", info.name);
            assert!(lines.insert(line.clone()), "{} reads like another event: {line}", info.name);
        }
    }
    assert_eq!(
        lines.len(),
        TABLE.iter().filter(|info| info.template_id < 20 || (60..100).contains(&info.template_id)).count()
    );
}

#[test]
fn words_become_the_fields_of_orders() {
    let Command::NewOrder(order) =
        command("alice sells 10 at 26.00 stop 26.50 show 2 until 13:30 self-trade cancel-both on TPU6E")
    else {
        panic!("not an order")
    };
    let expected = NewOrder {
        price: Price::new(26_000_000),
        instrument: InstrumentId::new(2),
        qty: 10,
        side: 2,
        time_in_force: 4,
        trigger: 1,
        self_trade: 2,
        expires: parse_time("13:30").unwrap(),
        trigger_price: Price::new(26_500_000),
        display_qty: 2,
        ..Default::default()
    };
    assert_eq!(order, expected);
    let choices = [
        ("carol buys 5 at market", 1, 2, 0),
        ("carol buys 5 at market gtc", 1, 1, 0),
        ("carol buys 5 at market stop 28.00", 1, 1, 1),
        ("carol buys for 1000 EC", 2, 2, 0),
        ("carol buys 5 at 27.00 fok", 0, 3, 0),
        ("carol buys 5 at 27.00 trail 100 bps from 28.00", 0, 1, 2),
    ];
    for (line, order_type, time_in_force, trigger) in choices {
        let Command::NewOrder(order) = command(line) else { panic!("{line}") };
        assert_eq!(
            (order.order_type, order.time_in_force, order.trigger),
            (order_type, time_in_force, trigger),
            "{line}"
        );
    }
}

#[test]
fn any_field_can_be_set() {
    let Command::Basket(basket) = command("carol basket: buys 2 at 27.00 with legs[3].price=1.5 count=4")
    else {
        panic!()
    };
    assert_eq!((basket.count, basket.legs[3].price, basket.legs[0].qty), (4, Price::new(1_500_000), 2));
    let Command::NewOrder(order) = command("carol buys 1 at 1 with budget=-7 side=9 client_order_id=3")
    else {
        panic!()
    };
    assert_eq!((order.budget, order.side, order.client_order_id.raw()), (MicroEc::new(-7), 9, 3));
    let Command::KillSwitch(kill) = command("operator kills carol with class=L40S") else { panic!() };
    assert_eq!(kill.class.as_str(), "L40S");
}

#[test]
fn mistakes_are_named() {
    let cases = [
        ("zoe buys 5 at 27.00", "'zoe' is nobody"),
        ("carol steals 5", "nobody 'steals'"),
        ("carol buys five at 27.00", "'five' is not a number of lots"),
        ("carol buys 5 for 27.00", "expected 'at', found 'for'"),
        ("carol buys 5 at 27.0000001", "more than six decimal places"),
        ("carol buys 5 at 27.00 ico", "nothing more was expected, found 'ico'"),
        ("carol buys 5 at 27.00 on L40S", "'L40S' is no instrument"),
        ("carol buys 5 at 27.00 on H200S", "more than one instrument of H200S"),
        ("carol buys 5 at 27.00 on H200S.DE.1600.H", "is not listed"),
        ("carol buys 5 at 27.00 self-trade never", "'never' is no self-trade mode"),
        ("carol cancels 3", "'3' is not an order such as #3"),
        ("carol buys 5 at 27.00 with colour=1", "NewOrder has no field 'colour'"),
        ("carol buys 5 at 27.00 with side=256", "'256' does not fit the field 'side'"),
        ("carol buys 5 at 27.00 with side", "'side' is not FIELD=VALUE"),
        ("carol/0 cancels #3", "'carol/0' names no session"),
        ("carol/100 cancels #3", "'carol/100' names no session"),
        ("wait 5", "expected 'ms', 's' or 'min' at the end"),
        ("carol buys 5 at 27.00 until 25:00", "'25:00' is not a time"),
        ("operator lists H200S.DE.1410.H", "a window starts on a multiple of its own length"),
        ("mia protects H200S 3 fills 20 cups in 1 s", "'cups' is neither 'lots' nor 'EC'"),
    ];
    for (line, want) in cases {
        let error = parse(line, &scene()).expect_err(line);
        assert!(error.contains(want), "{line}: {error}");
    }
}

#[test]
fn a_line_that_ends_too_early_is_a_mistake_and_no_panic() {
    for info in TABLE {
        let Some(empty) = empty_command(info.template_id) else { continue };
        let line = line_of(&empty);
        for end in (0..line.len()).filter(|end| line.is_char_boundary(*end)) {
            if let Err(error) = parse(&line[..end], &scene()) {
                assert!(!error.is_empty(), "{line}");
            }
        }
    }
}

#[test]
fn times_of_the_day_read_and_write() {
    for (text, shown) in
        [("13:55", "13:55:00"), ("13:55:01.5", "13:55:01.5"), ("00:00:00.000000001", "00:00:00.000000001")]
    {
        assert_eq!(show_time(parse_time(text).unwrap()), shown);
    }
    assert_eq!(show_time(TimeNs::new(5)), "5 ns");
    let party = Party::parse("carol/2").unwrap();
    assert_eq!((party.to_string(), Party::of_connection(party.connection())), ("carol/2".to_owned(), party));
}

/// Takes every order and fills none.
#[derive(Default)]
struct Yes {
    said: Vec<Heard>,
    orders: u64,
}

impl Exchange for Yes {
    fn begin_batch(&mut self, _: SeqNum, _: TimeNs) {}

    fn apply(&mut self, sequenced: &joulebook_protocol::SequencedCommand) {
        let Command::NewOrder(order) = sequenced.command else { return };
        self.orders += 1;
        let counter =
            u64::from(sequenced.origin.account.raw()) * 100 + u64::from(sequenced.origin.session.raw());
        let accepted = OrderAccepted {
            client_order_id: order.client_order_id,
            order_id: OrderId::new(self.orders),
            price: order.price,
            instrument: order.instrument,
            qty: order.qty,
            side: order.side,
            time_in_force: order.time_in_force,
            ..Default::default()
        };
        self.said.push(Heard::Private(ConnectionId::of_gateway(1, counter), Event::OrderAccepted(accepted)));
    }

    fn end_batch(&mut self) {}

    fn take_events(&mut self) -> Vec<Heard> {
        core::mem::take(&mut self.said)
    }
}

#[test]
fn a_page_is_run_block_by_block() {
    let page = "text\n```market\n// first\n> carol buys 5 at 27.00   // why\nstale\n> dave/2 sells 1 at 28.00 fok\n```\n```text\n> no\n```\n```market\n```\n";
    let found = blocks(page);
    assert_eq!(
        found.iter().map(|block| (block.line, block.lines.len())).collect::<Vec<_>>(),
        [(3, 4), (12, 0)]
    );
    let run = found[0].run(Yes::default()).unwrap();
    let expected = [
        "// first",
        "> carol buys 5 at 27.00   // why",
        "carol: accepted #1 buy 5 at 27.00",
        "> dave/2 sells 1 at 28.00 fok",
        "dave/2: accepted #2 sell 1 at 28.00 fok",
    ];
    assert_eq!(run.lines, expected);
    let wrong = blocks("```market\n> carol flies\n```\n")[0].run(Yes::default()).unwrap_err();
    assert!(wrong.starts_with("line 2: `carol flies`: nobody 'flies'"), "{wrong}");
}

#[test]
fn a_repeated_number_is_sent_as_it_is() {
    let mut market = Market::new(Yes::default());
    let ids: Vec<u64> =
        ["carol buys 1 at 1", "carol buys 1 at 1 as 7", "carol buys 1 at 1", "dave buys 1 at 1"]
            .into_iter()
            .map(|line| match market.run(line).unwrap().heard[..] {
                [Heard::Private(_, Event::OrderAccepted(accepted))] => accepted.client_order_id.raw(),
                ref other => panic!("{other:?}"),
            })
            .collect();
    assert_eq!(ids, [1, 7, 8, 1]);
}
