//! The JSON that the page and the read-only routes get. All prices are numbers to show, in EC.

use std::sync::Arc;

use joulebook_metrics::{CommandOutcome, ServerMetrics};
use joulebook_protocol::messages::AuctionIndication;
use joulebook_types::{InstrumentId, Price, Side, TimeNs};
use serde::Serialize;

use crate::latency::Latency;
use crate::market::{Listing, Market, Quote, TapeTrade, ec};
use crate::sold::{mtok, shares};
use crate::state::RunInfo;
use crate::vendor::Vendor;

/// Levels per side in a pushed frame.
pub(crate) const FRAME_LEVELS_MAX: usize = 20;
/// Levels per side in `/api/book/{id}`.
pub(crate) const BOOK_LEVELS_MAX: usize = 1_000;

/// Everything of a frame but the book, which is each client's own. The shape is written down in `app.js`.
#[derive(Serialize)]
pub(crate) struct Overview {
    seq: i64,
    engine: EngineInfo,
    #[serde(flatten)]
    market: MarketView,
    latency_us: Option<Latency>,
    latency_note: String,
    counters: Counters,
}

/// What a frame takes from the market; copied under its lock, rendered outside.
#[derive(Serialize)]
pub(crate) struct MarketView {
    t: u64,
    /// The reference model of all prices per Mtok.
    model: Option<String>,
    vendors: [VendorRow; Vendor::COUNT],
    instruments: Vec<InstrumentRow>,
    tape: Vec<TapeRow>,
    #[serde(skip)]
    trades: u64,
    #[serde(skip)]
    resting_orders: u64,
}

#[derive(Serialize)]
struct EngineInfo {
    scenario: String,
    seed: Option<u64>,
    ack_mode: &'static str,
    wiring: &'static str,
    committed: i64,
}

#[derive(Serialize)]
struct VendorRow {
    name: &'static str,
    price_per_mtok: Option<f64>,
    price_per_ah: Option<f64>,
    share: Option<f64>,
    mtok: f64,
    /// The last ten seconds.
    share_10s: Option<f64>,
    mtok_10s: f64,
}

#[derive(Serialize)]
struct InstrumentRow {
    id: u32,
    symbol: Arc<str>,
    bid: Option<f64>,
    ask: Option<f64>,
    last: Option<f64>,
    phase: &'static str,
    auction: Option<AuctionRow>,
}

/// What a call auction would trade now.
#[derive(Serialize)]
struct AuctionRow {
    /// `None` when nothing would trade.
    price: Option<f64>,
    /// Lots.
    volume: u64,
    /// Lots that would find nobody: positive to buy, negative to sell.
    surplus: i64,
}

#[derive(Serialize)]
struct TapeRow {
    t: u64,
    symbol: Arc<str>,
    price: f64,
    qty: u32,
    side: &'static str,
}

#[derive(Serialize)]
struct Counters {
    commands: u64,
    trades: u64,
    rejects: u64,
    connections: i64,
    sessions: i64,
    resting_orders: u64,
}

/// Price, lots, orders.
type LevelRow = (f64, u64, u32);

/// One book, best levels first.
#[derive(Serialize)]
pub(crate) struct BookRows {
    id: u32,
    symbol: Arc<str>,
    phase: &'static str,
    auction: Option<AuctionRow>,
    bids: Vec<LevelRow>,
    asks: Vec<LevelRow>,
}

/// One instrument of `/api/instruments`.
#[derive(Serialize)]
pub(crate) struct InstrumentDetail {
    id: u32,
    symbol: Arc<str>,
    class: String,
    area: String,
    vendor: &'static str,
    phase: &'static str,
    auction: Option<AuctionRow>,
    bid: Option<f64>,
    ask: Option<f64>,
    last: Option<f64>,
    tick: f64,
    /// The lowest and the highest price allowed.
    band: (f64, f64),
    accelerators_per_lot: u16,
    window_minutes: u16,
    /// Milliseconds since 1970.
    gate_ms: u64,
    /// Kilo-tokens of the reference model per accelerator-hour.
    yield_ktok: Option<u32>,
}

impl MarketView {
    pub(crate) fn of(market: &Market, now: TimeNs) -> Self {
        let listed = market.listings().filter(|(_, listing)| listing.is_listed());
        Self {
            t: millis(now),
            model: market.reference().map(|model| model.name.clone()),
            vendors: vendor_rows(market, now),
            instruments: listed.map(|(id, listing)| InstrumentRow::of(id, listing)).collect(),
            tape: market.tape().map(TapeRow::of).collect(),
            trades: market.trades(),
            resting_orders: market.resting_orders(),
        }
    }
}

impl Overview {
    pub(crate) fn new(
        market: MarketView,
        info: &RunInfo,
        metrics: &ServerMetrics,
        (latency_us, latency_note): (Option<Latency>, String),
    ) -> Self {
        let core = metrics.core();
        let counters = Counters::of(&market, metrics);
        let engine = EngineInfo {
            scenario: info.scenario.clone(),
            seed: info.seed,
            ack_mode: info.ack_mode.name(),
            wiring: info.wiring.name(),
            committed: core.committed_seq.value(),
        };
        Self { seq: core.applied_seq.value(), engine, market, latency_us, latency_note, counters }
    }
}

impl Counters {
    fn of(market: &MarketView, metrics: &ServerMetrics) -> Self {
        let answered = |outcome: usize| metrics.total(|gateway| &gateway.commands[outcome]);
        Self {
            commands: (0..CommandOutcome::COUNT).map(answered).sum(),
            trades: market.trades,
            rejects: answered(CommandOutcome::Rejected as usize),
            connections: metrics.current(|gateway| &gateway.connections),
            sessions: metrics.current(|gateway| &gateway.sessions),
            resting_orders: market.resting_orders,
        }
    }
}

impl TapeRow {
    fn of(trade: &TapeTrade) -> Self {
        Self {
            t: millis(trade.time),
            symbol: Arc::clone(&trade.symbol),
            price: ec(trade.price),
            qty: trade.qty,
            side: trade.aggressor.map_or("auction", Side::name),
        }
    }
}

impl AuctionRow {
    fn of(listing: &Listing) -> Option<Self> {
        listing.indication.map(|AuctionIndication { price, volume, surplus, .. }| Self {
            price: (volume != 0).then(|| ec(price)),
            volume,
            surplus,
        })
    }
}

impl InstrumentRow {
    fn of(id: InstrumentId, listing: &Listing) -> Self {
        Self {
            id: id.raw(),
            symbol: Arc::clone(&listing.symbol),
            bid: listing.bid().map(ec),
            ask: listing.ask().map(ec),
            last: listing.last.map(ec),
            phase: listing.phase.name(),
            auction: AuctionRow::of(listing),
        }
    }
}

impl BookRows {
    pub(crate) fn of(id: InstrumentId, listing: &Listing, levels_max: usize) -> Self {
        let rows = |side| {
            let levels = listing.book.levels(side).take(levels_max);
            levels.map(|level| (ec(level.price), level.qty, level.orders)).collect()
        };
        Self {
            id: id.raw(),
            symbol: Arc::clone(&listing.symbol),
            phase: listing.phase.name(),
            auction: AuctionRow::of(listing),
            bids: rows(Side::Buy),
            asks: rows(Side::Sell),
        }
    }
}

impl InstrumentDetail {
    pub(crate) fn of(market: &Market, id: InstrumentId, listing: &Listing) -> Self {
        let definition = &listing.definition;
        let price = |price: Option<Price>| price.map(ec);
        Self {
            id: id.raw(),
            symbol: Arc::clone(&listing.symbol),
            class: definition.class.to_string(),
            area: definition.area.to_string(),
            vendor: listing.vendor.name(),
            phase: listing.phase.name(),
            auction: AuctionRow::of(listing),
            bid: price(listing.bid()),
            ask: price(listing.ask()),
            last: price(listing.last),
            tick: ec(definition.tick),
            band: (ec(definition.band_low), ec(definition.band_high)),
            accelerators_per_lot: definition.accelerators_per_lot,
            window_minutes: definition.window_minutes,
            gate_ms: millis(definition.gate),
            yield_ktok: market.yield_of(listing).map(|yield_| yield_.raw()),
        }
    }
}

fn vendor_rows(market: &Market, now: TimeNs) -> [VendorRow; Vendor::COUNT] {
    let best = market.best_offers();
    let (total, recent) = (market.sold().total(), market.sold().recent(now));
    let (share, share_10s) = (shares(total), shares(recent));
    Vendor::ALL.map(|vendor| {
        let index = vendor as usize;
        VendorRow {
            name: vendor.name(),
            price_per_mtok: best[index].and_then(Quote::ec_per_mtok),
            price_per_ah: best[index].map(Quote::ec_per_ah),
            share: share[index],
            mtok: mtok(total[index]),
            share_10s: share_10s[index],
            mtok_10s: mtok(recent[index]),
        }
    })
}

pub(crate) fn millis(time: TimeNs) -> u64 {
    time.raw() / 1_000_000
}
