//! A client and a gateway's session with a stream between them.

use joulebook_protocol::messages::{LogonAccepted, NewOrder, OrderAccepted, Stamp};
use joulebook_protocol::{CloseReason, Command, Frame, Message, Origin, RejectReason, encode};
use joulebook_session::{
    ClientConfig, ClientOutput, ClientSession, Intake, Now, ServerOutput, ServerSession, SessionLimits,
};
use joulebook_testkit::Xoshiro256pp;
use joulebook_types::{AccountId, ClientOrderId, ConnectionId, SessionId, TimeNs};

pub const LEAF: [u8; 32] = [7; 32];
pub const SIGNATURE: [u8; 64] = [9; 64];

/// A client and a gateway's session with a stream between them. Time stands still unless a test moves it.
pub struct Pipe {
    pub client: ClientSession,
    pub server: ServerSession,
    pub random: Xoshiro256pp,
    pub limits: SessionLimits,
    pub now_ns: u64,
    pub intake: Intake,
    pub verdict: Result<(), RejectReason>,
    /// What the client came to know.
    pub seen: Vec<ClientOutput>,
    /// What reached the engine.
    pub commands: Vec<Command>,
    pub server_closed: Option<CloseReason>,
    pub subscriptions: usize,
}

impl Pipe {
    pub fn new(config: ClientConfig, limits: SessionLimits) -> Self {
        let mut pipe = Self {
            client: ClientSession::new(config),
            server: ServerSession::new(limits, ConnectionId::of_gateway(1, 1), [5; 32], at(1_000)),
            random: Xoshiro256pp::from_seed(1),
            limits,
            now_ns: 1_000,
            intake: Intake::Open,
            verdict: Ok(()),
            seen: Vec::new(),
            commands: Vec::new(),
            server_closed: None,
            subscriptions: 0,
        };
        pipe.client.start(LEAF, TimeNs::new(pipe.now_ns));
        pipe
    }

    /// A trading session that is logged on and caught up.
    pub fn trading() -> Self {
        let mut pipe = Self::new(trader(), SessionLimits::default());
        pipe.accept(accepted());
        assert!(pipe.client.is_ready() && pipe.server.is_open());
        pipe.seen.clear();
        pipe.commands.clear();
        pipe
    }

    /// Answers the logon as the engine would.
    pub fn accept(&mut self, accepted: LogonAccepted) {
        self.settle();
        assert!(matches!(self.commands.pop(), Some(Command::SessionOpened(_))));
        self.event(&accepted);
    }

    pub fn event<M: Message>(&mut self, message: &M) {
        let mut frame = Vec::new();
        encode(message, &mut frame);
        self.server.on_event(&frame, at(self.now_ns));
        self.settle();
    }

    /// A new stream after the old one broke.
    pub fn reconnect(&mut self) {
        self.server.on_disconnected();
        assert_eq!(self.server.unsent(), b"");
        self.client.on_disconnected();
        self.server =
            ServerSession::new(self.limits, ConnectionId::of_gateway(1, 2), [6; 32], at(self.now_ns));
        self.client.start(LEAF, TimeNs::new(self.now_ns));
        self.seen.clear();
        self.commands.clear();
    }

    pub fn place(&mut self) -> ClientOrderId {
        let client_order_id = self.client.next_client_order_id().unwrap();
        let order = NewOrder { client_order_id, ..NewOrder::default() };
        self.client.request(&order.into(), TimeNs::new(self.now_ns)).unwrap()
    }

    pub fn pass_time(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now_ns += 1_000_000;
            self.server.on_timeout(at(self.now_ns));
            self.client.on_timeout(TimeNs::new(self.now_ns));
            self.settle();
        }
    }

    /// Moves bytes until nothing moves.
    pub fn settle(&mut self) {
        loop {
            self.poll();
            let (up, down) = (self.client.unsent().len(), self.server.unsent().len());
            if up == 0 && down == 0 {
                return;
            }
            let count = self.random.between(0, up as u64) as usize;
            let count = count.min(self.server.room());
            self.server.on_bytes(&self.client.unsent()[..count], at(self.now_ns));
            self.client.sent(count);
            let count = self.random.between(0, down as u64) as usize;
            self.client.on_bytes(&self.server.unsent()[..count], TimeNs::new(self.now_ns));
            self.server.sent(count);
        }
    }

    pub fn poll(&mut self) {
        let now = at(self.now_ns);
        while let Some(output) = self.server.poll(now, self.intake) {
            match output {
                ServerOutput::Verify(verify) => {
                    assert_eq!((verify.account, verify.session), (AccountId::new(3), SessionId::new(1)));
                    assert_eq!(verify.signature, SIGNATURE);
                    if let Some(origin) = self.server.verified(self.verdict, now) {
                        self.take_command(origin);
                    }
                }
                ServerOutput::Command(origin) => self.take_command(origin),
                ServerOutput::Subscribe(_) | ServerOutput::Unsubscribe(_) => self.subscriptions += 1,
                ServerOutput::Anonymous | ServerOutput::Refused(_) => {}
                ServerOutput::Close(reason) => assert_eq!(self.server_closed.replace(reason), None),
            }
        }
        while let Some(output) = self.client.poll(now.steady) {
            if let ClientOutput::Sign(bytes) = output {
                assert!(bytes.starts_with(b"joulebook/1 logon\0"));
                self.client.signed(SIGNATURE, now.steady);
            }
            self.seen.push(output);
        }
    }

    fn take_command(&mut self, origin: Origin) {
        assert_eq!((origin.account, origin.session), (AccountId::new(3), SessionId::new(1)));
        assert_eq!(origin.received, at(self.now_ns).wall);
        let (frame, after) = Frame::split(self.server.command()).expect("a frame").expect("whole");
        assert_eq!(after, b"", "one command");
        self.commands.push(Command::decode(&frame).expect("a command"));
    }

    pub fn closed(&self) -> Option<CloseReason> {
        match self.seen.last() {
            Some(ClientOutput::Closed(reason)) => Some(*reason),
            _ => None,
        }
    }

    pub fn answers(&self) -> Vec<ClientOrderId> {
        let answers = self.seen.iter().filter_map(|output| match output {
            ClientOutput::Event { answers, .. } => *answers,
            _ => None,
        });
        answers.collect()
    }

    pub fn refusals(&self) -> Vec<(ClientOrderId, u16)> {
        let refusals = self.seen.iter().filter_map(|output| match output {
            ClientOutput::Refused(refused) => Some((refused.client_order_id, refused.reason)),
            _ => None,
        });
        refusals.collect()
    }
}

pub fn at(ns: u64) -> Now {
    Now { steady: TimeNs::new(ns), wall: TimeNs::new(ns + 1_000_000_000_000) }
}

pub fn trader() -> ClientConfig {
    ClientConfig::new(AccountId::new(3), SessionId::new(1))
}

pub fn accepted() -> LogonAccepted {
    LogonAccepted {
        account: AccountId::new(3),
        session: SessionId::new(1),
        heartbeat_ms: 3_000,
        ..Default::default()
    }
}

pub fn stamp(event_seq: u64) -> Stamp {
    Stamp { event_seq, ..Stamp::default() }
}

pub fn ack(event_seq: u64, client_order_id: ClientOrderId) -> OrderAccepted {
    OrderAccepted { stamp: stamp(event_seq), client_order_id, ..OrderAccepted::default() }
}

pub fn id(raw: u64) -> ClientOrderId {
    ClientOrderId::new(raw)
}
