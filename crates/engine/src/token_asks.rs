//! The asks that a token order walks over: those of the books, which it takes, or those of a dry walk.

use joulebook_book::Slot;
use joulebook_protocol::CancelReason;
use joulebook_types::{MicroEc, Price, Side};

use crate::cancel::Requester;
use crate::dry_walk::{DryWalk, Front};
use crate::instruments::InstrumentIx;
use crate::matching::Taker;
use crate::token_walk::Asks;
use crate::{Engine, Events};

/// Buys what the walk takes.
pub(crate) struct Buying<'a> {
    pub(crate) engine: &'a mut Engine,
    pub(crate) taker: Taker,
    pub(crate) notional: MicroEc,
    pub(crate) fees: MicroEc,
    pub(crate) fills: u32,
    pub(crate) out: &'a mut Events,
}

impl Asks for Buying<'_> {
    #[inline(always)]
    fn engine(&self) -> &Engine {
        self.engine
    }

    #[inline(always)]
    fn credits(&self) -> MicroEc {
        self.engine.ledger.credits(self.taker.account).free
    }

    #[inline(always)]
    fn best(&mut self, ix: InstrumentIx) -> Option<Price> {
        self.engine.instruments[ix].book().best(Side::Sell)
    }

    #[inline(always)]
    fn next(&mut self, ix: InstrumentIx) -> Front {
        Front::of_book(self.engine, ix, Side::Buy).expect("a book with a best price has a maker")
    }

    #[inline(always)]
    fn take(&mut self, ix: InstrumentIx, front: &Front, lots: u32) {
        self.taker.instrument = ix;
        // It counts tokens, not lots: no lots are left open beyond the fill in hand.
        self.taker.leaves = lots;
        let (notional, fee) = self.engine.trade(&mut self.taker, front.maker, lots, self.out);
        self.notional += notional;
        self.fees += fee;
        self.fills += 1;
    }

    fn cancel_own(&mut self, _: InstrumentIx, maker: Slot) {
        self.engine.cancel_open_order(maker, CancelReason::SelfTrade, Requester::NOBODY, self.out);
    }
}

/// Only says what would be bought.
pub(crate) struct Planning<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) walk: &'a mut DryWalk,
    pub(crate) credits: MicroEc,
}

impl Asks for Planning<'_> {
    fn engine(&self) -> &Engine {
        self.engine
    }

    fn credits(&self) -> MicroEc {
        self.credits
    }

    fn best(&mut self, ix: InstrumentIx) -> Option<Price> {
        let book = self.walk.open_once(self.engine, ix, Side::Buy);
        self.walk.front(self.engine, book).map(|front| front.price)
    }

    fn next(&mut self, ix: InstrumentIx) -> Front {
        let book = self.walk.open_once(self.engine, ix, Side::Buy);
        self.walk.front(self.engine, book).expect("a book with a best price has a maker")
    }

    fn take(&mut self, ix: InstrumentIx, front: &Front, lots: u32) {
        let cost = self.engine.instruments[ix].taker_cost(front.price, lots).expect("it is affordable");
        self.credits -= cost;
        let book = self.walk.open_once(self.engine, ix, Side::Buy);
        self.walk.take(self.engine, book, lots);
    }

    fn cancel_own(&mut self, ix: InstrumentIx, _: Slot) {
        let book = self.walk.open_once(self.engine, ix, Side::Buy);
        self.walk.skip(self.engine, book);
    }
}
