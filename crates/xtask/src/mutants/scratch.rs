//! A copy of the checkout in which defects are planted, so that nobody's own files are ever touched.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::tidy::tree;

/// The files of the checkout, as they were when the run began.
pub struct Snapshot {
    /// Paths from the root, sorted.
    files: Vec<(String, Vec<u8>)>,
}

/// A folder that holds a snapshot's files.
pub struct Scratch<'a> {
    snapshot: &'a Snapshot,
    folder: PathBuf,
}

impl Snapshot {
    /// Reads everything that belongs to the project, committed or not.
    pub fn take(root: &Path) -> io::Result<Self> {
        let read = |path: String| {
            let bytes = fs::read(root.join(&path))?;
            Ok((path, bytes))
        };
        Ok(Self { files: tree::paths(root)?.into_iter().map(read).collect::<io::Result<_>>()? })
    }

    /// `None` also when the file is not text.
    pub fn text(&self, path: &str) -> Option<&str> {
        std::str::from_utf8(self.bytes(path)?).ok()
    }

    /// Paths and texts of the files in a folder.
    pub fn texts_in<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let inside = self.files.iter().filter(move |(path, _)| path.starts_with(folder));
        inside.filter_map(|(path, bytes)| Some((path.as_str(), std::str::from_utf8(bytes).ok()?)))
    }

    fn bytes(&self, path: &str) -> Option<&[u8]> {
        let index = self.files.binary_search_by(|(known, _)| known.as_str().cmp(path)).ok()?;
        Some(&self.files[index].1)
    }
}

impl<'a> Scratch<'a> {
    /// Makes the folder equal to the snapshot. What an earlier run left there is used again.
    pub fn fill(folder: PathBuf, snapshot: &'a Snapshot) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let scratch = Self { snapshot, folder };
        scratch.restore()?;
        Ok(scratch)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn write(&self, path: &str, text: &str) -> io::Result<()> {
        fs::write(self.folder.join(path), text)
    }

    /// Writes only what differs, or cargo would build everything anew; takes away what a test run added.
    pub fn restore(&self) -> io::Result<()> {
        for path in tree::paths(&self.folder)? {
            if self.snapshot.bytes(&path).is_none() {
                fs::remove_file(self.folder.join(path))?;
            }
        }
        for (path, bytes) in &self.snapshot.files {
            let path = self.folder.join(path);
            if fs::read(&path).is_ok_and(|present| present == *bytes) {
                continue;
            }
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(path, bytes)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temporary_folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("joulebook-xtask-{}-{name}", std::process::id()));
        // From a run that was killed, under the same process id.
        if folder.exists() {
            fs::remove_dir_all(&folder).expect("it is ours");
        }
        fs::create_dir_all(&folder).expect("a temporary folder");
        folder
    }

    #[test]
    fn the_copy_is_changed_and_restored_and_the_original_never() {
        let folder = temporary_folder("scratch");
        let root = folder.join("root");
        fs::create_dir_all(root.join("crates/book")).expect("a folder");
        fs::create_dir_all(root.join("target/debug")).expect("a folder");
        fs::write(root.join("crates/book/a.rs"), "good").expect("a file");
        fs::write(root.join("b.bin"), [0xff, 0x00]).expect("a file");
        fs::write(root.join("target/debug/c"), "built").expect("a file");
        let snapshot = Snapshot::take(&root).expect("it is readable");
        assert_eq!((snapshot.text("crates/book/a.rs"), snapshot.text("b.bin")), (Some("good"), None));

        let scratch = Scratch::fill(folder.join("copy"), &snapshot).expect("a copy");
        let copy = |path: &str| fs::read_to_string(scratch.folder().join(path)).ok();
        assert!(!scratch.folder().join("target").exists());
        scratch.write("crates/book/a.rs", "bad").expect("written");
        scratch.write("crates/book/regressions.txt", "left by a test").expect("written");
        assert_eq!(copy("crates/book/a.rs").as_deref(), Some("bad"));
        scratch.restore().expect("restored");
        assert_eq!(copy("crates/book/a.rs").as_deref(), Some("good"));
        assert_eq!(copy("crates/book/regressions.txt"), None);
        assert_eq!(fs::read_to_string(root.join("crates/book/a.rs")).expect("still there"), "good");
        fs::remove_dir_all(&folder).expect("it is ours");
    }
}
