//! What an input made a decoder do, so that the runner can keep inputs that do something new.

/// Small facts about one run. Two inputs with the same facts went the same way as far as anybody cares.
#[derive(Clone, Debug, Default)]
pub struct Traits {
    seen: Vec<u64>,
}

/// Facts of one run that are kept: enough to tell ways apart, few enough to be cheap.
const KEPT: usize = 64;

impl Traits {
    /// Something happened; `which` tells apart what has the same name.
    pub fn saw(&mut self, what: &'static str, which: u64) {
        if self.seen.len() < KEPT {
            let name = what.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
            });
            let fact = (name ^ which).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            if !self.seen.contains(&fact) {
                self.seen.push(fact);
            }
        }
    }

    /// Something happened so many times; counts of one power of two are alike.
    pub fn counted(&mut self, what: &'static str, count: usize) {
        self.saw(what, u64::from(usize::BITS - count.leading_zeros()));
    }

    /// The facts of the last run.
    pub fn facts(&self) -> &[u64] {
        &self.seen
    }

    pub(crate) fn clear(&mut self) {
        self.seen.clear();
    }
}
