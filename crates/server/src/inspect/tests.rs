//! What is read of a journal that a small exchange wrote.

use joulebook_protocol::messages::{CancelOrder, OcoOrder, ReplaceOrder};
use joulebook_types::{AccountId, ClientOrderId, InstrumentId, OrderId, Price, SeqNum, SessionId, Side};
use tempfile::TempDir;

use super::*;
use crate::Engine;
use crate::recorder::{BUYER, ISSUER, Recorder, SELLER, SYMBOL, bid, order, take_snapshot};

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn find(dir: &TempDir, wanted: Wanted) -> (OrderFinder, Engine) {
    let beginning = Beginning::choose(dir.path(), &From::Anywhere).expect("a journal");
    let mut journal = beginning.open_journal(dir.path(), false).expect("a journal");
    let mut finder = OrderFinder::new(wanted, &beginning.engine);
    let mut stepper = Stepper::new(beginning.engine);
    journal.find(&mut stepper, &mut finder).expect("no damage");
    (finder, stepper.into_engine())
}

fn request(account: u32, id: u64) -> Wanted {
    let (account, client_order_id) = (AccountId::new(account), ClientOrderId::new(id));
    Wanted::Request { account, session: SessionId::new(1), client_order_id }
}

/// A life as `what: details`, each command before its events.
fn told(life: &OrderLife) -> Vec<String> {
    let moment = |moment: &Moment| {
        let cause = moment.cause.split_whitespace().nth(if moment.command.is_null() { 4 } else { 3 });
        let events = moment.events.iter().map(|event| format!("{}: {}", event.what, event.details));
        core::iter::once(cause.unwrap_or_default().to_owned()).chain(events).collect::<Vec<_>>()
    };
    life.moments.iter().flat_map(moment).collect()
}

#[test]
fn an_order_s_life_is_whole_by_its_id_and_by_its_request() {
    let dir = folder();
    let mut recorder = Recorder::start(dir.path());
    recorder.request(SELLER, order(Side::Sell, 8, 27));
    recorder.hang_up(SELLER);
    // Nobody hears of this fill when it happens.
    recorder.request(BUYER, order(Side::Buy, 3, 27));
    recorder.log_on(SELLER);
    let order_id = OrderId::new(1);
    let price = Price::new(28_000_000);
    recorder.request(SELLER, ReplaceOrder { order_id, price, qty: 7, ..ReplaceOrder::default() });
    recorder.request(BUYER, order(Side::Buy, 1, 29));
    recorder.request(SELLER, CancelOrder { order_id, ..CancelOrder::default() });
    recorder.request(SELLER, CancelOrder { order_id, ..CancelOrder::default() });
    recorder.stop();

    let expected = [
        "NewOrder",
        "accepted: 8 lots at 27.00 EC/AH, gtc",
        "NewOrder",
        "filled: 3 lots at 27.00 EC/AH, trade 1, leaves 5 lots, maker, with order 2 of 11/1",
        "ReplaceOrder",
        "replaced: 7 lots at 28.00 EC/AH, request 3, leaves 4 lots, to the back of its price",
        "NewOrder",
        "filled: 1 lot at 28.00 EC/AH, trade 2, leaves 3 lots, maker, with order 3 of 11/1",
        "CancelOrder",
        "canceled: request 4, canceled 3 lots, filled 4 lots, reason Requested",
    ];
    for wanted in [Wanted::Order(order_id), request(SELLER, 2)] {
        let (finder, engine) = find(&dir, wanted);
        let [life] = finder.lives() else { panic!("{:?}", finder.lives()) };
        assert_eq!(told(life), expected);
        assert_eq!(life.terms, format!("sell 8 lots of {SYMBOL} at 27.00 EC/AH, gtc"));
        assert_eq!(life.ending(&engine), "ended: 4 lots filled, 3 canceled");
        assert!(life.is_ended() && engine.last_seq() < SeqNum::new(22), "the rest was not read");
    }
    let (finder, engine) = find(&dir, Wanted::Order(OrderId::new(9)));
    assert_eq!(finder.explanation(&engine, SeqNum::NONE), "there is no order 9 yet: the newest has the id 3");
    let (finder, engine) = find(&dir, request(BUYER, 3));
    assert_eq!(
        finder.explanation(&engine, SeqNum::NONE),
        "session 1 of account 11 has not used client order id 3: its highest is 2"
    );
    let (finder, engine) = find(&dir, request(99, 3));
    assert_eq!(finder.explanation(&engine, SeqNum::NONE), "account 99 never opened a session 1");
}

#[test]
fn linked_orders_quotes_and_refusals_are_found_by_their_request() {
    let dir = folder();
    let mut recorder = Recorder::start(dir.path());
    let oco = OcoOrder {
        instrument: InstrumentId::new(1),
        qty: 2,
        side: Side::Sell.raw(),
        time_in_force: 1,
        price: Price::new(30_000_000),
        trigger_price: Price::new(26_000_000),
        ..OcoOrder::default()
    };
    recorder.request(SELLER, oco);
    recorder.request(BUYER, bid(2, 25));
    recorder.request(BUYER, bid(1, 25));
    recorder.request(BUYER, bid(0, 0));
    recorder.request(ISSUER, order(Side::Buy, 1, 27));
    recorder.advance_to_gate();
    recorder.stop();

    let (finder, engine) = find(&dir, request(SELLER, 2));
    assert_eq!(finder.lives().len(), 1);
    assert_eq!(told(&finder.lives()[0]).last().unwrap(), "canceled: canceled 2 lots, reason GateClosed");
    assert_eq!(finder.lives()[0].moments.last().unwrap().command, serde_json::Value::Null, "a timer did it");
    assert!(engine.order_details(finder.lives()[0].order_id).is_none());
    let (finder, _) = find(&dir, request(SELLER, 3));
    assert_eq!(finder.lives()[0].client_order_id, ClientOrderId::new(3), "the stop has the next number");

    let (finder, engine) = find(&dir, request(BUYER, 1));
    let [quote] = finder.lives() else { panic!("{:?}", finder.lives()) };
    assert_eq!(quote.terms, format!("buy 2 lots of {SYMBOL} at 25.00 EC/AH"));
    assert_eq!(
        told(quote),
        [
            "MassQuote",
            "quoted: at 25.00 EC/AH, leaves 2 lots",
            "MassQuote",
            "changed: at 25.00 EC/AH, leaves 1 lot",
            "MassQuote",
            "removed: at 25.00 EC/AH, leaves 0 lots",
        ]
    );
    assert_eq!(quote.ending(&engine), "ended: 0 lots filled");

    let (finder, _) = find(&dir, request(ISSUER, 3));
    let refused = finder.request().expect("it was met");
    assert!(finder.lives().is_empty() && refused.events[0].what == "refused", "{refused:?}");
    assert!(refused.events[0].details.contains("NotAuthorised"), "{refused:?}");
}

#[test]
fn commands_and_events_come_as_lines_and_as_json() {
    let dir = folder();
    let mut recorder = Recorder::start(dir.path());
    let seq = recorder.request(SELLER, order(Side::Sell, 8, 27));
    let last = recorder.request(BUYER, order(Side::Buy, 3, 27));
    recorder.stop();

    let mut journal = Journal::open(dir.path(), Place::First, false).unwrap();
    let mut lines = Vec::new();
    let over = journal.commands(SeqRange { first: seq, last: seq }, |seq, time, command| {
        lines.push(command_line(seq, time, command));
        let object = command_object(seq, time, command);
        assert_eq!(object["command"], "NewOrder");
        assert_eq!(object["fields"]["price"], 27_000_000);
        assert_eq!(object["fields"]["side"], "sell");
        assert_eq!(object["fields"]["order_type"], "limit");
        assert_eq!(object["fields"]["flags"], serde_json::json!([]));
        assert_eq!(object["account"], SELLER);
        true
    });
    assert!(over.unwrap(), "the range is over before the journal is");
    let expected = "NewOrder sell 8 lots of instrument 1 at 27.00 EC/AH, client order 2, gtc";
    assert!(lines.len() == 1 && lines[0].ends_with(expected), "{lines:?}");

    let mut journal = Journal::open(dir.path(), Place::First, false).unwrap();
    let mut stepper = Stepper::new(Engine::new());
    let (mut lines, mut objects) = (Vec::new(), Vec::new());
    journal
        .replay(&mut stepper, last, |engine, step| {
            if step.seq == last {
                lines.extend(step.records().map(|record| event_line(engine, step, &record)));
                objects.extend(step.records().map(|record| event_object(engine, step, &record)));
            }
            true
        })
        .unwrap();
    assert!(lines.iter().any(|line| line.contains("public    Trade 3 lots of H200S")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("10/1      OrderFilled sell 3 lots")), "{lines:?}");
    let fill = objects.iter().find(|object| object["event"] == "OrderFilled" && object["account"] == SELLER);
    assert_eq!(fill.expect("a fill")["fields"]["leaves_qty"], 5);
}

#[test]
fn beside_a_daemon_only_what_is_proven_durable_is_read() {
    let dir = folder();
    let mut recorder = Recorder::start(dir.path());
    let last = recorder.request(SELLER, order(Side::Sell, 8, 27));
    let read = || {
        let mut journal = Journal::open(dir.path(), Place::First, false).unwrap();
        let mut last = SeqNum::NONE;
        let all = |seq, _, _: &_| {
            last = seq;
            true
        };
        assert!(!journal.commands(SeqRange::ALL, all).unwrap(), "more may come");
        (last, journal.is_live(), journal.tail().is_some())
    };
    // Nothing behind the newest write proves it yet.
    assert_eq!(read(), (SeqNum::new(last.raw() - 1), true, false));
    recorder.stop();
    assert_eq!(read(), (last, false, true));
}

#[test]
fn rows_say_where_on_the_disk_things_are() {
    let dir = folder();
    let mut recorder = Recorder::start(dir.path());
    for _ in 0..40 {
        recorder.request(SELLER, order(Side::Sell, 1, 27));
    }
    let engine = recorder.stop();
    let segments = Segments::read(dir.path()).unwrap();
    assert!(segments.error.is_none());
    let commands: u64 = segments.rows.iter().map(|row| row.commands).sum();
    assert_eq!(commands, engine.last_seq().raw());
    assert!(segments.rows.len() > 2, "{:?}", segments.rows);
    assert!(segments.rows.iter().all(|row| row.line().chars().count() <= 80 && row.used_bytes <= row.bytes));
    let prepared = SegmentRow { number: 9, bytes: 16 << 20, ..SegmentRow::default() };
    assert_eq!(prepared.line(), "      9         -           -        -         -  16.0 MiB   -  prepared");
    assert_eq!(SegmentRow::HEADING.chars().count(), 80 - "20261124T120000Z".len() + "first batch".len());

    let mut journal = Journal::open(dir.path(), Place::Oldest, false).unwrap();
    let mut next = SeqNum::new(1);
    while let Some(row) = BatchRow::next(&mut journal).unwrap() {
        assert_eq!(row.first_seq, next);
        assert!(row.line().chars().count() <= 80, "{}", row.line());
        next = row.last_seq().next();
    }
    assert_eq!(next, engine.last_seq().next());
    assert!(SnapshotRow::all(dir.path()).unwrap().is_empty());
}

#[test]
fn a_flipped_bit_is_named_and_what_is_before_it_is_shown() {
    let dir = folder();
    let mut recorder = Recorder::start(dir.path());
    for _ in 0..10 {
        recorder.request(SELLER, order(Side::Sell, 1, 27));
    }
    recorder.stop();
    let path = dir.path().join("journal/00000000000000000001.seg");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096 * 5 + 200] ^= 4;
    std::fs::write(&path, bytes).unwrap();
    let segments = Segments::read(dir.path()).unwrap();
    let error = segments.error.expect("damage").to_string();
    assert!(error.contains("00000000000000000001.seg, byte 20"), "{error}");
    assert!(segments.rows[0].batches == 4, "{:?}", segments.rows);
    let plan = ReplayPlan { from: From::Anywhere, until: None, verify: true };
    let error = replay_for_people(dir.path(), &plan).unwrap_err().to_string();
    assert!(error.contains("00000000000000000001.seg, byte 20"), "{error}");
}

#[test]
fn a_replay_stops_where_it_is_told_inside_a_batch_too() {
    let dir = folder();
    let mut recorder = Recorder::start(dir.path());
    let orders = (1..=4).map(|lots| order(Side::Sell, lots, 27));
    let batch: Vec<_> = orders.map(|order| recorder.numbered(SELLER, order)).collect();
    let (before, chain_before) = (recorder.engine.state_hash(), recorder.engine.event_chain_hash());
    let last = recorder.batch(&batch);
    let live = recorder.stop();
    let replay = |until, verify| {
        let plan = ReplayPlan { from: From::Anywhere, until: Some(SeqNum::new(until)), verify };
        replay_for_people(dir.path(), &plan)
    };
    for verify in [false, true] {
        let report = replay(last.raw() - 4, verify).unwrap();
        assert_eq!((report.state_hash, report.event_hash), (before, chain_before));
        assert!(report.journal_hash.is_some());
        let report = replay(last.raw(), verify).unwrap();
        assert_eq!((report.state_hash, report.event_hash), (live.state_hash(), live.event_chain_hash()));
        let report = replay(last.raw() - 2, verify).unwrap();
        assert_eq!((report.last_seq.raw(), report.journal_hash), (last.raw() - 2, None));
        assert!(report.recount.is_ok() && report.state_hash != before);
        let error = replay(last.raw() + 1, verify).unwrap_err().to_string();
        assert_eq!(error, format!("the journal ends with command {last}, before command {}", last.raw() + 1));
    }
}

#[test]
fn a_command_whose_events_differ_is_named() {
    let dir = folder();
    let mut recorder = Recorder::start(dir.path());
    let batch: Vec<_> = (1..=4).map(|lots| recorder.numbered(SELLER, order(Side::Sell, lots, 27))).collect();
    let wrong = SeqNum::new(recorder.engine.last_seq().raw() + 3);
    recorder.lie_from(wrong);
    recorder.batch(&batch);
    recorder.stop();
    let plan = ReplayPlan { from: From::Anywhere, until: None, verify: false };
    replay_for_people(dir.path(), &plan).expect("nobody compares");
    let plan = ReplayPlan { verify: true, ..plan };
    let Err(ReplayFailure::Differs(difference)) = replay_for_people(dir.path(), &plan) else {
        panic!("the lie was believed")
    };
    let (first, last) = (wrong.raw() - 2, wrong.raw() + 1);
    assert_eq!(
        difference.to_string(),
        format!(
            "the events of commands {first} to {last} differ from what the exchange said when it ran, from command \
             {wrong} on"
        )
    );
    let explained = explain(dir.path(), &plan.from, &difference).unwrap();
    assert!(explained.command.unwrap().contains("NewOrder sell 3 lots of instrument 1 at 27.00 EC/AH"));
    assert!(explained.events.iter().any(|event| event.contains("OrderAccepted sell 3 lots")));
}

#[test]
fn a_retired_beginning_is_stood_in_for_by_a_snapshot() {
    let dir = folder();
    let mut recorder = Recorder::start(dir.path());
    recorder.request(SELLER, order(Side::Sell, 8, 27));
    recorder.request(BUYER, order(Side::Buy, 3, 27));
    for _ in 0..15 {
        recorder.request(SELLER, order(Side::Sell, 1, 30));
    }
    let at = recorder.engine.last_seq();
    recorder.request(BUYER, order(Side::Buy, 4, 27));
    recorder.request(SELLER, CancelOrder { order_id: OrderId::new(1), ..CancelOrder::default() });
    let live = recorder.stop();
    let name = take_snapshot(dir.path(), at, false);
    let whole = ReplayPlan { from: From::Anywhere, until: None, verify: true };
    let compared = replay_for_people(dir.path(), &whole).unwrap().compared.unwrap();
    assert_eq!((compared.snapshots, compared.seq), (1, live.last_seq()));

    std::fs::remove_file(dir.path().join("journal/00000000000000000001.seg")).unwrap();
    let first = oldest_command(dir.path()).unwrap();
    assert!(SeqNum::new(1) < first && first <= at.next(), "{first}");
    let begin = |from: &str| Beginning::choose(dir.path(), &from.parse().unwrap());
    for from in [at.to_string(), live.last_seq().to_string(), name.to_string()] {
        assert_eq!(begin(&from).unwrap().engine.last_seq(), at, "{from}");
    }
    for (from, says) in [
        ("none".to_owned(), format!("begins with command {first}: leave `--from` out")),
        ((at.raw() - 1).to_string(), format!("begins with command {first}, and no snapshot")),
        ("no.snap".to_owned(), "the folder has no snapshot no.snap".to_owned()),
    ] {
        let error = begin(&from).unwrap_err().to_string();
        assert!(error.contains(&says), "{error}");
    }
    let report = replay_for_people(dir.path(), &whole).unwrap();
    assert_eq!((report.begins_after, report.state_hash), (at, live.state_hash()));
    assert_eq!(report.from, format!("snapshot {name}"));

    let (finder, engine) = find(&dir, Wanted::Order(OrderId::new(1)));
    let [life] = finder.lives() else { panic!("{:?}", finder.lives()) };
    assert_eq!(life.before.as_deref(), Some("5 of 8 lots wait in the book at 27.00 EC/AH"));
    assert_eq!(life.moments.len(), 2);
    assert_eq!(life.ending(&engine), "ended: 7 lots filled, 1 canceled");
    let (finder, engine) = find(&dir, Wanted::Order(OrderId::new(2)));
    let text = finder.explanation(&engine, at);
    assert_eq!(
        text,
        format!("order 2 ended before command {}, where the journal of this folder begins", at.next())
    );
    let rows = SnapshotRow::all(dir.path()).unwrap();
    assert!(rows.len() == 1 && rows[0].line().chars().count() <= 80, "{:?}", rows[0].line());
    assert_eq!(rows[0].object()["header"]["seq"], at.raw());
}

#[test]
fn a_snapshot_with_another_state_is_named() {
    let dir = folder();
    let recorder = Recorder::start(dir.path());
    let at = SeqNum::new(9);
    recorder.stop();
    let name = take_snapshot(dir.path(), at, true);
    let plan = ReplayPlan { from: From::Anywhere, until: None, verify: true };
    let error = replay_for_people(dir.path(), &plan).unwrap_err().to_string();
    assert!(error.contains(&name.to_string()) && error.contains("after command 9:"), "{error}");
    assert!(replay_for_people(dir.path(), &ReplayPlan { verify: false, ..plan }).is_ok());
    assert!(Beginning::choose(dir.path(), &From::Snapshot(name.to_string())).is_err());
}

#[test]
fn what_is_no_data_folder_is_said_in_one_line() {
    let dir = folder();
    let file = dir.path().join("file");
    std::fs::write(&file, "text").unwrap();
    for (path, says) in [
        (dir.path().join("no"), "there is no folder"),
        (file, "is a file, not a folder"),
        (dir.path().to_owned(), "is no data folder: no exchange has run there"),
    ] {
        let error = check_folder(&path).unwrap_err().to_string();
        assert!(error.contains(says) && !error.contains('\n'), "{error}");
    }
    for text in ["17", "none", "00000000000000000009-0123456789abcdef.snap"] {
        let from: From = text.parse().unwrap();
        assert!(Beginning::choose(dir.path(), &from).is_err());
    }
}
