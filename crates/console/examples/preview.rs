//! The dashboard with a made-up market, for work on the page: `cargo run -p joulebook-console --example preview`.
//!
//! Two vendors undercut each other in steps; trades hit whoever is cheaper per token. Nothing here is measured.

#[path = "../tests/support/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod support;

use std::time::Duration;

use joulebook_metrics::CommandOutcome;
use joulebook_protocol::PublicEvent;
use joulebook_protocol::messages::BookUpdate;
use joulebook_types::{InstrumentId, OrderId, Phase, Price, Side};
use support::{Bench, auction_trade, indication, instrument, now, phase, trade, yields};

const LEVELS: i64 = 8;
const TICK: i64 = 10_000;
/// These instruments are halted and in a call auction, where the sides overlap.
const HALTED: usize = 1;
const CALLED: usize = 3;
const OVERLAP: i64 = 3 * TICK;

/// One instrument's synthetic ladder around a middle price.
struct Ladder {
    id: InstrumentId,
    middle: i64,
    shown: Option<i64>,
    /// How far bids stand above asks.
    overlap: i64,
}

fn main() {
    let bench = Bench::start();
    println!("http://{}", bench.console.address());
    let classes = [
        ("H100S", 13_755, 21_700_000),
        ("H200S", 15_387, 27_000_000),
        ("B200S", 45_724, 70_000_000),
        ("TPU5P", 9_100, 15_400_000),
        ("TPU6E", 14_200, 23_900_000),
        ("TPU7X", 41_000, 66_000_000),
    ];
    let mut ladders = Vec::new();
    for (class, yield_ktok, middle) in classes {
        let mut events = vec![yields(class, 1, "llama2-70b/server", yield_ktok)];
        for hour in 14..16 {
            let id = InstrumentId::new(ladders.len() as u32 + 1);
            events.push(instrument(id, &format!("{class}.DE.20261124T{hour}00.H"), 8));
            let overlap = if ladders.len() == CALLED { OVERLAP } else { 0 };
            ladders.push(Ladder { id, middle, shown: None, overlap });
        }
        bench.feed(&events);
    }
    bench.feed(&[phase(ladders[HALTED].id, Phase::Halted), phase(ladders[CALLED].id, Phase::Auction)]);
    run(&bench, &mut ladders);
}

fn run(bench: &Bench, ladders: &mut [Ladder]) {
    let (gateway, core) = (bench.metrics.gateway(0), bench.metrics.core());
    gateway.connections.set(12);
    gateway.sessions.set(67);
    let (_never, wakes) = std::sync::mpsc::channel::<()>();
    let mut noise = 42_u64;
    for step in 0_i64.. {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut events = Vec::new();
        for (index, ladder) in ladders.iter_mut().enumerate() {
            let drift = (noise >> (index * 4 + 8)) as i64 % 3 - 1;
            let cut = i64::from(step % 60 == if index < 6 { 0 } else { 30 }) * ladder.middle / 60;
            ladder.move_to((ladder.middle + drift * TICK - cut).max(TICK * 100) / TICK * TICK, &mut events);
        }
        for shift in [4, 12, 20] {
            let index = (noise >> (30 + shift)) as usize % ladders.len();
            let (ladder, qty) = (&ladders[index], (noise >> shift) as u32 % 6 + 1);
            let price = Price::new(ladder.middle + TICK).to_string();
            events.push(match index {
                HALTED => continue,
                CALLED => auction_trade(ladder.id, &price, qty),
                _ => trade(ladder.id, Side::Buy, &price, qty),
            });
        }
        let (called, surplus) = (&ladders[CALLED], (noise >> 40) as i64 % 9 - 4);
        events.push(indication(called.id, &Price::new(called.middle).to_string(), 24, surplus));
        (0..200).for_each(|sample| gateway.ack.record(40_000 + (noise >> 40) % 30_000 + sample * sample * 4));
        (0..200).for_each(|_| gateway.answered(CommandOutcome::Accepted));
        if step % 7 == 0 {
            gateway.rejected(30);
        }
        core.applied_seq.add(203);
        core.committed_seq.set(core.applied_seq.value() - 3);
        bench.feed(&events);
        let _ = wakes.recv_timeout(Duration::from_millis(100));
    }
}

impl Ladder {
    /// Takes the old levels away and shows new ones, dearest asks thinnest.
    fn move_to(&mut self, middle: i64, events: &mut Vec<PublicEvent>) {
        for (old, action) in [(self.shown, BookUpdate::REMOVED), (Some(middle), BookUpdate::ADDED)] {
            let Some(around) = old else { continue };
            for depth in 1..=LEVELS {
                let qty = if action == BookUpdate::ADDED { (depth * 7 + around / TICK) % 40 + 2 } else { 0 };
                let bid = around - depth * TICK + self.overlap;
                for (side, price) in [(Side::Buy, bid), (Side::Sell, around + depth * TICK)] {
                    events.push(PublicEvent::from(BookUpdate {
                        time: now(),
                        order_id: OrderId::new(1),
                        price: Price::new(price),
                        level_qty: qty as u64,
                        instrument: self.id,
                        leaves_qty: qty as u32,
                        level_orders: qty as u32 / 5 + u32::from(qty != 0),
                        side: side.raw(),
                        action,
                        ..BookUpdate::default()
                    }));
                }
            }
        }
        self.middle = middle;
        self.shown = Some(middle);
    }
}
