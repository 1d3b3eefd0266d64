//! The bytes of a saved state: the golden file of each version, and what becomes of bytes that nobody saved.
//!
//! A changed byte is no checksum's business here - the file around the state has those - but it must never bring the
//! engine down: what loads adds up and can go on, anything else is refused. `JOULEBOOK_STATE_MUTATIONS` says how many
//! random changes are tried.

#[allow(dead_code, reason = "most of it is for other tests")]
#[path = "rules/market.rs"]
mod market;
#[path = "saved_state/poke.rs"]
mod poke;
#[path = "saved_state/small.rs"]
mod small;

use std::path::PathBuf;

use joulebook_engine::{Engine, LoadError};
use joulebook_testkit::{CountingAllocator, Xoshiro256pp, count_allocated_bytes};
use joulebook_types::Phase;
use poke::{Naming, poke};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const MUTATIONS_DEFAULT: u64 = 4_000;

fn saved(engine: &Engine) -> Vec<u8> {
    let mut bytes = Vec::new();
    engine.save(&mut |piece| bytes.extend_from_slice(piece));
    bytes
}

fn golden_file(version: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("golden/state-v{version}.bin"))
}

/// Journals whose first segments have gone depend on their snapshots, so no version is forgotten.
#[test]
fn every_version_that_there_was_is_read() {
    for version in 1..=Engine::STATE_VERSION {
        let golden = std::fs::read(golden_file(version)).unwrap();
        let loaded = Engine::load(&golden).unwrap();
        assert_eq!(loaded.recount(), Ok(()), "version {version}");
    }
}

/// With `JOULEBOOK_BLESS=1` the file is written anew: right only together with a new version, once there are users.
#[test]
fn the_golden_state_is_read_and_written() {
    let engine = small::engine();
    let bytes = saved(&engine);
    if std::env::var_os("JOULEBOOK_BLESS").is_some_and(|value| value == "1") {
        std::fs::write(golden_file(Engine::STATE_VERSION), &bytes).unwrap();
    }
    let golden = std::fs::read(golden_file(Engine::STATE_VERSION)).unwrap();
    let loaded = Engine::load(&golden).unwrap();
    assert_eq!(saved(&loaded), golden, "what was read is written again");
    assert!(bytes == golden, "the same market has the same bytes");
    assert_eq!(loaded.state_hash(), engine.state_hash());
    assert_eq!(loaded.recount(), Ok(()));
}

/// A section without records shows nothing.
#[test]
fn the_small_state_has_records_in_every_section() {
    let bytes = saved(&small::engine());
    let sections = sections(&bytes);
    let numbers: Vec<u32> = sections.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=14).collect::<Vec<_>>());
    for (number, body) in &sections[1..] {
        let count = u64::from_le_bytes(body[..8].try_into().unwrap());
        assert!(count > 0, "section {number} is empty");
    }
    let records = |number: usize, bytes: usize| sections[number - 1].1[8..].chunks(bytes);
    let timers: Vec<u8> = records(13, 32).map(|timer| timer[16]).collect();
    for kind in [1, 2, 3, 4, 5, 7, 8, 9, 10] {
        assert!(timers.contains(&kind), "no timer of kind {kind}");
    }
    let phases: Vec<u8> = records(8, 200).map(|instrument| instrument[28]).collect();
    for phase in 1..=7 {
        assert!(phases.contains(&phase), "no instrument in phase {phase}");
    }
    let stops: Vec<u8> = records(12, 48).map(|stop| stop[8]).collect();
    assert!((1..=3).all(|kind| stops.contains(&kind)), "{stops:?}");
    assert!(records(12, 48).any(|stop| stop[40..48] != [0; 8]), "no stop was reached");
    let any_order = |what: &str, has: &dyn Fn(&[u8]) -> bool| assert!(records(11, 80).any(has), "{what}");
    any_order("a date", &|order| order[24..32] != [0; 8]);
    any_order("a link", &|order| order[40..48] != [0; 8]);
    any_order("hidden lots", &|order| order[64..68] != [0; 4]);
    any_order("an order in a call", &|order| order[76] == 3);
    any_order("post-only", &|order| order[77] == 1);
    any_order("a quote", &|order| order[78] == 1);
}

fn sections(bytes: &[u8]) -> Vec<(u32, &[u8])> {
    let mut sections = Vec::new();
    let mut rest = &bytes[16..];
    while !rest.is_empty() {
        let number = u32::from_le_bytes(rest[..4].try_into().unwrap());
        let len = u64::from_le_bytes(rest[8..16].try_into().unwrap()) as usize;
        sections.push((number, &rest[16..16 + len]));
        rest = &rest[16 + len..];
    }
    sections
}

/// Loads bytes that may be wrong. What loads adds up, and goes on without a panic if it `goes_on`.
fn try_bytes(what: &str, bytes: &[u8], goes_on: bool) -> Result<(), LoadError> {
    let _naming = Naming(what);
    let mut engine = Engine::load(bytes)?;
    engine.recount().expect("what loads adds up");
    if goes_on {
        poke(&mut engine);
    }
    Ok(())
}

#[test]
fn every_changed_byte_is_refused_or_adds_up() {
    let mut bytes = saved(&small::engine());
    let (mut refused, mut loaded) = (0, 0);
    for index in 0..bytes.len() {
        // One bit, or all, or the highest: in turn, so that neighbours are changed in different ways.
        let change = [1 << (index / 3 % 8), 0xFF, 0x80][index % 3];
        bytes[index] ^= change;
        match try_bytes(&format!("byte {index} ^ {change}"), &bytes, index % 16 == 0) {
            Ok(()) => loaded += 1,
            Err(error) => {
                assert!(error.offset_bytes <= bytes.len() && !error.what.is_empty());
                refused += 1;
            }
        }
        bytes[index] ^= change;
    }
    println!("{} bytes: {refused} changes refused, {loaded} loaded", bytes.len());
    assert!(refused > loaded, "most of a state hangs together");
}

#[test]
fn bytes_that_end_early_or_late_are_refused() {
    let bytes = saved(&small::engine());
    for len in 0..bytes.len() {
        assert!(Engine::load(&bytes[..len]).is_err(), "{len} bytes");
    }
    for more in [1, 7, 8, 4_096] {
        let mut longer = bytes.clone();
        longer.resize(bytes.len() + more, 0);
        let error = Engine::load(&longer).unwrap_err();
        assert_eq!(error, LoadError { offset_bytes: bytes.len(), what: "nothing follows the last section" });
    }
}

/// Numbers that are likely to be in the way of something.
fn wild(random: &mut Xoshiro256pp, old: u64) -> u64 {
    match random.below(8) {
        0 => 0,
        1 => u64::MAX,
        2 => u64::MAX / 2,
        3 => 1 << random.below(64),
        4 => old.wrapping_add(1),
        5 => old.wrapping_sub(1),
        6 => old.wrapping_mul(random.below(1_000)),
        _any => random.next_u64(),
    }
}

#[test]
fn random_changes_are_refused_or_add_up() {
    let tries = joulebook_testkit::size("JOULEBOOK_STATE_MUTATIONS", MUTATIONS_DEFAULT);
    let original = saved(&small::engine());
    let mut random = Xoshiro256pp::from_seed(4);
    let (mut refused, mut loaded) = (0, 0);
    for number in 0..tries {
        let mut bytes = original.clone();
        for _ in 0..=random.below(3) {
            mutate(&mut random, &mut bytes);
        }
        match try_bytes(&format!("mutation {number}"), &bytes, number % 4 == 0) {
            Ok(()) => loaded += 1,
            Err(_) => refused += 1,
        }
    }
    println!("{refused} refused, {loaded} loaded");
    assert!(loaded > 0 && refused > loaded);
}

/// Another number somewhere, or bytes that came from elsewhere, are gone or come twice.
fn mutate(random: &mut Xoshiro256pp, bytes: &mut Vec<u8>) {
    let len = bytes.len() as u64;
    let at = (random.below(len / 4) * 4) as usize;
    let width = *random.pick(&[1, 2, 4, 8]);
    match random.below(10) {
        0 => drop(bytes.drain(at..(at + 80).min(bytes.len()))),
        1 => {
            let from = (random.below(len / 8) * 8) as usize;
            let piece = bytes[from..(from + 80).min(bytes.len())].to_vec();
            let end = (at + piece.len()).min(bytes.len());
            bytes[at..end].copy_from_slice(&piece[..end - at]);
        }
        _a_number if at + width <= bytes.len() => {
            let mut old = [0; 8];
            old[..width].copy_from_slice(&bytes[at..at + width]);
            let new = wild(random, u64::from_le_bytes(old)).to_le_bytes();
            bytes[at..at + width].copy_from_slice(&new[..width]);
        }
        _beyond_the_end => {}
    }
}

/// What may be asked for, in bytes: so much per byte, and a constant for what comes in chunks.
fn bound(len: usize) -> u64 {
    200 * len as u64 + 256 * 1_024
}

/// Where a section's body begins.
fn body_of(bytes: &[u8], section: u32) -> usize {
    let mut at = 16;
    for (number, body) in sections(bytes) {
        at += 16;
        if number == section {
            return at;
        }
        at += body.len();
    }
    panic!("no section {section}");
}

/// Limits are believed, they only refuse; counts are not.
#[test]
fn no_count_is_believed() {
    let mut bytes = saved(&small::engine());
    let limits = body_of(&bytes, 1) + 8;
    bytes[limits..limits + 28].fill(0xFF);
    assert!(Engine::load(&bytes).is_ok(), "high limits cost nothing");
    for section in 2..=14 {
        let at = body_of(&bytes, section);
        for count in [4_000_000_000, u64::MAX] {
            let old: [u8; 8] = bytes[at..at + 8].try_into().unwrap();
            bytes[at..at + 8].copy_from_slice(&count.to_le_bytes());
            let (loaded, asked) = count_allocated_bytes(|| Engine::load(&bytes));
            assert!(loaded.is_err() && asked <= bound(bytes.len()), "section {section}: {asked} bytes");
            bytes[at..at + 8].copy_from_slice(&old);
        }
    }
}

/// A market that was halted in a call may have a crossed book; in a phase that opens without a call it may not.
#[test]
fn a_crossed_book_is_refused_where_it_could_open() {
    let mut market = market::Market::trading();
    market.send(market::OPERATOR, market::set_phase(Phase::Auction));
    market.send(market::SELLER, market::sell(1, "27.00"));
    market.send(market::BUYER, market::buy(1, "28.00"));
    market.send(market::OPERATOR, market::set_phase(Phase::Halted));
    let mut bytes = saved(&market.engine);
    assert!(Engine::load(&bytes).is_ok());
    let phase = body_of(&bytes, 8) + 8 + 28;
    assert_eq!(bytes[phase], Phase::Halted.raw());
    for wrong in [Phase::PreOpen, Phase::Open] {
        bytes[phase] = wrong.raw();
        let error = Engine::load(&bytes).unwrap_err();
        assert_eq!(error.what, "a book is crossed only in a halt or a call", "{wrong}");
    }
}

#[test]
fn memory_is_in_proportion_to_the_bytes() {
    let mut bytes = saved(&small::engine());
    let asked = |bytes: &[u8]| {
        let (engine, asked) = count_allocated_bytes(|| Engine::load(bytes));
        drop(engine);
        asked
    };
    assert!(asked(&bytes) > bytes.len() as u64, "the count counts");
    for at in (0..bytes.len() - 8).step_by(4) {
        let old: [u8; 8] = bytes[at..at + 8].try_into().unwrap();
        for value in [u64::from(u32::MAX), 1 << 60] {
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
            let asked = asked(&bytes);
            assert!(asked <= bound(bytes.len()), "{value} at {at}: {asked} bytes");
        }
        bytes[at..at + 8].copy_from_slice(&old);
    }
}
