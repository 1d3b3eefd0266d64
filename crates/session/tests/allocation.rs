//! Once warm, neither half allocates: an order in, an event out.

use joulebook_protocol::messages::{Hello, LogonAccepted, NewOrder, OrderAccepted, Stamp};
use joulebook_protocol::{encode, messages::Logon};
use joulebook_session::{
    ClientConfig, ClientOutput, ClientSession, Intake, Now, ServerOutput, ServerSession, SessionLimits,
};
use joulebook_testkit::{CountingAllocator, count_allocations};
use joulebook_types::{AccountId, ClientOrderId, ConnectionId, SessionId, TimeNs};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const NOW: Now = Now { steady: TimeNs::new(5), wall: TimeNs::new(7) };

fn accepted() -> LogonAccepted {
    let (account, session) = (AccountId::new(3), SessionId::new(1));
    LogonAccepted { account, session, heartbeat_ms: 3_000, ..LogonAccepted::default() }
}

#[test]
fn the_gateways_half_does_not_allocate() {
    let mut server =
        ServerSession::new(SessionLimits::default(), ConnectionId::of_gateway(1, 1), [1; 32], NOW);
    let (mut logon, mut welcome, mut order, mut event) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    encode(&Hello { account: AccountId::new(3), session: SessionId::new(1) }, &mut logon);
    encode(&Logon::default(), &mut logon);
    encode(&accepted(), &mut welcome);
    encode(&NewOrder::default(), &mut order);
    encode(&OrderAccepted::default(), &mut event);
    server.on_bytes(&logon, NOW);
    assert!(matches!(server.poll(NOW, Intake::Open), Some(ServerOutput::Verify(_))));
    assert!(server.verified(Ok(()), NOW).is_some());
    server.on_event(&welcome, NOW);

    let mut orders = 0;
    let mut round = || {
        for _ in 0..100 {
            // In two pieces, as a datagram's end would cut it.
            let (head, tail) = order.split_at(11);
            server.on_bytes(head, NOW);
            server.on_bytes(tail, NOW);
            while let Some(ServerOutput::Command(_)) = server.poll(NOW, Intake::Open) {
                orders += 1;
            }
            server.on_event(&event, NOW);
        }
        server.sent(server.unsent().len());
    };
    round();
    let ((), allocations) = count_allocations(|| (0..100).for_each(|_| round()));
    assert_eq!((orders, allocations), (10_100, 0));
}

#[test]
fn the_clients_half_does_not_allocate() {
    let mut client = ClientSession::new(ClientConfig::new(AccountId::new(3), SessionId::new(1)));
    client.start([0; 32], NOW.steady);
    let mut bytes = Vec::with_capacity(1_024);
    encode(&accepted(), &mut bytes);
    client.on_bytes(&bytes, NOW.steady);
    while client.poll(NOW.steady).is_some() {}
    assert!(client.is_ready());

    let (mut event_seq, mut answered) = (0, 0);
    let mut round = || {
        for _ in 0..100 {
            let client_order_id = client.next_client_order_id().unwrap();
            let order = NewOrder { client_order_id, ..NewOrder::default() };
            client.request(&order.into(), NOW.steady).unwrap();
            client.sent(client.unsent().len());
            event_seq += 1;
            bytes.clear();
            let stamp = Stamp { event_seq, ..Stamp::default() };
            encode(&OrderAccepted { stamp, client_order_id, ..OrderAccepted::default() }, &mut bytes);
            client.on_bytes(&bytes, NOW.steady);
            while let Some(ClientOutput::Event { answers, .. }) = client.poll(NOW.steady) {
                answered += usize::from(answers == Some(client_order_id));
            }
        }
    };
    round();
    let ((), allocations) = count_allocations(|| (0..100).for_each(|_| round()));
    assert_eq!((answered, allocations), (10_100, 0));
    assert_eq!(client.next_client_order_id(), Some(ClientOrderId::new(10_101)));
}
