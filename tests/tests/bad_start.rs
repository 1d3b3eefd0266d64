//! Folders, ports and settings that a daemon cannot work with: one clear line each, and nothing changed.
#![forbid(unsafe_code)]

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use joulebook_testkit::Xoshiro256pp;
use joulebook_tests::{
    Daemon, Market, ahead_minute, block_on, connect, http_get, http_json_until, joulebook, limit, run,
    run_command,
};
use joulebook_types::Side;

/// The last line that a daemon prints that does not start.
fn refusal(dir: &Path, flags: &[&str]) -> String {
    let Err(printed) = Daemon::try_start(dir, flags) else { panic!("it starts with {flags:?}") };
    assert!(!printed.contains("panicked"), "{printed}");
    let lines: Vec<&str> = printed.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(lines.len(), 1, "one line per problem: {printed}");
    lines[0].to_owned()
}

/// An exchange with some orders, stopped in order.
fn with_orders(dir: &Path) {
    let daemon = Daemon::start(dir, &[]);
    block_on(async {
        let market = Market::open(&daemon).await;
        let instrument = market.list(Market::hour("H200S", ahead_minute(24))).await;
        let (alice, _events) = connect(&daemon, "alice", 1, |it| it.cancel_on_disconnect_ms = u32::MAX).await;
        for cents in 200..240 {
            alice.place(limit(instrument, Side::Buy, 1, cents)).await.expect("accepted");
        }
        alice.close().await;
    });
    let (status, printed) = daemon.stop();
    assert!(status.success(), "{printed}");
}

/// The 40 orders are still there.
fn has_orders(dir: &Path) {
    let daemon = Daemon::start(dir, &[]);
    let bids = |book: &serde_json::Value| book["bids"].as_array().map(Vec::len);
    http_json_until(daemon.http, "/api/book/1", |book| bids(book) == Some(40));
    let (status, printed) = daemon.stop();
    assert!(status.success(), "{printed}");
}

#[test]
fn a_folder_of_another_version_is_left_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    with_orders(dir.path());
    let (path, version) = (dir.path().display(), dir.path().join("VERSION"));
    let ours = fs::read(&version).expect("a version");

    fs::write(&version, "joulebook data 9\n").expect("written");
    let error = refusal(dir.path(), &[]);
    let want = format!(
        "error: {path} was written for data version \"9\", and this program uses version 1: start the version of \
         joulebook that wrote it, or choose another folder"
    );
    assert_eq!(error, want);
    let replay = run(&["replay", dir.path().to_str().expect("UTF-8")]);
    assert_eq!(String::from_utf8_lossy(&replay.stderr), want + "\n");
    assert_eq!(replay.status.code(), Some(1));

    fs::remove_file(&version).expect("removed");
    let error = refusal(dir.path(), &[]);
    assert!(error.starts_with(&format!("error: {path} has a journal but no file VERSION")), "{error}");

    fs::write(&version, ours).expect("written");
    has_orders(dir.path());
}

#[test]
fn a_port_in_use_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    with_orders(dir.path());
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a UDP port");
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a TCP port");
    let (udp, tcp) = (
        udp.local_addr().map(|at| (udp, at)).expect("bound"),
        tcp.local_addr().map(|at| (tcp, at)).expect("bound"),
    );
    let remedy = "is in use: stop the other process or choose another port";
    let cases = [
        ("gateway.listen", udp.1, format!("error: public endpoint: UDP address {} {remedy}", udp.1)),
        (
            "gateway.operator_listen",
            udp.1,
            format!("error: operator endpoint: UDP address {} {remedy}", udp.1),
        ),
        ("http.listen", tcp.1, format!("error: tcp {} {remedy} (--http ADDR)", tcp.1)),
    ];
    for (key, address, want) in cases {
        assert_eq!(refusal(dir.path(), &["--set", &format!("{key}={address}")]), want);
    }
    has_orders(dir.path());
}

#[test]
fn a_folder_has_one_daemon() {
    let dir = tempfile::tempdir().expect("a folder");
    let first = Daemon::start(dir.path(), &[]);
    let want = format!(
        "error: {} is in use by another joulebook daemon (process {}): stop that one, or choose another folder",
        dir.path().display(),
        first.pid()
    );
    assert_eq!(refusal(dir.path(), &[]), want);
    assert_eq!(http_get(first.http, "/readyz").status, 200, "the first one goes on");
    first.kill();
    Daemon::start(dir.path(), &[]).kill();
}

#[test]
fn a_flipped_bit_is_found_and_never_cut_away() {
    let dir = tempfile::tempdir().expect("a folder");
    with_orders(dir.path());
    let segment = first_segment(dir.path());
    let intact = fs::read(&segment).expect("a segment");
    // Zeros may be padding behind a group; everything else says something. The last group is the closing marker, which
    // nothing that follows vouches for.
    let said: Vec<usize> = (0..intact.len()).filter(|at| intact[*at] != 0).collect();
    let said: Vec<usize> =
        said.iter().copied().filter(|at| at / 4_096 < said[said.len() - 1] / 4_096).collect();
    let mut random = Xoshiro256pp::from_seed(0xf11b);
    for _ in 0..8 {
        let (at, bit) = (*random.pick(&said), random.below(8));
        let mut damaged = intact.clone();
        damaged[at] ^= 1 << bit;
        fs::write(&segment, &damaged).expect("written");
        let error = refusal(dir.path(), &[]);
        // A damaged header of the file itself has its own words; all name the file.
        assert!(error.contains(segment.to_str().expect("UTF-8")), "byte {at}, bit {bit}: {error}");
        if at >= 4_096 {
            let named = error.split(", byte ").nth(1).and_then(|rest| rest.split(':').next()?.parse().ok());
            let named: usize = named.unwrap_or_else(|| panic!("no offset: {error}"));
            assert!(named <= at && at - named < 64 << 10, "byte {at} is far from the one named: {error}");
            assert!(error.contains("nothing was changed"), "{error}");
        }
        let replay = run(&["replay", dir.path().to_str().expect("UTF-8")]);
        assert!(!replay.status.success(), "byte {at}, bit {bit}: replayed all the same");
        assert!(fs::read(&segment).expect("a segment") == damaged, "the evidence was changed");
    }
    fs::write(&segment, &intact).expect("written");
    has_orders(dir.path());
}

fn first_segment(dir: &Path) -> PathBuf {
    let entries = fs::read_dir(dir.join("journal")).expect("a journal");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|it| it == "seg")).min().expect("a segment")
}

#[test]
fn exposed_keys_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    with_orders(dir.path());
    let expose = |name: &str, mode| {
        let path = dir.path().join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("permissions");
        path.display().to_string()
    };
    for name in ["tls/leaf.key", "tls/reset.key"] {
        let path = expose(name, 0o644);
        let want = format!("error: {path} is readable by others (mode 0644): run `chmod 600 {path}`");
        assert_eq!(refusal(dir.path(), &[]), want);
        expose(name, 0o600);
    }
    // Clients are as strict with theirs.
    let daemon = Daemon::start(dir.path(), &[]);
    let path = expose("keys/alice.key", 0o640);
    let account = run(&["account", "--dir", dir.path().to_str().expect("UTF-8"), "--as", "alice"]);
    let want = format!("error: {path} is readable by others (mode 0640): run `chmod 600 {path}`\n");
    assert_eq!(String::from_utf8_lossy(&account.stderr), want);
    expose("keys/alice.key", 0o600);
    let account = run(&["account", "--dir", dir.path().to_str().expect("UTF-8"), "--as", "alice"]);
    assert!(account.status.success(), "{}", String::from_utf8_lossy(&account.stderr));
    drop(daemon);
    has_orders(dir.path());
}

#[test]
fn bad_settings_say_where_they_are() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("joulebook.toml");
    let config = file.to_str().expect("UTF-8").to_owned();
    let cases: &[(&str, &str)] = &[
        ("[journal]\nsegment_mb = 1\n", ":2: unknown key `segment_mb`: did you mean `segment_mib`?"),
        ("[engin]\nwiring = \"auto\"\n", ":1: unknown section `engin`: did you mean `engine`?"),
        ("[http]\nlisten = \"here\"\n", ":2: `http.listen`: invalid socket address syntax"),
        ("[journal\n", ":1: "),
    ];
    for (text, want) in cases {
        fs::write(&file, text).expect("written");
        let error = refusal(dir.path(), &["--config", &config]);
        assert!(error.starts_with(&format!("error: {config}{want}")), "{text:?}: {error}");
    }
    let flags: &[(&[&str], &str)] = &[
        (
            &["--ack", "later"],
            "error: flag --ack: `later`: unknown variant `later`, expected `durable` or `memory`",
        ),
        (&["--wiring", "soldered"], "error: flag --wiring: `soldered`: unknown variant `soldered`"),
        (
            &["--set", "limits.orders_per_s=many"],
            "error: flag --set limits.orders_per_s=many: `many` is no whole number",
        ),
        (&["--set", "limits.orders_per_s=0"], "error: limits.orders_per_s = 0: must be at least 1"),
        (&["--set", "nonsense"], "error: --set nonsense: write KEY=VALUE"),
        (&["--config", "/nonexistent/joulebook.toml"], "error: cannot read /nonexistent/joulebook.toml: "),
    ];
    for (flags, want) in flags {
        let error = refusal(dir.path(), flags);
        assert!(error.starts_with(want), "{flags:?}: {error}");
    }
    let mut serve = joulebook(&["serve", "--data", dir.path().to_str().expect("UTF-8")]);
    serve.env("JOULEBOOK_GATEWAY__LISTEN", "everywhere");
    let ended = run_command(serve);
    let error = String::from_utf8_lossy(&ended.stderr).into_owned();
    let want = "error: environment variable JOULEBOOK_GATEWAY__LISTEN: `everywhere`: invalid socket address";
    assert!(error.starts_with(want) && ended.status.code() == Some(1), "{error}");
    let unknown = run(&["serve", "--wirring", "inline"]);
    let error = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(error.contains("--wirring") && error.contains("--wiring"), "{error}");
    assert_eq!(unknown.status.code(), Some(2));
    assert!(!dir.path().join("journal").exists(), "nothing was made on the way");
}

#[test]
fn help_is_for_every_command() {
    let help = run(&["--help"]);
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(help.status.success(), "{text}");
    let (_, commands) = text.split_once("Commands:\n").expect("a list of commands");
    let commands = commands.lines().take_while(|line| !line.is_empty());
    let names: Vec<&str> = commands
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.contains(&"serve") && names.contains(&"replay") && names.len() >= 8, "{names:?}");
    for name in names {
        let help = run(&["help", name]);
        let text = String::from_utf8_lossy(&help.stdout);
        assert!(help.status.success() && text.contains("Usage: "), "help {name}: {text}");
        let flag = run(&[name, "--help"]);
        assert!(flag.status.success() || name == "help", "{name} --help");
    }
    let version = run(&["--version"]);
    assert!(String::from_utf8_lossy(&version.stdout).starts_with("joulebook "), "{version:?}");
    assert_eq!(run(&[]).status.code(), Some(2), "no command is a mistake");
}
