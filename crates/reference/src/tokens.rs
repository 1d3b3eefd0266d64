//! Token orders: inference by the million tokens, from whichever of several books sells it cheapest.

use core::mem::offset_of;

use joulebook_protocol::messages::{TokenOrder, TokenOrderDone};
use joulebook_protocol::{CancelReason, RejectReason};
use joulebook_types::{
    InstrumentId, MicroEc, OrderId, Phase, Price, Qty, SelfTradeMode, TimeInForce, TokenMinutes, TokenPrice,
    Yield,
};

use crate::entry::check_self_trade;
use crate::market::Market;
use crate::matching::Next;
use crate::orders::Order;
use crate::rejection::{Checked, Lowest, field, invalid_choice, whole};

/// One book of a token order.
#[derive(Clone, Copy, Debug)]
struct Leg {
    index: usize,
    yield_ktok: Yield,
    /// What one lot delivers.
    lot_tokens: TokenMinutes,
    state: LegState,
}

/// Whether a book of a token order still sells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LegState {
    Sells,
    /// Its next ask lies beyond a bound.
    Ended,
    /// The account may not have more of its quarter hours.
    Capped,
}

/// What became of a look at a book.
#[derive(Clone, Copy, Debug)]
enum Taken {
    Lots(u32),
    /// The order's own group stood there and does not any more.
    OwnOrder,
    /// The book is of no more use.
    Leave(LegState),
    End(CancelReason),
}

/// How far a token order came.
#[derive(Clone, Copy, Debug)]
struct Walked {
    bought: u128,
    reason: Option<CancelReason>,
}

impl Market {
    pub(crate) fn token_order(&mut self, session: usize, order: &TokenOrder) -> Checked<OrderId> {
        let legs = self.check_token_order(session, order)?;
        let mut copy = self.clone();
        let id = copy.new_order_id();
        let account = copy.account_of(session);
        let taker = Order {
            limit: Price::new(i64::MAX),
            market: true,
            self_trade: SelfTradeMode::from_raw(order.self_trade).expect("checked before"),
            pays_from_free: true,
            ..Order::in_hand(id, session, account, order.client_order_id)
        };
        copy.orders.insert(id, taker);
        let walked = copy.walk_tokens(id, order, legs);
        if order.time_in_force == TimeInForce::Fok.raw() && walked.reason.is_some() {
            let found = walked.bought / 60;
            return Err(whole(RejectReason::FokNotFillable).met(found, order.quantity.raw()));
        }
        *self = copy;
        let tally = self.order(id).tally;
        self.close(id);
        self.tell(
            session,
            TokenOrderDone {
                client_order_id: order.client_order_id,
                order_id: id,
                filled_ktok_minutes: u64::try_from(walked.bought).unwrap_or(u64::MAX),
                notional: MicroEc::new(tally.notional),
                fees: MicroEc::new(tally.fees),
                average_price: average_token_price(tally.notional, walked.bought),
                fills: tally.fills,
                reason: walked.reason.map_or(0, CancelReason::raw),
                ..Default::default()
            },
        );
        Ok(id)
    }

    /// Takes the cheapest tokens first until enough are bought or nothing suits.
    fn walk_tokens(&mut self, id: OrderId, order: &TokenOrder, mut legs: Vec<Leg>) -> Walked {
        let overshoot = order.flags & TokenOrder::OVERSHOOT != 0;
        let mut remaining = order.quantity.minutes();
        let mut bought = 0;
        let reason = loop {
            legs.retain(|leg| overshoot || leg.lot_tokens <= remaining);
            if remaining == TokenMinutes::ZERO || legs.is_empty() {
                break None;
            }
            let best = self.cheapest(&legs).filter(|(leg, price)| order.limit.allows(*price, leg.yield_ktok));
            let Some((leg, price)) = best else {
                let capped = legs.iter().any(|leg| leg.state == LegState::Capped);
                break Some(if capped { CancelReason::WindowCap } else { CancelReason::ImmediateRemainder });
            };
            let wanted = match overshoot {
                true => remaining.lots_covering(leg.lot_tokens),
                false => remaining.lots_below(leg.lot_tokens),
            };
            match self.take_tokens(id, leg.index, price, u32::try_from(wanted).unwrap_or(u32::MAX)) {
                Taken::Lots(lots) => {
                    let lot = self.instruments[leg.index].lot;
                    let tokens = leg.yield_ktok.delivers(lot, Qty::from(lots));
                    bought += tokens.raw();
                    remaining = remaining.saturating_sub(tokens);
                }
                Taken::OwnOrder => {}
                Taken::Leave(state) => {
                    let mut left = legs.iter_mut().filter(|other| other.index == leg.index);
                    left.next().expect("it was chosen from them").state = state;
                }
                Taken::End(reason) => break Some(reason),
            }
        };
        Walked { bought, reason }
    }

    /// Takes from a book's best maker as many of the wanted lots as it shows and as rules and credits allow.
    fn take_tokens(&mut self, id: OrderId, index: usize, price: Price, wanted: u32) -> Taken {
        self.order_mut(id).instrument = index;
        let maker = match self.next_for(id) {
            Next::Stranger(maker) => maker,
            Next::Own(resting) => {
                let goes_on = self.resolve_self_trade(id, resting);
                return if goes_on { Taken::OwnOrder } else { Taken::End(CancelReason::SelfTrade) };
            }
            Next::BeyondDynamic | Next::BeyondVelocity | Next::Nothing => {
                return Taken::Leave(LegState::Ended);
            }
        };
        let fitting = wanted.min(self.order(maker).shown);
        let within = self.lots_within_cap(self.order(id).account, index, fitting);
        if within == 0 {
            return Taken::Leave(LegState::Capped);
        }
        let lots = self.affordable(id, price, within);
        if lots == 0 {
            return Taken::End(CancelReason::CreditsExhausted);
        }
        self.order_mut(id).leaves = lots;
        self.trade(id, maker, lots);
        Taken::Lots(lots)
    }

    /// The book with the lowest price per token, of equal ones the lower instrument, and that price.
    fn cheapest(&self, legs: &[Leg]) -> Option<(Leg, Price)> {
        let selling = legs.iter().filter(|leg| leg.state == LegState::Sells);
        let asks = selling.filter_map(|leg| {
            let price = self.best(leg.index, joulebook_types::Side::Sell)?;
            Some((*leg, price))
        });
        asks.min_by(|(a, price_a), (b, price_b)| {
            Yield::compare_per_token(*price_a, a.yield_ktok, *price_b, b.yield_ktok)
                .then(a.index.cmp(&b.index))
        })
    }

    fn check_token_order(&self, session: usize, order: &TokenOrder) -> Checked<Vec<Leg>> {
        check_choices(order)?;
        self.check_enabled(session)?;
        let count = usize::from(order.count);
        let named = &order.instruments[..count.min(TokenOrder::INSTRUMENTS_MAX)];
        let offset = offset_of!(TokenOrder, instruments);
        let parts: Vec<(InstrumentId, usize)> =
            named.iter().enumerate().map(|(index, id)| (*id, offset + index * 4)).collect();
        let indices = self.check_parts(&parts, |phase| phase == Phase::Open)?;
        if order.quantity.raw() == 0 {
            return Err(field(RejectReason::QtyZero, offset_of!(TokenOrder, quantity)).met(1, 0));
        }
        let value = i128::from(order.limit.raw()) * i128::from(order.quantity.raw()) / 1_000;
        self.check_order_value(self.account_of(session), value, offset_of!(TokenOrder, quantity))?;
        if count == 0 || count > TokenOrder::INSTRUMENTS_MAX {
            let rejection = field(RejectReason::InstrumentCount, offset_of!(TokenOrder, count));
            return Err(rejection.met(TokenOrder::INSTRUMENTS_MAX, count));
        }
        check_distinct(&parts)?;
        let place = |index: usize| (self.instruments[index].area, self.instruments[index].window);
        if let Some(part) = indices.iter().position(|index| place(*index) != place(indices[0])) {
            let (id, offset) = parts[part];
            return Err(field(RejectReason::MixedWindow, offset).of_instrument(id));
        }
        let legs = self.token_legs(order, &indices)?;
        let smallest = legs.iter().map(|leg| leg.lot_tokens).min().expect("an order names instruments");
        if order.quantity.minutes() < smallest {
            let rejection = field(RejectReason::BelowLot, offset_of!(TokenOrder, quantity));
            return Err(rejection.met(smallest.raw().div_ceil(60), order.quantity.raw()));
        }
        if order.limit.raw() <= 0 {
            let rejection = field(RejectReason::TokenPriceNotPositive, offset_of!(TokenOrder, limit));
            return Err(rejection.met(1, order.limit.raw()));
        }
        Ok(legs)
    }

    fn token_legs(&self, order: &TokenOrder, indices: &[usize]) -> Checked<Vec<Leg>> {
        let leg = |index: &usize| {
            let instrument = &self.instruments[*index];
            let no_yield = field(RejectReason::NoYield, offset_of!(TokenOrder, model));
            let no_yield = no_yield.met(0, order.model.raw()).of_instrument(instrument.id);
            let yield_ktok = *self.yields.get(&(order.model, instrument.class)).ok_or(no_yield)?;
            let lot_tokens = yield_ktok.delivers(instrument.lot, Qty::new(1));
            Ok(Leg { index: *index, yield_ktok, lot_tokens, state: LegState::Sells })
        };
        indices.iter().map(leg).collect()
    }

    /// Rules 20 to 22 for several instruments, each with the offset of its field: every rule over all of them before
    /// the next one.
    pub(crate) fn check_parts(
        &self,
        parts: &[(InstrumentId, usize)],
        takes: impl Fn(Phase) -> bool,
    ) -> Checked<Vec<usize>> {
        for (id, offset) in parts {
            let listed = self.ever_listed(*id, *offset);
            listed.map_err(|rejection| rejection.of_instrument(*id))?;
        }
        let mut lowest = Lowest::default();
        let mut indices = Vec::new();
        for (id, offset) in parts {
            let open = self.find_instrument(*id, *offset).and_then(|index| {
                indices.push(index);
                self.check_parts_open(&[index], &takes)
            });
            lowest.add(open.map_err(|rejection| rejection.of_instrument(*id)));
        }
        lowest.answer().map(|()| indices)
    }

    pub(crate) fn check_parts_open(&self, indices: &[usize], takes: impl Fn(Phase) -> bool) -> Checked {
        let mut lowest = Lowest::default();
        for index in indices {
            let of_part =
                |rejection: crate::rejection::Rejection| rejection.of_instrument(self.instruments[*index].id);
            lowest.add(self.check_class_enabled(*index).map_err(of_part));
            lowest.add(self.check_phase(*index, &takes).map_err(of_part));
        }
        lowest.answer()
    }
}

/// No instrument twice.
pub(crate) fn check_distinct(parts: &[(InstrumentId, usize)]) -> Checked {
    for (index, (id, offset)) in parts.iter().enumerate() {
        if parts[..index].iter().any(|(earlier, _)| earlier == id) {
            return Err(field(RejectReason::DuplicateInstrument, *offset).of_instrument(*id));
        }
    }
    Ok(())
}

fn check_choices(order: &TokenOrder) -> Checked {
    match TimeInForce::from_raw(order.time_in_force) {
        Some(TimeInForce::Ioc | TimeInForce::Fok) => {}
        Some(TimeInForce::Gtc | TimeInForce::Gtd) | None => {
            return Err(invalid_choice(offset_of!(TokenOrder, time_in_force), order.time_in_force));
        }
    }
    if order.flags & !TokenOrder::OVERSHOOT != 0 {
        return Err(invalid_choice(offset_of!(TokenOrder, flags), order.flags));
    }
    check_no_decrement(order.self_trade, offset_of!(TokenOrder, self_trade)).map(|_| ())
}

/// A self-trade mode of an order over several books: they do not shrink.
pub(crate) fn check_no_decrement(raw: u8, offset: usize) -> Checked<SelfTradeMode> {
    match check_self_trade(raw, offset)? {
        SelfTradeMode::Decrement => Err(invalid_choice(offset, raw)),
        mode
        @ (SelfTradeMode::CancelAggressor | SelfTradeMode::CancelResting | SelfTradeMode::CancelBoth) => {
            Ok(mode)
        }
    }
}

/// Notional per million tokens, rounded toward zero; zero without fills.
fn average_token_price(notional: i64, ktok_minutes: u128) -> TokenPrice {
    // micro-EC / (kilo-token minutes / 60) * 1,000 kilo-tokens per million
    let scaled = u128::from(notional.unsigned_abs()) * 60 * 1_000;
    TokenPrice::new(i64::try_from(scaled.checked_div(ktok_minutes).unwrap_or(0)).unwrap_or(i64::MAX))
}
