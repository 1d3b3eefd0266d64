//! Finding an exchange on this machine: its folder has address, certificate and dev keys.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use joulebook_client::{AccountKey, Folder, Venue};

use crate::Failure;

/// Under which every command's help says where to send it and as whom.
pub const HEADING: &str = "Which exchange, and who asks";

#[derive(Args)]
pub struct FolderArgs {
    /// The exchange's data folder; `.joulebook` or `joulebook-data` here if not given.
    #[arg(long, value_name = "DIR", env = "JOULEBOOK_DIR", global = true, help_heading = HEADING)]
    dir: Option<PathBuf>,
    /// Another address than the folder says.
    #[arg(long, value_name = "ADDR", global = true, help_heading = HEADING)]
    target: Option<std::net::SocketAddr>,
}

/// Which door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Endpoint {
    Public,
    Operator,
}

pub struct OpenFolder {
    folder: Folder,
    target: Option<std::net::SocketAddr>,
}

impl FolderArgs {
    pub fn open(&self) -> Result<OpenFolder, Failure> {
        let folder = match &self.dir {
            Some(dir) => Folder::new(dir),
            None => Folder::find()?,
        };
        Ok(OpenFolder { folder, target: self.target })
    }
}

impl OpenFolder {
    pub fn venue(&self, endpoint: Endpoint) -> Result<Venue, Failure> {
        let mut venue = match endpoint {
            Endpoint::Public => self.folder.venue()?,
            Endpoint::Operator => self.folder.operator_venue()?,
        };
        if let Some(target) = self.target {
            venue.addr = target;
        }
        Ok(venue)
    }

    pub fn path(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub fn key(&self, name: &str) -> Result<AccountKey, Failure> {
        let known = self.names();
        if !known.is_empty() && !known.iter().any(|known| known == name) {
            return Err(Failure::new(format!(
                "no key is called {name}; the folder has {}",
                known.join(", ")
            )));
        }
        Ok(self.folder.key(name)?)
    }

    /// Whose keys the folder has.
    fn names(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.folder.path().join("keys")).into_iter().flatten().flatten();
        let mut names: Vec<String> = files
            .filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".key")?.to_owned()))
            .collect();
        names.sort_unstable();
        names
    }
}
