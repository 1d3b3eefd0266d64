//! The rules that an order's price and size must meet, in the order of their reject codes.

use joulebook_book::Book;
use joulebook_protocol::RejectReason;
use joulebook_types::{InstrumentId, Phase, Price, Side};

use crate::Engine;
use crate::instrument_directory::Named;
use crate::instruments::{Instrument, InstrumentIx};
use crate::request::Rejection;

impl Engine {
    /// The instrument that a request names in the field at `offset`.
    #[inline(always)]
    pub(crate) fn find_instrument(&self, id: InstrumentId, offset: usize) -> Result<InstrumentIx, Rejection> {
        self.instruments.find(id).ok_or_else(|| self.no_instrument(id, offset))
    }

    /// Nobody knows the gate of a settled instrument any more, only that it has closed.
    #[cold]
    fn no_instrument(&self, id: InstrumentId, offset: usize) -> Rejection {
        match self.instruments.named(id) {
            Named::Settled => Rejection::whole(RejectReason::GateClosed).met(0, self.time.raw()),
            Named::Listed(_) | Named::Nobody => {
                Rejection::field(RejectReason::UnknownInstrument, offset).met(0, id.raw())
            }
        }
    }

    /// The instrument's phase takes the request, or not; after the gate none does.
    #[inline(always)]
    pub(crate) fn check_phase(&self, ix: InstrumentIx, takes: bool) -> Result<(), Rejection> {
        self.check_before_gate(ix)?;
        if takes {
            return Ok(());
        }
        let phase = self.instruments[ix].phase;
        Err(Rejection::whole(RejectReason::NotOpen).met(Phase::Open.raw(), phase.raw()))
    }

    /// Nothing changes any more once the gate has closed.
    #[inline(always)]
    pub(crate) fn check_before_gate(&self, ix: InstrumentIx) -> Result<(), Rejection> {
        let instrument = &self.instruments[ix];
        if !instrument.is_closed() {
            return Ok(());
        }
        Err(Rejection::whole(RejectReason::GateClosed).met(instrument.gate.raw(), self.time.raw()))
    }

    /// For requests that are taken only while the instrument is open.
    pub(crate) fn check_open(&self, ix: InstrumentIx) -> Result<(), Rejection> {
        self.check_phase(ix, self.instruments[ix].phase == Phase::Open)
    }

    /// Whether so many more orders may be open.
    #[inline(always)]
    pub(crate) fn check_order_limit(&self, places: usize) -> Result<(), Rejection> {
        let (open, limit) = (self.orders.slab.len(), self.orders.orders_max());
        if places == 0 || open + places <= limit {
            return Ok(());
        }
        Err(Rejection::whole(RejectReason::OrderLimit).met(limit, open + places))
    }

    /// Post-only: refused when it would trade with anybody, its own group included.
    #[inline(always)]
    pub(crate) fn check_post_only(
        &self,
        ix: InstrumentIx,
        side: Side,
        limit: Price,
    ) -> Result<(), Rejection> {
        let book = self.instruments[ix].book();
        match book.best(side.opposite()) {
            Some(best) if book.crosses(side, limit) => {
                Err(Rejection::whole(RejectReason::PostOnlyWouldTrade).met(best.raw(), limit.raw()))
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Instrument {
    #[inline(always)]
    pub(crate) fn check_qty_max(&self, qty: u32, offset: usize) -> Result<(), Rejection> {
        if qty <= self.qty_max {
            return Ok(());
        }
        Err(Rejection::field(RejectReason::QtyAboveMax, offset).met(self.qty_max, qty))
    }

    #[inline(always)]
    pub(crate) fn check_price(&self, price: Price, offset: usize) -> Result<(), Rejection> {
        let refuse =
            |reason, limit: Price| Err(Rejection::field(reason, offset).met(limit.raw(), price.raw()));
        if price <= Price::ZERO {
            return refuse(RejectReason::PriceNotPositive, Price::new(1));
        }
        if !self.is_on_tick(price) {
            return refuse(RejectReason::PriceOffTick, self.tick);
        }
        if price < self.band_low {
            return refuse(RejectReason::PriceOutsideBand, self.band_low);
        }
        if price > self.band_high {
            return refuse(RejectReason::PriceOutsideBand, self.band_high);
        }
        Ok(())
    }

    /// What `check_qty_max` says of lots, and that there are some.
    #[inline(always)]
    pub(crate) fn lets_trade(&self, qty: u32) -> bool {
        // No lots become the most there are.
        qty.wrapping_sub(1) < self.qty_max
    }

    /// What `check_price` says, for those who have the book at hand, and that no band moves.
    #[inline(always)]
    pub(crate) fn lets_stand(&self, book: &Book, price: Price) -> bool {
        // Multiples of the tick are positive.
        book.is_on_tick(price)
            && self.band_low <= price
            && price <= self.band_high
            && !self.has_dynamic_band()
    }

    /// The book knows how to tell without a division.
    #[inline(always)]
    fn is_on_tick(&self, price: Price) -> bool {
        match &self.book {
            Some(book) => book.is_on_tick(price),
            None => price.raw() % self.tick.raw() == 0,
        }
    }
}
