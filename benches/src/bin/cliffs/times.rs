//! How long a message of each row takes.

use std::time::{Duration, Instant};

use joulebook_benches::flow::{Flow, Style, Workload};
use joulebook_benches::machine::{describe, thousands};
use joulebook_benches::{BookRun, Recording, Rerun, Tables, VenuePlan, Window, record};

use crate::rows::{Row, Single};

/// Both streams go on by so many messages in turn.
const PART: usize = 25_000;

pub fn print(rows: &[Row], singles: &[&Single]) {
    println!(
        "{}; ns per message, the median of parts of {}; in turns with w2",
        describe(),
        thousands(PART as u64)
    );
    println!("| stream | engine | w2 | ratio | books alone | w2 | ratio |");
    println!("|---|---|---|---|---|---|---|");
    rows.iter().for_each(Row::measure);
    singles.iter().for_each(|single| single.measure());
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

impl Single {
    /// Per thing that it does, against w2 per message: the fastest of several.
    fn measure(&self) {
        const ROUNDS: usize = 5;
        let recording = (self.record)();
        let w2 = record(&Workload::W2.flow(200_000), &VenuePlan::windows(1, Window::Quarter, Tables::Daemon));
        let mut best = [f64::MAX; 2];
        for _ in 0..ROUNDS {
            let (mut single, mut plain) = (Rerun::new(&recording), Rerun::new(&w2));
            plain.advance(100_000);
            let per = |took: Duration, count: u64| took.as_nanos() as f64 / count as f64;
            best[0] = best[0].min(per(single.advance(usize::MAX).1, self.things.into()));
            let (count, took) = plain.advance(100_000);
            best[1] = best[1].min(per(took, count));
            single.check();
        }
        let [single, plain] = best;
        println!("| {} | {single:.0} | {plain:.0} | {:.2} | | | |", self.name, single / plain);
    }
}
