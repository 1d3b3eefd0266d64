//! A stream of journal records in memory or in a file, with what must come out of it.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use joulebook_journal::Batch;
use joulebook_types::TimeNs;

use crate::BATCH_COMMANDS;

/// Records in batches as the live core cuts them.
#[derive(Default)]
pub struct Recording {
    /// Makes the venue and fills the books.
    pub prelude: Vec<Batch>,
    pub measured: Vec<Batch>,
    pub outcome: Outcome,
}

/// What the engine came to that the stream was recorded from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Of the measured part.
    pub commands: u64,
    /// The same: events, and trades.
    pub events: u64,
    pub trades: u64,
    /// At the end, of orders and of events.
    pub open_orders: u64,
    pub event_chain_hash: [u64; 2],
}

const WORDS: usize = 7;

/// The time of a batch: ten microseconds after the one before.
pub fn batch_time(index: usize) -> TimeNs {
    TimeNs::new(1_000_000_000 + 10_000 * index as u64)
}

impl Recording {
    /// Commands of the measured part.
    pub fn commands(&self) -> usize {
        self.outcome.commands as usize
    }

    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        let Outcome { commands, events, trades, open_orders, event_chain_hash: [low, high] } = self.outcome;
        let prelude: usize = self.prelude.iter().map(|batch| batch.count() as usize).sum();
        for word in [prelude as u64, commands, events, trades, open_orders, low, high] {
            file.write_all(&word.to_le_bytes())?;
        }
        for record in self.prelude.iter().chain(&self.measured).flat_map(Batch::records) {
            file.write_all(&(record.len() as u32).to_le_bytes())?;
            file.write_all(record)?;
        }
        file.flush()
    }

    pub fn read(path: &Path) -> io::Result<Self> {
        let mut file = BufReader::new(File::open(path)?);
        let mut words = [[0; 8]; WORDS];
        for word in &mut words {
            file.read_exact(word)?;
        }
        let [prelude, commands, events, trades, open_orders, low, high] = words.map(u64::from_le_bytes);
        let mut batches = Batches::default();
        let mut record = Vec::new();
        let mut read = |count: u64, batches: &mut Batches| -> io::Result<Vec<Batch>> {
            for _ in 0..count {
                let mut len = [0; 4];
                file.read_exact(&mut len)?;
                record.resize(u32::from_le_bytes(len) as usize, 0);
                file.read_exact(&mut record)?;
                batches.push(&record);
            }
            Ok(batches.take())
        };
        let (prelude, measured) = (read(prelude, &mut batches)?, read(commands, &mut batches)?);
        let outcome = Outcome { commands, events, trades, open_orders, event_chain_hash: [low, high] };
        Ok(Self { prelude, measured, outcome })
    }
}

/// Cuts records into batches.
#[derive(Default)]
pub(crate) struct Batches {
    full: Vec<Batch>,
    filling: Option<Batch>,
    begun: usize,
}

impl Batches {
    pub(crate) fn push(&mut self, record: &[u8]) {
        let filling = self.filling.get_or_insert_with(|| {
            let mut batch = Batch::new();
            batch.clear(batch_time(self.begun));
            self.begun += 1;
            batch
        });
        filling.push(record);
        if filling.count() as usize == BATCH_COMMANDS {
            self.full.extend(self.filling.take());
        }
    }

    /// All batches since the last call; the last one may be short.
    pub(crate) fn take(&mut self) -> Vec<Batch> {
        self.full.extend(self.filling.take());
        std::mem::take(&mut self.full)
    }
}
