//! The rules of the market, as `docs/market-rules.md` says them: every example on the page is run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use joulebook_engine::{Destination, Engine, Events};
use joulebook_protocol::{CancelReason, Event, RejectReason, SequencedCommand, SessionMessage};
use joulebook_reference::{Reference, Said};
use joulebook_testkit::script::{Block, Exchange, Heard, Run, Runner, blocks, run_page};
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

/// The slow engine that was written from the rules alone.
struct Slow(Reference);

impl Exchange for Slow {
    fn begin_batch(&mut self, first_seq: SeqNum, time: TimeNs) {
        self.0.begin_batch(first_seq, time);
    }

    fn apply(&mut self, command: &SequencedCommand) {
        self.0.apply(command);
    }

    fn end_batch(&mut self) {
        self.0.end_batch();
    }

    fn take_events(&mut self) -> Vec<Heard> {
        let said = self.0.take_events().into_iter();
        said.map(|said| match said {
            Said::To { connection, event, .. } => Heard::Private(connection, event),
            Said::Session { connection, message } => Heard::Session(connection, message),
            Said::Public(event) => Heard::Public(event),
        })
        .collect()
    }
}

fn on_fast(block: &Block) -> Result<Run, String> {
    block.run(Fast::new())
}

fn on_slow(block: &Block) -> Result<Run, String> {
    block.run(Slow(Reference::new()))
}

/// The page, its chapters, and what is too small for them.
fn pages() -> Vec<PathBuf> {
    let docs = root().join("docs");
    let folder = fs::read_dir(docs.join("market-rules")).expect("the chapters");
    let mut pages: Vec<PathBuf> = folder.map(|entry| entry.expect("an entry").path()).collect();
    pages.sort();
    pages.insert(0, docs.join("market-rules.md"));
    pages.push(root().join("crates/engine/tests/corner_cases.md"));
    pages
}

#[test]
fn every_example_says_what_its_page_says() {
    let runners: [Runner<'_>; 2] = [("reference", &on_slow), ("engine", &on_fast)];
    let mut problems = Vec::new();
    for page in pages() {
        match run_page(&page, &runners) {
            Ok(runs) => assert!(!runs.is_empty(), "{} has no example", page.display()),
            Err(problem) => problems.push(problem),
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// Codes that no example shows: the gateway and the session give them before the market sees a request, or they take
/// more of the market than an example has room for. Code, file, test.
const TESTED_ELSEWHERE: &[(RejectReason, &str, &str)] = &[
    (RejectReason::Malformed, SESSION_LIMITS, "wrong_messages_are_answered_and_wrong_bytes_end_the_session"),
    (RejectReason::Unexpected, SESSION_LIMITS, "wrong_messages_are_answered_and_wrong_bytes_end_the_session"),
    (RejectReason::BadSignature, GATEWAY_SESSIONS, "refused_logons_say_why"),
    (RejectReason::WrongEndpoint, GATEWAY_SESSIONS, "refused_logons_say_why"),
    (RejectReason::SessionLimit, GATEWAY_SESSIONS, "streams_of_a_connection_are_limited"),
    (RejectReason::Throttled, SESSION_LIMITS, "throttled_requests_are_told_how_long_to_wait"),
    (RejectReason::ReadOnly, SESSION_LIMITS, "a_read_only_exchange_still_cancels"),
    (
        RejectReason::Busy,
        "crates/engine/tests/rules/queries.rs",
        "the_answers_of_one_batch_do_not_grow_without_bound",
    ),
];
const SESSION_LIMITS: &str = "crates/session/tests/conversation/limits.rs";
const GATEWAY_SESSIONS: &str = "crates/gateway/tests/wire/sessions.rs";

#[test]
fn every_reason_is_shown_or_tested() {
    let pages = pages();
    let heard: Vec<Heard> = pages.iter().flat_map(|page| heard_on(page)).collect();
    let rejects: BTreeSet<u16> = heard.iter().filter_map(reject_reason).collect();
    let cancels: BTreeSet<u8> = heard.iter().filter_map(cancel_reason).collect();
    for (reason, file, test) in TESTED_ELSEWHERE {
        assert!(!rejects.contains(&reason.raw()), "{reason} has an example now: take it off the list");
        let source = fs::read_to_string(root().join(file)).expect("the tests are in the checkout");
        let body = source.split(&format!("fn {test}()")).nth(1);
        let body = body.and_then(|rest| rest.split("\n}\n").next()).unwrap_or_default();
        assert!(body.contains(reason.name()), "{test} in {file} does not test {reason}");
    }
    let elsewhere = |reason: &RejectReason| TESTED_ELSEWHERE.iter().any(|(tested, ..)| tested == reason);
    let missing: Vec<&RejectReason> = RejectReason::ALL
        .iter()
        .filter(|reason| !rejects.contains(&reason.raw()) && !elsewhere(reason))
        .collect();
    assert!(missing.is_empty(), "no example and no test shows {missing:?}");
    let missing: Vec<&CancelReason> =
        CancelReason::ALL.iter().filter(|reason| !cancels.contains(&reason.raw())).collect();
    assert!(missing.is_empty(), "no example shows {missing:?}");
}

#[test]
fn the_tables_of_reasons_have_every_code() {
    let page = fs::read_to_string(root().join("docs/market-rules/rejects.md")).expect("the page");
    for reason in RejectReason::ALL {
        let row = format!("| {} `{reason}` |", reason.raw());
        assert!(page.contains(&row), "no row starts with {row}");
    }
    for reason in CancelReason::ALL {
        let row = format!("| {} `{reason}` |", reason.raw());
        assert!(page.contains(&row), "no row starts with {row}");
    }
}

fn heard_on(page: &Path) -> Vec<Heard> {
    let text = fs::read_to_string(page).expect("a page");
    let runs = blocks(&text).into_iter().filter_map(|block| on_slow(&block).ok());
    runs.flat_map(|run| run.heard).collect()
}

fn reject_reason(heard: &Heard) -> Option<u16> {
    match heard {
        Heard::Private(_, Event::RequestRejected(rejected)) => Some(rejected.reason),
        Heard::Private(_, Event::QuoteRejected(rejected)) => Some(rejected.reason),
        Heard::Session(_, SessionMessage::LogonRejected(rejected)) => Some(rejected.reason),
        Heard::Private(..) | Heard::Session(..) | Heard::Public(_) => None,
    }
}

fn cancel_reason(heard: &Heard) -> Option<u8> {
    match heard {
        Heard::Private(_, Event::OrderCanceled(canceled)) => Some(canceled.reason),
        Heard::Private(_, Event::TokenOrderDone(done)) => Some(done.reason),
        Heard::Private(_, Event::SweepDone(done)) => Some(done.reason),
        Heard::Private(..) | Heard::Session(..) | Heard::Public(_) => None,
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
