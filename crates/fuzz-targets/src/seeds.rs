//! Where fuzzing begins: inputs that are right, made by the code that writes them.

use crate::daemon_config::DEFAULT_FILE;
use joulebook_engine::Engine;
use joulebook_journal::{
    Batch, CommandLog, EventDigest, JournalMark, JournalReader, LocalConfig, LocalJournal, LogEvent,
    MIN_SEGMENT_BYTES, SnapshotHeader, Term,
};
use joulebook_protocol::messages::*;
use joulebook_protocol::{
    Command, FrameHeader, HEADER_BYTES, Origin, SCHEMA_ID, Sender, SequencedCommand, TABLE, VERSION, encode,
};
use joulebook_types::{ClientOrderId, InstrumentId, Price, SeqNum, ShardId, Side, TimeNs};
use zerocopy::IntoBytes;

use crate::conversation::Step;
use crate::disk::{Disk, blocks_to_input};
use crate::journal::{CONTINUE, RESEAL, RETIRE};
use crate::{market, snapshot, state};

/// The seeds of a target with their names; none for a target that does not exist.
pub fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    match target {
        "frames" | "pipe" => TABLE.iter().map(|info| (name_of(info.name), filled(info, 3))).collect(),
        "server_session" => server_sessions(),
        "client_session" => client_sessions(),
        "feed" => feeds(),
        "journal" => journals(),
        "snapshot" => snapshots(),
        "state" => states(),
        "config" => configs(),
        "values" => values(),
        "market" => markets(),
        _ => Vec::new(),
    }
}

fn name_of(message: &str) -> String {
    let mut name = String::new();
    for character in message.chars() {
        if character.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(character.to_ascii_lowercase());
    }
    name
}

/// A message whose first elements hold something in every byte; the rest of long lists is left out.
fn filled(info: &joulebook_protocol::MessageInfo, step: u8) -> Vec<u8> {
    let block_len = info.block_len.min(info.block_min.max(160)).next_multiple_of(8).min(info.block_len);
    let header = FrameHeader {
        block_len: block_len as u16,
        template_id: info.template_id,
        schema_id: SCHEMA_ID,
        version: VERSION,
    };
    let mut frame = header.as_bytes().to_vec();
    frame.extend((0..block_len).map(|index| (index as u8).wrapping_mul(step)));
    frame
}

/// A conversation: choices, then a step for each frame.
fn conversation(choices: u8, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut input = vec![choices];
    for frame in frames {
        Step::encode_bytes(frame, &mut input);
    }
    input
}

fn frame<M: joulebook_protocol::Message>(message: &M) -> Vec<u8> {
    let mut frame = Vec::new();
    encode(message, &mut frame);
    frame
}

fn server_sessions() -> Vec<(String, Vec<u8>)> {
    let logon = [frame(&Hello { account: 7.into_id(), session: 3.into_id() }), frame(&Logon::default())];
    let mut by_hand = conversation(16, &logon);
    // The verdict, the engine's answer, a pause, a logout.
    by_hand.extend([4, 0, 4 | 5 << 3, 1, 2, 3, 20]);
    Step::encode_bytes(&frame(&Logout::default()), &mut by_hand);
    let mut all = vec![("logged_on".to_owned(), by_hand)];
    for info in TABLE.iter().filter(|info| matches!(info.sender, Sender::Client | Sender::Either)) {
        let frames = [filled(info, 1), filled(info, 0), frame(&Heartbeat::default())];
        all.push((name_of(info.name), conversation(2 | 16, &frames)));
    }
    let request = frame(&NewOrder { client_order_id: ClientOrderId::new(1), qty: 5, ..NewOrder::default() });
    let frames = vec![request; 8];
    all.push(("throttled".to_owned(), conversation(2 | 4, &frames)));
    all.push(("slow_consumer".to_owned(), conversation(2 | 4 | 8, &frames)));
    all.push((
        "anonymous".to_owned(),
        conversation(1, &[frame(&Subscribe { kinds: 3, ..Subscribe::default() })]),
    ));
    all
}

fn client_sessions() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for info in TABLE.iter().filter(|info| matches!(info.sender, Sender::Server | Sender::Either)) {
        let mut input = vec![2];
        // One request of each kind, so that there is something to answer.
        (4..10).for_each(|choice| input.extend([4 | choice << 3, 3, 2, 0, 1]));
        for (seq, id) in [(1, 1), (2, 3), (3, 5), (4, 6), (5, 7), (6, 8)] {
            let mut frame = filled(info, 0);
            let ids = info.fields.iter().filter(|field| ["client_order_id", "request"].contains(&field.name));
            let places = ids.map(|field| (field.offset, id)).chain([(0, seq)]);
            for (offset, value) in places {
                let place = HEADER_BYTES + offset;
                frame[place..place + 8].copy_from_slice(&u64::to_le_bytes(value));
            }
            Step::encode_bytes(&frame, &mut input);
        }
        all.push((name_of(info.name), input));
    }
    let logon = [
        frame(&Challenge::default()),
        frame(&LogonAccepted { snapshot: 1, last_event_seq: 5, ..logon_of(7) }),
    ];
    let mut snapshot = conversation(0, &logon);
    Step::encode_bytes(&frame(&CreditBalance::default()), &mut snapshot);
    Step::encode_bytes(&frame(&SnapshotEnd::default()), &mut snapshot);
    all.push(("snapshot".to_owned(), snapshot));
    let mut again = conversation(2, &[]);
    again.extend([4 | 4 << 3, 1, 5, 7 | 16 << 3]);
    again.extend(&conversation(0, &[frame(&Challenge::default()), frame(&logon_of(7))])[1..]);
    all.push(("resent".to_owned(), again));
    all
}

fn logon_of(account: u32) -> LogonAccepted {
    LogonAccepted { account: account.into_id(), session: 3.into_id(), ..LogonAccepted::default() }
}

/// Ids are written as plain numbers here.
trait IntoId<T> {
    fn into_id(self) -> T;
}

impl IntoId<joulebook_types::AccountId> for u32 {
    fn into_id(self) -> joulebook_types::AccountId {
        joulebook_types::AccountId::new(self)
    }
}

impl IntoId<joulebook_types::SessionId> for u32 {
    fn into_id(self) -> joulebook_types::SessionId {
        joulebook_types::SessionId::new(self)
    }
}

fn feeds() -> Vec<(String, Vec<u8>)> {
    let instrument = InstrumentId::new(1);
    let level = |side: Side, ticks: i64| L2SnapshotLevel {
        price: Price::new(ticks * 10_000),
        qty: 5,
        instrument,
        orders: 1,
        side: side.raw(),
        ..L2SnapshotLevel::default()
    };
    let update = |side: Side, ticks: i64, qty| L2Update {
        price: Price::new(ticks * 10_000),
        qty,
        instrument,
        orders: u32::from(qty > 0),
        side: side.raw(),
        ..L2Update::default()
    };
    let mut input = vec![4];
    encode(&InstrumentDefinition { instrument, ..InstrumentDefinition::default() }, &mut input);
    encode(&L2SnapshotBegin { instrument, levels: 2, seq: 3, ..L2SnapshotBegin::default() }, &mut input);
    encode(&level(Side::Buy, 26), &mut input);
    encode(&level(Side::Sell, 27), &mut input);
    encode(&L2SnapshotEnd { instrument, ..L2SnapshotEnd::default() }, &mut input);
    encode(&update(Side::Buy, 25, 3), &mut input);
    encode(&update(Side::Sell, 27, 0), &mut input);
    encode(&FeedTrade { instrument, qty: 2, ..FeedTrade::default() }, &mut input);
    encode(&L2Checksum { instrument, ..L2Checksum::default() }, &mut input);
    encode(&FeedIndication { instrument, ..FeedIndication::default() }, &mut input);
    let mut unrepaired = input.clone();
    unrepaired[0] = 0;
    let all = TABLE.iter().filter(|info| info.template_id >= 80);
    let each: Vec<u8> = [4].into_iter().chain(all.flat_map(|info| filled(info, 0))).collect();
    let named = [("book", input), ("wrong_checksum", unrepaired), ("each", each)];
    named.map(|(name, input)| (name.to_owned(), input)).to_vec()
}

/// Journals that the real one wrote: the number of batches decides how many segments there are.
fn journals() -> Vec<(String, Vec<u8>)> {
    let mut all = vec![("empty".to_owned(), vec![0])];
    for (name, batches) in [("one_batch", 1), ("three_batches", 3), ("two_segments", 10)] {
        let disk = written(batches);
        let ways =
            [("", 0), ("_resealed", RESEAL), ("_continued", RESEAL | CONTINUE | 16), ("_retired", RETIRE)];
        for (suffix, choices) in ways {
            let mut input = vec![choices];
            disk.to_input(&mut input);
            all.push((format!("{name}{suffix}"), input));
        }
    }
    all
}

fn written(batches: u64) -> Disk {
    let shard = ShardId::new(1);
    let mut disk = Disk::default();
    let config = LocalConfig {
        segment_bytes: MIN_SEGMENT_BYTES,
        group_bytes_max: 4 << 12,
        ..LocalConfig::new(shard, 77)
    };
    let term = config.term;
    let reader = JournalReader::new(&mut disk, shard).expect("an empty disk");
    let mut journal = LocalJournal::open(reader, config).expect("an empty disk");
    let mut events = Vec::new();
    let mut now = TimeNs::ZERO;
    let mut poll = |journal: &mut LocalJournal<&mut Disk>, until: &dyn Fn(&LogEvent) -> bool| {
        events.clear();
        while !events.iter().any(until) && !journal.is_stopped() {
            now = now.saturating_add_ms(1);
            journal.poll(now, &mut events);
        }
    };
    for number in 1..=batches {
        let mut batch = Batch::new();
        batch.clear(TimeNs::new(number));
        let order = NewOrder { client_order_id: ClientOrderId::new(number), qty: 5, ..NewOrder::default() };
        for command in [Command::from(AdvanceTime::default()), order.into()] {
            let mut record = Vec::new();
            SequencedCommand { origin: Origin::SYSTEM, command }.encode(&mut record);
            batch.push(&record);
        }
        journal.propose(term, batch).expect("there is room");
        let seq = SeqNum::new(2 * number);
        journal.attest(&EventDigest { seq, chain: [number, 1], steps: vec![1, 2, number as u32] });
        poll(&mut journal, &|event| matches!(event, LogEvent::Committed { .. }));
    }
    journal.shutdown();
    poll(&mut journal, &|_| false);
    drop(journal);
    disk
}

fn snapshots() -> Vec<(String, Vec<u8>)> {
    let mark = JournalMark {
        journal_id: 77,
        shard: ShardId::new(1),
        term: Term::new(1),
        seq: SeqNum::new(1_000),
        time: TimeNs::new(5),
        chain: [3; 32],
    };
    let header =
        SnapshotHeader { mark, events: [1, 2], state_hash: [0xAB; 32], state_version: 1, unattested: false };
    let mut all = Vec::new();
    // Nothing, a part of a block, exactly a block and more.
    for (name, body_bytes) in [("empty", 0), ("short", 300), ("block", 4_080), ("two_blocks", 4_500)] {
        let body: Vec<u8> = (0..body_bytes).map(|index| (index % 9) as u8).collect();
        let file = snapshot::write(&header, &body);
        for (suffix, choices) in [("", 0), ("_resealed", snapshot::RESEAL | snapshot::CONTINUE)] {
            let mut input = vec![choices];
            blocks_to_input(&file, &mut input);
            all.push((format!("{name}{suffix}"), input));
        }
    }
    all
}

/// What markets of the script language leave behind.
fn states() -> Vec<(String, Vec<u8>)> {
    let mut all = vec![("blank".to_owned(), state::save(&Engine::new()))];
    let scripts = markets().into_iter().filter(|(name, _)| !name.starts_with("empty"));
    all.extend(scripts.map(|(name, script)| {
        let script = String::from_utf8_lossy(&script).into_owned();
        (name, state::save(&market::engine_after(&script).borrow()))
    }));
    all
}

fn configs() -> Vec<(String, Vec<u8>)> {
    let named = [
        ("default", DEFAULT_FILE.to_owned()),
        ("empty", String::new()),
        ("overridden", "JOULEBOOK_JOURNAL__ACK=memory\n\n[journal]\nsegment_mib = 8\n".to_owned()),
        ("wrong_section", "[jurnal]\nack = \"durable\"\n".to_owned()),
        ("wrong_type", "[engine]\norders_max = \"many\"\n".to_owned()),
        ("wrong_address", "[http]\nlisten = \"nowhere\"\n".to_owned()),
        ("wrong_override", "JOULEBOOK_GATEWAY__LISTN=x\n\n".to_owned()),
    ];
    named.map(|(name, text)| (name.to_owned(), text.into_bytes())).to_vec()
}

fn values() -> Vec<(String, Vec<u8>)> {
    let named = [
        ("price", "27.00"),
        ("smallest", "0.000001"),
        ("largest", "9223372036854.775807"),
        ("negative", "-26.5"),
        ("hour", "H200S.DE.20261124T1400.H"),
        ("quarter", "TPU7X.NO2.20261124T1415.Q"),
        ("day", "GB200.CAISO.20280229T0000.D"),
        ("class", "TPU6E"),
        ("span", "250ms"),
        ("hours", "2h"),
        ("time", "20261224T1330"),
        ("in_a_while", "+15m"),
    ];
    named.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).to_vec()
}

fn markets() -> Vec<(String, Vec<u8>)> {
    let named = [
        (
            "trade",
            "alice sells 5 at 27.00 post-only\ncarol buys 3 at market ioc\nbook\ncarol asks for everything\n",
        ),
        ("empty", "market empty\noperator lists L40S.DE.1400.H tick 0.001 lots of 1\nissuer mints 1000 EC\n"),
        (
            "stops",
            "alice sells 5 at 27.00\ncarol buys 2 at 28.00 stop 27.00\ndave buys 1 at 27.00\n\
             alice oco sells 5 at 28.00 or stop 26.00 at 25.90\nbob sells 2 at 25.00 trail 0.50\nwait 5 s\n",
        ),
        (
            "quotes",
            "mia protects H200S 3 fills 20 lots 1000 EC in 10 s\nmia quotes 5 at 26.90 / 4 at 27.10\n\
             carol buys 4 at 27.10\nmia quotes 0 / 0\nmia resets H200S\n",
        ),
        (
            "auction",
            "operator auctions H200S for 10 s random 2 s\nalice sells 5 at 27.00\ncarol buys 5 at 28.00\n\
             wait 5 s\noperator opens H200S\nwait until 13:55\nmeter delivers H200S.DE.1400.Q\n",
        ),
        (
            "several",
            "operator lists TPU6E.DE.1400.H tick 0.01 lots of 8\nalice registers 800 of TPU6E.DE.1400.H\n\
             operator opens TPU6E\ncarol batch: buys 5 at 27.00; cancels #1; replaces #1 to 5 at 27.01\n\
             carol basket: buys 2 at 27.00; buys 1 at 12.00 on TPU6E\noperator yields H200S to 15387\n\
             carol buys tokens 500000 ktok at 1.80 on H200S TPU6E fok overshoot\ncarol mass-cancels\n",
        ),
        (
            "controls",
            "operator bands 20.00..40.00 dynamic 500 bps velocity 1.00 in 10 s halt 2 s auction 5 s\n\
             carol dead-man 5 s\ncarol buys 1 at 27.00\noperator kills carol\noperator enables carol\nsystem restarts\n\
             carol connects grace 5 s\ncarol disconnects\nwait 6 s\n",
        ),
        (
            "wild",
            "carol buys 5 at 27.00 with side=9 qty=4294967295\ncarol buys 5 at 27.00 as 18446744073709551615\n",
        ),
    ];
    named.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).to_vec()
}
