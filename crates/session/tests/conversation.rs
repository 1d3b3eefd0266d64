//! Both halves against each other, over a pipe that cuts the bytes at random, with the engine played by hand.

use joulebook_protocol::messages::{
    CancelOrder, Hello, LogonAccepted, MassCancel, NewOrder, OrderAccepted, OrderCanceled, OrderQuery,
    OrderStatus, RequestRejected, SnapshotEnd, Stamp, Subscribe, Terminate,
};
use joulebook_protocol::pipe::CommandFrame;
use joulebook_protocol::{
    CloseReason, Command, Event, FrameHeader, Message, RejectReason, SequencedCommand, encode,
};
use joulebook_session::{
    ClientConfig, ClientOutput, ClientSession, Intake, Now, RequestError, ServerOutput, ServerSession,
    SessionLimits,
};
use joulebook_testkit::Xoshiro256pp;
use joulebook_types::{AccountId, ClientOrderId, ConnectionId, InstrumentId, OrderId, SessionId, TimeNs};

const LEAF: [u8; 32] = [7; 32];
const SIGNATURE: [u8; 64] = [9; 64];

/// A client and a gateway's session with a stream between them. Time stands still unless a test moves it.
struct Pipe {
    client: ClientSession,
    server: ServerSession,
    random: Xoshiro256pp,
    limits: SessionLimits,
    now_ns: u64,
    intake: Intake,
    verdict: Result<(), RejectReason>,
    /// What the client came to know.
    seen: Vec<ClientOutput>,
    /// What reached the engine.
    commands: Vec<Command>,
    server_closed: Option<CloseReason>,
    subscriptions: usize,
}

impl Pipe {
    fn new(config: ClientConfig, limits: SessionLimits) -> Self {
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
    fn trading() -> Self {
        let mut pipe = Self::new(trader(), SessionLimits::default());
        pipe.accept(accepted());
        assert!(pipe.client.is_ready() && pipe.server.is_open());
        pipe.seen.clear();
        pipe.commands.clear();
        pipe
    }

    /// Answers the logon as the engine would.
    fn accept(&mut self, accepted: LogonAccepted) {
        self.settle();
        assert!(matches!(self.commands.pop(), Some(Command::SessionOpened(_))));
        self.event(&accepted);
    }

    fn event<M: Message>(&mut self, message: &M) {
        let mut frame = Vec::new();
        encode(message, &mut frame);
        self.server.on_event(&frame, at(self.now_ns));
        self.settle();
    }

    /// A new stream after the old one broke.
    fn reconnect(&mut self) {
        self.server.on_disconnected();
        assert_eq!(self.server.unsent(), b"");
        self.client.on_disconnected();
        self.server =
            ServerSession::new(self.limits, ConnectionId::of_gateway(1, 2), [6; 32], at(self.now_ns));
        self.client.start(LEAF, TimeNs::new(self.now_ns));
        self.seen.clear();
        self.commands.clear();
    }

    fn place(&mut self) -> ClientOrderId {
        let client_order_id = self.client.next_client_order_id().unwrap();
        let order = NewOrder { client_order_id, ..NewOrder::default() };
        self.client.request(&order.into(), TimeNs::new(self.now_ns)).unwrap()
    }

    fn pass_time(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now_ns += 1_000_000;
            self.server.on_timeout(at(self.now_ns));
            self.client.on_timeout(TimeNs::new(self.now_ns));
            self.settle();
        }
    }

    /// Moves bytes until nothing moves.
    fn settle(&mut self) {
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

    fn poll(&mut self) {
        let now = at(self.now_ns);
        while let Some(output) = self.server.poll(now, self.intake) {
            match output {
                ServerOutput::Verify(verify) => {
                    assert_eq!((verify.account, verify.session), (AccountId::new(3), SessionId::new(1)));
                    assert_eq!(verify.signature, SIGNATURE);
                    if let Some(command) = self.server.verified(self.verdict, now) {
                        self.commands.push(command_of(&command));
                    }
                }
                ServerOutput::Command(command) => {
                    assert_eq!(command.origin.account, AccountId::new(3));
                    assert_eq!(command.origin.received, now.wall);
                    self.commands.push(command_of(&command));
                }
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

    fn closed(&self) -> Option<CloseReason> {
        match self.seen.last() {
            Some(ClientOutput::Closed(reason)) => Some(*reason),
            _ => None,
        }
    }

    fn answers(&self) -> Vec<ClientOrderId> {
        let answers = self.seen.iter().filter_map(|output| match output {
            ClientOutput::Event { answers, .. } => *answers,
            _ => None,
        });
        answers.collect()
    }

    fn refusals(&self) -> Vec<(ClientOrderId, u16)> {
        let refusals = self.seen.iter().filter_map(|output| match output {
            ClientOutput::Refused(refused) => Some((refused.client_order_id, refused.reason)),
            _ => None,
        });
        refusals.collect()
    }
}

fn at(ns: u64) -> Now {
    Now { steady: TimeNs::new(ns), wall: TimeNs::new(ns + 1_000_000_000_000) }
}

fn trader() -> ClientConfig {
    ClientConfig::new(AccountId::new(3), SessionId::new(1))
}

fn accepted() -> LogonAccepted {
    LogonAccepted {
        account: AccountId::new(3),
        session: SessionId::new(1),
        heartbeat_ms: 3_000,
        ..Default::default()
    }
}

fn stamp(event_seq: u64) -> Stamp {
    Stamp { event_seq, ..Stamp::default() }
}

fn ack(event_seq: u64, client_order_id: ClientOrderId) -> OrderAccepted {
    OrderAccepted { stamp: stamp(event_seq), client_order_id, ..OrderAccepted::default() }
}

fn id(raw: u64) -> ClientOrderId {
    ClientOrderId::new(raw)
}

fn command_of(command: &CommandFrame) -> Command {
    SequencedCommand::decode(command.record()).expect("a journal record").command
}

#[test]
fn logon_orders_and_stamps() {
    let mut pipe = Pipe::new(trader(), SessionLimits::default());
    assert_eq!(pipe.client.next_client_order_id(), None, "nobody knows yet which ids are free");
    assert_eq!(
        pipe.client.request(&NewOrder { client_order_id: id(1), ..Default::default() }.into(), TimeNs::ZERO),
        Err(RequestError::NotLoggedOn)
    );
    pipe.accept(LogonAccepted { last_client_order_id: id(41), ..accepted() });
    assert!(matches!(
        pipe.seen.as_slice(),
        [ClientOutput::Sign(_), ClientOutput::LoggedOn(_), ClientOutput::CaughtUp]
    ));

    assert_eq!(pipe.place(), id(42));
    pipe.settle();
    assert_eq!(pipe.commands, [NewOrder { client_order_id: id(42), ..Default::default() }.into()]);
    pipe.event(&ack(1, id(42)));
    let Some(ClientOutput::Event { event: Event::OrderAccepted(ack), answers }) = pipe.seen.last() else {
        panic!("{:?}", pipe.seen)
    };
    assert_eq!((*answers, pipe.client.unanswered()), (Some(id(42)), 0));
    assert_eq!(ack.stamp.sent, at(pipe.now_ns).wall);
    assert_eq!((ack.stamp.order_credits, ack.stamp.cancel_credits), (199_999, 400_000));
}

#[test]
fn refused_logons_say_why() {
    for reason in [RejectReason::UnknownAccount, RejectReason::BadSignature, RejectReason::WrongEndpoint] {
        let mut pipe = Pipe::new(trader(), SessionLimits::default());
        pipe.verdict = Err(reason);
        pipe.settle();
        assert!(pipe.commands.is_empty());
        assert_eq!(pipe.closed(), Some(CloseReason::LogonRefused));
        assert_eq!(pipe.server_closed, Some(CloseReason::LogonRefused));
        let [.., ClientOutput::LogonRejected(rejected), ClientOutput::Closed(_)] = pipe.seen.as_slice()
        else {
            panic!("{:?}", pipe.seen)
        };
        assert_eq!((rejected.reason, rejected.account), (reason.raw(), AccountId::new(3)));
    }
}

#[test]
fn the_engine_may_refuse_a_logon_too() {
    let mut pipe = Pipe::new(trader(), SessionLimits::default());
    pipe.settle();
    assert!(pipe.server.is_known_to_engine());
    let reason = RejectReason::SessionLimit.raw();
    pipe.event(&joulebook_protocol::messages::LogonRejected { reason, ..Default::default() });
    assert_eq!(pipe.closed(), Some(CloseReason::LogonRefused));
    assert!(!pipe.server.is_known_to_engine());
}

#[test]
fn a_session_number_is_needed_to_trade() {
    let config = ClientConfig::new(AccountId::new(3), SessionId::NONE);
    let mut pipe = Pipe::new(config, SessionLimits::default());
    pipe.settle();
    assert_eq!(pipe.closed(), Some(CloseReason::LogonRefused));
}

#[test]
fn anonymous_sessions_get_market_data_and_nothing_else() {
    let mut pipe = Pipe::new(ClientConfig::anonymous(), SessionLimits::default());
    pipe.settle();
    assert!(pipe.client.is_ready() && pipe.server.is_open() && !pipe.server.is_known_to_engine());
    let now = TimeNs::new(pipe.now_ns);
    assert!(pipe.client.subscribe(InstrumentId::NONE, 3, now));
    let order = NewOrder { client_order_id: id(1), ..Default::default() };
    assert_eq!(pipe.client.request(&order.into(), now), Err(RequestError::Anonymous));
    let mut bytes = Vec::new();
    encode(&order, &mut bytes);
    pipe.server.on_bytes(&bytes, at(pipe.now_ns));
    pipe.settle();
    assert_eq!((pipe.subscriptions, pipe.commands.len()), (1, 0));
    assert_eq!(pipe.refusals(), [(id(1), RejectReason::NotAuthorised.raw())]);
    let trade = joulebook_protocol::messages::FeedTrade { seq: 5, ..Default::default() };
    let mut frame = Vec::new();
    encode(&trade, &mut frame);
    pipe.server.send_frames(&frame, at(pipe.now_ns));
    pipe.settle();
    assert_eq!(pipe.seen.last(), Some(&ClientOutput::Feed(trade.into())));
}

#[test]
fn logons_have_a_time_limit_on_both_sides() {
    let mut pipe = Pipe::new(trader(), SessionLimits::default());
    pipe.settle();
    assert_eq!(pipe.server.deadline(), Some(TimeNs::new(1_000 + 3_000_000_000)));
    pipe.pass_time(2_999);
    assert_eq!(pipe.server_closed, None);
    pipe.pass_time(1);
    assert_eq!(pipe.server_closed, Some(CloseReason::LogonTimeout));
    assert_eq!(pipe.closed(), Some(CloseReason::LogonTimeout));

    let mut silent = ClientSession::new(trader());
    silent.start(LEAF, TimeNs::ZERO);
    let deadline = silent.deadline().unwrap();
    assert_eq!(deadline, TimeNs::new(5_000_000_000));
    silent.on_timeout(deadline);
    assert_eq!(silent.poll(deadline), Some(ClientOutput::Closed(CloseReason::LogonTimeout)));
    assert_eq!(silent.poll(deadline), None, "once");
}

#[test]
fn heartbeats_keep_an_idle_session() {
    let mut pipe = Pipe::trading();
    pipe.pass_time(60_000);
    assert!(pipe.client.is_ready() && pipe.server.is_open());
    assert!(pipe.seen.is_empty() && pipe.commands.is_empty());
}

#[test]
fn silence_ends_a_session() {
    let mut pipe = Pipe::trading();
    let silent_since = pipe.now_ns;
    let end = silent_since + 3 * 3_000_000_000;
    for now_ns in [silent_since + 3_000_000_000, end - 1] {
        pipe.server.on_timeout(at(now_ns));
        pipe.client.on_timeout(TimeNs::new(now_ns));
        assert!(pipe.server.is_open() && pipe.client.is_ready());
    }
    pipe.server.on_timeout(at(end));
    pipe.client.on_timeout(TimeNs::new(end));
    pipe.poll();
    assert_eq!(pipe.server_closed, Some(CloseReason::HeartbeatTimeout));
    assert_eq!(pipe.closed(), Some(CloseReason::HeartbeatTimeout));

    let mut pipe = Pipe::trading();
    pipe.server.excuse_silence(at(silent_since + 5_000_000_000));
    pipe.server.on_timeout(at(end));
    assert!(pipe.server.is_open(), "we did not read, so it was not the client that was silent");
}

#[test]
fn proposed_heartbeats_are_clamped() {
    for (proposed, want) in [(0, 3_000), (1, 100), (250, 250), (u32::MAX, 60_000)] {
        let config = ClientConfig { heartbeat_ms: proposed, cancel_on_disconnect_ms: 40_000, ..trader() };
        let mut pipe = Pipe::new(config, SessionLimits::default());
        pipe.settle();
        let Some(Command::SessionOpened(opened)) = pipe.commands.pop() else { panic!() };
        assert_eq!((opened.heartbeat_ms, opened.cancel_on_disconnect_ms), (want, 30_000));
    }
}

#[test]
fn throttled_requests_are_told_how_long_to_wait() {
    let limits = SessionLimits { orders_per_s: 10, order_burst: 2, ..Default::default() };
    let mut pipe = Pipe::new(trader(), limits);
    pipe.accept(accepted());
    (0..3).for_each(|_| _ = pipe.place());
    let cancel = CancelOrder { client_order_id: id(4), target: id(1), ..Default::default() };
    pipe.client.request(&cancel.into(), TimeNs::new(pipe.now_ns)).unwrap();
    pipe.settle();
    assert_eq!(pipe.commands.len(), 3, "two orders, and the cancel from its own bucket");
    assert_eq!(pipe.refusals(), [(id(3), RejectReason::Throttled.raw())]);
    let Some(ClientOutput::Refused(refused)) = pipe.seen.last() else { panic!() };
    assert_eq!((refused.limit, refused.value, refused.template_id), (10, 100_000_000, NewOrder::TEMPLATE_ID));
    assert_eq!(pipe.client.unanswered(), 3, "a refusal is an answer");
    pipe.pass_time(100);
    pipe.place();
    pipe.settle();
    assert_eq!(pipe.commands.len(), 4);
}

#[test]
fn a_read_only_exchange_still_cancels() {
    let mut pipe = Pipe::trading();
    pipe.intake = Intake::ReadOnly;
    pipe.place();
    let requests: [Command; 3] = [
        CancelOrder { client_order_id: id(2), target: id(9), ..Default::default() }.into(),
        MassCancel { client_order_id: id(3), ..Default::default() }.into(),
        OrderQuery { client_order_id: id(4), target: id(9), ..Default::default() }.into(),
    ];
    for request in &requests {
        pipe.client.request(request, TimeNs::new(pipe.now_ns)).unwrap();
    }
    pipe.settle();
    assert_eq!(pipe.refusals(), [(id(1), RejectReason::ReadOnly.raw())]);
    assert_eq!(pipe.commands, requests);
}

#[test]
fn answers_find_their_requests() {
    let mut pipe = Pipe::trading();
    let now = TimeNs::new(pipe.now_ns);
    let requests: [Command; 5] = [
        NewOrder { client_order_id: id(1), ..Default::default() }.into(),
        CancelOrder { client_order_id: id(2), order_id: OrderId::new(70), ..Default::default() }.into(),
        MassCancel { client_order_id: id(3), ..Default::default() }.into(),
        OrderQuery { client_order_id: id(4), target: id(1), ..Default::default() }.into(),
        NewOrder { client_order_id: id(5), ..Default::default() }.into(),
    ];
    for request in &requests {
        pipe.client.request(request, now).unwrap();
    }
    assert_eq!(
        pipe.client.request(&requests[0], now),
        Err(RequestError::StaleId { last: id(5) }),
        "an id is used once"
    );
    pipe.event(&RequestRejected { stamp: stamp(1), client_order_id: id(5), ..Default::default() });
    pipe.event(&ack(2, id(1)));
    let canceled = |event_seq, order, request| OrderCanceled {
        stamp: stamp(event_seq),
        order_id: OrderId::new(order),
        request: id(request),
        ..Default::default()
    };
    pipe.event(&canceled(3, 71, 2));
    assert_eq!(pipe.answers(), [id(5), id(1)], "another session's request 2 canceled another order");
    pipe.event(&canceled(4, 70, 2));
    pipe.event(&canceled(5, 72, 3));
    pipe.event(&joulebook_protocol::messages::MassCancelDone {
        stamp: stamp(6),
        client_order_id: id(3),
        ..Default::default()
    });
    pipe.event(&OrderStatus { client_order_id: id(1), ..Default::default() });
    assert_eq!(pipe.answers(), [id(5), id(1), id(2), id(3), id(4)]);
    assert_eq!(pipe.client.unanswered(), 0);
}

#[test]
fn a_resumed_session_gets_what_it_missed_and_repeats_what_has_no_answer() {
    let mut pipe = Pipe::trading();
    let ids: Vec<ClientOrderId> = (0..4).map(|_| pipe.place()).collect();
    pipe.settle();
    pipe.event(&ack(1, ids[0]));
    pipe.reconnect();
    let while_away = pipe.place();
    pipe.accept(LogonAccepted {
        last_event_seq: 3,
        resend_from_seq: 1,
        last_client_order_id: ids[2],
        ..accepted()
    });
    assert!(pipe.commands.is_empty(), "what is missing may hold the answers");
    pipe.event(&ack(1, ids[0]));
    pipe.event(&ack(2, ids[1]));
    assert!(pipe.commands.is_empty());
    pipe.event(&ack(3, ids[2]));
    assert_eq!(pipe.seen.last(), Some(&ClientOutput::CaughtUp));
    assert_eq!(pipe.answers(), [ids[1], ids[2]], "event 1 was known already");
    let resent: Vec<Command> =
        [ids[3], while_away].map(|id| NewOrder { client_order_id: id, ..Default::default() }.into()).into();
    assert_eq!(pipe.commands, resent, "in order, with the same ids");
    assert!(ids.len() as u64 == 4 && pipe.place() > while_away);
}

#[test]
fn the_logon_carries_the_last_number() {
    let mut pipe = Pipe::trading();
    for event_seq in 1..=9 {
        pipe.event(&ack(event_seq, id(1_000)));
    }
    pipe.reconnect();
    pipe.settle();
    let Some(Command::SessionOpened(opened)) = pipe.commands.pop() else { panic!() };
    assert_eq!(opened.last_event_seq, 9);
    assert_eq!(opened.connection, ConnectionId::of_gateway(1, 2));
}

#[test]
fn a_snapshot_stands_in_for_events_that_are_gone() {
    let mut pipe = Pipe::trading();
    pipe.event(&ack(1, id(1)));
    let query = OrderQuery { client_order_id: id(1), target: id(7), ..Default::default() };
    pipe.client.request(&query.into(), TimeNs::new(pipe.now_ns)).unwrap();
    pipe.settle();
    pipe.reconnect();
    pipe.accept(LogonAccepted { last_event_seq: 500, snapshot: 1, ..accepted() });
    pipe.event(&OrderStatus { client_order_id: id(7), ..Default::default() });
    assert_eq!(pipe.answers(), [], "a state within the snapshot is no answer");
    assert!(pipe.commands.is_empty() && !pipe.client.is_ready());
    pipe.event(&SnapshotEnd { last_event_seq: 500, ..Default::default() });
    assert_eq!(pipe.commands, [query.into()]);
    pipe.event(&ack(501, id(1)));
    assert_eq!((pipe.client.last_event_seq(), pipe.closed()), (501, None));
}

#[test]
fn gaps_are_faults() {
    let mut pipe = Pipe::trading();
    pipe.event(&ack(2, id(1)));
    assert_eq!(pipe.closed(), Some(CloseReason::ProtocolError));

    for wrong in [
        LogonAccepted { last_event_seq: 5, ..accepted() },
        LogonAccepted { last_event_seq: 5, resend_from_seq: 3, ..accepted() },
        LogonAccepted { account: AccountId::new(4), ..accepted() },
    ] {
        let mut pipe = Pipe::new(trader(), SessionLimits::default());
        pipe.accept(wrong);
        assert_eq!(pipe.closed(), Some(CloseReason::ProtocolError));
    }
}

#[test]
fn the_engine_may_end_a_session() {
    let mut pipe = Pipe::trading();
    pipe.event(&Terminate { reason: CloseReason::Superseded.raw(), ..Default::default() });
    assert_eq!(pipe.closed(), Some(CloseReason::Superseded));
    assert_eq!(pipe.server_closed, Some(CloseReason::Superseded));
    assert!(!pipe.server.is_known_to_engine());
}

#[test]
fn a_logout_ends_both_sides() {
    let mut pipe = Pipe::trading();
    pipe.place();
    assert!(pipe.client.logout(TimeNs::new(pipe.now_ns)));
    pipe.settle();
    assert_eq!(pipe.commands.len(), 1, "what came before it counts");
    assert_eq!((pipe.closed(), pipe.server_closed), (Some(CloseReason::Logout), Some(CloseReason::Logout)));
}

#[test]
fn a_slow_consumer_learns_the_reason_behind_whole_frames() {
    let limits = SessionLimits { unsent_bytes_max: 1_000, ..Default::default() };
    let mut pipe = Pipe::new(trader(), limits);
    pipe.accept(accepted());
    let mut frame = Vec::new();
    encode(&ack(1, id(1)), &mut frame);
    pipe.server.on_event(&frame, at(pipe.now_ns));
    // The stream takes a part of a frame, then nothing for long.
    pipe.client.on_bytes(&pipe.server.unsent()[..30], TimeNs::new(pipe.now_ns));
    pipe.server.sent(30);
    for event_seq in 2..=100 {
        frame.clear();
        encode(&ack(event_seq, id(1)), &mut frame);
        pipe.server.on_event(&frame, at(pipe.now_ns));
    }
    assert!(pipe.server.is_closed() && pipe.server.unsent().len() < 200);
    pipe.settle();
    assert_eq!(pipe.server_closed, Some(CloseReason::SlowConsumer));
    assert_eq!(pipe.closed(), Some(CloseReason::SlowConsumer));
    assert_eq!(pipe.client.last_event_seq(), 1, "the event that had begun came whole");
}

#[test]
fn wrong_messages_are_answered_and_wrong_bytes_end_the_session() {
    let encoded = |template_id, block_len: u16, version| {
        let header =
            FrameHeader { block_len, template_id, schema_id: joulebook_protocol::SCHEMA_ID, version };
        let FrameHeader { block_len, template_id, schema_id, version } = header;
        let mut bytes: Vec<u8> = [block_len, template_id, schema_id, version]
            .iter()
            .flat_map(|field| field.to_le_bytes())
            .collect();
        bytes.extend(std::iter::repeat_n(1, usize::from(block_len).min(600)));
        bytes
    };
    let first_eight = id(u64::from_le_bytes([1; 8]));
    let malformed = RejectReason::Malformed.raw();
    let unexpected = RejectReason::Unexpected.raw();
    let cases = [
        ("short block", encoded(NewOrder::TEMPLATE_ID, 31, 1), Some((first_eight, malformed))),
        ("tiny block", encoded(NewOrder::TEMPLATE_ID, 3, 1), Some((ClientOrderId::NONE, malformed))),
        ("unknown template", encoded(999, 16, 1), Some((ClientOrderId::NONE, malformed))),
        ("internal command", encoded(50, 40, 1), Some((first_eight, malformed))),
        ("a server's message", encoded(60, 96, 1), Some((ClientOrderId::NONE, malformed))),
        ("hello again", encoded(Hello::TEMPLATE_ID, 8, 1), Some((ClientOrderId::NONE, unexpected))),
        ("oversized", encoded(NewOrder::TEMPLATE_ID, 513, 1), None),
        ("no such version", encoded(NewOrder::TEMPLATE_ID, 32, 0), None),
        ("noise", vec![0xFF; 64], None),
    ];
    for (name, bytes, refusal) in cases {
        let mut pipe = Pipe::trading();
        pipe.server.on_bytes(&bytes, at(pipe.now_ns));
        pipe.settle();
        assert!(pipe.commands.is_empty(), "{name}");
        assert_eq!(pipe.refusals(), Vec::from_iter(refusal), "{name}");
        let closed = refusal.is_none().then_some(CloseReason::ProtocolError);
        assert_eq!((pipe.server_closed, pipe.closed()), (closed, closed), "{name}");
    }

    let mut pipe = Pipe::new(trader(), SessionLimits::default());
    let mut early = Vec::new();
    encode(&NewOrder { client_order_id: id(8), ..Default::default() }, &mut early);
    encode(&Subscribe::default(), &mut early);
    pipe.server.on_bytes(&early, at(pipe.now_ns));
    pipe.settle();
    assert_eq!(pipe.refusals(), [(id(8), unexpected), (ClientOrderId::NONE, unexpected)], "before the logon");
}

#[test]
fn a_newer_clients_longer_block_is_cut() {
    let mut pipe = Pipe::trading();
    let mut bytes = Vec::new();
    encode(&NewOrder { client_order_id: id(8), qty: 5, ..Default::default() }, &mut bytes);
    bytes[..2].copy_from_slice(&(32_u16 + 400).to_le_bytes());
    bytes[6] = 9;
    bytes.extend([0xAB; 400]);
    pipe.server.on_bytes(&bytes, at(pipe.now_ns));
    pipe.settle();
    assert_eq!(pipe.commands, [NewOrder { client_order_id: id(8), qty: 5, ..Default::default() }.into()]);
}

#[test]
fn unanswered_requests_are_bounded() {
    let mut pipe = Pipe::new(ClientConfig { unanswered_max: 10, ..trader() }, SessionLimits::default());
    pipe.accept(accepted());
    (0..10).for_each(|_| _ = pipe.place());
    let order = NewOrder { client_order_id: id(11), ..Default::default() };
    let now = TimeNs::new(pipe.now_ns);
    assert_eq!(pipe.client.request(&order.into(), now), Err(RequestError::TooManyUnanswered));
    pipe.event(&ack(1, id(1)));
    assert_eq!(pipe.client.request(&order.into(), now), Ok(id(11)));
}

#[test]
fn hostile_bytes_never_panic_either_side() {
    let mut random = Xoshiro256pp::from_seed(0xBAD);
    let mut survived = 0;
    for round in 0..3_000 {
        let mut pipe = if round % 3 == 0 { Pipe::new(trader(), Default::default()) } else { Pipe::trading() };
        for _ in 0..random.between(1, 12) {
            let bytes = hostile(&mut random);
            pipe.server.on_bytes(&bytes[..bytes.len().min(pipe.server.room())], at(pipe.now_ns));
            let bytes = hostile(&mut random);
            pipe.client.on_bytes(&bytes, TimeNs::new(pipe.now_ns));
            let now = at(pipe.now_ns);
            while let Some(output) = pipe.server.poll(now, Intake::Open) {
                if let ServerOutput::Verify(_) = output {
                    let _ = pipe.server.verified(Ok(()), now);
                }
            }
            while let Some(output) = pipe.client.poll(now.steady) {
                if let ClientOutput::Sign(_) = output {
                    pipe.client.signed(SIGNATURE, now.steady);
                }
            }
            let _ = pipe.client.next_client_order_id();
            pipe.server.sent(pipe.server.unsent().len());
            pipe.client.sent(pipe.client.unsent().len());
            pipe.now_ns += random.below(2_000_000_000);
            pipe.server.on_timeout(at(pipe.now_ns));
            pipe.client.on_timeout(TimeNs::new(pipe.now_ns));
        }
        survived += u64::from(!pipe.server.is_closed());
    }
    assert!(survived > 100, "too few rounds got past the framing: {survived}");
}

/// Noise half of the time, else a well-framed message with random contents.
fn hostile(random: &mut Xoshiro256pp) -> Vec<u8> {
    if random.chance(1, 10) {
        return (0..random.between(1, 100)).map(|_| random.next_u64() as u8).collect();
    }
    let template_id = random.between(0, 110) as u16;
    let block_len = random.between(0, 150) as u16;
    let fields = [block_len, template_id, joulebook_protocol::SCHEMA_ID, 1];
    let mut bytes: Vec<u8> = fields.iter().flat_map(|field| field.to_le_bytes()).collect();
    let flat = random.chance(1, 2).then_some(random.below(3) as u8);
    bytes.extend((0..block_len).map(|_| flat.unwrap_or(random.next_u64() as u8)));
    bytes
}
