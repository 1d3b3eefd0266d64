//! What figures depend on besides the program: said with all of them.

use std::{fmt, fs};

/// The processor, how many there are, and what else they do: a figure without them says little.
pub fn describe() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |line: &str| line.split_once(':').map(|(_, value)| value.trim().to_owned());
    let model = cpus.lines().find(|line| line.starts_with("model name")).and_then(field);
    let model = model.unwrap_or_else(|| "unknown processor".to_owned());
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown").to_owned();
    let cores = joulebook_sys::available_cores().map_or(1, |cores| cores.len());
    format!("{model}, {cores} cores, load average {load}")
}

/// One cache, shown as callgrind wants to be told: bytes, ways, bytes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    pub bytes: u64,
    pub ways: u64,
    pub line: u64,
}

/// The caches of the first processor.
#[derive(Clone, Copy, Debug)]
pub struct Caches {
    pub l1i: Cache,
    pub l1d: Cache,
    pub l2: Cache,
    /// The one before memory, which other processors share.
    pub last: Cache,
}

impl Caches {
    /// `None` when the system does not say.
    pub fn of_this_machine() -> Option<Self> {
        let cache = |level: u32, kind: &str| {
            let all = (0..8)
                .filter_map(|index| read_cache(&format!("/sys/devices/system/cpu/cpu0/cache/index{index}")));
            all.into_iter().find(|found| found.0 == level && found.1 == kind).map(|found| found.2)
        };
        let (l1i, l1d, l2) = (cache(1, "Instruction")?, cache(1, "Data")?, cache(2, "Unified")?);
        Some(Self { l1i, l1d, l2, last: cache(3, "Unified").unwrap_or(l2) })
    }
}

/// Level, kind and size of a cache that Linux describes in a folder.
fn read_cache(folder: &str) -> Option<(u32, String, Cache)> {
    let read = |name: &str| Some(fs::read_to_string(format!("{folder}/{name}")).ok()?.trim().to_owned());
    let number = |name: &str| read(name)?.trim_end_matches('K').parse::<u64>().ok();
    let (ways, line) = (number("ways_of_associativity")?, number("coherency_line_size")?);
    Some((read("level")?.parse().ok()?, read("type")?, Cache { bytes: number("size")? << 10, ways, line }))
}

impl fmt::Display for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{}", self.bytes, self.ways, self.line)
    }
}

/// Memory of this process that is in RAM.
pub fn resident_mib() -> f64 {
    joulebook_sys::resident_bytes().map_or(f64::NAN, |bytes| bytes as f64 / (1 << 20) as f64)
}

/// `1234567` as `1,234,567`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_is_read_as_the_kernel_writes_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = [
            ("level", "2\n"),
            ("type", "Unified\n"),
            ("size", "1024K\n"),
            ("ways_of_associativity", "8\n"),
            ("coherency_line_size", "64\n"),
        ];
        files.iter().for_each(|(name, text)| fs::write(folder.path().join(name), text).expect("room"));
        let path = folder.path().display().to_string();
        let (level, kind, cache) = read_cache(&path).expect("a cache");
        assert_eq!((level, kind.as_str(), cache.to_string().as_str()), (2, "Unified", "1048576,8,64"));
        assert!(read_cache(&format!("{path}/none")).is_none());
    }

    #[test]
    fn digits_come_in_threes() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}
