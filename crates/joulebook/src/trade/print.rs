//! Events as people read them, one line each.

use joulebook_protocol::messages::{
    KillSwitch, LegDone, OrderFilled, OrderStatus, ProtectionTriggered, QuoteRejected, RequestDone,
    ResetProtection, SetDeadMan, SetProtection, SweepDone,
};
use joulebook_protocol::{CancelReason, Event, Message, Refusal, RejectReason};
use joulebook_types::{OrderType, Price, Side, Trigger};

use super::desk::Names;
use crate::text::{counted, grouped};

pub fn print_event(event: &Event, names: &Names) {
    if let Some(line) = line(event, names) {
        println!("{line}");
    }
}

fn line(event: &Event, names: &Names) -> Option<String> {
    Some(match event {
        Event::OrderAccepted(accepted) => format!("accepted  order {}", accepted.order_id),
        Event::OrderFilled(fill) => filled(fill),
        Event::OrderCanceled(canceled) => {
            let (id, lots) = (canceled.order_id, counted(canceled.canceled_qty, "lot"));
            format!("canceled  order {id}, {lots} ({})", canceled_because(canceled.reason))
        }
        Event::OrderReplaced(replaced) => {
            let (id, lots, price) = (replaced.order_id, counted(replaced.qty, "lot"), replaced.price);
            format!("replaced  order {id}: {lots} at {}", limit_or_market(price))
        }
        Event::MassCancelDone(done) => format!("canceled  {}", counted(done.canceled_orders, "order")),
        Event::TokenOrderDone(done) => format!(
            "tokens    {} ktok for {} EC and {} EC fees, {} EC/Mtok on average, {}{}",
            grouped(done.filled_ktok_minutes / 60),
            done.notional,
            done.fees,
            done.average_price,
            counted(done.fills, "fill"),
            unless_done(done.reason)
        ),
        Event::OrderTriggered(triggered) => {
            let (id, stop, print) = (triggered.order_id, triggered.trigger_price, triggered.print_price);
            format!("triggered order {id}: its stop at {stop} was reached by a trade at {print}")
        }
        Event::LegDone(leg) => leg_done(leg, names),
        Event::SweepDone(done) => sweep_done(done),
        Event::MassQuoteAck(ack) => match ack.rejected {
            0 => format!("quoted    instruments: {}", ack.accepted),
            rejected => format!("quoted    instruments: {}, refused: {rejected}", ack.accepted),
        },
        Event::QuoteRejected(refused) => quote_refused(refused, names),
        Event::ProtectionTriggered(triggered) => protected(triggered),
        Event::OrderStatus(status) => open_order(status, names),
        Event::CreditBalance(credits) => {
            format!("credits   {} EC free, {} held, {} in escrow", credits.free, credits.held, credits.escrow)
        }
        Event::CapacityBalance(capacity) => format!(
            "capacity  {}.{} {}: {} accelerators free, {} held, {} registered, {} EC in escrow",
            capacity.class,
            capacity.area,
            capacity.slot,
            capacity.free,
            capacity.held,
            capacity.registered,
            capacity.escrow
        ),
        Event::RequestDone(done) => request_done(done)?,
        Event::RequestRepeated(_) => "repeated  it was answered before".to_owned(),
        // The end of the command says why.
        Event::RequestRejected(_) | Event::SnapshotEnd(_) => return None,
    })
}

fn filled(fill: &OrderFilled) -> String {
    let (qty, price, order, fee) = (counted(fill.qty, "lot"), fill.price, fill.order_id, fill.fee);
    let how = if fill.liquidity == AUCTION { " in an auction" } else { "" };
    let trade = fill.trade_id;
    format!("filled    order {order}: {} {qty} at {price}{how}, fee {fee} EC, trade {trade}", side(fill.side))
}

/// `OrderFilled::liquidity`.
const AUCTION: u8 = 3;

fn leg_done(leg: &LegDone, names: &Names) -> String {
    let (side, qty, notional, fees) = (side(leg.side), counted(leg.qty, "lot"), leg.notional, leg.fees);
    let (name, average) = (names.of(leg.instrument), leg.average_price);
    format!("leg       {name}: {side} {qty} for {notional} EC and {fees} EC fees, {average} EC/AH on average")
}

fn sweep_done(done: &SweepDone) -> String {
    let SweepDone { bought, sold, fees, average_price, fills, reason, .. } = done;
    format!(
        "done      bought for {bought} EC, sold for {sold} EC, fees {fees} EC, {average_price} EC/AH on average, {}{}",
        counted(*fills, "fill"),
        unless_done(*reason)
    )
}

fn quote_refused(refused: &QuoteRejected, names: &Names) -> String {
    let name = names.of(refused.instrument);
    format!("refused   {name}: {}", Refusal::from(refused))
}

fn protected(triggered: &ProtectionTriggered) -> String {
    let ProtectionTriggered { class, lots, credits, fills, canceled_orders, .. } = triggered;
    format!(
        "protected {class}: {}, {}, {credits} EC in the window; {} pulled, frozen until `joulebook protect {class} \
         --reset`",
        counted(*fills, "fill"),
        counted(*lots, "lot"),
        counted(*canceled_orders, "quote")
    )
}

fn open_order(status: &OrderStatus, names: &Names) -> String {
    let (side, leaves, qty, id) = (side(status.side), status.leaves_qty, status.qty, status.order_id);
    let at = if OrderType::from_raw(status.order_type) == Some(OrderType::Market) {
        "market".to_owned()
    } else {
        limit_or_market(status.price)
    };
    let waits = match Trigger::from_raw(status.trigger) {
        Some(Trigger::Stop) => format!(", waits for a trade at {}", status.trigger_price),
        Some(Trigger::Trailing) if status.trigger_price == Price::ZERO => {
            ", trails: not active yet".to_owned()
        }
        Some(Trigger::Trailing) => format!(", trails: waits for a trade at {}", status.trigger_price),
        Some(Trigger::None) | None => String::new(),
    };
    format!(
        "open      order {id}: {side} {leaves} of {qty} lots of {} at {at}{waits}",
        names.of(status.instrument)
    )
}

fn request_done(done: &RequestDone) -> Option<String> {
    Some(match done.template_id {
        // The switch that lets orders in again cancels none.
        KillSwitch::TEMPLATE_ID if done.result == 0 => "done".to_owned(),
        KillSwitch::TEMPLATE_ID => format!("done      {} canceled", counted(done.result, "order")),
        SetDeadMan::TEMPLATE_ID if done.result == 0 => "done      the dead-man timer is off".to_owned(),
        SetDeadMan::TEMPLATE_ID => "done      the dead-man timer is set".to_owned(),
        SetProtection::TEMPLATE_ID => "done      the protection is set".to_owned(),
        ResetProtection::TEMPLATE_ID if done.result == 0 => "done      quotes were not frozen".to_owned(),
        ResetProtection::TEMPLATE_ID => "done      quotes are let in again".to_owned(),
        _ => return None,
    })
}

fn side(raw: u8) -> &'static str {
    Side::from_raw(raw).map_or("?", Side::name)
}

/// Market orders have no price of their own.
fn limit_or_market(price: Price) -> String {
    if price == Price::ZERO { "market".to_owned() } else { price.to_string() }
}

fn canceled_because(code: u8) -> &'static str {
    CancelReason::from_raw(code).map_or("?", CancelReason::name)
}

fn unless_done(code: u8) -> String {
    if code == 0 { String::new() } else { format!(" ({})", canceled_because(code)) }
}

pub fn reason(code: u16) -> String {
    match RejectReason::from_raw(code) {
        Some(reason) => format!("{}: {}", reason.name(), reason.explanation().trim().replace('\n', " ")),
        None => format!("refused with code {code}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_read_well() {
        let names = Names::default();
        let fill = OrderFilled { qty: 2, side: 1, liquidity: AUCTION, ..OrderFilled::default() };
        assert_eq!(
            line(&fill.into(), &names).unwrap(),
            "filled    order 0: buy 2 lots at 0.00 in an auction, fee 0.00 EC, trade 0"
        );
        let sweep =
            SweepDone { fills: 3, reason: CancelReason::CreditsExhausted.raw(), ..SweepDone::default() };
        assert!(line(&sweep.into(), &names).unwrap().ends_with("3 fills (CreditsExhausted)"));
        let status = OrderStatus { trigger: 1, qty: 4, leaves_qty: 4, side: 2, ..OrderStatus::default() };
        let text = line(&status.into(), &names).unwrap();
        assert_eq!(
            text,
            "open      order 0: sell 4 of 4 lots of instrument 0 at market, waits for a trade at 0.00"
        );
    }
}
