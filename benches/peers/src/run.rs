//! Runs engines, checks what they did, and prints the table.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::engines::Engine;
use crate::floor::Floor;
use crate::generate;
use crate::stream::{Fills, Message, Stream};

/// Runs interleave, and the fastest counts: what disturbs a run only ever makes it slower.
const ROUNDS: usize = 3;
/// The instructions between so many messages are counted.
const COUNTED: [usize; 2] = [50_000, 150_000];

pub struct Contender {
    throughput: fn(&Stream) -> (f64, bool),
    latency: fn(&Stream) -> [u64; 3],
    pub count: fn(&Path, usize),
}

pub const fn contender<E: Engine>() -> Contender {
    Contender { throughput: throughput::<E>, latency: latency::<E>, count: count::<E> }
}

pub fn table(contenders: &[(&str, Contender, &[&str])], streams: &[&str]) {
    println!("| stream | engine | ns a message | to the floor | instructions | p50, p99, p99.9 ns | fills |");
    println!("|---|---|---:|---:|---:|---:|---|");
    for name in streams {
        let path = std::env::temp_dir().join(format!("joulebook-peers-{}-{name}", std::process::id()));
        let stream = generate::stream(name);
        stream.save(&path).expect("the temporary folder takes a file");
        rows(name, &stream, &path, contenders);
        std::fs::remove_file(&path).expect("it is ours");
    }
}

fn rows(name: &str, stream: &Stream, path: &Path, contenders: &[(&str, Contender, &[&str])]) {
    let taking_part: Vec<_> = contenders.iter().filter(|(_, _, streams)| streams.contains(&name)).collect();
    let floor = Floor::new(stream);
    let mut touch = f64::MAX;
    let mut fastest = vec![(f64::MAX, true); taking_part.len()];
    for _ in 0..ROUNDS {
        touch = touch.min(floor.touch());
        for ((ns, right), (_, contender, _)) in fastest.iter_mut().zip(&taking_part) {
            let (took, is_right) = (contender.throughput)(stream);
            *ns = ns.min(took);
            *right &= is_right;
        }
    }
    println!("| {name} | floor | {touch:.1} | 1.0 | | | |");
    for ((ns, right), (engine, contender, _)) in fastest.iter().zip(&taking_part) {
        let [p50, p99, p999] = (contender.latency)(stream);
        let instructions = instructions(engine, path).map_or_else(String::new, |count| format!("{count:.0}"));
        let verdict = if *right { "right" } else { "WRONG" };
        let ratio = ns / touch;
        println!(
            "| {name} | {engine} | {ns:.1} | {ratio:.1} | {instructions} | {p50}, {p99}, {p999} | {verdict} |"
        );
    }
}

/// Nanoseconds a message, and whether the fills and what is left are right.
fn throughput<E: Engine>(stream: &Stream) -> (f64, bool) {
    let (mut engine, mut fills) = filled::<E>(stream);
    let start = Instant::now();
    drive(&mut engine, stream.measured(), &mut fills);
    let ns = start.elapsed().as_nanos() as f64 / stream.measured().len() as f64;
    (ns, fills == stream.fills && engine.resting() == stream.resting)
}

/// Half, 99 % and 99.9 % of single messages took at most so many nanoseconds more than reading the clock; none is
/// looked ahead to.
fn latency<E: Engine>(stream: &Stream) -> [u64; 3] {
    let (mut engine, mut fills) = filled::<E>(stream);
    let clock = (0..100_000).map(|_| elapsed(|| ())).min().expect("some");
    let mut took: Vec<u64> = Vec::with_capacity(stream.measured().len());
    for message in stream.measured() {
        took.push(elapsed(|| engine.apply(message, &mut fills)).saturating_sub(clock));
    }
    took.sort_unstable();
    [500, 990, 999].map(|per_mille| took[(took.len() - 1) * per_mille / 1_000])
}

fn elapsed(work: impl FnOnce()) -> u64 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos() as u64
}

fn count<E: Engine>(path: &Path, messages: usize) {
    let stream = Stream::load(path).expect("a stream");
    let (mut engine, mut fills) = filled::<E>(&stream);
    drive(&mut engine, &stream.measured()[..messages], &mut fills);
    std::hint::black_box(fills);
}

fn filled<E: Engine>(stream: &Stream) -> (E, Fills) {
    let (mut engine, mut fills) = (E::new(stream), Fills::default());
    drive(&mut engine, &stream.messages[..stream.prefill], &mut fills);
    (engine, fills)
}

#[inline(always)]
fn drive<E: Engine>(engine: &mut E, messages: &[Message], fills: &mut Fills) {
    for (at, message) in messages.iter().enumerate() {
        if E::AHEAD > 0
            && let Some(ahead) = messages.get(at + E::AHEAD)
        {
            engine.prepare(ahead);
        }
        engine.apply(message, fills);
    }
}

/// Instructions a message; `None` without valgrind.
fn instructions(engine: &str, path: &Path) -> Option<f64> {
    let [few, many] = COUNTED.map(|messages| collected(engine, path, messages));
    Some((many? - few?) / (COUNTED[1] - COUNTED[0]) as f64)
}

fn collected(engine: &str, path: &Path, messages: usize) -> Option<f64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().ok()?)
        .args(["count", engine])
        .arg(path)
        .arg(messages.to_string())
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let (_, after) = said.split_once("Collected :")?;
    after.split_whitespace().next()?.parse().ok()
}
