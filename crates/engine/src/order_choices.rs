//! What kind of order a client wants, and which kinds there are: the checks that need nothing but the message.

use core::mem::offset_of;

use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::NewOrder;
use joulebook_types::{MicroEc, OrderType, Phase, Price, SelfTradeMode, Side, TimeInForce, TimeNs, Trigger};
use zerocopy::IntoBytes;

use crate::orders::{Place, Terms};
use crate::request::Rejection;

/// The choices of a new order; they go together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choices {
    pub(crate) side: Side,
    pub(crate) time_in_force: TimeInForce,
    pub(crate) order_type: OrderType,
    pub(crate) trigger: Trigger,
    pub(crate) self_trade: SelfTradeMode,
    pub(crate) post_only: bool,
    /// Whether it is a limit order of which there is no more to say: every field that others use is zero.
    pub(crate) is_plain: bool,
}

const GTC: u8 = TimeInForce::Gtc.raw();
const IOC: u8 = TimeInForce::Ioc.raw();

/// The word of an order that has side, time in force and flags, and how far behind its beginning the flags end.
const CHOICES_WORD: usize = offset_of!(NewOrder, side) / size_of::<u64>();
const SPECIAL_SHIFT: usize =
    (offset_of!(NewOrder, flags) + 1 - CHOICES_WORD * size_of::<u64>()) * u8::BITS as usize;

/// An iceberg shows at least a hundredth of its size.
const SLICES_MAX: u64 = 100;

impl Choices {
    /// What `of` says of a plain order, as nearly all are, in one look: whatever makes an order special lies behind the
    /// flags, and a plain one has only zeros there.
    #[inline(always)]
    pub(crate) fn of_plain(order: &NewOrder) -> Option<Self> {
        let words = &order.as_bytes().as_chunks::<8>().0[CHOICES_WORD..];
        let behind_flags = u64::from_le_bytes(words[0]) >> SPECIAL_SHIFT;
        let rest = words[1..].iter().fold(behind_flags, |rest, word| rest | u64::from_le_bytes(*word));
        if rest != 0 {
            return None;
        }
        let (time_in_force, post_only) = match (order.time_in_force, order.flags) {
            (GTC, 0) => (TimeInForce::Gtc, false),
            (GTC, NewOrder::POST_ONLY) => (TimeInForce::Gtc, true),
            (IOC, 0) => (TimeInForce::Ioc, false),
            _ => return None,
        };
        Some(Self {
            side: Side::from_raw(order.side)?,
            time_in_force,
            order_type: OrderType::Limit,
            trigger: Trigger::None,
            self_trade: SelfTradeMode::CancelAggressor,
            post_only,
            is_plain: true,
        })
    }

    /// Refuses numbers that mean nothing, then combinations that do.
    pub(crate) fn of(order: &NewOrder) -> Result<Self, Rejection> {
        let side = Side::from_raw(order.side).ok_or(invalid(offset_of!(NewOrder, side), order.side))?;
        let time_in_force = TimeInForce::from_raw(order.time_in_force)
            .ok_or(invalid(offset_of!(NewOrder, time_in_force), order.time_in_force))?;
        if order.flags & !NewOrder::POST_ONLY != 0 {
            return Err(invalid(offset_of!(NewOrder, flags), order.flags));
        }
        let order_type = OrderType::from_raw(order.order_type)
            .ok_or(invalid(offset_of!(NewOrder, order_type), order.order_type))?;
        let trigger =
            Trigger::from_raw(order.trigger).ok_or(invalid(offset_of!(NewOrder, trigger), order.trigger))?;
        let self_trade = self_trade_mode(order.self_trade, offset_of!(NewOrder, self_trade))?;
        let post_only = order.flags & NewOrder::POST_ONLY != 0;
        let choices =
            Self { side, time_in_force, order_type, trigger, self_trade, post_only, is_plain: false };
        choices.check_together(order)?;
        Ok(choices)
    }

    /// What must trade at once and what must not trade are not one order, and so on.
    fn check_together(&self, order: &NewOrder) -> Result<(), Rejection> {
        let triggered = self.trigger != Trigger::None;
        let limit = self.order_type == OrderType::Limit;
        let immediate = self.is_immediate();
        if self.post_only && (immediate || !limit || triggered || order.min_qty != 0) {
            return Err(invalid(offset_of!(NewOrder, flags), order.flags));
        }
        if !limit && order.price != Price::ZERO {
            return Err(invalid(offset_of!(NewOrder, price), order.price.raw()));
        }
        if self.order_type == OrderType::Budget {
            self.check_budget(order)?;
        } else if order.budget != MicroEc::ZERO {
            return Err(invalid(offset_of!(NewOrder, budget), order.budget.raw()));
        }
        let waits_in_vain = triggered && immediate;
        // A market order that rests waits for one uncross, not for a date.
        let market_to_a_date = self.order_type == OrderType::Market && !triggered && self.is_dated();
        if waits_in_vain || market_to_a_date {
            return Err(invalid(offset_of!(NewOrder, time_in_force), order.time_in_force));
        }
        let all_or_nothing = self.time_in_force == TimeInForce::Fok;
        if order.min_qty != 0 && (all_or_nothing || triggered || self.order_type == OrderType::Budget) {
            return Err(invalid(offset_of!(NewOrder, min_qty), order.min_qty));
        }
        if order.display_qty != 0 && (immediate || !limit) {
            return Err(invalid(offset_of!(NewOrder, display_qty), order.display_qty));
        }
        if order.expires != TimeNs::ZERO && !self.is_dated() {
            return Err(invalid(offset_of!(NewOrder, expires), order.expires.raw()));
        }
        Ok(())
    }

    /// A budget order buys at once and knows no lots.
    fn check_budget(&self, order: &NewOrder) -> Result<(), Rejection> {
        if self.side != Side::Buy {
            return Err(invalid(offset_of!(NewOrder, side), order.side));
        }
        if self.time_in_force != TimeInForce::Ioc {
            return Err(invalid(offset_of!(NewOrder, time_in_force), order.time_in_force));
        }
        if order.qty != 0 {
            return Err(invalid(offset_of!(NewOrder, qty), order.qty));
        }
        if self.trigger != Trigger::None {
            return Err(invalid(offset_of!(NewOrder, trigger), order.trigger));
        }
        if self.self_trade == SelfTradeMode::Decrement {
            return Err(invalid(offset_of!(NewOrder, self_trade), order.self_trade));
        }
        Ok(())
    }

    /// Display, minimum and budget against the order's size.
    pub(crate) fn check_sizes(&self, order: &NewOrder) -> Result<(), Rejection> {
        let (display, qty) = (order.display_qty, order.qty);
        if display != 0 && (display > qty || u64::from(display) * SLICES_MAX < u64::from(qty)) {
            let offset = offset_of!(NewOrder, display_qty);
            return Err(Rejection::field(RejectReason::InvalidDisplay, offset).met(qty, display));
        }
        if order.min_qty > qty {
            let offset = offset_of!(NewOrder, min_qty);
            return Err(Rejection::field(RejectReason::MinQtyAboveQty, offset).met(qty, order.min_qty));
        }
        if self.order_type == OrderType::Budget && order.budget <= MicroEc::ZERO {
            let offset = offset_of!(NewOrder, budget);
            return Err(Rejection::field(RejectReason::BudgetNotPositive, offset).met(1, order.budget.raw()));
        }
        Ok(())
    }

    /// Whether a phase takes the order. Before the opening and in a call nothing trades at once; in a call an order may
    /// not refuse to trade either, and a market order waits for the uncross only there.
    #[inline]
    pub(crate) fn is_taken_in(&self, phase: Phase, order: &NewOrder) -> bool {
        let gathers = || self.trigger != Trigger::None || self.is_plain_limit() && order.min_qty == 0;
        let market_in_call = || self.place() == Place::Call;
        match phase {
            Phase::PreOpen => gathers(),
            Phase::Open => self.is_plain || !market_in_call(),
            Phase::Auction => gathers() && !self.post_only || market_in_call() && order.min_qty == 0,
            Phase::Pending | Phase::Halted => false,
            Phase::Closed | Phase::Delivering | Phase::Settled => false,
        }
    }

    /// A limit order that waits for nothing and may rest.
    #[inline]
    pub(crate) fn is_plain_limit(&self) -> bool {
        self.order_type == OrderType::Limit && self.trigger == Trigger::None && !self.is_immediate()
    }

    #[inline]
    pub(crate) fn terms(&self, order: &NewOrder) -> Terms {
        let Self { order_type, time_in_force, self_trade, .. } = *self;
        let display_qty = order.display_qty;
        let (place, expires) = (self.place(), order.expires);
        Terms { order_type, time_in_force, self_trade, display_qty, place, expires, ..Terms::PLAIN }
    }

    /// Where it stands once it is accepted.
    fn place(&self) -> Place {
        if self.trigger != Trigger::None {
            return Place::Stop;
        }
        match (self.order_type, self.is_immediate()) {
            (OrderType::Market, false) => Place::Call,
            (OrderType::Limit | OrderType::Market | OrderType::Budget, _) => Place::Book,
        }
    }

    fn is_immediate(&self) -> bool {
        match self.time_in_force {
            TimeInForce::Ioc | TimeInForce::Fok => true,
            TimeInForce::Gtc | TimeInForce::Gtd => false,
        }
    }

    fn is_dated(&self) -> bool {
        self.time_in_force == TimeInForce::Gtd
    }
}

/// What an order does when it meets its own group.
pub(crate) fn self_trade_mode(raw: u8, offset: usize) -> Result<SelfTradeMode, Rejection> {
    SelfTradeMode::from_raw(raw).ok_or(invalid(offset, raw))
}

/// The same for orders of which no part can be taken off: they have no size in lots, or no lots to spare.
pub(crate) fn self_trade_mode_of_whole(raw: u8, offset: usize) -> Result<SelfTradeMode, Rejection> {
    match self_trade_mode(raw, offset)? {
        SelfTradeMode::Decrement => Err(invalid(offset, raw)),
        mode
        @ (SelfTradeMode::CancelAggressor | SelfTradeMode::CancelResting | SelfTradeMode::CancelBoth) => {
            Ok(mode)
        }
    }
}

/// An iceberg that is replaced has no more slices left than a new one: each of them costs whoever takes it a fill.
pub(crate) fn check_slices(terms: &Terms, leaves: u32, qty_offset: usize) -> Result<(), Rejection> {
    let most = u64::from(terms.display_qty) * SLICES_MAX;
    if terms.display_qty == 0 || u64::from(leaves) <= most {
        return Ok(());
    }
    Err(Rejection::field(RejectReason::InvalidDisplay, qty_offset).met(most, leaves))
}

/// A choice that is not known, or not with the others.
pub(crate) fn invalid(offset: usize, value: impl TryInto<i64>) -> Rejection {
    Rejection::field(RejectReason::InvalidChoice, offset).met(0, value)
}

#[cfg(test)]
mod tests {
    use joulebook_types::{ClientOrderId, InstrumentId};
    use zerocopy::FromBytes;

    use super::*;
    use crate::stop_checks::check_trigger;

    fn plain() -> NewOrder {
        NewOrder {
            client_order_id: ClientOrderId::new(7),
            price: Price::new(20_000),
            instrument: InstrumentId::new(1),
            qty: 3,
            side: Side::Sell.raw(),
            time_in_force: GTC,
            ..Default::default()
        }
    }

    /// Every byte of a plain order, set to every value: what the quick look says is what the whole check says.
    #[test]
    fn a_plain_order_is_what_the_whole_check_finds() {
        let mut plain_orders = 0;
        for time_in_force in TimeInForce::ALL {
            for flags in [0, NewOrder::POST_ONLY] {
                let order = NewOrder { time_in_force: time_in_force.raw(), flags, ..plain() };
                for (place, value) in (0..size_of::<NewOrder>())
                    .flat_map(|place| (0..=u8::MAX).map(move |value| (place, value)))
                {
                    let mut bytes = order.as_bytes().to_vec();
                    bytes[place] = value;
                    let order = NewOrder::read_from_bytes(&bytes).expect("as long as an order");
                    let Some(quick) = Choices::of_plain(&order) else { continue };
                    plain_orders += 1;
                    let whole = Choices::of(&order).expect("a plain order is right");
                    let whole = Choices { is_plain: true, ..whole };
                    assert_eq!(format!("{quick:?}"), format!("{whole:?}"));
                    assert!(
                        quick.check_sizes(&order).is_ok() && check_trigger(&order, quick.trigger).is_ok()
                    );
                }
            }
        }
        assert!(plain_orders > 1_000, "good till canceled and at once are plain: {plain_orders}");
        assert!(Choices::of_plain(&NewOrder { self_trade: 1, ..plain() }).is_none());
    }
}
