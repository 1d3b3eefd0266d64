//! A 256-bit hash of the logical state: two engines with the same hash will answer alike for ever.

use joulebook_book::Slot;
use joulebook_ledger::{AccountIx, AssetIx, SlotKey};
use joulebook_types::{OrderId, Price, Side};
use zerocopy::{Immutable, IntoBytes};

use crate::Engine;
use crate::auction::Indication;
use crate::bands::MovingBands;
use crate::caps::Limits;
use crate::instruments::InstrumentIx;
use crate::kill_switch::DisabledBy;
use crate::protection::ProtectionLimits;
use crate::sessions::{Session, SessionIx};
use crate::stop_book::{Stop, StopTrigger};
use crate::timers::Timer;
use crate::trailing::{Distance, Trail};

/// Feeds numbers to the hash; every list is preceded by its length, so no two states look alike.
struct Walk(blake3::Hasher);

impl Walk {
    fn put(&mut self, value: impl IntoBytes + Immutable) {
        self.0.update(value.as_bytes());
    }

    fn number(&mut self, value: usize) {
        self.put(value as u64);
    }
}

impl Engine {
    /// The hash of everything that decides what happens next. Slots, capacities of containers and connections are not
    /// part of it: a restart may change them.
    pub fn state_hash(&self) -> [u8; 32] {
        let mut walk = Walk(blake3::Hasher::new());
        self.walk_limits(&mut walk);
        self.walk_accounts(&mut walk);
        self.walk_market(&mut walk);
        for session in self.sessions.indices() {
            self.walk_session(&mut walk, session);
        }
        self.walk_outbox(&mut walk);
        self.walk_capacity(&mut walk);
        self.walk_timers(&mut walk);
        *walk.0.finalize().as_bytes()
    }

    fn walk_limits(&self, walk: &mut Walk) {
        walk.put(self.limits);
        walk.put(self.time);
        walk.put(self.last_seq);
        walk.put(self.step);
        walk.put(self.last_order_id);
        walk.put(self.last_trade_id);
        walk.put(self.hash.words());
        walk.put(self.random.words());
        let totals = self.ledger.totals();
        walk.put([totals.minted, totals.retired]);
        walk.put([totals.free, totals.held, totals.escrow, totals.fees, totals.rounding]);
    }

    fn walk_accounts(&self, walk: &mut Walk) {
        walk.number(self.accounts.len());
        for (index, account) in self.accounts.iter().enumerate() {
            walk.put(account.definition());
            walk.put(account.self_trade_group);
            let credits = self.ledger.credits(AccountIx::new(index as u32));
            walk.put([credits.free, credits.held, credits.escrow]);
            self.walk_places(walk, AccountIx::new(index as u32));
            walk.put([disabled_number(account.disabled)]);
            let Limits { open_orders_max, order_value_max, open_value_max, window_accelerators_max } =
                account.limits;
            walk.put([order_value_max, open_value_max]);
            walk.put([open_orders_max, window_accelerators_max]);
            self.walk_protections(walk, AccountIx::new(index as u32));
        }
        walk.put([u8::from(self.disabled.exchange)]);
        walk.number(self.disabled.classes.len());
        self.disabled.classes.iter().for_each(|class| walk.put(*class));
    }

    /// The order in which the account is told of its capacity: its places in slots, those without anything too.
    fn walk_places(&self, walk: &mut Walk, account: AccountIx) {
        walk.number(self.ledger.places(account).count());
        for (asset, _) in self.ledger.places(account) {
            self.walk_slot_key(walk, asset);
        }
    }

    fn walk_slot_key(&self, walk: &mut Walk, asset: AssetIx) {
        let SlotKey { class, area, slot } = self.ledger.slot_key(asset);
        walk.put(class);
        walk.put(area);
        walk.put(slot);
    }

    fn walk_protections(&self, walk: &mut Walk, account: AccountIx) {
        let protections = self.protections.of_account(account);
        walk.number(protections.len());
        for protection in protections {
            walk.put(protection.class);
            let ProtectionLimits { window_ms, fills_max, lots_max, credits_max } = protection.limits;
            walk.put([window_ms, fills_max, u32::from(protection.frozen)]);
            walk.put(lots_max);
            walk.put(credits_max);
            walk.number(protection.history().len());
            for (time, given) in protection.history() {
                walk.put([time.raw(), u64::from(given.fills), given.lots]);
                walk.put(given.credits);
            }
        }
    }

    fn walk_market(&self, walk: &mut Walk) {
        walk.number(self.yields.definitions().count());
        for definition in self.yields.definitions() {
            walk.put(definition);
        }
        walk.put(self.instruments.last_id());
        walk.number(self.instruments.len());
        for (ix, instrument) in self.instruments.iter() {
            walk.put(instrument.definition());
            walk.put(instrument.undelivered_slots);
            self.walk_call(walk, ix);
            walk.put([u8::from(instrument.book.is_some())]);
            let Some(book) = &instrument.book else { continue };
            walk.number(book.order_count(&self.orders.slab));
            for side in [Side::Buy, Side::Sell] {
                for slot in book.makers(&self.orders.slab, side) {
                    self.walk_order(walk, slot);
                }
            }
        }
    }

    /// Bands, reference prices, and what waits for the uncross.
    fn walk_call(&self, walk: &mut Walk, ix: InstrumentIx) {
        let instrument = &self.instruments[ix];
        let MovingBands { dynamic_bps, velocity_move, velocity_window_ms, halt_ms, call } = instrument.bands;
        walk.put(velocity_move);
        walk.put([dynamic_bps, velocity_window_ms, halt_ms, call.duration_ms, call.random_ms]);
        walk.put(instrument.prices.words());
        let Indication { price, volume, surplus } = instrument.call.indicated;
        walk.put(price);
        walk.put(volume);
        walk.put(surplus);
        walk.number(instrument.call.market_orders.len());
        for slot in instrument.call.market_orders.iter() {
            self.walk_order(walk, slot);
        }
    }

    fn walk_order(&self, walk: &mut Walk, slot: Slot) {
        let (order, terms) = (&self.orders.slab[slot], self.orders.terms(slot));
        walk.put(order.order_id);
        walk.put(order.price);
        walk.put([order.qty, order.leaves, order.hidden, order.account, terms.display_qty]);
        walk.put([order.side.raw(), u8::from(order.post_only), u8::from(terms.is_quote)]);
        walk.put([terms.order_type.raw(), terms.time_in_force.raw(), terms.self_trade.raw()]);
        walk.put(self.orders.owner(slot).client_order_id);
        let partner = terms.partner.map(|partner| self.orders.slab[partner].order_id);
        walk.put(partner.unwrap_or(OrderId::NONE));
    }

    fn walk_session(&self, walk: &mut Walk, session_ix: SessionIx) {
        let Session { account, id, high_water_mark, last_event_seq, .. } = &self.sessions[session_ix];
        let session = &self.sessions[session_ix];
        walk.put([account.raw(), id.raw(), session.cancel_on_disconnect_ms, session.orders.len()]);
        walk.put([high_water_mark.raw(), *last_event_seq, session.outcomes.dropped_through().raw()]);
        walk.put([disabled_number(session.disabled)]);
        walk.number(session.outcomes.iter().count());
        for outcome in session.outcomes.iter() {
            let reason = outcome.reason.map_or(0, |reason| u64::from(reason.raw()));
            walk.put([outcome.client_order_id.raw(), outcome.order_id.raw(), reason]);
        }
        for slot in self.orders.of_session(&session.orders) {
            walk.put(self.orders.slab[slot].order_id);
            let stop = self.stops.get(slot);
            walk.put([u8::from(stop.is_some())]);
            if let Some(stop) = stop {
                self.walk_order(walk, slot);
                walk.put(self.instruments[stop.instrument].id);
                walk_stop(walk, &stop);
            }
        }
    }

    fn walk_outbox(&self, walk: &mut Walk) {
        walk.number(self.outbox.iter().count());
        for entry in self.outbox.iter() {
            walk.put(entry.session.raw());
            entry.without_slot(|frame| _ = walk.0.update(frame));
        }
    }

    fn walk_capacity(&self, walk: &mut Walk) {
        self.ledger.walk_slots(|key, delivered, positions| {
            walk.put(key.class);
            walk.put(key.area);
            walk.put(key.slot);
            walk.put([u8::from(delivered)]);
            walk.number(positions.len());
            for position in positions {
                walk.put(position.account.raw());
                walk.put([position.registered, position.free, position.held]);
                walk.put(position.escrow);
            }
        });
    }

    fn walk_timers(&self, walk: &mut Walk) {
        walk.number(self.timers.iter().count());
        for (due, timer) in self.timers.iter() {
            walk.put(due);
            let id = |ix: InstrumentIx| self.instruments[ix].id.raw();
            match timer {
                Timer::Open(ix) => walk.put([1, id(ix)]),
                Timer::Gate(ix) => walk.put([2, id(ix)]),
                Timer::DeliveryStart(ix) => walk.put([7, id(ix)]),
                Timer::HaltEnd(ix, call) => walk.put([8, id(ix), call.duration_ms, call.random_ms]),
                Timer::CallEnd(ix) => walk.put([9, id(ix)]),
                Timer::Indication(ix) => walk.put([10, id(ix)]),
                Timer::Grace(session) => walk.put([3, session.raw()]),
                Timer::SlotEnd(asset) => {
                    walk.number(4);
                    self.walk_slot_key(walk, asset);
                }
                Timer::DeadMan(session) => walk.put([5, session.raw()]),
                Timer::Expiry(slot) => {
                    walk.number(6);
                    walk.put(self.orders.slab[slot].order_id);
                }
            }
        }
    }
}

fn walk_stop(walk: &mut Walk, stop: &Stop) {
    walk.put(stop.mark.unwrap_or(Price::ZERO));
    walk.put([stop.trigger.kind().raw()]);
    match stop.trigger {
        StopTrigger::Price(price) => walk.put(price),
        StopTrigger::Trailing(Trail { distance, activation_price, peak }) => {
            walk.put(activation_price);
            walk.put(peak.unwrap_or(Price::ZERO));
            let (by_price, bps) = match distance {
                Distance::Price(price) => (price, 0),
                Distance::BasisPoints(bps) => (Price::ZERO, bps),
            };
            walk.put(by_price);
            walk.put(bps);
        }
    }
}

fn disabled_number(disabled: Option<DisabledBy>) -> u8 {
    match disabled {
        None => 0,
        Some(DisabledBy::Trader) => 1,
        Some(DisabledBy::Operator) => 2,
    }
}

#[cfg(test)]
mod tests {
    use joulebook_types::MicroEc;

    use super::*;
    use crate::holds::Hold;

    #[test]
    fn all_of_a_stop_counts() {
        let by_price = |raw| StopTrigger::Price(Price::new(raw));
        let trailing = |distance, activation: i64, peak: Option<i64>| {
            let (activation_price, peak) = (Price::new(activation), peak.map(Price::new));
            StopTrigger::Trailing(Trail { distance, activation_price, peak })
        };
        let (price, bps) = (Distance::Price(Price::new(7)), Distance::BasisPoints(7));
        let cases = [
            (by_price(50), None),
            (by_price(51), None),
            (by_price(50), Some(50)),
            (trailing(price, 0, None), None),
            (trailing(bps, 0, None), None),
            (trailing(bps, 50, None), None),
            (trailing(bps, 0, Some(50)), None),
        ];
        let hashes = cases.map(|(trigger, mark)| {
            let mut walk = Walk(blake3::Hasher::new());
            let (slot, order_id, side) = (Slot::new(0), OrderId::new(1), Side::Buy);
            let (instrument, mark) = (InstrumentIx::new(0), mark.map(Price::new));
            let held = Hold::Credits(MicroEc::ZERO);
            walk_stop(&mut walk, &Stop { slot, order_id, instrument, side, trigger, mark, held });
            *walk.0.finalize().as_bytes()
        });
        for (index, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..index].contains(hash), "case {index} looks like one before");
        }
    }
}
