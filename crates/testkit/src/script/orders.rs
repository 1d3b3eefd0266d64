//! Lines that enter and change orders.

use joulebook_protocol::messages::*;
use joulebook_types::{
    ClientOrderId, InstrumentId, KiloTokens, ModelId, OrderId, OrderType, Price, SelfTradeMode, Side,
    SlotHint, TimeInForce, Trigger,
};

use super::names::{Scene, symbol};
use super::words::{Parsed, Words};

/// After `buys` or `sells`: `5 at 27.00 ioc`, `5 at market`, `for 1000 EC`.
pub(super) fn new_order(words: &mut Words, scene: &Scene, side: Side) -> Parsed<NewOrder> {
    let mut order = NewOrder { side: side.raw(), instrument: Scene::STANDARD, ..Default::default() };
    if words.take("for") {
        order.order_type = OrderType::Budget.raw();
        order.budget = words.amount()?;
    } else {
        order.qty = words.count("a number of lots")?;
        words.expect("at")?;
        if words.take("market") {
            order.order_type = OrderType::Market.raw();
        } else {
            order.price = words.price()?;
        }
    }
    while order_option(words, scene, &mut order)? {}
    if order.time_in_force == 0 {
        let at_once = order.order_type != OrderType::Limit.raw() && order.trigger == 0;
        order.time_in_force = if at_once { TimeInForce::Ioc.raw() } else { TimeInForce::Gtc.raw() };
    }
    Ok(order)
}

/// Reads one option; false when none follows.
fn order_option(words: &mut Words, scene: &Scene, order: &mut NewOrder) -> Parsed<bool> {
    if words.take("until") {
        order.time_in_force = TimeInForce::Gtd.raw();
        order.expires = words.time()?;
    } else if words.take("post-only") {
        order.flags = NewOrder::POST_ONLY;
    } else if words.take("min") {
        order.min_qty = words.count("a minimum quantity")?;
    } else if words.take("show") {
        order.display_qty = words.count("a quantity to show")?;
    } else if words.take("stop") {
        order.trigger = Trigger::Stop.raw();
        order.trigger_price = words.price()?;
    } else if words.take("trail") {
        order.trigger = Trigger::Trailing.raw();
        let distance = words.price()?;
        if words.take("bps") {
            order.trail_bps =
                u32::try_from(distance.raw() / 1_000_000).map_err(|_| "basis points are a number")?;
        } else {
            order.trail_distance = distance;
        }
    } else if words.take("from") {
        order.activation_price = words.price()?;
    } else if let Some(time_in_force) = time_in_force(words) {
        order.time_in_force = time_in_force;
    } else {
        return common_option(words, scene, &mut order.instrument, &mut order.self_trade);
    }
    Ok(true)
}

/// `on` an instrument, and what happens when the order meets its own group.
fn common_option(
    words: &mut Words,
    scene: &Scene,
    instrument: &mut InstrumentId,
    self_trade: &mut u8,
) -> Parsed<bool> {
    if words.take("on") {
        *instrument = scene.instrument(words.next("an instrument")?)?;
        return Ok(true);
    }
    self_trade_option(words, self_trade)
}

fn self_trade_option(words: &mut Words, self_trade: &mut u8) -> Parsed<bool> {
    if !words.take("self-trade") {
        return Ok(false);
    }
    let name = words.next("a self-trade mode")?;
    let mode = SelfTradeMode::ALL.iter().find(|mode| mode.name() == name).ok_or_else(|| {
        let names: Vec<&str> = SelfTradeMode::ALL.iter().map(|mode| mode.name()).collect();
        format!("'{name}' is no self-trade mode: expected one of {}", names.join(", "))
    })?;
    *self_trade = mode.raw();
    Ok(true)
}

/// `gtc`, `ioc` or `fok`; good-till-date orders are written with `until`.
fn time_in_force(words: &mut Words) -> Option<u8> {
    let all = [TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Fok];
    all.into_iter().find(|choice| words.take(choice.name())).map(TimeInForce::raw)
}

pub(super) fn side(words: &mut Words) -> Parsed<Side> {
    match words.next("'buys' or 'sells'")? {
        "buys" => Ok(Side::Buy),
        "sells" => Ok(Side::Sell),
        other => Err(format!("'{other}' is neither 'buys' nor 'sells'")),
    }
}

/// The order that a request names: `#3`, or `id 5` for the client order id that entered it.
pub(super) fn target(words: &mut Words) -> Parsed<(OrderId, ClientOrderId)> {
    if words.take("id") {
        let id = words.parse("a client order id")?;
        return Ok((OrderId::NONE, ClientOrderId::new(id)));
    }
    Ok((words.order_id()?, ClientOrderId::NONE))
}

pub(super) fn cancel(words: &mut Words) -> Parsed<CancelOrder> {
    let (order_id, target) = target(words)?;
    Ok(CancelOrder { order_id, target, slot: SlotHint::UNKNOWN, ..Default::default() })
}

/// `#3 to 5 at 27.01`, and `stop 26.00` for a stop that waits. Without a price it is zero, as market stops want it.
pub(super) fn replace(words: &mut Words) -> Parsed<ReplaceOrder> {
    let (order_id, target) = target(words)?;
    words.expect("to")?;
    let qty = words.count("a number of lots")?;
    let price = if words.take("at") { words.price()? } else { Price::new(0) };
    let trigger_price = if words.take("stop") { words.price()? } else { Price::new(0) };
    Ok(ReplaceOrder {
        order_id,
        target,
        price,
        qty,
        trigger_price,
        slot: SlotHint::UNKNOWN,
        ..Default::default()
    })
}

/// `#3 by 2`.
pub(super) fn reduce(words: &mut Words) -> Parsed<ReduceOrder> {
    let (order_id, target) = target(words)?;
    words.expect("by")?;
    let lots = words.count("a number of lots")?;
    Ok(ReduceOrder { order_id, target, lots, slot: SlotHint::UNKNOWN, ..Default::default() })
}

/// `sells 5 at 28.00 or stop 26.00`, and `at 25.90` for the stop's limit.
pub(super) fn oco(words: &mut Words, scene: &Scene) -> Parsed<OcoOrder> {
    let mut oco = OcoOrder {
        side: side(words)?.raw(),
        time_in_force: TimeInForce::Gtc.raw(),
        instrument: Scene::STANDARD,
        ..Default::default()
    };
    oco.qty = words.count("a number of lots")?;
    words.expect("at")?;
    oco.price = words.price()?;
    words.expect("or")?;
    words.expect("stop")?;
    oco.trigger_price = words.price()?;
    if words.take("at") {
        oco.stop_price = words.price()?;
    }
    loop {
        if words.take("until") {
            oco.time_in_force = TimeInForce::Gtd.raw();
            oco.expires = words.time()?;
        } else if !common_option(words, scene, &mut oco.instrument, &mut oco.self_trade)? {
            return Ok(oco);
        }
    }
}

/// `buys 5 at 27.00; cancels #3; replaces #4 to 5 at 27.01; reduces #5 by 2`.
pub(super) fn batch(words: &mut Words, scene: &Scene) -> Parsed<OrderBatch> {
    let mut batch = OrderBatch::default();
    listed(words, &mut batch.count, &mut batch.entries, |words| {
        let slot = SlotHint::UNKNOWN;
        if words.take("cancels") {
            let (order_id, target) = target(words)?;
            return Ok(BatchEntry { kind: BatchEntry::CANCEL, order_id, target, slot, ..Default::default() });
        }
        if words.take("replaces") {
            let ReplaceOrder { order_id, target, price, qty, .. } = replace(words)?;
            return Ok(BatchEntry {
                kind: BatchEntry::REPLACE,
                order_id,
                target,
                price,
                qty,
                slot,
                ..Default::default()
            });
        }
        if words.take("reduces") {
            let ReduceOrder { order_id, target, lots: qty, .. } = reduce(words)?;
            return Ok(BatchEntry {
                kind: BatchEntry::REDUCE,
                order_id,
                target,
                qty,
                slot,
                ..Default::default()
            });
        }
        let side = side(words)?;
        let order = new_order(words, scene, side)?;
        Ok(BatchEntry {
            kind: BatchEntry::NEW,
            side: order.side,
            time_in_force: order.time_in_force,
            flags: order.flags,
            instrument: order.instrument,
            qty: order.qty,
            price: order.price,
            slot,
            ..Default::default()
        })
    })?;
    Ok(batch)
}

/// `5 at 26.90 / 4 at 27.10; ...`: bid, then ask. A side of no lots is written `0`.
pub(super) fn quotes(words: &mut Words, scene: &Scene) -> Parsed<MassQuote> {
    let mut quote = MassQuote::default();
    loop {
        if words.take("post-only") {
            quote.flags = MassQuote::POST_ONLY;
        } else if !self_trade_option(words, &mut quote.self_trade)? {
            break;
        }
    }
    listed(words, &mut quote.count, &mut quote.pairs, |words| {
        let (bid_qty, bid) = quote_side(words)?;
        words.expect("/")?;
        let (ask_qty, ask) = quote_side(words)?;
        let mut pair = QuotePair { bid, ask, bid_qty, ask_qty, instrument: Scene::STANDARD, reserved: 0 };
        if words.take("on") {
            pair.instrument = scene.instrument(words.next("an instrument")?)?;
        }
        Ok(pair)
    })?;
    Ok(quote)
}

fn quote_side(words: &mut Words) -> Parsed<(u32, Price)> {
    let qty = words.count("a number of lots")?;
    let price = if words.take("at") { words.price()? } else { Price::new(0) };
    Ok((qty, price))
}

/// `buys 5 at 27.00 on H200S; sells 2 at 12.00 on TPU6E`.
pub(super) fn basket(words: &mut Words, scene: &Scene) -> Parsed<Basket> {
    let mut basket = Basket::default();
    while self_trade_option(words, &mut basket.self_trade)? {}
    listed(words, &mut basket.count, &mut basket.legs, |words| {
        let side = side(words)?.raw();
        let qty = words.count("a number of lots")?;
        words.expect("at")?;
        let price = words.price()?;
        let mut leg = BasketLeg { price, instrument: Scene::STANDARD, qty, side, reserved: [0; 7] };
        if words.take("on") {
            leg.instrument = scene.instrument(words.next("an instrument")?)?;
        }
        Ok(leg)
    })?;
    Ok(basket)
}

/// `buys 2 at 27.00 in 4 windows from H200S.DE.1400.Q`: the symbol is that of the first window.
pub(super) fn sweep(words: &mut Words) -> Parsed<BlockSweep> {
    let mut sweep = BlockSweep { side: side(words)?.raw(), ..Default::default() };
    sweep.qty = words.count("a number of lots")?;
    words.expect("at")?;
    sweep.price = words.price()?;
    words.expect("in")?;
    sweep.windows = words.parse("a number of windows")?;
    words.expect("windows")?;
    words.expect("from")?;
    let first = symbol(words.next("a symbol")?)?;
    (sweep.class, sweep.area) = (first.class, first.area);
    (sweep.start_minute, sweep.window_minutes) = (first.window.start_minute(), first.window.minutes());
    while self_trade_option(words, &mut sweep.self_trade)? {}
    Ok(sweep)
}

/// `500000 ktok at 1.80 on H200S TPU6E fok overshoot model 2`.
pub(super) fn tokens(words: &mut Words, scene: &Scene) -> Parsed<TokenOrder> {
    let mut order =
        TokenOrder { model: ModelId::new(1), time_in_force: TimeInForce::Ioc.raw(), ..Default::default() };
    order.quantity = KiloTokens::new(words.parse("a number of kilo-tokens")?);
    words.expect("ktok")?;
    words.expect("at")?;
    order.limit = words.amount()?;
    loop {
        if words.take("overshoot") {
            order.flags = TokenOrder::OVERSHOOT;
        } else if words.take("model") {
            order.model = ModelId::new(words.parse("a model's number")?);
        } else if let Some(time_in_force) = time_in_force(words) {
            order.time_in_force = time_in_force;
        } else if words.take("on") {
            while let Some(id) = words.peek().and_then(|word| scene.instrument(word).ok()) {
                words.next("an instrument")?;
                place(&mut order.instruments, &mut order.count, id)?;
            }
        } else if !self_trade_option(words, &mut order.self_trade)? {
            return Ok(order);
        }
    }
}

/// Parts with semicolons between, into the list of a message.
fn listed<T>(
    words: &mut Words,
    count: &mut u8,
    list: &mut [T],
    mut part: impl FnMut(&mut Words) -> Parsed<T>,
) -> Parsed<()> {
    loop {
        let part = part(words)?;
        place(list, count, part)?;
        if !words.take(";") {
            return Ok(());
        }
    }
}

fn place<T>(list: &mut [T], count: &mut u8, part: T) -> Parsed<()> {
    let room = list.len();
    let place =
        list.get_mut(usize::from(*count)).ok_or_else(|| format!("the message has room for {room}"))?;
    *place = part;
    *count += 1;
    Ok(())
}
