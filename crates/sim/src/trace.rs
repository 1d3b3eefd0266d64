//! What happened in a run: a hash of all of it, and on demand the text.

use core::fmt;

/// Every event of a run goes through here, so two runs with one hash did the same.
#[derive(Debug, Default)]
pub struct Trace {
    hash: [u64; 2],
    lines: Option<Vec<String>>,
}

/// Long messages end in zeros.
const TEXT_MAX: usize = 240;

/// Odd numbers with a random look: the golden ratio, and the square root of three.
const MULTIPLIERS: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xbb67_ae85_84ca_a73b];

impl Trace {
    /// A trace that keeps its text.
    pub fn recording() -> Self {
        Self { lines: Some(Vec::new()), ..Self::default() }
    }

    /// Takes a fact in: what kind it is, and its numbers. `text` is asked for only when the text is kept.
    pub fn note(&mut self, now: u64, kind: &'static str, words: &[u64], text: impl FnOnce() -> String) {
        self.absorb(now);
        self.absorb(kind.len() as u64 | u64::from(kind.as_bytes()[0]) << 8);
        words.iter().for_each(|word| self.absorb(*word));
        if let Some(lines) = &mut self.lines {
            let text = text();
            let shown = text.char_indices().nth(TEXT_MAX).map_or(&text[..], |(end, _)| &text[..end]);
            lines.push(format!("{} {kind} {shown}", Clock(now)));
        }
    }

    fn absorb(&mut self, word: u64) {
        for (half, multiplier) in self.hash.iter_mut().zip(MULTIPLIERS) {
            *half = (half.rotate_left(29) ^ word).wrapping_mul(multiplier);
            *half ^= *half >> 31;
        }
    }

    /// The hash of everything up to here.
    pub fn hash(&self) -> [u64; 2] {
        self.hash
    }

    /// The text, if it is kept.
    pub fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }
}

/// Seconds, with six places.
struct Clock(u64);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>5}.{:06}", self.0 / 1_000_000_000, self.0 / 1_000 % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_has_another_hash() {
        let run = |facts: &[(u64, &'static str, u64)]| {
            let mut trace = Trace::recording();
            for (now, kind, word) in facts {
                trace.note(*now, kind, &[*word], || word.to_string());
            }
            (trace.hash(), trace.lines().to_vec())
        };
        let one = run(&[(1_500_000, "send", 1), (2_000, "lost", 2)]);
        assert_eq!(one, run(&[(1_500_000, "send", 1), (2_000, "lost", 2)]));
        assert_eq!(one.1[0], "    0.001500 send 1");
        for other in [
            run(&[(1_500_001, "send", 1), (2_000, "lost", 2)]),
            run(&[(1_500_000, "keep", 1), (2_000, "lost", 2)]),
            run(&[(1_500_000, "send", 2), (2_000, "lost", 1)]),
        ] {
            assert_ne!(one.0, other.0);
        }
    }
}
