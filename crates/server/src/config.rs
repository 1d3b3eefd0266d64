//! The daemon's configuration: file, then environment, then flags; each later layer wins.
//!
//! Every key of the file has an environment variable `JOULEBOOK_SECTION__KEY` and, where people need one, a flag.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

/// The commented file that `joulebook config default` prints; parsing it gives the defaults.
pub const DEFAULT_FILE: &str = include_str!("default.toml");

/// Everything that the daemon can be told.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub data: DataConfig,
    pub gateway: GatewayConfig,
    pub http: HttpConfig,
    pub engine: EngineConfig,
    pub journal: JournalConfig,
    pub limits: LimitsConfig,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    pub dir: PathBuf,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    pub listen: SocketAddr,
    pub operator_listen: SocketAddr,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    pub listen: SocketAddr,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct EngineConfig {
    pub wiring: Wiring,
    pub accounts_max: u32,
    pub sessions_max: u32,
    pub instruments_max: u32,
    pub orders_max: u32,
    pub outbox_events_max: u32,
    pub session_outcomes_max: u32,
    pub outcomes_max: u32,
}

/// Which thread runs which step.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Wiring {
    /// Inline when there are fewer cores than gateway, core, journal and one other would keep busy.
    Auto,
    /// Gateway and core take turns on one thread.
    Inline,
    /// A gateway thread and a core thread, rings between.
    Threaded,
}

impl Wiring {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Inline => "inline",
            Self::Threaded => "threaded",
        }
    }
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct JournalConfig {
    pub ack: AckMode,
    pub segment_mib: u32,
    /// Commands between two snapshots; 0 takes none.
    pub snapshot_commands: u64,
    pub snapshots_kept: u32,
    pub segments_kept: SegmentsKept,
    /// Compare replayed events with those that the exchange attested when it ran.
    pub verify: bool,
}

/// Which journal files stay.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum SegmentsKept {
    /// Those that a recovery from any kept snapshot reads.
    Needed,
    /// Every one since the journal began.
    All,
}

/// When an event may leave.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum AckMode {
    /// After its command is on disk.
    Durable,
    /// At once; nothing is written and nothing survives a restart. For benchmarks only.
    Memory,
}

impl AckMode {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Durable => "durable",
            Self::Memory => "memory",
        }
    }
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    pub orders_per_s: u32,
    pub orders_burst: u32,
    pub connections: u32,
    pub connections_per_address: u32,
    pub unread_bytes: u32,
}

/// A layer of configuration, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layer {
    File(PathBuf),
    Environment(String),
    Flag(String),
}

impl std::fmt::Display for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// One problem, in one line that says where it is and what would be right.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}: {error}", path = .path.display())]
    Unreadable { path: PathBuf, error: std::io::Error },
    #[error("{path}:{line}: {what}", path = .path.display())]
    File { path: PathBuf, line: usize, what: String },
    #[error("{layer}: {what}")]
    Override { layer: Layer, what: String },
    #[error("{key} = {value}: {what}")]
    Value { key: &'static str, value: String, what: &'static str },
}

/// A single `section.key = value` from the environment or a flag.
#[derive(Clone, Debug)]
pub struct Override {
    pub layer: Layer,
    pub key: String,
    pub value: String,
}

impl Config {
    /// The defaults, overlaid by `file` and then by `overrides` in order.
    pub fn load(file: Option<&Path>, overrides: &[Override]) -> Result<Self, ConfigError> {
        let Some(path) = file else { return Self::read(None, overrides) };
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?;
        Self::read(Some((path, &text)), overrides)
    }

    /// The same with the content of a file in hand.
    pub fn read(file: Option<(&Path, &str)>, overrides: &[Override]) -> Result<Self, ConfigError> {
        let mut table = default_table();
        if let Some((path, text)) = file {
            overlay(&mut table, parse_file(path, text)?);
        }
        for item in overrides {
            apply_override(&mut table, item)?;
        }
        let config: Self = table.try_into().map_err(|error: toml::de::Error| ConfigError::Override {
            layer: Layer::Flag("combined configuration".into()),
            what: error.message().into(),
        })?;
        config.check()?;
        Ok(config)
    }

    /// The overrides that the environment holds: `JOULEBOOK_SECTION__KEY`. Others are not ours to judge.
    pub fn environment(vars: impl Iterator<Item = (String, String)>) -> Vec<Override> {
        vars.filter_map(|(name, value)| {
            let (section, key) = name.strip_prefix("JOULEBOOK_")?.split_once("__")?;
            let key = format!("{}.{}", section.to_ascii_lowercase(), key.to_ascii_lowercase());
            Some(Override { layer: Layer::Environment(name.clone()), key, value })
        })
        .collect()
    }

    fn check(&self) -> Result<(), ConfigError> {
        let positive = [
            ("engine.accounts_max", self.engine.accounts_max),
            ("engine.sessions_max", self.engine.sessions_max),
            ("engine.instruments_max", self.engine.instruments_max),
            ("engine.orders_max", self.engine.orders_max),
            ("engine.outbox_events_max", self.engine.outbox_events_max),
            ("engine.session_outcomes_max", self.engine.session_outcomes_max),
            ("engine.outcomes_max", self.engine.outcomes_max),
            ("limits.orders_per_s", self.limits.orders_per_s),
            ("limits.orders_burst", self.limits.orders_burst),
            ("limits.connections", self.limits.connections),
            ("limits.connections_per_address", self.limits.connections_per_address),
        ];
        for (key, value) in positive {
            if value == 0 {
                return Err(ConfigError::Value { key, value: value.to_string(), what: "must be at least 1" });
            }
        }
        let segment_mib = self.journal.segment_mib;
        if !(1..=4_096).contains(&segment_mib) {
            let what = "must be between 1 and 4096";
            return Err(ConfigError::Value {
                key: "journal.segment_mib",
                value: segment_mib.to_string(),
                what,
            });
        }
        let snapshots_kept = self.journal.snapshots_kept;
        if !(1..=1_000).contains(&snapshots_kept) {
            let (key, what) = ("journal.snapshots_kept", "must be between 1 and 1000");
            return Err(ConfigError::Value { key, value: snapshots_kept.to_string(), what });
        }
        if self.limits.unread_bytes < 64 << 10 {
            let what = "must be at least 65536";
            let value = self.limits.unread_bytes.to_string();
            return Err(ConfigError::Value { key: "limits.unread_bytes", value, what });
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        default_table().try_into().expect("the default file is valid: a test reads it")
    }
}

fn default_table() -> Table {
    DEFAULT_FILE.parse().expect("the default file is TOML: a test reads it")
}

/// Reads a file and checks every key and type of it alone, so that a problem is reported at its line.
fn parse_file(path: &Path, text: &str) -> Result<Table, ConfigError> {
    let at = |offset: usize, what: String| {
        let line = text[..offset.min(text.len())].matches('\n').count() + 1;
        ConfigError::File { path: path.to_owned(), line, what }
    };
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        at(error.span().map_or(0, |span| span.start), error.message().into())
    })?;
    let defaults = default_table();
    for (section, values) in &table {
        let offset = text.find(&format!("[{section}]")).unwrap_or(0);
        let Some(known) = defaults.get(section).and_then(Value::as_table) else {
            return Err(at(offset, unknown("section", section, defaults.keys())));
        };
        let Some(values) = values.as_table() else {
            return Err(at(offset, format!("`{section}` is a section: write [{section}]")));
        };
        for (key, value) in values {
            let offset = key_offset(text, offset, key);
            match known.get(key) {
                None => return Err(at(offset, unknown("key", key, known.keys()))),
                Some(default) if default.type_str() != value.type_str() => {
                    let (wanted, got) = (default.type_str(), value.type_str());
                    return Err(at(offset, format!("`{section}.{key}` has type {got}, {wanted} is needed")));
                }
                Some(_) => {}
            }
            let mut alone = defaults.clone();
            set(&mut alone, section, key, value.clone());
            if let Err(error) = alone.try_into::<Config>() {
                return Err(at(offset, format!("`{section}.{key}`: {}", error.message())));
            }
        }
    }
    Ok(table)
}

fn key_offset(text: &str, section_offset: usize, key: &str) -> usize {
    let mut offset = section_offset;
    for line in text[section_offset..].split_inclusive('\n') {
        if line.split('=').next().is_some_and(|name| name.trim() == key) {
            return offset;
        }
        offset += line.len();
    }
    section_offset
}

fn apply_override(table: &mut Table, item: &Override) -> Result<(), ConfigError> {
    let problem = |what: String| ConfigError::Override { layer: item.layer.clone(), what };
    let (section, key) = item.key.split_once('.').ok_or_else(|| problem("names no section".into()))?;
    let known = table.get(section).and_then(Value::as_table);
    let known = known.ok_or_else(|| problem(unknown("section", section, table.keys())))?;
    let default = known.get(key).ok_or_else(|| problem(unknown("key", key, known.keys())))?;
    let value = match default {
        Value::Integer(_) => {
            let number = item.value.replace('_', "").parse();
            Value::Integer(number.map_err(|_| problem(format!("`{}` is no whole number", item.value)))?)
        }
        Value::Boolean(_) => {
            let switch = item.value.parse();
            Value::Boolean(
                switch.map_err(|_| problem(format!("`{}` is neither true nor false", item.value)))?,
            )
        }
        _ => Value::String(item.value.clone()),
    };
    set(table, section, key, value);
    match table.clone().try_into::<Config>() {
        Ok(_) => Ok(()),
        Err(error) => Err(problem(format!("`{}`: {}", item.value, error.message()))),
    }
}

fn set(table: &mut Table, section: &str, key: &str, value: Value) {
    if let Some(section) = table.get_mut(section).and_then(Value::as_table_mut) {
        section.insert(key.into(), value);
    }
}

fn overlay(base: &mut Table, layer: Table) {
    for (section, values) in layer {
        if let (Some(Value::Table(base)), Value::Table(values)) = (base.get_mut(&section), values) {
            base.extend(values);
        }
    }
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a String>) -> String {
    let nearest = known.min_by_key(|candidate| edit_distance(name, candidate));
    match nearest.filter(|candidate| edit_distance(name, candidate) <= 3) {
        Some(candidate) => format!("unknown {what} `{name}`: did you mean `{candidate}`?"),
        None => format!("unknown {what} `{name}`: `joulebook config default` prints all of them"),
    }
}

/// Letters to insert, remove or change to make `a` into `b`.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let change = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("joulebook.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(Some(&path), &[])
    }

    #[test]
    fn the_default_file_is_the_default() {
        let config = load(DEFAULT_FILE).unwrap();
        assert_eq!(config, Config::default());
        assert!(config.gateway.listen.ip().is_loopback(), "nothing listens to the world unless told to");
    }

    #[test]
    fn later_layers_win() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("joulebook.toml");
        std::fs::write(
            &path,
            "[http]\nlisten = \"127.0.0.1:1\"\n[journal]\nsegment_mib = 8\nack = \"memory\"\n",
        )
        .unwrap();
        let vars = [
            ("JOULEBOOK_HTTP__LISTEN", "127.0.0.1:2"),
            ("JOULEBOOK_JOURNAL__SEGMENT_MIB", "16"),
            ("JOULEBOOK_JOURNAL__SNAPSHOT_COMMANDS", "2_000"),
            ("JOULEBOOK_JOURNAL__SEGMENTS_KEPT", "all"),
            ("JOULEBOOK_JOURNAL__VERIFY", "false"),
            ("HOME", "/"),
        ];
        let mut overrides = Config::environment(vars.iter().map(|(k, v)| (k.to_string(), v.to_string())));
        let flag = Override {
            layer: Layer::Flag("--http".into()),
            key: "http.listen".into(),
            value: "127.0.0.1:3".into(),
        };
        overrides.push(flag);
        let config = Config::load(Some(&path), &overrides).unwrap();
        assert_eq!(config.http.listen.port(), 3);
        assert_eq!(config.journal.segment_mib, 16);
        assert_eq!(config.journal.ack, AckMode::Memory);
        let journal = &config.journal;
        let snapshots = (journal.snapshot_commands, journal.segments_kept, journal.verify);
        assert_eq!(snapshots, (2_000, SegmentsKept::All, false));
        let bad = Override {
            layer: Layer::Flag("--set journal.verify=no".into()),
            key: "journal.verify".into(),
            value: "no".into(),
        };
        let error = Config::load(None, &[bad]).unwrap_err().to_string();
        assert_eq!(error, "flag --set journal.verify=no: `no` is neither true nor false");
    }

    /// The reference page has a row for every key, with its default, and for nothing else.
    #[test]
    fn the_reference_page_is_complete() {
        let page = include_str!("../../../docs/reference/configuration.md");
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
        let mut expected = Vec::new();
        for (section, values) in &default_table() {
            for (key, value) in values.as_table().expect("a section") {
                expected.push(format!("| `{section}.{key}` | `{value}` |"));
            }
        }
        for row in &expected {
            assert!(rows.iter().any(|line| line.starts_with(row.as_str())), "no row begins {row}");
        }
        assert_eq!(rows.len(), expected.len(), "a row for a key that is no more");
    }

    #[test]
    fn problems_name_place_and_remedy() {
        let cases = [
            ("[journal]\n\njornal = 1\n", ":3: unknown key `jornal`"),
            ("[jurnal]\nack = \"durable\"\n", ":1: unknown section `jurnal`: did you mean `journal`?"),
            ("[journal]\nack = \"maybe\"\n", ":2: `journal.ack`: unknown variant `maybe`"),
            ("[journal]\nack = 3\n", ":2: `journal.ack` has type integer, string is needed"),
            ("[http]\nlisten = \"nowhere\"\n", ":2: `http.listen`: invalid socket address"),
            ("[http\n", ":1: "),
            ("[journal]\nsegment_mib = 0\n", "journal.segment_mib = 0: must be between 1 and 4096"),
            ("[engine]\norders_max = -1\n", ":2: `engine.orders_max`: "),
            ("[journal]\nsnapshot_commands = -1\n", ":2: `journal.snapshot_commands`: "),
            ("[journal]\nsnapshots_kept = 0\n", "journal.snapshots_kept = 0: must be between 1 and 1000"),
            (
                "[journal]\nsnapshots_kept = 1001\n",
                "journal.snapshots_kept = 1001: must be between 1 and 1000",
            ),
            ("[journal]\nsegments_kept = \"some\"\n", ":2: `journal.segments_kept`: unknown variant `some`"),
            ("[journal]\nverify = \"yes\"\n", ":2: `journal.verify` has type string, boolean is needed"),
        ];
        for (text, expected) in cases {
            let error = load(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?} gave: {error}");
            assert!(!error.contains('\n'), "one line per problem: {error}");
        }
        let bad = Override {
            layer: Layer::Environment("JOULEBOOK_GATEWAY__LISTN".into()),
            key: "gateway.listn".into(),
            value: "x".into(),
        };
        let error = Config::load(None, &[bad]).unwrap_err().to_string();
        assert!(
            error.contains("JOULEBOOK_GATEWAY__LISTN: unknown key `listn`: did you mean `listen`?"),
            "{error}"
        );
    }
}
