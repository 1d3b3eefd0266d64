//! Making an engine, listening to it, moving its time, and sending it any command.

use joulebook_protocol::messages::{AdvanceTime, Genesis};
use joulebook_protocol::{BLOCK_BYTES_MAX, Command, DecodeError, Message};
use joulebook_types::TimeNs;

use super::handle::{EngineOut, EngineRef, EventFn, User};
use super::pointer::{Bytes, In, Out, TextOut};
use crate::declare::{CType, exports, message_type};
use crate::exchange::{Exchange, frame, message_info};
use crate::house::SESSION;
use crate::structs::CResult;
use crate::{ABI_VERSION, Status};

impl CType for Genesis {
    fn declare(inner: &str) -> String {
        format!("{} {inner}", message_type(Self::NAME))
    }
}

exports! {
    /// The version of this interface in the library. A program compares it with JB_ABI_VERSION of its header.
    fn jb_abi_version() -> u32 {
        ABI_VERSION
    }

    /// Makes an engine at `time_ns` (nanoseconds since 1970) with the house accounts JB_OPERATOR, JB_ISSUER and JB_METER,
    /// which count as accounts and sessions. Limits that are zero, or all with NULL, are chosen large. JB_ERR_VALUE when
    /// the limits leave no room for the house.
    fn jb_create(limits: In<Genesis>, time_ns: u64, engine: EngineOut) -> Status {
        engine.make(|| {
            let limits = if limits.is_null() { Genesis::default() } else { limits.read()? };
            Exchange::with_house(limits, TimeNs::new(time_ns)).map_err(|_| Status::Value)
        })
    }

    /// Makes an engine to which nothing has happened: its first command must be JB_MSG_GENESIS, sent by account 0. There
    /// are no house accounts, so the functions that use them answer JB_ERR_ORIGIN.
    fn jb_create_empty(engine: EngineOut) -> Status {
        engine.make(|| Ok(Exchange::empty()))
    }

    /// Frees the engine. NULL is allowed.
    fn jb_destroy(engine: EngineRef<'_>) -> Status {
        engine.destroy()
    }

    /// The message of the fault after JB_ERR_FAULT, else NULL. Good until the engine is destroyed.
    fn jb_fault_text(engine: EngineRef<'_>) -> TextOut {
        engine.fault_text()
    }

    /// Sets who gets the events from now on; NULL stops them. The callback runs before the call that caused the events
    /// returns. It may call the jb_get functions; anything else answers JB_ERR_BUSY. It must not throw or jump out.
    fn jb_on_event(engine: EngineRef<'_>, function: EventFn, user: User) -> Status {
        engine.listen(function, user)
    }

    /// Opens a batch at `time_ns`: timers due by then run first. An earlier time than the engine's counts as the engine's.
    /// Calls that change something join the batch until jb_end; without one, each call is a batch of its own, at the
    /// engine's time.
    fn jb_begin(engine: EngineRef<'_>, time_ns: u64) -> Status {
        engine.call(|exchange| exchange.begin(TimeNs::new(time_ns)))
    }

    /// Closes the batch.
    fn jb_end(engine: EngineRef<'_>) -> Status {
        engine.call(Exchange::end)
    }

    /// Moves time to `time_ns` and runs the timers that are due, as a batch of its own.
    fn jb_advance(engine: EngineRef<'_>, time_ns: u64) -> Status {
        engine.call(|exchange| {
            exchange.begin(TimeNs::new(time_ns))?;
            exchange.apply(0, 0, AdvanceTime::default().into())?;
            exchange.end()
        })
    }

    /// Sends any command from a session of an account; account 0 is the exchange itself. `command` points to the struct
    /// of `template_id`, `size` is its sizeof. A client order id of zero is replaced by the session's next one, the
    /// connection of a logon or logout by one made up here.
    fn jb_apply(
        engine: EngineRef<'_>,
        account: u32,
        session: u32,
        template_id: u16,
        command: Bytes,
        size: usize,
        result: Out<CResult>,
    ) -> Status {
        engine.call(|exchange| {
            let command = decode(template_id, &command, size)?;
            result.write_if_wanted(exchange.apply(account, session, command)?);
            Ok(())
        })
    }

    /// Opens an account with session 1 logged on. `roles` are JB_ROLE_ bits. Accounts of one non-zero self-trade group
    /// never trade with each other.
    fn jb_add_account(
        engine: EngineRef<'_>,
        account: u32,
        roles: u16,
        self_trade_group: u32,
        result: Out<CResult>,
    ) -> Status {
        engine.call(|exchange| {
            result.write_if_wanted(exchange.open_account(account, roles, self_trade_group)?);
            Ok(())
        })
    }

    /// Logs a session on. Events numbered above `last_event_seq` are sent again. Once it is closed, its orders live for
    /// `cancel_on_disconnect_ms`; JB_KEEP_ORDERS keeps them for good. `result` is the highest number that it used.
    fn jb_open_session(
        engine: EngineRef<'_>,
        account: u32,
        session: u32,
        last_event_seq: u64,
        cancel_on_disconnect_ms: u32,
        result: Out<CResult>,
    ) -> Status {
        engine.call(|exchange| {
            let opened = exchange.log_on(account, session, last_event_seq, cancel_on_disconnect_ms)?;
            result.write_if_wanted(opened);
            Ok(())
        })
    }

    /// Logs a session out. JB_ERR_ORIGIN when it is not logged on.
    fn jb_close_session(engine: EngineRef<'_>, account: u32, session: u32) -> Status {
        engine.call(|exchange| {
            if !exchange.session_is_open(account, session) {
                return Err(Status::Origin);
            }
            exchange.close_session(account, session, LOGOUT).map(|_| ())
        })
    }

    /// Sends everything that is public to the callback, as a newcomer would want it: accounts, yields, instruments, and
    /// one JB_MSG_BOOK_UPDATE per resting order.
    fn jb_publish_state(engine: EngineRef<'_>) -> Status {
        engine.call(|exchange| {
            exchange.publish_state();
            Ok(())
        })
    }
}

const LOGOUT: u16 = joulebook_protocol::CloseReason::Logout.raw();
const _: () = assert!(SESSION == 1, "the header says so");

fn decode(template_id: u16, bytes: &Bytes, size: usize) -> Result<Command, Status> {
    let info = message_info(template_id).ok_or(Status::Template)?;
    let block: [u8; BLOCK_BYTES_MAX] = bytes.read(size)?;
    let command = Command::decode(&frame(template_id, &block[..size]));
    match command {
        Err(DecodeError::UnknownTemplate { .. }) => Err(Status::Template),
        Ok(command) if size == info.block_len => Ok(command),
        Ok(_) | Err(DecodeError::ShortBlock { .. }) => Err(Status::Size),
    }
}
