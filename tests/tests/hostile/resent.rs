//! Requests that are sent again and again, on new connections and to new lives of the exchange, have one effect.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use joulebook_protocol::messages::{Logon, NewOrder};
use joulebook_protocol::{Event, RequestStatus};
use joulebook_testkit::{Xoshiro256pp, size};
use joulebook_tests::{
    Daemon, Market, RawConnection, RawStream, Received, Signer, ahead_minute, block_on, limit,
};
use joulebook_types::{ClientOrderId, InstrumentId, OrderId, Side};

const LIVES: u64 = 5;
const NAMES: [&str; 3] = ["alice", "bob", "carol"];
/// Requests on their way at once.
const BATCH: u64 = 40;

/// What one logical session's client knows, over all connections and lives.
#[derive(Default)]
struct Client {
    last_id: u64,
    /// What each answered request made.
    orders: BTreeMap<u64, OrderId>,
    /// Sent, and the connection or the exchange went before the answer came.
    unanswered: VecDeque<u64>,
    resends: u64,
    /// Found to have had its effect although the answer was lost.
    rescued: u64,
}

impl Client {
    /// Sends what was not answered, then old and new requests, and hears their answers.
    async fn play(&mut self, stream: &mut RawStream, instrument: InstrumentId, random: &mut Xoshiro256pp) {
        let unanswered = std::mem::take(&mut self.unanswered);
        self.resends += unanswered.len() as u64;
        let mut sent: VecDeque<u64> = unanswered;
        for _ in 0..BATCH {
            let id = if self.last_id == 0 || random.chance(1, 6) {
                self.last_id += 1;
                self.last_id
            } else {
                self.resends += 1;
                random.between(1, self.last_id)
            };
            sent.push_back(id);
        }
        for id in &sent {
            // Bids of one client lie at prices of their own and meet no offer.
            let order = limit(instrument, Side::Buy, 1, 200 + (*id % 500) as i64);
            stream.command(NewOrder { client_order_id: ClientOrderId::new(*id), ..order }).await;
        }
        // One in three hangs up before it has heard all answers, and asks again for those.
        let heard = if random.chance(1, 3) { random.below(sent.len() as u64) } else { sent.len() as u64 };
        for id in sent.drain(..heard as usize) {
            self.hear(stream, id).await;
        }
        self.unanswered = sent;
    }

    /// The answer to the oldest request.
    async fn hear(&mut self, stream: &mut RawStream, id: u64) {
        let is_answer = |received: &Received| match received {
            Received::Event(Event::OrderAccepted(accepted)) => accepted.client_order_id.raw() == id,
            Received::Event(Event::RequestRepeated(repeated)) => repeated.client_order_id.raw() == id,
            _ => false,
        };
        let (order_id, is_new) = match stream.until(is_answer).await {
            Received::Event(Event::OrderAccepted(accepted)) => (accepted.order_id, true),
            Received::Event(Event::RequestRepeated(repeated)) => {
                let status = RequestStatus::from_raw(repeated.status);
                assert_eq!(status, Some(RequestStatus::Accepted), "request {id}");
                (repeated.order_id, false)
            }
            other => panic!("no answer: {other:?}"),
        };
        match self.orders.insert(id, order_id) {
            Some(known) => {
                assert!(!is_new, "request {id} had an effect again: order {known}, now {order_id}");
                assert_eq!(known, order_id, "request {id}");
            }
            None => self.rescued += u64::from(!is_new),
        }
    }
}

/// A session that gets no event twice: what was missed is not told, so a lost answer is known only by asking again.
async fn log_on(daemon: &Daemon, connection: &RawConnection, name: &str) -> RawStream {
    // Orders stay when their session goes.
    let logon = Logon { cancel_on_disconnect_ms: u32::MAX, ..Logon::default() };
    let signer = Signer::of(daemon, name);
    let (_superseded, accepted) = connection.log_on(&signer, 1, logon).await;
    let logon = Logon { last_event_seq: accepted.last_event_seq, ..logon };
    connection.log_on(&signer, 1, logon).await.0
}

#[test]
fn what_is_sent_again_on_new_connections_and_after_kills_has_one_effect() {
    let wanted = size("JOULEBOOK_LIVE_RESENDS", 4_000);
    let dir = tempfile::tempdir().expect("a folder");
    let mut random = Xoshiro256pp::from_seed(18);
    let mut clients: Vec<Client> = NAMES.iter().map(|_| Client::default()).collect();
    let mut instrument = None;
    for life in 1..=LIVES {
        let daemon = Daemon::start(dir.path(), &[]);
        block_on(async {
            let instrument = match instrument {
                Some(instrument) => instrument,
                None => {
                    let market = Market::open(&daemon).await;
                    *instrument.insert(market.list(Market::hour("H200S", ahead_minute(24))).await)
                }
            };
            while clients.iter().map(|client| client.resends).sum::<u64>() < wanted * life / LIVES {
                let connection = RawConnection::open(&daemon).await;
                for (name, client) in NAMES.iter().zip(&mut clients) {
                    let mut stream = log_on(&daemon, &connection, name).await;
                    client.play(&mut stream, instrument, &mut random).await;
                }
            }
            if life == LIVES {
                check(&daemon, &mut clients).await;
            }
        });
        // Whatever it is doing.
        daemon.kill();
    }
}

/// Every request is answered now, and the exchange has the orders that the answers name: each once, and no other.
async fn check(daemon: &Daemon, clients: &mut [Client]) {
    let (mut seen, mut rescued) = (BTreeSet::new(), 0);
    for (name, client) in NAMES.iter().zip(clients) {
        let connection = RawConnection::open(daemon).await;
        let mut stream = log_on(daemon, &connection, name).await;
        for id in 1..=client.last_id {
            let order = limit(InstrumentId::new(1), Side::Buy, 1, 200);
            stream.command(NewOrder { client_order_id: ClientOrderId::new(id), ..order }).await;
            client.hear(&mut stream, id).await;
        }
        let (open, _) = stream.query().await;
        let count = open.len();
        let open = open.iter().map(|status| (status.client_order_id.raw(), status.order_id));
        let open: BTreeMap<u64, OrderId> = open.collect();
        assert_eq!(open, client.orders, "{name}");
        assert_eq!((count, open.len()), (client.last_id as usize, client.last_id as usize), "{name}");
        assert!(open.values().all(|order_id| seen.insert(*order_id)), "an order of two requests");
        rescued += client.rescued;
    }
    println!("{} orders, {rescued} of them known only from a repeat's answer", seen.len());
    assert!(0 < rescued, "no answer was ever lost");
}
