//! How many cache lines a message of each row waits for.

use std::path::Path;
use std::process::Command;

use joulebook_benches::machine::{Caches, describe};
use joulebook_benches::misses::{self, Misses};
use joulebook_benches::{BookRun, Recording, Rerun, record};

use crate::rows::{self, Row, SINGLES, Single, W2};

/// Messages that fill the simulated caches, and messages that are counted.
const WARM_UP: usize = 200_000;
const COUNTED: usize = 100_000;

/// Prints w2, then the rows.
pub fn print(rows: &[Row], singles: &[&Single]) {
    let caches = Caches::of_this_machine().expect("the system says how large its caches are");
    println!(
        "{}; per message, simulated: first level of data {}, second {}, last {} (bytes, ways, bytes of a line)",
        describe(),
        caches.l1d,
        caches.l2,
        caches.last
    );
    println!("| stream | layer | instructions | L1 instructions | L1 data | L2 | last level |");
    println!("|---|---|---|---|---|---|---|");
    for row in [&W2].into_iter().chain(rows) {
        print_line(row.name, "engine", count_engine(row.name, &caches, 1.0));
        let books = misses::count(&["--count", "books", "--row", row.name], &caches);
        print_line(row.name, "books", books);
    }
    for Single { name, things, .. } in singles {
        print_line(name, "engine", count_engine(name, &caches, (*things).into()));
    }
}

fn print_line(name: &str, layer: &str, misses: Misses) {
    let Misses { instructions, l1i, l1d, l2, last } = misses;
    println!("| {name} | {layer} | {instructions:.0} | {l1i:.1} | {l1d:.1} | {l2:.2} | {last:.2} |");
}

/// The stream is recorded by a process of its own, which callgrind does not follow.
fn count_engine(name: &str, caches: &Caches, messages: f64) -> Misses {
    let folder = tempfile::tempdir().expect("a folder for the stream");
    let path = folder.path().join("stream").display().to_string();
    let mut recorder = Command::new(std::env::current_exe().expect("this program"));
    let status = recorder.args(["--record", &path, "--row", name]).status();
    assert!(status.expect("this program").success(), "{name} could not be recorded");
    misses::count(&["--count", &path, "--row", name], caches).per(messages)
}

fn single(name: &str) -> Option<&'static Single> {
    SINGLES.iter().find(|single| single.name == name)
}

fn find(name: &str) -> Row {
    let found = rows::all().into_iter().chain([W2]).find(|row| row.name == name);
    found.unwrap_or_else(|| panic!("{name}: no such row"))
}

impl Row {
    /// A row whose measured part begins at once is counted in its midst too.
    fn counted(&self) -> (usize, usize) {
        let warm_up = self.warm_up.max(WARM_UP);
        (warm_up, warm_up + COUNTED)
    }
}

pub fn record_row(name: &str, path: &Path) {
    let recording = match single(name) {
        Some(single) => (single.record)(),
        None => {
            let row = find(name);
            let flow = row.workload.flow(row.counted().1);
            record(&flow, &row.plan(&flow))
        }
    };
    recording.write(path).expect("room for the stream");
}

/// The process under callgrind.
pub fn run_engine(name: &str, path: &Path) {
    let recording = Recording::read(path).expect("a stream that was just written");
    let mut rerun = Rerun::new(&recording);
    misses::count_from_here();
    if single(name).is_none() {
        rerun.advance(find(name).counted().0);
    }
    println!("{} messages", rerun.measured_part(recording.commands()));
    rerun.check();
}

/// The same for the books alone.
pub fn run_books(name: &str) {
    let row = find(name);
    let (warm_up, all) = row.counted();
    let flow = row.workload.flow(all);
    let mut run = BookRun::new(flow.books);
    run.make_room(&flow.prelude);
    run.make_room(&flow.measured);
    flow.prelude.iter().for_each(|message| run.apply(message));
    misses::count_from_here();
    let (warm_up, measured) = flow.measured.split_at(warm_up);
    warm_up.iter().for_each(|message| run.apply(message));
    run.measured_part(measured);
    assert_eq!(run.totals(), flow.totals, "the books trade something else than the plain ones");
    println!("{} messages", measured.len());
}
