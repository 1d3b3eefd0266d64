//! Heartbeats and time limits go by the steady clock, whatever the time of day does.
//!
//! `JOULEBOOK_CLOCK_RUNS` says how many runs.

use joulebook_protocol::messages::{Heartbeat, Terminate};
use joulebook_protocol::{CloseReason, Frame, Message};
use joulebook_session::{ClientConfig, ClientSession, HEARTBEAT_MS_DEFAULT, Now, SessionLimits};
use joulebook_testkit::{Xoshiro256pp, size};
use joulebook_types::TimeNs;

use crate::pipes::World;

const MS: u64 = 1_000_000;
const HOUR: u64 = 3_600_000 * MS;
const HEARTBEAT_NS: u64 = HEARTBEAT_MS_DEFAULT as u64 * MS;
/// 2026-11-24T09:00Z.
const START_NS: u64 = 1_795_510_800_000 * MS;
const STEPS: u64 = 150;
/// No step of a run is longer.
const STEP_NS_MAX: u64 = 900 * MS;

/// How a stream behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// An honest client.
    Honest,
    /// Logs on and then says nothing more.
    Silent,
    /// Never says anything.
    Mute,
}

struct Peer {
    manner: Manner,
    stream: u32,
    session: ClientSession,
    /// Steady time at which the exchange last heard it, or saw its stream open.
    last_heard_ns: u64,
    opened_ns: u64,
    heartbeats: u64,
    ended: Option<CloseReason>,
}

impl Peer {
    /// When the exchange must be through with it.
    fn limit_ns(&self) -> Option<(u64, CloseReason)> {
        match self.manner {
            Manner::Honest => None,
            // Silence of three intervals.
            Manner::Silent => Some((self.last_heard_ns + 3 * HEARTBEAT_NS, CloseReason::HeartbeatTimeout)),
            Manner::Mute => {
                let timeout_ns = u64::from(SessionLimits::default().logon_timeout_ms) * MS;
                Some((self.opened_ns + timeout_ns, CloseReason::LogonTimeout))
            }
        }
    }

    fn read(&mut self, bytes: &[u8], now: TimeNs) {
        let mut rest = bytes;
        while let Some((frame, after)) = Frame::split(rest).expect("frames of the exchange") {
            match frame.header.template_id {
                Heartbeat::TEMPLATE_ID => self.heartbeats += 1,
                Terminate::TEMPLATE_ID => {
                    let reason = Terminate::decode(frame.block).expect("a message").reason;
                    self.ended = CloseReason::from_raw(reason);
                }
                _ => {}
            }
            rest = after;
        }
        assert!(rest.is_empty(), "windows are wide here");
        self.session.on_bytes(bytes, now);
        while self.session.poll(now).is_some() {}
    }
}

/// The time of day goes wherever it likes; the steady clock goes on, or stands still.
fn play(seed: u64) -> (u64, u64) {
    let mut random = Xoshiro256pp::from_seed(seed);
    let mut steady_ns = random.below(HOUR);
    let mut wall_ns = START_NS;
    let now = |steady_ns, wall_ns| Now { steady: TimeNs::new(steady_ns), wall: TimeNs::new(wall_ns) };
    let mut world = World::new(now(steady_ns, wall_ns));
    let connection = world.pipes.connect();
    let mut peers: Vec<Peer> = Vec::new();
    let (mut ended, mut heartbeats) = (0, 0);
    for step in 0..STEPS {
        if peers.len() < 12 && random.chance(1, 4) {
            let manner = *random.pick(&[Manner::Honest, Manner::Silent, Manner::Mute]);
            let mut session = ClientSession::new(ClientConfig::anonymous());
            session.start([7; 32], TimeNs::new(steady_ns));
            let stream = step as u32;
            world.pipes.open(connection, stream, usize::MAX);
            if manner != Manner::Mute {
                world.pipes.send(connection, stream, session.unsent());
            }
            session.sent(session.unsent().len());
            let (last_heard_ns, opened_ns) = (steady_ns, steady_ns);
            peers.push(Peer {
                manner,
                stream,
                session,
                last_heard_ns,
                opened_ns,
                heartbeats: 0,
                ended: None,
            });
        }
        for peer in peers.iter_mut().filter(|peer| peer.manner == Manner::Honest) {
            peer.session.on_timeout(TimeNs::new(steady_ns));
            world.pipes.send(connection, peer.stream, peer.session.unsent());
            peer.session.sent(peer.session.unsent().len());
        }
        world.settle(now(steady_ns, wall_ns));
        for peer in &mut peers {
            let (bytes, _) = world.pipes.receive(connection, peer.stream);
            peer.read(&bytes, TimeNs::new(steady_ns));
            // To the nanosecond: this turn came at or after the limit, and the one before came before it.
            match peer.limit_ns() {
                Some((limit_ns, reason)) if limit_ns <= steady_ns => {
                    assert_eq!(peer.ended, Some(reason), "{:?} at {steady_ns}, {limit_ns}", peer.manner);
                }
                Some(_) | None => assert_eq!(peer.ended, None, "{:?} ended early", peer.manner),
            }
            assert!(!peer.session.is_closed() || peer.ended.is_some(), "the exchange forgot its heartbeats");
            assert!(
                peer.heartbeats <= (steady_ns - peer.opened_ns) / HEARTBEAT_NS,
                "more than one interval's"
            );
        }
        peers.retain(|peer| {
            ended += u64::from(peer.ended.is_some());
            heartbeats += if peer.ended.is_some() { peer.heartbeats } else { 0 };
            peer.ended.is_none()
        });
        wall_ns = match random.below(6) {
            0 => START_NS + HOUR + steady_ns,
            1 => START_NS - HOUR,
            2 => START_NS + random.below(2 * HOUR),
            3 => wall_ns,
            _ => START_NS + steady_ns,
        };
        // Half of the steps go to the very moment that the gateway asks for.
        let next_ns = world.gateway.next_timeout().map_or(u64::MAX, TimeNs::raw);
        assert!(steady_ns < next_ns, "a turn leaves nothing that is due");
        let passed = if random.chance(1, 2) { random.below(STEP_NS_MAX) } else { STEP_NS_MAX };
        let to = steady_ns + passed;
        steady_ns = if random.chance(1, 2) { to.min(next_ns) } else { to };
    }
    heartbeats += peers.iter().map(|peer| peer.heartbeats).sum::<u64>();
    (ended, heartbeats)
}

#[test]
fn the_time_of_day_neither_ends_nor_keeps_a_session() {
    let runs = size("JOULEBOOK_CLOCK_RUNS", 200);
    let (mut ended, mut heartbeats) = (0, 0);
    for seed in 0..runs {
        let run = std::panic::catch_unwind(|| play(seed)).unwrap_or_else(|cause| {
            eprintln!("the clocks of seed {seed}");
            std::panic::resume_unwind(cause)
        });
        ended += run.0;
        heartbeats += run.1;
    }
    println!("{runs} runs: {ended} sessions ended in time, {heartbeats} heartbeats");
    assert!(10 * runs < ended && 10 * runs < heartbeats);
}
