//! What orders would get if they took now, found before any effect.
//!
//! A [`DryWalk`] goes through one book or several exactly as matching would: best price first, first in first out,
//! slices of icebergs as they are renewed, quotes until their protection would pull them. Nothing changes meanwhile.
//!
//! Fill-or-kill and minimum quantity ask [`Engine::dry_fill`] about one order. Whoever takes from several books at once
//! takes the walk out of the engine (`core::mem::take`), calls [`DryWalk::begin`] once, and then either
//! [`DryWalk::fill`] for each order in turn, or [`DryWalk::open`] for each book and [`DryWalk::front`],
//! [`DryWalk::take`] and [`DryWalk::skip`] for each maker, and puts the walk back. All books of one walk share what
//! protections have seen of it, so they must be walked in the order in which they will be matched.

use std::collections::VecDeque;

use joulebook_book::{Slot, reaches};
use joulebook_ledger::AccountIx;
use joulebook_types::{ClassCode, MicroEc, Price, Qty, SelfTradeMode, Side};

use crate::Engine;
use crate::accounts::TradeGroup;
use crate::bands::Reach;
use crate::instruments::InstrumentIx;
use crate::protection::Allowance;

/// An order as far as a dry walk needs to know it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DryOrder {
    pub(crate) instrument: InstrumentIx,
    pub(crate) side: Side,
    /// The worst price at which it trades.
    pub(crate) limit: Price,
    pub(crate) lots: u32,
    pub(crate) trade_group: TradeGroup,
    pub(crate) self_trade: SelfTradeMode,
    /// What pays for the trades of a buyer that holds nothing; `None`: it holds enough.
    pub(crate) credits: Option<MicroEc>,
}

/// What an order would get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DryFill {
    /// Lots that would trade.
    pub(crate) traded: u32,
    /// Lots that would neither trade nor be taken off because they met the order's own group.
    pub(crate) left: u32,
    /// Of all trades, in micro-EC, fees excluded.
    pub(crate) notional: i128,
}

/// The maker that a taker would meet next in a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Front {
    pub(crate) maker: Slot,
    pub(crate) price: Price,
    /// Lots of its slice that are left.
    pub(crate) lots: u32,
    /// All its lots that are left.
    pub(crate) total: u32,
    pub(crate) trade_group: u64,
}

impl Front {
    /// The maker that a taker of `side` meets first.
    #[inline]
    pub(crate) fn of_book(engine: &Engine, ix: InstrumentIx, side: Side) -> Option<Self> {
        let maker = engine.instruments[ix].book().front(&engine.orders.slab, side.opposite())?;
        let order = &engine.orders.slab[maker];
        let (price, lots, total) = (order.price, order.leaves, order.total_leaves());
        Some(Self { maker, price, lots, total, trade_group: order.trade_group })
    }
}

/// The memory of a walk, used again by the next.
#[derive(Debug, Default)]
pub(crate) struct DryWalk {
    books: Vec<BookWalk>,
    /// How many of `books` this walk uses.
    used: usize,
    protections: Vec<Protected>,
}

/// One side of a book, and how far the walk is.
#[derive(Debug)]
struct BookWalk {
    instrument: InstrumentIx,
    /// Of the taker.
    side: Side,
    current: Option<Slice>,
    next: Next,
    /// Icebergs at the current price whose slices are used up, and their hidden lots, in the order of renewal.
    renewed: VecDeque<(Slot, u32)>,
}

/// The first maker in the book that the walk has not met. Most walks over several books never get to ask a book for its
/// second maker.
#[derive(Clone, Copy, Debug)]
enum Next {
    Known(Option<Slot>),
    /// The one behind this one.
    After(Slot),
}

#[derive(Clone, Copy, Debug)]
struct Slice {
    maker: Slot,
    price: Price,
    shown: u32,
    hidden: u32,
}

/// What is left of a protection's allowance after the walk's fills.
#[derive(Clone, Copy, Debug)]
struct Protected {
    account: AccountIx,
    class: ClassCode,
    allowance: Option<Allowance>,
    frozen: bool,
}

impl DryWalk {
    /// Forgets the walk before.
    pub(crate) fn begin(&mut self) {
        self.used = 0;
        self.protections.clear();
    }

    /// Opens the book that a taker of `side` would take from and returns its number in this walk.
    pub(crate) fn open(&mut self, engine: &Engine, ix: InstrumentIx, side: Side) -> usize {
        let next = engine.instruments[ix].book().front(&engine.orders.slab, side.opposite());
        let next = Next::Known(next);
        if self.used == self.books.len() {
            let renewed = VecDeque::new();
            self.books.push(BookWalk { instrument: ix, side, current: None, next, renewed });
        } else {
            let book = &mut self.books[self.used];
            book.renewed.clear();
            (book.instrument, book.side, book.current, book.next) = (ix, side, None, next);
        }
        self.books[self.used].advance(engine);
        self.used += 1;
        self.used - 1
    }

    /// The same, but a book that is open already goes on from where the walk is.
    pub(crate) fn open_once(&mut self, engine: &Engine, ix: InstrumentIx, side: Side) -> usize {
        let open = &self.books[..self.used];
        let known = open.iter().position(|book| book.instrument == ix && book.side == side);
        known.unwrap_or_else(|| self.open(engine, ix, side))
    }

    /// The maker that is next in a book; quotes that the walk's own fills would have pulled are gone.
    pub(crate) fn front(&mut self, engine: &Engine, book: usize) -> Option<Front> {
        loop {
            let Slice { maker, price, shown: lots, hidden } = self.books[book].current?;
            let order = &engine.orders.slab[maker];
            // Without a look at the order's other half as long as no quote was taken from.
            let may_be_frozen = !self.protections.is_empty();
            let frozen = may_be_frozen && engine.orders.terms(maker).is_quote && {
                let class = engine.instruments[self.books[book].instrument].product.class;
                self.is_frozen(AccountIx::new(order.account), class)
            };
            if !frozen {
                let (total, trade_group) = (lots + hidden, order.trade_group);
                return Some(Front { maker, price, lots, total, trade_group });
            }
            self.skip(engine, book);
        }
    }

    /// Takes lots from the maker that is next, which shows at least as many.
    pub(crate) fn take(&mut self, engine: &Engine, book: usize, lots: u32) {
        let walk = &mut self.books[book];
        let ix = walk.instrument;
        let slice = walk.current.as_mut().expect("only a maker that was met is taken from");
        assert!(0 < lots && lots <= slice.shown, "a fill is at most what the maker shows");
        slice.shown -= lots;
        let Slice { maker, price, shown, .. } = *slice;
        if shown == 0 {
            walk.advance(engine);
        }
        if engine.orders.terms(maker).is_quote {
            self.count_fill(engine, maker, ix, price, lots);
        }
    }

    /// Passes over the maker that is next: it would be canceled.
    pub(crate) fn skip(&mut self, engine: &Engine, book: usize) {
        let walk = &mut self.books[book];
        let slice = walk.current.as_mut().expect("only a maker that was met is passed over");
        slice.hidden = 0;
        walk.advance(engine);
    }

    /// Walks one book for one order, as matching would.
    pub(crate) fn fill(&mut self, engine: &Engine, order: &DryOrder) -> DryFill {
        let book = self.open(engine, order.instrument, order.side);
        self.fill_from(engine, book, order)
    }

    /// The same from where the walk is in an open book.
    pub(crate) fn fill_from(&mut self, engine: &Engine, book: usize, order: &DryOrder) -> DryFill {
        let bound = engine.trade_bound(order.instrument, order.side);
        let instrument = &engine.instruments[order.instrument];
        let mut fill = DryFill { left: order.lots, ..DryFill::default() };
        let mut credits = order.credits;
        while fill.left > 0 {
            let Some(front) = self.front(engine, book) else { break };
            let within = bound.reach(order.side, front.price) == Reach::Within;
            if !within || !reaches(order.side, order.limit, front.price) {
                break;
            }
            if front.trade_group == order.trade_group.0 {
                match order.self_trade {
                    SelfTradeMode::CancelAggressor | SelfTradeMode::CancelBoth => break,
                    SelfTradeMode::CancelResting => {}
                    SelfTradeMode::Decrement => fill.left -= fill.left.min(front.total),
                }
                self.skip(engine, book);
                continue;
            }
            let mut lots = fill.left.min(front.lots);
            if let Some(credits) = &mut credits {
                lots = instrument.affordable(front.price, lots, *credits);
                if lots == 0 {
                    break;
                }
                *credits -= instrument.taker_cost(front.price, lots).expect("it is affordable");
            }
            let notional = instrument.lot.notional(front.price, Qty::from(lots));
            fill.notional += i128::from(notional.expect("the maker's hold covers it").raw());
            fill.traded += lots;
            fill.left -= lots;
            self.take(engine, book, lots);
        }
        fill
    }

    fn is_frozen(&self, account: AccountIx, class: ClassCode) -> bool {
        self.protections.iter().any(|known| known.frozen && known.account == account && known.class == class)
    }

    fn count_fill(&mut self, engine: &Engine, maker: Slot, ix: InstrumentIx, price: Price, lots: u32) {
        let account = AccountIx::new(engine.orders.slab[maker].account);
        let instrument = &engine.instruments[ix];
        let class = instrument.product.class;
        let known =
            self.protections.iter().position(|known| known.account == account && known.class == class);
        let index = known.unwrap_or_else(|| {
            let allowance = engine.protection_allowance(account, class);
            self.protections.push(Protected { account, class, allowance, frozen: false });
            self.protections.len() - 1
        });
        let protected = &mut self.protections[index];
        if let Some(allowance) = &mut protected.allowance {
            let notional = instrument.lot.notional(price, Qty::from(lots)).expect("the hold covers it");
            protected.frozen |= allowance.use_up(lots, notional);
        }
    }
}

impl BookWalk {
    /// Goes on to the maker behind the current one. An iceberg's next slice stands behind all that rest at its price.
    fn advance(&mut self, engine: &Engine) {
        let slab = &engine.orders.slab;
        let unmet = match self.next {
            Next::Known(next) => next,
            Next::After(maker) => engine.instruments[self.instrument].book().maker_after(slab, maker),
        };
        self.next = Next::Known(unmet);
        let mut next = unmet;
        if let Some(Slice { maker, price, hidden, .. }) = self.current.take() {
            if hidden > 0 {
                self.renewed.push_back((maker, hidden));
            }
            next = next.filter(|slot| slab[*slot].price == price);
            if next.is_none()
                && let Some((maker, hidden)) = self.renewed.pop_front()
            {
                let shown = hidden.min(engine.orders.terms(maker).display());
                self.current = Some(Slice { maker, price, shown, hidden: hidden - shown });
                return;
            }
        }
        let Some(maker) = unmet else { return };
        let order = &slab[maker];
        self.next = Next::After(maker);
        self.current = Some(Slice { maker, price: order.price, shown: order.leaves, hidden: order.hidden });
    }
}

impl Engine {
    /// What one order would get now.
    pub(crate) fn dry_fill(&mut self, order: &DryOrder) -> DryFill {
        let mut walk = core::mem::take(&mut self.dry_walk);
        walk.begin();
        let fill = walk.fill(self, order);
        self.dry_walk = walk;
        fill
    }
}
