use joulebook_protocol::{Command, Frame, Message, encode};
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
///
/// Requests are kept as the wire has them: a command in memory is as large as the longest of all, a frame is not, and a
/// shell without a wire hands the frame on as it is.
#[derive(Debug)]
pub struct Actions {
    next: ClientOrderId,
    frames: Vec<u8>,
    /// By the places of their frames.
    waiting: Vec<Waiting>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    client_order_id: ClientOrderId,
    intended: TimeNs,
    /// Where its frame ends, and the next one's begins.
    end: usize,
}

impl Actions {
    /// `first` is the session's next unused client order id.
    pub fn new(first: ClientOrderId) -> Self {
        assert!(!first.is_none(), "client order ids start at 1");
        Self { next: first, frames: Vec::new(), waiting: Vec::new() }
    }

    /// Adds the command that `command` makes of its client order id, and returns that id.
    pub fn send<C: Message + Into<Command>>(
        &mut self,
        intended: TimeNs,
        command: impl FnOnce(ClientOrderId) -> C,
    ) -> ClientOrderId {
        let client_order_id = self.next;
        self.next = client_order_id.next();
        encode(&command(client_order_id), &mut self.frames);
        self.waiting.push(Waiting { client_order_id, intended, end: self.frames.len() });
        client_order_id
    }

    /// What was collected since the last call, in the order of its numbers.
    pub fn drain(&mut self) -> std::vec::IntoIter<Request> {
        let mut start = 0;
        let request = |waiting: &Waiting| {
            let frame = Frame::split(&self.frames[start..waiting.end]).ok().flatten();
            let command = frame.and_then(|(frame, _)| Command::decode(&frame).ok());
            start = waiting.end;
            let Waiting { client_order_id, intended, .. } = *waiting;
            Request { client_order_id, intended, command: command.expect("it was encoded here") }
        };
        let requests: Vec<Request> = self.waiting.iter().map(request).collect();
        self.frames.clear();
        self.waiting.clear();
        requests.into_iter()
    }

    /// The same as frames, header and block of each command, for a shell that has no use for more.
    pub fn drain_frames(&mut self, mut each: impl FnMut(&[u8])) {
        let mut start = 0;
        for waiting in self.waiting.drain(..) {
            each(&self.frames[start..waiting.end]);
            start = waiting.end;
        }
        self.frames.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use joulebook_protocol::messages::CancelOrder;
    use joulebook_types::OrderId;

    use super::*;

    fn cancel(order: u64) -> impl FnOnce(ClientOrderId) -> CancelOrder {
        move |client_order_id| CancelOrder {
            client_order_id,
            order_id: OrderId::new(order),
            ..CancelOrder::default()
        }
    }

    #[test]
    fn requests_leave_once_numbered_and_in_order() {
        let mut actions = Actions::new(ClientOrderId::new(5));
        for order in [7, 8] {
            actions.send(TimeNs::new(order), cancel(order));
        }
        let sent: Vec<Request> = actions.drain().collect();
        let seen = sent.iter().map(|sent| (sent.client_order_id.raw(), sent.intended.raw(), sent.command));
        let expected = [(5, 7), (6, 8)]
            .map(|(id, order)| (id, order, Command::from(cancel(order)(ClientOrderId::new(id)))));
        assert!(seen.eq(expected), "{sent:?}");
        assert!(actions.is_empty() && actions.drain().next().is_none());

        actions.send(TimeNs::ZERO, cancel(9));
        let mut frames = Vec::new();
        actions.drain_frames(|frame| frames.extend_from_slice(frame));
        let mut expected = Vec::new();
        Command::from(cancel(9)(ClientOrderId::new(7))).encode(&mut expected);
        assert_eq!(frames, expected);
        assert!(actions.is_empty());
    }
}
