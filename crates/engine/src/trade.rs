//! One trade: what moves in the ledger, what leaves the book, and who is told.

use joulebook_book::{Filled, LevelTotal, Order, Slot};
use joulebook_ledger::{AccountIx, Settlement, fee};
use joulebook_protocol::messages::{BookUpdate, OrderFilled, Trade};
use joulebook_types::{InstrumentId, MicroEc, OrderId, Price, Qty, Side, TimeNs, TradeId};

use crate::holds::Promise;
use crate::hooks::MakerFill;
use crate::instruments::InstrumentIx;
use crate::matching::{Funding, Taker};
use crate::orders::Owner;
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
}

/// Liquidity flags of `OrderFilled`.
const MAKER: u8 = 1;
const TAKER: u8 = 2;

impl Engine {
    /// Takes `lots` from `front`, the best maker of the other side, which shows at least as many. Returns notional and
    /// taker's fee.
    pub(crate) fn trade(
        &mut self,
        taker: &mut Taker,
        front: Slot,
        lots: u32,
        out: &mut Events,
    ) -> (MicroEc, MicroEc) {
        let maker = self.maker_at(front);
        let figures = self.figures(taker, &maker, lots);
        self.settle_trade(taker, &maker, &figures);
        let book = self.instruments[taker.instrument].book_mut();
        let filled = book.fill_front(&mut self.orders.slab, front, lots);
        taker.leaves -= lots;
        self.report_trade(taker, &maker, filled, &figures, out);
        self.note_print(taker.instrument, figures.price);
        self.finish_fill(&maker, &figures, out);
        self.after_taker_fill(taker, out);
        (figures.notional, figures.taker_fee)
    }

    #[inline(always)]
    fn maker_at(&self, slot: Slot) -> Maker {
        let order = &self.orders.slab[slot];
        Maker {
            slot,
            order_id: order.order_id,
            account: AccountIx::new(order.account),
            side: order.side,
            price: order.price,
            shown: order.leaves,
            leaves: order.total_leaves(),
        }
    }

    /// Numbers the trade and says what it costs.
    #[inline(always)]
    fn figures(&mut self, taker: &Taker, maker: &Maker, lots: u32) -> Figures {
        let instrument = &self.instruments[taker.instrument];
        let qty = Qty::from(lots);
        let notional = instrument.lot.notional(maker.price, qty).expect("the buyer's hold covers it");
        self.last_trade_id = self.last_trade_id.next();
        Figures {
            trade_id: self.last_trade_id,
            price: maker.price,
            lots,
            notional,
            maker_fee: fee(notional, instrument.maker_fee_ppm),
            taker_fee: fee(notional, instrument.taker_fee_ppm),
        }
    }

    /// The maker's next slice, its end, and what its fill causes.
    #[inline(always)]
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

    #[inline(always)]
    fn settle_trade(&mut self, taker: &Taker, maker: &Maker, figures: &Figures) {
        let ((buyer, buyer_fee), (seller, seller_fee)) = match taker.side {
            Side::Buy => ((taker.account, figures.taker_fee), (maker.account, figures.maker_fee)),
            Side::Sell => ((maker.account, figures.maker_fee), (taker.account, figures.taker_fee)),
        };
        let instrument = &self.instruments[taker.instrument];
        let Figures { price, lots, notional, .. } = *figures;
        let taken = Promise { lots, ..taker.promise() };
        // What a taker holds is counted at its own limit.
        let at_limit = match (taker.holds(), taker.limit == price) {
            (false, _) => MicroEc::ZERO,
            (true, true) => notional,
            (true, false) => self.value(&taken),
        };
        let buyer_release = match (taker.side, taker.funding) {
            (Side::Sell, _) => instrument.released(notional, price, maker.leaves, lots),
            (Side::Buy, Funding::Hold) => instrument.released(at_limit, taker.limit, taker.leaves, lots),
            (Side::Buy, Funding::FreeCredits) => {
                let cost = notional + buyer_fee;
                self.ledger.hold_credits(buyer, cost).expect("the lots were cut to what the credits pay for");
                cost
            }
        };
        self.ledger.settle(&Settlement {
            buyer,
            seller,
            assets: &instrument.assets,
            accelerators: instrument.accelerators(lots),
            notional,
            buyer_fee,
            seller_fee,
            buyer_release,
        });
        let given = Promise { account: maker.account, side: maker.side, limit: maker.price, ..taken };
        // The maker trades at its own limit, so what it gave is worth what was paid.
        self.uncount_open_value(&given, notional);
        if taker.holds() {
            self.uncount_open_value(&taken, at_limit);
        }
    }

    /// The trade for everybody, the fill for the maker, the fill for the taker, and the book without what traded.
    #[inline(always)]
    fn report_trade(
        &mut self,
        taker: &Taker,
        maker: &Maker,
        filled: Filled,
        figures: &Figures,
        out: &mut Events,
    ) {
        let instrument = self.instruments[taker.instrument].id;
        let Figures { trade_id, price, lots: qty, .. } = *figures;
        let trade = Trade {
            time: self.time,
            trade_id,
            price,
            maker_order_id: maker.order_id,
            instrument,
            qty,
            aggressor: taker.side.raw(),
            ..Default::default()
        };
        self.publish(trade, out);
        let Owner { session, client_order_id } = *self.orders.owner(filled.maker);
        let fill = OrderFilled { trade_id, price, instrument, qty, ..Default::default() };
        let maker_fill = OrderFilled {
            client_order_id,
            order_id: maker.order_id,
            fee: figures.maker_fee,
            leaves_qty: maker.leaves - qty,
            side: maker.side.raw(),
            liquidity: MAKER,
            ..fill
        };
        self.tell(session, maker_fill, out);
        let taker_fill = OrderFilled {
            client_order_id: taker.client_order_id,
            order_id: taker.order_id,
            fee: figures.taker_fee,
            leaves_qty: taker.leaves,
            side: taker.side.raw(),
            liquidity: TAKER,
            ..fill
        };
        self.tell(taker.session, taker_fill, out);
        let update = BookUpdate {
            time: self.time,
            order_id: maker.order_id,
            price,
            level_qty: filled.level.qty.raw(),
            instrument,
            leaves_qty: maker.shown - qty,
            level_orders: filled.level.orders,
            side: maker.side.raw(),
            action: BookUpdate::FILLED,
            ..Default::default()
        };
        self.publish(update, out);
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
