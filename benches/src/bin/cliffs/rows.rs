//! The books that are held against w2.

use joulebook_benches::flow::{Flow, NARROW, Spread, Style, Workload};
use joulebook_benches::{Recording, Tables, VenuePlan, Window, mass_cancel, operations};

pub struct Row {
    pub name: &'static str,
    pub workload: Workload,
    /// Books that are listed for each that is traded.
    listed: u32,
    orders_max: u32,
    pub warm_up: usize,
    pub commands: usize,
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

/// What the others are held against.
pub const W2: Row = Row { workload: Workload::W2, ..row("w2", NARROW, 10_000) };

pub fn all() -> Vec<Row> {
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

impl Row {
    pub fn plan(&self, flow: &Flow) -> VenuePlan {
        let plan = VenuePlan::windows(flow.books, Window::Quarter, Tables::Daemon);
        VenuePlan { listed: self.listed, orders_max: self.orders_max, ..plan }
    }
}

/// A row that is no flow: so many things, of one command or of all.
pub struct Single {
    pub name: &'static str,
    pub things: u32,
    pub record: fn() -> Recording,
}

pub const SINGLES: [Single; 3] = [
    Single {
        name: "mass cancel of 100,000, per order",
        things: 100_000,
        record: || mass_cancel(&VenuePlan::windows(1, Window::Quarter, Tables::Daemon), 100_000),
    },
    Single { name: "uncross of 10,000, per order", things: 10_000, record: operations::uncross },
    Single {
        name: "trade past 10,000 trailing stops",
        things: 1_000,
        record: || operations::prints_past_trailing_stops(10_000),
    },
];
