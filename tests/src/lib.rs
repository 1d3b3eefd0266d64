//! The real binary as a child process, for end-to-end tests.
#![forbid(unsafe_code)]

mod browser;
mod http;
mod market;
mod mounts;
mod pages;
mod raw;
mod strace;
mod trader;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

pub use browser::Browser;
pub use http::{HttpAnswer, http_get, http_json_until, http_request};
pub use market::{ALICE, BOB, CAROL, Market, ahead_minute, block_on, connect, in_time, limit, now};
pub use mounts::{Disk, with_own_mounts};
pub use pages::{Shown, shown_commands};
pub use raw::{RawConnection, RawStream, Received, Signer};
pub use strace::{Attached, Strace, SystemCall};
pub use trader::{AckCounter, AckLog, Tally, Trader, Traders};

/// Nothing that a healthy exchange does takes longer, however busy the machine is.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running `joulebook serve`. Dropping it kills it.
pub struct Daemon {
    child: Child,
    lines: Receiver<String>,
    stderr: File,
    /// Not in the data folder, whose disk may be full.
    ports: NamedTempFile,
    pub gateway: SocketAddr,
    pub operator: SocketAddr,
    pub http: SocketAddr,
    pub dir: PathBuf,
}

/// `joulebook` with `args`, ready to be spawned.
pub fn joulebook(args: &[&str]) -> Command {
    let mut command = Command::new(joulebook_testkit::joulebook_binary());
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs `joulebook` to its end, which must come soon.
///
/// # Panics
/// When it does not end.
pub fn run(args: &[&str]) -> Output {
    run_command(joulebook(args))
}

/// As [`run`], with whatever else the command was given.
///
/// # Panics
/// When it does not end.
pub fn run_command(command: Command) -> Output {
    run_within(command, PATIENCE)
}

/// As [`run_command`], for what may take its time.
///
/// # Panics
/// When it takes longer.
pub fn run_within(mut command: Command, patience: Duration) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let (mut stdout, mut stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let (done, ended) = channel();
    std::thread::spawn(move || {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let read = stdout.read_to_end(&mut out).and_then(|_| stderr.read_to_end(&mut err));
        // Nobody waits any more only after the panic below.
        let _ = done.send(read.map(|_| (out, err)));
    });
    let Ok(read) = ended.recv_timeout(patience) else {
        let _ = child.kill();
        panic!("{command:?} did not end within {patience:?}");
    };
    let (stdout, stderr) = read.expect("readable pipes");
    Output { status: child.wait().expect("it ended"), stdout, stderr }
}

/// A UDP port that is free now and that no other socket gets by chance: it lies below those that the system hands out.
pub fn steady_port() -> u16 {
    let mut random = joulebook_testkit::Xoshiro256pp::from_seed(u64::from(std::process::id()) ^ now().raw());
    loop {
        let port = random.between(15_000, 30_000) as u16;
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// # Panics
/// When there is no such process.
pub fn send_signal(process: u32, signal: &str) {
    let sent = Command::new("kill").args([&format!("-{signal}"), &process.to_string()]).status();
    assert!(sent.expect("kill runs").success(), "no process {process}");
}

/// `joulebook serve` on free ports with small journal files.
fn serve(dir: &Path, ports: &Path, args: &[&str]) -> Command {
    let mut command = joulebook(&["serve", "--gateway", "127.0.0.1:0", "--operator", "127.0.0.1:0"]);
    command.args(["--http", "127.0.0.1:0", "--set", "journal.segment_mib=1"]);
    command.arg("--data").arg(dir).arg("--ports-file").arg(ports).args(args);
    command
}

impl Daemon {
    /// Starts on free ports with small journal files, and waits for the line that says it is ready.
    ///
    /// # Panics
    /// When it does not become ready; what it printed is in the message.
    pub fn start(dir: &Path, args: &[&str]) -> Self {
        let mut daemon = Self::try_start(dir, args).unwrap_or_else(|printed| panic!("no daemon: {printed}"));
        daemon.read_ports();
        daemon
    }

    /// As [`Self::start`], with `strace` around it.
    ///
    /// # Panics
    /// When it does not become ready; what it printed is in the message.
    pub fn start_traced(dir: &Path, args: &[&str], strace: &Strace) -> Self {
        let mut daemon = Self::try_start_traced(dir, args, strace)
            .unwrap_or_else(|printed| panic!("no daemon: {printed}"));
        daemon.read_ports();
        daemon
    }

    fn read_ports(&mut self) {
        let ports: serde_json::Value =
            serde_json::from_slice(&std::fs::read(self.ports.path()).expect("a ports file")).expect("JSON");
        let address =
            |name: &str| ports[name].as_str().and_then(|text| text.parse().ok()).expect("an address");
        (self.gateway, self.operator, self.http) = (address("gateway"), address("operator"), address("http"));
    }

    /// As [`Self::start`], but gives back what was printed when the daemon ends instead of becoming ready.
    /// `--set SECTION.KEY=VALUE` in `args` wins over the ports and the size of the journal's files.
    pub fn try_start(dir: &Path, args: &[&str]) -> Result<Self, String> {
        let ports = NamedTempFile::new().expect("a temporary file");
        Self::spawn(dir, serve(dir, ports.path(), args), ports)
    }

    /// As [`Self::try_start`], with `strace` around it.
    pub fn try_start_traced(dir: &Path, args: &[&str], strace: &Strace) -> Result<Self, String> {
        let ports = NamedTempFile::new().expect("a temporary file");
        Self::spawn(dir, strace.around(&serve(dir, ports.path(), args)), ports)
    }

    fn spawn(dir: &Path, mut command: Command, ports: NamedTempFile) -> Result<Self, String> {
        // A file, because a pipe that nobody empties would in the end stop the daemon.
        let mut stderr = tempfile::tempfile().expect("a temporary file");
        command.stderr(stderr.try_clone().expect("a second handle"));
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let lines = lines_of(child.stdout.take().expect("piped"));
        let mut printed = String::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let problem = match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.starts_with("ready in ") => break,
                Ok(line) => {
                    printed += &line;
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => "",
                Err(RecvTimeoutError::Timeout) => {
                    let _ = child.kill();
                    "neither ready nor ended in time\n"
                }
            };
            child.wait().expect("it ended");
            return Err(format!("{printed}{}{problem}", text_of(&mut stderr)));
        }
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let dir = dir.to_owned();
        Ok(Self { child, lines, stderr, ports, gateway: nowhere, operator: nowhere, http: nowhere, dir })
    }

    /// SIGKILL: nothing can be flushed, nothing can be said.
    pub fn kill(mut self) {
        self.child.kill().expect("it ran");
        self.child.wait().expect("it ended");
    }

    /// As [`Self::kill`], and returns when the `strace` around it has ended too.
    ///
    /// # Panics
    /// When it does not end.
    pub fn kill_traced(mut self) {
        self.child.kill().expect("it ran");
        self.wait();
    }

    /// SIGTERM, and everything that it still prints.
    ///
    /// # Panics
    /// When it does not end.
    pub fn stop(mut self) -> (ExitStatus, String) {
        self.terminate();
        self.wait()
    }

    /// SIGTERM. It ends when it has said goodbye to everybody.
    pub fn terminate(&self) {
        send_signal(self.child.id(), "TERM");
    }

    /// Waits for the end, and gives everything that it still prints.
    ///
    /// # Panics
    /// When it does not end.
    pub fn wait(&mut self) -> (ExitStatus, String) {
        let mut printed = String::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => printed += &line,
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("the daemon does not end; it said: {printed}"),
            }
        }
        (self.child.wait().expect("it ended"), printed)
    }

    /// What it logged so far.
    pub fn stderr(&self) -> String {
        text_of(&mut self.stderr.try_clone().expect("a second handle"))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn key(&self, name: &str) -> PathBuf {
        self.dir.join("keys").join(format!("{name}.key"))
    }

    pub fn ca(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Already ended in the usual case; a failed test must not leave a daemon behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a pipe, line ends included, read on a thread of their own so that waiting for one can time out.
fn lines_of(stdout: ChildStdout) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        loop {
            let mut line = String::new();
            match stdout.read_line(&mut line) {
                Ok(1..) if sender.send(line).is_ok() => {}
                _ => return,
            }
        }
    });
    lines
}

fn text_of(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes)).expect("a readable file");
    String::from_utf8_lossy(&bytes).into_owned()
}
