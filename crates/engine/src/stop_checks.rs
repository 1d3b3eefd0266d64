//! Whether the fields of a stop go together.

use core::mem::offset_of;

use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::NewOrder;
use joulebook_types::{Price, Trigger};

use crate::request::Rejection;
use crate::stop_book::StopTrigger;
use crate::trailing::{Distance, Trail};

/// The most that a trailing stop may lie behind its peak: less than all of it.
pub(crate) const TRAIL_BPS_MAX: u32 = 9_999;

/// What a new order waits for; `None` when it acts at once.
pub(crate) fn check_trigger(order: &NewOrder, trigger: Trigger) -> Result<Option<StopTrigger>, Rejection> {
    match trigger {
        Trigger::None => {
            check_unset(order.trigger_price, TRIGGER_PRICE)?;
            check_no_trail(order)?;
            Ok(None)
        }
        Trigger::Stop => {
            if order.trigger_price <= Price::ZERO {
                return Err(invalid(TRIGGER_PRICE, order.trigger_price.raw()));
            }
            check_no_trail(order)?;
            Ok(Some(StopTrigger::Price(order.trigger_price)))
        }
        Trigger::Trailing => {
            check_unset(order.trigger_price, TRIGGER_PRICE)?;
            let distance = check_distance(order)?;
            let activation_price = order.activation_price;
            if activation_price < Price::ZERO {
                return Err(invalid(ACTIVATION_PRICE, activation_price.raw()));
            }
            Ok(Some(StopTrigger::Trailing(Trail { distance, activation_price, peak: None })))
        }
    }
}

const TRIGGER_PRICE: usize = offset_of!(NewOrder, trigger_price);
const TRAIL_DISTANCE: usize = offset_of!(NewOrder, trail_distance);
const TRAIL_BPS: usize = offset_of!(NewOrder, trail_bps);
const ACTIVATION_PRICE: usize = offset_of!(NewOrder, activation_price);

/// One of price and basis points, and not the other.
fn check_distance(order: &NewOrder) -> Result<Distance, Rejection> {
    let (by_price, bps) = (order.trail_distance, order.trail_bps);
    if by_price < Price::ZERO || by_price == Price::ZERO && bps == 0 {
        return Err(invalid(TRAIL_DISTANCE, by_price.raw()));
    }
    if bps > TRAIL_BPS_MAX || by_price > Price::ZERO && bps > 0 {
        return Err(invalid(TRAIL_BPS, bps));
    }
    Ok(if bps > 0 { Distance::BasisPoints(bps) } else { Distance::Price(by_price) })
}

fn check_no_trail(order: &NewOrder) -> Result<(), Rejection> {
    check_unset(order.trail_distance, TRAIL_DISTANCE)?;
    if order.trail_bps != 0 {
        return Err(invalid(TRAIL_BPS, order.trail_bps));
    }
    check_unset(order.activation_price, ACTIVATION_PRICE)
}

fn check_unset(price: Price, offset: usize) -> Result<(), Rejection> {
    if price == Price::ZERO { Ok(()) } else { Err(invalid(offset, price.raw())) }
}

fn invalid(offset: usize, value: impl TryInto<i64>) -> Rejection {
    Rejection::field(RejectReason::InvalidTrigger, offset).met(0, value)
}
