//! One trade of an uncross: two orders that waited, at the auction's price.

use joulebook_book::{Order, Slot};
use joulebook_ledger::{AccountIx, Settlement, fee};
use joulebook_protocol::messages::{BookUpdate, OrderFilled, Trade};
use joulebook_types::{MicroEc, Price, Qty};

use crate::holds::Promise;
use crate::hooks::MakerFill;
use crate::instruments::InstrumentIx;
use crate::orders::Place;
use crate::uncross::by_age;
use crate::{Engine, Events};

/// Liquidity flag of `OrderFilled`: nobody made, nobody took.
const AUCTION: u8 = 3;

/// What a trade costs whom: both sides pay the taker's fee.
#[derive(Clone, Copy, Debug)]
struct CallTrade {
    price: Price,
    lots: u32,
    notional: MicroEc,
    fee: MicroEc,
}

impl Engine {
    /// Trades `lots` between a buy and a sell order that both have as many, hidden ones included.
    pub(crate) fn trade_in_call(&mut self, price: Price, buy: Slot, sell: Slot, lots: u32, out: &mut Events) {
        let (buyer, seller) = (self.orders.slab[buy], self.orders.slab[sell]);
        let ix = InstrumentIx::new(buyer.instrument);
        let instrument = &self.instruments[ix];
        let notional = instrument.lot.notional(price, Qty::from(lots)).expect("the buyer can pay for it");
        let trade = CallTrade { price, lots, notional, fee: fee(notional, instrument.taker_fee_ppm) };
        self.settle_in_call(ix, &buyer, self.orders.terms(buy).place, &seller, &trade);
        let (older, younger) = by_age((buyer.order_id, buy), (seller.order_id, sell));
        self.report_in_call(ix, older, younger, &trade, out);
        let fills = [self.maker_fill(buy, &trade), self.maker_fill(sell, &trade)];
        self.fill_in_call(buy, lots, out);
        self.fill_in_call(sell, lots, out);
        let ((first, of_first), (second, of_second)) =
            by_age((buyer.order_id, (buy, fills[0])), (seller.order_id, (sell, fills[1])));
        self.finish_in_call(first, &of_first, out);
        self.finish_in_call(second, &of_second, out);
    }

    fn settle_in_call(
        &mut self,
        ix: InstrumentIx,
        buyer: &Order,
        place: Place,
        seller: &Order,
        trade: &CallTrade,
    ) {
        let account = AccountIx::new(buyer.account);
        let instrument = &self.instruments[ix];
        let buyer_release = match place {
            Place::Book | Place::Stop => {
                let lots = trade.lots;
                let at_limit = instrument.lot.notional(buyer.price, Qty::from(lots));
                let at_limit = at_limit.expect("an open order is worth what fits a balance");
                instrument.released(at_limit, buyer.price, buyer.total_leaves(), lots)
            }
            Place::Call => {
                let cost = trade.notional + trade.fee;
                self.ledger
                    .hold_credits(account, cost)
                    .expect("the lots were cut to what the credits pay for");
                cost
            }
        };
        self.ledger.settle(&Settlement {
            buyer: account,
            seller: AccountIx::new(seller.account),
            assets: &instrument.assets,
            accelerators: instrument.accelerators(trade.lots),
            notional: trade.notional,
            buyer_fee: trade.fee,
            seller_fee: trade.fee,
            buyer_release,
        });
        for order in [buyer, seller] {
            let (account, lots) = (AccountIx::new(order.account), trade.lots);
            let traded = Promise { account, instrument: ix, side: order.side, limit: order.price, lots };
            self.uncount_open(&traded);
        }
    }

    /// The trade for everybody, then the fills, the older order's first.
    fn report_in_call(
        &mut self,
        ix: InstrumentIx,
        older: Slot,
        younger: Slot,
        trade: &CallTrade,
        out: &mut Events,
    ) {
        self.last_trade_id = self.last_trade_id.next();
        let CallTrade { price, lots: qty, fee, .. } = *trade;
        let (trade_id, instrument) = (self.last_trade_id, self.instruments[ix].id);
        let fact = Trade {
            time: self.time,
            trade_id,
            price,
            maker_order_id: self.orders.slab[older].order_id,
            instrument,
            qty,
            ..Default::default()
        };
        self.publish(fact, out);
        for slot in [older, younger] {
            let (order, owner) = (self.orders.slab[slot], *self.orders.owner(slot));
            let fill = OrderFilled {
                client_order_id: owner.client_order_id,
                order_id: order.order_id,
                trade_id,
                price,
                fee,
                instrument,
                qty,
                leaves_qty: order.total_leaves() - qty,
                side: order.side.raw(),
                liquidity: AUCTION,
                ..Default::default()
            };
            self.tell(owner.session, fill, out);
        }
    }

    fn maker_fill(&self, slot: Slot, trade: &CallTrade) -> MakerFill {
        MakerFill {
            slot,
            order: self.orders.slab[slot],
            owner: *self.orders.owner(slot),
            terms: *self.orders.terms(slot),
            lots: trade.lots,
            notional: trade.notional,
        }
    }

    /// Takes what traded out of the book or the call. An exhausted slice is followed by the next, at the back.
    fn fill_in_call(&mut self, slot: Slot, lots: u32, out: &mut Events) {
        let (order, terms) = (self.orders.slab[slot], *self.orders.terms(slot));
        let leaves = order.total_leaves() - lots;
        match terms.place {
            Place::Call => {
                self.orders.slab.amend(slot, order.price, order.qty, leaves, u32::MAX);
                if leaves == 0 {
                    self.leave_call(slot);
                }
            }
            Place::Book | Place::Stop => {
                let book = self.instruments[InstrumentIx::new(order.instrument)].book_mut();
                let level = book.fill(&mut self.orders.slab, slot, lots);
                let shown = self.orders.slab[slot].leaves;
                self.publish_book_update(&order, shown, level, BookUpdate::FILLED, out);
                if shown == 0 && leaves > 0 {
                    self.orders.slab.renew(slot, terms.display());
                    self.join_queue(slot, out);
                }
            }
        }
    }

    /// The end of an order that has no more lots, and what its fill causes.
    fn finish_in_call(&mut self, slot: Slot, fill: &MakerFill, out: &mut Events) {
        if self.orders.slab[slot].total_leaves() == 0 {
            self.close_order(slot, out);
        }
        self.after_call_fill(fill, out);
    }
}
