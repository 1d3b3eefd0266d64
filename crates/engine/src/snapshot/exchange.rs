//! What there is once: limits, time, counters, and what the exchange as a whole has.

use joulebook_protocol::messages::Genesis;
use joulebook_types::{AreaCode, InstrumentId, MicroEc, OrderId, SeqNum, ShardId, TradeId};

use super::LoadError;
use super::reader::Reader;
use super::section::Section;
use super::writer::Writer;
use crate::Engine;
use crate::hash::EventHash;
use crate::random::Random;

const BYTES: u64 = 184;

/// What all balances are checked against when all of them are there.
pub(super) struct Supply {
    minted: i128,
    retired: i128,
    fees: MicroEc,
    rounding: MicroEc,
}

impl Engine {
    pub(super) fn save_exchange(&self, writer: &mut Writer<'_>) {
        writer.section(Section::Exchange, BYTES, |writer| {
            writer.flag(self.started);
            writer.flag(self.disabled.exchange);
            self.save_limits(writer);
            let Random { seed, draws } = self.random;
            let EventHash { a, b } = self.hash;
            for counter in [
                self.time.raw(),
                self.last_seq.raw(),
                self.step,
                self.last_order_id.raw(),
                self.last_trade_id.raw(),
                self.ignored_commands,
                self.timers.set_count,
                seed,
                draws,
                a,
                b,
            ] {
                writer.u64(counter);
            }
            // What accounts and slots have is in their own sections.
            let totals = self.ledger.totals();
            writer.i128(totals.minted);
            writer.i128(totals.retired);
            writer.i64(totals.fees.raw());
            writer.i64(totals.rounding.raw());
        });
    }

    fn save_limits(&self, writer: &mut Writer<'_>) {
        let Genesis {
            shard,
            reserved,
            accounts_max,
            sessions_max,
            instruments_max,
            orders_max,
            outbox_events_max,
            session_outcomes_max,
            outcomes_max,
            area,
        } = self.limits;
        writer.u16(shard.raw());
        writer.u16(reserved);
        writer.zeros::<2>();
        for limit in [
            accounts_max,
            sessions_max,
            instruments_max,
            orders_max,
            outbox_events_max,
            session_outcomes_max,
            outcomes_max,
            self.instruments.last_id().raw(),
        ] {
            writer.u32(limit);
        }
        writer.bytes(zerocopy::IntoBytes::as_bytes(&area));
    }

    /// What balances are checked against, and the last id that an instrument was given.
    pub(super) fn load_exchange(
        &mut self,
        reader: &mut Reader<'_>,
    ) -> Result<(Supply, InstrumentId), LoadError> {
        reader.enter(Section::Exchange)?;
        let started = reader.flag()?;
        let disabled = reader.flag()?;
        let (limits, last) = load_limits(reader)?;
        if started {
            self.genesis(&limits);
        } else {
            let nothing = limits == Genesis::default() && last.is_none();
            reader.check(nothing, "an exchange that has not started has no limits and lists nothing")?;
        }
        self.disabled.exchange = disabled;
        self.time = reader.time()?;
        self.last_seq = SeqNum::new(reader.counter()?);
        self.step = reader.counter()?;
        self.last_order_id = OrderId::new(reader.counter()?);
        self.last_trade_id = TradeId::new(reader.counter()?);
        self.ignored_commands = reader.counter()?;
        self.timers.set_count = reader.counter()?;
        self.random = Random { seed: reader.u64()?, draws: reader.counter()? };
        self.hash = EventHash { a: reader.u64()?, b: reader.u64()? };
        let supply = Supply {
            minted: reader.i128()?,
            retired: reader.i128()?,
            fees: reader.credits()?,
            rounding: reader.credits()?,
        };
        reader.leave()?;
        Ok((supply, last))
    }

    pub(super) fn load_supply(&mut self, supply: &Supply, reader: &Reader<'_>) -> Result<(), LoadError> {
        let Supply { minted, retired, fees, rounding } = *supply;
        self.ledger.restore_totals(minted, retired, fees, rounding).map_err(|what| reader.error(what))
    }
}

fn load_limits(reader: &mut Reader<'_>) -> Result<(Genesis, InstrumentId), LoadError> {
    let (shard, reserved) = (ShardId::new(reader.u16()?), reader.u16()?);
    reader.zeros::<2>()?;
    let mut limits = Genesis {
        shard,
        reserved,
        accounts_max: reader.u32()?,
        sessions_max: reader.u32()?,
        instruments_max: reader.u32()?,
        orders_max: reader.u32()?,
        outbox_events_max: reader.u32()?,
        session_outcomes_max: reader.u32()?,
        outcomes_max: reader.u32()?,
        area: AreaCode::default(),
    };
    let last = InstrumentId::new(reader.u32()?);
    limits.area = reader.area()?;
    Ok((limits, last))
}
