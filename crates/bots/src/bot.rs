//! One session and the agents that trade in it.

use std::sync::Arc;
use std::time::Instant;

use joulebook_agents::{Actions, Agent};
use joulebook_client::{Client, Events, MarketData, Notice};
use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::RequestRefused;
use tokio::sync::watch;

use crate::FleetClock;
use crate::observer::ChangeLog;
use crate::tally::Tally;

pub(crate) struct Bot {
    pub(crate) client: Client,
    pub(crate) events: Events,
    pub(crate) agents: Vec<Box<dyn Agent>>,
    pub(crate) market: MarketData,
    pub(crate) changes: Arc<ChangeLog>,
    pub(crate) clock: FleetClock,
    pub(crate) tally: Tally,
    pub(crate) stop: watch::Receiver<bool>,
}

impl Bot {
    /// Trades until it is told to stop or its session is over.
    pub(crate) async fn run(mut self) {
        let first_id = match self.client.next_client_order_id() {
            Ok(id) => id,
            Err(error) => return self.tally.on_ended(error.to_string()),
        };
        let mut actions = Actions::new(first_id);
        let mut seen = 0;
        loop {
            let deadline = self.agents.iter().filter_map(|agent| agent.deadline()).min();
            tokio::select! {
                notice = self.events.next() => match notice {
                    Some(notice) => self.on_notice(notice, &mut actions),
                    None => return,
                },
                () = sleep_until(deadline.and_then(|time| self.clock.instant(time))) => {
                    self.on_timer(&mut seen, &mut actions);
                }
                // The fleet is gone when this fails, which means the same.
                _ = self.stop.changed() => break,
            }
            self.send(&mut actions);
        }
        self.client.close().await;
    }

    fn on_notice(&mut self, notice: Notice, actions: &mut Actions) {
        let now = self.clock.now();
        match notice {
            Notice::Event { event, answers } => {
                self.tally.on_event(&event, answers, now);
                for agent in &mut self.agents {
                    agent.on_event(&event, now, actions);
                }
            }
            Notice::Refused(refused) => {
                self.tally.on_refused(refused.client_order_id, refused.reason, now);
                for agent in &mut self.agents {
                    agent.on_refused(&refused, now, actions);
                }
            }
            Notice::Disconnected(_) => self.tally.on_disconnected(),
            Notice::Resumed { .. } => self.tally.on_resumed(),
            Notice::Ended(why) => self.tally.on_ended(why.to_string()),
        }
    }

    /// Agents act on time alone, so what changed since the last time is told now, all at once.
    fn on_timer(&mut self, seen: &mut u64, actions: &mut Actions) {
        let changed = self.changes.since(seen);
        let now = self.clock.now();
        let agents = &mut self.agents;
        self.market.read(|feed| {
            for agent in agents {
                for instrument in &changed {
                    agent.on_market(*instrument, feed, now);
                }
                agent.on_timer(feed, now, actions);
            }
        });
    }

    fn send(&mut self, actions: &mut Actions) {
        let now = self.clock.now();
        let mut not_taken = Vec::new();
        for request in actions.drain() {
            match self.client.submit_numbered(&request.command) {
                Ok(id) => self.tally.on_sent(id, request.intended, now),
                Err(error) => {
                    tracing::debug!(%error, "request not sent");
                    self.tally.on_not_sent();
                    not_taken.push(request);
                }
            }
        }
        for request in not_taken {
            // To the agent it is as if the gateway had said no.
            let refused = RequestRefused {
                client_order_id: request.client_order_id,
                reason: RejectReason::Busy.raw(),
                template_id: request.command.template_id(),
                ..RequestRefused::default()
            };
            for agent in &mut self.agents {
                agent.on_refused(&refused, now, actions);
            }
        }
    }
}

/// Never, for `None`.
async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
