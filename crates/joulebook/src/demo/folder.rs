//! The demo's data folder: made new each time, and wiped only if it is the demo's own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::Failure;

pub struct DemoFolder {
    path: PathBuf,
}

/// Says that a folder belongs to the demo, so that it may be wiped.
const MARKER: &str = "DEMO";

impl DemoFolder {
    /// An empty folder at `path`. What an earlier demo left there goes; anything else stops the demo.
    pub fn prepare(path: &Path) -> Result<Self, Failure> {
        let folder = Self { path: path.to_owned() };
        let is_empty = match fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(Failure::new(format!("cannot read {}: {error}", path.display()))),
        };
        if !is_empty {
            if !path.join(MARKER).exists() {
                let path = path.display();
                return Err(Failure::new(format!(
                    "{path} holds something that is not a demo's: choose another --data DIR"
                )));
            }
            folder.wipe()?;
        }
        fs::create_dir_all(path)
            .and_then(|()| fs::write(path.join(MARKER), "made by `joulebook demo`, which wipes it\n"))
            .map_err(|error| Failure::new(format!("cannot write to {}: {error}", path.display())))?;
        Ok(folder)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn wipe(&self) -> Result<(), Failure> {
        fs::remove_dir_all(&self.path)
            .map_err(|error| Failure::new(format!("cannot remove {}: {error}", self.path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_demos_own_folder_is_wiped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("demo");
        DemoFolder::prepare(&path).unwrap();
        fs::write(path.join("leftover"), "x").unwrap();
        DemoFolder::prepare(&path).unwrap();
        assert!(!path.join("leftover").exists());

        let foreign = dir.path().join("mine");
        fs::create_dir(&foreign).unwrap();
        fs::write(foreign.join("thesis"), "x").unwrap();
        let refused = DemoFolder::prepare(&foreign).err().unwrap();
        assert!(format!("{refused:?}").contains("choose another"));
        assert!(foreign.join("thesis").exists());
    }
}
