//! What makes other books fall off a cliff, against w2 in the same run: a row of parts of both in turns, on the whole engine
//! and on the books alone. With `--misses` also how many cache lines each message waits for, simulated.
//!
//! `cargo run --release -p joulebook-benches --bin cliffs`, or `--row "price run"` for one row, `-- --misses` for misses.
#![forbid(unsafe_code)]

mod lines;
mod rows;
mod times;

use std::path::Path;

use joulebook_benches::Arguments;

use rows::{Row, SINGLES, Single};

fn main() {
    let arguments = Arguments::read_with_switches(&["--row", "--record", "--count"], &["--misses"]);
    let wanted = arguments.value("--row", String::new());
    if arguments.has("--record") {
        return lines::record_row(&wanted, Path::new(&arguments.value("--record", String::new())));
    }
    if arguments.has("--count") {
        return match arguments.value("--count", String::new()).as_str() {
            "books" => lines::run_books(&wanted),
            recording => lines::run_engine(&wanted, Path::new(recording)),
        };
    }
    let rows: Vec<Row> = rows::all().into_iter().filter(|row| row.name.contains(&wanted)).collect();
    let singles: Vec<&Single> = SINGLES.iter().filter(|single| single.name.contains(&wanted)).collect();
    match arguments.has("--misses") {
        true => lines::print(&rows, &singles),
        false => times::print(&rows, &singles),
    }
}
