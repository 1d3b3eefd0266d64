//! What a trading session's outputs mean: answers for those that wait, notices for those that listen.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use joulebook_protocol::Event;
use joulebook_protocol::messages::RequestRefused;
use joulebook_session::ClientOutput;
use joulebook_types::{AccountId, ClientOrderId, SessionId};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::line::{Line, Owner};
use crate::{AccountKey, ClientError, Notice};

pub(crate) type Answer = Result<Event, RequestRefused>;

/// Futures that wait for the answers to their requests.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    senders: Mutex<BTreeMap<ClientOrderId, oneshot::Sender<Answer>>>,
}

impl Waiting {
    pub(crate) fn add(&self, request: ClientOrderId) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        self.senders().insert(request, sender);
        receiver
    }

    pub(crate) fn forget(&self, request: ClientOrderId) {
        self.senders().remove(&request);
    }

    fn answer(&self, request: ClientOrderId, answer: Answer) {
        if let Some(sender) = self.senders().remove(&request) {
            // A caller that gave up reads of it in the notices.
            let _ = sender.send(answer);
        }
    }

    fn senders(&self) -> MutexGuard<'_, BTreeMap<ClientOrderId, oneshot::Sender<Answer>>> {
        self.senders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct Trading {
    key: AccountKey,
    session: SessionId,
    waiting: Arc<Waiting>,
    notices: mpsc::Sender<Notice>,
    /// Notices that did not fit the channel. While there are any, nothing more is read from the exchange.
    backlog: VecDeque<Notice>,
    was_lost: bool,
    snapshot: bool,
}

impl Trading {
    pub(crate) fn new(
        key: AccountKey,
        session: SessionId,
        waiting: Arc<Waiting>,
        notices: mpsc::Sender<Notice>,
    ) -> Self {
        let backlog = VecDeque::new();
        Self { key, session, waiting, notices, backlog, was_lost: false, snapshot: false }
    }

    fn notify(&mut self, notice: Notice) {
        self.backlog.push_back(notice);
        self.pass_on();
    }
}

impl Owner for Trading {
    fn account(&self) -> AccountId {
        self.key.account()
    }

    fn session(&self) -> SessionId {
        self.session
    }

    fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.key.sign(bytes)
    }

    fn on_output(&mut self, output: ClientOutput, _line: &Line) {
        match output {
            ClientOutput::LoggedOn(accepted) => self.snapshot = accepted.snapshot != 0,
            ClientOutput::CaughtUp => {
                if std::mem::take(&mut self.was_lost) {
                    self.notify(Notice::Resumed { snapshot: self.snapshot });
                }
            }
            ClientOutput::Event { event, answers } => {
                if let Some(request) = answers {
                    self.waiting.answer(request, Ok(event));
                }
                self.notify(Notice::Event { event, answers });
            }
            ClientOutput::Refused(refused) => {
                self.waiting.answer(refused.client_order_id, Err(refused));
                self.notify(Notice::Refused(refused));
            }
            // A trading session subscribes to nothing.
            ClientOutput::Public(_) | ClientOutput::Feed(_) => {}
            ClientOutput::Sign(_) | ClientOutput::LogonRejected(_) | ClientOutput::Closed(_) => {}
        }
    }

    fn on_lost(&mut self, why: &ClientError) {
        self.was_lost = true;
        self.notify(Notice::Disconnected(why.clone()));
    }

    fn on_end(&mut self, why: &ClientError) {
        self.notify(Notice::Ended(why.clone()));
        // Dropping their senders tells all that wait.
        self.waiting.senders().clear();
    }

    fn is_full(&self) -> bool {
        !self.backlog.is_empty()
    }

    async fn room(&self) {
        // The place is taken in `pass_on`; only one task sends, so it cannot be lost to another.
        let _ = self.notices.reserve().await;
    }

    fn pass_on(&mut self) {
        while let Some(notice) = self.backlog.pop_front() {
            match self.notices.try_send(notice) {
                Ok(()) => {}
                Err(TrySendError::Full(notice)) => {
                    self.backlog.push_front(notice);
                    return;
                }
                // Nobody listens.
                Err(TrySendError::Closed(_)) => self.backlog.clear(),
            }
        }
    }
}
