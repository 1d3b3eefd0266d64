//! The daemon's configuration: a file that anybody wrote, and variables of the environment.

use std::path::Path;

use crate::daemon_config::Config;

use crate::Traits;

/// Overrides stand before the file, one a line, up to an empty line.
pub(crate) fn run(input: &[u8], traits: &mut Traits) {
    let text = String::from_utf8_lossy(input);
    let (overrides, file) = text.split_once("\n\n").unwrap_or(("", &text));
    let overrides = overrides.lines().filter_map(|line| line.split_once('='));
    let overrides = Config::environment(overrides.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let path = Path::new("joulebook.toml");
    let read = Config::read(Some((path, file)), &overrides);
    match &read {
        Ok(config) => {
            traits.saw("config", u64::from(*config == Config::default()));
            check(config);
        }
        Err(error) => {
            let line = error.to_string();
            assert!(!line.is_empty() && !line.contains('\n'), "one line says what is wrong: {line:?}");
            let words =
                line.split('`').step_by(2).take(2).flat_map(str::bytes).filter(u8::is_ascii_alphabetic);
            traits.saw("wrong", words.fold(0, |sum, byte| sum * 31 % 4_093 + u64::from(byte)));
            traits.counted("overrides", overrides.len());
        }
    }
    let again = Config::read(Some((path, file)), &overrides);
    assert_eq!(again.map_err(|error| error.to_string()), read.map_err(|error| error.to_string()));
}

/// What the daemon divides by, or allocates at its start.
fn check(config: &Config) {
    assert!((1..=4_096).contains(&config.journal.segment_mib));
    assert!(config.engine.orders_max > 0 && config.engine.sessions_max > 0 && config.engine.accounts_max > 0);
    assert!(config.limits.orders_per_s > 0 && config.limits.orders_burst > 0);
    assert!(config.limits.unread_bytes >= 64 << 10);
}

pub(crate) const WORDS: &[&str] = &[
    "[data]",
    "[gateway]",
    "[http]",
    "[engine]",
    "[journal]",
    "[limits]",
    "dir = ",
    "listen = ",
    "operator_listen = ",
    "wiring = ",
    "accounts_max = ",
    "orders_max = ",
    "segment_mib = ",
    "ack = ",
    "orders_per_s = ",
    "unread_bytes = ",
    "\"auto\"",
    "\"durable\"",
    "\"memory\"",
    "\"127.0.0.1:7000\"",
    "\"[::1]:7000\"",
    "0",
    "-1",
    "1_000",
    "0x10",
    "1e3",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "true",
    "[]",
    "{}",
    "'''",
    "\"\"\"",
    "\\u0000",
    "=",
    "\n",
    "#",
    "JOULEBOOK_",
    "JOULEBOOK_JOURNAL__ACK=",
    "JOULEBOOK_ENGINE__ORDERS_MAX=",
    "__",
    "\n\n",
    "inf",
    "nan",
];
