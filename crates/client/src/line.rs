//! The task behind a session: owns the connection, moves bytes, gets lost connections back.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use joulebook_protocol::messages::LogonRejected;
use joulebook_protocol::{CloseReason, RejectReason};
use joulebook_session::{ClientOutput, ClientSession};
use joulebook_types::{AccountId, SessionId};
use quinn::{Connection, ReadError, RecvStream, SendStream, VarInt, WriteError};
use tokio::sync::{Notify, oneshot};

use crate::clock::Clock;
use crate::dial::Dialer;
use crate::{ClientError, Sha256};

/// First pause before a reconnect; it doubles up to the longest.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
/// The longest pause, unless somebody knows better.
pub(crate) const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(5);
/// A logon that lasts this long starts the pauses anew. One that ends sooner may end for a reason that comes back.
const STABLE: Duration = Duration::from_secs(1);
/// Time for the last bytes to leave when the client closes.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);
const READ_BYTES: usize = 64 << 10;

/// What callers and the task share. Callers only touch the session, in memory; the task does all I/O.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) clock: Clock,
    session: Mutex<ClientSession>,
    wake: Notify,
    stopping: AtomicBool,
    end: Mutex<Option<ClientError>>,
}

/// Whoever the session belongs to: hears what it decides.
pub(crate) trait Owner: Send {
    fn account(&self) -> AccountId;
    fn session(&self) -> SessionId;
    fn sign(&self, bytes: &[u8]) -> [u8; 64];

    /// Everything but the session's own business of signing and closing.
    fn on_output(&mut self, output: ClientOutput, line: &Line);

    /// The connection is lost. Called once, however many attempts to get it back fail.
    fn on_lost(&mut self, why: &ClientError);

    /// The session is over for good.
    fn on_end(&mut self, why: &ClientError);

    /// True while nothing more should be read from the exchange.
    fn is_full(&self) -> bool;

    /// Waits until the owner may have room again. May be dropped at any time.
    fn room(&self) -> impl Future<Output = ()> + Send;

    /// Passes on what did not fit before.
    fn pass_on(&mut self);
}

impl Line {
    pub(crate) fn new(session: ClientSession) -> Self {
        Self {
            clock: Clock::new(),
            session: Mutex::new(session),
            wake: Notify::new(),
            stopping: AtomicBool::new(false),
            end: Mutex::new(None),
        }
    }

    pub(crate) fn session(&self) -> MutexGuard<'_, ClientSession> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session has something to send.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Ends the session politely.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// Why the session is over, if it is.
    pub(crate) fn ended(&self) -> Option<ClientError> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why the session is over, for those who learned that it is.
    pub(crate) fn end(&self) -> ClientError {
        self.ended().unwrap_or(ClientError::Closed { reason: CloseReason::Logout })
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Until [`Line::stop`]. Requests that are made meanwhile wait in the session.
    async fn stopped(&self) {
        while !self.is_stopping() {
            self.wake.notified().await;
        }
    }
}

/// Keeps a session connected.
pub(crate) struct Keeper<O> {
    line: Arc<Line>,
    dialer: Dialer,
    owner: O,
    /// Until the first logon: who waits for it.
    first_logon: Option<oneshot::Sender<Result<(), ClientError>>>,
    /// The answer to the last logon, when it was no.
    refused: Option<LogonRejected>,
    is_lost: bool,
    /// Since when, on the present connection.
    logged_on: Option<Instant>,
    /// Reconnects since the last stable connection.
    attempts: u32,
    pause_max: Duration,
}

impl<O: Owner> Keeper<O> {
    pub(crate) fn new(
        line: Arc<Line>,
        dialer: Dialer,
        owner: O,
        first_logon: oneshot::Sender<Result<(), ClientError>>,
        pause_max: Duration,
    ) -> Self {
        Self {
            line,
            dialer,
            owner,
            first_logon: Some(first_logon),
            refused: None,
            is_lost: false,
            logged_on: None,
            attempts: 0,
            pause_max,
        }
    }

    /// Until the client is closed or the session is over for good.
    pub(crate) async fn run(mut self) {
        let end = loop {
            self.logged_on = None;
            let lost = self.connect().await.unwrap_or_else(|error| error);
            self.line.session().on_disconnected();
            if self.logged_on.is_some_and(|since| since.elapsed() >= STABLE) {
                self.attempts = 0;
            }
            if self.line.is_stopping() {
                break ClientError::Closed { reason: CloseReason::Logout };
            }
            if let Some(first) = self.first_logon.take() {
                // Whoever waits decides whether to try again.
                let _ = first.send(Err(lost.clone()));
                break lost;
            }
            if !lost.is_passing() {
                break lost;
            }
            if !std::mem::replace(&mut self.is_lost, true) {
                tracing::info!(session = self.owner.session().raw(), %lost, "connection lost");
                self.owner.on_lost(&lost);
            }
            self.pause().await;
        };
        *self.line.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(end.clone());
        self.owner.on_end(&end);
        let _ = tokio::time::timeout(GOODBYE_TIMEOUT, self.dialer.finish()).await;
        if self.line.is_stopping() {
            // Whoever closes has read what it wants.
            return;
        }
        while self.owner.is_full() {
            self.owner.room().await;
            self.owner.pass_on();
        }
    }

    /// One connection from first to last packet; gives back why it ended, or why there was none.
    async fn connect(&mut self) -> Result<ClientError, ClientError> {
        let timeout = self.dialer.venue().connect_timeout;
        let (connection, leaf) = tokio::select! {
            dialed = self.dialer.dial(timeout) => dialed?,
            () = self.line.stopped() => return Err(ClientError::Closed { reason: CloseReason::Logout }),
        };
        let (send, recv) = connection.open_bi().await.map_err(|error| self.dialer.cause(error))?;
        let end = self.converse(&connection, send, recv, leaf).await;
        connection.close(VarInt::from(u32::from(CloseReason::Logout.raw())), b"");
        Ok(end)
    }

    async fn converse(
        &mut self,
        connection: &Connection,
        mut send: SendStream,
        mut recv: RecvStream,
        leaf: Sha256,
    ) -> ClientError {
        let line = self.line.clone();
        self.refused = None;
        line.session().start(leaf.0, line.clock.now());
        let mut buffer = vec![0; READ_BYTES];
        let mut unsent = Unsent::default();
        loop {
            unsent.refill(&mut line.session());
            if line.is_stopping() {
                return self.say_goodbye(&mut send, unsent.rest()).await;
            }
            let deadline = line.session().deadline().and_then(|time| line.clock.instant(time));
            tokio::select! {
                read = recv.read(&mut buffer), if !self.owner.is_full() => match read {
                    Ok(Some(count)) => line.session().on_bytes(&buffer[..count], line.clock.now()),
                    Ok(None) => line.session().on_closed_by_server(u64::from(CloseReason::ConnectionLost.raw())),
                    Err(ReadError::Reset(code)) => line.session().on_closed_by_server(code.into_inner()),
                    Err(ReadError::ConnectionLost(error)) => return self.dialer.cause(error),
                    Err(error) => return self.lost(&error),
                },
                wrote = send.write(unsent.rest()), if !unsent.rest().is_empty() => match wrote {
                    Ok(count) => unsent.written += count,
                    // The reason comes on the other half of the stream, which can still be read.
                    Err(WriteError::Stopped(_)) => unsent.written = unsent.bytes.len(),
                    Err(WriteError::ConnectionLost(error)) => return self.dialer.cause(error),
                    Err(error) => return self.lost(&error),
                },
                () = self.owner.room(), if self.owner.is_full() => {}
                () = line.wake.notified() => {}
                () = sleep_until(deadline) => {
                    let (mut session, now) = (line.session(), line.clock.now());
                    if self.owner.is_full() {
                        // The exchange is not to blame for a silence while we do not read.
                        session.on_bytes(&[], now);
                    }
                    session.on_timeout(now);
                }
            }
            self.owner.pass_on();
            if let Some(end) = self.poll_session(connection) {
                return end;
            }
        }
    }

    /// Passes on what the session decided; gives back why it ended, if it did.
    fn poll_session(&mut self, connection: &Connection) -> Option<ClientError> {
        let line = self.line.clone();
        loop {
            let output = line.session().poll(line.clock.now())?;
            match output {
                ClientOutput::Sign(bytes) => {
                    line.session().signed(self.owner.sign(&bytes), line.clock.now());
                }
                ClientOutput::LogonRejected(rejected) => self.refused = Some(rejected),
                ClientOutput::Closed(reason) => return Some(self.closed(reason, connection)),
                ClientOutput::LoggedOn(_) => {
                    self.logged_on = Some(Instant::now());
                    self.is_lost = false;
                    self.owner.on_output(output, &line);
                    if let Some(first) = self.first_logon.take() {
                        // Nobody waits any more when the connecting future was dropped.
                        let _ = first.send(Ok(()));
                    }
                }
                ClientOutput::CaughtUp
                | ClientOutput::Event { .. }
                | ClientOutput::Refused(_)
                | ClientOutput::Public(_)
                | ClientOutput::Feed(_) => self.owner.on_output(output, &line),
            }
        }
    }

    /// Why the conversation on this stream is over.
    fn closed(&self, reason: CloseReason, connection: &Connection) -> ClientError {
        let account = self.owner.account();
        if let Some(refused) = &self.refused {
            return match RejectReason::from_raw(refused.reason) {
                Some(RejectReason::UnknownAccount | RejectReason::BadSignature) => {
                    ClientError::BadKey { account }
                }
                Some(reason) => ClientError::LogonRejected { account, session: self.owner.session(), reason },
                None => ClientError::Closed { reason },
            };
        }
        if reason == CloseReason::LogonTimeout {
            let venue = self.dialer.venue();
            return ClientError::LogonTimeout { addr: venue.addr, after: venue.connect_timeout };
        }
        match connection.close_reason() {
            Some(error) if reason == CloseReason::ConnectionLost => self.dialer.cause(error),
            _ => ClientError::Closed { reason },
        }
    }

    fn lost(&self, error: &dyn std::error::Error) -> ClientError {
        ClientError::Connection { addr: self.dialer.venue().addr, what: error.to_string() }
    }

    /// Logs out and waits until the exchange has what was unsent, or a moment.
    async fn say_goodbye(&self, send: &mut SendStream, unsent: &[u8]) -> ClientError {
        let mut last = unsent.to_vec();
        {
            let mut session = self.line.session();
            session.logout(self.line.clock.now());
            last.extend_from_slice(session.unsent());
        }
        let goodbye = async {
            if send.write_all(&last).await.is_ok() && send.finish().is_ok() {
                // Acknowledged, or the connection is gone: either way there is nothing left to do.
                let _ = send.stopped().await;
            }
        };
        let _ = tokio::time::timeout(GOODBYE_TIMEOUT, goodbye).await;
        ClientError::Closed { reason: CloseReason::Logout }
    }

    /// Waits longer each time, and not as long as other clients that lost the same exchange.
    async fn pause(&mut self) {
        let doubled = BACKOFF_MIN.saturating_mul(1 << self.attempts.min(16)).min(self.pause_max);
        let identity = self.owner.account().raw() ^ self.owner.session().raw().rotate_left(16);
        let share = identity.wrapping_mul(0x9e37_79b9) >> 24;
        self.attempts += 1;
        tokio::select! {
            () = tokio::time::sleep(doubled / 2 + doubled * share / 512) => {}
            () = self.line.stopped() => {}
        }
    }
}

/// Bytes taken from the session and not yet by the stream.
#[derive(Default)]
struct Unsent {
    bytes: Vec<u8>,
    written: usize,
}

impl Unsent {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    fn refill(&mut self, session: &mut ClientSession) {
        if self.written < self.bytes.len() {
            return;
        }
        self.written = 0;
        self.bytes.clear();
        self.bytes.extend_from_slice(session.unsent());
        session.sent(self.bytes.len());
    }
}

/// Never, for `None`.
async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
