//! The list of planted defects, read from the text files beside this crate.

use std::fmt;

/// Where the list lies, from the root of the checkout.
pub const FOLDER: &str = "crates/xtask/mutants/";

/// A defect that a test must catch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mutant {
    pub name: String,
    /// What goes wrong, in a sentence or two.
    pub what: String,
    pub edits: Vec<Edit>,
    pub tests: Vec<TestRun>,
    /// Line of its heading.
    pub line: usize,
}

/// A change of one line of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// From the root of the checkout.
    pub file: String,
    /// Occurs exactly once.
    pub find: String,
    pub replace: String,
}

/// Tests of one test binary.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TestRun {
    pub package: String,
    /// A file or folder in the package's `tests`, or `lib` for the tests beside the code.
    pub target: String,
    /// As the test runner takes them: a test runs when its path contains one of them. None means all tests.
    pub filters: Vec<String>,
}

impl Edit {
    /// The file's text with the defect, or why the defect does not fit the code any more.
    pub fn apply(&self, text: &str) -> Result<String, String> {
        match text.matches(&self.find).count() {
            1 => Ok(text.replacen(&self.find, &self.replace, 1)),
            count => {
                let Self { file, find, .. } = self;
                Err(format!("stale: `{find}` occurs {count} times in {file}, not once: bring it up to date"))
            }
        }
    }
}

impl Mutant {
    /// Applies all edits to what `text_of` says about each file. Gives the changed files.
    pub fn apply<'a>(
        &self,
        text_of: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Vec<(String, String)>, String> {
        let mut changed: Vec<(String, String)> = Vec::new();
        for edit in &self.edits {
            let done = changed.iter().position(|(file, _)| *file == edit.file);
            let before = match done {
                Some(index) => changed[index].1.as_str(),
                None => text_of(&edit.file).ok_or_else(|| format!("stale: there is no {}", edit.file))?,
            };
            let after = edit.apply(before)?;
            match done {
                Some(index) => changed[index].1 = after,
                None => changed.push((edit.file.clone(), after)),
            }
        }
        Ok(changed)
    }

    fn lacks(&self) -> Option<&'static str> {
        let is_in_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || !self.name.chars().all(is_in_name) {
            return Some("a name of a-z, 0-9 and -");
        }
        if self.what.is_empty() {
            return Some("a sentence that says what goes wrong");
        }
        if self.edits.is_empty() {
            return Some("`find:` and `replace:`");
        }
        self.tests.is_empty().then_some("`tests:`")
    }
}

impl TestRun {
    /// One of its tests, as the table names it.
    pub fn full_name(&self, test: &str) -> String {
        let crate_name = self.package.strip_prefix("joulebook-").unwrap_or(&self.package);
        format!("{crate_name} {} {test}", self.target)
    }
}

impl fmt::Display for TestRun {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filters: String = self.filters.iter().map(|filter| format!(" {filter}")).collect();
        write!(formatter, "{} {}{filters}", self.package, self.target)
    }
}

/// The tests of all mutants, each binary once.
pub fn union_of_tests(mutants: &[&Mutant]) -> Vec<TestRun> {
    let mut runs: Vec<TestRun> = Vec::new();
    for run in mutants.iter().flat_map(|mutant| &mutant.tests) {
        let same = |known: &&mut TestRun| known.package == run.package && known.target == run.target;
        match runs.iter_mut().find(same) {
            Some(known) if run.filters.is_empty() => known.filters.clear(),
            Some(known) if known.filters.is_empty() => {}
            Some(known) => known.filters.extend(run.filters.iter().cloned()),
            None => runs.push(run.clone()),
        }
    }
    for run in &mut runs {
        run.filters.sort();
        run.filters.dedup();
    }
    runs
}

/// Reads one file of the list. An error names the line.
pub fn parse(text: &str) -> Result<Vec<Mutant>, (usize, String)> {
    let mut parser = Parser::default();
    for (index, line) in text.lines().enumerate() {
        parser.line(index + 1, line.trim_end()).map_err(|what| (index + 1, what))?;
    }
    parser.finish()?;
    Ok(parser.mutants)
}

#[derive(Default)]
struct Parser {
    mutants: Vec<Mutant>,
    file: Option<String>,
    find: Option<String>,
}

impl Parser {
    fn line(&mut self, number: usize, line: &str) -> Result<(), String> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            self.finish().map_err(|(_, what)| what)?;
            self.mutants.push(Mutant { name: name.to_owned(), line: number, ..Mutant::default() });
            self.file = None;
            return Ok(());
        }
        let mutant = self.mutants.last_mut().ok_or("before the first `[name]`")?;
        if let Some(file) = value_of(line, "file") {
            self.file = Some(file.to_owned());
        } else if let Some(find) = value_of(line, "find") {
            if find.is_empty() || self.find.replace(find.to_owned()).is_some() {
                return Err("each `find:` has a text and its own `replace:`".to_owned());
            }
        } else if let Some(replace) = value_of(line, "replace") {
            let file = self.file.clone().ok_or("`file:` comes first")?;
            let find = self.find.take().ok_or("`find:` comes first")?;
            mutant.edits.push(Edit { file, find, replace: replace.to_owned() });
        } else if let Some(run) = value_of(line, "tests") {
            mutant.tests.push(test_run(run).ok_or("`tests:` wants a package and `lib` or a test binary")?);
        } else {
            let space = if mutant.what.is_empty() { "" } else { " " };
            mutant.what.push_str(space);
            mutant.what.push_str(line);
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), (usize, String)> {
        let Some(last) = self.mutants.last() else { return Ok(()) };
        let lacks = if self.find.is_some() { Some("a `replace:`") } else { last.lacks() };
        lacks.map_or(Ok(()), |lacks| Err((last.line, format!("{} lacks {lacks}", last.name))))
    }
}

/// What follows `key:` and one blank; blanks after it belong to the text.
fn value_of<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(key)?.strip_prefix(':')?;
    Some(rest.strip_prefix(' ').unwrap_or(rest))
}

fn test_run(words: &str) -> Option<TestRun> {
    let mut words = words.split_whitespace().map(str::to_owned);
    Some(TestRun { package: words.next()?, target: words.next()?, filters: words.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# A group.\n\n[late-fee]\nThe fee is\ntaken twice.\nfile: a.rs\nfind:  - fee;\nreplace: - 2 * fee;\n\
                        tests: p rules fees:: holds::\ntests: p lib\n";

    #[test]
    fn a_mutant_is_read() {
        let mutants = parse(GOOD).expect("it is well formed");
        let run = |target: &str, filters: &[&str]| TestRun {
            package: "p".to_owned(),
            target: target.to_owned(),
            filters: filters.iter().map(|filter| (*filter).to_owned()).collect(),
        };
        let edit =
            Edit { file: "a.rs".to_owned(), find: " - fee;".to_owned(), replace: "- 2 * fee;".to_owned() };
        let want = Mutant {
            name: "late-fee".to_owned(),
            what: "The fee is taken twice.".to_owned(),
            edits: vec![edit],
            tests: vec![run("rules", &["fees::", "holds::"]), run("lib", &[])],
            line: 3,
        };
        assert_eq!(mutants, [want]);
    }

    #[test]
    fn what_is_missing_is_named_with_its_line() {
        let cases = [
            ("file: a.rs\n", 1, "before the first `[name]`"),
            ("[a]\nSo.\nfind: x\n", 1, "a lacks a `replace:`"),
            ("[a]\nSo.\nreplace: y\n", 3, "`file:` comes first"),
            ("[a]\nSo.\nfile: f\nfind: x\nfind: y\n", 5, "each `find:` has"),
            ("[a]\nfile: f\nfind: x\nreplace: y\ntests: p lib\n", 1, "a lacks a sentence"),
            ("[a]\nSo.\nfile: f\nfind: x\nreplace:\n[b]\n", 6, "a lacks `tests:`"),
            ("[a]\nSo.\nfile: f\ntests: p\n", 4, "`tests:` wants"),
            ("[a]\nSo.\ntests: p lib\n", 1, "a lacks `find:`"),
            ("[A b]\nSo.\n", 1, "A b lacks a name"),
        ];
        for (text, line, what) in cases {
            let (at, error) = parse(text).expect_err(text);
            assert_eq!(at, line, "{text}");
            assert!(error.starts_with(what), "{error}");
        }
    }

    #[test]
    fn a_text_that_does_not_occur_once_is_stale() {
        let mutants = parse(GOOD).expect("it is well formed");
        let apply = |text| mutants[0].apply(move |_: &str| text);
        let changed = apply(Some("let a = b - fee;\n")).expect("it occurs once");
        assert_eq!(changed, [("a.rs".to_owned(), "let a = b- 2 * fee;\n".to_owned())]);
        assert!(apply(Some("")).expect_err("nowhere").contains("occurs 0 times in a.rs"));
        assert!(apply(Some("a - fee; b - fee;")).expect_err("twice").contains("occurs 2 times"));
        assert!(apply(None).expect_err("no file").contains("there is no a.rs"));
    }

    #[test]
    fn edits_of_one_file_add_up() {
        let text = "[a]\nSo.\nfile: f\nfind: x\nreplace: y\nfind: z\nreplace: w\ntests: p lib\n";
        let mutants = parse(text).expect("it is well formed");
        let changed = mutants[0].apply(|_| Some("x z")).expect("both occur");
        assert_eq!(changed, [("f".to_owned(), "y w".to_owned())]);
    }

    #[test]
    fn each_binary_runs_once_unpatched() {
        let text = "[a]\nSo.\nfile: f\nfind: x\nreplace: y\ntests: p rules one\ntests: p lib two\n\
                    [b]\nSo.\nfile: f\nfind: x\nreplace: y\ntests: p rules two one\ntests: p lib\n";
        let mutants = parse(text).expect("it is well formed");
        let union = union_of_tests(&mutants.iter().collect::<Vec<_>>());
        let lines: Vec<String> = union.iter().map(TestRun::to_string).collect();
        assert_eq!(lines, ["p rules one two", "p lib"]);
    }
}
