use joulebook_protocol::Command;
use joulebook_types::{ClientOrderId, TimeNs};

/// A command that an agent wants sent, and when it was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    pub client_order_id: ClientOrderId,
    /// Latency is measured from here, so a shell that falls behind cannot hide it.
    pub intended: TimeNs,
    pub command: Command,
}

/// Collects what the agents of one session want to send, and numbers it.
#[derive(Debug)]
pub struct Actions {
    next: ClientOrderId,
    requests: Vec<Request>,
}

impl Actions {
    /// `first` is the session's next unused client order id.
    pub fn new(first: ClientOrderId) -> Self {
        assert!(!first.is_none(), "client order ids start at 1");
        Self { next: first, requests: Vec::new() }
    }

    /// Adds the command that `command` makes of its client order id, and returns that id.
    pub fn send<C: Into<Command>>(
        &mut self,
        intended: TimeNs,
        command: impl FnOnce(ClientOrderId) -> C,
    ) -> ClientOrderId {
        let client_order_id = self.next;
        self.next = client_order_id.next();
        self.requests.push(Request { client_order_id, intended, command: command(client_order_id).into() });
        client_order_id
    }

    /// What was collected since the last call, in the order of its numbers.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Request> {
        self.requests.drain(..)
    }

    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }
}
