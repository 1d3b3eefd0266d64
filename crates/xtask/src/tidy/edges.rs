//! Which of our crates may depend on which. The table of DESIGN §2, as data: an edge that is not here is refused.

use super::Finding;
use super::tree::{File, Tree, numbered};

/// Who may depend on whom. Rows and entries are folder names. Besides its row everyone may use `types`, and whoever
/// sits above `protocol` may use it directly.
const EDGES: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("protocol", &[]),
    // Of `sys` the deterministic crates use prefetch and large pages alone, which change nothing that can be seen.
    ("book", &["sys"]),
    ("ledger", &["sys"]),
    // The slow engine that tests compare it with shares nothing with it but the messages.
    ("reference", &["protocol"]),
    ("engine", &["protocol", "book", "ledger", "sys"]),
    ("session", &["protocol"]),
    ("feed", &["protocol"]),
    ("journal", &[]),
    ("rings", &[]),
    ("sys", &[]),
    ("metrics", &[]),
    ("quic", &[]),
    ("sequencer", &["rings", "engine", "journal"]),
    ("gateway", &["session", "feed", "rings", "sys", "quic", "metrics"]),
    ("console", &["feed", "metrics"]),
    (
        "server",
        &[
            "protocol",
            "book",
            "ledger",
            "engine",
            "session",
            "feed",
            "journal",
            "rings",
            "sys",
            "metrics",
            "quic",
            "sequencer",
            "gateway",
            "console",
        ],
    ),
    ("client", &["session", "feed", "quic"]),
    ("agents", &["protocol", "feed"]),
    // The shell hands its agents the feed that the SDK keeps for it.
    ("bots", &["agents", "client", "feed", "quic"]),
    // The whole exchange but its network, its disk and its clocks, and the slow engine that checks it.
    (
        "sim",
        &[
            "sequencer",
            "session",
            "feed",
            "agents",
            "gateway",
            "journal",
            "engine",
            "ledger",
            "reference",
            "rings",
            "metrics",
        ],
    ),
    ("capi", &["engine"]),
    // The command line is a client too (`book`, `order`, `account`), and `demo` names agents.
    ("joulebook", &["server", "bots", "loadgen", "client", "agents", "feed"]),
    // Its flow comes from agents, which read the feed.
    ("loadgen", &["session", "agents", "sequencer", "sys", "feed", "quic"]),
    // Generates the checked-in files of the protocol.
    ("xtask", &["protocol"]),
    // Its script language writes commands and reads events.
    ("testkit", &["protocol"]),
    ("benches", ANY),
    ("tests", ANY),
    // Feeds every decoder; only the libFuzzer programs, a workspace of their own, use it.
    ("fuzz-targets", ANY),
];

/// Nothing depends on these packages, so they may use everything.
const ANY: &[&str] = &["*"];

/// Deterministic crates: time, files, sockets and chance reach them only as values.
pub const PURE: &[&str] = &[
    "types",
    "protocol",
    "book",
    "ledger",
    "reference",
    "engine",
    "session",
    "feed",
    "journal",
    "agents",
    "sequencer",
    "sim",
];

/// Packages that would bring a pure crate what it must not have.
const IMPURE_PACKAGES: &[&str] =
    &["tokio", "quinn", "quinn-proto", "quinn-udp", "rand", "rustix", "socket2", "axum", "getrandom"];

pub fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    let manifests: Vec<Manifest<'_>> = tree.files.iter().filter_map(Manifest::read).collect();
    for manifest in &manifests {
        manifest.check_name(findings);
        let Some(row) = row_of(&manifest.folder) else {
            let what =
                "not in the table of edges: add a row to DESIGN §2 and to crates/xtask/src/tidy/edges.rs";
            findings.push(Finding::new(
                &manifest.file.path,
                1,
                format!("crate {} is {what}", manifest.folder),
            ));
            continue;
        };
        for dependency in &manifest.dependencies {
            manifest.check_edge(row, dependency, &manifests, findings);
        }
    }
}

struct Manifest<'a> {
    file: &'a File,
    folder: String,
    package: (usize, String),
    dependencies: Vec<Dependency>,
}

struct Dependency {
    line: usize,
    package: String,
    only_for_tests: bool,
}

impl<'a> Manifest<'a> {
    fn read(file: &'a File) -> Option<Self> {
        let folder = member_folder(&file.path)?;
        let mut manifest = Self { file, folder, package: (1, String::new()), dependencies: Vec::new() };
        let mut section = String::new();
        for (number, line) in numbered(&file.text) {
            let line = line.trim();
            if let Some(header) = line.strip_prefix('[') {
                section = header.trim_end_matches(']').to_owned();
                // `[dependencies.name]` is a dependency by itself.
                if let Some((kind, name)) = section.rsplit_once('.')
                    && kind.ends_with("dependencies")
                {
                    manifest.depend(number, name, kind);
                }
            } else if let Some(key) = key_of(line) {
                if section == "package" && key == "name" {
                    let name = line.split('"').nth(1).unwrap_or_default();
                    manifest.package = (number, name.to_owned());
                } else if section.ends_with("dependencies") {
                    manifest.depend(number, key, &section);
                }
            }
        }
        Some(manifest)
    }

    fn depend(&mut self, line: usize, package: &str, kind: &str) {
        let only_for_tests = kind.ends_with("dev-dependencies");
        self.dependencies.push(Dependency { line, package: package.to_owned(), only_for_tests });
    }

    fn check_name(&self, findings: &mut Vec<Finding>) {
        let want = package_of(&self.folder);
        let (line, name) = &self.package;
        if *name != want {
            let what = format!("package is called {name}, its folder asks for {want}: rename one of them");
            findings.push(Finding::new(&self.file.path, *line, what));
        }
    }

    fn check_edge(
        &self,
        row: &[&str],
        dependency: &Dependency,
        all: &[Manifest<'_>],
        findings: &mut Vec<Finding>,
    ) {
        let name = &dependency.package;
        let mut refuse = |what: String| findings.push(Finding::new(&self.file.path, dependency.line, what));
        let Some(target) = folder_of(name) else {
            let impure = PURE.contains(&self.folder.as_str()) && IMPURE_PACKAGES.contains(&name.as_str());
            if impure && !dependency.only_for_tests {
                refuse(format!(
                    "{} is pure and must not use {name}: move that part to the edge",
                    self.folder
                ));
            }
            return;
        };
        if dependency.only_for_tests {
            if reaches(target, &self.folder, all) {
                refuse(format!(
                    "{target} depends on {}: a test that needs both lives in tests/",
                    self.folder
                ));
            }
        } else if target == "testkit" && row != ANY {
            refuse("testkit is for tests only: list it under dev-dependencies".to_owned());
        } else if !allows(row, target) {
            refuse(format!(
                "{} must not depend on {target}: the table of DESIGN §2 has no such edge",
                self.folder
            ));
        }
    }
}

fn allows(row: &[&str], target: &str) -> bool {
    row == ANY
        || row.contains(&target)
        || target == "types"
        || (target == "protocol" && row.iter().any(|below| sits_above_protocol(below)))
}

fn sits_above_protocol(folder: &str) -> bool {
    folder == "protocol"
        || row_of(folder).is_some_and(|row| row.iter().any(|below| sits_above_protocol(below)))
}

/// Whether `from` needs `to` outside of its tests.
fn reaches(from: &str, to: &str, all: &[Manifest<'_>]) -> bool {
    let Some(manifest) = all.iter().find(|manifest| manifest.folder == from) else { return false };
    let needed = manifest.dependencies.iter().filter(|dependency| !dependency.only_for_tests);
    let mut below = needed.filter_map(|dependency| folder_of(&dependency.package));
    below.any(|below| below == to || (below != from && reaches(below, to, all)))
}

fn row_of(folder: &str) -> Option<&'static [&'static str]> {
    EDGES.iter().find(|(name, _)| *name == folder).map(|(_, row)| *row)
}

/// `crates/book/Cargo.toml` and `loadgen/Cargo.toml` are members; workspaces of their own are not.
pub fn member_folder(manifest_path: &str) -> Option<String> {
    let folder = manifest_path.strip_suffix("/Cargo.toml")?;
    let name = folder.strip_prefix("crates/").unwrap_or(folder);
    (!name.contains('/') && name != "fuzz").then(|| name.to_owned())
}

fn package_of(folder: &str) -> String {
    if folder == "joulebook" { folder.to_owned() } else { format!("joulebook-{folder}") }
}

fn folder_of(package: &str) -> Option<&str> {
    if package == "joulebook" { Some(package) } else { package.strip_prefix("joulebook-") }
}

fn key_of(line: &str) -> Option<&str> {
    if line.starts_with('#') {
        return None;
    }
    let (left, _) = line.split_once('=')?;
    left.trim().split('.').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(manifests: &[(&str, &str)]) -> Vec<String> {
        let texts: Vec<(String, String)> = manifests
            .iter()
            .map(|(folder, body)| {
                let name = package_of(folder.strip_prefix("crates/").unwrap_or(folder));
                (format!("{folder}/Cargo.toml"), format!("[package]\nname = \"{name}\"\n{body}"))
            })
            .collect();
        let files: Vec<(&str, &str)> =
            texts.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let mut findings = Vec::new();
        check(&Tree::of(&files), &mut findings);
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn edges_of_the_table_pass() {
        let clean: &[(&str, &str)] = &[
            (
                "crates/engine",
                "[dependencies]\njoulebook-book.workspace = true\njoulebook-types.workspace = true\n",
            ),
            (
                "crates/console",
                "[dependencies]\njoulebook-protocol = { path = \"../protocol\" }\naxum = \"1\"\n",
            ),
            (
                "tests",
                "[dependencies]\njoulebook-server.workspace = true\njoulebook-testkit.workspace = true\n",
            ),
            ("crates/book", "[dev-dependencies]\njoulebook-testkit.workspace = true\n"),
        ];
        assert_eq!(findings(clean), [""; 0]);
    }

    #[test]
    fn other_edges_are_refused() {
        let cases = [
            (
                "crates/client",
                "[dependencies]\njoulebook-engine.workspace = true\n",
                "client must not depend on engine",
            ),
            ("crates/rings", "[dependencies.joulebook-protocol]\n", "rings must not depend on protocol"),
            (
                "crates/book",
                "[build-dependencies]\njoulebook-ledger = \"1\"\n",
                "book must not depend on ledger",
            ),
            (
                "crates/sys",
                "[target.'cfg(unix)'.dependencies]\njoulebook-rings = \"1\"\n",
                "sys must not depend",
            ),
            (
                "crates/book",
                "[dependencies]\njoulebook-testkit.workspace = true\n",
                "testkit is for tests only",
            ),
            (
                "crates/feed",
                "[dependencies]\ntokio.workspace = true\n",
                "feed is pure and must not use tokio",
            ),
            ("crates/newcomer", "", "crate newcomer is not in the table"),
        ];
        for (folder, body, want) in cases {
            let found = findings(&[(folder, body)]);
            assert_eq!(found.len(), 1, "{folder}: {found:?}");
            assert!(found[0].contains(want), "{}", found[0]);
        }
        assert!(
            findings(&[cases[0].0, cases[0].1].map(|_| ("crates/client", cases[0].1)))[0].contains("toml:4:")
        );
    }

    #[test]
    fn a_test_must_not_need_who_needs_the_crate() {
        let circle = [
            ("crates/book", "[dev-dependencies]\njoulebook-engine.workspace = true\n"),
            ("crates/engine", "[dependencies]\njoulebook-book.workspace = true\n"),
        ];
        assert!(findings(&circle)[0].contains("engine depends on book"));
    }

    #[test]
    fn the_folder_names_the_crate() {
        let mut found = Vec::new();
        check(
            &Tree::of(&[("crates/book/Cargo.toml", "[package]\nname = \"joulebook-books\"\n")]),
            &mut found,
        );
        assert_eq!((found.len(), found[0].line), (1, 2));
        assert!(found[0].what.contains("joulebook-book"));
    }

    #[test]
    fn the_table_has_no_circle() {
        for (folder, row) in EDGES {
            let mut open: Vec<&str> = row.to_vec();
            let mut steps = 0;
            while let Some(below) = open.pop() {
                assert_ne!(below, *folder, "{folder} reaches itself");
                open.extend(row_of(below).unwrap_or_default());
                steps += 1;
                assert!(steps < 10_000, "a circle below {folder}");
            }
        }
    }
}
