//! The end of a call: everybody trades at one price.

use std::collections::BTreeMap;

use joulebook_protocol::CancelReason;
use joulebook_protocol::messages::{OrderFilled, Trade};
use joulebook_types::{MicroEc, OrderId, Phase, Price, SelfTradeMode, Side};

use crate::ledger::{Settlement, fee};
use crate::market::Market;
use crate::matching::IN_AUCTION;
use crate::orders::Work;

/// One side of the walk: orders in the order in which they trade, with the lots that are not paired yet.
struct Line(Vec<(OrderId, u32)>);

impl Line {
    /// The order that is next and its lots: those that are gone or have none left are passed over.
    fn front(&mut self, market: &Market) -> Option<(OrderId, u32)> {
        self.0.retain(|(id, left)| *left > 0 && market.orders.contains_key(id));
        self.0.first().copied()
    }

    fn take(&mut self, lots: u32) {
        if let Some((_, left)) = self.0.first_mut() {
            *left = left.saturating_sub(lots);
        }
    }
}

impl Market {
    /// Trades all that can trade at the auction price and opens the market.
    pub(crate) fn uncross(&mut self, index: usize) {
        let price = self.price_that_holds(index);
        if let Some(price) = price {
            self.trade_at(index, price);
        }
        let left =
            self.orders.values().filter(|order| order.instrument == index && order.work == Work::InCall);
        for id in left.map(|order| order.id).collect::<Vec<_>>() {
            self.cancel_open(id, CancelReason::AuctionEnded, None);
        }
        self.publish_phase(index, Phase::Open);
        self.protect_all();
        if let Some(price) = price {
            self.instruments[index].velocity = Some((price, self.time));
            self.instruments[index].last_print = Some(price);
            self.see_print(index, price);
        }
    }

    /// Takes lots that cannot trade out of the call until the walk at its price meets none. Returns that price.
    fn price_that_holds(&mut self, index: usize) -> Option<Price> {
        loop {
            let price = self.auction_price(index)?.price;
            if !self.resolve_at(index, price) {
                return Some(price);
            }
        }
    }

    /// Walks the pairs at a price without trading. Returns whether there was one that cannot trade: of one group, or
    /// with a market buy that its account cannot pay.
    fn resolve_at(&mut self, index: usize, price: Price) -> bool {
        let (mut buys, mut sells) = self.lines(index, price);
        let mut spent: BTreeMap<usize, i64> = BTreeMap::new();
        let mut resolved = false;
        while let (Some((buy, buy_left)), Some((sell, sell_left))) = (buys.front(self), sells.front(self)) {
            let account = self.order(buy).account;
            if self.same_group(account, self.order(sell).account) {
                resolved = true;
                let lots = self.resolve_pair(buy, sell);
                buys.take(lots);
                sells.take(lots);
                continue;
            }
            let lots = buy_left.min(sell_left);
            if self.order(buy).pays_from_free {
                let before = spent.get(&account).copied().unwrap_or(0);
                let free = (self.free(account) - before).max(0);
                let paid_for = self.lots_for(index, price, lots, free);
                if paid_for < lots {
                    resolved = true;
                    self.lose(buy, buy_left - paid_for, CancelReason::CreditsExhausted);
                    buys.take(buy_left - paid_for);
                    continue;
                }
                spent.insert(account, before + self.cost_of(index, price, lots));
            }
            buys.take(lots);
            sells.take(lots);
        }
        resolved
    }

    /// What a buyer pays for lots, the taker's fee included.
    fn cost_of(&self, index: usize, price: Price, lots: u32) -> i64 {
        let instrument = &self.instruments[index];
        let notional = instrument.notional(price, lots).expect("it was found to be payable");
        notional + fee(notional, instrument.taker_fee_ppm)
    }

    fn lines(&self, index: usize, price: Price) -> (Line, Line) {
        let line = |side| {
            Line(self.willing(index, side, price).iter().map(|order| (order.id, order.leaves)).collect())
        };
        (line(Side::Buy), line(Side::Sell))
    }

    /// Resolves a pair of one group by the mode of the younger order. Returns the lots that both lost, if they shrank.
    fn resolve_pair(&mut self, buy: OrderId, sell: OrderId) -> u32 {
        let (older, younger) = (buy.min(sell), buy.max(sell));
        let reason = CancelReason::SelfTrade;
        match self.order(younger).self_trade {
            SelfTradeMode::CancelAggressor => {
                self.cancel_open(younger, reason, None);
            }
            SelfTradeMode::CancelResting => {
                self.cancel_open(older, reason, None);
            }
            SelfTradeMode::CancelBoth => {
                self.cancel_open(older, reason, None);
                self.cancel_open(younger, reason, None);
            }
            SelfTradeMode::Decrement => {
                let lots = self.order(older).leaves.min(self.order(younger).leaves);
                self.decrement(older, lots);
                self.decrement(younger, lots);
                return lots;
            }
        }
        0
    }

    /// Trades pair by pair: those that the walk before found.
    fn trade_at(&mut self, index: usize, price: Price) {
        let (mut buys, mut sells) = self.lines(index, price);
        while let (Some((buy, buy_left)), Some((sell, sell_left))) = (buys.front(self), sells.front(self)) {
            let lots = buy_left.min(sell_left);
            self.trade_pair(buy, sell, price, lots);
            buys.take(lots);
            sells.take(lots);
        }
    }

    fn trade_pair(&mut self, buy: OrderId, sell: OrderId, price: Price, lots: u32) {
        let (buying, selling) = (self.order(buy).clone(), self.order(sell).clone());
        let index = buying.instrument;
        let instrument = &self.instruments[index];
        let notional = instrument.notional(price, lots).expect("the buyer can pay it");
        // In a call nobody came first, so both pay as takers.
        let each_fee = fee(notional, instrument.taker_fee_ppm);
        let accelerators = instrument.accelerators(lots);
        self.settle(&Settlement {
            instrument: index,
            buyer: buying.account,
            seller: selling.account,
            accelerators,
            notional,
            buyer_fee: each_fee,
            seller_fee: each_fee,
        });
        self.report_pair(buy, sell, price, lots, each_fee);
        for order in [&buying, &selling] {
            self.fill_in_call(order.id, lots);
        }
        let (older, younger) = if buy < sell { (&buying, &selling) } else { (&selling, &buying) };
        for order in [older, younger] {
            self.cancel_partner(order.partner);
        }
        for order in [older, younger] {
            if order.quote {
                self.count_fill(order, lots, notional);
            }
        }
    }

    /// The trade for everybody and a fill for each, the older order's first.
    fn report_pair(&mut self, buy: OrderId, sell: OrderId, price: Price, lots: u32, each_fee: i64) {
        let id = self.instruments[self.order(buy).instrument].id;
        let trade_id = self.new_trade_id();
        let (older, younger) = (buy.min(sell), buy.max(sell));
        self.publish(Trade {
            time: self.time,
            trade_id,
            price,
            maker_order_id: older,
            instrument: id,
            qty: lots,
            ..Default::default()
        });
        let fill = OrderFilled {
            trade_id,
            price,
            fee: MicroEc::new(each_fee),
            instrument: id,
            qty: lots,
            liquidity: IN_AUCTION,
            ..Default::default()
        };
        self.tell_fill(older, fill);
        self.tell_fill(younger, fill);
    }

    fn fill_in_call(&mut self, id: OrderId, lots: u32) {
        let more = if self.order(id).work == Work::InCall {
            let order = self.order_mut(id);
            order.leaves -= lots;
            order.filled = order.filled.saturating_add(lots);
            order.leaves > 0
        } else {
            self.fill_resting(id, lots)
        };
        if !more {
            self.close(id);
        }
    }
}
