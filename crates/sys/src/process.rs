//! What the process uses.

use std::{fs, io};

/// Memory of this process that is in RAM, in bytes.
pub fn resident_bytes() -> io::Result<u64> {
    // `statm` counts pages; this line is in kibibytes whatever the page size.
    let status = fs::read_to_string("/proc/self/status")?;
    parse_resident(&status).ok_or_else(|| io::Error::other("/proc/self/status has no line VmRSS"))
}

fn parse_resident(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn touched_memory_shows() {
        let before = resident_bytes().unwrap();
        let block = std::hint::black_box(vec![1_u8; 64 << 20]);
        let after = resident_bytes().unwrap();
        assert!(after >= before + (48 << 20), "{before} -> {after}");
        drop(block);
    }

    #[test]
    fn malformed_status_is_none() {
        for status in ["", "VmRSS:", "VmRSS: 12 MB", "VmRSS: x kB", "VmRSS: 99999999999999999999 kB"] {
            assert_eq!(parse_resident(status), None, "{status}");
        }
        assert_eq!(parse_resident("VmSize: 9 kB\nVmRSS:\t   12 kB\n"), Some(12_288));
    }
}
