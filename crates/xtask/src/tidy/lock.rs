//! What the lockfile must not contain: two TLS stacks, two providers of cryptography, sources other than the registry.

use super::Finding;
use super::tree::{Tree, numbered};

/// Two versions of these in one process have separate types, timers or certificates.
const ONE_VERSION: &[&str] = &["quinn", "quinn-proto", "rustls", "tokio"];

/// A second provider of cryptography makes rustls refuse to choose, at run time.
const BANNED: &[&str] = &["aws-lc-sys", "aws-lc-rs", "openssl-sys"];

pub fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    let Some(lock) = tree.file("Cargo.lock") else { return };
    let mut find = |line, what: String| findings.push(Finding::new(&lock.path, line, what));
    let mut seen: Vec<&str> = Vec::new();
    for (number, line) in numbered(&lock.text) {
        if let Some(name) = value_of(line, "name") {
            if BANNED.contains(&name) {
                find(number, format!("{name} is banned: find who asks for it with `cargo tree -i {name}`"));
            }
            if ONE_VERSION.contains(&name) && seen.contains(&name) {
                find(
                    number,
                    format!("a second version of {name}: find who asks with `cargo tree -d -i {name}`"),
                );
            }
            seen.push(name);
        }
        if let Some(source) = value_of(line, "source")
            && !source.starts_with("registry+")
        {
            find(number, format!("{source} is not the registry: depend on a published version"));
        }
    }
}

fn value_of<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(lock: &str) -> Vec<String> {
        let mut findings = Vec::new();
        check(&Tree::of(&[("Cargo.lock", lock)]), &mut findings);
        findings.iter().map(|finding| format!("{}: {}", finding.line, finding.what)).collect()
    }

    #[test]
    fn one_of_each_from_the_registry_passes() {
        let lock = "[[package]]\nname = \"quinn\"\nversion = \"1.0.0\"\nsource = \"registry+x\"\n\n\
                    [[package]]\nname = \"bitflags\"\n\n[[package]]\nname = \"bitflags\"\n";
        assert_eq!(findings(lock), [""; 0]);
    }

    #[test]
    fn doubles_bans_and_other_sources_are_refused() {
        let twice = findings("name = \"tokio\"\nversion = \"1.0.0\"\nname = \"tokio\"\n");
        assert!(twice.len() == 1 && twice[0].starts_with("3: a second version of tokio"), "{twice:?}");
        assert!(findings("name = \"aws-lc-sys\"\n")[0].starts_with("1: aws-lc-sys is banned"));
        assert!(findings("source = \"git+https://example.org/x\"\n")[0].contains("not the registry"));
    }
}
