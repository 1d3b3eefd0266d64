//! The commands that pages of the documentation show.

use std::path::Path;

/// A command of a console block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub command: String,
    /// What the page says that it exits with: `# exits with 1`; 0 if it says nothing.
    pub exits_with: i32,
}

/// The lines after `$ ` in a page's console blocks, without their comments.
///
/// # Panics
/// When there is no such page.
pub fn shown_commands(page: &Path) -> Vec<Shown> {
    let text = std::fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
    let mut inside = false;
    let mut commands = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if let Some(line) = line.strip_prefix("$ ").filter(|_| inside) {
            let (command, comment) = line.split_once(" #").unwrap_or((line, ""));
            let code = comment.split_once("exits with ").and_then(|(_, code)| code.split_whitespace().next());
            let exits_with =
                code.map_or(0, |code| code.trim_end_matches([',', ':']).parse().expect("a code"));
            commands.push(Shown { command: command.trim().to_owned(), exits_with });
        }
    }
    commands
}
