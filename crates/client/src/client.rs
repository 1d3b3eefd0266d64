use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use joulebook_protocol::messages::{
    CancelOrder, MassCancel, MassCancelDone, NewOrder, OrderAccepted, OrderCanceled, OrderReplaced,
    ReduceOrder, ReplaceOrder, RequestDone, RequestRefused, TokenOrder, TokenOrderDone,
};
use joulebook_protocol::{Command, Event, RejectReason, RequestStatus};
use joulebook_session::{ClientConfig as SessionConfig, ClientSession, RequestError};
use joulebook_types::{ClientOrderId, SessionId};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::dial::Dialer;
use crate::error::Repeat;
use crate::line::{Keeper, Line, RECONNECT_PAUSE_MAX};
use crate::trading::{Answer, Trading, Waiting};
use crate::{AccountKey, ClientError, Rejection, Venue};

/// Who trades where, and how patiently.
#[derive(Debug)]
pub struct ClientConfig {
    pub venue: Venue,
    pub key: AccountKey,
    /// The logical session, 1 and up. Two clients of one account need two.
    pub session: SessionId,
    /// The number of the last event that an earlier run of this client received; 0 asks for all that are retained.
    pub last_event_seq: u64,
    /// Proposed heartbeat interval; 0 leaves it to the exchange.
    pub heartbeat_ms: u32,
    /// How long orders survive a lost connection: 0 to 30,000; `u32::MAX` keeps them for good.
    pub cancel_on_disconnect_ms: u32,
    /// How long the futures wait for an answer. The request itself never expires.
    pub answer_timeout: Duration,
    /// Requests that may wait for answers at once.
    pub unanswered_max: usize,
    /// Notices that may wait to be read. At that many the client stops reading from the exchange.
    pub notices_max: usize,
    /// The longest pause between two attempts to get a lost connection back. The first is 50 ms at most, and each is
    /// twice as long as the one before until a connection has lasted.
    pub reconnect_pause_max: Duration,
}

impl ClientConfig {
    /// Session 1, orders canceled 5 s after the connection is lost.
    pub fn new(venue: Venue, key: AccountKey) -> Self {
        Self {
            venue,
            key,
            session: SessionId::new(1),
            last_event_seq: 0,
            heartbeat_ms: 0,
            cancel_on_disconnect_ms: 5_000,
            answer_timeout: Duration::from_secs(10),
            unanswered_max: 65_536,
            notices_max: 65_536,
            reconnect_pause_max: RECONNECT_PAUSE_MAX,
        }
    }
}

/// A trading session. It lives until [`Client::close`] or until it is dropped.
#[derive(Debug)]
pub struct Client {
    line: Arc<Line>,
    waiting: Arc<Waiting>,
    answer_timeout: Duration,
    task: Option<JoinHandle<()>>,
}

/// What happens in the session, in order.
#[derive(Clone, Debug)]
pub enum Notice {
    /// Every numbered event comes exactly once, also after a reconnect; so fills are never lost.
    Event {
        event: Event,
        /// The request that it is the first answer to.
        answers: Option<ClientOrderId>,
    },
    /// The gateway refused a request, which had no effect.
    Refused(RequestRefused),
    /// The connection is lost; the client tries to get it back. Requests are kept meanwhile.
    Disconnected(ClientError),
    /// Connected again, and everything missed has come. After a snapshot, orders that were not in it are gone.
    Resumed { snapshot: bool },
    /// The session is over for good; the last notice.
    Ended(ClientError),
}

/// The notices of a session. Read them, or drop this if you only wait for answers.
#[derive(Debug)]
pub struct Events {
    notices: mpsc::Receiver<Notice>,
}

impl Events {
    /// The next notice; `None` after the session has ended.
    pub async fn next(&mut self) -> Option<Notice> {
        self.notices.recv().await
    }

    /// The next notice, if there is one now.
    pub fn try_next(&mut self) -> Option<Notice> {
        self.notices.try_recv().ok()
    }
}

impl Client {
    /// Connects and logs on. Each may take `venue.connect_timeout`; a failure says why.
    pub async fn connect(config: ClientConfig) -> Result<(Self, Events), ClientError> {
        let session = SessionConfig {
            last_event_seq: config.last_event_seq,
            heartbeat_ms: config.heartbeat_ms,
            cancel_on_disconnect_ms: config.cancel_on_disconnect_ms,
            unanswered_max: config.unanswered_max,
            logon_timeout_ms: u32::try_from(config.venue.connect_timeout.as_millis()).unwrap_or(u32::MAX),
            ..SessionConfig::new(config.key.account(), config.session)
        };
        if config.session.is_none() {
            return Err(ClientError::Config("sessions are numbered from 1".to_owned()));
        }
        let line = Arc::new(Line::new(ClientSession::new(session)));
        let waiting = Arc::new(Waiting::default());
        let (sender, notices) = mpsc::channel(config.notices_max.max(1));
        let dialer = Dialer::new(config.venue)?;
        let (logged_on, first_logon) = oneshot::channel();
        let trading = Trading::new(config.key, config.session, waiting.clone(), sender);
        let keeper = Keeper::new(line.clone(), dialer, trading, logged_on, config.reconnect_pause_max);
        let task = Some(tokio::spawn(keeper.run()));
        let client = Self { line, waiting, answer_timeout: config.answer_timeout, task };
        match first_logon.await {
            Ok(Ok(())) => Ok((client, Events { notices })),
            Ok(Err(error)) => Err(error),
            Err(_gone) => Err(ClientError::Config("the runtime is shutting down".to_owned())),
        }
    }

    /// Enters an order; fills come as events, and so does the `SweepDone` of an order by budget. Like all requests it leaves when this is called, so a caller may make
    /// several before it awaits the first. The id is filled in.
    pub fn place(&self, order: NewOrder) -> impl Future<Output = Result<OrderAccepted, Rejection>> + '_ {
        let request = self.send(|id| NewOrder { client_order_id: id, ..order }.into());
        async move {
            match self.answer(request).await? {
                (_, Event::OrderAccepted(answer)) => Ok(answer),
                (id, other) => Err(rejection(id, &other)),
            }
        }
    }

    /// Cancels an order, named by its order id or by the client order id that entered it.
    pub fn cancel(&self, cancel: CancelOrder) -> impl Future<Output = Result<OrderCanceled, Rejection>> + '_ {
        let request = self.send(|id| CancelOrder { client_order_id: id, ..cancel }.into());
        async move {
            match self.answer(request).await? {
                (_, Event::OrderCanceled(answer)) => Ok(answer),
                (id, other) => Err(rejection(id, &other)),
            }
        }
    }

    /// Changes price and total quantity. [`Rejection::Ended`] when nothing was left to change.
    pub fn replace(
        &self,
        replace: ReplaceOrder,
    ) -> impl Future<Output = Result<OrderReplaced, Rejection>> + '_ {
        let request = self.send(|id| ReplaceOrder { client_order_id: id, ..replace }.into());
        async move {
            match self.answer(request).await? {
                (_, Event::OrderReplaced(answer)) => Ok(answer),
                (id, other) => Err(rejection(id, &other)),
            }
        }
    }

    /// Takes lots off an order, which keeps its place. [`Rejection::Ended`] when none were left.
    pub fn reduce(&self, reduce: ReduceOrder) -> impl Future<Output = Result<OrderReplaced, Rejection>> + '_ {
        let request = self.send(|id| ReduceOrder { client_order_id: id, ..reduce }.into());
        async move {
            match self.answer(request).await? {
                (_, Event::OrderReplaced(answer)) => Ok(answer),
                (id, other) => Err(rejection(id, &other)),
            }
        }
    }

    /// Cancels all open orders of the session or of the account.
    pub fn mass_cancel(
        &self,
        cancel: MassCancel,
    ) -> impl Future<Output = Result<MassCancelDone, Rejection>> + '_ {
        let request = self.send(|id| MassCancel { client_order_id: id, ..cancel }.into());
        async move {
            match self.answer(request).await? {
                (_, Event::MassCancelDone(answer)) => Ok(answer),
                (id, other) => Err(rejection(id, &other)),
            }
        }
    }

    /// Buys inference tokens wherever they are cheapest.
    pub fn buy_tokens(
        &self,
        order: TokenOrder,
    ) -> impl Future<Output = Result<TokenOrderDone, Rejection>> + '_ {
        let request = self.send(|id| TokenOrder { client_order_id: id, ..order }.into());
        async move {
            match self.answer(request).await? {
                (_, Event::TokenOrderDone(answer)) => Ok(answer),
                (id, other) => Err(rejection(id, &other)),
            }
        }
    }

    /// Any request that is answered by `RequestDone`: deposits, registrations, listings, accounts, yields, phases, bands,
    /// limits, kill switches, dead-man timers, protection. `command` is made with the id that it gets.
    pub fn request(
        &self,
        command: impl FnOnce(ClientOrderId) -> Command,
    ) -> impl Future<Output = Result<RequestDone, Rejection>> + '_ {
        let request = self.send(command);
        async move {
            match self.answer(request).await? {
                (_, Event::RequestDone(done)) => Ok(done),
                (id, other) => Err(rejection(id, &other)),
            }
        }
    }

    /// Sends a request and returns at once; the answer is an event. `command` is made with the id that it gets: the first
    /// one, for a request that takes several.
    pub fn submit(&self, command: impl FnOnce(ClientOrderId) -> Command) -> Result<ClientOrderId, Rejection> {
        let mut session = self.line.session();
        let id = session.next_client_order_id().ok_or(RequestError::NotLoggedOn)?;
        session.request(&command(id), self.line.clock.now())?;
        drop(session);
        self.wake()?;
        Ok(id)
    }

    /// Like [`Client::submit`], for a caller that numbers its requests itself, from [`Client::next_client_order_id`] on.
    pub fn submit_numbered(&self, command: &Command) -> Result<ClientOrderId, Rejection> {
        let id = self.line.session().request(command, self.line.clock.now())?;
        self.wake()?;
        Ok(id)
    }

    /// A number that no request of this session has had. Every call gives another one, so a request that takes several is
    /// numbered by [`Client::submit`], or by whoever alone draws them.
    pub fn next_client_order_id(&self) -> Result<ClientOrderId, RequestError> {
        self.line.session().next_client_order_id().ok_or(RequestError::NotLoggedOn)
    }

    /// Number of the newest event received: what the next run of this client starts from.
    pub fn last_event_seq(&self) -> u64 {
        self.line.session().last_event_seq()
    }

    /// Requests that wait for their answers.
    pub fn unanswered(&self) -> usize {
        self.line.session().unanswered()
    }

    /// Logs out, sends what is unsent and closes the connection. Open orders stay or go as `cancel_on_disconnect_ms` says.
    pub async fn close(mut self) {
        self.line.stop();
        if let Some(task) = self.task.take() {
            // The task ends by itself; that it panicked was reported where it happened.
            let _ = task.await;
        }
    }

    pub(crate) fn send(&self, command: impl FnOnce(ClientOrderId) -> Command) -> Result<Sent, Rejection> {
        let mut session = self.line.session();
        let id = session.next_client_order_id().ok_or(RequestError::NotLoggedOn)?;
        let id = session.request(&command(id), self.line.clock.now())?;
        // Before the session is free again, so that no answer can overtake.
        let answer = self.waiting.add(id);
        drop(session);
        self.wake()?;
        Ok(Sent { id, answer })
    }

    /// Has the task send what is new; fails when there is no task any more.
    fn wake(&self) -> Result<(), Rejection> {
        self.line.wake();
        // Looked at last: whoever ends the session first says so, and then gives up all that wait.
        self.line.ended().map_or(Ok(()), |end| Err(Rejection::SessionOver(end)))
    }

    /// The same for one that has an answer for each of the ids that it takes.
    pub(crate) fn send_batch(
        &self,
        command: impl FnOnce(ClientOrderId) -> Command,
    ) -> Result<Vec<Sent>, Rejection> {
        let mut session = self.line.session();
        let first = session.next_client_order_id().ok_or(RequestError::NotLoggedOn)?;
        let command = command(first);
        session.request(&command, self.line.clock.now())?;
        let ids = (0..command.client_order_ids()).map(|n| ClientOrderId::new(first.raw().saturating_add(n)));
        let sent = ids.map(|id| Sent { id, answer: self.waiting.add(id) }).collect();
        drop(session);
        self.wake()?;
        Ok(sent)
    }

    /// Nobody waits for this answer any more.
    pub(crate) fn forget(&self, request: &Sent) {
        self.waiting.forget(request.id);
    }

    pub(crate) async fn answer(
        &self,
        request: Result<Sent, Rejection>,
    ) -> Result<(ClientOrderId, Event), Rejection> {
        self.answer_by(self.answer_deadline(), request?).await
    }

    pub(crate) fn answer_deadline(&self) -> Instant {
        Instant::now() + self.answer_timeout
    }

    pub(crate) async fn answer_by(
        &self,
        deadline: Instant,
        request: Sent,
    ) -> Result<(ClientOrderId, Event), Rejection> {
        let Sent { id, answer } = request;
        match tokio::time::timeout_at(deadline, answer).await {
            Ok(Ok(Ok(event))) => Ok((id, event)),
            Ok(Ok(Err(refused))) => Err(Rejection::Refused(refused)),
            Ok(Err(_ended)) => Err(Rejection::SessionOver(self.line.end())),
            Err(_elapsed) => {
                self.waiting.forget(id);
                Err(Rejection::NoAnswerYet { client_order_id: id, after: self.answer_timeout })
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.line.stop();
    }
}

/// A request on its way.
pub(crate) struct Sent {
    id: ClientOrderId,
    answer: oneshot::Receiver<Answer>,
}

/// What an answer means that is not the one hoped for.
pub(crate) fn rejection(id: ClientOrderId, event: &Event) -> Rejection {
    match event {
        Event::RequestRejected(rejected) => Rejection::Rejected(*rejected),
        Event::RequestRepeated(repeated) => Rejection::Repeated {
            client_order_id: id,
            order_id: repeated.order_id,
            outcome: match RequestStatus::from_raw(repeated.status) {
                Some(RequestStatus::Accepted) => Repeat::Accepted,
                Some(RequestStatus::Rejected) => Repeat::Rejected(RejectReason::from_raw(repeated.reason)),
                Some(RequestStatus::NeverSeen) => Repeat::NeverSeen,
                Some(RequestStatus::TooOld) | None => Repeat::TooOld,
            },
        },
        // The session matches answers to requests by their kind: what is left is a replace or cancel whose order ended.
        Event::OrderAccepted(_)
        | Event::OrderFilled(_)
        | Event::OrderCanceled(_)
        | Event::OrderReplaced(_)
        | Event::MassCancelDone(_)
        | Event::TokenOrderDone(_)
        | Event::RequestDone(_)
        | Event::OrderStatus(_)
        | Event::CreditBalance(_)
        | Event::CapacityBalance(_)
        | Event::OrderTriggered(_)
        | Event::LegDone(_)
        | Event::SweepDone(_)
        | Event::MassQuoteAck(_)
        | Event::QuoteRejected(_)
        | Event::ProtectionTriggered(_)
        | Event::SnapshotEnd(_) => Rejection::Ended { client_order_id: id },
    }
}
