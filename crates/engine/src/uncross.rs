//! The end of a call: the book uncrosses at one price.
//!
//! Market orders go first, then the better price, then the older order. Orders of one group are kept apart, and buyers
//! that cannot pay cut, before anything trades: so all that is paired trades, and the book that opens is not crossed.

use joulebook_book::Slot;
use joulebook_ledger::AccountIx;
use joulebook_protocol::CancelReason;
use joulebook_types::{MicroEc, OrderId, Phase, Price, SelfTradeMode, Side};

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

/// What accounts pay in a walk, in memory that is used again.
#[derive(Debug, Default)]
pub(crate) struct Spending {
    /// By account: zeros, but for those that pay.
    spent: Vec<MicroEc>,
    payers: Vec<AccountIx>,
}

/// Where two lines meet.
#[derive(Clone, Copy, Debug)]
struct Pair {
    buy: CallOrder,
    sell: CallOrder,
}

impl Spending {
    /// Forgets the walk before.
    fn clear(&mut self) {
        for payer in self.payers.drain(..) {
            self.spent[payer.index()] = MicroEc::ZERO;
        }
    }

    fn of(&self, account: AccountIx) -> MicroEc {
        self.spent.get(account.index()).copied().unwrap_or(MicroEc::ZERO)
    }

    fn add(&mut self, account: AccountIx, cost: MicroEc) {
        if self.spent.len() <= account.index() {
            self.spent.resize(account.index() + 1, MicroEc::ZERO);
        }
        let spent = &mut self.spent[account.index()];
        if *spent == MicroEc::ZERO {
            self.payers.push(account);
        }
        *spent += cost;
    }
}

impl Engine {
    /// Trades what can trade at the auction price, ends the market orders that are left, and opens the instrument.
    pub(crate) fn uncross(&mut self, ix: InstrumentIx, out: &mut Events) {
        let mut memory = core::mem::take(&mut self.call_memory);
        let cross = self.find_pairs(ix, &mut memory, out);
        if let Some(cross) = cross {
            self.trade_lines(cross.price, &mut memory, out);
        }
        self.call_memory = memory;
        self.cancel_call_orders(ix, CancelReason::AuctionEnded, out);
        self.enter_phase(ix, Phase::Open, out);
        self.protect_after_uncross(out);
        if let Some(cross) = cross {
            self.note_auction_print(ix, cross.price);
        }
    }

    /// Finds the price at which no pair is of one group and every buyer can pay, and lines everybody up for it. Each
    /// round that meets such a pair takes lots out, so there is an end.
    fn find_pairs(&mut self, ix: InstrumentIx, memory: &mut CallMemory, out: &mut Events) -> Option<Cross> {
        loop {
            let cross = self.find_cross(ix, &mut memory.levels)?;
            self.line_up(ix, cross.price, memory);
            if self.pair_off(ix, cross.price, memory, out) {
                self.line_up(ix, cross.price, memory);
                return Some(cross);
            }
        }
    }

    /// Walks the lines without trading. Returns whether every pair can trade; those that cannot lose lots at once.
    fn pair_off(
        &mut self,
        ix: InstrumentIx,
        price: Price,
        memory: &mut CallMemory,
        out: &mut Events,
    ) -> bool {
        let CallMemory { buys, sells, spending, .. } = memory;
        spending.clear();
        let mut all_can_trade = true;
        while let Some(pair) = next_pair(buys, sells) {
            let lots = pair.buy.unpaired.min(pair.sell.unpaired);
            if self.is_one_group(pair) {
                self.resolve(pair, buys, sells, out);
                all_can_trade = false;
                continue;
            }
            let payable = self.payable_in_call(ix, pair.buy.slot, price, lots, spending);
            if payable == lots {
                take_pair(buys, sells, lots);
                continue;
            }
            let unpaid = pair.buy.unpaired - payable;
            self.take_off(pair.buy.slot, unpaid, CancelReason::CreditsExhausted, out);
            leave_line(buys, unpaid);
            all_can_trade = false;
        }
        all_can_trade
    }

    /// Trades the lines pair by pair: the same pairs that were found before.
    fn trade_lines(&mut self, price: Price, memory: &mut CallMemory, out: &mut Events) {
        let CallMemory { buys, sells, .. } = memory;
        while let Some(pair) = next_pair(buys, sells) {
            assert!(!self.is_one_group(pair), "groups were kept apart before");
            let lots = pair.buy.unpaired.min(pair.sell.unpaired);
            take_pair(buys, sells, lots);
            self.trade_in_call(price, pair.buy.slot, pair.sell.slot, lots, out);
        }
    }

    /// Lists who may trade at the price, the first of each side last: lines are taken from their ends.
    fn line_up(&self, ix: InstrumentIx, price: Price, memory: &mut CallMemory) {
        let instrument = &self.instruments[ix];
        let orders = &self.orders.slab;
        for (side, line) in [(Side::Buy, &mut memory.buys), (Side::Sell, &mut memory.sells)] {
            let market = instrument.call.market_orders.iter();
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

    /// How many lots a buyer can pay for: what it holds covers all of it, unless it holds nothing. Then it is what its
    /// account's free credits pay for, less what they pay for already in this walk; notes it if that is all of them.
    fn payable_in_call(
        &self,
        ix: InstrumentIx,
        buy: Slot,
        price: Price,
        lots: u32,
        spending: &mut Spending,
    ) -> u32 {
        match self.orders.terms(buy).place {
            Place::Book | Place::Stop => return lots,
            Place::Call => {}
        }
        let account = self.promise_at(buy).account;
        let free = (self.ledger.credits(account).free - spending.of(account)).max(MicroEc::ZERO);
        let instrument = &self.instruments[ix];
        let payable = instrument.affordable(price, lots, free);
        if payable == lots {
            let cost = instrument.taker_cost(price, lots).expect("what is affordable fits a balance");
            spending.add(account, cost);
        }
        payable
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
        self.take_off(older, older_lots, CancelReason::SelfTrade, out);
        self.take_off(younger, younger_lots, CancelReason::SelfTrade, out);
        let (buy_lots, sell_lots) =
            if buy_is_older { (older_lots, younger_lots) } else { (younger_lots, older_lots) };
        leave_line(buys, buy_lots);
        leave_line(sells, sell_lots);
    }

    /// Takes lots off an order that cannot trade them; all of them end it.
    fn take_off(&mut self, slot: Slot, lots: u32, reason: CancelReason, out: &mut Events) {
        if lots == self.orders.slab[slot].total_leaves() {
            self.cancel_open_order(slot, reason, Requester::NOBODY, out);
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
