//! The real binary as a child process, for end-to-end tests.
#![forbid(unsafe_code)]

mod http;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

pub use http::{HttpAnswer, http_get, http_request};

/// A running `joulebook serve`. Dropping it kills it.
pub struct Daemon {
    child: Child,
    stdout: BufReader<ChildStdout>,
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

impl Daemon {
    /// Starts on free ports with small journal files, and waits for the line that says it is ready.
    ///
    /// # Panics
    /// When it does not become ready; what it printed is in the message.
    pub fn start(dir: &Path, args: &[&str]) -> Self {
        let mut daemon = Self::try_start(dir, args).unwrap_or_else(|printed| panic!("no daemon: {printed}"));
        let ports: serde_json::Value =
            serde_json::from_slice(&std::fs::read(dir.join("ports.json")).expect("a ports file"))
                .expect("JSON");
        let address =
            |name: &str| ports[name].as_str().and_then(|text| text.parse().ok()).expect("an address");
        (daemon.gateway, daemon.operator, daemon.http) =
            (address("gateway"), address("operator"), address("http"));
        daemon
    }

    /// As [`Self::start`], but gives back what was printed when the daemon ends instead of becoming ready.
    pub fn try_start(dir: &Path, args: &[&str]) -> Result<Self, String> {
        let ports = dir.join("ports.json");
        let mut command = joulebook(&["serve", "--gateway", "127.0.0.1:0", "--operator", "127.0.0.1:0"]);
        command.args(["--http", "127.0.0.1:0", "--set", "journal.segment_mib=1"]);
        command.arg("--data").arg(dir).arg("--ports-file").arg(&ports).args(args);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut printed = String::new();
        loop {
            let start = printed.len();
            if stdout.read_line(&mut printed).expect("text") == 0 {
                let output = child.wait_with_output().expect("it ended");
                return Err(format!("{printed}{}", String::from_utf8_lossy(&output.stderr)));
            }
            if printed[start..].starts_with("ready in ") {
                break;
            }
        }
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Ok(Self { child, stdout, gateway: nowhere, operator: nowhere, http: nowhere, dir: dir.to_owned() })
    }

    /// SIGKILL: nothing can be flushed, nothing can be said.
    pub fn kill(mut self) {
        self.child.kill().expect("it ran");
        self.child.wait().expect("it ended");
    }

    /// SIGTERM, and everything that it still prints.
    pub fn stop(mut self) -> (ExitStatus, String) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        assert!(sent.success());
        let mut printed = String::new();
        std::io::Read::read_to_string(&mut self.stdout, &mut printed).expect("text");
        (self.child.wait().expect("it ended"), printed)
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
