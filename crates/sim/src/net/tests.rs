use joulebook_gateway::{Network, NetworkEvent, ReadOutcome, WriteOutcome};
use joulebook_types::TimeNs;

use super::*;
use crate::dice::Dice;
use crate::scene::Scene;

type Event = NetworkEvent<ConnectionKey, StreamNumber>;

const SERVER: Host = 1;
const CLIENT: Host = 2;

struct Pair {
    scene: Scene,
    fabric: Fabric,
    server: Endpoint,
    client: Endpoint,
    at_server: Vec<Event>,
    at_client: Vec<Event>,
}

impl Pair {
    fn new(seed: u64, profile: NetProfile) -> Self {
        let scene = Scene::default();
        let fabric = Fabric::new(scene.clone(), Dice::new(seed, 1), profile);
        let server = Endpoint::new(fabric.clone(), EndpointConfig::new(SERVER, true));
        let client = Endpoint::new(fabric.clone(), EndpointConfig::new(CLIENT, false));
        Self { scene, fabric, server, client, at_server: Vec::new(), at_client: Vec::new() }
    }

    /// Goes to the next thing that happens.
    fn step(&mut self) {
        let now = TimeNs::new(self.scene.now());
        self.server.transmit(now);
        self.client.transmit(now);
        let times =
            [self.server.next_timeout(), self.client.next_timeout()].into_iter().flatten().map(TimeNs::raw);
        let next = times.chain(self.fabric.next_event()).min().unwrap_or(now.raw() + 1_000_000);
        // In small steps, so that a test that waits for something else does not jump over it.
        self.scene.time.advance_to(next.clamp(now.raw(), now.raw() + 10_000_000));
        let now = TimeNs::new(self.scene.now());
        self.fabric.deliver(|_| {});
        while self.server.receive(now) {}
        while self.client.receive(now) {}
        self.at_server.extend(std::iter::from_fn(|| self.server.next_event()));
        self.at_client.extend(std::iter::from_fn(|| self.client.next_event()));
    }

    fn connect(&mut self) -> (ConnectionKey, StreamNumber) {
        let connection = self.client.connect(SERVER, TimeNs::new(self.scene.now()));
        while !self.at_client.contains(&Event::Connected { connection }) {
            self.step();
        }
        (connection, self.client.open_stream(connection).unwrap())
    }
}

fn drain(
    endpoint: &mut Endpoint,
    connection: ConnectionKey,
    stream: StreamNumber,
    into: &mut Vec<u8>,
) -> ReadOutcome {
    loop {
        match endpoint.read(connection, stream, 1_000, |bytes| into.extend_from_slice(bytes)) {
            ReadOutcome::More => {}
            outcome => return outcome,
        }
    }
}

#[test]
fn every_byte_arrives_once_and_in_order_over_a_bad_network() {
    let profile = NetProfile {
        delay_ns: (10_000, 2_000_000),
        lost_ppm: 200_000,
        doubled_ppm: 200_000,
        late_ppm: 200_000,
    };
    for seed in 0..20 {
        let mut pair = Pair::new(seed, profile);
        let (connection, stream) = pair.connect();
        let bytes: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
        let (mut sent, mut echoed, mut back, mut finished) = (0, 0, Vec::new(), false);
        let mut at_server = Vec::new();
        while back.len() < bytes.len() {
            if !finished {
                sent += match pair.client.write(connection, stream, &bytes[sent..]) {
                    WriteOutcome::All => bytes.len() - sent,
                    WriteOutcome::Blocked { taken } => taken,
                    WriteOutcome::Lost => panic!("seed {seed}: the connection is lost"),
                };
            }
            if sent == bytes.len() && !finished {
                finished = pair.client.finish(connection, stream);
            }
            pair.step();
            let opened = pair.at_server.iter().find_map(|event| match event {
                Event::StreamOpened { connection, stream } => Some((*connection, *stream)),
                _ => None,
            });
            if let Some((connection, stream)) = opened {
                drain(&mut pair.server, connection, stream, &mut at_server);
                echoed += match pair.server.write(connection, stream, &at_server[echoed..]) {
                    WriteOutcome::All => at_server.len() - echoed,
                    WriteOutcome::Blocked { taken } => taken,
                    WriteOutcome::Lost => panic!("seed {seed}: lost at {}", pair.scene.now()),
                };
            }
            drain(&mut pair.client, connection, stream, &mut back);
        }
        assert!(at_server == bytes && back == bytes, "seed {seed}");
        while !pair.at_client.contains(&Event::Delivered { connection, stream }) {
            pair.step();
        }
        let connected = |event: &&Event| matches!(event, Event::Connected { .. });
        assert!(pair.at_server.iter().filter(connected).count() >= 1);
    }
}

#[test]
fn who_does_not_read_blocks_the_writer_and_who_reads_again_unblocks_it() {
    let mut pair = Pair::new(1, NetProfile::PERFECT);
    let (connection, stream) = pair.connect();
    let bytes = vec![7; 1 << 20];
    let mut sent = 0;
    while pair.scene.now() < 5_000_000_000 {
        if let WriteOutcome::Blocked { taken } = pair.client.write(connection, stream, &bytes[sent..]) {
            sent += taken;
        }
        pair.step();
    }
    assert!((16 << 10..256 << 10).contains(&sent), "{sent} bytes went to somebody who does not read");
    let opened = pair.at_server.iter().find_map(|event| match event {
        Event::StreamOpened { connection, stream } => Some((*connection, *stream)),
        _ => None,
    });
    let (to, number) = opened.unwrap();
    let readable =
        |pair: &Pair| pair.at_server.iter().filter(|event| matches!(event, Event::Readable { .. })).count();
    assert_eq!(readable(&pair), 1, "said once");
    let mut got = Vec::new();
    assert_eq!(drain(&mut pair.server, to, number, &mut got), ReadOutcome::Blocked);
    assert_eq!(got.len(), sent);
    pair.at_client.clear();
    while !pair.at_client.contains(&Event::Writable { connection, stream }) {
        pair.step();
    }
    pair.client.write(connection, stream, &bytes[..10]);
    while readable(&pair) < 2 {
        pair.step();
    }
    pair.server.stop_sending(to, number, 0);
    while !pair.at_client.contains(&Event::Stopped { connection, stream }) {
        pair.step();
    }
    assert_eq!(pair.client.write(connection, stream, b"more"), WriteOutcome::Lost);
}

#[test]
fn a_server_that_restarted_knows_nobody_and_a_cut_line_ends_by_itself() {
    let mut pair = Pair::new(1, NetProfile::PERFECT);
    let (connection, stream) = pair.connect();
    pair.client.write(connection, stream, b"hello");
    pair.step();
    pair.fabric.forget(SERVER);
    pair.server = Endpoint::new(pair.fabric.clone(), EndpointConfig::new(SERVER, true));
    while !pair.at_client.contains(&Event::Closed { connection }) {
        pair.step();
    }
    assert!(pair.scene.now() < 1_000_000_000, "the first word of the new process ends it");

    let (connection, _) = pair.connect();
    pair.fabric.cut(CLIENT, true, true, u64::MAX);
    while !pair.at_client.contains(&Event::Closed { connection }) {
        pair.step();
    }
    while pair.server.open_connections() > 0 {
        pair.step();
    }
    let dialed = pair.client.connect(SERVER, TimeNs::new(pair.scene.now()));
    while !pair.at_client.contains(&Event::Closed { connection: dialed }) {
        pair.step();
    }
}

#[test]
fn a_closing_server_sends_everybody_away() {
    let mut pair = Pair::new(1, NetProfile::PERFECT);
    let (connection, _) = pair.connect();
    pair.server.close_all(3, b"bye", TimeNs::new(pair.scene.now()));
    while !pair.at_client.contains(&Event::Closed { connection }) {
        pair.step();
    }
    assert!(pair.server.is_drained());
    let refused = pair.client.connect(SERVER, TimeNs::new(pair.scene.now()));
    while !pair.at_client.contains(&Event::Closed { connection: refused }) {
        pair.step();
    }
}
