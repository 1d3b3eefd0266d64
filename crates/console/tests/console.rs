//! A real console on a real socket, fed with the bytes that the engine emits.

mod support;

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::Arc;

use joulebook_console::{Check, Health, Latency, LatencySource};
use joulebook_metrics::CommandOutcome;
use joulebook_types::{InstrumentId, Phase, Side};
use serde_json::{Value, json};
use support::{B200, Bench, H200, Pushed, TPU, WebSocket};

fn close(value: &Value, expected: f64) -> bool {
    value.as_f64().is_some_and(|value| (value - expected).abs() < 1e-6)
}

fn vendor<'a>(frame: &'a Value, name: &str) -> &'a Value {
    frame["vendors"].as_array().unwrap().iter().find(|vendor| vendor["name"] == name).unwrap()
}

#[test]
fn the_page_is_served_with_its_parts() {
    let bench = Bench::start();
    let cases = [
        ("/", "text/html; charset=utf-8", "<title>joulebook</title>"),
        ("/app.js", "text/javascript; charset=utf-8", "new WebSocket"),
        ("/style.css", "text/css; charset=utf-8", ":root"),
        ("/icon.svg", "image/svg+xml", "<svg"),
        ("/uplot/uPlot.iife.min.js", "text/javascript; charset=utf-8", "uPlot"),
        ("/uplot/uPlot.min.css", "text/css; charset=utf-8", ".uplot"),
        ("/uplot/LICENSE", "text/plain; charset=utf-8", "MIT"),
    ];
    for (path, content_type, part) in cases {
        let answer = bench.get(path);
        assert_eq!((answer.status, answer.header("content-type")), (200, content_type), "{path}");
        assert!(answer.text().contains(part), "{path}");
        assert_eq!(answer.header("cache-control"), "no-cache", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && policy.contains("script-src 'self'"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("//"), "{policy}");
    }
    bench.console.stop();
}

#[test]
fn other_addresses_and_methods_are_refused_in_json() {
    let bench = Bench::start();
    let address = bench.console.address();
    let cases = [
        ("GET", "/nothing", 404),
        ("GET", "/api/book/77", 404),
        ("GET", "/api/book/one", 404),
        ("GET", "/api/book/99999999999", 404),
        ("GET", "/../Cargo.toml", 404),
        ("GET", "/ws", 426),
        ("POST", "/", 405),
        ("POST", "/api/state", 405),
        ("DELETE", "/api/book/1", 405),
        ("PUT", "/metrics", 405),
        ("POST", "/nothing", 404),
    ];
    for (method, path, status) in cases {
        let answer = support::request(address, method, path);
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(answer.json()["error"].is_string(), "{method} {path}");
    }
    let head = support::request(address, "HEAD", "/api/state");
    assert_eq!((head.status, head.body.len()), (200, 0));
    bench.console.stop();
}

#[test]
fn the_best_price_per_mtok_is_the_lowest_over_the_yields() {
    let bench = Bench::start();
    let empty = bench.json("/api/state");
    assert_eq!(vendor(&empty, "NVIDIA")["price_per_mtok"], Value::Null);
    assert_eq!(empty["book"], Value::Null);

    bench.feed(&support::price_war());
    let state = bench.json("/api/state");
    // 13.00 EC/AH over 15.387 Mtok/AH; the B200 stand at 45 / 45.724 = 0.984.
    let nvidia = vendor(&state, "NVIDIA");
    assert!(close(&nvidia["price_per_mtok"], 0.844_869), "{nvidia}");
    assert!(close(&nvidia["price_per_ah"], 13.0), "{nvidia}");
    let google = vendor(&state, "Google");
    assert!(close(&google["price_per_mtok"], 0.923_076), "{google}");
    assert_eq!(state["model"], "llama2-70b/server");

    // A dearer hour can be the cheaper token: 38 / 45.724 = 0.831.
    bench.feed(&[support::rest(B200, Side::Sell, "38.00", 1)]);
    let state = bench.json("/api/state");
    assert!(close(&vendor(&state, "NVIDIA")["price_per_mtok"], 0.831_073));
    assert!(close(&vendor(&state, "NVIDIA")["price_per_ah"], 38.0));

    // What does not trade does not count, and what leaves the book neither.
    bench.feed(&[support::phase(B200, Phase::Halted), support::remove(H200, Side::Sell, "13.00")]);
    let state = bench.json("/api/state");
    assert!(close(&vendor(&state, "NVIDIA")["price_per_ah"], 13.5));
    bench.console.stop();
}

#[test]
fn shares_count_tokens_not_lots() {
    let bench = Bench::start();
    bench.feed(&support::price_war());
    bench.feed(&[support::trade(H200, Side::Buy, "13.00", 2), support::trade(TPU, Side::Sell, "12.00", 5)]);
    let state = bench.json("/api/state");

    // Lots of eight accelerators for an hour: 2 x 8 x 15,387 ktok against 5 x 8 x 13,000 ktok.
    let (nvidia, google) = (246.192, 520.0);
    for (name, mtok) in [("NVIDIA", nvidia), ("Google", google)] {
        let row = vendor(&state, name);
        for (share, sold) in [("share", "mtok"), ("share_10s", "mtok_10s")] {
            assert!(close(&row[sold], mtok), "{row}");
            assert!(close(&row[share], mtok / (nvidia + google)), "{row}");
        }
    }
    let tape = state["tape"].as_array().unwrap();
    assert_eq!(tape.len(), 2);
    assert_eq!((&tape[0]["symbol"], &tape[0]["side"]), (&json!("TPU6E.DE.20261124T1400.H"), &json!("sell")));
    assert_eq!((&tape[1]["price"], &tape[1]["qty"]), (&json!(13.0), &json!(2)));
    assert_eq!(state["counters"]["trades"], 2);
    bench.console.stop();
}

#[test]
fn the_state_has_the_shape_that_the_page_reads() {
    let bench = Bench::start();
    bench.feed(&support::price_war());
    let (gateway, core) = (bench.metrics.gateway(0), bench.metrics.core());
    core.applied_seq.set(48_112);
    core.committed_seq.set(48_110);
    gateway.connections.set(3);
    gateway.sessions.set(2);
    gateway.answered(CommandOutcome::Accepted);
    gateway.rejected(23);

    let state = bench.json("/api/state");
    assert!(state["t"].as_u64().unwrap() > 1_700_000_000_000);
    assert_eq!(state["seq"], 48_112);
    let engine = json!({"scenario": "demo: NVIDIA vs Google price war", "seed": 42, "ack_mode": "durable",
        "wiring": "inline", "committed": 48_110});
    assert_eq!(state["engine"], engine);
    let first = json!({"id": 1, "symbol": "H200S.DE.20261124T1400.H", "bid": 12.9, "ask": 13.0, "last": null,
        "phase": "open", "auction": null});
    assert_eq!(state["instruments"][0], first);
    let book = json!({"id": 1, "symbol": "H200S.DE.20261124T1400.H", "phase": "open", "auction": null,
        "bids": [[12.9, 7, 1]], "asks": [[13.0, 12, 1], [13.5, 4, 1]]});
    assert_eq!(state["book"], book);
    let counters = json!({"commands": 2, "trades": 0, "rejects": 1, "connections": 3, "sessions": 2, "resting_orders": 5});
    assert_eq!(state["counters"], counters);
    assert_eq!(state["latency_us"], Value::Null);
    bench.console.stop();
}

#[test]
fn halts_and_auctions_are_shown_with_their_crossed_books() {
    let bench = Bench::start();
    bench.feed(&support::price_war());
    bench.feed(&[support::phase(H200, Phase::Halted), support::rest(H200, Side::Buy, "13.20", 5)]);
    let state = bench.json("/api/state");
    let row = &state["instruments"][0];
    assert_eq!((&row["phase"], &row["bid"], &row["ask"]), (&json!("halted"), &json!(13.2), &json!(13.0)));
    assert_eq!(state["book"]["id"], 2, "who has not chosen sees an open one");
    assert!(close(&vendor(&state, "NVIDIA")["price_per_ah"], 45.0), "nobody can buy where it is halted");

    // The call: nothing would trade, then 5 lots would, and 7 sellers more would find nobody.
    let call = [support::phase(H200, Phase::Auction), support::indication(H200, "0.00", 0, 0)];
    bench.feed(&call);
    let none = json!({"price": null, "volume": 0, "surplus": 0});
    assert_eq!(bench.json("/api/book/1")["auction"], none);
    bench.feed(&[support::indication(H200, "13.00", 5, -7)]);
    let book = bench.json("/api/book/1");
    assert_eq!(book["auction"], json!({"price": 13.0, "volume": 5, "surplus": -7}));
    assert_eq!((&book["phase"], &book["bids"][0][0]), (&json!("auction"), &json!(13.2)));
    assert_eq!(bench.json("/api/instruments")["instruments"][0]["auction"]["volume"], 5);

    let uncross = [
        support::auction_trade(H200, "13.00", 5),
        support::remove(H200, Side::Buy, "13.20"),
        support::phase(H200, Phase::Open),
    ];
    bench.feed(&uncross);
    let state = bench.json("/api/state");
    assert_eq!((&state["tape"][0]["side"], &state["tape"][0]["qty"]), (&json!("auction"), &json!(5)));
    assert_eq!(state["counters"]["trades"], 1);
    let row = &state["instruments"][0];
    assert_eq!((&row["phase"], &row["auction"], &row["last"]), (&json!("open"), &json!(null), &json!(13.0)));
    assert!(vendor(&state, "NVIDIA")["mtok"].as_f64().unwrap() > 0.0, "what an auction sells is sold");

    let halts = [H200, B200, TPU].map(|instrument| support::phase(instrument, Phase::Halted));
    bench.feed(&halts);
    assert_eq!(
        bench.json("/api/state")["book"]["id"],
        1,
        "with none open, one that is halted is better than none"
    );
    bench.console.stop();
}

struct Outside;

impl LatencySource for Outside {
    fn latency(&self) -> Option<Latency> {
        Some(Latency { p50_us: 46.1, p99_us: 118.0, p999_us: 240.0 })
    }

    fn description(&self) -> String {
        "Intended send to answer received.".to_owned()
    }
}

#[test]
fn a_latency_source_replaces_the_servers_own_view() {
    let bench = Bench::start();
    bench.state.set_latency_source(Some(Arc::new(Outside)));
    let state = bench.json("/api/state");
    assert_eq!(state["latency_us"], json!({"p50": 46.1, "p99": 118.0, "p999": 240.0}));
    assert_eq!(state["latency_note"], "Intended send to answer received.");
    bench.console.stop();
}

#[test]
fn instruments_books_and_history_answer_on_their_own() {
    let bench = Bench::start();
    bench.feed(&support::price_war());
    let instruments = bench.json("/api/instruments");
    let first = &instruments["instruments"][0];
    assert_eq!(first["class"], "H200S");
    assert_eq!(first["vendor"], "NVIDIA");
    assert_eq!(first["yield_ktok"], 15_387);
    assert_eq!(first["phase"], "open");
    assert_eq!(instruments["instruments"].as_array().unwrap().len(), 3);
    assert_eq!(bench.json("/api/book/3")["asks"], json!([[12.0, 9, 1]]));

    // Settled instruments leave; closed ones are kept for those who ask, but not on the page.
    bench.feed(&[support::phase(TPU, Phase::Settled), support::phase(B200, Phase::Closed)]);
    assert_eq!(bench.get("/api/book/3").status, 404);
    assert_eq!(bench.get("/api/book/2").status, 200);
    assert_eq!(bench.json("/api/state")["instruments"].as_array().unwrap().len(), 1);

    let history = bench.json("/api/history");
    let columns = ["t", "nvidia", "google", "nvidia_ah", "google_ah"];
    let lengths: Vec<usize> = columns.iter().map(|name| history[name].as_array().unwrap().len()).collect();
    assert!(lengths.iter().all(|length| *length == lengths[0]), "{lengths:?}");
    bench.console.stop();
}

#[test]
fn frames_that_are_no_public_event_are_passed_over() {
    let bench = Bench::start();
    let mut heartbeat = Vec::new();
    joulebook_protocol::encode(&joulebook_protocol::messages::Heartbeat::default(), &mut heartbeat);
    let noise: [&[u8]; 4] = [b"", b"\0\0\0", &[0xff; 64], &heartbeat];
    bench.state.apply_public(noise);
    // A definition whose window is off the grid cannot be named, so it is not listed.
    bench.feed(&[support::phase(H200, Phase::Open), support::trade(H200, Side::Buy, "1", 1)]);
    let unnamed = joulebook_protocol::messages::InstrumentDefinition::default();
    bench.feed(&[unnamed.into()]);
    assert_eq!(bench.json("/api/instruments"), json!({"instruments": []}));
    bench.console.stop();
}

#[test]
fn health_says_which_check_fails() {
    let bench = Bench::start();
    let alive = bench.get("/healthz");
    assert_eq!((alive.status, &alive.json()["ok"]), (200, &json!(true)));
    let starting = bench.get("/readyz");
    assert_eq!((starting.status, &starting.json()["ready"]), (503, &json!(false)));

    let passed = |reason: &str| Check::passed(reason);
    bench.state.set_health(Health {
        journal: passed("last sync took 410 us"),
        gateway: passed("127.0.0.1:7717"),
        replay: passed("48,112 commands"),
        snapshots: Check::failed("the newest is damaged"),
    });
    let ready = bench.get("/readyz");
    assert_eq!((ready.status, &ready.json()["checks"]["snapshots"]["ok"]), (200, &json!(false)));

    bench.state.update_health(|health| health.journal = Check::failed("disk full; orders are refused"));
    let failing = bench.get("/readyz");
    assert_eq!(failing.status, 503);
    let checks = &failing.json()["checks"];
    assert_eq!(checks["journal"], json!({"ok": false, "reason": "disk full; orders are refused"}));
    assert_eq!(checks["gateway"]["ok"], true);
    assert_eq!(bench.get("/healthz").status, 200);
    bench.console.stop();
}

#[test]
fn frames_come_by_themselves_with_the_chosen_book() {
    let bench = Bench::start();
    bench.feed(&support::price_war());
    let mut socket = WebSocket::open(bench.console.address());
    let (first, second) = (socket.json(), socket.json());
    assert_eq!(first["book"]["id"], 1);
    assert!(first["t"].as_u64() < second["t"].as_u64());
    let keys = |frame: &Value| frame.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&first), keys(&bench.json("/api/state")));

    socket.send("no choice");
    socket.send(r#"{"book":3}"#);
    let chosen = (0..8).map(|_| socket.json()).find(|frame| frame["book"]["id"] == 3);
    assert_eq!(chosen.expect("the choice is heard")["book"]["asks"], json!([[12.0, 9, 1]]));
    socket.send(r#"{"book":99}"#);
    assert!((0..8).any(|_| socket.json()["book"].is_null()), "an unknown book is no book");

    bench.console.stop();
    let last = loop {
        match socket.receive() {
            Pushed::Json(_) => {}
            last => break last,
        }
    };
    assert!(matches!(last, Pushed::Close(1001)), "{last:?}");
}

#[test]
fn the_history_gets_a_point_every_second() {
    let bench = Bench::start();
    bench.feed(&support::price_war());
    let mut socket = WebSocket::open(bench.console.address());
    let history = (0..40)
        .map(|_| {
            socket.json();
            bench.json("/api/history")
        })
        .find(|history| {
            history["nvidia"].as_array().unwrap().iter().filter(|price| close(price, 0.844_869)).count() == 2
        })
        .expect("two seconds pass within forty frames");
    let last = |name: &str| history[name].as_array().unwrap().last().unwrap().clone();
    assert!(
        close(&last("nvidia_ah"), 13.0)
            && close(&last("google"), 0.923_076)
            && close(&last("google_ah"), 12.0)
    );
    let times: Vec<u64> = history["t"].as_array().unwrap().iter().map(|t| t.as_u64().unwrap()).collect();
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
    bench.console.stop();
}

#[test]
fn sockets_are_bounded_and_for_our_own_page() {
    let bench = Bench::start();
    let address = bench.console.address();
    let own = format!("http://{address}");
    assert_eq!(WebSocket::try_open(address, Some("http://elsewhere.example")).0, 403);
    assert_eq!(WebSocket::try_open(address, Some("null")).0, 403);
    assert_eq!(WebSocket::try_open(address, Some(&own)).0, 101);

    // One frame each, so that every place is really taken; the socket above gives its place back when it is seen gone.
    let mut open: Vec<WebSocket> = (0..31).map(|_| WebSocket::open(address)).collect();
    open.iter_mut().for_each(|socket| _ = socket.json());
    let mut refused = std::iter::from_fn(|| {
        let (status, _, socket) = WebSocket::try_open(address, None);
        open.push(socket);
        Some(status)
    });
    assert!(refused.by_ref().take(2).any(|status| status == 503), "32 pages and no more");
    bench.console.stop();
}

#[test]
fn a_client_that_floods_is_dropped() {
    let bench = Bench::start();
    let mut socket = WebSocket::open(bench.console.address());
    (0..200).for_each(|_| socket.send(r#"{"book":1}"#));
    let ended = (0..8).any(|_| !matches!(socket.receive(), Pushed::Json(_)));
    assert!(ended);
    bench.console.stop();
}

#[test]
fn a_client_that_does_not_read_is_dropped_and_slows_nobody() {
    let bench = Bench::start();
    // Frames of about a megabyte, so that the kernel's buffers are soon full.
    let listed: Vec<_> = (1..12_000)
        .map(|id| support::instrument(InstrumentId::new(id), "H200S.DE.20261124T1400.H", 8))
        .collect();
    bench.feed(&listed);
    let mut silent = WebSocket::open(bench.console.address());
    let mut reader = WebSocket::open(bench.console.address());
    for _ in 0..24 {
        assert_eq!(reader.json()["instruments"].as_array().unwrap().len(), listed.len());
    }
    let ended = (0..40).any(|_| matches!(silent.receive(), Pushed::End));
    assert!(ended, "its frames go on");
    reader.json();
    bench.console.stop();
}

#[test]
fn a_stop_does_not_wait_for_the_silent() {
    let bench = Bench::start();
    let address = bench.console.address();
    let _silent = TcpStream::connect(address).unwrap();
    assert_eq!(bench.get("/healthz").status, 200);
    bench.console.stop();
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}

/// One line of a scrape: the series with its labels, and the value.
fn series(line: &str) -> (&str, f64) {
    let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
    let plain = name.split('{').next().unwrap();
    assert!(
        plain.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'),
        "{line}"
    );
    assert!(plain.len() == name.len() || name.ends_with('}'), "{line}");
    (name, value.parse().unwrap_or_else(|_| panic!("no number: {line}")))
}

#[test]
fn metrics_are_valid_open_metrics() {
    let bench = Bench::start();
    bench.feed(&support::price_war());
    bench.feed(&[support::trade(TPU, Side::Buy, "12.00", 5)]);
    let gateway = bench.metrics.gateway(0);
    gateway.rejected(23);
    gateway.frames_in.add(7);
    [40, 40_000, 41_000, 3_000_000_000, 1 << 36].into_iter().for_each(|ns| gateway.ack.record(ns));

    let answer = bench.get("/metrics");
    assert_eq!(answer.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let text = answer.text();
    assert!(text.ends_with("# EOF\n"));

    let mut families = BTreeMap::new();
    let mut values = BTreeMap::new();
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(families.insert(name, kind).is_none(), "{name} is declared twice");
        } else if let Some(help) = line.strip_prefix("# HELP ") {
            assert!(help.ends_with('.') && !help.ends_with(".."), "{help}");
        } else {
            let (name, value) = series(line);
            assert!(values.insert(name, value).is_none(), "{name} comes twice");
            let family = families.iter().any(|(family, _)| name.starts_with(family));
            assert!(family, "{name} has no family");
        }
    }
    assert_eq!(values["joulebook_frames_total{direction=\"in\"}"], 7.0);
    assert_eq!(values["joulebook_rejects_total{reason=\"QtyZero\",code=\"23\"}"], 1.0);
    assert_eq!(values["joulebook_best_offer_micro_ec_per_mtok{vendor=\"NVIDIA\"}"], 844_869.0);
    assert_eq!(values["joulebook_sold_kilo_tokens_total{vendor=\"Google\"}"], 520_000.0);
    assert_eq!(values["joulebook_trades_total"], 1.0);
    assert_eq!(values["joulebook_ready"], 0.0);

    let prefix = "joulebook_stage_seconds_bucket{le=\"";
    let buckets: Vec<(f64, f64)> = text
        .lines()
        .filter(|line| line.starts_with(prefix) && line.contains("stage=\"ack\""))
        .map(|line| {
            let (name, value) = series(line);
            (name[prefix.len()..].split('"').next().unwrap().parse().unwrap(), value)
        })
        .collect();
    assert!(buckets.is_sorted_by(|lower, upper| lower.0 < upper.0 && lower.1 <= upper.1), "{buckets:?}");
    assert_eq!(buckets.first().unwrap().1, 1.0);
    assert_eq!(buckets.last(), Some(&(f64::INFINITY, 5.0)));
    assert_eq!(values["joulebook_stage_seconds_count{stage=\"ack\"}"], 5.0);
    bench.console.stop();
}
