//! Looking into a data folder: what `joulebook inspect`, `replay` and `doctor` are made of. Nothing here writes.
//!
//! Beside a running daemon only what is proven durable is shown; the folder of a stopped one is read to its end.

mod begin;
mod follow;
mod json;
mod lines;
mod order;
mod replay;
mod segments;
mod source;
mod steps;
#[cfg(test)]
mod tests;

use std::path::Path;

pub use begin::{BeginError, Beginning, From, oldest_command};
pub use follow::{Following, Stopper, Woken};
pub use json::{command_object, event_object, message_object};
pub use lines::{Who, bytes_text, command_line, event_line, grouped, time_text};
pub use order::{Moment, OrderFinder, OrderLife, Wanted};
pub use replay::{Compared, Explained, ReplayFailure, ReplayPlan, ReplayReport, explain, replay_for_people};
pub use segments::{BatchRow, SegmentRow, Segments, SnapshotRow};
pub use source::{Journal, Place, SeqRange, is_running};
pub use steps::{Cause, Step, Stepper, symbol_of};

/// Why a folder cannot be looked into at all.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("there is no folder {0}")]
    Missing(String),
    #[error("{0} is a file, not a folder")]
    File(String),
    #[error("{0} is no data folder: no exchange has run there")]
    Foreign(String),
    #[error("cannot read {dir}: {error}")]
    Unreadable { dir: String, error: std::io::Error },
}

/// Says plainly what is wrong with a path that is no readable data folder.
pub fn check_folder(dir: &Path) -> Result<(), FolderError> {
    let name = dir.display().to_string();
    match std::fs::read_dir(dir) {
        Ok(_) if !dir.join("VERSION").exists() && !dir.join("journal").exists() => {
            Err(FolderError::Foreign(name))
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(FolderError::Missing(name)),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => Err(FolderError::File(name)),
        Err(error) => Err(FolderError::Unreadable { dir: name, error }),
    }
}
