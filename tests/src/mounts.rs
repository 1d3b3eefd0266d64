//! Disks of a test's own, in a mount namespace that nobody else sees.

use std::env;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use joulebook_testkit::print_skipped;

/// Names the folder of a test that runs in its own mount namespace.
const FOLDER_VARIABLE: &str = "JOULEBOOK_OWN_MOUNTS";

/// Runs `body`, the whole of the test called `test`, where it may mount what it likes; its folder is on a real disk and
/// removed afterwards. Where no namespace is allowed, says that the test is skipped.
///
/// # Panics
/// When the test fails in there.
pub fn with_own_mounts(test: &str, body: impl FnOnce(&Path)) {
    if let Some(folder) = env::var_os(FOLDER_VARIABLE) {
        return body(Path::new(&folder));
    }
    let folder = tempfile::tempdir().expect("a folder");
    // As root directly, else as root of a user namespace.
    let Some(namespace) = [["-m", "--"], ["-rm", "--"]].into_iter().find(|it| may_mount(it, folder.path()))
    else {
        return print_skipped("no mount namespace");
    };
    // The process is this test alone: a namespace is entered by a process, not by one of its threads.
    let test_binary = env::current_exe().expect("a test is a program");
    let ended = Command::new("unshare")
        .args(namespace)
        .arg(test_binary)
        .args(["--exact", test, "--nocapture"])
        .env(FOLDER_VARIABLE, folder.path())
        .stderr(Stdio::inherit())
        .output()
        .expect("unshare starts");
    // Without what its test runner says: this test counts once.
    for line in String::from_utf8_lossy(&ended.stdout).lines() {
        if !line.is_empty() && !line.starts_with("running ") && !line.starts_with("test ") {
            println!("{line}");
        }
    }
    assert!(ended.status.success(), "{test} failed in its namespace");
}

fn may_mount(namespace: &[&str], on: &Path) -> bool {
    let mut command = Command::new("unshare");
    command.args(namespace).args(["mount", "-t", "tmpfs", "tmpfs"]).arg(on);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// A small file system in memory, and a foreign file on it that takes what others want.
pub struct Disk {
    pub folder: PathBuf,
}

impl Disk {
    /// # Panics
    /// When it cannot be mounted.
    pub fn mount(folder: &Path, mib: u32) -> Self {
        fs::create_dir_all(folder).expect("a folder");
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"])
            .arg(folder)
            .status();
        assert!(status.expect("mount starts").success(), "no tmpfs");
        Self { folder: folder.to_owned() }
    }

    /// Takes all space but so much.
    ///
    /// # Panics
    /// When the file system fails otherwise than by being full.
    pub fn fill_but(&self, kib_left: u64) {
        let mut ballast = File::options().append(true).create(true).open(self.ballast()).expect("a file");
        let chunk = [0xba_u8; 4 << 10];
        let mut length = ballast.metadata().expect("a length").len();
        loop {
            match ballast.write(&chunk) {
                Ok(written) => length += written as u64,
                Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
                Err(error) => panic!("{error}"),
            }
        }
        ballast.set_len(length.saturating_sub(kib_left << 10)).expect("shorter");
    }

    /// Gives it all back.
    ///
    /// # Panics
    /// When there is nothing to give back.
    pub fn make_room(&self) {
        fs::remove_file(self.ballast()).expect("a ballast");
    }

    /// What is on it and what it takes in KiB, for people.
    ///
    /// # Panics
    /// When it cannot be listed.
    pub fn files(&self) -> String {
        let listed = Command::new("du").args(["-ak", "--apparent-size"]).arg(&self.folder).output();
        let free = Command::new("df").arg("-k").arg(&self.folder).output();
        [listed, free].map(|it| String::from_utf8_lossy(&it.expect("it runs").stdout).into_owned()).concat()
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }
}
