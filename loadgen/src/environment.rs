//! The machine under a result, because a number without it means nothing.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// What can be read without privilege; what cannot be read is absent.
#[derive(Clone, Debug, Serialize)]
pub struct Environment {
    pub cpu_model: Option<String>,
    /// That this process may use.
    pub cores: usize,
    pub kernel: Option<String>,
    pub governor: Option<String>,
    pub clocksource: Option<String>,
    /// One minute, five, fifteen, before the run.
    pub load_average: Option<String>,
    /// Of the build, when the builder set `JOULEBOOK_GIT_SHA`.
    pub git_sha: Option<&'static str>,
    pub version: &'static str,
    /// False for a debug build, whose times mean little.
    pub optimised: bool,
    pub started_unix_s: u64,
}

impl Environment {
    pub fn read() -> Self {
        Self {
            cpu_model: file("/proc/cpuinfo").and_then(|text| cpu_model(&text)),
            cores: joulebook_sys::available_cores().map_or(0, |cores| cores.len()),
            kernel: file("/proc/sys/kernel/osrelease"),
            governor: file("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            clocksource: file("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            load_average: file("/proc/loadavg")
                .map(|text| text.split(' ').take(3).collect::<Vec<_>>().join(" ")),
            git_sha: option_env!("JOULEBOOK_GIT_SHA"),
            version: env!("CARGO_PKG_VERSION"),
            optimised: !cfg!(debug_assertions),
            started_unix_s: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |duration| duration.as_secs()),
        }
    }

    /// One line for people.
    pub fn line(&self) -> String {
        let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".into());
        format!(
            "{}, {} cores, Linux {}, governor {}, clock {}, load {}, joulebook {}{}{}",
            known(&self.cpu_model),
            self.cores,
            known(&self.kernel),
            known(&self.governor),
            known(&self.clocksource),
            known(&self.load_average),
            self.version,
            self.git_sha.map_or(String::new(), |sha| format!(" ({sha})")),
            if self.optimised { "" } else { ", DEBUG BUILD" },
        )
    }
}

/// Processor time, in nanoseconds, that a process has used; `None` when there is no such process.
pub(crate) fn cpu_ns_of(pid: u32) -> Option<u64> {
    cpu_ns(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Share of the machine's processor time that the host kept for others, since boot: (stolen, all), in ticks.
pub(crate) fn stolen_ticks() -> Option<(u64, u64)> {
    stolen(&fs::read_to_string("/proc/stat").ok()?)
}

fn cpu_ns(stat: &str) -> Option<u64> {
    // Linux counts these in hundredths of a second on every machine we support.
    const TICK_NS: u64 = 10_000_000;
    // The second field is the program's name in brackets and may hold spaces.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let user: u64 = fields.nth(11)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) * TICK_NS)
}

fn stolen(stat: &str) -> Option<(u64, u64)> {
    let ticks: Vec<u64> = stat
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_whitespace()
        .filter_map(|text| text.parse().ok())
        .collect();
    // user, nice, system, idle, iowait, irq, softirq, steal; guest times are counted in user already.
    Some((*ticks.get(7)?, ticks.iter().take(8).sum()))
}

fn cpu_model(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn file(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        let stat = "4711 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1 0 0";
        assert_eq!(cpu_ns(stat), Some(2_000_000_000));
        assert_eq!(cpu_ns("4711 (x"), None);
        assert_eq!(stolen("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1"), Some((8, 36)));
        assert_eq!(cpu_model("model name\t: AMD EPYC\n"), Some("AMD EPYC".to_owned()));
    }

    #[test]
    fn this_machine_has_a_fingerprint() {
        let environment = Environment::read();
        assert!(0 < environment.cores && environment.kernel.is_some());
        assert!(environment.line().contains("cores"));
        assert!(cpu_ns_of(std::process::id()).is_some());
    }
}
