//! Relative links of Markdown pages lead somewhere.

use super::Finding;
use super::tree::Tree;

pub fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in tree.files.iter().filter(|file| file.extension() == "md") {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut in_code = false;
        for (number, line) in file.lines() {
            if line.trim_start().starts_with("```") {
                in_code = !in_code;
            }
            if in_code {
                continue;
            }
            for target in targets(line).filter(|target| is_relative(target)) {
                let path = target.split(['#', '?']).next().unwrap_or_default();
                let leads_somewhere =
                    resolve(folder, path).is_some_and(|path| path.is_empty() || tree.has(&path));
                if !path.is_empty() && !leads_somewhere {
                    let what = format!("link to {target}, which is not in the checkout: correct the path");
                    findings.push(Finding::new(&file.path, number, what));
                }
            }
        }
    }
}

/// What stands in the round brackets of `[text](target "title")`, outside of `code`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let outside_code = line.split('`').step_by(2);
    outside_code
        .flat_map(|part| part.split("](").skip(1))
        .filter_map(|rest| rest.split([')', ' ']).next())
        .map(|target| target.trim_matches(['<', '>']))
}

fn is_relative(target: &str) -> bool {
    !target.contains("://") && !target.starts_with("mailto:") && !target.starts_with('#')
}

/// The path from the root of the checkout; `None` when it leads out of it.
fn resolve(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = if path.starts_with('/') { Vec::new() } else { folder.split('/').collect() };
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.retain(|part| !part.is_empty());
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    parts.retain(|part| !part.is_empty());
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(text: &str) -> Vec<String> {
        let files =
            [("docs/start.md", text), ("docs/protocol.md", ""), ("README.md", ""), ("crates/x/a.rs", "")];
        let mut findings = Vec::new();
        check(&Tree::of(&files), &mut findings);
        findings.iter().map(|finding| format!("{}: {}", finding.line, finding.what)).collect()
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        let text = "[a](protocol.md) [b](../README.md#run \"title\") ![c](./protocol.md) [d](../crates/x) [e](/README.md)\n\
                    [f](https://example.org/x) [g](#here) [root](..) `[code](nowhere.md)`\n```\n[h](nowhere.md)\n```\n";
        assert_eq!(broken(text), [""; 0]);
    }

    #[test]
    fn broken_links_are_named_with_their_line() {
        assert!(broken("\n[a](nowhere.md#x)")[0].starts_with("2: link to nowhere.md#x"));
        assert_eq!(broken("[a](../docs/nowhere.md) and [b](../../outside.md)").len(), 2);
        assert_eq!(broken("text `[x](y.md)` then [a](README.md)").len(), 1);
        assert_eq!(broken("[![badge](nowhere.svg)](protocol.md)").len(), 1);
    }
}
