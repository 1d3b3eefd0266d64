//! What makes other books fall off a cliff, against w2 in the same run: a row of parts of both in turns, on the whole engine
//! and on the books alone.
//!
//! `cargo run --release -p joulebook-benches --bin cliffs`, or `--row "price run"` for one row.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use joulebook_benches::flow::{Flow, NARROW, Spread, Style, Workload};
use joulebook_benches::machine::{describe, thousands};
use joulebook_benches::{
    Arguments, BookRun, Recording, Rerun, Tables, VenuePlan, Window, mass_cancel, record,
};

/// Both streams go on by so many messages in turn.
const PART: usize = 25_000;

struct Row {
    name: &'static str,
    workload: Workload,
    /// Books that are listed for each that is traded.
    listed: u32,
    orders_max: u32,
    warm_up: usize,
    commands: usize,
}

const fn row(name: &'static str, spread: Spread, resting: u32) -> Row {
    let workload = Workload { name, style: Style::Makers(spread), books: 1, resting, seed: 606 };
    Row { name, workload, listed: 1, orders_max: 4_000_000, warm_up: 200_000, commands: 500_000 }
}

/// A price that falls from 50,000 ticks to 20,000.
const RUN: Spread = Spread { fair: 50_000, drift: -30, ..NARROW };
/// A level is an order.
const THIN: Spread = Spread { theta: 300, ..NARROW };
const WIDE: Spread = Spread { theta: 700_000, fair: 5_000_000, drift: 0, range: (8, 9_000_000), ..NARROW };
const DEEP: Spread = Spread { theta: 3_000, ..NARROW };

fn rows() -> Vec<Row> {
    vec![
        Row { warm_up: 0, commands: 1_000_000, ..row("price run of 60 %", RUN, 10_000) },
        row("400 orders, a level each", THIN, 400),
        row("a million levels", WIDE, 1_500_000),
        Row { orders_max: 12_000_000, ..row("ten million orders", DEEP, 10_000_000) },
        Row { listed: 100, workload: Workload::W4, ..row("100,000 books, 1 % busy", NARROW, 100) },
        Row { workload: Workload::W4, ..row("the same 1,000 books alone", NARROW, 100) },
        Row { commands: 250_000, ..row("cancel storm", Spread { storm: 200_000, ..DEEP }, 300_000) },
    ]
}

fn main() {
    let arguments = Arguments::read(&["--row"]);
    let wanted = arguments.value("--row", String::new());
    println!(
        "{}; ns per message, the median of parts of {}; in turns with w2",
        describe(),
        thousands(PART as u64)
    );
    println!("| stream | engine | w2 | ratio | books alone | w2 | ratio |");
    println!("|---|---|---|---|---|---|---|");
    for row in rows().iter().filter(|row| row.name.contains(&wanted)) {
        row.measure();
    }
    if "mass cancel".contains(&wanted) {
        print_mass_cancel();
    }
}

impl Row {
    fn measure(&self) {
        let flow = self.workload.flow(self.warm_up + self.commands);
        let w2 = Workload::W2.flow(self.warm_up + self.commands);
        let [books, books_w2] = in_turns(
            &mut Books::new(self, &flow, self.workload.style),
            &mut Books::new(self, &w2, Workload::W2.style),
        );
        let [recording, recording_w2] =
            [(&flow, self.plan(&flow)), (&w2, VenuePlan::windows(1, Window::Quarter, Tables::Daemon))]
                .map(|(flow, plan)| record(flow, &plan));
        drop((flow, w2));
        let [engine, engine_w2] =
            in_turns(&mut Engines::new(self, &recording), &mut Engines::new(self, &recording_w2));
        println!(
            "| {} | {engine:.0} | {engine_w2:.0} | {:.2} | {books:.1} | {books_w2:.1} | {:.2} |",
            self.name,
            engine / engine_w2,
            books / books_w2
        );
    }

    fn plan(&self, flow: &Flow) -> VenuePlan {
        let plan = VenuePlan::windows(flow.books, Window::Quarter, Tables::Daemon);
        VenuePlan { listed: self.listed, orders_max: self.orders_max, ..plan }
    }
}

/// Something that goes on by parts.
trait Parts {
    /// Messages, and how long they took. No messages: it is at its end.
    fn part(&mut self) -> (u64, Duration);
}

/// Nanoseconds per message: medians of both.
fn in_turns(first: &mut dyn Parts, second: &mut dyn Parts) -> [f64; 2] {
    let mut parts = [const { Vec::new() }; 2];
    loop {
        let both = [first.part(), second.part()];
        if both.iter().any(|(messages, _)| *messages == 0) {
            break;
        }
        for (parts, (messages, took)) in parts.iter_mut().zip(both) {
            parts.push(took.as_nanos() as f64 / messages as f64);
        }
    }
    parts.map(|mut parts| {
        parts.sort_by(f64::total_cmp);
        parts[parts.len() / 2]
    })
}

struct Engines<'a>(Rerun<'a>);

impl<'a> Engines<'a> {
    fn new(row: &Row, recording: &'a Recording) -> Self {
        let mut rerun = Rerun::new(recording);
        rerun.advance(row.warm_up);
        Self(rerun)
    }
}

impl Parts for Engines<'_> {
    fn part(&mut self) -> (u64, Duration) {
        let part = self.0.advance(PART);
        if part.0 == 0 {
            self.0.check();
        }
        part
    }
}

struct Books<'a> {
    run: BookRun,
    flow: &'a Flow,
    style: Style,
    next: usize,
}

impl<'a> Books<'a> {
    fn new(row: &Row, flow: &'a Flow, style: Style) -> Self {
        let mut run = BookRun::new(flow.books);
        run.make_room(&flow.measured);
        run.make_room(&flow.prelude);
        flow.prelude.iter().chain(&flow.measured[..row.warm_up]).for_each(|message| run.apply(message));
        Self { run, flow, style, next: row.warm_up }
    }
}

impl Books<'_> {
    /// A price that runs has to arrive, or it did not run.
    fn ends_where_it_should(&self) -> bool {
        let Style::Makers(spread) = self.style else { return true };
        let arrives =
            i64::from(spread.fair) + i64::from(spread.drift) * self.flow.measured.len() as i64 / 1_000;
        spread.drift == 0 || (i64::from(self.flow.totals.last_trade) - arrives).abs() < arrives / 10
    }
}

impl Parts for Books<'_> {
    fn part(&mut self) -> (u64, Duration) {
        let rest = &self.flow.measured[self.next..];
        let part = &rest[..PART.min(rest.len())];
        if part.is_empty() {
            assert!(self.ends_where_it_should(), "the price did not follow: {:?}", self.flow.totals);
            assert_eq!(
                self.run.totals(),
                self.flow.totals,
                "the books trade something else than the plain ones"
            );
        }
        self.next += part.len();
        let started = Instant::now();
        self.run.measured_part(part);
        (part.len() as u64, started.elapsed())
    }
}

/// One command that cancels a hundred thousand orders of one account; per order, against w2 per message.
fn print_mass_cancel() {
    const ORDERS: u32 = 100_000;
    const ROUNDS: usize = 5;
    let recording = mass_cancel(&VenuePlan::windows(1, Window::Quarter, Tables::Daemon), ORDERS);
    let w2 = record(&Workload::W2.flow(200_000), &VenuePlan::windows(1, Window::Quarter, Tables::Daemon));
    let mut best = [f64::MAX; 2];
    for _ in 0..ROUNDS {
        let (mut cancels, mut plain) = (Rerun::new(&recording), Rerun::new(&w2));
        plain.advance(100_000);
        let per = |took: Duration, count: u64| took.as_nanos() as f64 / count as f64;
        best[0] = best[0].min(per(cancels.advance(1).1, ORDERS.into()));
        let (count, took) = plain.advance(100_000);
        best[1] = best[1].min(per(took, count));
        cancels.check();
    }
    println!(
        "| mass cancel of 100,000, per order | {:.0} | {:.0} | {:.2} | | | |",
        best[0],
        best[1],
        best[0] / best[1]
    );
}
