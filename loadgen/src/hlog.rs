//! Interval logs that other tools read: one line per second and operation, compressed histograms in nanoseconds.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, IntervalLogWriterError, Tag};

use crate::plan::Operation;
use crate::recorder::{INTERVAL_NS, Interval};

/// The readers of other languages look for this line and this legend before the first interval; the library's writer
/// leaves both out.
const FORMAT: &str = "[Histogram log format version 1.3]";
const LEGEND: &str =
    "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"";
/// Plotters print the maximum as it stands and expect milliseconds.
const NS_PER_MS: f64 = 1e6;

/// Writes `intervals`, the first of which began at `start`.
pub(crate) fn write(
    out: &mut impl Write,
    title: &str,
    start: SystemTime,
    intervals: &[Interval],
) -> io::Result<()> {
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment(FORMAT)
        .add_comment(title)
        .with_start_time(start)
        .with_base_time(start)
        .with_max_value_divisor(NS_PER_MS)
        .begin_log_with(out, &mut serializer)?;
    log.write_comment(LEGEND)?;
    let length = Duration::from_nanos(INTERVAL_NS);
    for (second, interval) in intervals.iter().enumerate() {
        for operation in Operation::ALL {
            let histogram = &interval[operation as usize];
            if histogram.is_empty() {
                continue;
            }
            let tag = Tag::new(operation.name());
            log.write_histogram(histogram, length * second as u32, length, tag).map_err(
                |error| match error {
                    IntervalLogWriterError::IoError(error) => error,
                    IntervalLogWriterError::SerializeError(error) => io::Error::other(error.to_string()),
                },
            )?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::{Outcome, Pending, Recorder};
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    #[test]
    fn the_log_reads_back() {
        let mut recorder = Recorder::new(0, 3_000_000_000);
        for number in 0..3_000_u64 {
            let operation = if number % 3 == 0 { Operation::Cancel } else { Operation::Move };
            let intended_ns = number * 1_000_000;
            let pending = Pending { id: number, intended_ns, sent_ns: intended_ns, operation };
            recorder.answered(&pending, Outcome::Accepted, intended_ns + 20_000 + number);
        }
        let mut bytes = Vec::new();
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        write(&mut bytes, "a test", start, &recorder.intervals).unwrap();

        let text = std::str::from_utf8(&bytes).unwrap();
        assert!(text.starts_with("#[Histogram log format version 1.3]\n#a test\n"), "{text}");
        assert!(text.contains("\n#\"StartTimestamp\",\"Interval_Length\""), "{text}");
        let (mut total, mut tags, mut deserializer) = (0, Vec::new(), Deserializer::new());
        for entry in IntervalLogIterator::new(&bytes) {
            match entry.unwrap() {
                LogEntry::Interval(interval) => {
                    let encoded = decode_base64(interval.encoded_histogram());
                    let read: Histogram<u64> = deserializer.deserialize(&mut encoded.as_slice()).unwrap();
                    total += read.len();
                    assert!((20_000..=23_010).contains(&read.max()), "{}", read.max());
                    assert!((interval.max() - read.max() as f64 / 1e6).abs() < 0.001);
                    tags.push((interval.start_timestamp().as_secs(), interval.tag().unwrap().as_str()));
                }
                LogEntry::StartTime(time) | LogEntry::BaseTime(time) => {
                    assert_eq!(time.as_secs(), 1_700_000_000);
                }
            }
        }
        assert_eq!(total, 3_000);
        assert_eq!(
            tags,
            [(0, "cancel"), (0, "move"), (1, "cancel"), (1, "move"), (2, "cancel"), (2, "move")]
        );
    }

    fn decode_base64(text: &str) -> Vec<u8> {
        let digit = |byte: u8| match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
        for byte in text.bytes().filter(|byte| *byte != b'=') {
            bits = bits << 6 | u32::from(digit(byte));
            count += 6;
            if 8 <= count {
                count -= 8;
                bytes.push((bits >> count) as u8);
            }
        }
        bytes
    }
}
