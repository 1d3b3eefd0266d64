//! What a person sees while the war runs: a table that redraws itself on a terminal, one line per second elsewhere.

use std::cell::Cell;
use std::io::{IsTerminal, Write};

use joulebook_agents::price_war::PriceWar;
use joulebook_bots::{Counts, Fleet, Latencies};
use joulebook_server::Info;
use joulebook_types::TokenPrice;

use crate::text::{duration_ns, grouped};

pub struct Screen {
    redraws: bool,
    /// Lines of the last table, to go back over.
    drawn: Cell<usize>,
}

/// Width of the bar that shows a vendor's share.
const BAR: u64 = 20;

impl Screen {
    pub fn new(no_tui: bool) -> Self {
        Self { redraws: !no_tui && std::io::stdout().is_terminal(), drawn: Cell::new(0) }
    }

    pub fn banner(&self, info: &Info, war: &PriceWar, seconds: u32) {
        println!(
            "joulebook {}  compute exchange   demo: NVIDIA vs Google price war   seed {}   {seconds} s   (Ctrl-C quits)",
            env!("CARGO_PKG_VERSION"),
            war.seed
        );
        println!(
            "  data      {}   acks {} (fdatasync before every answer)",
            info.data_dir.display(),
            info.ack.name()
        );
        println!(
            "  gateway   quic://{}   wiring {} on {} cores",
            info.gateway,
            info.wiring.name(),
            info.cores
        );
        println!("  page      http://{}   /metrics /healthz /readyz on the same port", info.http);
        let traders = (war.sellers_per_bloc, war.buyers, war.makers);
        println!(
            "  traders   {} sellers a vendor, {} buyers with token orders, {} makers on {} windows in {}",
            traders.0, traders.1, traders.2, war.windows, war.area
        );
        for bloc in &war.blocs {
            let floor =
                TokenPrice::of(bloc.floor, bloc.yield_ktok).map_or("-".into(), |price| price.to_string());
            println!(
                "  {:<9} {} costs {} EC/AH and yields {} ktok/AH of {}: floor {floor} EC/Mtok",
                bloc.name,
                bloc.class,
                bloc.floor,
                bloc.yield_ktok.raw(),
                war.model_name
            );
        }
        println!();
    }

    pub fn second(&self, fleet: &Fleet, counts: &Counts, latencies: &Latencies) {
        let text = if self.redraws { self.table(fleet, counts, latencies) } else { line(fleet, latencies) };
        let mut out = std::io::stdout().lock();
        // A closed pipe ends the demo at its next line; here it only loses one.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    fn table(&self, fleet: &Fleet, counts: &Counts, latencies: &Latencies) -> String {
        let (view, war) = (fleet.view(), fleet.war());
        let mut lines = vec![format!("  {:>3} s", fleet.elapsed().as_secs())];
        lines.push(format!(
            "  {:<8} {:>10} {:>12} {:>9}   share of tokens",
            "vendor", "EC/AH", "EC/Mtok", "Mtok"
        ));
        let total = view.ktok[0] + view.ktok[1];
        for (index, bloc) in war.blocs.iter().enumerate() {
            let ask = view.asks[index].map_or("-".into(), |price| price.to_string());
            let token = view.per_token[index].map_or("-".into(), |price| price.to_string());
            let share = percent(view.ktok[index], total);
            let bar = "#".repeat((share * BAR / 100) as usize);
            let mtok = grouped(view.ktok[index] / 1_000);
            lines.push(format!("  {:<8} {ask:>10} {token:>12} {mtok:>9}   {bar:<20} {share} %", bloc.name));
        }
        let answers = &latencies.answer_ns;
        lines.push(format!(
            "  answers  p50 {}  p99 {}  p99.9 {}  max {}   (request due to answer, QUIC, durable)",
            duration_ns(answers.value_at_quantile(0.5)),
            duration_ns(answers.value_at_quantile(0.99)),
            duration_ns(answers.value_at_quantile(0.999)),
            duration_ns(answers.max())
        ));
        let rejects: u64 = counts.rejects.values().sum();
        lines.push(format!(
            "  requests {}   trades {}   rejects {}",
            grouped(counts.requests),
            grouped(view.trades),
            grouped(rejects)
        ));
        let back = match self.drawn.replace(lines.len()) {
            0 => String::new(),
            drawn => format!("\x1b[{drawn}A"),
        };
        lines.iter().fold(back, |text, line| text + "\x1b[2K" + line + "\n")
    }
}

fn line(fleet: &Fleet, latencies: &Latencies) -> String {
    let (view, war) = (fleet.view(), fleet.war());
    let total = view.ktok[0] + view.ktok[1];
    let mut text = format!("{:>3} s", fleet.elapsed().as_secs());
    for (index, bloc) in war.blocs.iter().enumerate() {
        let ask = view.asks[index].map_or("-".into(), |price| price.to_string());
        let token = view.per_token[index].map_or("-".into(), |price| price.to_string());
        let share = percent(view.ktok[index], total);
        text += &format!("   {} {ask} EC/AH = {token} EC/Mtok, {share} %", bloc.name);
    }
    let p50 = duration_ns(latencies.answer_ns.value_at_quantile(0.5));
    let p99 = duration_ns(latencies.answer_ns.value_at_quantile(0.99));
    text + &format!("   answers p50 {p50} p99 {p99}\n")
}

fn percent(part: u64, total: u64) -> u64 {
    (part * 100).checked_div(total).unwrap_or(0)
}
