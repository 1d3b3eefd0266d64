//! The files around the journal.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use joulebook_sys::{free_bytes, lock_holder};

use super::{Finding, Folder, Tell};
use crate::inspect::{bytes_text, check_folder};
use crate::storage::{OpenError, read_version};

/// Secrets that the daemon refuses to use when others can read them.
const SECRETS: [&str; 3] = ["tls/ca.key", "tls/leaf.key", "tls/reset.key"];

impl Folder {
    pub(super) fn open(dir: &Path, tell: Tell<'_>) -> Option<Self> {
        const CHECK: &str = "folder";
        if let Err(error) = check_folder(dir) {
            tell(Finding::fail(CHECK, error.to_string(), "name the data folder of an exchange"));
            return None;
        }
        let daemon = lock_holder(&dir.join("LOCK")).ok().flatten();
        match std::fs::metadata(dir).map(|folder| mode(&folder)) {
            Ok(mode) if mode & 0o022 != 0 => tell(Finding::warn(
                CHECK,
                format!("others may write into {} (mode {mode:04o})", dir.display()),
                format!("run `chmod 700 {}`", dir.display()),
            )),
            Ok(mode) => tell(Finding::ok(CHECK, format!("{}, mode {mode:04o}", dir.display()))),
            Err(error) => tell(Finding::fail(CHECK, format!("{error}"), "run as the user that owns it")),
        }
        Some(Self { dir: dir.to_owned(), daemon })
    }

    /// Whether this version can read the folder.
    pub(super) fn check_version(&self, tell: Tell<'_>) -> bool {
        const CHECK: &str = "version";
        let version = read_version(&self.dir);
        let is_ours = matches!(version, Ok(true));
        tell(match version {
            Ok(true) => Finding::ok(CHECK, format!("data version {}", crate::storage::DATA_VERSION)),
            Ok(false) => Finding::fail(
                CHECK,
                "there is a journal but no file VERSION",
                "restore the file from a backup: without it no daemon starts here",
            ),
            Err(OpenError::Version { found, .. }) => Finding::fail(
                CHECK,
                format!("the folder was written for data version {found:?}"),
                "use the version of joulebook that wrote it",
            ),
            Err(error) => {
                Finding::fail(CHECK, error.to_string(), "run as the user that owns it, or restore the file")
            }
        });
        is_ours
    }

    /// Keys: there, and readable by nobody else.
    pub(super) fn check_keys(&self, tell: Tell<'_>) {
        const CHECK: &str = "keys";
        let mut sound = 0_usize;
        for path in self.secrets() {
            let shown = path.strip_prefix(&self.dir).unwrap_or(&path).display().to_string();
            match std::fs::metadata(&path).map(|file| mode(&file)) {
                Ok(mode) if mode & 0o077 != 0 => tell(Finding::fail(
                    CHECK,
                    format!("{shown} can be read by others (mode {mode:04o})"),
                    format!("run `chmod 600 {}`: until then the daemon refuses it", path.display()),
                )),
                Ok(_) if std::fs::File::open(&path).is_err() => {
                    tell(Finding::fail(
                        CHECK,
                        format!("{shown} cannot be read"),
                        "run as the user that owns it",
                    ));
                }
                Ok(_) => sound += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => tell(Finding::warn(
                    CHECK,
                    format!("{shown} is missing"),
                    "restore it, or the next start makes a new one, which clients must be told to trust",
                )),
                Err(error) => {
                    tell(Finding::fail(CHECK, format!("{shown}: {error}"), "run as the user that owns it"));
                }
            }
        }
        if sound > 0 {
            tell(Finding::ok(CHECK, format!("{sound} keys that only their owner can read")));
        }
    }

    fn secrets(&self) -> Vec<PathBuf> {
        let mut keys: Vec<PathBuf> = names(&self.dir.join("keys"))
            .into_iter()
            .filter(|path| path.extension().is_some_and(|kind| kind == "key"))
            .collect();
        keys.sort_unstable();
        SECRETS.iter().map(|name| self.dir.join(name)).chain(keys).collect()
    }

    pub(super) fn check_lock(&self, tell: Tell<'_>) {
        tell(Finding::ok(
            "lock",
            match self.daemon {
                Some(process) => {
                    format!("a daemon runs here (process {process}): what it has made durable is checked")
                }
                None => "no daemon runs here".to_owned(),
            },
        ));
    }

    /// Files that something unfinished left behind. Beside a daemon they may be its work in hand.
    pub(super) fn check_leftovers(&self, tell: Tell<'_>) {
        const CHECK: &str = "leftovers";
        let folders = ["", "journal", "snapshots", "keys", "tls"].map(|name| self.dir.join(name));
        let mut left: Vec<String> = folders
            .iter()
            .flat_map(|folder| names(folder))
            .filter(|path| path.extension().is_some_and(|kind| kind == "tmp" || kind == "new"))
            .map(|path| path.strip_prefix(&self.dir).unwrap_or(&path).display().to_string())
            .collect();
        left.sort_unstable();
        tell(match (left.len(), self.daemon) {
            (0, _) => Finding::ok(CHECK, "no unfinished files"),
            (_, Some(_)) => Finding::ok(CHECK, format!("the daemon is making {}", left.join(", "))),
            (_, None) => Finding::warn(
                CHECK,
                format!("{} was left unfinished", left.join(", ")),
                "nothing is lost: the next start makes it anew",
            ),
        });
    }

    pub(super) fn check_space(&self, tell: Tell<'_>) {
        const CHECK: &str = "space";
        let journal = names(&self.dir.join("journal"));
        let segments = journal.iter().filter(|path| path.extension().is_some_and(|kind| kind == "seg"));
        let largest = segments.filter_map(|path| std::fs::metadata(path).ok()).map(|file| file.len()).max();
        tell(match (free_bytes(&self.dir), largest) {
            (Err(error), _) => Finding::warn(
                CHECK,
                format!("the file system does not say what is free: {error}"),
                "look by hand",
            ),
            (Ok(free), None) => Finding::ok(CHECK, format!("{} free", bytes_text(free))),
            (Ok(free), Some(segment)) if free < 2 * segment => Finding::warn(
                CHECK,
                format!("{} free, and a segment takes {}", bytes_text(free), bytes_text(segment)),
                "free some: without space for further segments the exchange soon takes cancels only",
            ),
            (Ok(free), Some(segment)) => Finding::ok(
                CHECK,
                format!("{} free, a segment takes {}", bytes_text(free), bytes_text(segment)),
            ),
        });
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

fn mode(file: &Metadata) -> u32 {
    file.permissions().mode() & 0o7777
}

/// What a folder holds; nothing when it cannot be read, which other checks report.
fn names(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}
