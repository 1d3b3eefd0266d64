//! The checkout in memory, so that rules are functions of text.

use std::fs;
use std::io;
use std::path::Path;

/// All files of the checkout, without what builds and runs leave behind.
#[derive(Debug, Default)]
pub struct Tree {
    pub files: Vec<File>,
}

#[derive(Debug)]
pub struct File {
    /// From the root, with forward slashes.
    pub path: String,
    /// Empty when the file is not text.
    pub text: String,
    pub executable: bool,
}

/// What is nothing of the project, wherever it lies.
const FOREIGN_NAMES: &[&str] = &["target", ".git", "node_modules", ".venv", "__pycache__", ".pytest_cache"];

impl Tree {
    pub fn load(root: &Path) -> io::Result<Self> {
        let load = |path: String| {
            let full_path = root.join(&path);
            let text = String::from_utf8(fs::read(&full_path)?).unwrap_or_default();
            Ok(File { path, text, executable: is_executable(&fs::metadata(full_path)?) })
        };
        Ok(Self { files: paths(root)?.into_iter().map(load).collect::<io::Result<_>>()? })
    }

    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// A file or a folder.
    pub fn has(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        self.files.iter().any(|file| file.path == path || file.path.starts_with(&folder))
    }

    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
            executable: false,
        };
        Self { files: files.iter().map(file).collect() }
    }
}

impl File {
    pub fn extension(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    /// Made by a tool or by others: not ours to format.
    pub fn is_foreign(&self) -> bool {
        self.path.contains(".min.") || self.path == "Cargo.lock" || self.is_generated()
    }

    /// Generated files say so in their first line.
    pub fn is_generated(&self) -> bool {
        self.text.lines().next().is_some_and(|line| line.contains("@generated"))
    }

    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        numbered(&self.text)
    }
}

/// Lines counted from 1.
pub fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

/// The paths of all files from the root, with forward slashes, sorted; without what builds and runs leave behind.
pub fn paths(root: &Path) -> io::Result<Vec<String>> {
    let mut paths = Vec::new();
    add_folder(root, "", &mut paths)?;
    paths.sort();
    Ok(paths)
}

fn add_folder(folder: &Path, prefix: &str, paths: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        // A second worktree has a file called `.git`.
        if is_foreign(&name, prefix) {
            continue;
        }
        if kind.is_dir() {
            add_folder(&entry.path(), &format!("{path}/"), paths)?;
        } else if kind.is_file() {
            paths.push(path);
        }
    }
    Ok(())
}

fn is_foreign(name: &str, prefix: &str) -> bool {
    let left_by_a_run = prefix.is_empty() && (name == "out" || name.starts_with(".joulebook"));
    left_by_a_run || FOREIGN_NAMES.contains(&name)
}

#[cfg(unix)]
fn is_executable(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &fs::Metadata) -> bool {
    true
}
