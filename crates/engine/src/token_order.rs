//! Token orders: buy inference, not hours. "5,000 Mtok of this model at 1.60 EC/Mtok at most, on any of these."

use core::mem::offset_of;

use joulebook_ledger::AccountIx;
use joulebook_protocol::messages::{TokenOrder, TokenOrderDone};
use joulebook_protocol::{CancelReason, RejectReason};
use joulebook_types::{
    AreaCode, InstrumentId, MicroEc, Phase, SelfTradeMode, Side, SlotHint, TimeInForce, TokenPrice, Window,
};

use crate::legs::lowest;
use crate::matching::Taker;
use crate::order_choices::{invalid, self_trade_mode_of_whole};
use crate::request::{Done, Rejection};
use crate::sessions::SessionIx;
use crate::token_asks::{Buying, Planning};
use crate::token_walk::{Leg, TokenWalk, Walked, Wanted};
use crate::{Engine, Events};

/// What the legs of an order have in common, as far as they are known.
struct Common {
    account: AccountIx,
    is_capped: bool,
    all_classes_enter: bool,
    /// Those of the first leg.
    area_and_window: Option<(AreaCode, Window)>,
    /// A bit for each instrument, which others share: most orders are seen to name none twice without a comparison.
    seen: u64,
    /// Whether a lot of any of them is no more than the order wants.
    is_lot_wanted: bool,
}

impl Engine {
    pub(crate) fn token_order(
        &mut self,
        session: SessionIx,
        order: &TokenOrder,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let mut walk = core::mem::take(&mut self.token_walk);
        let done = self.walk_for_tokens(&mut walk, session, order, out);
        self.token_walk = walk;
        done
    }

    /// A fill-or-kill order is planned before it has any effect. Debug builds plan all orders, so that each of them shows
    /// whether plans come true.
    #[inline(always)]
    fn walk_for_tokens(
        &mut self,
        walk: &mut TokenWalk,
        session: SessionIx,
        order: &TokenOrder,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let wanted = self.check_token_order(walk, session, order)?;
        let kill = order.time_in_force == TimeInForce::Fok.raw();
        let mut plan = None;
        if kill || cfg!(debug_assertions) {
            let planned = self.plan_token_order(walk, session, order, &wanted)?;
            if kill && planned.reason.is_some() {
                let rejection = Rejection::whole(RejectReason::FokNotFillable);
                return Err(rejection.met(planned.bought / 60, order.quantity.raw()));
            }
            plan = Some(planned);
        }
        let taker = self.token_taker(session, order, walk);
        let mut buying =
            Buying { engine: self, taker, notional: MicroEc::ZERO, fees: MicroEc::ZERO, fills: 0, out };
        let walked = walk.run(&mut buying, &wanted);
        assert!(plan.is_none_or(|plan| plan == walked), "what was planned is what happens");
        let done = token_order_done(order, &buying, &walked);
        self.tell(session, done, out);
        Ok(Done { order_id: done.order_id, slot: SlotHint::UNKNOWN })
    }

    /// What the order would get. The walk has its legs again afterwards.
    #[cold]
    fn plan_token_order(
        &mut self,
        walk: &mut TokenWalk,
        session: SessionIx,
        order: &TokenOrder,
        wanted: &Wanted,
    ) -> Result<Walked, Rejection> {
        let mut dry = core::mem::take(&mut self.dry_walk);
        dry.begin();
        let credits = self.ledger.credits(self.sessions[session].account).free;
        let planned = walk.run(&mut Planning { engine: self, walk: &mut dry, credits }, wanted);
        self.dry_walk = dry;
        self.check_token_order(walk, session, order)?;
        Ok(planned)
    }

    /// Sets up the walk's legs. Every rule is asked of each leg; the answer is the lowest code that any of them and the
    /// order as a whole meet.
    #[inline(always)]
    fn check_token_order(
        &self,
        walk: &mut TokenWalk,
        session: SessionIx,
        order: &TokenOrder,
    ) -> Result<Wanted, Rejection> {
        let self_trade = check_choices(order)?;
        self.check_entry(session)?;
        let account = self.sessions[session].account;
        let mut common = Common {
            account,
            is_capped: self.accounts[account].limits.window_accelerators_max != 0,
            all_classes_enter: self.disabled.classes.is_empty(),
            area_and_window: None,
            seen: 0,
            is_lot_wanted: false,
        };
        let count = usize::from(order.count).min(TokenOrder::INSTRUMENTS_MAX);
        walk.clear();
        let mut refused = None;
        for index in 0..count {
            if let Err(rejection) = self.add_token_leg(walk, &mut common, order, index) {
                refused = lowest([refused, Some(rejection)]);
            }
        }
        let figures = self.check_token_figures(account, order, common.is_lot_wanted, walk);
        if refused.is_some() || figures.is_err() {
            return Err(lowest([refused, figures.err()]).expect("one of them is there"));
        }
        Ok(Wanted {
            quantity: order.quantity.minutes(),
            limit: order.limit,
            overshoot: order.flags & TokenOrder::OVERSHOOT != 0,
            trade_group: self.accounts.trade_group(account),
            self_trade,
        })
    }

    /// Of an instrument that the order names: listed, not switched off and open, not named before, of one area and window
    /// with the first, and with a yield.
    #[inline(always)]
    fn add_token_leg(
        &self,
        walk: &mut TokenWalk,
        common: &mut Common,
        order: &TokenOrder,
        index: usize,
    ) -> Result<(), Rejection> {
        let id = order.instruments[index];
        let Some(ix) = self.instruments.find(id) else { return Err(self.part_refused(id, index)) };
        let instrument = &self.instruments[ix];
        if instrument.phase != Phase::Open || !common.all_classes_enter && self.check_class_entry(ix).is_err()
        {
            return Err(self.part_refused(id, index));
        }
        let refuse = |reason| Err(Rejection::field(reason, offset_of_named(index)).of_instrument(id));
        let bit = 1 << (ix.raw() % u64::BITS);
        if common.seen & bit != 0 && order.instruments[..index].contains(&id) {
            return refuse(RejectReason::DuplicateInstrument);
        }
        common.seen |= bit;
        let place = (instrument.product.area, instrument.window);
        if *common.area_and_window.get_or_insert(place) != place {
            return refuse(RejectReason::MixedWindow);
        }
        let Some(yield_ktok) = self.yields.get(order.model, instrument.product.class) else {
            let rejection = Rejection::field(RejectReason::NoYield, offset_of!(TokenOrder, model));
            return Err(rejection.of_instrument(id).met(0, order.model.raw()));
        };
        let room = if common.is_capped { self.window_room(common.account, ix) } else { None };
        let leg = Leg::new(ix, instrument, yield_ktok, room);
        common.is_lot_wanted = common.is_lot_wanted || leg.delivers(1) <= order.quantity.minutes();
        walk.add_leg(leg, instrument.book().best(Side::Sell));
        Ok(())
    }

    /// Why no leg becomes of an instrument whatever the others are.
    #[cold]
    fn part_refused(&self, id: InstrumentId, index: usize) -> Rejection {
        let part = self.find_instrument(id, offset_of_named(index)).and_then(|ix| self.check_part_open(ix));
        part.expect_err("an instrument that is open is no reason").of_instrument(id)
    }

    /// What is about the order as a whole.
    #[inline(always)]
    fn check_token_figures(
        &self,
        account: AccountIx,
        order: &TokenOrder,
        is_lot_wanted: bool,
        walk: &TokenWalk,
    ) -> Result<(), Rejection> {
        use RejectReason::*;
        let field = Rejection::field;
        if order.quantity.raw() == 0 {
            return Err(field(QtyZero, offset_of!(TokenOrder, quantity)).met(1, 0));
        }
        if self.accounts[account].limits.order_value_max != MicroEc::ZERO {
            self.check_order_value(account, order_value(order), offset_of!(TokenOrder, quantity))?;
        }
        let count = usize::from(order.count);
        if count == 0 || count > TokenOrder::INSTRUMENTS_MAX {
            let rejection = field(InstrumentCount, offset_of!(TokenOrder, count));
            return Err(rejection.met(TokenOrder::INSTRUMENTS_MAX, count));
        }
        if !is_lot_wanted {
            let rejection = field(BelowLot, offset_of!(TokenOrder, quantity));
            let smallest = walk.smallest_lot().raw().div_ceil(60);
            return Err(rejection.met(smallest, order.quantity.raw()));
        }
        if order.limit.raw() <= 0 {
            let rejection = field(TokenPriceNotPositive, offset_of!(TokenOrder, limit));
            return Err(rejection.met(1, order.limit.raw()));
        }
        Ok(())
    }

    #[inline(always)]
    fn token_taker(&mut self, session: SessionIx, order: &TokenOrder, walk: &TokenWalk) -> Taker {
        // The walk looks at everything that the order may meet.
        let self_trade = SelfTradeMode::CancelAggressor;
        self.sweeping_taker(session, order.client_order_id, self_trade, walk.some_book(), Side::Buy)
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

#[inline(always)]
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

#[inline(always)]
fn token_order_done(order: &TokenOrder, buying: &Buying<'_>, walked: &Walked) -> TokenOrderDone {
    let Buying { notional, fees, fills, .. } = *buying;
    TokenOrderDone {
        client_order_id: order.client_order_id,
        order_id: buying.taker.order_id,
        filled_ktok_minutes: u64::try_from(walked.bought).unwrap_or(u64::MAX),
        notional,
        fees,
        average_price: average_price(notional, walked.bought),
        fills,
        reason: walked.reason.map_or(0, CancelReason::raw),
        ..Default::default()
    }
}

/// Notional per million tokens, rounded toward zero; zero without fills.
fn average_price(notional: MicroEc, ktok_minutes: u128) -> TokenPrice {
    // micro-EC / (kilo-token minutes / 60) * 1,000 kilo-tokens per million
    let scaled = u128::from(notional.raw().unsigned_abs()) * 60 * 1_000;
    let average = scaled.checked_div(ktok_minutes).unwrap_or(0);
    TokenPrice::new(i64::try_from(average).unwrap_or(i64::MAX))
}
