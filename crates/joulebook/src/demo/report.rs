//! The end of a demo: what was checked, and whether it held.

use std::fmt::Write;

use joulebook_agents::price_war::PriceWar;
use joulebook_bots::FleetReport;
use joulebook_server::recovery::Replayed;
use joulebook_server::{Engine, ServerMetrics};
use joulebook_types::{MicroEc, Phase};

use crate::text::{duration_ns, grouped, hex};

/// What the stopped exchange and its journal say.
pub struct Verdicts {
    checks: Vec<(&'static str, bool, String)>,
    commands: u64,
    journal_bytes: u64,
}

pub struct Report<'a> {
    pub war: &'a PriceWar,
    pub seed: u64,
    pub fleet: &'a FleetReport,
    pub verdicts: &'a Verdicts,
}

impl Verdicts {
    pub fn new(engine: &Engine, replayed: &Replayed, fleet: &FleetReport, metrics: &ServerMetrics) -> Self {
        let totals = engine.totals();
        let conserved = engine.recount().is_ok();
        let same =
            replayed.event_hash == engine.event_chain_hash() && replayed.state_hash == engine.state_hash();
        let crossed = fleet.view.crossed_books + crossed_books(engine);
        let live = hex(&engine.state_hash());
        let outstanding = i64::try_from(totals.supply())
            .map_or("more than fits".into(), |micro| MicroEc::new(micro).to_string());
        let rate = replayed.last_seq.raw() as f64 / replayed.duration.as_secs_f64().max(1e-9);
        let checks = vec![
            (
                "credits conserved",
                conserved && totals.supply() == totals.balances(),
                format!(
                    "minted - retired = all balances = {outstanding} EC, counted again account by account"
                ),
            ),
            (
                "replay = live",
                same,
                format!(
                    "state {}… after {} commands, replayed at {} a second",
                    &live[..16],
                    grouped(replayed.last_seq.raw()),
                    grouped(rate as u64)
                ),
            ),
            ("no crossed book", crossed == 0, format!("{crossed} seen in the feed and at the end")),
            (
                "nobody was cut off",
                fleet.failures.is_empty() && fleet.counts.disconnects == 0 && fleet.counts.not_sent == 0,
                format!(
                    "{} sessions ended early, {} disconnects",
                    fleet.failures.len(),
                    fleet.counts.disconnects
                ),
            ),
        ];
        Self { checks, commands: replayed.last_seq.raw(), journal_bytes: metrics.journal().bytes.value() }
    }
}

/// Of open markets: halted books and those in an auction may be crossed.
fn crossed_books(engine: &Engine) -> u64 {
    let crossed = |instrument| match (engine.best_bid(instrument), engine.best_ask(instrument)) {
        (Some(bid), Some(ask)) => ask <= bid,
        _ => false,
    };
    let open =
        engine.instruments().filter(|definition| Phase::from_raw(definition.phase) == Some(Phase::Open));
    open.filter(|definition| crossed(definition.instrument)).count() as u64
}

impl Report<'_> {
    pub fn passed(&self) -> bool {
        self.verdicts.checks.iter().all(|(_, passed, _)| *passed) && self.fleet.outcome.passed()
    }

    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out).expect("a string takes everything");
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let (fleet, outcome) = (self.fleet, &self.fleet.outcome);
        let verdict = if self.passed() { "PASS" } else { "FAIL" };
        writeln!(
            out,
            "\nRESULT  price war   seed {}   {:.1} s   {verdict}",
            self.seed,
            fleet.duration.as_secs_f64()
        )?;
        let answers = &fleet.latencies.answer_ns;
        writeln!(
            out,
            "  answers      p50 {}  p99 {}  p99.9 {}  max {}   request due to answer; QUIC + TLS on loopback, durable",
            duration_ns(answers.value_at_quantile(0.5)),
            duration_ns(answers.value_at_quantile(0.99)),
            duration_ns(answers.value_at_quantile(0.999)),
            duration_ns(answers.max())
        )?;
        let rejects: Vec<String> = fleet
            .counts
            .rejects
            .iter()
            .map(|(reason, count)| format!("{reason} {}", grouped(*count)))
            .collect();
        let rejects = if rejects.is_empty() { "none".into() } else { rejects.join(", ") };
        writeln!(
            out,
            "  exchange     {} commands, {} trades worth {} EC, {} MiB of journal; rejects: {rejects}",
            grouped(self.verdicts.commands),
            grouped(outcome.trades),
            outcome.notional,
            self.verdicts.journal_bytes >> 20
        )?;
        let names: Vec<&str> = self.war.blocs.iter().map(|bloc| bloc.name).collect();
        let mtok: Vec<String> = outcome.total_ktok.iter().map(|ktok| grouped(ktok / 1_000)).collect();
        let path = &outcome.price_path;
        if let (Some(first), Some(last)) = (path.first(), path.last()) {
            writeln!(out, "  price        {first} EC/Mtok at the start, {last} at the end")?;
        }
        writeln!(out, "  tokens       {} {} Mtok, {} {} Mtok", names[0], mtok[0], names[1], mtok[1])?;
        match (outcome.winner, outcome.settled_second) {
            (Some(winner), Some(second)) => {
                writeln!(
                    out,
                    "  war          {winner} has the lower floor per token; prices settled after {second} s"
                )?;
            }
            (Some(winner), None) => {
                writeln!(out, "  war          {winner} has the lower floor; prices did not settle")?
            }
            (None, _) => writeln!(out, "  war          the floors are level: nobody can win")?,
        }
        for (name, passed, detail) in &self.verdicts.checks {
            writeln!(out, "  {} {name}: {detail}", mark(*passed))?;
        }
        for check in &outcome.checks {
            writeln!(out, "  {} {}: {}", mark(check.passed), check.name, check.detail)?;
        }
        for (who, why) in &fleet.failures {
            let who = who.map_or("a bot".into(), |participant| participant.to_string());
            writeln!(out, "       {who}: {why}")?;
        }
        Ok(())
    }
}

const fn mark(passed: bool) -> &'static str {
    if passed { "ok  " } else { "FAIL" }
}
