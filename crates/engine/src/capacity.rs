//! Capacity comes into being and is delivered.

use core::mem::offset_of;

use joulebook_ledger::{AssetIx, SlotKey};
use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::{DeliverSlot, RegisterCapacity};
use joulebook_types::{AreaCode, ClassCode, InstrumentId, MicroEc, Phase, QuarterSlot, TimeNs, Window};

use crate::instruments::InstrumentIx;
use crate::request::{Done, Rejection};
use crate::sessions::SessionIx;
use crate::timers::Timer;
use crate::{Engine, Events};

/// The quarter hours of a day, the longest window.
const SLOTS_PER_INSTRUMENT_MAX: usize = 96;

impl Engine {
    pub(crate) fn register_capacity(
        &mut self,
        session: SessionIx,
        register: &RegisterCapacity,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let field = Rejection::field;
        let accelerators = register.accelerators;
        if accelerators == 0 {
            let offset = offset_of!(RegisterCapacity, accelerators);
            return Err(field(RejectReason::AmountNotPositive, offset).met(1, 0));
        }
        let (class, area) = (register.class, register.area);
        let offsets = (offset_of!(RegisterCapacity, class), offset_of!(RegisterCapacity, area));
        check_codes(class, area, offsets)?;
        let start = offset_of!(RegisterCapacity, start_minute);
        let window = Window::new(register.start_minute, register.window_minutes)
            .map_err(|_| field(RejectReason::InvalidWindow, start))?;
        self.check_slots(class, area, window)?;
        self.check_shard(area, offsets.1)?;
        let assets: Vec<AssetIx> = self.slots_of(class, area, window).collect();
        let account = self.sessions[session].account;
        self.ledger.register(account, &assets, accelerators).map_err(|_| {
            let offset = offset_of!(RegisterCapacity, accelerators);
            field(RejectReason::BalanceOverflow, offset).met(u32::MAX, accelerators)
        })?;
        Ok(self.request_done(session, register, u64::from(accelerators), out))
    }

    pub(crate) fn deliver_slot(
        &mut self,
        session: SessionIx,
        deliver: &DeliverSlot,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let DeliverSlot { class, area, slot, .. } = *deliver;
        check_codes(class, area, (offset_of!(DeliverSlot, class), offset_of!(DeliverSlot, area)))?;
        let nothing = Rejection::field(RejectReason::NothingToDeliver, offset_of!(DeliverSlot, slot));
        let asset = self.ledger.find_asset(SlotKey { class, area, slot }).ok_or(nothing)?;
        if let Some(ix) = self.instruments.over(asset).find(|ix| !self.instruments[*ix].is_closed()) {
            let offset = offset_of!(DeliverSlot, slot);
            let gate = self.instruments[ix].gate;
            let trading = Rejection::field(RejectReason::SlotStillTrading, offset);
            let trading = trading.met(gate.raw(), self.time.raw());
            return Err(trading.of_instrument(self.instruments[ix].id));
        }
        if self.ledger.escrow(asset) == MicroEc::ZERO {
            return Err(nothing);
        }
        let released = self.ledger.deliver(asset);
        let done = self.request_done(session, deliver, released.raw() as u64, out);
        self.settle_instruments(asset, self.time, out);
        Ok(done)
    }

    /// The slot assets of a window, in order, made where there are none yet.
    pub(crate) fn slots_of(
        &mut self,
        class: ClassCode,
        area: AreaCode,
        window: Window,
    ) -> impl Iterator<Item = AssetIx> {
        window.slots().map(move |slot| {
            let key = SlotKey { class, area, slot };
            self.ledger.find_asset(key).unwrap_or_else(|| {
                let asset = self.ledger.intern(key);
                self.timers.set(slot_end(slot), Timer::SlotEnd(asset));
                asset
            })
        })
    }

    /// Capacity can be registered for slots that are still to be delivered and not over yet, and for as many as all
    /// instruments could cover: a seller must not be able to fill the memory with hours of other centuries.
    fn check_slots(&self, class: ClassCode, area: AreaCode, window: Window) -> Result<(), Rejection> {
        let offset = offset_of!(RegisterCapacity, start_minute);
        let slots = window.slots().map(|slot| self.ledger.find_asset(SlotKey { class, area, slot }));
        let is_over = window.slots().next().is_some_and(|first| slot_end(first) <= self.time);
        if is_over || slots.clone().flatten().any(|asset| self.ledger.is_delivered(asset)) {
            let closed = Rejection::field(RejectReason::GateClosed, offset);
            return Err(closed.met(window.start().raw(), self.time.raw()));
        }
        let wanted = self.ledger.open_slots() + slots.filter(Option::is_none).count();
        let limit = self.instruments.instruments_max() * SLOTS_PER_INSTRUMENT_MAX;
        if wanted > limit {
            return Err(Rejection::field(RejectReason::InstrumentLimit, offset).met(limit, wanted));
        }
        Ok(())
    }

    /// A shard that serves one power zone takes nothing of another.
    pub(crate) fn check_shard(&self, area: AreaCode, offset: usize) -> Result<(), Rejection> {
        if self.limits.area.is_none() || self.limits.area == area {
            return Ok(());
        }
        Err(Rejection::field(RejectReason::CrossShard, offset))
    }

    /// A slot whose sellers wait for their money stays until its delivery is posted; any other is done.
    pub(crate) fn end_slot(&mut self, asset: AssetIx, out: &mut Events) {
        let end = slot_end(self.ledger.slot_key(asset).slot);
        if self.ledger.is_delivered(asset) {
            return self.forget_slot(asset, end);
        }
        let trading = |ix: InstrumentIx| !self.instruments[ix].is_closed();
        let waits = self.ledger.escrow(asset) > MicroEc::ZERO;
        if !waits && !self.instruments.over(asset).any(trading) {
            self.ledger.deliver(asset);
            self.settle_instruments(asset, end, out);
        }
    }

    /// An instrument is settled, and forgotten, when its last slot is delivered. `ended` is the end of the last slot
    /// whose end has been seen: later ones of the same instant are still to come.
    fn settle_instruments(&mut self, asset: AssetIx, ended: TimeNs, out: &mut Events) {
        let mut last = InstrumentId::NONE;
        while let Some(ix) = self.instruments.next_over(asset, last) {
            let instrument = &mut self.instruments[ix];
            last = instrument.id;
            instrument.undelivered_slots -= 1;
            if instrument.undelivered_slots > 0 {
                continue;
            }
            if let Some(start) = instrument.start_timer.take() {
                self.timers.cancel(start);
            }
            self.enter_phase(ix, Phase::Settled, out);
            for slot in self.instruments.forget(ix) {
                if slot != asset {
                    self.forget_slot(slot, ended);
                }
            }
        }
        self.forget_slot(asset, ended);
    }

    /// Forgets a slot that is delivered and over and that no instrument is about any more. Time answers for it from then
    /// on: nobody can list or register what has passed.
    fn forget_slot(&mut self, asset: AssetIx, ended: TimeNs) {
        let is_over = slot_end(self.ledger.slot_key(asset).slot) <= ended;
        if is_over && self.ledger.is_delivered(asset) && self.instruments.over(asset).next().is_none() {
            self.ledger.forget(asset);
        }
    }
}

pub(crate) fn slot_end(slot: QuarterSlot) -> TimeNs {
    TimeNs::from_minutes((slot.raw() + 1) * 15)
}

fn check_codes(class: ClassCode, area: AreaCode, offsets: (usize, usize)) -> Result<(), Rejection> {
    let field = |offset| Rejection::field(RejectReason::InvalidCode, offset);
    class.validate().map_err(|_| field(offsets.0))?;
    area.validate().map_err(|_| field(offsets.1))
}
