//! Standard output that somebody may stop reading: `joulebook inspect … | head` is no failure.

use std::fmt::Display;
use std::io::{BufWriter, ErrorKind, StdoutLock, Write};

use crate::Failure;

/// Lines to standard output, written in large pieces.
pub struct Out {
    stdout: BufWriter<StdoutLock<'static>>,
}

impl Out {
    pub fn new() -> Self {
        Self { stdout: BufWriter::with_capacity(64 << 10, std::io::stdout().lock()) }
    }

    pub fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        writeln!(self.stdout, "{text}").map_err(|error| failed(&error))
    }

    /// Everything so far reaches the reader: at the end, and when there is nothing to say for a while.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.stdout.flush().map_err(|error| failed(&error))
    }
}

fn failed(error: &std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::BrokenPipe => Failure::reader_gone(),
        _ => Failure::new(format!("cannot write to standard output: {error}")),
    }
}
