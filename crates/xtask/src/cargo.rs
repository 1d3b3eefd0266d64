//! How cargo is called, and what it says about the programs that it built.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Cargo with these arguments, in `folder`.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.args(arguments).current_dir(folder);
    // Set for this process by `cargo run`; build scripts must not take them for their own.
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR") {
            command.env_remove(name);
        }
    }
    command
}

/// Where builds of this checkout go.
pub fn target_dir(root: &Path) -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(target) => root.join(target),
        None => root.join("target"),
    }
}

/// The path that an artifact message gives under `key`; `None` when it is null or another kind of message.
pub fn artifact_path(message: &str, key: &str) -> Option<PathBuf> {
    if !message.contains(r#""reason":"compiler-artifact""#) {
        return None;
    }
    let (_, after) = message.split_once(&format!(r#""{key}":""#))?;
    let (path, _) = after.split_once('"')?;
    Some(PathBuf::from(path.replace(r"\\", r"\")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_artifacts_have_paths() {
        let program =
            r#"{"reason":"compiler-artifact","target":{"kind":["test"]},"executable":"C:\\t\\rules-1"}"#;
        let library = r#"{"reason":"compiler-artifact","target":{"kind":["lib"]},"executable":null}"#;
        let other = r#"{"reason":"build-script-executed","executable":"/t/build"}"#;
        assert_eq!(artifact_path(program, "executable"), Some(PathBuf::from(r"C:\t\rules-1")));
        assert_eq!(artifact_path(library, "executable"), None);
        assert_eq!(artifact_path(other, "executable"), None);
    }
}
