//! What figures depend on besides the program: said with all of them.

use std::fs;

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
    fn digits_come_in_threes() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}
