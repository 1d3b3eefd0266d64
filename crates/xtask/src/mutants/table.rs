//! The table of defects and the tests that catch them, in the page about testing.

use super::list::Mutant;

/// Where the table lies, from the root of the checkout.
pub const PAGE: &str = "docs/internals/testing.md";

const BEGIN: &str = "<!-- mutants: written by `cargo xtask mutants --table` -->";
const END: &str = "<!-- mutants: end -->";
const HEAD: &str = "| defect | what goes wrong | caught by |\n|---|---|---|\n";

/// More would tell a reader less.
const TESTS_MAX: usize = 3;

/// Who caught a mutant, as it stands in the last column.
pub struct Catch<'a> {
    pub mutant: &'a str,
    pub by: String,
}

/// The last column: some of the tests, and how many more there are.
pub fn caught_by(tests: &[String]) -> String {
    if tests.is_empty() {
        return "`the end of the test process`".to_owned();
    }
    let mut text: Vec<String> = tests.iter().take(TESTS_MAX).map(|test| format!("`{test}`")).collect();
    if tests.len() > TESTS_MAX {
        text.push(format!("{} more", tests.len() - TESTS_MAX));
    }
    text.join(", ")
}

/// The page with a row for each mutant, in the order of the list. Those that did not run keep what their row said.
pub fn rewrite(page: &str, mutants: &[Mutant], catches: &[Catch<'_>]) -> Result<String, String> {
    let (before, table, after) = split(page)?;
    let mut rows = String::new();
    for mutant in mutants {
        let new = catches.iter().find(|catch| catch.mutant == mutant.name).map(|catch| catch.by.as_str());
        let Some(by) = new.or_else(|| last_column(table, &mutant.name)) else { continue };
        rows.push_str(&format!("| `{}` | {} | {by} |\n", mutant.name, mutant.what.replace('|', "\\|")));
    }
    Ok(format!("{before}{BEGIN}\n{HEAD}{rows}{END}{after}"))
}

/// Whether the page says who catches the mutant, and describes it as the list does.
pub fn has_row(page: &str, mutant: &Mutant) -> bool {
    let start = format!("| `{}` | {} | `", mutant.name, mutant.what.replace('|', "\\|"));
    split(page).is_ok_and(|(_, table, _)| table.lines().any(|line| line.starts_with(&start)))
}

/// Names in the table, with their lines in the page.
pub fn names(page: &str) -> Vec<(usize, &str)> {
    let Ok((before, table, _)) = split(page) else { return Vec::new() };
    let first_line = before.lines().count() + 1;
    let name = |line| name_of(line);
    let rows = table.lines().enumerate().filter_map(|(index, line)| Some((first_line + index, name(line)?)));
    rows.collect()
}

fn last_column<'a>(table: &'a str, mutant: &str) -> Option<&'a str> {
    let row = table.lines().find(|line| name_of(line) == Some(mutant))?;
    row.strip_suffix(" |")?.rsplit_once(" | ").map(|(_, by)| by)
}

fn name_of(row: &str) -> Option<&str> {
    row.strip_prefix("| `")?.split_once('`').map(|(name, _)| name)
}

fn split(page: &str) -> Result<(&str, &str, &str), String> {
    let missing = || format!("{PAGE} lacks the marks `{BEGIN}` and `{END}`");
    let (before, rest) = page.split_once(BEGIN).ok_or_else(missing)?;
    let (table, after) = rest.split_once(END).ok_or_else(missing)?;
    Ok((before, table, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutant(name: &str) -> Mutant {
        Mutant { name: name.to_owned(), what: format!("The {name}."), ..Mutant::default() }
    }

    #[test]
    fn rows_are_replaced_kept_and_dropped() {
        let page =
            format!("# Page\n{BEGIN}\n{HEAD}| `a` | Old. | `t` |\n| `gone` | Old. | `t` |\n{END}\nmore\n");
        let mutants = [mutant("a"), mutant("b"), mutant("c")];
        let tests: Vec<String> = ["x::1", "x::2", "x::3", "x::4"].map(str::to_owned).to_vec();
        let catches = [Catch { mutant: "c", by: caught_by(&tests) }];
        let page = rewrite(&page, &mutants, &catches).expect("it has marks");
        let table = "| `a` | The a. | `t` |\n| `c` | The c. | `x::1`, `x::2`, `x::3`, 1 more |\n";
        assert_eq!(page, format!("# Page\n{BEGIN}\n{HEAD}{table}{END}\nmore\n"));
        assert_eq!(names(&page), [(5, "a"), (6, "c")]);
        assert!(has_row(&page, &mutants[0]) && !has_row(&page, &mutants[1]) && has_row(&page, &mutants[2]));
        let renamed = Mutant { what: "Another.".to_owned(), ..mutant("a") };
        assert!(!has_row(&page, &renamed), "the row says something else");
    }

    #[test]
    fn a_page_without_marks_is_refused() {
        assert!(rewrite("# Page\n", &[], &[]).expect_err("no marks").contains(PAGE));
        assert_eq!(names("# Page\n"), []);
    }
}
