//! Finding an exchange on this machine: its folder has address, certificate and dev keys.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use joulebook_client::{AccountKey, Folder, Venue};

use crate::Failure;

#[derive(Args)]
pub struct FolderArgs {
    /// The exchange's data folder; `.joulebook` or `joulebook-data` here if not given.
    #[arg(long, value_name = "DIR", env = "JOULEBOOK_DIR", global = true)]
    dir: Option<PathBuf>,
    /// Another address than the folder says.
    #[arg(long, value_name = "ADDR", global = true)]
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
        Ok(self.folder.key(name)?)
    }
}
