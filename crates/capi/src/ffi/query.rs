//! Questions. They change nothing, and the callback may ask them too.

use joulebook_protocol::Message;
use joulebook_protocol::messages::InstrumentDefinition;
use joulebook_types::{AccountId, InstrumentId, Phase, SessionId, Symbol};

use super::handle::EngineRef;
use super::pointer::{Out, OutMany, Text};
use crate::Status;
use crate::declare::{CType, exports, message_type};
use crate::exchange::Exchange;
use crate::structs::{CBest, CCredits, CIndication, CLevel, COrder, CPosition, CTotals};

impl CType for InstrumentDefinition {
    fn declare(inner: &str) -> String {
        format!("{} {inner}", message_type(Self::NAME))
    }
}

exports! {
    /// The engine's time, in nanoseconds since 1970.
    fn jb_get_time(engine: EngineRef<'_>, time_ns: Out<u64>) -> Status {
        answer(&engine, &time_ns, |exchange| Ok(exchange.engine().time().raw()))
    }

    /// When something happens next without a command; JB_ERR_NOT_FOUND when nothing will.
    fn jb_get_next_deadline(engine: EngineRef<'_>, time_ns: Out<u64>) -> Status {
        let next = |exchange: &Exchange| exchange.engine().next_deadline().map(|time| time.raw());
        answer(&engine, &time_ns, |exchange| next(exchange).ok_or(Status::NotFound))
    }

    /// The number of commands so far.
    fn jb_get_last_seq(engine: EngineRef<'_>, seq: Out<u64>) -> Status {
        answer(&engine, &seq, |exchange| Ok(exchange.engine().last_seq().raw()))
    }

    /// The highest client order id that a session used; its next must be higher.
    fn jb_get_last_client_order_id(
        engine: EngineRef<'_>,
        account: u32,
        session: u32,
        client_order_id: Out<u64>,
    ) -> Status {
        answer(&engine, &client_order_id, |exchange| {
            let state = exchange.engine().session(AccountId::new(account), SessionId::new(session));
            state.map(|state| state.last_client_order_id.raw()).ok_or(Status::NotFound)
        })
    }

    /// How many instruments were ever listed; their ids are 1 to that. Of those that are settled only that is
    /// known.
    fn jb_get_instrument_count(engine: EngineRef<'_>, count: Out<u32>) -> Status {
        answer(&engine, &count, |exchange| Ok(exchange.engine().last_instrument_id().raw()))
    }

    /// An instrument's definition and phase.
    fn jb_get_instrument(
        engine: EngineRef<'_>,
        instrument: u32,
        definition: Out<InstrumentDefinition>,
    ) -> Status {
        answer(&engine, &definition, |exchange| {
            exchange.engine().instrument(InstrumentId::new(instrument)).ok_or(Status::NotFound)
        })
    }

    /// The instrument of a symbol.
    fn jb_get_instrument_id(engine: EngineRef<'_>, symbol: Text<'_>, instrument: Out<u32>) -> Status {
        answer(&engine, &instrument, |exchange| exchange.instrument_of(symbol_of(&symbol)?))
    }

    /// A JB_PHASE_.
    fn jb_get_phase(engine: EngineRef<'_>, instrument: u32, phase: Out<u8>) -> Status {
        answer(&engine, &phase, |exchange| {
            let phase = exchange.engine().phase(InstrumentId::new(instrument));
            phase.map(Phase::raw).ok_or(Status::NotFound)
        })
    }

    /// An open order; JB_ERR_NOT_FOUND once it is filled or canceled.
    fn jb_get_order(engine: EngineRef<'_>, order_id: u64, order: Out<COrder>) -> Status {
        answer(&engine, &order, |exchange| exchange.order(order_id))
    }

    /// All open orders of an account and an instrument; zero means all. First those in books, in price-time order, bids
    /// before asks, then those that wait. At most `room` are written, `count` is how many there are.
    fn jb_get_orders(
        engine: EngineRef<'_>,
        account: u32,
        instrument: u32,
        orders: OutMany<COrder>,
        room: u32,
        count: Out<u32>,
    ) -> Status {
        engine.ask(|exchange| list(exchange.orders(account, instrument), &orders, room, &count))
    }

    /// The stops of an instrument that wait, oldest first; instrument zero means all. At most `room` are written, `count`
    /// is how many there are.
    fn jb_get_pending_stops(
        engine: EngineRef<'_>,
        instrument: u32,
        stops: OutMany<COrder>,
        room: u32,
        count: Out<u32>,
    ) -> Status {
        engine.ask(|exchange| list(exchange.pending_stops(instrument), &stops, room, &count))
    }

    /// How many orders are open in the whole engine.
    fn jb_get_open_order_count(engine: EngineRef<'_>, count: Out<u64>) -> Status {
        answer(&engine, &count, |exchange| Ok(exchange.engine().open_order_count() as u64))
    }

    /// The levels of a side, best first. At most `room` are written, `count` is how many there are.
    fn jb_get_levels(
        engine: EngineRef<'_>,
        instrument: u32,
        side: u8,
        levels: OutMany<CLevel>,
        room: u32,
        count: Out<u32>,
    ) -> Status {
        engine.ask(|exchange| list(exchange.levels(instrument, side)?, &levels, room, &count))
    }

    /// The best level of each side.
    fn jb_get_best(engine: EngineRef<'_>, instrument: u32, best: Out<CBest>) -> Status {
        answer(&engine, &best, |exchange| exchange.best(instrument))
    }

    /// The price of the last trade; JB_ERR_NOT_FOUND before the first.
    fn jb_get_last_trade_price(engine: EngineRef<'_>, instrument: u32, price: Out<i64>) -> Status {
        answer(&engine, &price, |exchange| exchange.last_trade(instrument))
    }

    /// What a call auction would trade if it ended now; JB_ERR_NOT_FOUND while there is none.
    fn jb_get_indication(
        engine: EngineRef<'_>,
        instrument: u32,
        indication: Out<CIndication>,
    ) -> Status {
        answer(&engine, &indication, |exchange| exchange.indication(instrument))
    }

    /// An account's credits.
    fn jb_get_credits(engine: EngineRef<'_>, account: u32, credits: Out<CCredits>) -> Status {
        answer(&engine, &credits, |exchange| exchange.account_credits(account))
    }

    /// What an account has in every quarter hour of a symbol's window. At most `room` are written, `count` is how many
    /// quarter hours there are.
    fn jb_get_positions(
        engine: EngineRef<'_>,
        account: u32,
        symbol: Text<'_>,
        positions: OutMany<CPosition>,
        room: u32,
        count: Out<u32>,
    ) -> Status {
        engine.ask(|exchange| {
            list(exchange.positions(account, symbol_of(&symbol)?)?, &positions, room, &count)
        })
    }

    /// Where all credits are.
    fn jb_get_totals(engine: EngineRef<'_>, totals: Out<CTotals>) -> Status {
        answer(&engine, &totals, |exchange| Ok(exchange.totals()))
    }

    /// A BLAKE3 hash of the whole logical state: equal engines have equal hashes.
    fn jb_get_state_hash(engine: EngineRef<'_>, hash: Out<[u8; 32]>) -> Status {
        answer(&engine, &hash, |exchange| Ok(exchange.engine().state_hash()))
    }

    /// The chained hash of all events up to the end of the last batch.
    fn jb_get_event_hash(engine: EngineRef<'_>, hash: Out<[u64; 2]>) -> Status {
        answer(&engine, &hash, |exchange| Ok(exchange.engine().event_chain_hash()))
    }

    /// Counts all balances, holds and levels again; JB_ERR_IMBALANCE when they do not add up.
    fn jb_check(engine: EngineRef<'_>) -> Status {
        engine.ask(|exchange| exchange.engine().recount().map_err(|_| Status::Imbalance))
    }
}

fn symbol_of(text: &Text<'_>) -> Result<Symbol, Status> {
    text.read()?.parse().map_err(|_| Status::Text)
}

fn answer<T>(
    engine: &EngineRef<'_>,
    out: &Out<T>,
    question: impl FnOnce(&Exchange) -> Result<T, Status>,
) -> Status {
    engine.ask(|exchange| {
        out.not_null()?;
        out.write(question(exchange)?)
    })
}

fn list<T>(
    values: impl Iterator<Item = T>,
    out: &OutMany<T>,
    room: u32,
    count: &Out<u32>,
) -> Result<(), Status> {
    count.write_if_wanted(out.write_all(room, values)?);
    Ok(())
}
