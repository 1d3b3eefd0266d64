//! A report as text: exchange-core's table of rates by percentiles, then what one must know to believe it.

use std::fmt::Write;

use crate::replay::ReplayResult;
use crate::report::{ExchangeFacts, Latency, Report, Run, Verdict};

const COLUMNS: [&str; 8] = ["rate", "50.0%", "90.0%", "95.0%", "99.0%", "99.9%", "99.99%", "worst"];

pub(crate) fn render(report: &Report) -> String {
    let mut text = String::new();
    writeln!(text, "joulebook {}, seed {}", report.mode, report.seed).expect("a string takes all");
    exchange(&mut text, &report.exchange);
    line(&mut text, &report.environment.line());
    for note in &report.notes {
        line(&mut text, note);
    }
    if !report.runs.is_empty() {
        let rows = report.runs.iter().map(|run| row(&load_of(run), &run.latency)).collect();
        text.push('\n');
        table(&mut text, rows);
    }
    for run in &report.runs {
        text.push('\n');
        details(&mut text, run);
    }
    if let Some(replay) = &report.replay {
        text.push('\n');
        replayed(&mut text, replay);
    }
    text
}

fn exchange(text: &mut String, facts: &ExchangeFacts) {
    let whose = if facts.own { "own exchange, a child process" } else { "an exchange that ran before" };
    let known = |name: Option<&'static str>| name.unwrap_or("unknown");
    line(text, &format!("{whose}; ack {}, wiring {}", known(facts.ack), known(facts.wiring)));
    // What `auto` became.
    for said in facts.startup.iter().filter(|line| line.contains("wiring")) {
        line(text, &format!("it says: {}", said.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    line(text, &format!("included: {}", facts.includes.join(", ")));
    line(text, &format!("not included: {}", facts.excludes.join(", ")));
}

fn load_of(run: &Run) -> String {
    match (run.offered_per_s, run.window) {
        (Some(rate), _) => rate_text(rate),
        (None, Some(window)) => format!("{}x{window}", run.sessions),
        (None, None) => "-".to_owned(),
    }
}

fn row(load: &str, latency: &Latency) -> Vec<String> {
    let times =
        [latency.p50, latency.p90, latency.p95, latency.p99, latency.p999, latency.p9999, latency.max];
    std::iter::once(load.to_owned()).chain(times.map(time_text)).collect()
}

fn table(text: &mut String, rows: Vec<Vec<String>>) {
    let width = |column: usize| {
        let longest = rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        longest.max(COLUMNS[column].len())
    };
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    let mut write_row = |cells: &[String]| {
        text.push('|');
        for (cell, width) in cells.iter().zip(&widths) {
            write!(text, "{cell:>width$}|").expect("a string takes all");
        }
        text.push('\n');
    };
    write_row(&COLUMNS.map(str::to_owned));
    rows.iter().for_each(|row| write_row(row));
}

fn details(text: &mut String, run: &Run) {
    let load = match (run.offered_per_s, run.window) {
        (Some(rate), _) => format!("{} requests/s offered, open loop", rate_text(rate)),
        (None, Some(window)) => format!("{window} in flight per session, closed loop"),
        (None, None) => "closed loop".to_owned(),
    };
    let (sessions, connections) = (run.sessions, run.connections);
    line(text, &format!("{load}; {sessions} sessions on {connections} connections, {:.1} s", run.seconds));
    line(
        text,
        &format!(
            "  sent {}, answered {} ({:.0}/s), accepted {:.0}/s, rejected {}, lost {}, unsent {}, fills {}, resting {}",
            run.sent,
            run.answered,
            run.answered_per_s,
            run.accepted_per_s,
            run.rejected,
            run.lost,
            run.unsent,
            run.fills,
            run.resting_at_end
        ),
    );
    for (reason, count) in &run.reject_reasons {
        line(text, &format!("  rejected {count} x {reason}"));
    }
    for (name, operation) in &run.operations {
        line(text, &format!("  {name:<7} {:>9}  {}", operation.sent, spread(&operation.latency)));
    }
    line(text, &format!("  service time       {}", spread(&run.service)));
    line(text, &format!("  generator lag      {}", spread(&run.lag)));
    let cores = run.exchange_cores.map_or_else(|| "unknown".to_owned(), |cores| format!("{cores:.2}"));
    let stolen =
        run.stolen_share.map_or_else(|| "unknown".to_owned(), |share| format!("{:.1} %", share * 100.0));
    line(
        text,
        &format!(
            "  cores: exchange {cores}, generator {:.2}, stolen by the host {stolen}; empty polls {:.0} %; packets lost {}, blocked writes {}, fallbacks {}",
            run.generator_cores,
            run.empty_poll_share * 100.0,
            run.lost_packets,
            run.blocked_writes,
            run.fallbacks
        ),
    );
    line(text, &format!("  plan {}", run.plan_sha256));
    line(text, &format!("  {}", verdict_text(&run.verdict)));
}

fn replayed(text: &mut String, replay: &ReplayResult) {
    let counts = &replay.counts;
    line(text, &format!("{}: {} events in {:.2} s", replay.file, counts.events, replay.seconds));
    line(
        text,
        &format!(
            "  commands {} ({:.0}/s): {} new, {} replace, {} cancel; rejects {}",
            counts.commands(),
            replay.commands_per_s,
            counts.new_orders,
            counts.replaces,
            counts.cancels,
            counts.rejects
        ),
    );
    line(text, &format!("  trades {} from {} crossing creates", counts.trades, counts.crossing));
    line(
        text,
        &format!(
            "  events without a command: {} of orders that are gone ({} deleted twice by the recording), {} to a size that is reached already, {} of orders from before the recording",
            counts.gone, counts.deleted_twice, counts.already_there, counts.unknown
        ),
    );
    let (open, alive) = (replay.open_at_end, replay.alive_in_recording);
    let same = if replay.same_ids { "the same ids" } else { "DIFFERENT IDS" };
    line(text, &format!("  open at the end {open}, in the recording {alive}: {same}"));
    if let Some(complaint) = &replay.complaint {
        line(text, &format!("  FAILED: {complaint}"));
    }
}

fn verdict_text(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Valid => "valid".to_owned(),
        Verdict::Invalid { lag_p99_ns, latency_p99_ns } => format!(
            "INVALID: generator lag p99 {} is more than a tenth of the reported p99 {}",
            time_text(*lag_p99_ns),
            time_text(*latency_p99_ns)
        ),
        Verdict::GeneratorLimited { empty_poll_percent } => {
            format!("GENERATOR-LIMITED: only {empty_poll_percent} % of its polls were empty, 10 % are needed")
        }
        Verdict::Overloaded { lost, unsent } => {
            format!("OVERLOADED: {lost} requests without an answer, {unsent} never sent")
        }
    }
}

fn spread(latency: &Latency) -> String {
    let [p50, p90, p99, p999, worst] =
        [latency.p50, latency.p90, latency.p99, latency.p999, latency.max].map(time_text);
    format!("50% {p50}  90% {p90}  99% {p99}  99.9% {p999}  worst {worst}")
}

/// Three digits or so, in the unit that fits.
pub(crate) fn time_text(ns: u64) -> String {
    match ns {
        0..10_000 => format!("{:.1}us", ns as f64 / 1e3),
        10_000..1_000_000 => format!("{:.0}us", ns as f64 / 1e3),
        1_000_000..10_000_000 => format!("{:.2}ms", ns as f64 / 1e6),
        10_000_000..1_000_000_000 => format!("{:.0}ms", ns as f64 / 1e6),
        _ => format!("{:.1}s", ns as f64 / 1e9),
    }
}

fn rate_text(rate: u64) -> String {
    match rate {
        rate if rate >= 1_000_000 && rate.is_multiple_of(100_000) => format!("{}M", rate as f64 / 1e6),
        rate if rate >= 1_000 && rate.is_multiple_of(100) => format!("{}K", rate as f64 / 1e3),
        rate => rate.to_string(),
    }
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;
    use crate::hot::{Pace, RunEnd};
    use crate::plan::Operation;
    use crate::recorder::{Outcome, Pending, Recorder};

    #[test]
    fn times_and_rates_fit_their_unit() {
        let times = [0, 600, 9_949, 46_100, 999_000, 1_230_000, 28_000_000, 2_500_000_000];
        let texts = ["0.0us", "0.6us", "9.9us", "46us", "999us", "1.23ms", "28ms", "2.5s"];
        assert_eq!(times.map(time_text), texts);
        let rates = [125_000, 1_000_000, 1_500_000, 12_345, 500].map(rate_text);
        assert_eq!(rates, ["125K", "1M", "1.5M", "12345", "500"]);
    }

    #[test]
    fn the_table_has_the_published_shape() {
        let latency = |p50: u64| Latency {
            p50,
            p90: 2 * p50,
            p95: 3 * p50,
            p99: 4 * p50,
            p999: 10 * p50,
            p9999: 20 * p50,
            max: 100 * p50,
            ..Latency::default()
        };
        let mut text = String::new();
        table(&mut text, vec![row("125K", &latency(600)), row("10K", &latency(40_000))]);
        let want = "\
|rate|50.0%|90.0%|95.0%|99.0%|99.9%|99.99%| worst|
|125K|0.6us|1.2us|1.8us|2.4us|6.0us|  12us|  60us|
| 10K| 40us| 80us|120us|160us|400us| 800us|4.00ms|
";
        assert_eq!(text, want);
    }

    #[test]
    fn a_bad_result_says_so_in_capitals() {
        let text = verdict_text(&Verdict::Invalid { lag_p99_ns: 412_000, latency_p99_ns: 900_000 });
        assert_eq!(text, "INVALID: generator lag p99 412us is more than a tenth of the reported p99 900us");
        assert!(
            verdict_text(&Verdict::GeneratorLimited { empty_poll_percent: 3 })
                .starts_with("GENERATOR-LIMITED")
        );
        assert!(verdict_text(&Verdict::Overloaded { lost: 1, unsent: 0 }).contains("1 requests without"));
    }

    fn report(lost: u64) -> Report {
        let mut recorder = Recorder::new(0, 1_000_000_000);
        for number in 1..=100_u64 {
            let operation = Operation::Move;
            let pending = Pending { id: number, intended_ns: number, sent_ns: number + 500, operation };
            recorder.sent(&pending);
            recorder.answered(&pending, Outcome::Rejected(40), number + 20_000);
        }
        let facts = ExchangeFacts {
            own: true,
            ack: Some("memory"),
            wiring: Some("inline"),
            startup: vec!["acks  memory   wiring inline (2 cores)".to_owned(), "ready in 2 ms".to_owned()],
            includes: vec!["matching".to_owned()],
            excludes: vec!["the journal".to_owned()],
        };
        let mut report = Report::new("mix", 7, facts, Environment::read());
        let end = RunEnd { lost, unsent: 0, span_ns: 1_000_000_000 };
        report.runs.push(Run::new(recorder, Pace::Open { rate: 100_000 }, end));
        report
    }

    #[test]
    fn a_report_says_what_one_must_know() {
        let text = report(0).text();
        for part in [
            "joulebook mix, seed 7",
            "own exchange, a child process; ack memory, wiring inline",
            "it says: acks memory wiring inline (2 cores)",
            "included: matching",
            "not included: the journal",
            "|100K| 20us|",
            "rejected 100 x UnknownOrder",
            "generator lag      50% 0.5us",
            "service time       50% 20us",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(text.ends_with("  valid\n"), "{text}");
        assert!(report(0).is_valid());
        assert!(!report(1).is_valid());
    }

    #[test]
    fn the_json_has_its_schema_and_nanoseconds() {
        let mut report = report(0);
        report.runs[0].verdict = Verdict::Invalid { lag_p99_ns: 5, latency_p99_ns: 6 };
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!((&json["schema"], &json["schema_version"]), (&"joulebook.bench".into(), &1.into()));
        let run = &json["runs"][0];
        assert_eq!(run["verdict"]["verdict"], "invalid");
        assert_eq!(run["reject_reasons"]["UnknownOrder"], 100);
        assert!((19_900..20_100).contains(&run["latency"]["p50"].as_u64().unwrap()));
        assert_eq!(run["operations"]["move"]["sent"], 100);
        assert!(json["environment"]["kernel"].is_string());
    }
}
