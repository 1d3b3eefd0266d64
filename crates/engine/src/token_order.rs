//! Token orders: buy inference, not hours. "5,000 Mtok of this model at 1.60 EC/Mtok at most, on any of these."

use core::mem::offset_of;

use joulebook_ledger::AccountIx;
use joulebook_protocol::messages::{TokenOrder, TokenOrderDone};
use joulebook_protocol::{CancelReason, RejectReason};
use joulebook_types::{InstrumentId, MicroEc, Phase, SelfTradeMode, Side, SlotHint, TimeInForce, TokenPrice};

use crate::cancel::Requester;
use crate::dry_walk::DryWalk;
use crate::instruments::InstrumentIx;
use crate::legs::lowest;
use crate::matching::Taker;
use crate::order_choices::{invalid, self_trade_mode_of_whole};
use crate::request::{Done, Rejection};
use crate::sessions::SessionIx;
use crate::token_walk::{Leg, Planned, TokenWalk, Wanted};
use crate::{Engine, Events};

/// The instruments that an order names, in its order, where the engine keeps them.
struct Named {
    places: [InstrumentIx; TokenOrder::INSTRUMENTS_MAX],
    count: usize,
}

impl Named {
    fn all(&self) -> &[InstrumentIx] {
        &self.places[..self.count]
    }
}

/// What a token order did.
#[derive(Clone, Copy, Debug, Default)]
struct Bought {
    ktok_minutes: u128,
    notional: MicroEc,
    fees: MicroEc,
    fills: u32,
}

impl Engine {
    /// Plans all fills before the first: a fill-or-kill order is then only a question about the plan.
    pub(crate) fn token_order(
        &mut self,
        session: SessionIx,
        order: &TokenOrder,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let mut walk = core::mem::take(&mut self.token_walk);
        let mut dry = core::mem::take(&mut self.dry_walk);
        let planned = self.plan_token_order(&mut walk, &mut dry, session, order);
        self.dry_walk = dry;
        let done = planned.map(|reason| self.buy_tokens(&walk, session, order, reason, out));
        self.token_walk = walk;
        done
    }

    /// Why the plan ends; `None` when it fills the order as far as whole lots allow.
    fn plan_token_order(
        &self,
        walk: &mut TokenWalk,
        dry: &mut DryWalk,
        session: SessionIx,
        order: &TokenOrder,
    ) -> Result<Option<CancelReason>, Rejection> {
        let wanted = self.check_token_order(walk, session, order)?;
        let reason = walk.make_plan(self, dry, &wanted);
        if order.time_in_force == TimeInForce::Fok.raw() && reason.is_some() {
            let planned = walk.planned_ktok_minutes() / 60;
            return Err(Rejection::whole(RejectReason::FokNotFillable).met(planned, order.quantity.raw()));
        }
        Ok(reason)
    }

    fn buy_tokens(
        &mut self,
        walk: &TokenWalk,
        session: SessionIx,
        order: &TokenOrder,
        reason: Option<CancelReason>,
        out: &mut Events,
    ) -> Done {
        let mut taker = self.token_taker(session, order);
        let mut bought = Bought { ktok_minutes: walk.planned_ktok_minutes(), ..Bought::default() };
        for planned in walk.plan() {
            match *planned {
                Planned::Fill { instrument, maker, lots } => {
                    let front = self.instruments[instrument].book().front(&self.orders.slab, Side::Sell);
                    assert_eq!(front, Some(maker), "the plan takes makers in the order of their queues");
                    taker.instrument = instrument;
                    // It counts tokens, not lots: no lots are left open beyond the fill in hand.
                    taker.leaves = lots;
                    let (notional, fee) = self.trade(&mut taker, maker, lots, out);
                    bought.notional += notional;
                    bought.fees += fee;
                    bought.fills += 1;
                }
                Planned::CancelOwn { maker } => {
                    self.cancel_open_order(maker, CancelReason::SelfTrade, Requester::NOBODY, out);
                }
            }
        }
        self.tell(session, token_order_done(order, &taker, &bought, reason), out);
        Done { order_id: taker.order_id, slot: SlotHint::UNKNOWN }
    }

    /// Checks in the order of the reject codes and sets up the walk's legs.
    fn check_token_order(
        &self,
        walk: &mut TokenWalk,
        session: SessionIx,
        order: &TokenOrder,
    ) -> Result<Wanted, Rejection> {
        use RejectReason::*;
        let field = Rejection::field;
        let self_trade = check_choices(order)?;
        self.check_entry(session)?;
        let count = usize::from(order.count);
        let named = &order.instruments[..count.min(TokenOrder::INSTRUMENTS_MAX)];
        let named = self.find_named(named)?;
        if order.quantity.raw() == 0 {
            return Err(field(QtyZero, offset_of!(TokenOrder, quantity)).met(1, 0));
        }
        let account = self.sessions[session].account;
        self.check_order_value(account, order_value(order), offset_of!(TokenOrder, quantity))?;
        if count == 0 || count > TokenOrder::INSTRUMENTS_MAX {
            let rejection = field(InstrumentCount, offset_of!(TokenOrder, count));
            return Err(rejection.met(TokenOrder::INSTRUMENTS_MAX, count));
        }
        self.check_one_window(&named)?;
        self.set_legs(walk, account, order, &named)?;
        let quantity = order.quantity.minutes();
        let smallest = walk.smallest_lot();
        if quantity < smallest {
            let rejection = field(BelowLot, offset_of!(TokenOrder, quantity));
            return Err(rejection.met(smallest.raw().div_ceil(60), order.quantity.raw()));
        }
        if order.limit.raw() <= 0 {
            let rejection = field(TokenPriceNotPositive, offset_of!(TokenOrder, limit));
            return Err(rejection.met(1, order.limit.raw()));
        }
        Ok(Wanted {
            quantity,
            limit: order.limit,
            overshoot: order.flags & TokenOrder::OVERSHOOT != 0,
            credits: self.ledger.credits(account).free,
            trade_group: self.accounts.trade_group(account),
            self_trade,
        })
    }

    /// Looks all instruments up, once: listed, not switched off and open. The lowest code over all of them is the answer.
    fn find_named(&self, named: &[InstrumentId]) -> Result<Named, Rejection> {
        let mut found =
            Named { places: [InstrumentIx::NOWHERE; TokenOrder::INSTRUMENTS_MAX], count: named.len() };
        let mut refused = None;
        for (index, id) in named.iter().enumerate() {
            match self.instruments.find(*id) {
                Some(ix) if self.is_part_open(ix) => found.places[index] = ix,
                Some(_) | None => refused = lowest([refused, self.part_refused(*id, index)]),
            }
        }
        refused.map_or(Ok(found), Err)
    }

    #[cold]
    fn part_refused(&self, id: InstrumentId, index: usize) -> Option<Rejection> {
        let part = self.find_instrument(id, offset_of_named(index)).and_then(|ix| self.check_part_open(ix));
        part.err().map(|rejection| rejection.of_instrument(id))
    }

    /// No instrument twice, one area, one window.
    fn check_one_window(&self, named: &Named) -> Result<(), Rejection> {
        let refuse = |reason, index: usize| {
            let id = self.instruments[named.all()[index]].id;
            Err(Rejection::field(reason, offset_of_named(index)).of_instrument(id))
        };
        let all = named.all();
        if let Some(index) = (1..all.len()).find(|index| all[..*index].contains(&all[*index])) {
            return refuse(RejectReason::DuplicateInstrument, index);
        }
        let place = |ix: &InstrumentIx| {
            let instrument = &self.instruments[*ix];
            (instrument.product.area, instrument.window)
        };
        let first = all.first().map(place);
        match all.iter().position(|ix| Some(place(ix)) != first) {
            Some(index) => refuse(RejectReason::MixedWindow, index),
            None => Ok(()),
        }
    }

    fn set_legs(
        &self,
        walk: &mut TokenWalk,
        account: AccountIx,
        order: &TokenOrder,
        named: &Named,
    ) -> Result<(), Rejection> {
        walk.clear();
        let yields = self.yields.of_model(order.model);
        let is_capped = self.accounts[account].limits.window_accelerators_max != 0;
        for ix in named.all() {
            let instrument = &self.instruments[*ix];
            assert!(instrument.phase == Phase::Open, "checked before");
            let no_yield = || {
                let rejection = Rejection::field(RejectReason::NoYield, offset_of!(TokenOrder, model));
                rejection.of_instrument(instrument.id).met(0, order.model.raw())
            };
            let yield_ktok = yields.get(instrument.product.class).ok_or_else(no_yield)?;
            let room = if is_capped { self.window_room(account, *ix) } else { None };
            walk.add_leg(Leg::new(*ix, instrument, yield_ktok, room));
        }
        Ok(())
    }

    fn token_taker(&mut self, session: SessionIx, order: &TokenOrder) -> Taker {
        let ix = self.instruments.find(order.instruments[0]).expect("checked before");
        // The plan has looked at everything that the order may meet.
        let self_trade = SelfTradeMode::CancelAggressor;
        self.sweeping_taker(session, order.client_order_id, self_trade, ix, Side::Buy)
    }
}

/// Of the instrument that the order names at an index.
const fn offset_of_named(index: usize) -> usize {
    offset_of!(TokenOrder, instruments) + index * size_of::<InstrumentId>()
}

/// The most that the order may cost, fees excluded. A limit below zero, which is refused later, is no value that a cap
/// could be about.
fn order_value(order: &TokenOrder) -> MicroEc {
    let value = i128::from(order.limit.raw().max(0)) * i128::from(order.quantity.raw()) / 1_000;
    MicroEc::new(i64::try_from(value).unwrap_or(i64::MAX))
}

fn check_choices(order: &TokenOrder) -> Result<SelfTradeMode, Rejection> {
    match TimeInForce::from_raw(order.time_in_force) {
        Some(TimeInForce::Ioc | TimeInForce::Fok) => {}
        // A resting token bid would have to follow every book that it names.
        Some(TimeInForce::Gtc | TimeInForce::Gtd) | None => {
            return Err(invalid(offset_of!(TokenOrder, time_in_force), order.time_in_force));
        }
    }
    if order.flags & !TokenOrder::OVERSHOOT != 0 {
        return Err(invalid(offset_of!(TokenOrder, flags), order.flags));
    }
    self_trade_mode_of_whole(order.self_trade, offset_of!(TokenOrder, self_trade))
}

fn token_order_done(
    order: &TokenOrder,
    taker: &Taker,
    bought: &Bought,
    reason: Option<CancelReason>,
) -> TokenOrderDone {
    TokenOrderDone {
        client_order_id: order.client_order_id,
        order_id: taker.order_id,
        filled_ktok_minutes: u64::try_from(bought.ktok_minutes).unwrap_or(u64::MAX),
        notional: bought.notional,
        fees: bought.fees,
        average_price: average_price(bought),
        fills: bought.fills,
        reason: reason.map_or(0, CancelReason::raw),
        ..Default::default()
    }
}

/// Notional per million tokens, rounded toward zero; zero without fills.
fn average_price(bought: &Bought) -> TokenPrice {
    // micro-EC / (kilo-token minutes / 60) * 1,000 kilo-tokens per million
    let scaled = bought.notional.raw().unsigned_abs() as u128 * 60 * 1_000;
    let average = scaled.checked_div(bought.ktok_minutes).unwrap_or(0);
    TokenPrice::new(i64::try_from(average).unwrap_or(i64::MAX))
}
