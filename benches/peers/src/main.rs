//! Our book and open engines on the same four streams. `cargo run --release` prints the table.

mod engines;
mod floor;
mod generate;
mod plain;
mod run;
mod stream;

use std::path::PathBuf;
use std::process::ExitCode;

use engines::joulebook::Joulebook;
use engines::matchcore::Matchcore;
use engines::orderbook_rs::OrderbookRs;
use run::{Contender, contender};

const STREAMS: [&str; 4] = ["w1", "w2", "w3", "w4"];

/// Name, and how to run it. The last one takes microseconds a message, so it sits out where there is more to do.
const CONTENDERS: &[(&str, Contender, &[&str])] = &[
    ("joulebook", contender::<Joulebook<0>>(), &STREAMS),
    ("joulebook, 24 ahead", contender::<Joulebook<24>>(), &STREAMS),
    ("matchcore 0.4", contender::<Matchcore>(), &STREAMS),
    ("plain maps", contender::<plain::Plain>(), &STREAMS),
    ("orderbook-rs 0.15", contender::<OrderbookRs>(), &["w1", "w2"]),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        // What the instruction counts are taken from; the table starts it.
        ["count", name, path, messages] => {
            let (_, contender, _) =
                CONTENDERS.iter().find(|(other, ..)| *other == name).expect("a name of ours");
            (contender.count)(&PathBuf::from(path), messages.parse().expect("a number"));
        }
        [] => run::table(CONTENDERS, &STREAMS),
        _ if arguments.iter().all(|name| STREAMS.contains(name)) => run::table(CONTENDERS, &arguments),
        _ => {
            eprintln!("usage: joulebook-peers [w1] [w2] [w3] [w4]");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
