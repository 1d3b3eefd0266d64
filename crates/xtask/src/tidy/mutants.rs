//! The list of planted defects fits the code, and the page about testing knows each of them.

use super::Finding;
use super::tree::Tree;
use crate::mutants::{list, table};

pub fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    let page = tree.file(table::PAGE).map_or("", |file| file.text.as_str());
    let mut known: Vec<String> = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.starts_with(list::FOLDER)) {
        let mut find = |line, what: String| findings.push(Finding::new(&file.path, line, what));
        let mutants = match list::parse(&file.text) {
            Ok(mutants) => mutants,
            Err((line, what)) => {
                find(line, what);
                continue;
            }
        };
        for mutant in mutants {
            if let Err(what) = mutant.apply(|path| tree.file(path).map(|file| file.text.as_str())) {
                find(mutant.line, format!("{} is {what}", mutant.name));
            }
            if !table::has_row(page, &mutant) {
                let name = &mutant.name;
                find(
                    mutant.line,
                    format!("{} lacks {name}: cargo xtask mutants --table {name}", table::PAGE),
                );
            }
            if known.contains(&mutant.name) {
                find(mutant.line, format!("a second {}: choose another name", mutant.name));
            }
            known.push(mutant.name);
        }
    }
    for (line, name) in
        table::names(page).into_iter().filter(|(_, name)| known.iter().all(|known| known != name))
    {
        let what = format!("no mutant is called {name}: cargo xtask mutants --table");
        findings.push(Finding::new(table::PAGE, line, what));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Tests\n<!-- mutants: written by `cargo xtask mutants --table` -->\n\
                        | defect | what goes wrong | caught by |\n|---|---|---|\n\
                        | `a` | So. | `t` |\n| `gone` | So. | `t` |\n<!-- mutants: end -->\n";

    fn findings(list: &str) -> Vec<String> {
        let list_path = format!("{}book.txt", list::FOLDER);
        let files = [("f.rs", "x x y"), (list_path.as_str(), list), (table::PAGE, PAGE)];
        let mut findings = Vec::new();
        check(&Tree::of(&files), &mut findings);
        findings.retain(|finding| finding.path != table::PAGE);
        findings.iter().map(|finding| format!("{}: {}", finding.line, finding.what)).collect()
    }

    fn mutant(name: &str, find: &str) -> String {
        format!("[{name}]\nSo.\nfile: f.rs\nfind: {find}\nreplace: z\ntests: p lib\n")
    }

    #[test]
    fn a_list_that_fits_passes() {
        assert_eq!(findings(&mutant("a", "y")), [""; 0]);
    }

    #[test]
    fn what_is_stale_unknown_or_double_is_named() {
        assert!(findings(&mutant("a", "x"))[0].starts_with("1: a is stale: `x` occurs 2 times in f.rs"));
        assert!(findings(&mutant("b", "y"))[0].contains("testing.md lacks b: cargo xtask mutants --table b"));
        let twice = findings(&(mutant("a", "y") + &mutant("a", "y")));
        assert_eq!(twice, ["7: a second a: choose another name"]);
        assert!(findings("[a]\nSo.\n")[0].starts_with("1: a lacks"));
    }

    #[test]
    fn a_row_without_its_mutant_is_named() {
        let mut found = Vec::new();
        check(&Tree::of(&[(table::PAGE, PAGE)]), &mut found);
        let lines: Vec<(usize, bool)> =
            found.iter().map(|finding| (finding.line, finding.what.contains("called gone"))).collect();
        assert_eq!(lines, [(5, false), (6, true)]);
    }
}
