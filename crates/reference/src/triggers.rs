//! The fields of a stop, as they come with an order.

use core::mem::offset_of;

use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::NewOrder;
use joulebook_types::{Price, Trigger};

use crate::rejection::{Checked, field};
use crate::stops::{Distance, Stop, Trail, Watch};

const TRAIL_BPS_MAX: u32 = 9_999;

/// The stop that an order asks for, if it asks for one.
pub(crate) fn check_trigger(order: &NewOrder, trigger: Trigger) -> Checked<Option<Stop>> {
    let stop = |watch| Some(Stop { watch, marked_by: None });
    match trigger {
        Trigger::None => {
            must_be_zero(order.trigger_price, offset_of!(NewOrder, trigger_price))?;
            check_no_trail(order)?;
            Ok(None)
        }
        Trigger::Stop => {
            if order.trigger_price <= Price::ZERO {
                return invalid(offset_of!(NewOrder, trigger_price), order.trigger_price.raw());
            }
            check_no_trail(order)?;
            Ok(stop(Watch::Fixed(order.trigger_price)))
        }
        Trigger::Trailing => check_trail(order).map(|trail| stop(Watch::Trailing(trail))),
    }
}

fn check_trail(order: &NewOrder) -> Checked<Trail> {
    must_be_zero(order.trigger_price, offset_of!(NewOrder, trigger_price))?;
    let has_distance = order.trail_distance != Price::ZERO;
    if order.trail_distance < Price::ZERO || !has_distance && order.trail_bps == 0 {
        return invalid(offset_of!(NewOrder, trail_distance), order.trail_distance.raw());
    }
    if order.trail_bps > TRAIL_BPS_MAX || has_distance && order.trail_bps != 0 {
        return invalid(offset_of!(NewOrder, trail_bps), i64::from(order.trail_bps));
    }
    if order.activation_price < Price::ZERO {
        return invalid(offset_of!(NewOrder, activation_price), order.activation_price.raw());
    }
    let distance = match has_distance {
        true => Distance::Price(order.trail_distance),
        false => Distance::BasisPoints(order.trail_bps),
    };
    Ok(Trail { distance, activation: order.activation_price, peak: None })
}

fn check_no_trail(order: &NewOrder) -> Checked {
    must_be_zero(order.trail_distance, offset_of!(NewOrder, trail_distance))?;
    if order.trail_bps != 0 {
        return invalid(offset_of!(NewOrder, trail_bps), i64::from(order.trail_bps));
    }
    must_be_zero(order.activation_price, offset_of!(NewOrder, activation_price))
}

fn must_be_zero(price: Price, offset: usize) -> Checked {
    if price == Price::ZERO { Ok(()) } else { invalid(offset, price.raw()) }
}

fn invalid<T>(offset: usize, value: i64) -> Checked<T> {
    Err(field(RejectReason::InvalidTrigger, offset).met(0, value))
}
