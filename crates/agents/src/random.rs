//! The agents' own generator. Library generators promise no stable stream, and the system's `ln` may differ in the last
//! bit from one machine to the next; here a seed gives the same orders everywhere, for good.

/// xoshiro256++ by Blackman and Vigna (public domain), seeded through their SplitMix64. Not for secrets.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    pub fn from_seed(seed: u64) -> Self {
        let mut mixer = seed;
        Self { state: core::array::from_fn(|_| split_mix_64(&mut mixer)) }
    }

    /// The stream of one agent: adding an agent does not change what the others draw.
    pub fn for_agent(seed: u64, agent: u64) -> Self {
        let mut outer = seed;
        let mut inner = agent ^ 0x6a6f_756c_6562_6f6f;
        Self::from_seed(split_mix_64(&mut outer).rotate_left(32) ^ split_mix_64(&mut inner))
    }

    /// 64 uniformly distributed bits.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let drawn = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        drawn
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number in `0..bound`; always one draw, so streams stay aligned whatever the bound. `bound` must not be 0.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "no number is below zero");
        // The high half of a 128-bit product; its bias is below bound / 2^64.
        ((u128::from(self.next_u64()) * bound as u128) >> 64) as usize
    }

    /// Nanoseconds to the next arrival of a Poisson process with `per_second` arrivals on average.
    pub fn exponential_ns(&mut self, per_second: f64) -> u64 {
        assert!(per_second > 0.0, "a process without arrivals has no next one");
        (-ln(1.0 - self.unit()) / per_second * 1e9) as u64
    }

    /// Between `low` (at least 1) and `high`, each factor as likely as any other: small ones are common.
    pub fn log_uniform(&mut self, low: u64, high: u64) -> u64 {
        assert!(low > 0 && low <= high, "empty range {low}..={high}");
        let spread = ln(high as f64 / low as f64);
        ((low as f64 * exp(self.unit() * spread)) as u64).clamp(low, high)
    }
}

fn split_mix_64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Natural logarithm of a positive normal number, from operations that IEEE 754 defines to the bit.
fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = ((bits >> 52) & 0x7ff) as i32 - 1_023;
    let mut mantissa = f64::from_bits((bits & ((1 << 52) - 1)) | (1_023 << 52));
    if mantissa > core::f64::consts::SQRT_2 {
        mantissa /= 2.0;
        exponent += 1;
    }
    // ln m = 2 artanh((m - 1) / (m + 1)); |s| <= 0.1716, so eleven terms reach the last bits.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let mut sum = 0.0;
    for odd in (1..=21).rev().step_by(2) {
        sum = sum * square + 1.0 / f64::from(odd);
    }
    f64::from(exponent) * core::f64::consts::LN_2 + 2.0 * s * sum
}

/// e to the power of `x`, for |x| below 700.
fn exp(x: f64) -> f64 {
    let doublings = (x / core::f64::consts::LN_2).round();
    let rest = x - doublings * core::f64::consts::LN_2;
    let mut sum = 1.0;
    for term in (1..=16).rev() {
        sum = 1.0 + rest / f64::from(term) * sum;
    }
    sum * f64::from_bits(((doublings as i64 + 1_023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        let mut random = Random { state: [1, 2, 3, 4] };
        let drawn: [u64; 3] = core::array::from_fn(|_| random.next_u64());
        assert_eq!(drawn, [41_943_041, 58_720_359, 3_588_806_011_781_223]);
    }

    #[test]
    fn streams_are_reproducible_and_differ_by_agent_and_by_seed() {
        let draw = |seed, agent| Random::for_agent(seed, agent).next_u64();
        assert_eq!(draw(42, 7), draw(42, 7));
        let mut seen: Vec<u64> =
            (0..100).flat_map(|seed| (0..100).map(move |agent| draw(seed, agent))).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 10_000, "two of 10,000 streams start alike");
        // Frozen: a printed seed must mean the same run in every later version.
        let mut random = Random::for_agent(42, 7);
        let frozen = (random.exponential_ns(20.0), random.log_uniform(50, 2_000), random.below(32));
        assert_eq!(frozen, FROZEN);
    }

    const FROZEN: (u64, u64, usize) = (992_718, 758, 4);

    #[test]
    fn arrivals_are_a_poisson_process() {
        let mut random = Random::from_seed(1);
        let draws: Vec<f64> = (0..100_000).map(|_| random.exponential_ns(20.0) as f64 / 1e9).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!((mean - 0.05).abs() < 0.0005, "mean gap {mean} s");
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.02, "an exponential's deviation equals its mean");
        let beyond = draws.iter().filter(|gap| **gap > 0.15).count() as f64 / draws.len() as f64;
        assert!((beyond - (-3.0f64).exp()).abs() < 0.002, "share beyond three means {beyond}");
    }

    #[test]
    fn sizes_are_log_uniform() {
        let mut random = Random::from_seed(2);
        let draws: Vec<u64> = (0..100_000).map(|_| random.log_uniform(50, 2_000)).collect();
        assert!(draws.iter().all(|size| (50..=2_000).contains(size)));
        // The median of a log-uniform is the geometric mean of its ends, 316; the mean is 1950 / ln 40.
        let below = draws.iter().filter(|size| **size < 316).count() as f64 / draws.len() as f64;
        assert!((below - 0.5).abs() < 0.01, "share below the geometric mean {below}");
        let mean = draws.iter().sum::<u64>() as f64 / draws.len() as f64;
        assert!((mean - 1_950.0 / 40f64.ln()).abs() < 5.0, "mean {mean}");
        assert_eq!(random.log_uniform(7, 7), 7);
    }

    #[test]
    fn draws_below_a_bound_reach_every_number_evenly() {
        let mut random = Random::from_seed(3);
        let mut counts = [0u32; 32];
        for _ in 0..64_000 {
            counts[random.below(32)] += 1;
        }
        assert!(counts.iter().all(|count| (1_800..2_200).contains(count)), "{counts:?}");
    }

    #[test]
    fn logarithm_and_exponential_are_exact_enough() {
        for x in [1e-300, 1e-9, 0.5, 0.999_999, 1.0, 1.5, 40.0, 1e17] {
            assert!((ln(x) - f64::ln(x)).abs() <= 4e-16 * f64::ln(x).abs().max(1.0), "ln {x}");
        }
        for x in [-700.0, -1.0, 0.0, 1e-9, 0.3, 3.7, 50.0] {
            assert!((exp(x) / f64::exp(x) - 1.0).abs() < 2e-13, "exp {x}");
        }
    }
}
