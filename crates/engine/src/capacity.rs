//! Capacity comes into being and is delivered.

use core::mem::offset_of;

use joulebook_ledger::{AssetIx, SlotKey};
use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::{DeliverSlot, RegisterCapacity};
use joulebook_types::{AreaCode, ClassCode, MicroEc, Phase, Window};

use crate::request::{Done, Rejection};
use crate::sessions::SessionIx;
use crate::{Engine, Events};

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
        let assets: Vec<AssetIx> =
            window.slots().map(|slot| self.ledger.intern(SlotKey { class, area, slot })).collect();
        if assets.iter().any(|asset| self.ledger.is_delivered(*asset)) {
            return Err(field(RejectReason::GateClosed, start).met(window.start().raw(), self.time.raw()));
        }
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
        if let Some(ix) = self.instruments.over(asset).iter().find(|ix| !self.instruments[**ix].is_closed()) {
            let offset = offset_of!(DeliverSlot, slot);
            let gate = self.instruments[*ix].gate;
            let trading = Rejection::field(RejectReason::SlotStillTrading, offset);
            let trading = trading.met(gate.raw(), self.time.raw());
            return Err(trading.of_instrument(ix.id()));
        }
        if self.ledger.escrow(asset) == MicroEc::ZERO {
            return Err(nothing);
        }
        let released = self.ledger.deliver(asset);
        let done = self.request_done(session, deliver, released.raw() as u64, out);
        self.settle_instruments(asset, out);
        Ok(done)
    }

    /// An instrument is settled when its last slot is delivered.
    fn settle_instruments(&mut self, asset: AssetIx, out: &mut Events) {
        for index in 0..self.instruments.over(asset).len() {
            let ix = self.instruments.over(asset)[index];
            let instrument = &mut self.instruments[ix];
            instrument.undelivered_slots -= 1;
            if instrument.undelivered_slots == 0 {
                instrument.phase = Phase::Settled;
                self.publish_phase(ix, Phase::Settled, out);
            }
        }
    }
}

fn check_codes(class: ClassCode, area: AreaCode, offsets: (usize, usize)) -> Result<(), Rejection> {
    let field = |offset| Rejection::field(RejectReason::InvalidCode, offset);
    class.validate().map_err(|_| field(offsets.0))?;
    area.validate().map_err(|_| field(offsets.1))
}
