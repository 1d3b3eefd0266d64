//! The end of a call: the book uncrosses at one price.
//!
//! Market orders go first, then the better price, then the older order. Orders of one group are kept apart before
//! anything trades, so that the price is one at which all that is paired may trade.

use joulebook_book::Slot;
use joulebook_protocol::CancelReason;
use joulebook_types::{OrderId, Phase, Price, SelfTradeMode, Side};

use crate::auction::CallMemory;
use crate::auction_price::Cross;
use crate::cancel::Requester;
use crate::instruments::InstrumentIx;
use crate::orders::Place;
use crate::{Engine, Events};

/// An order in the line of its side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallOrder {
    slot: Slot,
    /// Lots that are not paired yet.
    unpaired: u32,
}

/// Where two lines meet.
#[derive(Clone, Copy, Debug)]
struct Pair {
    buy: CallOrder,
    sell: CallOrder,
}

impl Engine {
    /// Trades what can trade at the auction price, ends the market orders that are left, and opens the instrument.
    pub(crate) fn uncross(&mut self, ix: InstrumentIx, out: &mut Events) {
        let mut memory = core::mem::take(&mut self.call_memory);
        let cross = self.keep_groups_apart(ix, &mut memory, out);
        let traded = cross.filter(|cross| self.trade_lines(ix, cross.price, &mut memory, out));
        self.call_memory = memory;
        self.cancel_call_orders(ix, CancelReason::AuctionEnded, out);
        self.enter_phase(ix, Phase::Open, out);
        self.protect_after_uncross(out);
        if let Some(cross) = traded {
            self.note_auction_print(ix, cross.price);
        }
    }

    /// Finds the price at which no pair is of one group. Each round that meets one takes lots out, so there is an end.
    fn keep_groups_apart(
        &mut self,
        ix: InstrumentIx,
        memory: &mut CallMemory,
        out: &mut Events,
    ) -> Option<Cross> {
        loop {
            let cross = self.find_cross(ix, &mut memory.levels)?;
            self.line_up(ix, cross.price, memory);
            let CallMemory { buys, sells, .. } = memory;
            let mut resolved = false;
            while let Some(pair) = next_pair(buys, sells) {
                if self.is_one_group(pair) {
                    self.resolve(pair, buys, sells, out);
                    resolved = true;
                } else {
                    take_pair(buys, sells, pair.buy.unpaired.min(pair.sell.unpaired));
                }
            }
            if !resolved {
                self.line_up(ix, cross.price, memory);
                return Some(cross);
            }
        }
    }

    /// Trades the lines pair by pair. Returns whether anything traded: buyers without a limit may not be able to pay.
    fn trade_lines(
        &mut self,
        ix: InstrumentIx,
        price: Price,
        memory: &mut CallMemory,
        out: &mut Events,
    ) -> bool {
        let CallMemory { buys, sells, .. } = memory;
        let mut traded = false;
        while let Some(pair) = next_pair(buys, sells) {
            // Who could not pay made room for somebody who was not met before.
            if self.is_one_group(pair) {
                self.resolve(pair, buys, sells, out);
                continue;
            }
            let wanted = pair.buy.unpaired.min(pair.sell.unpaired);
            let lots = self.payable_in_call(ix, pair.buy.slot, price, wanted);
            if lots == 0 {
                let reason = CancelReason::CreditsExhausted;
                self.cancel_open_order(pair.buy.slot, reason, Requester::NOBODY, out);
                leave_line(buys, pair.buy.unpaired);
                continue;
            }
            take_pair(buys, sells, lots);
            self.trade_in_call(price, pair.buy.slot, pair.sell.slot, lots, out);
            traded = true;
        }
        traded
    }

    /// Lists who may trade at the price, the first of each side last: lines are taken from their ends.
    fn line_up(&self, ix: InstrumentIx, price: Price, memory: &mut CallMemory) {
        let instrument = &self.instruments[ix];
        let orders = &self.orders.slab;
        for (side, line) in [(Side::Buy, &mut memory.buys), (Side::Sell, &mut memory.sells)] {
            let market = instrument.call.market_orders.iter().copied();
            let market = market.filter(|slot| orders[*slot].side == side);
            let limit = instrument.book().makers(orders, side);
            let limit = limit.take_while(|slot| match side {
                Side::Buy => orders[*slot].price >= price,
                Side::Sell => orders[*slot].price <= price,
            });
            line.clear();
            line.extend(market.chain(limit).map(|slot| {
                let unpaired = orders[slot].total_leaves();
                CallOrder { slot, unpaired }
            }));
            line.reverse();
        }
    }

    fn is_one_group(&self, pair: Pair) -> bool {
        let group = |order: CallOrder| self.orders.slab[order.slot].trade_group;
        group(pair.buy) == group(pair.sell)
    }

    /// How many lots a buyer can pay for: what it holds covers all of it, unless it holds nothing.
    fn payable_in_call(&self, ix: InstrumentIx, buy: Slot, price: Price, lots: u32) -> u32 {
        match self.orders.terms(buy).place {
            Place::Book | Place::Stop => lots,
            Place::Call => {
                let account = self.promise_at(buy).account;
                self.instruments[ix].affordable(price, lots, self.ledger.credits(account).free)
            }
        }
    }

    /// Two orders of one group met: the younger one's mode says who gives way.
    fn resolve(
        &mut self,
        pair: Pair,
        buys: &mut Vec<CallOrder>,
        sells: &mut Vec<CallOrder>,
        out: &mut Events,
    ) {
        let id = |order: CallOrder| self.orders.slab[order.slot].order_id;
        let buy_is_older = id(pair.buy) < id(pair.sell);
        let (older, younger) =
            if buy_is_older { (pair.buy.slot, pair.sell.slot) } else { (pair.sell.slot, pair.buy.slot) };
        let all = |slot: Slot| self.orders.slab[slot].total_leaves();
        let (of_older, of_younger) = (all(older), all(younger));
        let (older_lots, younger_lots) = match self.orders.terms(younger).self_trade {
            SelfTradeMode::CancelAggressor => (0, of_younger),
            SelfTradeMode::CancelResting => (of_older, 0),
            SelfTradeMode::CancelBoth => (of_older, of_younger),
            SelfTradeMode::Decrement => {
                let lots = of_older.min(of_younger);
                (lots, lots)
            }
        };
        self.take_off(older, older_lots, out);
        self.take_off(younger, younger_lots, out);
        let (buy_lots, sell_lots) =
            if buy_is_older { (older_lots, younger_lots) } else { (younger_lots, older_lots) };
        leave_line(buys, buy_lots);
        leave_line(sells, sell_lots);
    }

    /// Takes lots off an order that met its own group; all of them end it.
    fn take_off(&mut self, slot: Slot, lots: u32, out: &mut Events) {
        if lots == self.orders.slab[slot].total_leaves() {
            self.cancel_open_order(slot, CancelReason::SelfTrade, Requester::NOBODY, out);
        } else if lots > 0 {
            self.shrink_in_place(slot, lots, Requester::NOBODY, out);
        }
    }
}

/// The first of each line, while both have one.
fn next_pair(buys: &[CallOrder], sells: &[CallOrder]) -> Option<Pair> {
    Some(Pair { buy: *buys.last()?, sell: *sells.last()? })
}

fn take_pair(buys: &mut Vec<CallOrder>, sells: &mut Vec<CallOrder>, lots: u32) {
    leave_line(buys, lots);
    leave_line(sells, lots);
}

/// The first of a line needs no pair for so many lots any more; without any it is gone.
fn leave_line(line: &mut Vec<CallOrder>, lots: u32) {
    let first = line.last_mut().expect("a pair has two ends");
    first.unpaired = first.unpaired.saturating_sub(lots);
    if first.unpaired == 0 {
        line.pop();
    }
}

/// The older of two orders, and the younger.
pub(crate) fn by_age<T>(first: (OrderId, T), second: (OrderId, T)) -> (T, T) {
    if first.0 < second.0 { (first.1, second.1) } else { (second.1, first.1) }
}
