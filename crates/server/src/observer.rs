//! From the core's observer to the metrics that the console shows, and to the shadow.

use std::sync::Arc;

use crossbeam::utils::CachePadded;
use joulebook_metrics::CoreMetrics;
use joulebook_rings::Watermark;
use joulebook_sequencer::CoreObserver;
use joulebook_types::SeqNum;

/// Writes the core's block of the metrics, and tells the shadow what became durable.
pub struct MetricsObserver {
    core: Arc<CachePadded<CoreMetrics>>,
    /// Where the shadow waits.
    committed: Option<Arc<Watermark>>,
}

impl MetricsObserver {
    pub fn new(core: Arc<CachePadded<CoreMetrics>>, committed: Option<Arc<Watermark>>) -> Self {
        Self { core, committed }
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
        if let Some(committed) = &self.committed {
            committed.publish(seq.raw());
        }
    }

    fn on_taken(&mut self, wait_ns: u64) {
        self.core.ring_wait.record(wait_ns);
    }
}

fn gauge(seq: SeqNum) -> i64 {
    i64::try_from(seq.raw()).unwrap_or(i64::MAX)
}
