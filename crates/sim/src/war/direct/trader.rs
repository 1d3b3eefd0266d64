//! One session of the war, and the agent that trades in it.

use joulebook_agents::{Actions, Agent};
use joulebook_feed::FeedPublisher;
use joulebook_journal::Batch;
use joulebook_protocol::{Event, Origin, SequencedCommand};
use joulebook_types::{ClientOrderId, ConnectionId, TimeNs};

use crate::war::direct::Changes;

pub(super) struct Trader {
    origin: Origin,
    /// The operator has none.
    agent: Option<Box<dyn Agent>>,
    actions: Actions,
    /// What it has seen of the market's changes.
    seen: u64,
    /// When the agent acts next.
    pub deadline: TimeNs,
}

/// The one gateway that there would be.
const GATEWAY: u16 = 0;

/// The connection of the trader with this index.
pub(super) fn connection(index: usize) -> ConnectionId {
    // Connections are counted from 1.
    ConnectionId::of_gateway(GATEWAY, index as u64 + 1)
}

pub(super) fn trader_of(connection: ConnectionId) -> usize {
    connection.raw() as usize - 1
}

impl Trader {
    /// With the agent's first number.
    pub fn new(origin: Origin, agent: Option<Box<dyn Agent>>, first: ClientOrderId) -> Self {
        let mut trader = Self { origin, agent, actions: Actions::new(first), seen: 0, deadline: TimeNs::MAX };
        trader.plan();
        trader
    }

    /// The deadline has come.
    pub fn act(&mut self, market: &FeedPublisher, changes: &Changes, now: TimeNs) {
        let Some(agent) = &mut self.agent else { return };
        for instrument in changes.since(&mut self.seen) {
            agent.on_market(instrument, market, now);
        }
        agent.on_timer(market, now, &mut self.actions);
        self.plan();
    }

    pub fn hear(&mut self, event: &Event, now: TimeNs) {
        if let Some(agent) = &mut self.agent {
            agent.on_event(event, now, &mut self.actions);
            self.plan();
        }
    }

    /// Moves what the agent wants into `batch`.
    pub fn collect(&mut self, now: TimeNs, record: &mut Vec<u8>, batch: &mut Batch) {
        if self.actions.is_empty() {
            return;
        }
        let origin = Origin { received: now, ..self.origin };
        self.actions.drain_frames(|frame| {
            record.clear();
            SequencedCommand::encode_frame(origin, frame, record);
            batch.push(record);
        });
    }

    fn plan(&mut self) {
        self.deadline = self.agent.as_ref().and_then(|agent| agent.deadline()).unwrap_or(TimeNs::MAX);
    }
}
