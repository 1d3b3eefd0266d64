//! The rules of the market, as `docs/market-rules.md` says them: every example on the page is run.

use std::path::PathBuf;

use joulebook_engine::{Destination, Engine, Events};
use joulebook_protocol::SequencedCommand;
use joulebook_testkit::script::{Block, Exchange, Heard, Run, Runner, run_page};
use joulebook_types::{SeqNum, TimeNs};

/// The engine that trades.
struct Fast {
    engine: Engine,
    events: Events,
}

impl Fast {
    fn new() -> Self {
        Self { engine: Engine::new(), events: Events::new() }
    }
}

impl Exchange for Fast {
    fn begin_batch(&mut self, first_seq: SeqNum, time: TimeNs) {
        self.engine.begin_batch(first_seq, time, &mut self.events);
    }

    fn apply(&mut self, command: &SequencedCommand) {
        self.engine.apply(command, &mut self.events);
    }

    fn end_batch(&mut self) {
        self.engine.end_batch(&mut self.events);
        self.engine.recount().expect("everything adds up after every command");
    }

    fn take_events(&mut self) -> Vec<Heard> {
        let heard = self.events.iter().map(|record| {
            let to = match record.destination {
                Destination::Public => None,
                Destination::Connection(connection) => Some(connection),
            };
            Heard::read(to, record.frame)
        });
        let heard = heard.collect();
        self.events.clear();
        heard
    }
}

fn on_fast(block: &Block) -> Result<Run, String> {
    block.run(Fast::new())
}

/// The page and its chapters.
fn pages() -> Vec<PathBuf> {
    let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let folder = std::fs::read_dir(docs.join("market-rules")).expect("the chapters");
    let mut pages: Vec<PathBuf> = folder.map(|entry| entry.expect("an entry").path()).collect();
    pages.sort();
    pages.insert(0, docs.join("market-rules.md"));
    pages
}

#[test]
fn every_example_says_what_its_page_says() {
    let runners: [Runner<'_>; 1] = [("engine", &on_fast)];
    let mut problems = Vec::new();
    for page in pages() {
        match run_page(&page, &runners) {
            Ok(runs) => assert!(!runs.is_empty(), "{} has no example", page.display()),
            Err(problem) => problems.push(problem),
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}
