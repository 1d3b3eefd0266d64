//! Every input of the corpus, through its decoder. What a fuzzer once found stays found.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use joulebook_fuzz_targets::{Mutator, TARGETS, Traits, corpus, seeds};
use joulebook_testkit::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// All of it, so that a checkout stays small.
const CORPUS_BYTES_MAX: usize = 300 << 10;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus")
}

#[test]
fn every_input_of_the_corpus_is_survived() {
    let mut bytes = 0;
    for target in TARGETS {
        let inputs = corpus::read(&folder(), target).expect("the corpus is checked in");
        assert!(inputs.len() >= 3, "{}: only {} inputs", target.name, inputs.len());
        let mut traits = Traits::default();
        for (name, input) in &inputs {
            println!("{}/{name}", target.name);
            target.check(input, &mut traits);
            bytes += input.len();
        }
    }
    assert!(bytes <= CORPUS_BYTES_MAX, "{bytes} bytes: keep the smallest inputs that show something");
}

/// What is right goes its whole way: were a seed refused at its first byte, fuzzing would begin in front of a wall.
#[test]
fn seeds_reach_what_they_are_for() {
    let facts = |target: &str, name: &str| {
        let target = TARGETS.iter().find(|known| known.name == target).expect("a target");
        let seeds = seeds(target.name);
        let (_, input) = seeds.iter().find(|(seed, _)| seed == name).expect("a seed");
        let mut traits = Traits::default();
        target.check(input, &mut traits);
        traits.facts().to_vec()
    };
    let reaches = |target, name, what, which| {
        let mut wanted = Traits::default();
        wanted.saw(what, which);
        let found = facts(target, name).contains(&wanted.facts()[0]);
        assert!(found, "{target}/{name} does not reach {what} {which}");
    };
    reaches("frames", "new_order", "message", 20);
    reaches("pipe", "new_order", "slots", 1);
    reaches("server_session", "new_order", "command", 20);
    reaches("server_session", "logged_on", "server says", 1);
    reaches("client_session", "order_accepted", "client hears", 4 + (60 << 8) + (1 << 24));
    reaches("client_session", "resent", "client hears", 3);
    reaches("feed", "book", "snapshot", 102);
    reaches("feed", "book", "level", 103);
    reaches("feed", "wrong_checksum", "resubscribe", 102);
    reaches("journal", "three_batches", "batches", 2);
    reaches("journal", "two_segments", "segments", 3);
    reaches("journal", "three_batches", "digests", 2);
    reaches("journal", "two_segments_retired", "retired", 2);
    reaches("snapshot", "two_blocks", "read", 13);
    reaches("state", "trade", "event", 62);
    reaches("config", "default", "config", 1);
    reaches("values", "hour", "reads", 3);
    reaches("market", "trade", "heard", 62);
}

#[test]
fn a_seed_gives_the_same_inputs_and_they_differ_from_their_parents() {
    for target in TARGETS {
        let seeds = seeds(target.name);
        let (mut one, mut other) = (Mutator::new(3), Mutator::new(3));
        let mut changed = 0;
        for round in 0..1_000 {
            let (parent, second) = (&seeds[round % seeds.len()].1, &seeds[(round + 1) % seeds.len()].1);
            let input = one.mutate(target.shape, parent, second, target.input_bytes_max);
            assert_eq!(input, other.mutate(target.shape, parent, second, target.input_bytes_max));
            assert!(input.len() <= target.input_bytes_max);
            changed += usize::from(input != *parent);
        }
        assert!(changed > 750, "{}: only {changed} of 1,000 inputs are new", target.name);
    }
}
