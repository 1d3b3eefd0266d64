//! Block sweeps: the same lots in every one of consecutive windows, at an average price, or nothing at all.

use core::mem::offset_of;

use joulebook_ledger::fee;
use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::BlockSweep;
use joulebook_types::{MicroEc, Price, Qty, SelfTradeMode, Side, SlotHint};

use crate::instruments::{InstrumentIx, Product};
use crate::legs::{Leg, average_price, lowest};
use crate::new_order::check_qty;
use crate::order_choices::{invalid, self_trade_mode_of_whole};
use crate::request::{Done, Rejection};
use crate::sessions::SessionIx;
use crate::{Engine, Events};

const WINDOWS_MIN: u16 = 2;
/// The longer of the windows that can be swept, in minutes; the other is a quarter of it.
const HOUR_MINUTES: u16 = 60;

const QTY: usize = offset_of!(BlockSweep, qty);

impl Engine {
    pub(crate) fn block_sweep(
        &mut self,
        session: SessionIx,
        sweep: &BlockSweep,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let mut legs = core::mem::take(&mut self.legs);
        let result = self.block_sweep_with(&mut legs, session, sweep, out);
        self.legs = legs;
        result
    }

    fn block_sweep_with(
        &mut self,
        legs: &mut Vec<Leg>,
        session: SessionIx,
        sweep: &BlockSweep,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let side = Side::from_raw(sweep.side).ok_or(invalid(offset_of!(BlockSweep, side), sweep.side))?;
        let self_trade = self_trade_mode_of_whole(sweep.self_trade, offset_of!(BlockSweep, self_trade))?;
        self.check_entry(session)?;
        self.check_sweep(legs, session, sweep, (side, self_trade))?;
        let id = sweep.client_order_id;
        let mut taker = self.sweeping_taker(session, id, self_trade, legs[0].instrument, side);
        self.fill_legs(&mut taker, legs, out);
        Ok(Done { order_id: taker.order_id, slot: SlotHint::UNKNOWN })
    }

    /// Checks in the order of the reject codes and sets up the legs.
    fn check_sweep(
        &mut self,
        legs: &mut Vec<Leg>,
        session: SessionIx,
        sweep: &BlockSweep,
        (side, self_trade): (Side, SelfTradeMode),
    ) -> Result<(), Rejection> {
        self.check_shard(sweep.area, offset_of!(BlockSweep, area))?;
        self.set_legs_of_sweep(legs, sweep, side)?;
        let refused = legs.iter().map(|leg| {
            let id = self.instruments[leg.instrument].id;
            self.check_part_open(leg.instrument).err().map(|rejection| rejection.of_instrument(id))
        });
        lowest(refused).map_or(Ok(()), Err)?;
        check_qty(sweep.qty, QTY)?;
        for leg in &*legs {
            let checked = self.instruments[leg.instrument].check_qty_max(sweep.qty, QTY);
            checked.map_err(|rejection| rejection.of_instrument(self.instruments[leg.instrument].id))?;
        }
        if sweep.price <= Price::ZERO {
            let rejection = Rejection::field(RejectReason::PriceNotPositive, offset_of!(BlockSweep, price));
            return Err(rejection.met(1, sweep.price.raw()));
        }
        let worst = self.check_total(legs, session, sweep, side)?;
        let account = self.sessions[session].account;
        self.check_legs_capacity(account, legs, |_| QTY)?;
        let total = self.check_legs_fillable(account, self_trade, legs)?;
        self.check_order_value(account, worst, QTY)?;
        self.check_legs_windows(account, legs, |_| QTY)?;
        self.check_average(legs, sweep, side, total, worst)?;
        self.check_windows(legs, sweep)
    }

    /// The instruments that are listed for exactly these windows.
    fn set_legs_of_sweep(
        &self,
        legs: &mut Vec<Leg>,
        sweep: &BlockSweep,
        side: Side,
    ) -> Result<(), Rejection> {
        // Only the average is limited, so a single window may trade at any price.
        let limit = if side == Side::Buy { Price::new(i64::MAX) } else { Price::ZERO };
        legs.clear();
        for number in 0..sweep.windows.min(BlockSweep::WINDOWS_MAX) {
            let start = u64::from(sweep.start_minute) + u64::from(number) * u64::from(sweep.window_minutes);
            let instrument = self.instrument_of_window(sweep, start).ok_or_else(|| {
                let offset = offset_of!(BlockSweep, start_minute);
                Rejection::field(RejectReason::UnknownInstrument, offset).met(0, start)
            })?;
            legs.push(Leg { instrument, side, limit, qty: sweep.qty });
        }
        Ok(())
    }

    fn instrument_of_window(&self, sweep: &BlockSweep, start_minute: u64) -> Option<InstrumentIx> {
        self.instruments.find_product(&Product {
            class: sweep.class,
            area: sweep.area,
            start_minute: u32::try_from(start_minute).ok()?,
            window_minutes: sweep.window_minutes,
        })
    }

    /// The notional of all windows at the average allowed, and whether a buyer has it, with one fee on the total.
    fn check_total(
        &self,
        legs: &[Leg],
        session: SessionIx,
        sweep: &BlockSweep,
        side: Side,
    ) -> Result<MicroEc, Rejection> {
        let overflow = Rejection::field(RejectReason::NotionalOverflow, QTY).met(i64::MAX, sweep.qty);
        let Some(first) = legs.first() else { return Ok(MicroEc::ZERO) };
        let one = self.instruments[first.instrument].lot.notional(sweep.price, Qty::from(sweep.qty));
        let all = one.and_then(|one| one.raw().checked_mul(legs.len() as i64));
        let worst = MicroEc::new(all.ok_or(overflow)?);
        if side == Side::Buy {
            let fees = legs.iter().map(|leg| self.instruments[leg.instrument].taker_fee_ppm);
            let fee = fee(worst, fees.max().unwrap_or(0));
            let needed = worst.checked_add(fee).ok_or(overflow)?;
            let free = self.ledger.credits(self.sessions[session].account).free;
            if needed > free {
                let rejection = Rejection::field(RejectReason::InsufficientCredits, QTY);
                return Err(rejection.met(free.raw(), needed.raw()));
            }
        }
        Ok(worst)
    }

    /// Every window can be filled: the question is at what average.
    fn check_average(
        &self,
        legs: &[Leg],
        sweep: &BlockSweep,
        side: Side,
        total: i128,
        worst: MicroEc,
    ) -> Result<(), Rejection> {
        let worst = i128::from(worst.raw());
        let is_met = match side {
            Side::Buy => total <= worst,
            Side::Sell => total >= worst,
        };
        if is_met {
            return Ok(());
        }
        let lot = |leg: &Leg| i128::from(self.instruments[leg.instrument].lot.accelerator_minutes());
        let minutes = legs.iter().map(|leg| lot(leg) * i128::from(leg.qty)).sum();
        let rejection = Rejection::field(RejectReason::AveragePriceNotMet, offset_of!(BlockSweep, price));
        Err(rejection.met(sweep.price.raw(), average_price(total, minutes).raw()))
    }

    /// Two windows or more, of one lot, whose names could be listed.
    fn check_windows(&self, legs: &[Leg], sweep: &BlockSweep) -> Result<(), Rejection> {
        use RejectReason::*;
        let field = Rejection::field;
        if !(WINDOWS_MIN..=BlockSweep::WINDOWS_MAX).contains(&sweep.windows) {
            let rejection = field(InstrumentCount, offset_of!(BlockSweep, windows));
            return Err(rejection.met(BlockSweep::WINDOWS_MAX, sweep.windows));
        }
        let lot = |leg: &Leg| self.instruments[leg.instrument].lot.accelerators();
        if let Some(other) = legs.iter().find(|leg| lot(leg) != lot(&legs[0])) {
            let rejection = field(MixedWindow, offset_of!(BlockSweep, start_minute));
            return Err(rejection.of_instrument(self.instruments[other.instrument].id));
        }
        sweep.class.validate().map_err(|_| field(InvalidCode, offset_of!(BlockSweep, class)))?;
        sweep.area.validate().map_err(|_| field(InvalidCode, offset_of!(BlockSweep, area)))?;
        if sweep.window_minutes != HOUR_MINUTES && sweep.window_minutes != HOUR_MINUTES / 4 {
            let rejection = field(InvalidWindow, offset_of!(BlockSweep, window_minutes));
            return Err(rejection.met(HOUR_MINUTES, sweep.window_minutes));
        }
        Ok(())
    }
}
