//! A headless Chromium, spoken to over its debugging pipe: what a person's browser would make of a page.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::PATIENCE;

/// Dropping it closes the browser.
pub struct Browser {
    child: Child,
    requests: File,
    messages: Receiver<Value>,
    last_id: u64,
    /// What the page or the browser complained about.
    complaints: Vec<String>,
    _folder: TempDir,
}

/// The shell gives the browser its two descriptors: requests on 3, messages on 4.
const START: &str = r#"exec "$0" "$@" 3<requests 4>messages"#;

const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
    "--user-data-dir=profile",
];

impl Browser {
    /// `None` where no browser is installed.
    pub fn start() -> Option<Self> {
        let program = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
            let version =
                Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
            version.is_ok_and(|status| status.success())
        })?;
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = |name: &str| {
            let path = folder.path().join(name);
            let made = Command::new("mkfifo").arg(&path).status().expect("mkfifo runs");
            assert!(made.success());
            // For both directions, because opening one would wait for the other side.
            OpenOptions::new().read(true).write(true).open(path).expect("a pipe")
        };
        let (requests, answers) = (pipe("requests"), pipe("messages"));
        let mut command = Command::new("sh");
        command.args(["-c", START, program]).args(FLAGS).current_dir(folder.path());
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("a shell");
        let messages = messages_of(answers);
        Some(Self { child, requests, messages, last_id: 0, complaints: Vec::new(), _folder: folder })
    }

    /// Opens the page and gives its document as soon as `ready`, an expression in JavaScript, is true in it.
    ///
    /// # Panics
    /// When that does not happen in time, or when the page has an error.
    pub fn document_when(&mut self, url: &str, ready: &str) -> String {
        let target = self.call(None, "Target.createTarget", json!({ "url": url })).expect("a page");
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = self.call(None, "Target.attachToTarget", attach).expect("a session");
        let session = attached["sessionId"].as_str().expect("an id").to_owned();
        for domain in ["Runtime.enable", "Log.enable"] {
            self.call(Some(&session), domain, json!({})).expect("enabled");
        }
        let expression = format!(
            "new Promise(done => {{
                const look = () => ({ready}) ? done(document.documentElement.outerHTML) : setTimeout(look, 20);
                look();
            }})"
        );
        let evaluate = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let deadline = Instant::now() + PATIENCE;
        loop {
            let evaluated = self.call(Some(&session), "Runtime.evaluate", evaluate.clone());
            assert!(self.complaints.is_empty(), "{:#?}", self.complaints);
            match evaluated.as_ref().map(|result| &result["result"]["value"]) {
                Ok(Value::String(document)) => return document.clone(),
                // The blank page that came before the right one.
                _ => assert!(Instant::now() < deadline, "{evaluated:?}"),
            }
        }
    }

    fn call(&mut self, session: Option<&str>, method: &str, params: Value) -> Result<Value, Value> {
        self.last_id += 1;
        let mut request = json!({ "id": self.last_id, "method": method, "params": params });
        if let Some(session) = session {
            request["sessionId"] = session.into();
        }
        let mut bytes = request.to_string().into_bytes();
        bytes.push(0);
        self.requests.write_all(&bytes).expect("the browser reads");
        loop {
            let message = self.messages.recv_timeout(PATIENCE);
            let mut message = message.unwrap_or_else(|_| panic!("the browser does not answer {method}"));
            if message["id"] == self.last_id {
                let result = message["result"].take();
                return if result.is_null() { Err(message["error"].take()) } else { Ok(result) };
            }
            let failed = message["method"] == "Runtime.exceptionThrown"
                || message["params"]["entry"]["level"] == "error"
                || message["params"]["type"] == "error";
            if failed {
                self.complaints.push(message.to_string());
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Already gone at worst.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Messages end with a zero byte. The thread ends with the process: the pipe stays open for us.
fn messages_of(pipe: File) -> Receiver<Value> {
    let (sender, messages) = channel();
    std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        loop {
            let mut bytes = Vec::new();
            match pipe.read_until(0, &mut bytes) {
                Ok(1..) => {}
                _ => return,
            }
            bytes.pop();
            let Ok(message) = serde_json::from_slice(&bytes) else { return };
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    messages
}
