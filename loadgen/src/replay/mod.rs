//! A real recording of single orders, played through the gateway.

mod mapper;
pub mod recording;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use joulebook_protocol::messages::RequestRefused;
use joulebook_protocol::{Event, Message};
use joulebook_types::{InstrumentId, MicroEc, Role, Side};
use serde::Serialize;

use crate::BenchError;
use crate::environment::Environment;
use crate::exchange::{Exchange, ExchangeOptions};
use crate::market::{Admin, Listing, connect};
use crate::report::Report;
use crate::stage;
use crate::wire::Wire;

pub use mapper::{Counts, Mapper, Step, TICK, UNITS_PER_LOT};

#[derive(Clone, Debug)]
pub struct ReplayOptions {
    pub exchange: ExchangeOptions,
    /// csv, plain or compressed with xz.
    pub file: PathBuf,
    pub seed: u64,
}

/// How a replay ended.
#[derive(Clone, Debug, Serialize)]
pub struct ReplayResult {
    pub file: String,
    pub counts: Counts,
    pub seconds: f64,
    pub commands_per_s: f64,
    /// Orders that the exchange says are open at the end.
    pub open_at_end: usize,
    /// Orders that the recording leaves alive.
    pub alive_in_recording: usize,
    /// The two sets of recorded ids are equal.
    pub same_ids: bool,
    /// The first thing that should not have happened.
    pub complaint: Option<String>,
}

impl ReplayResult {
    /// Nothing was refused, and the same orders rest as in the recording.
    pub fn is_as_expected(&self) -> bool {
        self.same_ids && self.counts.rejects == 0 && self.complaint.is_none()
    }
}

/// Micro-EC of the bidder: more than all recorded bids together.
const CREDITS: MicroEc = MicroEc::new(1_000_000_000_000_000_000);
/// One lot needs one of them; more than all recorded asks together.
const ACCELERATORS: u32 = 4_000_000_000;
const PATIENCE: Duration = Duration::from_secs(20);
const SIDES: [Side; 2] = [Side::Buy, Side::Sell];

/// Plays the file against the exchange: bids and asks in a session of their own, so that no order can meet one of its
/// own account.
pub fn run(options: &ReplayOptions) -> Result<Report, BenchError> {
    let events = recording::read(&options.file)?;
    let environment = Environment::read();
    let exchange = Exchange::start(&options.exchange)?;
    let facts = stage::facts(&options.exchange, &exchange);
    let (mut wire, instrument) = set_up(&exchange, options.seed)?;
    let alive = recording::alive(&events);
    let first_ids = [wire.next_id(0), wire.next_id(1)];
    let mut mapper = Mapper::new(events, instrument, first_ids);
    let start = Instant::now();
    play(&mut wire, &mut mapper)?;
    let seconds = start.elapsed().as_secs_f64();
    wire.close();
    exchange.stop()?;

    let mut report = Report::new("replay", options.seed, facts, environment);
    report.notes.push(format!(
        "one lot is {UNITS_PER_LOT} units of the recorded volume (1e-8 BTC), rounded up; one tick of {TICK} EC is one US \
         cent; bids and asks have an account each"
    ));
    report.replay = Some(ReplayResult {
        file: options.file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        counts: mapper.counts().clone(),
        seconds,
        commands_per_s: mapper.counts().commands() as f64 / seconds,
        open_at_end: mapper.reported_open().len(),
        alive_in_recording: alive.len(),
        same_ids: *mapper.reported_open() == alive,
        complaint: mapper.complaint().map(str::to_owned),
    });
    Ok(report)
}

fn set_up(exchange: &Exchange, seed: u64) -> Result<(Wire, InstrumentId), BenchError> {
    let mut admin = Admin::log_on(exchange, seed)?;
    let listing = Listing {
        class: "REPLAY".parse().expect("a valid class"),
        area: "DE".parse().expect("a valid zone"),
        tick: TICK,
        accelerators_per_lot: 1,
        qty_max: u32::MAX,
        taker_fee_ppm: 0,
    };
    let (instrument, start_minute) = admin.list_fresh(&listing, 0)?;
    let bidder = admin.open_account(0, "replay-bids", &[Role::Buyer], CREDITS)?;
    let asker = admin.open_account(1, "replay-asks", &[Role::Seller], MicroEc::ZERO)?;
    let mut wire = connect(exchange, 1, &[bidder, asker])?;
    listing.register(&mut wire, 1, start_minute, ACCELERATORS)?;
    admin.close();
    Ok((wire, instrument))
}

fn play(wire: &mut Wire, mapper: &mut Mapper) -> Result<(), BenchError> {
    let mut last_news = Instant::now();
    loop {
        loop {
            match mapper.step() {
                Step::Send(side, command) => wire.queue(session_of(side), &command),
                Step::Ask(side, command) => wire.queue_question(session_of(side), &command),
                Step::Wait => break,
                Step::Done => return Ok(()),
            }
        }
        wire.flush();
        let mut news = false;
        wire.pump(|session, frame| {
            let side = SIDES[session];
            news = true;
            if frame.header.template_id == RequestRefused::TEMPLATE_ID
                && let Ok(refused) = RequestRefused::decode(frame.block)
            {
                mapper.on_refused(side, &refused);
            } else if let Ok(event) = Event::decode(frame) {
                mapper.on_event(side, &event);
            }
        })?;
        if news {
            last_news = Instant::now();
        } else if PATIENCE < last_news.elapsed() {
            let what = mapper.complaint().unwrap_or("the exchange fell silent").to_owned();
            return Err(BenchError::Replay { event: mapper.position(), what });
        } else {
            wire.park(last_news + PATIENCE + Duration::from_millis(1))?;
        }
    }
}

fn session_of(side: Side) -> usize {
    match side {
        Side::Buy => 0,
        Side::Sell => 1,
    }
}
