//! Every command of `docs/operate.md`, in its order, as an operator would type them.
#![forbid(unsafe_code)]

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use joulebook_tests::{Daemon, Shown, shown_commands};

#[test]
fn every_command_works() {
    let dir = tempfile::tempdir().expect("a folder");
    let bin = dir.path().join("bin");
    std::fs::create_dir(&bin).expect("ours");
    symlink(joulebook_testkit::joulebook_binary(), bin.join("joulebook")).expect("ours");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("a path"));
    let data = dir.path().join("joulebook-data");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operate.md");
    let (mut daemon, mut ran) = (None, 0);
    for Shown { command, exits_with } in shown_commands(&page) {
        match command.as_str() {
            // In the background, as in a terminal of its own, and on free ports.
            "joulebook serve" => {
                assert!(daemon.is_none(), "two daemons on one folder");
                daemon = Some(Daemon::start(&data, &[]));
            }
            "kill -TERM $(cat joulebook-data/LOCK)" => {
                let (status, printed) = daemon.take().expect("it runs").stop();
                assert!(status.success(), "{printed}");
            }
            line => {
                let mut shell = Command::new("sh");
                shell.args(["-c", line]).current_dir(dir.path()).env("PATH", &path);
                let output = shell.output().expect("a shell");
                let said = format!(
                    "`{line}`: {}{}",
                    String::from_utf8_lossy(&output.stdout),
                    String::from_utf8_lossy(&output.stderr)
                );
                assert_eq!(output.status.code(), Some(exits_with), "{said}");
            }
        }
        ran += 1;
    }
    assert!(ran > 20, "only {ran} commands were found");
}
