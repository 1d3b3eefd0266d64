//! One trade: what moves in the ledger, what leaves the book, and who is told.

use joulebook_book::{Filled, LevelTotal, Order, Slot};
use joulebook_ledger::{AccountIx, Settlement, fee};
use joulebook_protocol::messages::{BookUpdate, OrderFilled, Trade};
use joulebook_types::{InstrumentId, MicroEc, Price, Qty, Side, TimeNs, TradeId};

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

/// Liquidity flags of `OrderFilled`.
const MAKER: u8 = 1;
const TAKER: u8 = 2;

impl Engine {
    /// Takes `lots` from the best maker of the other side, who shows at least as many. Returns notional and taker's fee.
    pub(crate) fn trade(&mut self, taker: &mut Taker, lots: u32, out: &mut Events) -> (MicroEc, MicroEc) {
        let instrument = &self.instruments[taker.instrument];
        let slot =
            instrument.book().front(&self.orders.slab, taker.side.opposite()).expect("a trade has a maker");
        let maker = self.orders.slab[slot];
        let qty = Qty::from(lots);
        let notional = instrument.lot.notional(maker.price, qty).expect("the buyer's hold covers it");
        self.last_trade_id = self.last_trade_id.next();
        let figures = Figures {
            trade_id: self.last_trade_id,
            price: maker.price,
            lots,
            notional,
            maker_fee: fee(notional, instrument.maker_fee_ppm),
            taker_fee: fee(notional, instrument.taker_fee_ppm),
        };
        self.settle_trade(taker, &maker, &figures);
        let book = self.instruments[taker.instrument].book_mut();
        let filled = book.fill_front(&mut self.orders.slab, slot, lots);
        taker.leaves -= lots;
        self.report_trade(taker, &maker, filled, &figures, out);
        self.note_print(taker.instrument, maker.price);
        self.finish_fill(slot, &maker, &figures, out);
        self.after_taker_fill(taker, out);
        (notional, figures.taker_fee)
    }

    /// The maker's next slice, its end, and what its fill causes.
    fn finish_fill(&mut self, slot: Slot, maker: &Order, figures: &Figures, out: &mut Events) {
        let quote_fill = self.orders.terms(slot).is_quote.then(|| self.fill_of_quote(slot, maker, figures));
        if figures.lots == maker.leaves {
            if maker.hidden > 0 {
                let display = self.orders.terms(slot).display();
                self.orders.slab.renew(slot, display);
                self.join_queue(slot, out);
            } else {
                self.close_order(slot, out);
            }
        }
        let is_open = figures.lots < maker.total_leaves();
        self.after_maker_fill(slot, is_open, quote_fill.as_ref(), out);
    }

    /// Only quotes are told apart by more than their slot: others need no copy of what they were.
    #[cold]
    fn fill_of_quote(&self, slot: Slot, maker: &Order, figures: &Figures) -> MakerFill {
        let (owner, terms) = (*self.orders.owner(slot), *self.orders.terms(slot));
        let Figures { lots, notional, .. } = *figures;
        MakerFill { slot, order: *maker, owner, terms, lots, notional }
    }

    fn settle_trade(&mut self, taker: &Taker, maker: &Order, figures: &Figures) {
        let maker_account = AccountIx::new(maker.account);
        let ((buyer, buyer_fee), (seller, seller_fee)) = match taker.side {
            Side::Buy => ((taker.account, figures.taker_fee), (maker_account, figures.maker_fee)),
            Side::Sell => ((maker_account, figures.maker_fee), (taker.account, figures.taker_fee)),
        };
        let instrument = &self.instruments[taker.instrument];
        let lots = figures.lots;
        let buyer_release = match (taker.side, taker.funding) {
            (Side::Sell, _) => instrument.released(maker.price, maker.total_leaves(), lots),
            (Side::Buy, Funding::Hold) => instrument.released(taker.limit, taker.leaves, lots),
            (Side::Buy, Funding::FreeCredits) => {
                let cost = figures.notional + buyer_fee;
                self.ledger.hold_credits(buyer, cost).expect("the lots were cut to what the credits pay for");
                cost
            }
        };
        self.ledger.settle(&Settlement {
            buyer,
            seller,
            assets: &instrument.assets,
            accelerators: instrument.accelerators(lots),
            notional: figures.notional,
            buyer_fee,
            seller_fee,
            buyer_release,
        });
        let given =
            Promise { account: maker_account, side: maker.side, limit: maker.price, ..taker.promise() };
        // The maker trades at its own limit, so what it gave is worth what was paid.
        self.uncount_open_value(&Promise { lots, ..given }, figures.notional);
        if taker.holds() {
            self.uncount_open(&Promise { lots, ..taker.promise() });
        }
    }

    /// The trade for everybody, the fill for the maker, the fill for the taker, and the book without what traded.
    fn report_trade(
        &mut self,
        taker: &Taker,
        maker: &Order,
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
            leaves_qty: maker.total_leaves() - qty,
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
        let leaves = maker.leaves - qty;
        self.publish_book_update(maker, leaves, filled.level, BookUpdate::FILLED, out);
    }

    /// Publishes a change of a resting order.
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
#[inline]
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
