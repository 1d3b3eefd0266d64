//! Capacity comes into being and is delivered.

use core::mem::offset_of;

use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::{DeliverSlot, RegisterCapacity};
use joulebook_types::{AreaCode, ClassCode, Phase, QuarterSlot, TimeNs, Window};

use crate::ledger::SlotKey;
use crate::market::Market;
use crate::rejection::{Checked, field};
use crate::timers::Timer;

/// The quarter hours of a day, the longest window.
const SLOTS_PER_INSTRUMENT_MAX: usize = 96;

impl Market {
    pub(crate) fn register_capacity(&mut self, session: usize, register: &RegisterCapacity) -> Checked {
        let accelerators = register.accelerators;
        let offset = offset_of!(RegisterCapacity, accelerators);
        if accelerators == 0 {
            return Err(field(RejectReason::AmountNotPositive, offset).met(1, 0));
        }
        let (class, area) = (register.class, register.area);
        let offsets = (offset_of!(RegisterCapacity, class), offset_of!(RegisterCapacity, area));
        check_codes(class, area, offsets)?;
        let start = offset_of!(RegisterCapacity, start_minute);
        let window = Window::new(register.start_minute, register.window_minutes)
            .map_err(|_| field(RejectReason::InvalidWindow, start))?;
        let slots: Vec<SlotKey> = window.slots().map(|slot| SlotKey { class, area, slot }).collect();
        self.check_slots(&slots, window, start)?;
        let fits = |slot: &SlotKey| self.registered(*slot) + u64::from(accelerators) <= u64::from(u32::MAX);
        if !slots.iter().all(fits) {
            return Err(field(RejectReason::BalanceOverflow, offset).met(u32::MAX, accelerators));
        }
        self.check_area(area, offset_of!(RegisterCapacity, area))?;
        self.name_slots(&slots);
        let account = self.account_of(session);
        for slot in slots {
            let holding = self.open_holding(account, slot);
            holding.registered += i64::from(accelerators);
            holding.balance += i64::from(accelerators);
        }
        let result = u64::from(accelerators);
        self.request_done::<RegisterCapacity>(session, register.client_order_id, result);
        Ok(())
    }

    /// Accelerators of the slot that all accounts registered.
    fn registered(&self, slot: SlotKey) -> u64 {
        let accounts = 0..self.accounts.len();
        let holdings = accounts.filter_map(|account| self.holding(account, slot));
        holdings.map(|holding| holding.registered as u64).sum()
    }

    /// Slots come into being when they are first named, with the timer of their end.
    pub(crate) fn name_slots(&mut self, slots: &[SlotKey]) {
        for slot in slots {
            if !self.slots.contains_key(slot) {
                self.slots.insert(*slot, false);
                self.timers.set(slot_end(slot.slot), Timer::SlotEnd(*slot));
            }
        }
    }

    pub(crate) fn is_delivered(&self, slot: &SlotKey) -> bool {
        self.slots.get(slot) == Some(&true)
    }

    /// Slots that are still to be delivered and not over yet, and not more of them than all instruments could cover.
    fn check_slots(&self, slots: &[SlotKey], window: Window, offset: usize) -> Checked {
        let is_over = slots.first().is_some_and(|first| slot_end(first.slot) <= self.time);
        if is_over || slots.iter().any(|slot| self.is_delivered(slot)) {
            let closed = field(RejectReason::GateClosed, offset);
            return Err(closed.met(window.start().raw(), self.time.raw()));
        }
        let open = self.slots.values().filter(|delivered| !**delivered).count();
        let wanted = open + slots.iter().filter(|slot| !self.slots.contains_key(slot)).count();
        let limit = self.limits.instruments_max as usize * SLOTS_PER_INSTRUMENT_MAX;
        if wanted > limit {
            return Err(field(RejectReason::InstrumentLimit, offset).met(limit, wanted));
        }
        Ok(())
    }

    pub(crate) fn deliver_slot(&mut self, session: usize, deliver: &DeliverSlot) -> Checked {
        let DeliverSlot { class, area, slot, .. } = *deliver;
        check_codes(class, area, (offset_of!(DeliverSlot, class), offset_of!(DeliverSlot, area)))?;
        let offset = offset_of!(DeliverSlot, slot);
        let nothing = field(RejectReason::NothingToDeliver, offset);
        let key = SlotKey { class, area, slot };
        if !self.slots.contains_key(&key) {
            return Err(nothing);
        }
        let mut over = self.instruments.iter().filter(|instrument| instrument.slots.contains(&key));
        if let Some(trading) = over.find(|instrument| !instrument.is_closed()) {
            let rejection = field(RejectReason::SlotStillTrading, offset);
            let rejection = rejection.met(trading.gate.raw(), self.time.raw());
            return Err(rejection.of_instrument(trading.id));
        }
        if self.slot_escrow(key) == 0 {
            return Err(nothing);
        }
        let released = self.deliver(key);
        self.request_done::<DeliverSlot>(session, deliver.client_order_id, released as u64);
        self.settle_instruments(key);
        Ok(())
    }

    fn slot_escrow(&self, slot: SlotKey) -> i64 {
        let accounts = 0..self.accounts.len();
        accounts.filter_map(|account| self.holding(account, slot)).map(|holding| holding.escrow).sum()
    }

    /// Releases the slot's escrow and drops its capacity: the quarter hour is over.
    fn deliver(&mut self, slot: SlotKey) -> i64 {
        let mut released = 0;
        for account in &mut self.accounts {
            let escrow: i64 = account
                .holdings
                .iter()
                .filter(|holding| holding.slot == slot)
                .map(|holding| holding.escrow)
                .sum();
            account.credits += escrow;
            account.holdings.retain(|holding| holding.slot != slot);
            released += escrow;
        }
        self.slots.insert(slot, true);
        released
    }

    /// An instrument is settled when the last of its slots is delivered.
    fn settle_instruments(&mut self, slot: SlotKey) {
        for index in 0..self.instruments.len() {
            let instrument = &self.instruments[index];
            let all_delivered = instrument.slots.iter().all(|slot| self.is_delivered(slot));
            if instrument.slots.contains(&slot) && all_delivered {
                self.timers.cancel(Timer::Start(index));
                self.publish_phase(index, Phase::Settled);
            }
        }
    }

    /// A slot whose sellers wait for their money stays until its delivery is posted; any other is done.
    pub(crate) fn end_slot(&mut self, slot: SlotKey) {
        let mut over = self.instruments.iter().filter(|instrument| instrument.slots.contains(&slot));
        let trades = over.any(|instrument| !instrument.is_closed());
        if !self.is_delivered(&slot) && self.slot_escrow(slot) == 0 && !trades {
            self.deliver(slot);
            self.settle_instruments(slot);
        }
    }
}

fn slot_end(slot: QuarterSlot) -> TimeNs {
    TimeNs::from_minutes((slot.raw() + 1) * 15)
}

fn check_codes(class: ClassCode, area: AreaCode, offsets: (usize, usize)) -> Checked {
    class.validate().map_err(|_| field(RejectReason::InvalidCode, offsets.0))?;
    area.validate().map_err(|_| field(RejectReason::InvalidCode, offsets.1))
}
