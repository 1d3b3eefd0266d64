//! Cache misses of a measured part, counted by callgrind, which simulates caches of this machine's sizes: exact for the
//! program, and the same on a busy machine. What the program asks for ahead counts as a miss all the same.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::machine::{Cache, Caches};

/// The function below which misses count.
const MEASURED: &str = "*measured_part*";

/// Per message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Misses {
    pub instructions: f64,
    /// Of instructions, in the first level.
    pub l1i: f64,
    /// Of data, in the first level.
    pub l1d: f64,
    /// Of both, in the second and in the last level.
    pub l2: f64,
    pub last: f64,
}

impl Misses {
    /// For a message that does so many things: per thing.
    pub fn per(self, things: f64) -> Self {
        let Self { instructions, l1i, l1d, l2, last } = self;
        Self {
            instructions: instructions / things,
            l1i: l1i / things,
            l1d: l1d / things,
            l2: l2 / things,
            last: last / things,
        }
    }
}

/// What callgrind counted in one run, with one cache behind the first level.
struct Counted {
    instructions: u64,
    l1i: u64,
    l1d: u64,
    behind: u64,
    messages: u64,
}

/// Runs this program under callgrind, once for each level behind the first one. It has to say when its measured part comes,
/// by [`count_from_here`], and in the end how many messages that was.
///
/// # Panics
/// When callgrind, or the program in it, fails.
pub fn count(arguments: &[&str], caches: &Caches) -> Misses {
    let folder = tempfile::tempdir().expect("a folder for counts");
    let files = ["l2", "last"].map(|name| folder.path().join(name));
    let runs =
        [start(arguments, caches, caches.l2, &files[0]), start(arguments, caches, caches.last, &files[1])];
    let [l2, last] = runs.map(|run| run.wait_with_output().expect("callgrind ends"));
    let [l2, last] = [(l2, &files[0]), (last, &files[1])].map(|(output, file)| {
        assert!(output.status.success(), "callgrind: {}", String::from_utf8_lossy(&output.stderr));
        let counted = fs::read_to_string(file).expect("callgrind writes what it counted");
        Counted::read(&counted, &String::from_utf8_lossy(&output.stdout))
    });
    let per_message = |count: u64| count as f64 / last.messages as f64;
    Misses {
        instructions: per_message(last.instructions),
        l1i: per_message(last.l1i),
        l1d: per_message(last.l1d),
        l2: per_message(l2.behind),
        last: per_message(last.behind),
    }
}

fn start(arguments: &[&str], caches: &Caches, behind: Cache, file: &Path) -> Child {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--cache-sim=yes", "--instr-atstart=no", "--error-exitcode=9"]);
    command.arg(format!("--toggle-collect={MEASURED}"));
    command.args([format!("--I1={}", caches.l1i), format!("--D1={}", caches.l1d), format!("--LL={behind}")]);
    command.arg(format!("--callgrind-out-file={}", file.display()));
    command.arg(std::env::current_exe().expect("this program")).args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("valgrind is installed")
}

/// Begins to simulate caches, which are empty then: what comes before runs about ten times faster.
///
/// # Panics
/// When this process does not run under callgrind.
pub fn count_from_here() {
    let mut control = Command::new("callgrind_control");
    control.arg("--instr=on").arg(std::process::id().to_string()).stdout(Stdio::null());
    let mut control = control.spawn().expect("callgrind's own tool is installed");
    // Who waits in the kernel is not reached by it.
    let status = loop {
        match control.try_wait().expect("an own process") {
            Some(status) => break status,
            None => std::thread::yield_now(),
        }
    };
    assert!(status.success(), "callgrind does not listen");
}

impl Counted {
    fn read(file: &str, said: &str) -> Self {
        let line = |name: &str| {
            file.lines().find_map(|line| line.strip_prefix(name)).expect("what callgrind writes")
        };
        let counts: Vec<(&str, u64)> = line("events: ")
            .split_whitespace()
            .zip(line("totals: ").split_whitespace().map(|count| count.parse().expect("a count")))
            .collect();
        // Events that never happened are left out at the end of the line.
        let count =
            |name: &str| counts.iter().find(|(event, _)| *event == name).map_or(0, |(_, count)| *count);
        let messages = said.lines().find_map(|line| line.strip_suffix(" messages")?.parse().ok());
        Self {
            instructions: count("Ir"),
            l1i: count("I1mr"),
            l1d: count("D1mr") + count("D1mw"),
            behind: count("ILmr") + count("DLmr") + count("DLmw"),
            messages: messages.expect("the program says how many messages it ran"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misses_are_added_up_from_what_callgrind_writes() {
        let file = "version: 1\nevents: Ir Dr Dw I1mr D1mr D1mw ILmr DLmr DLmw\nfn=(1) f\n1 5\ntotals: 900 300 200 7 40 2 1 30\n";
        let counted = Counted::read(file, "a head\n100 messages\n");
        assert_eq!((counted.instructions, counted.l1i, counted.l1d), (900, 7, 42));
        assert_eq!((counted.behind, counted.messages), (31, 100));
    }
}
