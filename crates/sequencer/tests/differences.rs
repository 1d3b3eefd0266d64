//! A replay that says something else than the exchange said names the batch and the command.
#![forbid(unsafe_code)]

use joulebook_engine::{Engine, Events};
use joulebook_journal::testing::MemStorage;
use joulebook_journal::{Batch, CommandLog, EventDigest, JournalReader, LocalConfig, LocalJournal, Term};
use joulebook_protocol::messages::{Genesis, OpenAccount};
use joulebook_protocol::{Command, Origin, SequencedCommand};
use joulebook_sequencer::{Difference, DiffersAt, ReplayError, Replayer, apply_batch};
use joulebook_types::{AccountId, AreaCode, Role, Roles, SeqNum, ShardId, TimeNs};

const SHARD: ShardId = ShardId::new(1);
const BATCHES: u64 = 100;
const COMMANDS: u64 = 3;

fn command(seq: u64) -> Command {
    if seq == 1 {
        let genesis = Genesis {
            shard: SHARD,
            accounts_max: 1_000,
            sessions_max: 8,
            instruments_max: 8,
            orders_max: 8,
            outbox_events_max: 64,
            session_outcomes_max: 64,
            outcomes_max: 64,
            area: AreaCode::NONE,
            reserved: 0,
        };
        return genesis.into();
    }
    let roles = Roles::from_iter([Role::Buyer]).bits();
    OpenAccount { account: AccountId::new(seq as u32), roles, ..OpenAccount::default() }.into()
}

/// A journal that attests nothing, and what an exchange would have attested.
fn journal() -> (MemStorage, Vec<EventDigest>) {
    let disk = MemStorage::new();
    let reader = JournalReader::new(disk.clone(), SHARD).expect("an empty disk");
    let mut journal = LocalJournal::open(reader, LocalConfig::new(SHARD, 7)).expect("an empty disk");
    let (mut engine, mut digests, mut events) = (Engine::new(), Vec::new(), Vec::new());
    let mut record = Vec::new();
    for number in 0..BATCHES {
        let mut batch = Batch::new();
        let time = TimeNs::new(1_000 + number);
        batch.clear(time);
        let first = number * COMMANDS + 1;
        for seq in first..first + COMMANDS {
            record.clear();
            SequencedCommand { origin: Origin::SYSTEM, command: command(seq) }.encode(&mut record);
            batch.push(&record);
        }
        let mut digest = EventDigest::default();
        let mut out = Events::default();
        apply_batch(&mut engine, SeqNum::new(first), time, batch.records(), &mut out, &mut digest)
            .expect("own commands");
        assert_eq!((digest.seq.raw(), digest.steps.len()), (first + COMMANDS - 1, 4));
        digests.push(digest);
        journal.propose(Term::new(1), batch).expect("there is room");
        while journal.durable_seq() < journal.last_seq() {
            journal.poll(time, &mut events);
        }
    }
    (disk, digests)
}

/// Replays the first `batches` batches.
fn replay(disk: &MemStorage, batches: usize) -> Replayer {
    let mut reader = JournalReader::new(disk.clone(), SHARD).expect("a journal");
    let mut replayer = Replayer::new(Engine::new());
    for _ in 0..batches {
        let batch = reader.next_batch().expect("no damage").expect("a batch");
        assert!(!replayer.apply(&batch).expect("commands").is_empty(), "accounts are announced");
    }
    replayer
}

#[test]
fn the_first_command_that_differs_is_named() {
    let (disk, digests) = journal();
    type Edit<'a> = &'a dyn Fn(&mut EventDigest);
    let cases: &[(&str, Edit<'_>, DiffersAt)] = &[
        (
            "from the timers on",
            &|digest| digest.steps.iter_mut().for_each(|step| *step ^= 1),
            DiffersAt::Timers,
        ),
        ("the first", &|digest| digest.steps[1..].fill(0), DiffersAt::Command(SeqNum::new(13))),
        ("the second", &|digest| digest.steps[2..].fill(0), DiffersAt::Command(SeqNum::new(14))),
        ("the last", &|digest| digest.steps[3] = 0, DiffersAt::Command(SeqNum::new(15))),
        ("behind the last", &|_| {}, DiffersAt::Somewhere),
        ("without steps", &|digest| digest.steps.clear(), DiffersAt::Somewhere),
    ];
    for word in [0, 1] {
        for (name, edit, at) in cases {
            let mut replayer = replay(&disk, 4);
            for digest in &digests[..4] {
                replayer.check(digest).expect("what was said");
            }
            let mut reader = JournalReader::new(disk.clone(), SHARD).expect("a journal");
            for _ in 0..4 {
                reader.next_batch().expect("no damage");
            }
            replayer.apply(&reader.next_batch().expect("no damage").expect("a batch")).expect("commands");
            let mut attested = digests[4].clone();
            attested.chain[word] ^= 1 << 40;
            edit(&mut attested);
            let (first_seq, last_seq) = (SeqNum::new(13), SeqNum::new(15));
            let wanted = Difference { first_seq, last_seq, at: *at };
            assert_eq!(replayer.check(&attested), Err(ReplayError::Differs(wanted)), "{name}");
            assert!(wanted.to_string().contains("commands 13 to 15"), "{wanted}");
        }
    }
}

#[test]
fn one_digest_vouches_for_all_batches_before_it() {
    let (disk, digests) = journal();
    let mut replayer = replay(&disk, 10);
    assert_eq!((replayer.compared_seq(), replayer.compared_batches()), (SeqNum::NONE, 0));
    replayer.check(&digests[7]).expect("what was said");
    assert_eq!((replayer.compared_seq(), replayer.compared_batches()), (digests[7].seq, 1));
    replayer.check(&digests[7]).expect("once more is no fault");
    replayer.check(&digests[2]).expect("an old one is not compared");

    // Nothing between batch 7 and 9 was attested, so the difference may lie in either, unless the steps tell.
    let differs = |edit: &dyn Fn(&mut EventDigest)| {
        let mut replayer = replay(&disk, 10);
        replayer.check(&digests[7]).expect("what was said");
        let mut attested = digests[9].clone();
        attested.chain[0] ^= 1;
        edit(&mut attested);
        match replayer.check(&attested) {
            Err(ReplayError::Differs(Difference { first_seq, last_seq, at })) => {
                (first_seq.raw(), last_seq.raw(), at)
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(differs(&|digest| digest.steps.fill(0)), (25, 30, DiffersAt::Somewhere));
    assert_eq!(differs(&|digest| digest.steps.clear()), (25, 30, DiffersAt::Somewhere));
    let at = DiffersAt::Command(SeqNum::new(29));
    assert_eq!(differs(&|digest| digest.steps[2..].fill(0)), (28, 30, at));
}

#[test]
fn other_batches_than_those_that_ran_are_a_difference() {
    let (disk, digests) = journal();
    let mut replayer = replay(&disk, 10);
    let inside = EventDigest { seq: SeqNum::new(14), ..digests[4].clone() };
    assert!(
        matches!(replayer.check(&inside), Err(ReplayError::Differs(found)) if found.last_seq.raw() == 14)
    );
    // What was compared once is still known.
    let mut replayer = replay(&disk, 10);
    replayer.check(&digests[9]).expect("what was said");
    let mut other = digests[9].clone();
    other.chain[1] ^= 1;
    assert!(replayer.check(&other).is_err());
    // An engine from a snapshot knows its own hash, too.
    let mut later = Replayer::new(replayer.into_engine());
    later.check(&digests[9]).expect("what was said");
    assert!(later.check(&other).is_err());
}

#[test]
fn a_journal_without_digests_is_replayed_all_the_same() {
    let (disk, digests) = journal();
    let mut replayer = replay(&disk, BATCHES as usize);
    assert_eq!(replayer.compared_batches(), 0);
    replayer.check(&digests[3]).expect("too old to be compared");
    assert_eq!(replayer.compared_batches(), 0);
    replayer.check(digests.last().expect("there are many")).expect("what was said");
    assert_eq!((replayer.compared_batches(), replayer.compared_seq().raw()), (1, BATCHES * COMMANDS));
}
