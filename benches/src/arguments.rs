//! What a benchmark program is told on its command line.

use std::path::PathBuf;
use std::str::FromStr;

/// Flags with values: `--commands 1000000`.
pub struct Arguments(Vec<(String, String)>);

impl Arguments {
    /// Reads the command line; ends the process with a message when it has anything but these flags.
    pub fn read(flags: &[&str]) -> Self {
        Self::read_with_switches(flags, &[])
    }

    /// The same, with flags that have no value.
    pub fn read_with_switches(flags: &[&str], switches: &[&str]) -> Self {
        // Cargo says that this is a benchmark.
        let arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
        match Self::parse(flags, switches, arguments) {
            Ok(arguments) => arguments,
            Err(what) => {
                eprintln!("error: {what}");
                std::process::exit(2);
            }
        }
    }

    fn parse(
        flags: &[&str],
        switches: &[&str],
        mut arguments: impl Iterator<Item = String>,
    ) -> Result<Self, String> {
        let mut read = Vec::new();
        while let Some(flag) = arguments.next() {
            if switches.contains(&flag.as_str()) {
                read.push((flag, String::new()));
                continue;
            }
            if !flags.contains(&flag.as_str()) {
                return Err(format!("cannot read {flag}; there are {}", flags.join(", ")));
            }
            let value = arguments.next().ok_or_else(|| format!("{flag} needs a value"))?;
            read.push((flag, value));
        }
        Ok(Self(read))
    }

    /// What follows the flag, or the default.
    ///
    /// # Panics
    /// When it is no such value.
    pub fn value<T: FromStr>(&self, flag: &str, default: T) -> T {
        match self.0.iter().find(|(name, _)| name == flag) {
            Some((_, text)) => text.parse().unwrap_or_else(|_| panic!("{flag} {text}: no such value")),
            None => default,
        }
    }

    /// Whether a flag is there.
    pub fn has(&self, flag: &str) -> bool {
        self.0.iter().any(|(name, _)| name == flag)
    }

    /// A folder, or the one for temporary files.
    pub fn folder(&self, flag: &str) -> PathBuf {
        self.value(flag, std::env::temp_dir())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(&["--commands", "--dir"], &["--table"], line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn flags_have_values_and_nothing_else_is_taken() {
        let read = parse("--commands 12 --dir /data").expect("readable");
        assert_eq!((read.value("--commands", 1), read.folder("--dir")), (12, PathBuf::from("/data")));
        assert_eq!(parse("").expect("readable").value("--commands", 7), 7);
        let read = parse("--table --commands 3").expect("readable");
        assert!(read.has("--table") && read.has("--commands") && !read.has("--dir"));
        assert_eq!(read.value("--commands", 1), 3);
        assert!(parse("--commands").is_err() && parse("--speed 3").is_err());
    }
}
