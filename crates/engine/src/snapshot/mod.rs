//! The engine's whole state as bytes, and back.
//!
//! [`Engine::save`] writes everything that decides what happens next; [`Engine::load`] makes an engine of it that goes
//! on exactly as the saved one: the same events but for slot hints, the same hashes. What follows from something else
//! is not written but made again: indexes, chains, running figures. So the bytes are the same for the same state,
//! whatever way led to it, and less can be wrong in them.
//!
//! Bytes are not trusted. Every number is checked before anything relies on it: that it means something, that what it
//! names exists, that it is within the limit, that it goes with the others. What is allocated is in proportion to the
//! bytes. At the end everything is counted from the ground.
//!
//! The format: the magic `JBKSTATE`, the version as 32 bits, 32 bits of zeros; then every section once, in the order of
//! their numbers. A section is its number, 32 bits of zeros, the 64-bit length of what follows; then a list is its
//! 64-bit count and its records. All numbers are little-endian, all records multiples of eight bytes. The records are
//! described byte by byte in `docs/internals/engine-state.md`.

mod accounts;
mod capacity;
mod error;
mod exchange;
mod instruments;
mod orders;
mod outbox;
mod protections;
mod reader;
mod section;
mod sessions;
mod stops;
mod timers;
mod writer;
mod yields;

pub use error::LoadError;

use crate::Engine;
use reader::Reader;
use writer::Writer;

const MAGIC: [u8; 8] = *b"JBKSTATE";

impl Engine {
    /// The version of the bytes that [`Engine::save`] writes. [`Engine::load`] reads every version from 1 on.
    pub const STATE_VERSION: u32 = 1;

    /// Writes the whole logical state, in pieces, to `sink`. Between batches only.
    ///
    /// # Panics
    /// Within a batch in which an uncross is going on, which nobody outside sees.
    pub fn save(&self, sink: &mut dyn FnMut(&[u8])) {
        // Every field is here, so that a new one does not compile until somebody has thought of it.
        let Self {
            // Section exchange.
            started: _,
            limits: _,
            time: _,
            last_seq: _,
            step: _,
            last_order_id: _,
            last_trade_id: _,
            random: _,
            hash: _,
            ignored_commands: _,
            // Sections of their own; `disabled` and `timers` have a number in section exchange too.
            accounts: _,
            ledger: _,
            instruments: _,
            yields: _,
            orders: _,
            stops: _,
            sessions: _,
            disabled: _,
            protections: _,
            outcome_budget: _,
            outbox: _,
            timers: _,
            // Follows from open orders and limits.
            open_bids: _,
            // Of the command in hand: there is none.
            received: _,
            // Of the tool that listens.
            tells_all: _,
            // Memory that is used again, empty in between.
            resend_positions: _,
            dry_walk: _,
            token_walk: _,
            idle: _,
            stop_slots: _,
            pulled_quotes: _,
            legs: _,
            leg_reports: _,
            slot_needs: _,
            call_memory: _,
        } = self;
        let mut writer = Writer::new(sink);
        writer.bytes(&MAGIC);
        writer.u32(Self::STATE_VERSION);
        writer.zeros::<4>();
        self.save_exchange(&mut writer);
        self.save_accounts(&mut writer);
        self.save_protections(&mut writer);
        self.save_yields(&mut writer);
        self.save_capacity(&mut writer);
        self.save_instruments(&mut writer);
        self.save_sessions(&mut writer);
        self.save_orders(&mut writer);
        self.save_stops(&mut writer);
        self.save_timers(&mut writer);
        self.save_outbox(&mut writer);
        writer.flush();
    }

    /// An engine that goes on exactly like the one that was saved. Bytes are not trusted: every reference, order, total
    /// and limit is checked.
    pub fn load(bytes: &[u8]) -> Result<Self, LoadError> {
        let mut reader = Reader::new(bytes);
        let magic = reader.array()?;
        reader.check(magic == MAGIC, "the bytes are no engine's state")?;
        let version = reader.u32()?;
        reader.check(version == Self::STATE_VERSION, "the state is of a later version, or of none")?;
        reader.zeros::<4>()?;
        let mut engine = Self::new();
        let (supply, last_instrument) = engine.load_exchange(&mut reader)?;
        engine.load_accounts(&mut reader)?;
        engine.load_protections(&mut reader)?;
        engine.load_yields(&mut reader)?;
        engine.load_capacity(&mut reader)?;
        engine.load_supply(&supply, &reader)?;
        engine.load_instruments(&mut reader, last_instrument)?;
        engine.load_sessions(&mut reader)?;
        engine.load_orders(&mut reader)?;
        engine.load_stops(&mut reader)?;
        engine.load_timers(&mut reader)?;
        engine.load_outbox(&mut reader)?;
        reader.finish()?;
        engine.recount().map_err(|_| reader.error("everything adds up"))?;
        Ok(engine)
    }
}
