//! What a test gets from outside: the recorded data and the built binary.

use std::env;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

/// The folder with recorded data, named by `JOULEBOOK_DATA`; `None` when the variable is not set.
/// A variable that names no folder is a mistake of the caller and fails the test: a typing error must not skip it.
pub fn data_dir() -> Option<PathBuf> {
    existing_folder(env::var_os("JOULEBOOK_DATA"))
}

/// The release binary that `cargo xtask test` has built, named by `JOULEBOOK_BIN`.
pub fn joulebook_binary() -> PathBuf {
    existing_binary(env::var_os("JOULEBOOK_BIN"))
}

/// The size of a test: what the variable says, which a release sets, or what every change can afford.
pub fn size(variable: &str, default: u64) -> u64 {
    parsed_size(variable, env::var(variable).ok(), default)
}

/// Says that the current test did not run and why; `cargo xtask test` counts these lines.
/// Written past the test runner's capture, which hides what a passing test prints.
pub fn print_skipped(reason: &str) {
    let thread = std::thread::current();
    let line = format!("skipped ({reason}): {}\n", thread.name().unwrap_or("unnamed test"));
    // A closed output only loses the note.
    let _ = std::io::stdout().lock().write_all(line.as_bytes());
}

/// The folder with recorded data; where there is none, says so and returns from the test.
///
/// ```
/// # fn replays_the_recording() {
/// let folder = joulebook_testkit::data_dir_or_skip!();
/// assert!(folder.join("README.md").exists());
/// # }
/// # let _ = replays_the_recording;
/// ```
#[macro_export]
macro_rules! data_dir_or_skip {
    () => {
        match $crate::data_dir() {
            Some(folder) => folder,
            None => {
                $crate::print_skipped("no data");
                return;
            }
        }
    };
}

fn parsed_size(variable: &str, value: Option<String>, default: u64) -> u64 {
    let Some(text) = value else { return default };
    text.parse().unwrap_or_else(|_| panic!("{variable} is `{text}`, which is no size"))
}

fn existing_folder(value: Option<OsString>) -> Option<PathBuf> {
    let folder = PathBuf::from(value?);
    assert!(folder.is_dir(), "JOULEBOOK_DATA names {}, which is not a folder", folder.display());
    Some(folder)
}

fn existing_binary(value: Option<OsString>) -> PathBuf {
    let Some(path) = value.map(PathBuf::from) else {
        panic!("JOULEBOOK_BIN is not set: run through `cargo xtask test`, which builds the binary first");
    };
    assert!(path.is_file(), "JOULEBOOK_BIN names {}, which is not a file", path.display());
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_variable_means_no_data() {
        assert_eq!(existing_folder(None), None);
    }

    #[test]
    fn an_existing_folder_is_handed_over() {
        let folder = env!("CARGO_MANIFEST_DIR");
        assert_eq!(existing_folder(Some(folder.into())), Some(PathBuf::from(folder)));
    }

    #[test]
    #[should_panic(expected = "which is not a folder")]
    fn a_wrong_data_path_fails_instead_of_skipping() {
        existing_folder(Some("no-such-folder".into()));
    }

    #[test]
    fn a_size_comes_from_outside_or_is_the_usual_one() {
        assert_eq!(parsed_size("KILLS", None, 200), 200);
        assert_eq!(parsed_size("KILLS", Some("2000".into()), 200), 2_000);
    }

    #[test]
    #[should_panic(expected = "KILLS is `many`")]
    fn a_wrong_size_fails_instead_of_being_small() {
        parsed_size("KILLS", Some("many".into()), 200);
    }

    #[test]
    #[should_panic(expected = "run through `cargo xtask test`")]
    fn a_missing_binary_says_how_to_get_one() {
        existing_binary(None);
    }

    #[test]
    #[should_panic(expected = "which is not a file")]
    fn a_wrong_binary_path_is_named() {
        existing_binary(Some("no-such-binary".into()));
    }
}
