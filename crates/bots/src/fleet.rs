use std::time::Duration;

use joulebook_agents::outcome::Outcome;
use joulebook_agents::price_war::{Participant, PriceWar};
use joulebook_client::MarketData;
use joulebook_types::TimeNs;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::bot::Bot;
use crate::observer::{Observer, SharedFacts};
use crate::tally::Tally;
use crate::{Counts, FleetClock, Latencies, Performer, Stage, WarView};

/// A running war. Ask it anything while it runs; [`Fleet::stop`] ends it.
#[derive(Debug)]
pub struct Fleet {
    war: PriceWar,
    market: MarketData,
    clock: FleetClock,
    start: TimeNs,
    facts: SharedFacts,
    tallies: Vec<(Participant, Tally)>,
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

/// What a war came to.
#[derive(Clone, Debug)]
pub struct FleetReport {
    pub outcome: Outcome,
    pub view: WarView,
    pub counts: Counts,
    pub latencies: Latencies,
    /// Sessions that ended before they were told to, and why; without a participant, the market observer's and tasks that
    /// failed.
    pub failures: Vec<(Option<Participant>, String)>,
    pub duration: Duration,
}

/// The agents' first actions are due this long after the start, so that every bot is running by then.
const HEAD_START_NS: u64 = 100_000_000;

impl Fleet {
    pub(crate) fn start(stage: Stage) -> Self {
        let Stage { war, performers, market, changes, .. } = stage;
        let clock = FleetClock::new();
        let start = TimeNs::new(clock.now().raw() + HEAD_START_NS);
        let (stop, stopped) = watch::channel(false);
        let observer = Observer::new(war.clone(), (market.clone(), changes), clock, start, stopped.clone());
        let (log, facts) = (observer.log(), observer.facts());
        let mut tasks = JoinSet::new();
        tasks.spawn(observer.run());
        let mut tallies = Vec::with_capacity(performers.len());
        for Performer { participant, client, events, .. } in performers {
            let tally = Tally::new();
            tallies.push((participant, tally.clone()));
            let bot = Bot {
                agents: vec![war.agent(participant, start)],
                market: market.clone(),
                changes: log.clone(),
                stop: stopped.clone(),
                client,
                events,
                clock,
                tally,
            };
            tasks.spawn(bot.run());
        }
        Self { war, market, clock, start, facts, tallies, tasks, stop }
    }

    pub fn war(&self) -> &PriceWar {
        &self.war
    }

    /// The books that all bots look at.
    pub fn market(&self) -> &MarketData {
        &self.market
    }

    /// Time since trading began.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.clock.now().raw().saturating_sub(self.start.raw()))
    }

    /// The war at a glance.
    pub fn view(&self) -> WarView {
        self.facts.view()
    }

    /// Sums over all bots, from the start to now.
    pub fn totals(&self) -> (Counts, Latencies) {
        let (mut counts, mut latencies) = (Counts::default(), Latencies::new());
        for (_, tally) in &self.tallies {
            tally.add_to(&mut counts, &mut latencies);
        }
        (counts, latencies)
    }

    /// Sessions that are over although nobody told them to end.
    pub fn failures(&self) -> Vec<(Option<Participant>, String)> {
        let bots = self.tallies.iter().filter_map(|(who, tally)| Some((Some(*who), tally.ended()?)));
        let observer = self.facts.ended().map(|why| (None, why));
        bots.chain(observer).collect()
    }

    /// Ends all sessions and judges the war by what was seen until now.
    pub async fn stop(mut self) -> FleetReport {
        // Judged before anybody leaves: their leaving empties the books, which is no part of the war.
        let (outcome, view, mut failures) = (self.facts.outcome(), self.view(), self.failures());
        let duration = self.elapsed();
        self.stop.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(panicked) = ended {
                failures.push((None, format!("a bot's task failed: {panicked}")));
            }
        }
        let (counts, latencies) = self.totals();
        FleetReport { outcome, view, counts, latencies, failures, duration }
    }
}
