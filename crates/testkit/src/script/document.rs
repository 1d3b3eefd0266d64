//! Pages with examples: every fenced block marked `market` is a script with its answers.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::{Answer, Exchange, Heard, Market};

/// The mark of a block that is executed.
const FENCE: &str = "```market";
/// Set to 1, it makes [`run_page`] write what was said into the page instead of comparing.
const BLESS: &str = "JOULEBOOK_BLESS";

/// One script of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The number of its first line in the page, from 1.
    pub line: usize,
    /// What stands between the fences.
    pub lines: Vec<String>,
}

/// What one script said on one exchange.
#[derive(Debug, Default)]
pub struct Run {
    /// The block with the answers that were given.
    pub lines: Vec<String>,
    /// Everything, in order.
    pub heard: Vec<Heard>,
}

/// The blocks of a page.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for (index, line) in page.lines().enumerate() {
        if open && line.trim_end() == "```" {
            open = false;
        } else if open {
            let block = blocks.last_mut().expect("a block is open");
            block.lines.push(line.to_owned());
        } else if line.trim_end() == FENCE {
            open = true;
            blocks.push(Block { line: index + 2, lines: Vec::new() });
        }
    }
    blocks
}

impl Block {
    /// Runs the script in a fresh market. Comments (`//`) and empty lines stay, answers are those given now.
    pub fn run<E: Exchange>(&self, exchange: E) -> Result<Run, String> {
        let mut market = Market::new(exchange);
        let mut run = Run::default();
        for (index, line) in self.lines.iter().enumerate() {
            if let Some(command) = line.strip_prefix("> ") {
                run.lines.push(line.clone());
                let text = command.split_once(" //").map_or(command, |(text, _)| text).trim();
                let place = |why| format!("line {}: `{text}`: {why}", self.line + index);
                let Answer { lines, heard } = market.run(text).map_err(place)?;
                run.lines.extend(lines);
                run.heard.extend(heard);
            } else if line.trim().is_empty() || line.starts_with("//") {
                run.lines.push(line.clone());
            }
        }
        Ok(run)
    }

    /// Where the answers that the page shows differ from those that were given.
    fn difference(&self, run: &Run) -> Option<String> {
        if self.lines == run.lines {
            return None;
        }
        let same = self.lines.iter().zip(&run.lines).take_while(|(page, said)| page == said).count();
        let command = run.lines[..same.min(run.lines.len())].iter().rev().find(|line| line.starts_with("> "));
        let answer = |lines: &[String]| {
            let rest = lines.get(same..).unwrap_or_default().iter();
            let shown: Vec<String> =
                rest.take_while(|line| !line.starts_with("> ")).map(|line| format!("    {line}\n")).collect();
            if shown.is_empty() { "    (nothing more)\n".to_owned() } else { shown.concat() }
        };
        let after = command.map_or("", String::as_str);
        let (page, said) = (answer(&self.lines), answer(&run.lines));
        Some(format!("line {}, after `{after}`\n  the page says\n{page}  was said\n{said}", self.line + same))
    }
}

/// One way to run a script: the name of an engine, and a run on a fresh one.
pub type Runner<'a> = (&'a str, &'a dyn Fn(&Block) -> Result<Run, String>);

/// Runs every block of the page at `path` with every runner. All must say the same, event by event, and what the page
/// shows. Returns the runs of the first runner.
///
/// With `JOULEBOOK_BLESS=1` the page is rewritten with what the first runner said, which is no proof that it is right.
///
/// # Errors
/// All differences, with their places in the page.
pub fn run_page(path: &Path, runners: &[Runner<'_>]) -> Result<Vec<Run>, String> {
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let page = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let bless = std::env::var_os(BLESS).is_some_and(|value| value == "1");
    let mut runs = Vec::new();
    let mut problems = Vec::new();
    let blocks = blocks(&page);
    for block in &blocks {
        let (run, problem) = run_block(block, runners);
        let as_shown = if bless || problem.is_some() { None } else { block.difference(&run) };
        problems.extend(problem.or(as_shown));
        runs.push(run);
    }
    if bless {
        fs::write(path, with_answers(&page, &runs))
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    if problems.is_empty() {
        return Ok(runs);
    }
    let all: Vec<String> = problems.into_iter().map(|problem| format!("{name}, {problem}")).collect();
    Err(all.join("\n"))
}

/// Runs one block everywhere. Returns what the first runner said; that another says something else is a problem.
fn run_block(block: &Block, runners: &[Runner<'_>]) -> (Run, Option<String>) {
    let mut first: Option<(&str, Run)> = None;
    for (name, runner) in runners {
        // An engine that stops is a problem of its block; the others still run.
        let run = catch_unwind(AssertUnwindSafe(|| runner(block)))
            .unwrap_or_else(|_| Err(format!("line {}: the engine stopped in this block", block.line)));
        match (run, &first) {
            (Err(problem), _) => {
                let as_it_was = || Run { lines: block.lines.clone(), heard: Vec::new() };
                let run = first.map_or_else(as_it_was, |(_, run)| run);
                return (run, Some(format!("{problem} ({name})")));
            }
            (Ok(run), None) => first = Some((name, run)),
            (Ok(run), Some((_, one))) if one.heard == run.heard && one.lines == run.lines => {}
            (Ok(run), Some((other, one))) => {
                let problem = disagreement(block, (other, one), (name, &run));
                return (first.map(|(_, run)| run).unwrap_or_default(), Some(problem));
            }
        }
    }
    let nobody = first.is_none().then(|| "nothing runs the page".to_owned());
    (first.map(|(_, run)| run).unwrap_or_default(), nobody)
}

/// The first lines that differ, or, when they read alike, the first events.
fn disagreement(block: &Block, (one_name, one): (&str, &Run), (other_name, other): (&str, &Run)) -> String {
    let as_page = Block { line: block.line, lines: one.lines.clone() };
    let how = as_page.difference(other).map_or_else(
        || {
            let at = one.heard.iter().zip(&other.heard).take_while(|(one, other)| one == other).count();
            let (one, other) = (one.heard.get(at), other.heard.get(at));
            format!("event {at}\n  {one_name}: {one:?}\n  {other_name}: {other:?}")
        },
        |lines| {
            let lines = lines.replace("the page says", &format!("{one_name} says"));
            lines.replace("was said", &format!("{other_name} says"))
        },
    );
    format!("the engines disagree in the block at line {}: {how}", block.line)
}

/// The page with the blocks' contents replaced.
fn with_answers(page: &str, runs: &[Run]) -> String {
    let mut text = String::new();
    let mut runs = runs.iter();
    let mut open = false;
    for line in page.lines() {
        if open && line.trim_end() != "```" {
            continue;
        }
        text.push_str(line);
        text.push('\n');
        if open {
            open = false;
        } else if line.trim_end() == FENCE {
            open = true;
            for said in runs.next().map_or(&[][..], |run| &run.lines) {
                text.push_str(said);
                text.push('\n');
            }
        }
    }
    text
}
