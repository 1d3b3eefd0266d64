//! The page and its endpoints on a live exchange with orders in it.
#![forbid(unsafe_code)]

use joulebook_protocol::messages::NewOrder;
use joulebook_testkit::print_skipped;
use joulebook_tests::{
    Browser, Daemon, Market, ahead_minute, block_on, connect, http_get, http_json_until, http_request,
    in_time, joulebook, limit, run_command,
};
use joulebook_types::{InstrumentId, Side, TimeInForce};

/// A GPU hour at 13.00 EC and a TPU hour at 6.50 EC, three lots of the first sold, and the symbols.
struct Live {
    daemon: Daemon,
    _dir: tempfile::TempDir,
    gpu: InstrumentId,
    symbols: [String; 2],
}

fn live() -> Live {
    let dir = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(dir.path(), &[]);
    let (gpu, symbols) = block_on(async {
        let market = Market::open(&daemon).await;
        let hours = ["H200S", "TPU6E"].map(|class| Market::hour(class, ahead_minute(24)));
        let (gpu, tpu) = (market.list(hours[0]).await, market.list(hours[1]).await);
        market.set_yield("H200S", 15_387).await;
        market.set_yield("TPU6E", 9_232).await;
        let (alice, _events) =
            connect(&daemon, "alice", 1, |config| config.cancel_on_disconnect_ms = u32::MAX).await;
        let (bob, _bobs_events) = connect(&daemon, "bob", 1, |_| ()).await;
        for (hour, instrument, cents) in [(&hours[0], gpu, 1_300), (&hours[1], tpu, 650)] {
            market.register(&alice, hour, 100).await;
            in_time(alice.place(limit(instrument, Side::Sell, 10, cents))).await.expect("accepted");
            in_time(alice.place(limit(instrument, Side::Buy, 7, cents - 100))).await.expect("accepted");
        }
        let taker = NewOrder { time_in_force: TimeInForce::Ioc.raw(), ..limit(gpu, Side::Buy, 3, 1_300) };
        in_time(bob.place(taker)).await.expect("accepted");
        in_time(alice.place(limit(gpu, Side::Sell, 0, 1_300))).await.expect_err("no lots");
        alice.close().await;
        (gpu, hours.map(|hour| Market::symbol(&hour).to_string()))
    });
    // The page follows by a moment; the trade was the last of it.
    http_json_until(daemon.http, "/api/state", |state| state["counters"]["trades"] == 1);
    Live { daemon, _dir: dir, gpu, symbols }
}

#[test]
fn the_api_shows_what_the_exchange_has() {
    let live = live();
    let http = live.daemon.http;
    let state = http_json_until(http, "/api/state", |state| state["counters"]["resting_orders"] == 4);
    let vendors = state["vendors"].as_array().expect("vendors");
    let named = |name: &str| vendors.iter().find(|vendor| vendor["name"] == name).expect("a vendor");
    assert_eq!(named("NVIDIA")["price_per_ah"], 13.0);
    assert_eq!(named("Google")["price_per_ah"], 6.5);
    let per_mtok = named("Google")["price_per_mtok"].as_f64().expect("a price");
    // 6.50 EC buy 9.232 Mtok.
    assert!((per_mtok - 6.5 / 9.232).abs() < 1e-6, "{per_mtok}");
    assert_eq!(state["instruments"][0]["symbol"], live.symbols[0].as_str());
    assert_eq!(state["tape"][0]["qty"], 3);

    let book = http_json_until(http, &format!("/api/book/{}", live.gpu.raw()), |_| true);
    assert_eq!(book["bids"], serde_json::json!([[12.0, 7, 1]]));
    assert_eq!(book["asks"], serde_json::json!([[13.0, 7, 1]]));
    let instruments = http_json_until(http, "/api/instruments", |_| true);
    assert_eq!(instruments["instruments"].as_array().map(Vec::len), Some(2));
    assert_eq!(instruments["instruments"][1]["yield_ktok"], 9_232);
    let history = http_get(http, "/api/history");
    assert_eq!(history.status, 200, "{history:?}");
}

#[test]
fn health_and_pages_answer_like_a_web_server() {
    let live = live();
    let http = live.daemon.http;
    let health = http_json_until(http, "/healthz", |_| true);
    assert_eq!(health["ok"], true);
    let ready = http_json_until(http, "/readyz", |_| true);
    assert_eq!((&ready["ready"], &ready["checks"]["journal"]["ok"]), (&true.into(), &true.into()));
    for (path, kind) in [
        ("/", "text/html"),
        ("/app.js", "text/javascript"),
        ("/style.css", "text/css"),
        ("/uplot/uPlot.iife.min.js", "text/javascript"),
    ] {
        let page = http_get(http, path);
        assert_eq!(page.status, 200, "{path}");
        assert!(page.head.contains(&format!("content-type: {kind}")), "{path}: {}", page.head);
        assert!(page.head.contains("content-security-policy: "), "{path}: {}", page.head);
        // Everything comes from here: the page must work where there is no other network.
        let elsewhere = page.body.match_indices("https://").filter(|(at, _)| path == "/" && *at > 0).count();
        assert_eq!(elsewhere, 0, "{path} names another server");
    }
    assert_eq!(http_get(http, "/nothing").status, 404);
    assert_eq!(http_get(http, "/api/book/77").status, 404);
    assert_eq!(http_get(http, "/api/book/../../etc").status, 404);
    assert_eq!(http_request(http, "POST", "/api/state").status, 405);
}

#[test]
fn metrics_can_be_scraped() {
    let live = live();
    let answer = http_get(live.daemon.http, "/metrics");
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-type: application/openmetrics-text"), "{}", answer.head);
    let text = &answer.body;
    assert!(text.ends_with("# EOF\n"), "{text}");
    let mut typed = Vec::new();
    let mut samples = 0;
    for line in text.lines() {
        if let Some(described) = line.strip_prefix("# TYPE ") {
            typed.push(described.split(' ').next().expect("a name"));
        } else if !line.starts_with('#') {
            // name{labels} value
            let (name, value) = line.rsplit_once(' ').expect("a sample");
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let name = name.split('{').next().expect("a name");
            assert!(name.starts_with("joulebook_"), "{line}");
            assert!(typed.iter().any(|stem| name.starts_with(stem)), "{line} has no type");
            samples += 1;
        }
    }
    assert!(samples > 30, "{samples} samples");
    assert!(text.contains("QtyZero"), "rejects are counted by reason: {text}");
}

#[test]
fn a_browser_shows_vendors_and_symbols() {
    let Some(mut browser) = Browser::start() else { return print_skipped("no chromium") };
    let live = live();
    let ready =
        "document.querySelector('#tape tr') && document.querySelectorAll('#vendors .vendor').length === 2";
    let page = browser.document_when(&format!("http://{}/", live.daemon.http), ready);
    let page = page.replace("<wbr>", "");
    for wanted in ["NVIDIA", "Google", &live.symbols[0], &live.symbols[1], "13.00", "6.50"] {
        assert!(page.contains(wanted), "{wanted} is not on the page:\n{page}");
    }
    assert!(!page.contains("data-state=\"connecting\""), "{page}");
}

#[test]
fn a_browser_shows_halts_and_auctions() {
    let Some(mut browser) = Browser::start() else { return print_skipped("no chromium") };
    let live = live();
    let phase = |phase: &str, symbol: &str| {
        let mut command = joulebook(&["admin", "phase", phase, symbol]);
        command.env("JOULEBOOK_DIR", &live.daemon.dir);
        let output = run_command(command);
        assert!(output.status.success(), "{output:?}");
    };
    phase("auction", &live.symbols[0]);
    phase("halted", &live.symbols[1]);
    block_on(async {
        // Above the seven asks at 13.00: a crossed book, of which four lots would trade.
        let (bob, _events) =
            connect(&live.daemon, "bob", 1, |config| config.cancel_on_disconnect_ms = u32::MAX).await;
        in_time(bob.place(limit(live.gpu, Side::Buy, 4, 1_310))).await.expect("accepted");
        bob.close().await;
    });
    let ready = "document.querySelector('#markets').textContent.includes('auction at') \
                 && document.querySelector('#spread').textContent.includes('crossed by')";
    let page = browser.document_when(&format!("http://{}/", live.daemon.http), ready);
    let wanted = [
        ">auction at 13.00, 4 lots, 3 more to sell<",
        ">halted<",
        "auction at 13.00, 4 lots, 3 more to sell · crossed by 0.10 EC/AH",
    ];
    for wanted in wanted {
        assert!(page.contains(wanted), "{wanted} is not on the page:\n{page}");
    }
}
