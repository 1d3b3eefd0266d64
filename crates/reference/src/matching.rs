//! Orders meet: at the resting order's price, first come first served.

use joulebook_protocol::CancelReason;
use joulebook_protocol::messages::{OrderFilled, Trade};
use joulebook_types::{MicroEc, OrderId, Phase, Price, SelfTradeMode, Side};

use crate::ledger::{Settlement, fee};
use crate::market::{Market, velocity_is_old};
use crate::orders::Order;

/// Liquidity flags of `OrderFilled`.
pub(crate) const MAKER: u8 = 1;
const TAKER: u8 = 2;
pub(crate) const IN_AUCTION: u8 = 3;

/// Why an order in hand stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Filled,
    NothingReached,
    SelfTrade,
    DynamicBound,
    VelocityBound,
    CreditsExhausted,
}

/// What an order in hand would meet next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Nothing,
    BeyondDynamic,
    BeyondVelocity,
    Own(OrderId),
    Stranger(OrderId),
}

impl Market {
    /// What the order would meet, the price limit of the order and the bounds of its instrument considered.
    pub(crate) fn next_for(&self, taker: OrderId) -> Next {
        let order = self.order(taker);
        let Some(front) = self.front(order.instrument, order.side.opposite()) else { return Next::Nothing };
        if !Self::reaches(order.side, order.limit, front.limit) {
            return Next::Nothing;
        }
        if self.beyond_dynamic(order.instrument, order.side, front.limit) {
            return Next::BeyondDynamic;
        }
        if self.beyond_velocity(order.instrument, front.limit) {
            return Next::BeyondVelocity;
        }
        if self.same_group(order.account, front.account) {
            Next::Own(front.id)
        } else {
            Next::Stranger(front.id)
        }
    }

    /// Trades until the order in hand is filled or something stops it. Nothing is said about its remainder.
    pub(crate) fn match_in_hand(&mut self, taker: OrderId) -> End {
        while self.order(taker).leaves > 0 {
            match self.next_for(taker) {
                Next::Nothing if self.would_rest_beyond(taker) => return End::DynamicBound,
                Next::Nothing => return End::NothingReached,
                Next::BeyondDynamic => return End::DynamicBound,
                Next::BeyondVelocity => return End::VelocityBound,
                Next::Own(resting) => {
                    if !self.resolve_self_trade(taker, resting) {
                        return End::SelfTrade;
                    }
                }
                Next::Stranger(maker) => {
                    let wanted = self.order(taker).leaves.min(self.order(maker).shown);
                    let lots = self.affordable(taker, self.order(maker).limit, wanted);
                    if lots == 0 {
                        return End::CreditsExhausted;
                    }
                    self.trade(taker, maker, lots);
                }
            }
        }
        End::Filled
    }

    /// A triggered stop may have a limit beyond the dynamic band; it does not come to rest there.
    fn would_rest_beyond(&self, taker: OrderId) -> bool {
        let order = self.order(taker);
        order.may_rest() && self.beyond_dynamic(order.instrument, order.side, order.limit)
    }

    /// Lots up to `wanted` that the order can pay for: all of them unless it buys from its free credits.
    pub(crate) fn affordable(&self, taker: OrderId, price: Price, wanted: u32) -> u32 {
        let order = self.order(taker);
        if order.side == Side::Sell || !order.pays_from_free {
            return wanted;
        }
        self.lots_for(order.instrument, price, wanted, self.free(order.account))
    }

    /// The most lots up to `wanted` that `credits` pay for at `price`, the taker's fee included.
    pub(crate) fn lots_for(&self, instrument: usize, price: Price, wanted: u32, credits: i64) -> u32 {
        let instrument = &self.instruments[instrument];
        let pays = |lots: u32| {
            let notional = instrument.notional(price, lots);
            let cost = notional.and_then(|cost| cost.checked_add(fee(cost, instrument.taker_fee_ppm)));
            cost.is_some_and(|cost| cost <= credits)
        };
        // One lot after the other would be plainer, but a token order may ask for 4 billion.
        let (mut paid, mut unpaid) = (0, wanted.saturating_add(1));
        if pays(wanted) {
            return wanted;
        }
        while unpaid - paid > 1 {
            let middle = paid + (unpaid - paid) / 2;
            if pays(middle) { paid = middle } else { unpaid = middle }
        }
        paid
    }

    /// Trades and says what becomes of the remainder. The order in hand is gone, or rests.
    pub(crate) fn act(&mut self, taker: OrderId) {
        let is_open = self.phase_of(taker) == Phase::Open;
        let end = if is_open { self.match_in_hand(taker) } else { End::NothingReached };
        self.finish(taker, end);
    }

    fn finish(&mut self, taker: OrderId, end: End) {
        let may_rest = self.order(taker).may_rest();
        let instrument = self.order(taker).instrument;
        let reason = match end {
            End::Filled => return self.close(taker),
            End::NothingReached if may_rest => return self.rest(taker),
            End::VelocityBound if may_rest => {
                self.rest(taker);
                return self.halt_for_velocity(instrument);
            }
            End::NothingReached => CancelReason::ImmediateRemainder,
            End::DynamicBound | End::VelocityBound => CancelReason::PriceBand,
            End::SelfTrade => CancelReason::SelfTrade,
            End::CreditsExhausted => CancelReason::CreditsExhausted,
        };
        self.cancel_open(taker, reason, None);
    }

    /// Lots that the order would trade at once, and whether nothing of it would be left: found out on a copy.
    pub(crate) fn dry_walk(&self, order: &Order) -> (u32, bool) {
        let mut copy = self.clone();
        copy.orders.insert(order.id, order.clone());
        let end = copy.match_in_hand(order.id);
        // Decrement-and-cancel ends an order only when its own group took what it still wanted.
        let shrunk_away = end == End::SelfTrade && order.self_trade == SelfTradeMode::Decrement;
        (copy.order(order.id).filled - order.filled, end == End::Filled || shrunk_away)
    }

    /// The order in hand takes `lots` of a resting one, which shows at least as many.
    pub(crate) fn trade(&mut self, taker: OrderId, maker: OrderId, lots: u32) {
        let (taking, resting) = (self.order(taker).clone(), self.order(maker).clone());
        let instrument = taking.instrument;
        let price = resting.limit;
        let fees = (self.instruments[instrument].taker_fee_ppm, self.instruments[instrument].maker_fee_ppm);
        let notional = self.instruments[instrument].notional(price, lots).expect("the buyer can pay it");
        let (taker_fee, maker_fee) = (fee(notional, fees.0), fee(notional, fees.1));
        let ((buyer, buyer_fee), (seller, seller_fee)) = match taking.side {
            Side::Buy => ((taking.account, taker_fee), (resting.account, maker_fee)),
            Side::Sell => ((resting.account, maker_fee), (taking.account, taker_fee)),
        };
        let accelerators = self.instruments[instrument].accelerators(lots);
        self.settle(&Settlement { instrument, buyer, seller, accelerators, notional, buyer_fee, seller_fee });
        let trade_id = self.new_trade_id();
        let id = self.instruments[instrument].id;
        self.publish(Trade {
            time: self.time,
            trade_id,
            price,
            maker_order_id: maker,
            instrument: id,
            qty: lots,
            aggressor: taking.side.raw(),
            ..Default::default()
        });
        let fill = OrderFilled { trade_id, price, instrument: id, qty: lots, ..Default::default() };
        self.tell_fill(maker, OrderFilled { fee: MicroEc::new(maker_fee), liquidity: MAKER, ..fill });
        self.tell_fill(taker, OrderFilled { fee: MicroEc::new(taker_fee), liquidity: TAKER, ..fill });
        let order = self.order_mut(taker);
        order.leaves -= lots;
        order.filled = order.filled.saturating_add(lots);
        order.tally.notional += notional;
        order.tally.fees += taker_fee;
        order.tally.fills += 1;
        if !self.fill_resting(maker, lots) {
            self.close(maker);
        }
        self.cancel_partner(resting.partner);
        if resting.quote {
            self.count_fill(&resting, lots, notional);
            self.protect(resting.account, self.instruments[instrument].class);
        }
        self.cancel_partner(taking.partner);
        self.print(instrument, price);
        self.see_print(instrument, price);
    }

    /// Tells an order's session of a fill; the order does not know of it yet.
    pub(crate) fn tell_fill(&mut self, id: OrderId, fill: OrderFilled) {
        let order = self.order(id);
        let (session, leaves) = (order.session, order.leaves - fill.qty);
        let fill = OrderFilled {
            client_order_id: order.client_order_id,
            order_id: id,
            leaves_qty: leaves,
            side: order.side.raw(),
            ..fill
        };
        self.tell(session, fill);
    }

    /// Remembers a trade's price: what bands refer to from the next step on.
    fn print(&mut self, index: usize, price: Price) {
        let now = self.time;
        let instrument = &mut self.instruments[index];
        if velocity_is_old(instrument, now) {
            instrument.velocity = Some((instrument.step_base.unwrap_or(price), now));
        }
        instrument.last_print = Some(price);
    }
}
