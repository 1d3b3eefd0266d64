//! Entering an order: its rules in the order of their codes, then its first moments.

use core::mem::offset_of;

use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::{NewOrder, OrderAccepted};
use joulebook_types::{
    OrderId, OrderType, Phase, Price, SelfTradeMode, Side, SlotHint, TimeInForce, Trigger,
};

use crate::ledger::KilledBy;
use crate::market::Market;
use crate::orders::{Order, Work};
use crate::rejection::{Checked, Rejection, field, invalid_choice, whole};
use crate::stops::Stop;
use crate::triggers::check_trigger;

/// What an order chose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choices {
    pub(crate) side: Side,
    pub(crate) time_in_force: TimeInForce,
    pub(crate) post_only: bool,
    pub(crate) order_type: OrderType,
    pub(crate) trigger: Trigger,
    pub(crate) self_trade: SelfTradeMode,
}

impl Choices {
    /// It may stay: in the book, in a call, or before its trigger.
    pub(crate) fn stays(&self) -> bool {
        match self.time_in_force {
            TimeInForce::Gtc | TimeInForce::Gtd => true,
            TimeInForce::Ioc | TimeInForce::Fok => false,
        }
    }

    fn is_plain_limit(&self) -> bool {
        self.order_type == OrderType::Limit && self.trigger == Trigger::None
    }
}

/// A new order that met the rules which need no market.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) choices: Choices,
    pub(crate) stop: Option<Stop>,
}

impl Market {
    pub(crate) fn new_order(&mut self, session: usize, new: &NewOrder) -> Checked<OrderId> {
        let (shape, index) = self
            .check_new_order(session, new)
            .map_err(|rejection| rejection.of_instrument(new.instrument))?;
        if shape.choices.order_type == OrderType::Budget {
            return Ok(self.budget_order(session, new, shape, index));
        }
        let id = self.new_order_id();
        let order = self.order_of(id, session, new, shape, index);
        self.accept(order, new);
        self.start(id);
        Ok(id)
    }

    /// The order is in hand and known to its owner.
    pub(crate) fn accept(&mut self, order: Order, new: &NewOrder) {
        let id = order.id;
        self.tell(
            order.session,
            OrderAccepted {
                client_order_id: order.client_order_id,
                order_id: id,
                price: new.price,
                instrument: new.instrument,
                qty: new.qty,
                slot: SlotHint::UNKNOWN,
                side: new.side,
                time_in_force: new.time_in_force,
                flags: new.flags,
                order_type: new.order_type,
                ..Default::default()
            },
        );
        self.orders.insert(id, order);
        self.set_expiry(id, new.expires);
    }

    /// What the order in hand does first.
    pub(crate) fn start(&mut self, id: OrderId) {
        let order = self.order(id);
        if order.stop.is_some() {
            self.enter_stop(id);
        } else if order.market && order.time_in_force == TimeInForce::Gtc {
            self.order_mut(id).work = Work::InCall;
        } else {
            self.act(id);
        }
    }

    pub(crate) fn order_of(
        &self,
        id: OrderId,
        session: usize,
        new: &NewOrder,
        shape: Shape,
        instrument: usize,
    ) -> Order {
        let Shape { choices, stop } = shape;
        let market = choices.order_type != OrderType::Limit;
        Order {
            instrument,
            side: choices.side,
            limit: self.limit_of(new, choices, instrument),
            market,
            leaves: new.qty,
            display: new.display_qty,
            time_in_force: choices.time_in_force,
            post_only: choices.post_only,
            self_trade: choices.self_trade,
            pays_from_free: market && choices.side == Side::Buy && stop.is_none(),
            stop,
            ..Order::in_hand(id, session, self.account_of(session), new.client_order_id)
        }
    }

    fn limit_of(&self, new: &NewOrder, choices: Choices, instrument: usize) -> Price {
        match choices.order_type {
            OrderType::Limit => new.price,
            OrderType::Market | OrderType::Budget => self.instruments[instrument].band_edge(choices.side),
        }
    }

    fn check_new_order(&self, session: usize, new: &NewOrder) -> Checked<(Shape, usize)> {
        let choices = check_choices(new)?;
        self.check_enabled(session)?;
        let stop = self.check_shape(new, choices)?;
        let shape = Shape { choices, stop };
        let index = self.find_instrument(new.instrument, offset_of!(NewOrder, instrument))?;
        self.check_class_enabled(index)?;
        self.check_phase(index, takes(new, choices))?;
        let account = self.account_of(session);
        if choices.order_type == OrderType::Budget {
            self.check_order_value(account, new.budget.raw(), offset_of!(NewOrder, budget))?;
            return Ok((shape, index));
        }
        self.check_size_and_price(new, choices, index)?;
        if choices.stays() {
            self.check_room(1)?;
        }
        let order = self.order_of(OrderId::NONE, session, new, shape, index);
        self.check_means(&order)?;
        self.check_at_once(new, &order)?;
        let value = self.value_of(&order);
        if choices.stays() {
            self.check_open_orders(account, 1)?;
        }
        self.check_order_value(account, self.counted_value(&order), offset_of!(NewOrder, qty))?;
        if choices.stays() {
            self.check_open_value(account, value, offset_of!(NewOrder, qty))?;
        }
        if choices.side == Side::Buy {
            let accelerators = self.instruments[index].accelerators(new.qty);
            self.check_window(account, index, accelerators, offset_of!(NewOrder, qty))?;
        }
        Ok((shape, index))
    }

    /// Rules 15 to 19.
    fn check_shape(&self, new: &NewOrder, choices: Choices) -> Checked<Option<Stop>> {
        let stop = check_trigger(new, choices.trigger)?;
        if choices.time_in_force == TimeInForce::Gtd {
            self.check_expiry(new.expires, offset_of!(NewOrder, expires))?;
        }
        let (display, qty) = (u64::from(new.display_qty), u64::from(new.qty));
        if display != 0 && (display > qty || display * 100 < qty) {
            let offset = offset_of!(NewOrder, display_qty);
            return Err(field(RejectReason::InvalidDisplay, offset).met(qty, display));
        }
        if new.min_qty > new.qty {
            let offset = offset_of!(NewOrder, min_qty);
            return Err(field(RejectReason::MinQtyAboveQty, offset).met(new.qty, new.min_qty));
        }
        if choices.order_type == OrderType::Budget && new.budget.raw() <= 0 {
            let offset = offset_of!(NewOrder, budget);
            return Err(field(RejectReason::BudgetNotPositive, offset).met(1, new.budget.raw()));
        }
        Ok(stop)
    }

    pub(crate) fn check_expiry(&self, expires: joulebook_types::TimeNs, offset: usize) -> Checked {
        if expires > self.time {
            return Ok(());
        }
        Err(field(RejectReason::ExpiryPassed, offset).met(self.time.raw(), expires.raw()))
    }

    /// Rules 23 to 28.
    pub(crate) fn check_size_and_price(&self, new: &NewOrder, choices: Choices, index: usize) -> Checked {
        let offset = offset_of!(NewOrder, qty);
        if new.qty == 0 {
            return Err(field(RejectReason::QtyZero, offset).met(1, 0));
        }
        self.check_qty_max(index, new.qty, offset)?;
        if choices.order_type == OrderType::Limit {
            self.check_price(index, new.price, offset_of!(NewOrder, price))?;
        }
        if choices.is_plain_limit() {
            self.check_dynamic(index, choices.side, new.price, offset_of!(NewOrder, price))?;
        }
        self.check_notional(index, self.limit_of(new, choices, index), new.qty, offset)
    }

    pub(crate) fn check_qty_max(&self, index: usize, qty: u32, offset: usize) -> Checked {
        let qty_max = self.instruments[index].qty_max;
        if qty <= qty_max {
            return Ok(());
        }
        Err(field(RejectReason::QtyAboveMax, offset).met(qty_max, qty))
    }

    /// A bid must be able to pay it, and an ask to find a bid that can.
    pub(crate) fn check_notional(&self, index: usize, limit: Price, lots: u32, offset: usize) -> Checked {
        let overflow = field(RejectReason::NotionalOverflow, offset).met(i64::MAX, lots);
        self.instruments[index].bid_hold(limit, lots).map(|_| ()).ok_or(overflow)
    }

    /// Places for `places` more orders.
    pub(crate) fn check_room(&self, places: usize) -> Checked {
        let (limit, wanted) = (self.limits.orders_max as usize, self.open_orders() + places);
        if wanted <= limit {
            return Ok(());
        }
        Err(whole(RejectReason::OrderLimit).met(limit, wanted))
    }

    /// Free credits or capacity for what the order holds.
    fn check_means(&self, order: &Order) -> Checked {
        let offset = offset_of!(NewOrder, qty);
        let instrument = &self.instruments[order.instrument];
        match order.side {
            Side::Buy if order.pays_from_free => Ok(()),
            Side::Buy => {
                let hold = instrument.bid_hold(order.limit, order.leaves).expect("checked before");
                check_credits(self.free(order.account), hold, offset)
            }
            Side::Sell => {
                let free = self.free_capacity(order.account, order.instrument, &[]);
                check_capacity(free, instrument.accelerators(order.leaves), offset)
            }
        }
    }

    /// Rules 32 to 34: what must not trade, and what must.
    fn check_at_once(&self, new: &NewOrder, order: &Order) -> Checked {
        let pre_open = self.instruments[order.instrument].phase == Phase::PreOpen && order.stop.is_none();
        if order.post_only || pre_open {
            self.check_would_rest(order.instrument, order.side, order.limit, &[])?;
        }
        if order.time_in_force == TimeInForce::Fok || new.min_qty > 0 {
            let (lots, all) = self.dry_walk(order);
            if order.time_in_force == TimeInForce::Fok && !all {
                return Err(whole(RejectReason::FokNotFillable).met(lots, new.qty));
            }
            if lots < new.min_qty {
                let offset = offset_of!(NewOrder, min_qty);
                return Err(field(RejectReason::MinQtyNotFillable, offset).met(lots, new.min_qty));
            }
        }
        Ok(())
    }

    /// Refuses a price that reaches the other side's best, own orders included but for those in `without`.
    pub(crate) fn check_would_rest(
        &self,
        instrument: usize,
        side: Side,
        price: Price,
        without: &[OrderId],
    ) -> Checked {
        let queue = self.queue(instrument, side.opposite());
        match queue.iter().find(|order| !without.contains(&order.id)) {
            Some(best) if Self::reaches(side, price, best.limit) => {
                Err(whole(RejectReason::PostOnlyWouldTrade).met(best.limit.raw(), price.raw()))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the instrument's phase takes a request that is taken in the phases `takes`.
    pub(crate) fn check_phase(&self, index: usize, takes: impl Fn(Phase) -> bool) -> Checked {
        let instrument = &self.instruments[index];
        if instrument.is_closed() {
            return Err(self.gate_closed(index));
        }
        if takes(instrument.phase) {
            return Ok(());
        }
        Err(whole(RejectReason::NotOpen).met(Phase::Open.raw(), instrument.phase.raw()))
    }

    /// The kill switch of the exchange, the account and the session.
    pub(crate) fn check_enabled(&self, session: usize) -> Checked {
        let disabled = |scope: u8| Err(whole(RejectReason::EntryDisabled).met(scope, 0));
        let by = |killed: Option<KilledBy>| killed.is_some();
        if self.killed_exchange {
            return disabled(4);
        }
        if by(self.accounts[self.account_of(session)].killed) {
            return disabled(1);
        }
        if by(self.sessions[session].killed) {
            return disabled(2);
        }
        Ok(())
    }

    pub(crate) fn check_class_enabled(&self, index: usize) -> Checked {
        if self.killed_classes.contains(&self.instruments[index].class) {
            return Err(whole(RejectReason::EntryDisabled).met(3, 0));
        }
        Ok(())
    }
}

pub(crate) fn check_credits(free: i64, hold: i64, offset: usize) -> Checked {
    if hold <= free {
        return Ok(());
    }
    Err(field(RejectReason::InsufficientCredits, offset).met(free, hold))
}

pub(crate) fn check_capacity(free: i64, wanted: i64, offset: usize) -> Checked {
    if wanted <= free {
        return Ok(());
    }
    Err(field(RejectReason::InsufficientCapacity, offset).met(free, wanted))
}

/// The phases that take an order.
fn takes(new: &NewOrder, choices: Choices) -> impl Fn(Phase) -> bool + '_ {
    let Choices { post_only, order_type, trigger, time_in_force, .. } = choices;
    let waits = trigger != Trigger::None;
    let rests = choices.stays() && order_type == OrderType::Limit && new.min_qty == 0;
    let joins_call = order_type == OrderType::Market && time_in_force == TimeInForce::Gtc && !waits;
    move |phase| match phase {
        Phase::PreOpen => waits || rests,
        Phase::Open => !joins_call,
        Phase::Auction => waits || joins_call && new.min_qty == 0 || rests && !post_only,
        Phase::Pending | Phase::Halted | Phase::Closed | Phase::Delivering | Phase::Settled => false,
    }
}

/// Known choices that go together.
fn check_choices(new: &NewOrder) -> Checked<Choices> {
    let side = Side::from_raw(new.side).ok_or(invalid_choice(offset_of!(NewOrder, side), new.side))?;
    let unknown = invalid_choice(offset_of!(NewOrder, time_in_force), new.time_in_force);
    let time_in_force = TimeInForce::from_raw(new.time_in_force).ok_or(unknown)?;
    if new.flags & !NewOrder::POST_ONLY != 0 {
        return Err(invalid_choice(offset_of!(NewOrder, flags), new.flags));
    }
    let unknown = invalid_choice(offset_of!(NewOrder, order_type), new.order_type);
    let order_type = OrderType::from_raw(new.order_type).ok_or(unknown)?;
    let unknown = invalid_choice(offset_of!(NewOrder, trigger), new.trigger);
    let trigger = Trigger::from_raw(new.trigger).ok_or(unknown)?;
    let self_trade = check_self_trade(new.self_trade, offset_of!(NewOrder, self_trade))?;
    let post_only = new.flags & NewOrder::POST_ONLY != 0;
    let choices = Choices { side, time_in_force, post_only, order_type, trigger, self_trade };
    match forbidden(new, &choices) {
        Some(rejection) => Err(rejection),
        None => Ok(choices),
    }
}

pub(crate) fn check_self_trade(raw: u8, offset: usize) -> Checked<SelfTradeMode> {
    SelfTradeMode::from_raw(raw).ok_or(invalid_choice(offset, raw))
}

/// The first combination of known choices that does not go together.
fn forbidden(new: &NewOrder, choices: &Choices) -> Option<Rejection> {
    let Choices { side, post_only, order_type, trigger, self_trade, time_in_force, .. } = *choices;
    let at_once = !choices.stays();
    let (limit, waits) = (order_type == OrderType::Limit, trigger != Trigger::None);
    let budget = order_type == OrderType::Budget;
    let rules = [
        (
            post_only && (at_once || !limit || waits || new.min_qty != 0),
            invalid_choice(offset_of!(NewOrder, flags), new.flags),
        ),
        (!limit && new.price != Price::ZERO, invalid_choice(offset_of!(NewOrder, price), new.price.raw())),
        (budget && side == Side::Sell, invalid_choice(offset_of!(NewOrder, side), new.side)),
        (
            budget && time_in_force != TimeInForce::Ioc,
            invalid_choice(offset_of!(NewOrder, time_in_force), new.time_in_force),
        ),
        (budget && new.qty != 0, invalid_choice(offset_of!(NewOrder, qty), new.qty)),
        (budget && waits, invalid_choice(offset_of!(NewOrder, trigger), new.trigger)),
        (
            budget && self_trade == SelfTradeMode::Decrement,
            invalid_choice(offset_of!(NewOrder, self_trade), new.self_trade),
        ),
        (!budget && new.budget.raw() != 0, invalid_choice(offset_of!(NewOrder, budget), new.budget.raw())),
        (waits && at_once, invalid_choice(offset_of!(NewOrder, time_in_force), new.time_in_force)),
        (
            order_type == OrderType::Market && !waits && time_in_force == TimeInForce::Gtd,
            invalid_choice(offset_of!(NewOrder, time_in_force), new.time_in_force),
        ),
        (
            new.min_qty != 0 && (time_in_force == TimeInForce::Fok || waits || budget),
            invalid_choice(offset_of!(NewOrder, min_qty), new.min_qty),
        ),
        (
            new.display_qty != 0 && (at_once || !limit),
            invalid_choice(offset_of!(NewOrder, display_qty), new.display_qty),
        ),
        (
            new.expires.raw() != 0 && time_in_force != TimeInForce::Gtd,
            invalid_choice(offset_of!(NewOrder, expires), new.expires.raw()),
        ),
    ];
    rules.into_iter().find(|(broken, _)| *broken).map(|(_, rejection)| rejection)
}
