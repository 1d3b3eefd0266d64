//! `strace` around a daemon: it tells what the daemon asks of the disk and when, lets calls fail, or kills the daemon in the
//! middle of one. The real binary is none the wiser.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use joulebook_testkit::print_skipped;

/// How to watch a daemon, and what to do to it.
pub struct Strace {
    folder: PathBuf,
    options: Vec<String>,
}

/// A call that the daemon made.
#[derive(Clone, Debug)]
pub struct SystemCall {
    pub thread: u32,
    pub name: String,
    /// The rest of the line: arguments with the paths of files, result.
    pub text: String,
    /// Nanoseconds since 1970.
    pub begun_ns: u64,
    pub ended_ns: u64,
    /// `None` when the call never came back.
    pub result: Option<i64>,
}

impl SystemCall {
    /// The file of a call whose first argument is a descriptor.
    pub fn file(&self) -> Option<&str> {
        let (_, rest) = self.text.split_once('<')?;
        rest.split_once('>').map(|(path, _)| path)
    }
}

impl Strace {
    /// What it sees goes to files in `folder`. `None`, and a line that says so, where there is no `strace` or it may not
    /// trace.
    pub fn available(folder: &Path) -> Option<Self> {
        let traced = Command::new("strace")
            .args(["-f", "-q", "-o", "/dev/null", "true"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        match traced {
            Ok(status) if status.success() => {
                fs::create_dir_all(folder).expect("a folder for what strace says");
                Some(Self { folder: folder.to_owned(), options: Vec::new() })
            }
            Ok(_) => {
                print_skipped("strace may not trace");
                None
            }
            Err(_) => {
                print_skipped("no strace");
                None
            }
        }
    }

    /// Stops the daemon only at the calls that are traced, at the price that nothing can be killed.
    pub fn light(mut self) -> Self {
        self.options.push("--seccomp-bpf".to_owned());
        self
    }

    /// Watches these calls, comma separated.
    pub fn trace(self, calls: &str) -> Self {
        self.option("-e", format!("trace={calls}"))
    }

    /// Does `what` (`error=EIO`, `signal=SIGKILL`, `delay_enter=1000`) to calls of that name. `when` counts in each thread
    /// by itself.
    pub fn inject(self, call: &str, what: &str, when: &str) -> Self {
        self.option("-e", format!("inject={call}:{what}:when={when}"))
    }

    fn option(mut self, name: &str, value: String) -> Self {
        self.options.extend([name.to_owned(), value]);
        self
    }

    /// `command` under the eyes of `strace`, still a child of whoever spawns it.
    pub(crate) fn around(&self, command: &Command) -> Command {
        let mut traced = self.command();
        // Detached: the daemon is our child, so its process id and its end are what they are without strace.
        traced.arg("-D").arg(command.get_program()).args(command.get_args());
        traced
    }

    /// Goes to a daemon that runs already; returns when it watches all threads.
    pub fn attach(&self, process: u32) -> Attached {
        let mut command = self.command();
        command.args(["-p", &process.to_string()]).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("strace starts");
        let mut said = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        while !line.contains("attached") {
            line.clear();
            assert_ne!(said.read_line(&mut line).expect("readable"), 0, "strace ended instead of watching");
        }
        // Somebody must empty the pipe.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Attached(child)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("strace");
        // One file per thread, so that no line is torn by another thread's.
        command.args(["-f", "-ff", "-y", "-T", "--syscall-times=ns"]);
        command.arg("--absolute-timestamps=format:unix,precision:ns");
        command.arg("-o").arg(self.folder.join("calls")).args(&self.options);
        command
    }

    /// What it saw, in the order in which the calls began. Complete once the daemon was waited for.
    pub fn calls(&self) -> Vec<SystemCall> {
        let mut calls = Vec::new();
        for entry in fs::read_dir(&self.folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let thread = path.extension().and_then(|number| number.to_str()?.parse().ok());
            let thread = thread.expect("one file per thread");
            let text = fs::read(&path).expect("readable");
            let text = String::from_utf8_lossy(&text);
            calls.extend(text.lines().filter_map(|line| read_call(thread, line)));
        }
        calls.sort_by_key(|call| call.begun_ns);
        calls
    }
}

/// An `strace` that ends with the daemon that it watches.
pub struct Attached(Child);

impl Drop for Attached {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `1795417462.016184118 fdatasync(15</path>) = 0 <0.000123456>`; `None` for signals and ends of threads.
fn read_call(thread: u32, line: &str) -> Option<SystemCall> {
    let (time, rest) = line.split_once(' ')?;
    let begun_ns = nanoseconds(time)?;
    let (name, text) = rest.split_once('(')?;
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return None;
    }
    let result =
        text.rsplit_once(" = ").and_then(|(_, result)| result.split([' ', '<']).next()?.parse().ok());
    let took = line.rsplit_once('<').and_then(|(_, took)| nanoseconds(took.strip_suffix('>')?));
    let ended_ns = begun_ns + took.unwrap_or(0);
    Some(SystemCall { thread, name: name.to_owned(), text: text.to_owned(), begun_ns, ended_ns, result })
}

/// Seconds with nine digits behind the point.
fn nanoseconds(text: &str) -> Option<u64> {
    let (seconds, fraction) = text.split_once('.')?;
    let seconds: u64 = seconds.parse().ok()?;
    (fraction.len() == 9).then_some(())?;
    seconds.checked_mul(1_000_000_000)?.checked_add(fraction.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_strace_are_understood() {
        let sync = "1795417462.016184118 fdatasync(15</j/1.seg>) = 0 <0.000123456>";
        let call = read_call(7, sync).expect("a call");
        assert_eq!((call.thread, call.name.as_str(), call.result), (7, "fdatasync", Some(0)));
        assert_eq!((call.ended_ns - call.begun_ns, call.file()), (123_456, Some("/j/1.seg")));
        let opened =
            "1.000000003 openat(AT_FDCWD</>, \"/j/1.seg\", O_RDONLY|O_DIRECT) = 9</j/1.seg> <0.000000010>";
        assert_eq!(read_call(7, opened).expect("a call").result, Some(9));
        let failed =
            "1.000000002 fdatasync(15</j/1.seg>) = -1 EIO (Input/output error) (INJECTED) <0.000000001>";
        let call = read_call(7, failed).expect("a call");
        assert_eq!((call.begun_ns, call.ended_ns, call.result), (1_000_000_002, 1_000_000_003, Some(-1)));
        assert_eq!(read_call(7, "1.000000002 fdatasync(15</j/1.seg>) = ?").expect("a call").result, None);
        for other in
            ["1.000000002 +++ exited with 0 +++", "1.000000002 --- SIGTERM {si_signo=SIGTERM} ---", ""]
        {
            assert!(read_call(7, other).is_none(), "{other}");
        }
    }
}
