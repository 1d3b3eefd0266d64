//! The numbers of one daemon: a block per thread, summed for the reader.

use std::sync::Arc;

use crossbeam::utils::CachePadded;

use crate::counter::{Counter, Gauge};
use crate::family::{Family, Label};
use crate::histogram::{HistogramSnapshot, StageHistogram};

/// Reject codes counted one by one; the protocol's codes stay below this.
pub const REJECT_CODES: usize = 128;

/// Every block of the daemon. The threads hold their own block, the console holds this.
#[derive(Debug)]
pub struct ServerMetrics {
    gateways: Vec<Arc<CachePadded<GatewayMetrics>>>,
    core: Arc<CachePadded<CoreMetrics>>,
    journal: Arc<CachePadded<JournalMetrics>>,
    snapshots: Arc<CachePadded<SnapshotMetrics>>,
}

/// Written by one gateway thread.
#[derive(Debug, Default)]
pub struct GatewayMetrics {
    /// Connections that are open now.
    pub connections: Gauge,
    /// Connections accepted so far.
    pub connections_opened: Counter,
    /// Connections refused or lost before a logon: handshake failed, limit reached, too slow.
    pub connections_refused: Counter,
    /// Trading sessions that are logged on now.
    pub sessions: Gauge,
    /// Logons accepted so far.
    pub logons: Counter,
    /// Logons refused so far.
    pub logons_refused: Counter,
    /// Commands answered, by outcome.
    pub commands: [Counter; CommandOutcome::COUNT],
    /// Rejected commands by reason code, the engine's and the gateway's own.
    pub rejects: RejectCounters,
    /// Frames read from sessions.
    pub frames_in: Counter,
    /// Frames written to sessions.
    pub frames_out: Counter,
    /// Frames that no decoder accepted.
    pub frames_malformed: Counter,
    /// UDP payload bytes received.
    pub bytes_in: Counter,
    /// UDP payload bytes sent.
    pub bytes_out: Counter,
    /// UDP datagrams received.
    pub datagrams_in: Counter,
    /// UDP datagrams sent.
    pub datagrams_out: Counter,
    /// Commands that a session's token bucket held back.
    pub throttled: Counter,
    /// Sessions closed because they did not read their events.
    pub slow_consumers_dropped: Counter,
    /// Bytes received to command decoded.
    pub decode: StageHistogram,
    /// Command received to its answer sent.
    pub ack: StageHistogram,
}

/// Written by the core thread.
#[derive(Debug, Default)]
pub struct CoreMetrics {
    /// Commands applied; over the batches this is the mean batch.
    pub commands: Counter,
    /// Events emitted.
    pub events: Counter,
    /// Batches sequenced.
    pub batches: Counter,
    /// The most commands that one batch held.
    pub batch_commands_max: Gauge,
    /// Sequence number up to which commands are durable.
    pub committed_seq: Gauge,
    /// Sequence number up to which commands are applied.
    pub applied_seq: Gauge,
    /// Command received by a gateway to command taken by the core.
    pub ring_wait: StageHistogram,
    /// One batch applied by the engine.
    pub match_batch: StageHistogram,
    /// Batch handed to the command log to batch durable.
    pub journal: StageHistogram,
}

/// Written by the journal thread.
#[derive(Debug, Default)]
pub struct JournalMetrics {
    /// Groups written, each with one sync.
    pub groups: Counter,
    /// Bytes written, padding included.
    pub bytes: Counter,
    /// Syncs that failed; the first stops all acknowledgements.
    pub sync_failures: Counter,
    /// One write and sync of a group.
    pub sync: StageHistogram,
}

/// Written by the shadow thread; `damaged` by recovery, before that thread begins.
#[derive(Debug, Default)]
pub struct SnapshotMetrics {
    /// Snapshots written.
    pub taken: Counter,
    /// Snapshots that could not be written; each is tried again later.
    pub failed: Counter,
    /// Snapshots that recovery could not use.
    pub damaged: Counter,
    /// Bytes of the newest snapshot's file.
    pub bytes: Gauge,
    /// The last command that the newest snapshot contains.
    pub seq: Gauge,
    /// The last command that the shadow has applied.
    pub shadow_seq: Gauge,
    /// One snapshot: state hash, encoding, write and sync.
    pub duration: StageHistogram,
}

/// How a command was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandOutcome {
    /// The engine took it.
    Accepted,
    /// The engine or the gateway refused it with a reason code.
    Rejected,
    /// Its client order id was used before; the original outcome was sent again.
    Repeated,
}

impl CommandOutcome {
    const ALL: [CommandOutcome; Self::COUNT] = [Self::Accepted, Self::Rejected, Self::Repeated];
    /// How many outcomes there are.
    pub const COUNT: usize = 3;

    fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Repeated => "repeated",
        }
    }
}

/// One counter per reject code.
#[derive(Debug)]
pub struct RejectCounters([Counter; REJECT_CODES]);

impl RejectCounters {
    /// Counts a reject. Codes out of range, which the protocol does not have, share the last counter.
    #[inline]
    pub fn increment(&self, code: u16) {
        self.0[usize::from(code).min(REJECT_CODES - 1)].increment();
    }

    /// Rejects with this code so far.
    pub fn value(&self, code: u16) -> u64 {
        self.0[usize::from(code).min(REJECT_CODES - 1)].value()
    }
}

impl Default for RejectCounters {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

impl GatewayMetrics {
    /// Counts an answered command.
    #[inline]
    pub fn answered(&self, outcome: CommandOutcome) {
        self.commands[outcome as usize].increment();
    }

    /// Counts a rejected command, also under its reason.
    #[inline]
    pub fn rejected(&self, code: u16) {
        self.answered(CommandOutcome::Rejected);
        self.rejects.increment(code);
    }
}

impl CoreMetrics {
    /// Counts one batch with its commands and events.
    #[inline]
    pub fn batch(&self, commands: u64, events: u64) {
        self.batches.increment();
        self.commands.add(commands);
        self.events.add(events);
        let commands = i64::try_from(commands).unwrap_or(i64::MAX);
        if self.batch_commands_max.value() < commands {
            self.batch_commands_max.set(commands);
        }
    }
}

impl ServerMetrics {
    /// Blocks for this many gateway threads, one core and one journal thread. Allocates everything here.
    pub fn new(gateways: usize) -> Self {
        Self {
            gateways: (0..gateways).map(|_| Arc::default()).collect(),
            core: Arc::default(),
            journal: Arc::default(),
            snapshots: Arc::default(),
        }
    }

    /// The block of one gateway thread, counted from 0; to be handed to that thread alone.
    pub fn gateway(&self, index: usize) -> Arc<CachePadded<GatewayMetrics>> {
        Arc::clone(&self.gateways[index])
    }

    /// The block of the core thread.
    pub fn core(&self) -> Arc<CachePadded<CoreMetrics>> {
        Arc::clone(&self.core)
    }

    /// The block of the journal thread.
    pub fn journal(&self) -> Arc<CachePadded<JournalMetrics>> {
        Arc::clone(&self.journal)
    }

    /// The block of the shadow thread.
    pub fn snapshots(&self) -> Arc<CachePadded<SnapshotMetrics>> {
        Arc::clone(&self.snapshots)
    }

    /// The sum of one counter over all gateways: `metrics.total(|gateway| &gateway.frames_in)`.
    pub fn total(&self, counter: impl Fn(&GatewayMetrics) -> &Counter) -> u64 {
        self.gateways.iter().map(|gateway| counter(gateway).value()).sum()
    }

    /// The sum of one gauge over all gateways.
    pub fn current(&self, gauge: impl Fn(&GatewayMetrics) -> &Gauge) -> i64 {
        self.gateways.iter().map(|gateway| gauge(gateway).value()).sum()
    }

    /// One stage over all gateways, for quantiles.
    pub fn stage(&self, stage: impl Fn(&GatewayMetrics) -> &StageHistogram) -> HistogramSnapshot {
        let mut merged = HistogramSnapshot::empty();
        for gateway in &self.gateways {
            merged.merge(&stage(gateway).snapshot());
        }
        merged
    }

    /// Everything for a scrape. `reason` names a reject code; a code without a name shows as its number.
    pub fn families(&self, reason: impl Fn(u16) -> Option<&'static str>) -> Vec<Family> {
        let mut families = self.gateway_families();
        families.push(self.rejects_family(reason));
        families.extend(self.core_families());
        families.extend(self.snapshot_families());
        families.push(self.stages_family());
        families
    }

    fn gateway_families(&self) -> Vec<Family> {
        let total = |name, help, counter: fn(&GatewayMetrics) -> &Counter| {
            Family::counter(name, help, self.total(counter))
        };
        let current =
            |name, help, gauge: fn(&GatewayMetrics) -> &Gauge| Family::gauge(name, help, self.current(gauge));
        let outcomes = CommandOutcome::ALL.map(|outcome| {
            (label("outcome", outcome.label()), self.total(|gateway| &gateway.commands[outcome as usize]))
        });
        let both_ways = |inward: fn(&GatewayMetrics) -> &Counter,
                         outward: fn(&GatewayMetrics) -> &Counter| {
            vec![
                (label("direction", "in"), self.total(inward)),
                (label("direction", "out"), self.total(outward)),
            ]
        };
        vec![
            current("joulebook_connections", "QUIC connections open now.", |g| &g.connections),
            total("joulebook_connections_opened_total", "QUIC connections accepted.", |g| {
                &g.connections_opened
            }),
            total(
                "joulebook_connections_refused_total",
                "Connections refused or lost before a logon.",
                |g| &g.connections_refused,
            ),
            current("joulebook_sessions", "Trading sessions logged on now.", |g| &g.sessions),
            total("joulebook_logons_total", "Logons accepted.", |g| &g.logons),
            total("joulebook_logons_refused_total", "Logons refused.", |g| &g.logons_refused),
            Family::counters("joulebook_commands_total", "Commands answered, by outcome.", outcomes.to_vec()),
            Family::counters(
                "joulebook_frames_total",
                "Frames of sessions, by direction.",
                both_ways(|g| &g.frames_in, |g| &g.frames_out),
            ),
            total("joulebook_frames_malformed_total", "Frames that no decoder accepted.", |g| {
                &g.frames_malformed
            }),
            Family::counters(
                "joulebook_udp_bytes_total",
                "UDP payload bytes, by direction.",
                both_ways(|g| &g.bytes_in, |g| &g.bytes_out),
            ),
            Family::counters(
                "joulebook_udp_datagrams_total",
                "UDP datagrams, by direction.",
                both_ways(|g| &g.datagrams_in, |g| &g.datagrams_out),
            ),
            total("joulebook_throttled_total", "Commands held back by a token bucket.", |g| &g.throttled),
            total(
                "joulebook_slow_consumers_dropped_total",
                "Sessions closed because they did not read their events.",
                |g| &g.slow_consumers_dropped,
            ),
        ]
    }

    /// Only reasons that occurred: a hundred zeros would bury them.
    fn rejects_family(&self, reason: impl Fn(u16) -> Option<&'static str>) -> Family {
        let samples = (0..REJECT_CODES as u16)
            .map(|code| (code, self.gateways.iter().map(|gateway| gateway.rejects.value(code)).sum()))
            .filter(|(_, count)| *count != 0)
            .map(|(code, count)| {
                let name = reason(code).map_or_else(|| code.to_string(), str::to_owned);
                (vec![("reason", name), ("code", code.to_string())], count)
            })
            .collect();
        Family::counters("joulebook_rejects_total", "Rejected commands, by reason.", samples)
    }

    fn core_families(&self) -> Vec<Family> {
        let (core, journal) = (&self.core, &self.journal);
        vec![
            Family::counter("joulebook_engine_commands_total", "Commands applied.", core.commands.value()),
            Family::counter("joulebook_engine_events_total", "Events emitted.", core.events.value()),
            Family::counter("joulebook_engine_batches_total", "Batches sequenced.", core.batches.value()),
            Family::gauge(
                "joulebook_engine_batch_commands_max",
                "The most commands that one batch held.",
                core.batch_commands_max.value(),
            ),
            Family::gauge(
                "joulebook_committed_seq",
                "Commands durable up to here.",
                core.committed_seq.value(),
            ),
            Family::gauge("joulebook_applied_seq", "Commands applied up to here.", core.applied_seq.value()),
            Family::counter(
                "joulebook_journal_groups_total",
                "Groups written and synced.",
                journal.groups.value(),
            ),
            Family::counter("joulebook_journal_bytes_total", "Bytes written.", journal.bytes.value()),
            Family::counter(
                "joulebook_journal_sync_failures_total",
                "Failed syncs; the first stops all acknowledgements.",
                journal.sync_failures.value(),
            ),
        ]
    }

    fn snapshot_families(&self) -> Vec<Family> {
        let snapshots = &self.snapshots;
        // Both are written by other threads than the reader's: a lag below zero is one that was read late.
        let lag = (self.core.committed_seq.value() - snapshots.shadow_seq.value()).max(0);
        let mut lag = Family::gauge(
            "joulebook_shadow_lag_commands",
            "Durable commands that the shadow engine has not applied yet.",
            lag,
        );
        if snapshots.shadow_seq.value() == 0 {
            // There is none, or it has not begun: it is not behind.
            lag.samples.clear();
        }
        vec![
            Family::counter("joulebook_snapshots_total", "Snapshots written.", snapshots.taken.value()),
            Family::counter(
                "joulebook_snapshots_failed_total",
                "Snapshots that could not be written; each is tried again later.",
                snapshots.failed.value(),
            ),
            Family::counter(
                "joulebook_snapshots_damaged_total",
                "Snapshots that recovery could not use.",
                snapshots.damaged.value(),
            ),
            Family::gauge(
                "joulebook_snapshot_bytes",
                "Size of the newest snapshot's file.",
                snapshots.bytes.value(),
            ),
            Family::gauge(
                "joulebook_snapshot_seq",
                "The newest snapshot contains commands up to here.",
                snapshots.seq.value(),
            ),
            lag,
            Family::histograms(
                "joulebook_snapshot_seconds",
                "Time to take one snapshot.",
                vec![(Vec::new(), snapshots.duration.snapshot())],
            ),
        ]
    }

    fn stages_family(&self) -> Family {
        let stages = [
            ("decode", self.stage(|gateway| &gateway.decode)),
            ("ring_wait", self.core.ring_wait.snapshot()),
            ("match", self.core.match_batch.snapshot()),
            ("journal", self.core.journal.snapshot()),
            ("journal_sync", self.journal.sync.snapshot()),
            ("ack", self.stage(|gateway| &gateway.ack)),
        ];
        let samples = stages.into_iter().map(|(name, snapshot)| (label("stage", name), snapshot)).collect();
        Family::histograms("joulebook_stage_seconds", "Time per stage of a command.", samples)
    }
}

fn label(name: &'static str, value: &str) -> Vec<Label> {
    vec![(name, value.to_owned())]
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::family::{Kind, Value};

    fn family(metrics: &ServerMetrics, name: &str) -> Family {
        let families = metrics.families(|code| (code == 7).then_some("off-tick"));
        families.into_iter().find(|family| family.name == name).unwrap_or_else(|| panic!("no family {name}"))
    }

    #[test]
    fn gateways_are_summed() {
        let metrics = ServerMetrics::new(2);
        metrics.gateway(0).frames_in.add(3);
        metrics.gateway(1).frames_in.add(4);
        metrics.gateway(0).connections.add(2);
        metrics.gateway(1).connections.add(1);
        metrics.gateway(1).decode.record(50);

        let frames = family(&metrics, "joulebook_frames_total");
        assert_eq!(frames.samples[0].labels, label("direction", "in"));
        assert_eq!(frames.samples[0].value, Value::Counter(7));
        assert_eq!(family(&metrics, "joulebook_connections").samples[0].value, Value::Gauge(3));
        assert_eq!(metrics.stage(|gateway| &gateway.decode).count(), 1);
    }

    #[test]
    fn rejects_show_their_reason_or_their_number() {
        let metrics = ServerMetrics::new(1);
        assert_eq!(family(&metrics, "joulebook_rejects_total").samples, []);
        metrics.gateway(0).rejected(7);
        metrics.gateway(0).rejected(9);
        metrics.gateway(0).rejected(u16::MAX);

        let rejects = family(&metrics, "joulebook_rejects_total");
        let reasons: Vec<&str> = rejects.samples.iter().map(|sample| sample.labels[0].1.as_str()).collect();
        assert_eq!(reasons, ["off-tick", "9", "127"]);
        let commands = family(&metrics, "joulebook_commands_total");
        assert_eq!(commands.samples[CommandOutcome::Rejected as usize].value, Value::Counter(3));
    }

    #[test]
    fn a_batch_counts_once_with_all_it_held() {
        let metrics = ServerMetrics::new(1);
        metrics.core().batch(5, 9);
        metrics.core().batch(2, 2);
        assert_eq!(family(&metrics, "joulebook_engine_batches_total").samples[0].value, Value::Counter(2));
        assert_eq!(family(&metrics, "joulebook_engine_commands_total").samples[0].value, Value::Counter(7));
        assert_eq!(family(&metrics, "joulebook_engine_events_total").samples[0].value, Value::Counter(11));
        assert_eq!(family(&metrics, "joulebook_engine_batch_commands_max").samples[0].value, Value::Gauge(5));
    }

    #[test]
    fn the_shadow_lags_behind_what_is_durable() {
        let metrics = ServerMetrics::new(1);
        metrics.core().committed_seq.set(900);
        assert_eq!(family(&metrics, "joulebook_shadow_lag_commands").samples, [], "without a shadow");
        metrics.snapshots().shadow_seq.set(700);
        assert_eq!(family(&metrics, "joulebook_shadow_lag_commands").samples[0].value, Value::Gauge(200));
        metrics.snapshots().shadow_seq.set(901);
        assert_eq!(family(&metrics, "joulebook_shadow_lag_commands").samples[0].value, Value::Gauge(0));
    }

    #[test]
    fn names_and_kinds_follow_the_convention() {
        let metrics = ServerMetrics::new(1);
        metrics.gateway(0).rejected(7);
        let families = metrics.families(|_| None);
        let mut names: Vec<&str> = families.iter().map(|family| family.name).collect();
        for family in &families {
            assert!(family.name.starts_with("joulebook_"), "{}", family.name);
            assert!(family.help.ends_with('.'), "{}", family.name);
            assert_eq!(family.name.ends_with("_total"), family.kind == Kind::Counter, "{}", family.name);
            assert_eq!(family.name.ends_with("_seconds"), family.kind == Kind::Histogram, "{}", family.name);
            assert!(!family.stem().ends_with("_total"));
            for sample in &family.samples {
                let fits = match sample.value {
                    Value::Counter(_) => family.kind == Kind::Counter,
                    Value::Gauge(_) => family.kind == Kind::Gauge,
                    Value::Histogram(_) => family.kind == Kind::Histogram,
                };
                assert!(fits, "{}", family.name);
            }
        }
        let listed = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), listed, "a name is listed twice");
    }
}
