//! The exchange under load: a child process of our own, or somebody else's.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};

use crate::BenchError;
use crate::keys::Signer;

/// Which exchange to load.
#[derive(Clone, Debug)]
pub enum ExchangeOptions {
    Own(OwnExchange),
    Target(TargetExchange),
}

/// A child process with an empty data folder, removed afterwards.
#[derive(Clone, Debug)]
pub struct OwnExchange {
    /// The `joulebook` program; the command line passes its own.
    pub program: PathBuf,
    pub ack: Ack,
    pub wiring: Wiring,
    /// Where the temporary data folder is made. What it lies on decides how fast durable answers can be.
    pub scratch: PathBuf,
    /// Further arguments of `joulebook serve`.
    pub arguments: Vec<String>,
}

/// An exchange that runs already. Its data folder gives the certificate and the keys of operator and issuer.
#[derive(Clone, Debug)]
pub struct TargetExchange {
    pub gateway: SocketAddr,
    pub operator: SocketAddr,
    pub dir: PathBuf,
}

/// When the exchange answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ack {
    /// After the command is on disk.
    Durable,
    /// At once; nothing is written.
    Memory,
}

/// Which thread of the exchange runs which step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Wiring {
    Auto,
    Inline,
    Threaded,
}

impl Ack {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Durable => "durable",
            Self::Memory => "memory",
        }
    }
}

impl Wiring {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Inline => "inline",
            Self::Threaded => "threaded",
        }
    }
}

impl OwnExchange {
    /// The running program itself, durable, with its data below the system's folder for temporary files.
    pub fn current() -> Result<Self, BenchError> {
        Ok(Self {
            program: std::env::current_exe()?,
            ack: Ack::Durable,
            wiring: Wiring::Auto,
            scratch: std::env::temp_dir(),
            arguments: Vec::new(),
        })
    }
}

/// An exchange that can be reached.
pub struct Exchange {
    pub gateway: SocketAddr,
    pub operator: SocketAddr,
    pub ca: CertificateDer<'static>,
    /// What it printed until it was ready.
    pub startup: Vec<String>,
    dir: PathBuf,
    child: Option<Engine>,
}

struct Engine {
    child: Child,
    /// Lines of its standard output; ends when the process does.
    output: Receiver<String>,
    program: PathBuf,
    /// Removed when dropped.
    _folder: tempfile::TempDir,
}

/// What `--ports-file` holds.
#[derive(Deserialize)]
struct Ports {
    gateway: SocketAddr,
    operator: SocketAddr,
}

/// Start and stop of a healthy exchange with an empty journal take a fraction of this.
const PATIENCE: Duration = Duration::from_secs(30);

impl Exchange {
    pub fn start(options: &ExchangeOptions) -> Result<Self, BenchError> {
        match options {
            ExchangeOptions::Own(own) => Self::spawn(own),
            ExchangeOptions::Target(target) => Ok(Self {
                gateway: target.gateway,
                operator: target.operator,
                ca: read_ca(&target.dir)?,
                startup: Vec::new(),
                dir: target.dir.clone(),
                child: None,
            }),
        }
    }

    fn spawn(own: &OwnExchange) -> Result<Self, BenchError> {
        let folder = tempfile::Builder::new()
            .prefix("joulebook-bench-")
            .tempdir_in(&own.scratch)
            .map_err(BenchError::file("make a folder in", &own.scratch))?;
        let (dir, ports_file) = (folder.path().join("data"), folder.path().join("ports.json"));
        let log = folder.path().join("stderr.log");
        let failed = |what: String| BenchError::Spawn { program: own.program.clone(), what };
        let mut child = Command::new(&own.program)
            .arg("serve")
            .args(["--gateway", "127.0.0.1:0", "--operator", "127.0.0.1:0", "--http", "127.0.0.1:0"])
            .args(["--ack", own.ack.name(), "--wiring", own.wiring.name()])
            .arg("--data")
            .arg(&dir)
            .arg("--ports-file")
            .arg(&ports_file)
            .args(&own.arguments)
            // The throttle protects an exchange from its clients; here it would only measure itself.
            .env("JOULEBOOK_LIMITS__ORDERS_PER_S", "100000000")
            .env("JOULEBOOK_LIMITS__ORDERS_BURST", "100000000")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log).map_err(BenchError::file("create", &log))?)
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let output = lines_of(child.stdout.take().expect("its standard output is piped"));
        let mut engine = Engine { child, output, program: own.program.clone(), _folder: folder };
        let startup = engine.await_ready(&log)?;

        let text = fs::read_to_string(&ports_file).map_err(BenchError::file("read", &ports_file))?;
        let ports: Ports = serde_json::from_str(&text)
            .map_err(|error| BenchError::content(&ports_file, error.to_string()))?;
        let ca = read_ca(&dir)?;
        let child = Some(engine);
        Ok(Self { gateway: ports.gateway, operator: ports.operator, ca, startup, dir, child })
    }

    /// The key of a genesis account, such as `operator`.
    pub fn signer(&self, name: &str) -> Result<Signer, BenchError> {
        Signer::read(&self.dir.join("keys").join(format!("{name}.key")))
    }

    pub fn is_own(&self) -> bool {
        self.child.is_some()
    }

    /// Of the child process; `None` for a target.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(|engine| engine.child.id())
    }

    /// Asks the child to end and checks that it does so cleanly.
    pub fn stop(self) -> Result<(), BenchError> {
        self.child.map_or(Ok(()), Engine::stop)
    }
}

impl Engine {
    /// What the exchange prints until it is ready.
    fn await_ready(&mut self, log: &Path) -> Result<Vec<String>, BenchError> {
        let mut lines = Vec::new();
        loop {
            let what = match self.output.recv_timeout(PATIENCE) {
                Ok(line) => {
                    let ready = line.trim_start().starts_with("ready");
                    lines.push(line);
                    if ready {
                        return Ok(lines);
                    }
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => "it did not say `ready` in time".to_owned(),
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.child.wait()?;
                    let complaint = fs::read_to_string(log).unwrap_or_default();
                    format!("it ended with {status}: {}", complaint.trim())
                }
            };
            return Err(BenchError::Spawn { program: self.program.clone(), what });
        }
    }

    fn stop(mut self) -> Result<(), BenchError> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.expect("a child has a process id");
        kill_process(pid, Signal::TERM).map_err(|error| BenchError::Stop(error.to_string()))?;
        // Its output ends with the process, so waiting for that end needs no clock of ours.
        loop {
            match self.output.recv_timeout(PATIENCE) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    self.child.kill()?;
                    self.child.wait()?;
                    let seconds = PATIENCE.as_secs();
                    return Err(BenchError::Stop(format!("still running {seconds} s after SIGTERM")));
                }
            }
        }
        let status: ExitStatus = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(BenchError::Stop(format!("it ended with {status}"))) }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // After a failed run; a child that has ended already makes both calls no-ops.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Reads a pipe to its end on a thread of its own, so that the child never blocks on it.
fn lines_of(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // Nobody listens after the end of a failed run; the pipe must be drained all the same.
            let _ = sender.send(line);
        }
    });
    receiver
}

fn read_ca(dir: &Path) -> Result<CertificateDer<'static>, BenchError> {
    let path = dir.join("ca.pem");
    CertificateDer::from_pem_file(&path).map_err(|error| BenchError::content(&path, format!("{error:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(program: &str) -> ExchangeOptions {
        let current = OwnExchange::current().unwrap();
        ExchangeOptions::Own(OwnExchange { program: program.into(), ..current })
    }

    #[test]
    fn a_child_that_fails_is_named_with_its_reason() {
        let error = Exchange::start(&own("/nowhere/joulebook")).err().unwrap().to_string();
        assert!(error.contains("/nowhere/joulebook") && error.contains("No such file"), "{error}");
        let error = Exchange::start(&own("/bin/false")).err().unwrap().to_string();
        assert!(error.contains("it ended with exit status: 1"), "{error}");
    }
}
