//! Lines of the operator, the issuer, the meter and the risk desk: everything but orders.

use joulebook_protocol::messages::*;
use joulebook_types::{
    AreaCode, ClassCode, InstrumentId, ModelId, Phase, Price, Role, Roles, SessionId, Symbol, TimeNs, Yield,
};

use super::names::{Party, Scene, account, symbol};
use super::words::{Parsed, Words};

/// `session`, `account`, `bids`, `asks`, `of H200S`, `on 2`, `from 26.00`, `to 28.00`, `for carol`, in any order.
pub(super) fn mass_cancel(words: &mut Words, scene: &Scene) -> Parsed<MassCancel> {
    let mut cancel = MassCancel { scope: MassCancel::SCOPE_SESSION, ..Default::default() };
    loop {
        if words.take("session") {
            cancel.scope = MassCancel::SCOPE_SESSION;
        } else if words.take("account") {
            cancel.scope = MassCancel::SCOPE_ACCOUNT;
        } else if words.take("bids") {
            cancel.side = 1;
        } else if words.take("asks") {
            cancel.side = 2;
        } else if words.take("of") {
            cancel.class = words.parse("a class")?;
        } else if words.take("on") {
            cancel.instrument = scene.instrument(words.next("an instrument")?)?;
        } else if words.take("from") {
            cancel.price_low = words.price()?;
        } else if words.take("to") {
            cancel.price_high = words.price()?;
        } else if words.take("for") {
            cancel.account = account(words.next("an account")?)?;
            cancel.scope = MassCancel::SCOPE_ACCOUNT;
        } else {
            return Ok(cancel);
        }
    }
}

pub(super) fn mint(words: &mut Words) -> Parsed<MintCredits> {
    let amount = words.amount()?;
    let attestation = if words.take("attestation") { words.parse("a number")? } else { 1 };
    Ok(MintCredits { amount, attestation, ..Default::default() })
}

pub(super) fn deposit(words: &mut Words) -> Parsed<DepositCredits> {
    let amount = words.amount()?;
    words.expect("to")?;
    let to = account(words.next("an account")?)?;
    Ok(DepositCredits { amount, to, ..Default::default() })
}

/// `800 of H200S.DE.1400.H`: accelerators.
pub(super) fn register(words: &mut Words) -> Parsed<RegisterCapacity> {
    let accelerators = words.count("a number of accelerators")?;
    words.expect("of")?;
    let symbol = symbol(words.next("a symbol")?)?;
    Ok(register_capacity(symbol, accelerators))
}

pub(super) fn register_capacity(symbol: Symbol, accelerators: u32) -> RegisterCapacity {
    let Symbol { class, area, window } = symbol;
    RegisterCapacity {
        class,
        area,
        start_minute: window.start_minute(),
        window_minutes: window.minutes(),
        accelerators,
        ..Default::default()
    }
}

/// The symbol of a quarter hour; of a longer window its first quarter is meant.
pub(super) fn deliver(words: &mut Words) -> Parsed<DeliverSlot> {
    let Symbol { class, area, window } = symbol(words.next("a symbol")?)?;
    let slot = window.slots().next().ok_or("a window has a quarter hour")?;
    Ok(DeliverSlot { class, area, slot, ..Default::default() })
}

/// Lots of 8, tick 0.01, band 1 to 1,000 EC, gate five minutes before the window, no fees: what `lists` starts from.
pub(super) fn listing(symbol: Symbol) -> ListInstrument {
    let Symbol { class, area, window } = symbol;
    ListInstrument {
        class,
        area,
        start_minute: window.start_minute(),
        window_minutes: window.minutes(),
        accelerators_per_lot: 8,
        tick: Price::new(10_000),
        band_low: Price::new(1_000_000),
        band_high: Price::new(1_000_000_000),
        gate: TimeNs::from_minutes(window.start_minute() - 5),
        qty_max: 10_000,
        ..Default::default()
    }
}

/// `tick 0.01`, `lots of 8`, `max 100`, `band 20.00..40.00`, `opens 13:00`, `gate 13:55`, `fees 500/-200`,
/// `reference 27.00`, in any order.
pub(super) fn listing_options(words: &mut Words, list: &mut ListInstrument) -> Parsed<()> {
    loop {
        if words.take("tick") {
            list.tick = words.price()?;
        } else if words.take_all("lots of") {
            list.accelerators_per_lot = words.parse("a number of accelerators")?;
        } else if words.take("max") {
            list.qty_max = words.count("a number of lots")?;
        } else if words.take("band") {
            (list.band_low, list.band_high) = range(words)?;
        } else if words.take("opens") {
            list.opens = words.time()?;
        } else if words.take("gate") {
            list.gate = words.time()?;
        } else if words.take("fees") {
            (list.taker_fee_ppm, list.maker_fee_ppm) = fees(words)?;
        } else if words.take("reference") {
            list.reference_price = words.price()?;
        } else {
            return Ok(());
        }
    }
}

fn range(words: &mut Words) -> Parsed<(Price, Price)> {
    let word = words.next("a range such as 20.00..40.00")?;
    let bounds = word.split_once("..").and_then(|(low, high)| Some((low.parse().ok()?, high.parse().ok()?)));
    bounds.ok_or_else(|| format!("'{word}' is not a range such as 20.00..40.00"))
}

fn fees(words: &mut Words) -> Parsed<(i32, i32)> {
    let word = words.next("fees such as 500/-200")?;
    let fees =
        word.split_once('/').and_then(|(taker, maker)| Some((taker.parse().ok()?, maker.parse().ok()?)));
    fees.ok_or_else(|| format!("'{word}' is not fees such as 500/-200"))
}

/// `erin as buyer maker group 7`.
pub(super) fn open_account(words: &mut Words) -> Parsed<OpenAccount> {
    let account = account(words.next("an account")?)?;
    let mut open = OpenAccount { account, ..Default::default() };
    let mut roles = Roles::NONE;
    if words.take("as") {
        while let Some(role) = Role::ALL.iter().find(|role| words.take(role.name())) {
            roles = roles.with(*role);
        }
    }
    if words.take("group") {
        open.self_trade_group = words.count("a group")?;
    }
    Ok(OpenAccount { roles: roles.bits(), ..open })
}

/// `H200S to 15387 model 1`.
pub(super) fn set_yield(words: &mut Words) -> Parsed<SetYield> {
    let class = words.parse("a class")?;
    words.expect("to")?;
    let yield_ktok = Yield::new(words.count("kilo-tokens per accelerator-hour")?);
    let model = if words.take("model") { words.parse("a model's number")? } else { 1 };
    let model_name = pad_text("llama2-70b/server");
    Ok(SetYield { class, yield_ktok, model: ModelId::new(model), model_name, ..Default::default() })
}

/// `H200S: 3 fills, 20 lots, 1000 EC in 10 s`; `off` removes it.
pub(super) fn protect(words: &mut Words) -> Parsed<SetProtection> {
    let mut protection = SetProtection { class: words.parse("a class")?, ..Default::default() };
    if words.take("off") {
        return Ok(protection);
    }
    protection.fills_max = words.count("a number of fills")?;
    words.expect("fills")?;
    while !words.take("in") {
        let number = words.next("a limit or 'in'")?.to_owned();
        let what = words.next("'lots' or 'EC'")?;
        let parsed = match what {
            "lots" => number.parse().map(|lots| protection.lots_max = lots).is_ok(),
            "EC" => number.parse().map(|credits| protection.credits_max = credits).is_ok(),
            other => return Err(format!("'{other}' is neither 'lots' nor 'EC'")),
        };
        if !parsed {
            return Err(format!("'{number}' is not a number of {what}"));
        }
    }
    protection.window_ms = words.duration_ms()?;
    Ok(protection)
}

pub(super) fn dead_man(words: &mut Words) -> Parsed<SetDeadMan> {
    let timeout_ms = if words.take("off") { 0 } else { words.duration_ms()? };
    Ok(SetDeadMan { timeout_ms, ..Default::default() })
}

/// After `kills` or `enables`: `carol`, `carol/2`, `class H200S`, `exchange`; `session carol` means her first.
pub(super) fn kill_switch(words: &mut Words, action: u8) -> Parsed<KillSwitch> {
    let mut kill = KillSwitch { action, ..Default::default() };
    if words.take("exchange") {
        kill.scope = KillSwitch::SCOPE_EXCHANGE;
    } else if words.take("class") {
        kill.scope = KillSwitch::SCOPE_CLASS;
        kill.class = words.parse("a class")?;
    } else {
        let one_session = words.take("session");
        let party = Party::parse(words.next("whom: an account, 'session', 'class' or 'exchange'")?)?;
        kill.account = party.account;
        kill.scope = if one_session { KillSwitch::SCOPE_SESSION } else { KillSwitch::SCOPE_ACCOUNT };
        kill.session = if one_session { party.session } else { SessionId::NONE };
    }
    Ok(kill)
}

/// After the verb: an instrument, `all`, `all of H200S`, `all in DE`; for a call `for 10 s` and `random 2 s`.
pub(super) fn set_phase(words: &mut Words, scene: &Scene, phase: Phase) -> Parsed<SetPhase> {
    let mut set = SetPhase { phase: phase.raw(), ..Default::default() };
    if words.take("all") {
        set.class = if words.take("of") { words.parse("a class")? } else { ClassCode::NONE };
        set.area = if words.take("in") { words.parse("a zone")? } else { AreaCode::NONE };
    } else {
        set.instrument = optional_instrument(words, scene, &["for", "random", "as", "with"])?;
    }
    loop {
        if words.take("for") {
            set.duration_ms = words.duration_ms()?;
        } else if words.take("random") {
            set.random_ms = words.duration_ms()?;
        } else {
            return Ok(set);
        }
    }
}

fn optional_instrument(words: &mut Words, scene: &Scene, others: &[&str]) -> Parsed<InstrumentId> {
    match words.peek() {
        Some(word) if !others.contains(&word) => scene.instrument(words.next("an instrument")?),
        Some(_) | None => Ok(Scene::STANDARD),
    }
}

/// `20.00..40.00 on 2 dynamic 500 velocity 1.00 in 10 s halt 2 s auction 5 s random 1 s`.
pub(super) fn set_bands(words: &mut Words, scene: &Scene) -> Parsed<SetBands> {
    let (band_low, band_high) = range(words)?;
    let mut bands = SetBands { band_low, band_high, instrument: Scene::STANDARD, ..Default::default() };
    loop {
        if words.take("on") {
            bands.instrument = scene.instrument(words.next("an instrument")?)?;
        } else if words.take("dynamic") {
            bands.dynamic_bps = words.count("basis points")?;
            words.take("bps");
        } else if words.take("velocity") {
            bands.velocity_move = words.price()?;
            words.expect("in")?;
            bands.velocity_window_ms = words.duration_ms()?;
        } else if words.take("halt") {
            bands.halt_ms = words.duration_ms()?;
        } else if words.take("auction") {
            bands.auction_ms = words.duration_ms()?;
        } else if words.take("random") {
            bands.auction_random_ms = words.duration_ms()?;
        } else {
            return Ok(bands);
        }
    }
}

/// `carol orders 2, order value 1000, open value 5000, window 80`: what is left out has no cap.
pub(super) fn set_limits(words: &mut Words) -> Parsed<SetLimits> {
    let mut limits = SetLimits { account: account(words.next("an account")?)?, ..Default::default() };
    loop {
        if words.take("orders") {
            limits.open_orders_max = words.count("a number of orders")?;
        } else if words.take_all("order value") {
            limits.order_value_max = words.amount()?;
        } else if words.take_all("open value") {
            limits.open_value_max = words.amount()?;
        } else if words.take("window") {
            limits.window_accelerators_max = words.count("a number of accelerators")?;
        } else {
            return Ok(limits);
        }
    }
}

/// `logs on`, then `last 7` (the number of the last event received) and `grace 5 s` (cancel on disconnect).
pub(super) fn log_on(words: &mut Words, party: Party) -> Parsed<SessionOpened> {
    let mut opened = session_opened(party);
    loop {
        if words.take("last") {
            opened.last_event_seq = words.parse("the number of an event")?;
        } else if words.take("grace") {
            opened.cancel_on_disconnect_ms = words.duration_ms()?;
        } else {
            return Ok(opened);
        }
    }
}

/// Orders stay when the connection is lost.
pub(super) fn session_opened(party: Party) -> SessionOpened {
    SessionOpened {
        connection: party.connection(),
        heartbeat_ms: 3_000,
        cancel_on_disconnect_ms: u32::MAX,
        last_event_seq: 0,
    }
}
