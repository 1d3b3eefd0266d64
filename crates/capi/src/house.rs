//! The people that every market needs and a test does not want to play: operator, issuer, meter. And what they do.

use joulebook_protocol::messages::*;
use joulebook_types::{AccountId, MicroEc, Price, Role, Roles, SessionId, ShardId, Symbol, TimeNs};

use crate::Status;
use crate::exchange::Exchange;
use crate::structs::CResult;

/// Far above the numbers that people choose.
pub const OPERATOR: u32 = 4_000_000_001;
pub const ISSUER: u32 = 4_000_000_002;
pub const METER: u32 = 4_000_000_003;
/// The session that calls mean which name none.
pub const SESSION: u32 = 1;
/// Orders outlive the connection.
const KEEP: u32 = u32::MAX;

/// What stands where a caller's limits say zero.
pub const LIMITS: Genesis = Genesis {
    shard: ShardId::new(1),
    reserved: 0,
    accounts_max: 10_000,
    sessions_max: 20_000,
    instruments_max: 10_000,
    orders_max: 1_000_000,
    outbox_events_max: 100_000,
    session_outcomes_max: 65_536,
    outcomes_max: 1_000_000,
    area: joulebook_types::AreaCode::NONE,
};

impl Exchange {
    /// A market with its house accounts, at `time`.
    pub fn with_house(limits: Genesis, time: TimeNs) -> Result<Self, Status> {
        let mut exchange = Self::empty();
        exchange.begin(time)?;
        exchange.apply(0, 0, filled_up(limits).into())?;
        for (account, role, name) in [
            (OPERATOR, Role::Operator, "operator"),
            (ISSUER, Role::Issuer, "issuer"),
            (METER, Role::Meter, "meter"),
        ] {
            let roles = Roles::NONE.with(role).bits();
            let account_id = AccountId::new(account);
            let open = OpenAccount { account: account_id, roles, name: pad_text(name), ..Default::default() };
            exchange.apply(0, 0, open.into())?;
            // Too few sessions for the house are too few for anything.
            refused_is_value(exchange.log_on(account, SESSION, 0, KEEP)?)?;
        }
        exchange.end()?;
        Ok(exchange)
    }

    pub fn log_on(
        &mut self,
        account: u32,
        session: u32,
        last_event_seq: u64,
        cancel_on_disconnect_ms: u32,
    ) -> Result<CResult, Status> {
        let opened = SessionOpened {
            last_event_seq,
            heartbeat_ms: 1_000,
            cancel_on_disconnect_ms,
            ..Default::default()
        };
        self.apply(account, session, opened.into())
    }

    /// Opens an account and logs its first session on. The answer is the refusal of whichever was refused.
    pub fn open_account(
        &mut self,
        account: u32,
        roles: u16,
        self_trade_group: u32,
    ) -> Result<CResult, Status> {
        let open =
            OpenAccount { account: AccountId::new(account), roles, self_trade_group, ..Default::default() };
        let opened = self.apply(OPERATOR, SESSION, open.into())?;
        if opened.reject_reason != 0 {
            return Ok(opened);
        }
        let logged_on = self.log_on(account, SESSION, 0, KEEP)?;
        Ok(if logged_on.reject_reason != 0 { logged_on } else { opened })
    }

    /// Mints credits and deposits them in the account.
    pub fn fund(&mut self, account: u32, amount: i64) -> Result<CResult, Status> {
        let amount = MicroEc::new(amount);
        let minted = self.apply(ISSUER, SESSION, MintCredits { amount, ..Default::default() }.into())?;
        if minted.reject_reason != 0 {
            return Ok(minted);
        }
        let to = AccountId::new(account);
        let deposited =
            self.apply(ISSUER, SESSION, DepositCredits { amount, to, ..Default::default() }.into())?;
        if deposited.reject_reason != 0 {
            // What nobody took does not stay in the house.
            self.apply(ISSUER, SESSION, RetireCredits { amount, ..Default::default() }.into())?;
        }
        Ok(deposited)
    }

    pub fn register(&mut self, account: u32, symbol: Symbol, accelerators: u32) -> Result<CResult, Status> {
        let register = RegisterCapacity {
            class: symbol.class,
            area: symbol.area,
            start_minute: symbol.window.start_minute(),
            window_minutes: symbol.window.minutes(),
            accelerators,
            ..Default::default()
        };
        self.apply(account, SESSION, register.into())
    }

    /// Delivers every quarter hour of a window; `result` of the answer is what all of them released.
    pub fn deliver(&mut self, symbol: Symbol) -> Result<CResult, Status> {
        let mut released = 0;
        let mut last = CResult::default();
        for slot in symbol.window.slots() {
            let deliver = DeliverSlot { class: symbol.class, area: symbol.area, slot, ..Default::default() };
            last = self.apply(METER, SESSION, deliver.into())?;
            if last.reject_reason != 0 {
                break;
            }
            released += last.result;
        }
        Ok(CResult { result: released, ..last })
    }

    pub fn close_session(&mut self, account: u32, session: u32, reason: u16) -> Result<CResult, Status> {
        self.apply(account, session, SessionClosed { reason, ..Default::default() }.into())
    }

    pub fn session_is_open(&self, account: u32, session: u32) -> bool {
        let state = self.engine().session(AccountId::new(account), SessionId::new(session));
        state.is_some_and(|state| !state.connection.is_none())
    }
}

/// One accelerator a lot, so that a lot of an hour costs its price; tick 0.01 EC, band 0.01 to 1,000,000 EC, gate five
/// minutes before the window, no fees.
pub fn default_listing(symbol: Symbol) -> ListInstrument {
    ListInstrument {
        class: symbol.class,
        area: symbol.area,
        start_minute: symbol.window.start_minute(),
        window_minutes: symbol.window.minutes(),
        accelerators_per_lot: 1,
        tick: Price::new(10_000),
        band_low: Price::new(10_000),
        band_high: Price::new(1_000_000_000_000),
        gate: TimeNs::from_minutes(symbol.window.start_minute().saturating_sub(5)),
        qty_max: 1_000_000,
        ..Default::default()
    }
}

fn filled_up(limits: Genesis) -> Genesis {
    let or = |value: u32, default: u32| if value == 0 { default } else { value };
    Genesis {
        shard: if limits.shard.is_none() { LIMITS.shard } else { limits.shard },
        accounts_max: or(limits.accounts_max, LIMITS.accounts_max),
        sessions_max: or(limits.sessions_max, LIMITS.sessions_max),
        instruments_max: or(limits.instruments_max, LIMITS.instruments_max),
        orders_max: or(limits.orders_max, LIMITS.orders_max),
        outbox_events_max: or(limits.outbox_events_max, LIMITS.outbox_events_max),
        session_outcomes_max: or(limits.session_outcomes_max, LIMITS.session_outcomes_max),
        outcomes_max: or(limits.outcomes_max, LIMITS.outcomes_max),
        ..limits
    }
}

fn refused_is_value(result: CResult) -> Result<(), Status> {
    if result.reject_reason == 0 { Ok(()) } else { Err(Status::Value) }
}
