//! What the core journals is what a replay sees, whatever the length of the commands.
#![forbid(unsafe_code)]

use std::sync::Arc;

use joulebook_engine::Engine;
use joulebook_journal::testing::MemStorage;
use joulebook_journal::{JournalReader, LocalConfig, LocalJournal, Term};
use joulebook_protocol::messages::{Genesis, OpenAccount, SessionOpened};
use joulebook_protocol::pipe::{COMMAND_FRAME_BYTES_MAX, COMMAND_RECORD_BYTES_MAX, CommandSlot};
use joulebook_protocol::{Command, HEADER_BYTES, Origin};
use joulebook_rings::{Doorbell, Wake, ring};
use joulebook_sequencer::{Clock, Core, Egress, EgressKind, NoObserver, Replayer, Turn};
use joulebook_types::{AccountId, ConnectionId, Role, Roles, SessionId, ShardId, TimeNs};

struct Ticks(u64);

impl Clock for Ticks {
    fn now(&mut self) -> TimeNs {
        self.0 += 100_000;
        TimeNs::new(self.0)
    }
}

struct Silent;

impl Wake for Silent {
    fn wake(&self) {}
}

const OPERATOR: AccountId = AccountId::new(1);
const SHARD: ShardId = ShardId::new(1);

fn first_commands() -> [Command; 2] {
    let roles = Roles::from_iter([Role::Operator]).bits();
    let genesis = Genesis {
        shard: SHARD,
        accounts_max: 10,
        sessions_max: 10,
        instruments_max: 10,
        orders_max: 10,
        outbox_events_max: 64,
        session_outcomes_max: 64,
        outcomes_max: 64,
        area: joulebook_types::AreaCode::NONE,
        reserved: 0,
    };
    [genesis.into(), OpenAccount { account: OPERATOR, roles, ..OpenAccount::default() }.into()]
}

/// A logon whose block is followed by bytes that this version skips, and journals all the same.
fn logon(counter: u64, frame_bytes: usize) -> Vec<CommandSlot> {
    let connection = ConnectionId::of_gateway(0, counter);
    let origin = Origin { account: OPERATOR, session: SessionId::new(1), received: TimeNs::new(counter) };
    let mut frame = Vec::new();
    Command::from(SessionOpened { connection, ..SessionOpened::default() }).encode(&mut frame);
    frame.resize(frame_bytes, counter as u8);
    frame[..2].copy_from_slice(&((frame_bytes - HEADER_BYTES) as u16).to_le_bytes());
    let mut slots = Vec::new();
    CommandSlot::lay(origin, &frame, &mut slots);
    slots
}

#[test]
fn long_commands_are_journaled_whole_and_replayed() {
    let config = LocalConfig { segment_bytes: 64 << 10, ..LocalConfig::new(SHARD, 7) };
    let storage = MemStorage::new();
    let reader = JournalReader::new(storage.clone(), SHARD).expect("an empty disk");
    let journal = LocalJournal::open(reader, config).expect("an empty disk");
    let (mut sender, ingress) = ring(64);
    let (events_in, mut events) = ring(1_024);
    let bell = Arc::new(Doorbell::new(Arc::new(Silent)));
    let egress = vec![Egress { kind: EgressKind::Gateway, ring: events_in, bell }];
    let (engine, term) = (Engine::new(), Term::new(1));
    let mut core = Core::new(engine, journal, term, Ticks(0), NoObserver, vec![ingress], egress);
    core.submit_system(&first_commands());

    let varied = (0..300).map(|step| 64 + step * 1_013 % (COMMAND_FRAME_BYTES_MAX - 63));
    let lengths: Vec<usize> = varied.chain([COMMAND_FRAME_BYTES_MAX]).collect();
    for (counter, length) in (1..).zip(&lengths) {
        let slots = logon(counter, *length);
        while sender.free() < slots.len() {
            core.turn();
            events.drain_with(usize::MAX, |_| {});
        }
        assert_eq!(sender.push_slice(&slots), slots.len());
    }
    let mut idle = 0;
    while idle < 10 || core.committed() < core.engine().last_seq() {
        idle = if core.turn() == Turn::Busy { 0 } else { idle + 1 };
        events.drain_with(usize::MAX, |_| {});
    }
    core.close_log();
    while !core.is_closed() {
        core.turn();
    }
    assert_eq!(core.fault().map(ToString::to_string), None);
    let live = core.into_engine();

    let mut reader = JournalReader::new(storage.fork(), SHARD).expect("a journal");
    let (mut replayer, mut seen, mut batches) = (Replayer::new(Engine::new()), Vec::new(), 0);
    while let Some(batch) = reader.next_batch().expect("no damage") {
        seen.extend(batch.records().map(<[u8]>::len));
        replayer.apply(&batch).expect("commands that say the same");
        batches += 1;
    }
    replayer
        .check(reader.newest_digest().expect("a clean stop attests"))
        .expect("the last batch says the same");
    assert_eq!(
        (replayer.compared_batches(), replayer.compared_seq()),
        (batches, live.last_seq()),
        "all were attested"
    );
    let replayed = replayer.into_engine();
    let origin_bytes = COMMAND_RECORD_BYTES_MAX - COMMAND_FRAME_BYTES_MAX;
    assert!(seen[2..].iter().copied().eq(lengths.iter().map(|length| length + origin_bytes)));
    assert_eq!(replayed.last_seq(), live.last_seq());
    assert_eq!(replayed.state_hash(), live.state_hash());
    assert_eq!(replayed.event_chain_hash(), live.event_chain_hash());
}
