//! Listed instruments and the slots that they cover.

use core::ops::Bound;
use std::collections::BTreeMap;

use joulebook_book::Book;
use joulebook_ledger::{AssetIx, bid_hold, fee, with_fee};
use joulebook_protocol::messages::InstrumentDefinition;
use joulebook_sys::{prefetch_read, prefetch_write, reserve_exact_in_large_pages};
use joulebook_types::{
    AreaCode, ClassCode, InstrumentId, LotSize, MicroEc, Phase, Price, Qty, Side, TimeNs, Window,
};

use crate::auction::Call;
use crate::bands::MovingBands;
use crate::call_line::CallLine;
use crate::instrument_directory::{InstrumentDirectory, Named};
use crate::places::{at, at_mut};
use crate::price_references::PriceReferences;
use crate::timers::TimerKey;

/// Where the engine keeps an instrument. Places of settled instruments are used again, so the order of places says
/// nothing: instruments are ordered by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InstrumentIx(u32);

impl InstrumentIx {
    /// Where no instrument is.
    pub(crate) const NOWHERE: Self = Self(u32::MAX);

    pub(crate) const fn new(raw: u32) -> Self {
        Self(raw)
    }

    pub(crate) const fn raw(self) -> u32 {
        self.0
    }

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Accelerator class, power zone, delivery window: what an instrument is, and listed at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Product {
    pub(crate) class: ClassCode,
    pub(crate) area: AreaCode,
    pub(crate) start_minute: u32,
    pub(crate) window_minutes: u16,
}

/// Fields stand in the order of how often they are looked at: what every plain order needs lies on the first two cache
/// lines.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Instrument {
    pub(crate) phase: Phase,
    pub(crate) qty_max: u32,
    pub(crate) id: InstrumentId,
    pub(crate) lot: LotSize,
    pub(crate) taker_fee_ppm: i32,
    pub(crate) maker_fee_ppm: i32,
    pub(crate) band_low: Price,
    pub(crate) band_high: Price,
    /// The quarter hours of the window.
    pub(crate) assets: Box<[AssetIx]>,
    /// `None` once the gate has closed: a closed book gives its memory back.
    pub(crate) book: Option<Book>,
    pub(crate) bands: MovingBands,
    pub(crate) prices: PriceReferences,
    pub(crate) tick: Price,
    pub(crate) product: Product,
    pub(crate) window: Window,
    pub(crate) opens: TimeNs,
    pub(crate) gate: TimeNs,
    /// When the phase in hand ends by itself.
    pub(crate) phase_timer: Option<TimerKey>,
    /// The start of delivery, as long as it lies ahead.
    pub(crate) start_timer: Option<TimerKey>,
    pub(crate) call: Call,
    pub(crate) undelivered_slots: u32,
}

impl Instrument {
    /// What a bid for `leaves` lots holds; `None` when it does not fit a balance.
    pub(crate) fn bid_hold(&self, limit: Price, leaves: u32) -> Option<MicroEc> {
        bid_hold(self.lot, limit, Qty::from(leaves), self.dearer_fee_ppm())
    }

    /// What a bid of this value holds: the larger of both fees with it.
    #[inline(always)]
    pub(crate) fn with_dearer_fee(&self, value: MicroEc) -> Option<MicroEc> {
        with_fee(value, self.dearer_fee_ppm())
    }

    /// What a fill of `lots`, which are worth `value` at the limit, takes off the hold of a bid that had `leaves` lots.
    /// Ticks are exact, so without fees it is that value.
    #[inline(always)]
    pub(crate) fn released(&self, value: MicroEc, limit: Price, leaves: u32, lots: u32) -> MicroEc {
        if self.dearer_fee_ppm() == 0 { value } else { self.released_with_fee(limit, leaves, lots) }
    }

    fn released_with_fee(&self, limit: Price, leaves: u32, lots: u32) -> MicroEc {
        let hold = |lots| self.bid_hold(limit, lots).expect("an open order has a hold");
        hold(leaves) - hold(leaves - lots)
    }

    fn dearer_fee_ppm(&self) -> i32 {
        self.taker_fee_ppm.max(self.maker_fee_ppm)
    }

    /// Notional and taker fee of `lots` at `price`; `None` when they do not fit a balance.
    pub(crate) fn taker_cost(&self, price: Price, lots: u32) -> Option<MicroEc> {
        let notional = self.lot.notional(price, Qty::from(lots))?;
        notional.checked_add(fee(notional, self.taker_fee_ppm))
    }

    /// The most lots, up to `wanted`, that the credits pay for with the taker's fee.
    pub(crate) fn affordable(&self, price: Price, wanted: u32, credits: MicroEc) -> u32 {
        let pays = |lots| self.taker_cost(price, lots).is_some_and(|cost| cost <= credits);
        if pays(wanted) {
            return wanted;
        }
        // The cost rises with the lots: halve the range between what it pays and what it does not.
        let (mut paid, mut unpaid) = (0, wanted);
        while unpaid - paid > 1 {
            let middle = paid + (unpaid - paid) / 2;
            if pays(middle) { paid = middle } else { unpaid = middle }
        }
        paid
    }

    /// The worst price at which a market order of `side` may trade.
    pub(crate) fn band_edge(&self, side: Side) -> Price {
        match side {
            Side::Buy => self.band_high,
            Side::Sell => self.band_low,
        }
    }

    /// Accelerators that `lots` need in every slot of the window.
    pub(crate) fn accelerators(&self, lots: u32) -> u64 {
        u64::from(self.lot.accelerators()) * u64::from(lots)
    }

    pub(crate) fn is_closed(&self) -> bool {
        match self.phase {
            Phase::Pending | Phase::PreOpen | Phase::Open | Phase::Halted | Phase::Auction => false,
            Phase::Closed | Phase::Delivering | Phase::Settled => true,
        }
    }

    /// The book of an instrument that trades.
    pub(crate) fn book(&self) -> &Book {
        self.book.as_ref().expect("an instrument has a book until its gate")
    }

    pub(crate) fn book_mut(&mut self) -> &mut Book {
        self.book.as_mut().expect("an instrument has a book until its gate")
    }

    pub(crate) fn best(&self, side: Side) -> Option<Price> {
        self.book.as_ref()?.best(side)
    }

    pub(crate) fn definition(&self) -> InstrumentDefinition {
        InstrumentDefinition {
            class: self.product.class,
            area: self.product.area,
            tick: self.tick,
            band_low: self.band_low,
            band_high: self.band_high,
            opens: self.opens,
            gate: self.gate,
            instrument: self.id,
            start_minute: self.product.start_minute,
            window_minutes: self.product.window_minutes,
            accelerators_per_lot: self.lot.accelerators(),
            qty_max: self.qty_max,
            taker_fee_ppm: self.taker_fee_ppm,
            maker_fee_ppm: self.maker_fee_ppm,
            phase: self.phase.raw(),
            ..Default::default()
        }
    }
}

/// No instrument has a later one.
const LAST_ID: InstrumentId = InstrumentId::new(u32::MAX);

/// All instruments that are listed and not settled yet.
#[derive(Debug, Default)]
pub(crate) struct Instruments {
    /// By place. A vacant one keeps what it was last, but for what takes memory.
    places: Vec<Instrument>,
    vacant: Vec<InstrumentIx>,
    directory: InstrumentDirectory,
    by_product: BTreeMap<Product, InstrumentIx>,
    /// The instruments whose window covers a slot, by slot asset and then by id, which is in listing order.
    over: BTreeMap<(u32, InstrumentId), InstrumentIx>,
    /// Memory of calls whose instruments have closed.
    spare_lines: Vec<CallLine>,
    trading: usize,
    instruments_max: usize,
}

impl Instruments {
    pub(crate) fn new(instruments_max: u32) -> Self {
        Self { instruments_max: instruments_max as usize, ..Self::default() }
    }

    #[inline(always)]
    pub(crate) fn find(&self, id: InstrumentId) -> Option<InstrumentIx> {
        self.directory.find(id)
    }

    /// Who an id names, settled instruments included.
    pub(crate) fn named(&self, id: InstrumentId) -> Named {
        self.directory.named(id)
    }

    pub(crate) fn find_product(&self, product: &Product) -> Option<InstrumentIx> {
        self.by_product.get(product).copied()
    }

    pub(crate) fn is_listed(&self, product: &Product) -> bool {
        self.by_product.contains_key(product)
    }

    /// The limit is on books, so instruments whose gate has closed do not count.
    pub(crate) fn is_full(&self) -> bool {
        self.trading >= self.instruments_max || self.last_id().raw() >= u32::MAX - 1
    }

    pub(crate) fn instruments_max(&self) -> usize {
        self.instruments_max
    }

    /// The last id that was given, of an instrument that may be settled since.
    pub(crate) fn last_id(&self) -> InstrumentId {
        self.directory.last()
    }

    pub(crate) fn restore_last_id(&mut self, last: InstrumentId) {
        self.directory.restore_last(last);
    }

    /// Lists an instrument whose id is above all that were given.
    pub(crate) fn add(&mut self, instrument: Instrument) -> InstrumentIx {
        let ix = self.vacant.pop().unwrap_or(InstrumentIx(self.places.len() as u32));
        self.directory.insert(instrument.id, ix);
        self.by_product.insert(instrument.product, ix);
        for asset in &instrument.assets {
            self.over.insert((asset.raw(), instrument.id), ix);
        }
        match self.places.get_mut(ix.index()) {
            Some(place) => *place = instrument,
            None => self.push(instrument),
        }
        self.trading += 1;
        ix
    }

    /// Grows by a quarter: twice as many places would leave half of them empty for long, and each is half a kibibyte.
    fn push(&mut self, instrument: Instrument) {
        if self.places.len() == self.places.capacity() {
            let more = self.places.len() / 4 + 1;
            reserve_exact_in_large_pages(&mut self.places, more);
        }
        self.places.push(instrument);
    }

    /// The gate has closed: nothing waits in the book or the call any more.
    pub(crate) fn close(&mut self, ix: InstrumentIx) {
        let instrument = &mut self[ix];
        assert!(instrument.call.market_orders.is_empty(), "the gate cancels what waits");
        instrument.book = None;
        let call = core::mem::take(&mut instrument.call);
        if call.market_orders.has_memory() {
            self.spare_lines.push(call.market_orders.into_memory());
        }
        self.trading -= 1;
    }

    /// Where an instrument's market orders wait; the first one gets the memory of a line that closed.
    pub(crate) fn call_line_mut(&mut self, ix: InstrumentIx) -> &mut CallLine {
        let line = &mut self.places[ix.index()].call.market_orders;
        if !line.has_memory() {
            *line = self.spare_lines.pop().unwrap_or_default();
        }
        line
    }

    /// The instrument is settled: nothing of it is kept. Returns the quarter hours that it was about.
    pub(crate) fn forget(&mut self, ix: InstrumentIx) -> Box<[AssetIx]> {
        let Instrument { id, product, ref book, phase, .. } = self[ix];
        assert!(book.is_none() && phase == Phase::Settled, "only what is settled is forgotten");
        let assets = core::mem::take(&mut self[ix].assets);
        for asset in &assets {
            self.over.remove(&(asset.raw(), id));
        }
        self.directory.remove(id);
        self.by_product.remove(&product);
        self.vacant.push(ix);
        assets
    }

    /// Asks for what an order looks at of the instrument at a place.
    #[inline]
    pub(crate) fn prepare(&self, ix: InstrumentIx) {
        if let Some(instrument) = self.places.get(ix.index()) {
            prefetch_write(&instrument.book);
            prefetch_write(&instrument.prices);
            prefetch_read(&instrument.tick);
            prefetch_read(&instrument.phase);
        }
    }

    /// The book of a place that was named by a command which is not checked yet.
    #[inline]
    pub(crate) fn book_ahead(&self, ix: InstrumentIx) -> Option<&Book> {
        self.places.get(ix.index())?.book.as_ref()
    }

    /// The same: the slots that it is about, none if there is no such place.
    #[inline]
    pub(crate) fn assets_ahead(&self, ix: InstrumentIx) -> &[AssetIx] {
        self.places.get(ix.index()).map_or(&[], |instrument| &instrument.assets)
    }

    /// Instruments that are listed and not settled.
    pub(crate) fn len(&self) -> usize {
        self.directory.len()
    }

    /// The instruments over a slot, in listing order.
    pub(crate) fn over(&self, asset: AssetIx) -> impl Iterator<Item = InstrumentIx> {
        self.over.range((asset.raw(), InstrumentId::NONE)..=(asset.raw(), LAST_ID)).map(|(_, ix)| *ix)
    }

    /// The instrument over a slot that was listed next after an id.
    pub(crate) fn next_over(&self, asset: AssetIx, after: InstrumentId) -> Option<InstrumentIx> {
        let (first, last) = (Bound::Excluded((asset.raw(), after)), Bound::Included((asset.raw(), LAST_ID)));
        self.over.range((first, last)).next().map(|(_, ix)| *ix)
    }

    /// The instrument that was listed next after an id and is not settled.
    pub(crate) fn next_listed(&self, after: InstrumentId) -> Option<(InstrumentId, InstrumentIx)> {
        self.directory.next_listed(after)
    }

    /// In listing order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (InstrumentIx, &Instrument)> {
        self.directory.iter().map(|ix| (ix, &self[ix]))
    }

    /// By place: which of all listed instruments it is, counted from zero in listing order.
    pub(crate) fn numbers(&self) -> Vec<u32> {
        let mut numbers = vec![u32::MAX; self.places.len()];
        for (number, ix) in (0..).zip(self.directory.iter()) {
            numbers[ix.index()] = number;
        }
        numbers
    }
}

impl core::ops::Index<InstrumentIx> for Instruments {
    type Output = Instrument;

    fn index(&self, ix: InstrumentIx) -> &Instrument {
        at(&self.places, ix.index())
    }
}

impl core::ops::IndexMut<InstrumentIx> for Instruments {
    fn index_mut(&mut self, ix: InstrumentIx) -> &mut Instrument {
        at_mut(&mut self.places, ix.index())
    }
}
