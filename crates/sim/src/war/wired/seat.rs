//! One session of the war and the agent that trades in it, over a network that does nothing wrong.

use std::collections::VecDeque;

use joulebook_agents::{Actions, Agent};
use joulebook_feed::LEVELS_AND_TRADES;
use joulebook_gateway::{Network, NetworkEvent, WriteOutcome};
use joulebook_protocol::Event;
use joulebook_session::{ClientConfig, ClientOutput, ClientSession};
use joulebook_types::{InstrumentId, SessionId, TimeNs};
use ring::signature::Ed25519KeyPair;

use super::Market;
use crate::checks::{Check, Violation};
use crate::client::{Job, LEAF_SHA256};
use crate::net::{ConnectionKey, Endpoint, EndpointConfig, Fabric, Host, StreamNumber};
use crate::war::stage::Person;

/// A logged-on participant, or the operator, who watches the market.
pub(super) struct Seat {
    name: String,
    host: Host,
    server: Host,
    key: Ed25519KeyPair,
    session: ClientSession,
    endpoint: Endpoint,
    line: Option<(ConnectionKey, Option<StreamNumber>)>,
    agent: Option<Box<dyn Agent>>,
    actions: Option<Actions>,
    jobs: VecDeque<Job>,
    /// What it has seen of the market's changes.
    seen: u64,
    is_touched: bool,
    /// Where the world's time begins on the agents' clock.
    epoch_ns: u64,
}

/// The market's data is read in large pieces.
const WINDOW_BYTES: u32 = 1 << 20;
const READ_BYTES: usize = 64 << 10;

impl Seat {
    pub fn new(fabric: Fabric, (host, server): (Host, Host), person: Person, key: Ed25519KeyPair) -> Self {
        let Person { account, name, jobs, agent, roles: _ } = person;
        let endpoint = EndpointConfig { window_bytes: WINDOW_BYTES, ..EndpointConfig::new(host, false) };
        Self {
            name,
            host,
            server,
            key,
            session: ClientSession::new(ClientConfig::new(account, SessionId::new(1))),
            endpoint: Endpoint::new(fabric, endpoint),
            line: None,
            agent,
            actions: None,
            jobs: jobs.into(),
            seen: 0,
            is_touched: true,
            epoch_ns: 0,
        }
    }

    pub fn host(&self) -> Host {
        self.host
    }

    /// For people.
    pub fn describe(&self) -> String {
        let (ready, waits) = (self.session.is_ready(), self.session.unanswered());
        format!("{}: ready {ready}, {waits} unanswered, {} still to ask", self.name, self.jobs.len())
    }

    /// Something came for it.
    pub fn touch(&mut self) {
        self.is_touched = true;
    }

    pub fn is_settled(&self) -> bool {
        self.session.is_ready() && self.jobs.is_empty() && self.session.unanswered() == 0
    }

    /// In world time.
    pub fn next_event(&self) -> Option<u64> {
        if self.is_touched {
            return Some(0);
        }
        let agent = self.agent.as_ref().and_then(|agent| agent.deadline());
        let agent = agent.filter(|_| self.actions.is_some()).map(|at| at.raw().saturating_sub(self.epoch_ns));
        let session = self.session.deadline().map(TimeNs::raw);
        [agent, session, self.endpoint.next_timeout().map(TimeNs::raw)].into_iter().flatten().min()
    }

    /// Does what can be done at `now`, which agents call `time`.
    pub fn step(&mut self, now: u64, time: TimeNs, market: &mut Market) -> Result<(), Violation> {
        let world = TimeNs::new(now);
        self.is_touched = false;
        self.epoch_ns = time.raw() - now;
        if self.line.is_none() {
            self.line = Some((self.endpoint.connect(self.server, world), None));
        }
        while self.receive(world)? {}
        if self.session.deadline().is_some_and(|deadline| deadline <= world) {
            self.session.on_timeout(world);
        }
        while let Some(output) = self.session.poll(world) {
            self.on_output(output, (world, time), market)?;
        }
        self.act(time, market);
        self.send(world)
    }

    /// Takes what came from the network. True when anything did.
    fn receive(&mut self, world: TimeNs) -> Result<bool, Violation> {
        let mut any = self.endpoint.receive(world);
        while let Some(event) = self.endpoint.next_event() {
            any = true;
            match (event, &mut self.line) {
                (NetworkEvent::Connected { connection }, Some((_, stream))) => {
                    *stream = self.endpoint.open_stream(connection);
                    self.session.start(LEAF_SHA256, world);
                }
                (NetworkEvent::Closed { .. }, _) => {
                    return Check::Liveness.broken(format!("{} lost its connection", self.name));
                }
                _other => {}
            }
        }
        if let Some((connection, Some(stream))) = self.line {
            let session = &mut self.session;
            self.endpoint.read(connection, stream, READ_BYTES, |bytes| {
                session.on_bytes(bytes, world);
                any = true;
            });
        }
        Ok(any)
    }

    fn on_output(
        &mut self,
        output: ClientOutput,
        (world, time): (TimeNs, TimeNs),
        market: &mut Market,
    ) -> Result<(), Violation> {
        let is_trading = super::START_NS <= world.raw();
        match output {
            ClientOutput::Sign(bytes) => {
                let signature = self.key.sign(&bytes);
                self.session.signed(signature.as_ref().try_into().expect("64 bytes"), world);
            }
            ClientOutput::LoggedOn(_) => {
                if self.agent.is_none() {
                    self.session.subscribe(InstrumentId::NONE, LEVELS_AND_TRADES, world);
                }
            }
            ClientOutput::CaughtUp => {}
            ClientOutput::Event { event: Event::RequestRejected(rejected), .. } if !is_trading => {
                return Check::Liveness.broken(format!("{} is refused: {rejected:?}", self.name));
            }
            ClientOutput::Event { event, .. } => {
                if let (Some(agent), Some(actions)) = (&mut self.agent, &mut self.actions) {
                    agent.on_event(&event, time, actions);
                }
            }
            ClientOutput::Refused(refused) => {
                if let (Some(agent), Some(actions)) = (&mut self.agent, &mut self.actions) {
                    agent.on_refused(&refused, time, actions);
                }
            }
            ClientOutput::Public(event) => {
                let change = market.feed.on_public(&event);
                market.on_change(change, world.raw())?;
            }
            ClientOutput::Feed(message) => {
                let change = market.feed.on_feed(&message);
                market.on_change(change, world.raw())?;
            }
            ClientOutput::LogonRejected(rejected) => {
                return Check::Liveness.broken(format!("{} may not log on: {rejected:?}", self.name));
            }
            ClientOutput::Closed(reason) => {
                return Check::Liveness.broken(format!("the session of {} ends: {reason:?}", self.name));
            }
        }
        Ok(())
    }

    /// Lets the agent act if it is time. It begins with the first number after what the stage was set with.
    fn act(&mut self, time: TimeNs, market: &Market) {
        let Some(agent) = &mut self.agent else { return };
        if self.actions.is_none() && self.jobs.is_empty() && self.session.is_ready() {
            self.actions = self.session.next_client_order_id().map(Actions::new);
        }
        let Some(actions) = &mut self.actions else { return };
        if agent.deadline().is_some_and(|deadline| deadline <= time) {
            for instrument in market.since(&mut self.seen) {
                agent.on_market(instrument, &market.feed, time);
            }
            agent.on_timer(&market.feed, time, actions);
        }
    }

    fn send(&mut self, world: TimeNs) -> Result<(), Violation> {
        while self.session.is_ready()
            && let Some(job) = self.jobs.pop_front()
        {
            if let Some(id) = self.session.next_client_order_id() {
                let taken = self.session.request(&job(id), world);
                Check::Liveness.that(taken.is_ok(), || format!("{} cannot ask: {taken:?}", self.name))?;
            }
        }
        for request in self.actions.iter_mut().flat_map(Actions::drain) {
            let taken = self.session.request(&request.command, world);
            Check::Liveness.that(taken.is_ok(), || format!("{} cannot ask: {taken:?}", self.name))?;
        }
        if let Some((connection, Some(stream))) = self.line {
            let unsent = self.session.unsent();
            if !unsent.is_empty() {
                let count = match self.endpoint.write(connection, stream, unsent) {
                    WriteOutcome::All => unsent.len(),
                    WriteOutcome::Blocked { taken } => taken,
                    WriteOutcome::Lost => {
                        return Check::Liveness.broken(format!("{} lost its stream", self.name));
                    }
                };
                self.session.sent(count);
            }
        }
        self.endpoint.transmit(world);
        Ok(())
    }
}
