//! A short price war on the real daemon: journal, gateway and engine in this process, bots over QUIC.

use joulebook_agents::price_war::PriceWar;
use joulebook_bots::{FleetClock, FleetReport, Stage};
use joulebook_client::{Client, ClientConfig, Folder};
use joulebook_server::config::Config;
use joulebook_server::{Daemon, Label};

const SECONDS: u32 = 12;

fn config(dir: &std::path::Path) -> Config {
    let any = "127.0.0.1:0".parse().unwrap();
    let mut config = Config::default();
    config.data.dir = dir.to_owned();
    config.gateway.listen = any;
    config.gateway.operator_listen = any;
    config.http.listen = any;
    config
}

async fn client(folder: &Folder, name: &str) -> Client {
    let venue = if name == "operator" { folder.operator_venue() } else { folder.venue() };
    let config = ClientConfig::new(venue.unwrap(), folder.key(name).unwrap());
    Client::connect(config).await.unwrap().0
}

async fn fight(war: PriceWar, folder: &Folder) -> FleetReport {
    let (operator, issuer) = (client(folder, "operator").await, client(folder, "issuer").await);
    let now = FleetClock::new().now();
    // Taken by the dev account: the stage goes on to the next.
    let first_account = folder.key("carol").unwrap().account();
    let venue = folder.venue().unwrap();
    let stage = Stage::set(war, &venue, &operator, &issuer, first_account, (now, SECONDS)).await.unwrap();
    let fleet = stage.start();
    let mut market = fleet.market().clone();
    while fleet.elapsed().as_secs() < u64::from(SECONDS) {
        // Something changes many times a second, so this is a clock that stops when the market does.
        market.changed().await.unwrap();
    }
    fleet.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bots_fight_the_war_over_the_wire() {
    let dir = tempfile::tempdir().unwrap();
    let label = Label { scenario: "price-war".to_owned(), seed: Some(42) };
    let daemon = Daemon::start(&config(dir.path()), label).unwrap();
    let mut war = PriceWar::new(42);
    war.windows = 4;
    war.sellers_per_bloc = 3;
    war.makers = 2;
    war.buyers = 2;
    war.pace_for(SECONDS);
    let report = fight(war, &Folder::new(dir.path())).await;
    let stopped = tokio::task::spawn_blocking(|| daemon.stop()).await.unwrap().unwrap();

    assert_eq!(report.failures, []);
    assert!(report.outcome.passed(), "{:#?}", report.outcome.checks);
    assert_eq!(report.outcome.winner, Some("Google"));
    assert_eq!(report.view.crossed_books, 0);
    let (counts, answer) = (&report.counts, &report.latencies.answer_ns);
    assert!(counts.requests > 500 && counts.fills > 100, "{counts:?}");
    assert_eq!((counts.not_sent, counts.disconnects), (0, 0), "{counts:?}");
    // Those that were on their way when the bots stopped have no answer.
    assert!(answer.len() + 50 > counts.requests, "{} of {counts:?}", answer.len());
    assert_eq!(stopped.engine.recount(), Ok(()));
}
