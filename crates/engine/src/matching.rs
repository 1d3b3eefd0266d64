//! Two orders meet: at the resting order's price, first come first served.

use joulebook_book::{Filled, LevelTotal, Order, Slot};
use joulebook_ledger::{AccountIx, Settlement, fee};
use joulebook_protocol::CancelReason;
use joulebook_protocol::messages::{BookUpdate, OrderFilled, Trade};
use joulebook_types::{ClientOrderId, MicroEc, OrderId, Price, Qty, Side, TimeNs, TradeId};

use crate::accounts::TradeGroup;
use crate::instruments::InstrumentIx;
use crate::sessions::SessionIx;
use crate::{Engine, Events};

/// The order in hand, while it takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taker {
    pub(crate) order_id: OrderId,
    /// Where it will rest; `None` for orders that never do.
    pub(crate) slot: Option<Slot>,
    pub(crate) session: SessionIx,
    pub(crate) client_order_id: ClientOrderId,
    pub(crate) account: AccountIx,
    pub(crate) trade_group: TradeGroup,
    pub(crate) instrument: InstrumentIx,
    pub(crate) side: Side,
    pub(crate) limit: Price,
    pub(crate) qty: u32,
    pub(crate) leaves: u32,
    pub(crate) funding: Funding,
}

/// Where a taker's part of a trade comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Funding {
    /// From the hold on all its leaves.
    Hold,
    /// A buyer pays each trade from its free credits: it has no limit price that a hold could be based on.
    FreeCredits,
}

/// Why a taker stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Filled,
    /// Nothing is left that it reaches.
    NothingReached,
    /// The next maker is of its own group.
    SelfTrade,
}

/// What a trade costs whom.
#[derive(Clone, Copy, Debug)]
struct Terms {
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
    /// Trades until the taker is filled, reaches nothing more, or meets its own group.
    pub(crate) fn match_taker(&mut self, taker: &mut Taker, out: &mut Events) -> Stop {
        while taker.leaves > 0 {
            let book = self.instruments[taker.instrument].book();
            if !book.crosses(taker.side, taker.limit) {
                return Stop::NothingReached;
            }
            let front = book.front(taker.side.opposite()).expect("a side that is crossed has orders");
            let maker = &self.orders.slab[front];
            if maker.trade_group == taker.trade_group.0 {
                return Stop::SelfTrade;
            }
            let lots = taker.leaves.min(maker.leaves);
            self.trade(taker, lots, out);
        }
        Stop::Filled
    }

    /// Lots that an order would get at once, up to `wanted`: across makers and levels, to the first of its own group.
    pub(crate) fn fillable(
        &self,
        ix: InstrumentIx,
        side: Side,
        limit: Price,
        wanted: u32,
        group: TradeGroup,
    ) -> u32 {
        let mut fillable = 0u32;
        for slot in self.instruments[ix].book().makers(&self.orders.slab, side.opposite()) {
            let maker = &self.orders.slab[slot];
            let reached = match side {
                Side::Buy => maker.price <= limit,
                Side::Sell => maker.price >= limit,
            };
            if fillable >= wanted || !reached || maker.trade_group == group.0 {
                break;
            }
            fillable = fillable.saturating_add(maker.leaves);
        }
        fillable.min(wanted)
    }

    /// What becomes of a taker that stopped: gone, canceled, or resting.
    pub(crate) fn finish_taker(&mut self, taker: &Taker, stop: Stop, out: &mut Events) {
        match (stop, taker.slot) {
            (Stop::Filled, None) => {}
            (Stop::Filled, Some(slot)) => self.orders.close(&mut self.sessions, slot),
            (Stop::SelfTrade, _) => self.cancel_remainder(taker, CancelReason::SelfTrade, out),
            (Stop::NothingReached, None) => {
                self.cancel_remainder(taker, CancelReason::ImmediateRemainder, out);
            }
            (Stop::NothingReached, Some(slot)) => self.rest(taker, slot, out),
        }
    }

    /// Takes `lots` from the best maker of the other side, who has at least as many. Returns notional and taker's fee.
    pub(crate) fn trade(&mut self, taker: &mut Taker, lots: u32, out: &mut Events) -> (MicroEc, MicroEc) {
        let instrument = &self.instruments[taker.instrument];
        let slot = instrument.book().front(taker.side.opposite()).expect("a trade has a maker");
        let maker = self.orders.slab[slot];
        let qty = Qty::from(lots);
        let notional = instrument.lot.notional(maker.price, qty).expect("the buyer's hold covers it");
        self.last_trade_id = self.last_trade_id.next();
        let terms = Terms {
            trade_id: self.last_trade_id,
            price: maker.price,
            lots,
            notional,
            maker_fee: fee(notional, instrument.maker_fee_ppm),
            taker_fee: fee(notional, instrument.taker_fee_ppm),
        };
        self.settle_trade(taker, &maker, &terms);
        let book = self.instruments[taker.instrument].book_mut();
        let filled = book.fill_front(&mut self.orders.slab, maker.side, lots);
        taker.leaves -= lots;
        self.report_trade(taker, &maker, filled, &terms, out);
        if lots == maker.leaves {
            self.orders.close(&mut self.sessions, slot);
        }
        (notional, terms.taker_fee)
    }

    fn settle_trade(&mut self, taker: &Taker, maker: &Order, terms: &Terms) {
        let maker_account = AccountIx::new(maker.account);
        let ((buyer, buyer_fee), (seller, seller_fee)) = match taker.side {
            Side::Buy => ((taker.account, terms.taker_fee), (maker_account, terms.maker_fee)),
            Side::Sell => ((maker_account, terms.maker_fee), (taker.account, terms.taker_fee)),
        };
        let instrument = &self.instruments[taker.instrument];
        let released = |limit, leaves: u32| {
            let hold = |leaves| instrument.bid_hold(limit, leaves).expect("an open order has a hold");
            hold(leaves) - hold(leaves - terms.lots)
        };
        let buyer_release = match (taker.side, taker.funding) {
            (Side::Sell, _) => released(maker.price, maker.leaves),
            (Side::Buy, Funding::Hold) => released(taker.limit, taker.leaves),
            (Side::Buy, Funding::FreeCredits) => {
                let cost = terms.notional + buyer_fee;
                self.ledger.hold_credits(buyer, cost).expect("the plan counted the credits");
                cost
            }
        };
        self.ledger.settle(&Settlement {
            buyer,
            seller,
            assets: &instrument.assets,
            accelerators: instrument.accelerators(terms.lots),
            notional: terms.notional,
            buyer_fee,
            seller_fee,
            buyer_release,
        });
    }

    /// The trade for everybody, the fill for the maker, the fill for the taker, and the book without what traded.
    fn report_trade(
        &mut self,
        taker: &Taker,
        maker: &Order,
        filled: Filled,
        terms: &Terms,
        out: &mut Events,
    ) {
        let instrument = taker.instrument.id();
        let Terms { trade_id, price, lots: qty, .. } = *terms;
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
        let owner = *self.orders.owner(filled.maker);
        let fill = OrderFilled { trade_id, price, instrument, qty, ..Default::default() };
        let maker_fill = OrderFilled {
            client_order_id: owner.client_order_id,
            order_id: maker.order_id,
            fee: terms.maker_fee,
            leaves_qty: maker.leaves - qty,
            side: maker.side.raw(),
            liquidity: MAKER,
            ..fill
        };
        self.tell(owner.session, maker_fill, out);
        let taker_fill = OrderFilled {
            client_order_id: taker.client_order_id,
            order_id: taker.order_id,
            fee: terms.taker_fee,
            leaves_qty: taker.leaves,
            side: taker.side.raw(),
            liquidity: TAKER,
            ..fill
        };
        self.tell(taker.session, taker_fill, out);
        let leaves = maker.leaves - qty;
        self.publish_book_update(maker, leaves, filled.level, BookUpdate::FILLED, out);
    }

    /// Puts what is left of a taker at the back of its price.
    fn rest(&mut self, taker: &Taker, slot: Slot, out: &mut Events) {
        self.orders.slab.amend(slot, taker.limit, taker.qty, taker.leaves);
        let book = self.instruments[taker.instrument].book_mut();
        let level = book.add(&mut self.orders.slab, slot);
        let order = self.orders.slab[slot];
        self.publish_book_update(&order, order.leaves, level, BookUpdate::ADDED, out);
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
        let update = book_update(self.time, order, leaves, level, action);
        self.publish(update, out);
    }
}

/// A change of a resting order; `leaves` and `level` are as of after it.
pub(crate) fn book_update(
    time: TimeNs,
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
        instrument: InstrumentIx::new(order.instrument).id(),
        leaves_qty: leaves,
        level_orders: level.orders,
        side: order.side.raw(),
        action,
        ..Default::default()
    }
}
