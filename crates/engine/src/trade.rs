//! One trade: what moves in the ledger, what leaves the book, and who is told.

use joulebook_book::{LevelTotal, Order, Slot};
use joulebook_ledger::{AccountIx, Ledger, Settlement, fee};
use joulebook_protocol::messages::{BookUpdate, OrderFilled, Trade};
use joulebook_types::{InstrumentId, MicroEc, OrderId, Price, Qty, Side, TimeNs, TradeId};

use crate::hooks::MakerFill;
use crate::instruments::{Instrument, InstrumentIx};
use crate::matching::{Funding, Taker};
use crate::orders::{Listed, Orders, Owner};
use crate::tell::{Teller, TradeEvents};
use crate::{Engine, Events};

/// What a trade costs whom.
#[derive(Clone, Copy, Debug)]
struct Figures {
    trade_id: TradeId,
    price: Price,
    lots: u32,
    notional: MicroEc,
    maker_fee: MicroEc,
    taker_fee: MicroEc,
}

/// The resting order of a trade as it was before: what the trade needs of it, read once.
#[derive(Clone, Copy, Debug)]
struct Maker {
    slot: Slot,
    order_id: OrderId,
    account: AccountIx,
    side: Side,
    price: Price,
    /// Lots that showed.
    shown: u32,
    /// All open lots.
    leaves: u32,
    owner: Owner,
    listed: Listed,
    /// Whether what becomes of it concerns no other order, no date, no quote, and no hidden lots.
    is_alone: bool,
}

/// Liquidity flags of `OrderFilled`.
const MAKER: u8 = 1;
const TAKER: u8 = 2;

impl Engine {
    /// Takes `lots` from `front`, the best maker of the other side, which shows at least as many. Returns notional and
    /// taker's fee. Whom the taker meets next stays known only if nothing but this maker left the book.
    ///
    /// Every record is borrowed once, from the instrument to both sessions. What a maker's fill causes beyond itself comes
    /// when all of them are given back. A function of its own, in which the engine stays in a register.
    #[inline(never)]
    pub(crate) fn trade(
        &mut self,
        taker: &mut Taker,
        front: Slot,
        lots: u32,
        out: &mut Events,
    ) -> (MicroEc, MicroEc) {
        let maker = Maker::at(&self.orders, front);
        self.orders.prepare_unlisting(maker.listed);
        let instrument = &mut self.instruments[taker.instrument];
        self.last_trade_id = self.last_trade_id.next();
        let figures = Figures::of(instrument, self.last_trade_id, &maker, lots);
        let at_limit = settle(&mut self.ledger, instrument, taker, &maker, &figures);
        taker.leaves -= lots;
        let book = instrument.book_mut();
        let ends = maker.is_alone && lots == maker.leaves;
        let level = match ends {
            true => book.withdraw(&mut self.orders.slab, front),
            false => book.fill_front(&mut self.orders.slab, front, lots).level,
        };
        // While this trade is told, what the next one reads first comes.
        if let Some(next) = taker.meets_next
            && let Some(order) = self.orders.slab.get(next)
        {
            self.ledger.prepare_position(AccountIx::new(order.account), &instrument.assets);
        }
        let Self { time, received, tells_all, ref mut hash, ref mut outbox, .. } = *self;
        let mut teller = Teller { time, received, tells_all, hash, outbox };
        let fill = Fill { instrument: instrument.id, taker, maker: &maker, figures: &figures };
        teller.tell_trade(
            &mut self.sessions,
            (maker.owner.session, taker.session),
            fill.events(time, level),
            out,
        );
        let account = &mut self.accounts[maker.account];
        // The maker trades at its own limit, so what it gave is worth what was paid.
        account.open_value -= i128::from(figures.notional.raw());
        if ends {
            account.open_orders -= 1;
            let list = &mut self.sessions[maker.owner.session].orders;
            self.orders.unlist(list, maker.order_id, maker.listed);
        } else {
            taker.meets_next = None;
        }
        self.accounts[taker.account].open_value -= i128::from(at_limit.raw());
        instrument.prices.print(figures.price, self.step, time, instrument.bands.velocity_window_ms);
        // Stops that the print reaches will act when the order in hand is done.
        self.stops.note_print(taker.instrument, figures.price);
        self.uncount_bids(taker, maker.account, lots);
        match ends {
            true => self.note_closed(maker.account, taker.instrument),
            false if maker.is_alone => {}
            // Copies, so that what others trade need not lie in memory.
            false => self.finish_fill(&{ maker }, &{ figures }, out),
        }
        self.after_taker_fill(taker, out);
        (figures.notional, figures.taker_fee)
    }

    /// The open bids of the buyer's account, if it has a cap on them, are fewer by what traded.
    #[inline(always)]
    fn uncount_bids(&mut self, taker: &Taker, maker: AccountIx, lots: u32) {
        let buyer = match taker.side {
            Side::Buy if !taker.holds() => return,
            Side::Buy => taker.account,
            Side::Sell => maker,
        };
        if self.accounts[buyer].limits.window_accelerators_max != 0 {
            self.uncount_lots_bid(buyer, taker.instrument, lots);
        }
    }

    /// The maker's next slice, its end, and what its fill causes.
    #[inline(never)]
    fn finish_fill(&mut self, maker: &Maker, figures: &Figures, out: &mut Events) {
        let slot = maker.slot;
        let quote_fill = match self.orders.terms(slot).is_quote {
            true => Some(self.fill_of_quote(maker, figures)),
            false => None,
        };
        let is_open = figures.lots < maker.leaves;
        if !is_open {
            self.close_order(slot, out);
        } else if figures.lots == maker.shown {
            let display = self.orders.terms(slot).display();
            self.orders.slab.renew(slot, display);
            self.join_queue(slot, out);
        }
        self.after_maker_fill(slot, is_open, quote_fill.as_ref(), out);
    }

    /// Only quotes are told apart by more than their slot: others need no copy of what they were.
    #[cold]
    fn fill_of_quote(&self, maker: &Maker, figures: &Figures) -> MakerFill {
        let (slot, Figures { lots, notional, .. }) = (maker.slot, *figures);
        let mut order = self.orders.slab[slot];
        // As before the fill, which took what showed.
        order.leaves = maker.shown;
        MakerFill {
            slot,
            order,
            owner: *self.orders.owner(slot),
            terms: *self.orders.terms(slot),
            lots,
            notional,
        }
    }

    /// Publishes a change of a resting order.
    #[inline(always)]
    pub(crate) fn publish_book_update(
        &mut self,
        order: &Order,
        leaves: u32,
        level: LevelTotal,
        action: u8,
        out: &mut Events,
    ) {
        let instrument = self.instruments[InstrumentIx::new(order.instrument)].id;
        let update = book_update((self.time, instrument), order, leaves, level, action);
        self.publish(update, out);
    }

    /// The same of an order that is still in the slab.
    #[inline(always)]
    pub(crate) fn publish_change(
        &mut self,
        slot: Slot,
        leaves: u32,
        level: LevelTotal,
        action: u8,
        out: &mut Events,
    ) {
        let order = &self.orders.slab[slot];
        let instrument = self.instruments[InstrumentIx::new(order.instrument)].id;
        let update = book_update((self.time, instrument), order, leaves, level, action);
        self.publish(update, out);
    }
}

impl Maker {
    #[inline(always)]
    fn at(orders: &Orders, slot: Slot) -> Self {
        let order = &orders.slab[slot];
        let (owner, listed, concerns_nobody) = orders.of_maker(slot);
        Self {
            slot,
            order_id: order.order_id,
            account: AccountIx::new(order.account),
            side: order.side,
            price: order.price,
            shown: order.leaves,
            leaves: order.total_leaves(),
            owner,
            listed,
            is_alone: concerns_nobody && order.hidden == 0,
        }
    }
}

impl Figures {
    #[inline(always)]
    fn of(instrument: &Instrument, trade_id: TradeId, maker: &Maker, lots: u32) -> Self {
        let qty = Qty::from(lots);
        let notional = instrument.lot.notional(maker.price, qty).expect("the buyer's hold covers it");
        // Fees may be none at all, which one look tells.
        let (maker_fee, taker_fee) = match (instrument.maker_fee_ppm, instrument.taker_fee_ppm) {
            (0, 0) => (MicroEc::ZERO, MicroEc::ZERO),
            (of_maker, of_taker) => (fee(notional, of_maker), fee(notional, of_taker)),
        };
        Self { trade_id, price: maker.price, lots, notional, maker_fee, taker_fee }
    }
}

/// Moves what the trade moves. Returns what it takes off the value of the taker's open orders.
///
/// Parted by the taker's side once: who pays and who delivers, with which fees, is in registers on either way.
#[inline(always)]
fn settle(
    ledger: &mut Ledger,
    instrument: &Instrument,
    taker: &mut Taker,
    maker: &Maker,
    figures: &Figures,
) -> MicroEc {
    let Figures { lots, notional, maker_fee, taker_fee, .. } = *figures;
    let at_limit = worth_at_limit(instrument, taker, figures);
    let (assets, accelerators) = (&*instrument.assets, instrument.accelerators(lots));
    taker.position = match taker.side {
        Side::Buy => {
            let buyer_release = match taker.funding {
                Funding::Hold => instrument.released(at_limit, taker.limit, taker.leaves, lots),
                Funding::FreeCredits => {
                    let cost = notional + taker_fee;
                    let held = ledger.hold_credits(taker.account, cost);
                    held.expect("the lots were cut to what the credits pay for");
                    cost
                }
            };
            let (buyer, buyer_fee) = (taker.account, taker_fee);
            let (seller, seller_fee) = (maker.account, maker_fee);
            let settlement = Settlement {
                buyer,
                seller,
                assets,
                accelerators,
                notional,
                buyer_fee,
                seller_fee,
                buyer_release,
            };
            ledger.settle_near(&settlement, Side::Buy, taker.position)
        }
        Side::Sell => {
            let buyer_release = instrument.released(notional, maker.price, maker.leaves, lots);
            let (buyer, buyer_fee) = (maker.account, maker_fee);
            let (seller, seller_fee) = (taker.account, taker_fee);
            let settlement = Settlement {
                buyer,
                seller,
                assets,
                accelerators,
                notional,
                buyer_fee,
                seller_fee,
                buyer_release,
            };
            ledger.settle_near(&settlement, Side::Sell, taker.position)
        }
    };
    at_limit
}

/// What a taker holds is counted at its own limit.
#[inline(always)]
fn worth_at_limit(instrument: &Instrument, taker: &Taker, figures: &Figures) -> MicroEc {
    match (taker.holds(), taker.limit == figures.price) {
        (false, _) => MicroEc::ZERO,
        (true, true) => figures.notional,
        (true, false) => {
            let value = instrument.lot.notional(taker.limit, Qty::from(figures.lots));
            value.expect("it was checked on entry")
        }
    }
}

/// A trade as it is told, after the taker's lots were taken off.
#[derive(Clone, Copy)]
struct Fill<'a> {
    instrument: InstrumentId,
    taker: &'a Taker,
    maker: &'a Maker,
    figures: &'a Figures,
}

impl Fill<'_> {
    #[inline(always)]
    fn events(&self, time: TimeNs, level: LevelTotal) -> TradeEvents {
        TradeEvents {
            trade: self.trade(time),
            of_maker: self.of_maker(),
            of_taker: self.of_taker(),
            update: self.book_update(time, level),
        }
    }

    #[inline(always)]
    fn trade(&self, time: TimeNs) -> Trade {
        let Figures { trade_id, price, lots: qty, .. } = *self.figures;
        Trade {
            time,
            trade_id,
            price,
            maker_order_id: self.maker.order_id,
            instrument: self.instrument,
            qty,
            aggressor: self.taker.side.raw(),
            ..Default::default()
        }
    }

    #[inline(always)]
    fn of_maker(&self) -> OrderFilled {
        let maker = self.maker;
        OrderFilled {
            client_order_id: maker.owner.client_order_id,
            order_id: maker.order_id,
            fee: self.figures.maker_fee,
            leaves_qty: maker.leaves - self.figures.lots,
            side: maker.side.raw(),
            liquidity: MAKER,
            ..self.of_both()
        }
    }

    #[inline(always)]
    fn of_taker(&self) -> OrderFilled {
        let taker = self.taker;
        OrderFilled {
            client_order_id: taker.client_order_id,
            order_id: taker.order_id,
            fee: self.figures.taker_fee,
            leaves_qty: taker.leaves,
            side: taker.side.raw(),
            liquidity: TAKER,
            ..self.of_both()
        }
    }

    #[inline(always)]
    fn of_both(&self) -> OrderFilled {
        let Figures { trade_id, price, lots: qty, .. } = *self.figures;
        OrderFilled { trade_id, price, instrument: self.instrument, qty, ..Default::default() }
    }

    #[inline(always)]
    fn book_update(&self, time: TimeNs, level: LevelTotal) -> BookUpdate {
        let maker = self.maker;
        BookUpdate {
            time,
            order_id: maker.order_id,
            price: maker.price,
            level_qty: level.qty.raw(),
            instrument: self.instrument,
            leaves_qty: maker.shown - self.figures.lots,
            level_orders: level.orders,
            side: maker.side.raw(),
            action: BookUpdate::FILLED,
            ..Default::default()
        }
    }
}

/// A change of a resting order; `leaves` and `level` are as of after it, and count what shows.
#[inline(always)]
pub(crate) fn book_update(
    (time, instrument): (TimeNs, InstrumentId),
    order: &Order,
    leaves: u32,
    level: LevelTotal,
    action: u8,
) -> BookUpdate {
    BookUpdate {
        time,
        order_id: order.order_id,
        price: order.price,
        level_qty: level.qty.raw(),
        instrument,
        leaves_qty: leaves,
        level_orders: level.orders,
        side: order.side.raw(),
        action,
        ..Default::default()
    }
}
