//! Events as lines: short, and nothing left out that a trader would ask for.

use joulebook_protocol::messages::*;
use joulebook_protocol::{
    CancelReason, CloseReason, Event, Message, RejectReason, RequestStatus, SessionMessage,
};
use joulebook_types::{
    ClientOrderId, InstrumentId, MicroEc, OrderId, OrderType, Price, QuarterSlot, Side, TimeInForce, TimeNs,
};

use super::fields::{quote_refusal, refusal};
use super::names::{Scene, show_time};

pub(super) fn private(event: &Event, scene: &Scene) -> String {
    match event {
        Event::OrderAccepted(e) => accepted(e, scene),
        Event::RequestRejected(e) => rejected(e),
        Event::OrderFilled(e) => filled(e, scene),
        Event::OrderCanceled(e) => {
            let filled = if e.filled_qty == 0 { String::new() } else { format!(", {} filled", e.filled_qty) };
            format!(
                "canceled {} with {} left{filled}: {}",
                id(e.order_id),
                e.canceled_qty,
                cancel_reason(e.reason)
            )
        }
        Event::OrderReplaced(e) => replaced(e),
        Event::MassCancelDone(e) => format!("mass cancel done, {}", counted(e.canceled_orders, "order")),
        Event::TokenOrderDone(e) => tokens_done(e),
        Event::RequestDone(e) => done(e, scene),
        Event::RequestRepeated(e) => repeated(e),
        Event::OrderStatus(e) => status(e, scene),
        Event::CreditBalance(e) => {
            format!("credits {} free, {} held, {} in escrow", e.free, e.held, e.escrow)
        }
        Event::CapacityBalance(e) => capacity(e, e.slot),
        Event::SnapshotEnd(e) => format!("that is all, as of event {}", e.last_event_seq),
        Event::OrderTriggered(e) => {
            let (order, at, by) = (id(e.order_id), e.trigger_price, e.print_price);
            format!("triggered {order} at {at} by a trade at {by}{}", scene.on(e.instrument))
        }
        Event::LegDone(e) => {
            let (side, on) = (side(e.side), scene.on(e.instrument));
            let fees = with_fees(e.fees);
            format!("leg {side} {}{on} for {}{fees}, average {}", e.qty, e.notional, e.average_price)
        }
        Event::SweepDone(e) => sweep_done(e),
        Event::MassQuoteAck(e) => {
            let pairs: Vec<String> = (0..64)
                .filter(|bit| e.accepted_pairs >> bit & 1 == 1)
                .map(|bit: u32| bit.to_string())
                .collect();
            let which = if pairs.is_empty() { "none".to_owned() } else { pairs.join(" ") };
            format!("quotes done, in place: {which}, {} accepted, {} rejected", e.accepted, e.rejected)
        }
        Event::QuoteRejected(e) => {
            let why = quote_refusal(e.reason, e.field_offset, e.limit, e.value);
            format!("quote {}{} rejected {why}", e.pair, scene.on(e.instrument))
        }
        Event::ProtectionTriggered(e) => format!(
            "protection of {} triggered: {}, {} lots, {} EC; {} pulled",
            e.class,
            counted(e.fills, "fill"),
            e.lots,
            e.credits,
            counted(e.canceled_orders, "quote")
        ),
    }
}

/// What the engine says about a session; the rest of the conversation belongs to the gateway.
pub(super) fn session(message: &SessionMessage) -> String {
    match message {
        SessionMessage::LogonAccepted(e) => {
            let resend = if e.resend_from_seq == 0 {
                String::new()
            } else {
                format!(", events from {} on follow", e.resend_from_seq)
            };
            let snapshot = if e.snapshot == 0 { "" } else { ", a snapshot follows" };
            format!(
                "logged on, last id {}, last event {}{resend}{snapshot}",
                e.last_client_order_id, e.last_event_seq
            )
        }
        SessionMessage::LogonRejected(e) => {
            let reason = RejectReason::from_raw(e.reason).map_or("an unknown reason", RejectReason::name);
            format!("logon rejected {reason}")
        }
        SessionMessage::Terminate(e) => {
            let reason = CloseReason::from_raw(e.reason).map_or("an unknown reason", CloseReason::name);
            format!("session ended: {reason}")
        }
        SessionMessage::Hello(_)
        | SessionMessage::Challenge(_)
        | SessionMessage::Logon(_)
        | SessionMessage::Heartbeat(_)
        | SessionMessage::Logout(_)
        | SessionMessage::RequestRefused(_)
        | SessionMessage::Subscribe(_)
        | SessionMessage::Unsubscribe(_) => {
            format!("{}, which only a gateway sends or reads", message.name())
        }
    }
}

fn accepted(e: &OrderAccepted, scene: &Scene) -> String {
    let tif = match TimeInForce::from_raw(e.time_in_force) {
        Some(TimeInForce::Gtc) => "",
        Some(TimeInForce::Gtd) => " good till date",
        Some(TimeInForce::Ioc) => " ioc",
        Some(TimeInForce::Fok) => " fok",
        None => " without time in force",
    };
    let post_only = if e.flags & NewOrder::POST_ONLY == 0 { "" } else { " post-only" };
    let what = what(e.order_type, e.side, e.qty, e.price);
    format!("accepted {} {what}{}{tif}{post_only}", id(e.order_id), scene.on(e.instrument))
}

/// `buy 5 at 27.00`, `buy 5 at market`, `buy for a budget`.
fn what(order_type: u8, raw_side: u8, qty: u32, price: Price) -> String {
    let side = side(raw_side);
    match OrderType::from_raw(order_type) {
        Some(OrderType::Limit) => format!("{side} {qty} at {price}"),
        Some(OrderType::Market) => format!("{side} {qty} at market"),
        Some(OrderType::Budget) => format!("{side} for a budget"),
        None => format!("{side} {qty} of unknown type"),
    }
}

fn rejected(e: &RequestRejected) -> String {
    let order = if e.order_id.is_none() { String::new() } else { format!(" {}", id(e.order_id)) };
    format!("rejected{order} {}", refusal(e.reason, e.template_id, e.field_offset, e.limit, e.value))
}

fn filled(e: &OrderFilled, scene: &Scene) -> String {
    let liquidity = match e.liquidity {
        1 => "maker",
        2 => "taker",
        3 => "auction",
        _ => "unknown liquidity",
    };
    let fee = if e.fee == MicroEc::ZERO { String::new() } else { format!(", fee {}", e.fee) };
    let on = scene.on(e.instrument);
    format!("filled {} {} at {}{on}, {} left, {liquidity}{fee}", id(e.order_id), e.qty, e.price, e.leaves_qty)
}

fn replaced(e: &OrderReplaced) -> String {
    let verb = if e.request == ClientOrderId::NONE { "shrunk" } else { "replaced" };
    let place = if e.kept_priority == 1 { "place kept" } else { "at the back" };
    let price = if e.price == Price::new(0) { "market".to_owned() } else { e.price.to_string() };
    format!("{verb} {} to {} at {price}, {} left, {place}", id(e.order_id), e.qty, e.leaves_qty)
}

/// `1 fill`, `2 fills`.
fn counted(count: u32, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn tokens_done(e: &TokenOrderDone) -> String {
    if e.fills == 0 {
        return format!("tokens done {}: nothing traded{}", id(e.order_id), why(e.reason));
    }
    let ktok = e.filled_ktok_minutes / 60;
    let rest = match e.filled_ktok_minutes % 60 {
        0 => String::new(),
        rest => format!(" {rest}/60"),
    };
    format!(
        "tokens done {}: {ktok}{rest} ktok for {}{}, average {} per Mtok, {}{}",
        id(e.order_id),
        e.notional,
        with_fees(e.fees),
        e.average_price,
        counted(e.fills, "fill"),
        why(e.reason)
    )
}

fn sweep_done(e: &SweepDone) -> String {
    if e.fills == 0 {
        return format!("done {}: nothing traded{}", id(e.order_id), why(e.reason));
    }
    let part = |what: &str, amount: MicroEc| {
        if amount == MicroEc::ZERO { String::new() } else { format!(" {what} for {},", amount) }
    };
    format!(
        "done {}:{}{}{} average {}, {}{}",
        id(e.order_id),
        part("bought", e.bought),
        part("sold", e.sold),
        part("fees", e.fees).replace("fees for", "fees"),
        e.average_price,
        counted(e.fills, "fill"),
        why(e.reason)
    )
}

/// What `result` means depends on the request.
fn done(e: &RequestDone, scene: &Scene) -> String {
    if e.template_id == ListInstrument::TEMPLATE_ID {
        let instrument = InstrumentId::new(u32::try_from(e.result).unwrap_or(u32::MAX));
        return format!("done, instrument {instrument} is {}", scene.name(instrument));
    }
    let amounts = [MintCredits::TEMPLATE_ID, RetireCredits::TEMPLATE_ID, DepositCredits::TEMPLATE_ID];
    if amounts.contains(&e.template_id) {
        return format!("done, {} EC", MicroEc::new(i64::try_from(e.result).unwrap_or(i64::MAX)));
    }
    format!("done, {}", e.result)
}

fn repeated(e: &RequestRepeated) -> String {
    let order = if e.order_id.is_none() { String::new() } else { format!(", order {}", id(e.order_id)) };
    let status = RequestStatus::from_raw(e.status).map_or("of unknown status", RequestStatus::name);
    let reason = RejectReason::from_raw(e.reason).map_or(String::new(), |reason| format!(" {reason}"));
    format!(
        "id {} was used: {status}{reason}{order}; the last is {}",
        e.client_order_id, e.last_client_order_id
    )
}

fn status(e: &OrderStatus, scene: &Scene) -> String {
    let what = what(e.order_type, e.side, e.qty, e.price);
    let waits = match (e.trigger, e.trigger_price.raw()) {
        (0, _) => String::new(),
        (_, 0) => ", not active yet".to_owned(),
        (_, _) => format!(", waits for {}", e.trigger_price),
    };
    format!("order {} {what}{}, {} left{waits}", id(e.order_id), scene.on(e.instrument), e.leaves_qty)
}

/// Of the quarters from that of `e` to the one that starts with `last`.
pub(super) fn capacity(e: &CapacityBalance, last: QuarterSlot) -> String {
    let minute = |slot: u32| {
        let time = TimeNs::from_minutes(slot.saturating_mul(15));
        show_time(time).strip_suffix(":00").map_or_else(|| show_time(time), str::to_owned)
    };
    let (from, to) = (minute(e.slot.raw()), minute(last.raw().saturating_add(1)));
    let escrow = if e.escrow == MicroEc::ZERO { String::new() } else { format!(", {} in escrow", e.escrow) };
    format!(
        "capacity {}.{} {from} to {to}: {} free, {} held, {} registered{escrow}",
        e.class, e.area, e.free, e.held, e.registered
    )
}

fn with_fees(fees: MicroEc) -> String {
    if fees == MicroEc::ZERO { String::new() } else { format!(" and {fees} of fees") }
}

fn why(raw: u8) -> String {
    if raw == 0 { String::new() } else { format!(": {}", cancel_reason(raw)) }
}

fn cancel_reason(raw: u8) -> &'static str {
    CancelReason::from_raw(raw).map_or("unknown reason", CancelReason::name)
}

pub(super) fn side(raw: u8) -> &'static str {
    Side::from_raw(raw).map_or("no side", Side::name)
}

pub(super) fn id(order: OrderId) -> String {
    format!("#{order}")
}
