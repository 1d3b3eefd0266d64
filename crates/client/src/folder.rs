use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::{AccountKey, FolderError, Venue};

/// The data folder of an exchange on this machine: where its certificate, address and dev keys lie.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

/// Where a daemon listens unless told otherwise.
const GATEWAY_ADDR_DEFAULT: &str = "127.0.0.1:7717";
const OPERATOR_ADDR_DEFAULT: &str = "127.0.0.1:7718";

impl Folder {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// `JOULEBOOK_DIR`, else `.joulebook` (the demo's) or `joulebook-data` (the daemon's) in the current folder.
    pub fn find() -> Result<Self, FolderError> {
        if let Some(named) = env::var_os("JOULEBOOK_DIR") {
            return Ok(Self::new(named));
        }
        let usual = [".joulebook", "joulebook-data"].map(Path::new);
        let found = usual.into_iter().find(|path| path.join("ca.pem").exists());
        found.map(Self::new).ok_or(FolderError::NotFound)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The exchange that keeps this folder: trusts its `ca.pem`, and looks for its address in `gateway.addr`.
    pub fn venue(&self) -> Result<Venue, FolderError> {
        self.venue_at("gateway.addr", GATEWAY_ADDR_DEFAULT)
    }

    /// The same exchange's door for operators.
    pub fn operator_venue(&self) -> Result<Venue, FolderError> {
        self.venue_at("operator.addr", OPERATOR_ADDR_DEFAULT)
    }

    fn venue_at(&self, file: &str, default: &str) -> Result<Venue, FolderError> {
        let addr_path = self.path.join(file);
        let addr = match fs::read_to_string(&addr_path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => default.to_owned(),
            Err(error) => return Err(FolderError::Io { path: addr_path, error }),
        };
        let addr = addr.trim().parse().map_err(|_| FolderError::Format {
            path: addr_path,
            what: format!("{:?} is no address such as {default}", addr.trim()),
        })?;
        let ca_path = self.path.join("ca.pem");
        let ca = fs::read(&ca_path).map_err(|error| FolderError::Io { path: ca_path.clone(), error })?;
        Venue::new(addr, &ca).map_err(|error| FolderError::Format { path: ca_path, what: error.to_string() })
    }

    /// The dev key `keys/<name>.key`.
    pub fn key(&self, name: &str) -> Result<AccountKey, FolderError> {
        Ok(AccountKey::from_file(&self.path.join("keys").join(format!("{name}.key")))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_names_the_venue() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path());
        let error = folder.venue().unwrap_err().to_string();
        assert!(error.contains("ca.pem"), "{error}");

        let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        fs::write(dir.path().join("ca.pem"), certified.cert.pem()).unwrap();
        assert_eq!(folder.venue().unwrap().addr, GATEWAY_ADDR_DEFAULT.parse().unwrap());
        fs::write(dir.path().join("gateway.addr"), "127.0.0.1:9\n").unwrap();
        assert_eq!(folder.venue().unwrap().addr, "127.0.0.1:9".parse().unwrap());
        assert_eq!(folder.operator_venue().unwrap().addr, OPERATOR_ADDR_DEFAULT.parse().unwrap());
        fs::write(dir.path().join("gateway.addr"), "nowhere").unwrap();
        let error = folder.venue().unwrap_err().to_string();
        assert!(error.contains("gateway.addr") && error.contains("nowhere"), "{error}");
    }
}
