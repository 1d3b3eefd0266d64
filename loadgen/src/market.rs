//! What must exist before a run: accounts with keys, credits and capacity, instruments, sessions.

use joulebook_protocol::messages::{
    DepositCredits, ListInstrument, MintCredits, OpenAccount, RegisterCapacity, SetYield, pad_text,
};
use joulebook_protocol::{Command, Event, RejectReason};
use joulebook_quic::ConnKey;
use joulebook_types::{
    AccountId, AreaCode, ClassCode, ClientOrderId, InstrumentId, MicroEc, Price, Role, Roles, SessionId,
    TimeNs,
};

use crate::BenchError;
use crate::exchange::Exchange;
use crate::keys::Signer;
use crate::wire::Wire;

/// The operator's and the issuer's sessions, as long as a market is being set up.
pub(crate) struct Admin {
    wire: Wire,
    operator: usize,
    issuer: usize,
    seed: u64,
    first_account: u32,
}

/// A window that is taken moves on by this much; an exchange that runs for long has many of them.
const LISTING_TRIES: u32 = 1_000;
/// First windows lie this far ahead, so that no gate closes during a run.
const AHEAD_MINUTES: u32 = 1_440;
const WINDOW_MINUTES: u16 = 15;

impl Admin {
    pub(crate) fn log_on(exchange: &Exchange, seed: u64) -> Result<Self, BenchError> {
        let mut wire = Wire::new(exchange.ca.clone(), exchange.gateway)?;
        // A logical session that nobody used before: there is nothing to resume, and numbers start at 1.
        let now_ms = joulebook_sys::realtime_ns() / 1_000_000;
        let session = SessionId::new((now_ms & 0x7fff_ffff) as u32 + 1);
        let conn = wire.connect(exchange.operator)?;
        let operator = wire.log_on(conn, &exchange.signer("operator")?, session)?;
        let conn = wire.connect(exchange.gateway)?;
        let issuer = wire.log_on(conn, &exchange.signer("issuer")?, session)?;
        // Accounts live as long as their exchange: on one that ran before, each run takes new numbers.
        let first_account =
            if exchange.is_own() { 1_000 } else { 1_000_000 + (now_ms % 4_000_000) as u32 * 1_000 };
        Ok(Self { wire, operator, issuer, seed, first_account })
    }

    /// Opens the `index`th account of this run with a fresh key and gives it `credits`.
    pub(crate) fn open_account(
        &mut self,
        index: usize,
        name: &str,
        roles: &[Role],
        credits: MicroEc,
    ) -> Result<Signer, BenchError> {
        let account = AccountId::new(self.first_account + index as u32);
        let signer = Signer::derived(self.seed, account);
        let (public_key, name) = (signer.public_key(), pad_text(name));
        let roles = roles.iter().copied().collect::<Roles>().bits();
        self.done(self.operator, "opening an account", |client_order_id| {
            OpenAccount { client_order_id, account, roles, public_key, name, ..Default::default() }.into()
        })?;
        if credits > MicroEc::ZERO {
            self.done(self.issuer, "minting credits", |client_order_id| {
                MintCredits { client_order_id, amount: credits, attestation: 1 }.into()
            })?;
            self.done(self.issuer, "depositing credits", |client_order_id| {
                DepositCredits { client_order_id, amount: credits, to: account, reserved: 0 }.into()
            })?;
        }
        Ok(signer)
    }

    /// Lists an instrument, or says why not.
    pub(crate) fn list(
        &mut self,
        make: impl FnOnce(ClientOrderId) -> ListInstrument,
    ) -> Result<InstrumentId, BenchError> {
        let result = self.done(self.operator, "listing an instrument", |id| make(id).into())?;
        Ok(InstrumentId::new(result as u32))
    }

    /// Lists a quarter hour that was not listed before, from the window number `first` on.
    pub(crate) fn list_fresh(
        &mut self,
        spec: &Listing,
        first: u32,
    ) -> Result<(InstrumentId, u32), BenchError> {
        let today = TimeNs::new(joulebook_sys::realtime_ns()).minutes();
        let base = (today + AHEAD_MINUTES).next_multiple_of(u32::from(WINDOW_MINUTES));
        for window in first..first + LISTING_TRIES {
            let start_minute = base + window * u32::from(WINDOW_MINUTES);
            match self.list(|client_order_id| spec.at(start_minute, client_order_id)) {
                Err(error) if is_taken(&error) => {}
                listed => return Ok((listed?, start_minute)),
            }
        }
        Err(BenchError::Options(format!("no free window of {} within {LISTING_TRIES}", spec.class)))
    }

    pub(crate) fn set_yield(
        &mut self,
        make: impl FnOnce(ClientOrderId) -> SetYield,
    ) -> Result<(), BenchError> {
        self.done(self.operator, "setting a yield", |id| make(id).into()).map(|_| ())
    }

    pub(crate) fn close(self) {
        self.wire.close();
    }

    fn done(
        &mut self,
        session: usize,
        what: &'static str,
        make: impl FnOnce(ClientOrderId) -> Command,
    ) -> Result<u64, BenchError> {
        request_done(&mut self.wire, session, what, make)
    }
}

/// True when another run or a demo has listed that window.
pub(crate) fn is_taken(error: &BenchError) -> bool {
    matches!(error, BenchError::Refused { reason: RejectReason::AlreadyListed, .. })
}

/// What the instruments of a plain run have in common.
pub(crate) struct Listing {
    pub(crate) class: ClassCode,
    pub(crate) area: AreaCode,
    pub(crate) tick: Price,
    pub(crate) accelerators_per_lot: u16,
    pub(crate) qty_max: u32,
    pub(crate) taker_fee_ppm: i32,
}

impl Listing {
    fn at(&self, start_minute: u32, client_order_id: ClientOrderId) -> ListInstrument {
        ListInstrument {
            client_order_id,
            class: self.class,
            area: self.area,
            start_minute,
            window_minutes: WINDOW_MINUTES,
            accelerators_per_lot: self.accelerators_per_lot,
            tick: self.tick,
            band_low: self.tick,
            band_high: Price::new(self.tick.raw() * 1_000_000),
            opens: TimeNs::ZERO,
            gate: TimeNs::from_minutes(start_minute - 5),
            qty_max: self.qty_max,
            taker_fee_ppm: self.taker_fee_ppm,
            maker_fee_ppm: 0,
            ..Default::default()
        }
    }

    /// Gives the seller of `session` capacity in the window that begins at `start_minute`.
    pub(crate) fn register(
        &self,
        wire: &mut Wire,
        session: usize,
        start_minute: u32,
        accelerators: u32,
    ) -> Result<(), BenchError> {
        request_done(wire, session, "registering capacity", |client_order_id| {
            RegisterCapacity {
                client_order_id,
                class: self.class,
                area: self.area,
                start_minute,
                window_minutes: WINDOW_MINUTES,
                accelerators,
                ..Default::default()
            }
            .into()
        })
        .map(|_| ())
    }
}

/// Sends a request that is answered by `RequestDone`, and returns what it made.
pub(crate) fn request_done(
    wire: &mut Wire,
    session: usize,
    what: &'static str,
    make: impl FnOnce(ClientOrderId) -> Command,
) -> Result<u64, BenchError> {
    wire.request(session, what, make, |id, event| match event {
        Event::RequestDone(done) if done.client_order_id == id => Some(done.result),
        _ => None,
    })
}

/// Connects `connections` times and logs `signers` on, in turn over the connections.
pub(crate) fn connect(
    exchange: &Exchange,
    connections: usize,
    signers: &[Signer],
) -> Result<Wire, BenchError> {
    let mut wire = Wire::new(exchange.ca.clone(), exchange.gateway)?;
    let conns: Vec<ConnKey> =
        (0..connections).map(|_| wire.connect(exchange.gateway)).collect::<Result<_, _>>()?;
    for (number, signer) in signers.iter().enumerate() {
        wire.log_on(conns[number % conns.len()], signer, SessionId::new(1))?;
    }
    Ok(wire)
}
