//! From the core's observer to the metrics that the console shows.

use std::sync::Arc;

use crossbeam::utils::CachePadded;
use joulebook_metrics::CoreMetrics;
use joulebook_sequencer::CoreObserver;
use joulebook_types::SeqNum;

/// Writes the core's block of the metrics.
pub struct MetricsObserver {
    core: Arc<CachePadded<CoreMetrics>>,
}

impl MetricsObserver {
    pub fn new(core: Arc<CachePadded<CoreMetrics>>) -> Self {
        Self { core }
    }
}

impl CoreObserver for MetricsObserver {
    fn on_applied(&mut self, seq: SeqNum, commands: u32, duration_ns: u64) {
        self.core.batch(u64::from(commands), 0);
        self.core.applied_seq.set(gauge(seq));
        self.core.match_batch.record(duration_ns);
    }

    fn on_released(&mut self, events: u64) {
        self.core.events.add(events);
    }

    fn on_committed(&mut self, seq: SeqNum, wait_ns: u64) {
        self.core.committed_seq.set(gauge(seq));
        self.core.journal.record(wait_ns);
    }

    fn on_taken(&mut self, wait_ns: u64) {
        self.core.ring_wait.record(wait_ns);
    }
}

fn gauge(seq: SeqNum) -> i64 {
    i64::try_from(seq.raw()).unwrap_or(i64::MAX)
}
