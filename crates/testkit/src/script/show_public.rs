//! Public events as lines.

use joulebook_protocol::PublicEvent;
use joulebook_protocol::messages::*;
use joulebook_types::{Phase, Price, Side};

use super::line::Shown;
use super::names::{Scene, account_name};
use super::show::{id, side};

pub(super) fn public(event: &PublicEvent, scene: &Scene) -> String {
    match event {
        PublicEvent::InstrumentDefinition(e) => {
            let phase = phase(e.phase);
            format!("instrument {} is {}, {phase}", e.instrument, scene.name(e.instrument))
        }
        PublicEvent::PhaseChanged(e) => format!("{} is {}", scene.name(e.instrument), in_phase(e.phase)),
        PublicEvent::YieldDefinition(e) => {
            let model = padded_text(&e.model_name);
            format!("yield of {} for {model}: {} ktok per accelerator-hour", e.class, e.yield_ktok.raw())
        }
        PublicEvent::AccountDefinition(e) => format!("account {} is open", account_name(e.account)),
        PublicEvent::BookUpdate(e) => book_update(e, scene),
        PublicEvent::Trade(e) => {
            let by = Side::from_raw(e.aggressor).map_or("in an auction", |side| match side {
                Side::Buy => "by a buyer",
                Side::Sell => "by a seller",
            });
            format!("trade {} at {}{}, {by}", e.qty, e.price, scene.on(e.instrument))
        }
        PublicEvent::BandsChanged(e) => bands(e, scene),
        PublicEvent::AuctionIndication(e) => indication(e, scene),
    }
}

/// Whether a script that shows `shown` wants to read it.
pub(super) fn is_shown(event: &PublicEvent, shown: Shown) -> bool {
    let clear = match event {
        PublicEvent::PhaseChanged(_) | PublicEvent::BandsChanged(_) | PublicEvent::AuctionIndication(_) => {
            true
        }
        PublicEvent::InstrumentDefinition(_)
        | PublicEvent::YieldDefinition(_)
        | PublicEvent::AccountDefinition(_)
        | PublicEvent::BookUpdate(_)
        | PublicEvent::Trade(_) => false,
    };
    match shown {
        Shown::Clear => clear,
        Shown::Private => false,
        Shown::All => true,
    }
}

fn book_update(e: &BookUpdate, scene: &Scene) -> String {
    let action = match e.action {
        BookUpdate::ADDED => "added",
        BookUpdate::FILLED => "filled",
        BookUpdate::REDUCED => "reduced",
        BookUpdate::REMOVED => "removed",
        _ => "changed",
    };
    let (order, side, on) = (id(e.order_id), side(e.side), scene.on(e.instrument));
    let level = format!("level {} in {}", e.level_qty, e.level_orders);
    format!("{action} {order} {side} at {}{on}: shows {}, {level}", e.price, e.leaves_qty)
}

fn bands(e: &BandsChanged, scene: &Scene) -> String {
    let dynamic = if e.dynamic_bps == 0 { String::new() } else { format!(", dynamic {} bps", e.dynamic_bps) };
    let velocity = if e.velocity_move == Price::new(0) {
        String::new()
    } else {
        format!(", velocity {} in {} ms", e.velocity_move, e.velocity_window_ms)
    };
    format!("bands {}..{}{dynamic}{velocity}{}", e.band_low, e.band_high, scene.on(e.instrument))
}

fn indication(e: &AuctionIndication, scene: &Scene) -> String {
    let on = scene.on(e.instrument);
    if e.volume == 0 {
        return format!("auction{on} would trade nothing");
    }
    format!("auction{on} would trade {} at {}, {}", e.volume, e.price, surplus(e.surplus))
}

fn surplus(lots: i64) -> String {
    match lots {
        0 => "nobody is left over".to_owned(),
        1.. => format!("{lots} to buy are left over"),
        ..0 => format!("{} to sell are left over", lots.unsigned_abs()),
    }
}

/// The market is open, but *in* an auction.
fn in_phase(raw: u8) -> String {
    let preposition = if raw == Phase::Auction.raw() { "in " } else { "" };
    format!("{preposition}{}", phase(raw))
}

fn phase(raw: u8) -> &'static str {
    Phase::from_raw(raw).map_or("unknown phase", Phase::name)
}
