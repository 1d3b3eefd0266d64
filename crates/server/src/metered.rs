//! A storage that counts what passes through it.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use crossbeam::utils::CachePadded;
use joulebook_journal::{Completion, GroupBuffer, Segment, SegmentNumber, Storage, StorageError};
use joulebook_metrics::JournalMetrics;

/// Counts groups, bytes and the time from a group's submission to the moment the core learns that it is durable.
pub struct Metered<S> {
    storage: S,
    metrics: Arc<CachePadded<JournalMetrics>>,
    submitted: Option<Instant>,
}

impl<S> Metered<S> {
    pub fn new(storage: S, metrics: Arc<CachePadded<JournalMetrics>>) -> Self {
        Self { storage, metrics, submitted: None }
    }
}

impl<S: Storage> Storage for Metered<S> {
    fn segments(&mut self) -> Result<Vec<Segment>, StorageError> {
        self.storage.segments()
    }

    fn file_name(&self, segment: SegmentNumber) -> String {
        self.storage.file_name(segment)
    }

    fn read_at(&mut self, segment: SegmentNumber, offset: u64, into: &mut [u8]) -> Result<(), StorageError> {
        self.storage.read_at(segment, offset, into)
    }

    fn forget_memory(&mut self, segment: SegmentNumber) -> Result<(), StorageError> {
        self.storage.forget_memory(segment)
    }

    fn write_zeros(&mut self, segment: SegmentNumber, range: Range<u64>) -> Result<(), StorageError> {
        self.storage.write_zeros(segment, range)
    }

    fn sync(&mut self, segment: SegmentNumber) -> Result<(), StorageError> {
        self.storage.sync(segment)
    }

    fn prepare_segment(&mut self, segment: SegmentNumber, bytes: u64) {
        self.storage.prepare_segment(segment, bytes);
    }

    fn remove_segment(&mut self, segment: SegmentNumber) {
        self.storage.remove_segment(segment);
    }

    fn submit(&mut self, segment: SegmentNumber, offset: u64, group: GroupBuffer) {
        self.metrics.groups.increment();
        self.metrics.bytes.add(group.as_bytes().len() as u64);
        self.submitted = Some(Instant::now());
        self.storage.submit(segment, offset, group);
    }

    fn poll(&mut self) -> Option<Completion> {
        let completion = self.storage.poll()?;
        match &completion {
            Completion::Synced(_) => {
                if let Some(submitted) = self.submitted.take() {
                    let took = submitted.elapsed().as_nanos();
                    self.metrics.sync.record(u64::try_from(took).unwrap_or(u64::MAX));
                }
            }
            Completion::WriteFailed(_) => self.metrics.sync_failures.increment(),
            Completion::Prepared(_)
            | Completion::PrepareFailed(_)
            | Completion::Removed(_)
            | Completion::RemoveFailed(_) => {}
        }
        Some(completion)
    }
}
