//! Chance that falls the same way on every machine.

use joulebook_testkit::Xoshiro256pp;

pub(super) struct Dice(Xoshiro256pp);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(Xoshiro256pp::from_seed(seed))
    }

    pub(super) fn below(&mut self, bound: u32) -> u32 {
        self.0.below(bound.into()) as u32
    }

    pub(super) fn below_u64(&mut self, bound: u64) -> u64 {
        self.0.below(bound)
    }

    /// Out of a hundred.
    pub(super) fn percent(&mut self, chances: u32) -> bool {
        self.below(100) < chances
    }

    /// Gamma(2, theta): thin at zero, most at theta, with a long tail.
    pub(super) fn gamma(&mut self, theta: u32) -> u32 {
        (f64::from(theta) * (self.exponential() + self.exponential())) as u32
    }

    fn exponential(&mut self) -> f64 {
        // 1 to 2^53, so that the logarithm is finite.
        -ln(((self.0.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64)
    }
}

/// The natural logarithm of a normal positive number, by additions and multiplications alone: those of libraries differ in
/// the last bit from machine to machine, and then so would a flow.
fn ln(x: f64) -> f64 {
    let exponent = (x.to_bits() >> 52) as i64 - 1_023;
    let mantissa = f64::from_bits(x.to_bits() & ((1 << 52) - 1) | 1_023 << 52);
    // ln(m) = 2 artanh((m - 1) / (m + 1)), and the argument is at most a third.
    let z = (mantissa - 1.0) / (mantissa + 1.0);
    let (square, mut power, mut sum) = (z * z, z, 0.0);
    for odd in (1..40).step_by(2) {
        sum += power / f64::from(odd);
        power *= square;
    }
    exponent as f64 * core::f64::consts::LN_2 + 2.0 * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_one() {
        for x in [1e-300, 1e-16, 0.1, 0.5, 0.999, 1.0, 1.5, 2.0, 1e10] {
            assert!((ln(x) - x.ln()).abs() < 1e-12 * x.ln().abs().max(1.0), "{x}: {} {}", ln(x), x.ln());
        }
    }

    #[test]
    fn the_gamma_distribution_has_its_mean_and_mode() {
        let mut dice = Dice::new(1);
        let drawn: Vec<u32> = (0..100_000).map(|_| dice.gamma(60)).collect();
        let mean = drawn.iter().map(|&x| u64::from(x)).sum::<u64>() / drawn.len() as u64;
        assert!((117..=122).contains(&mean), "{mean}");
        let around = |centre: u32| drawn.iter().filter(|x| x.abs_diff(centre) < 10).count();
        assert!(around(60) > 2 * around(5) && around(60) > 3 * around(240));
    }
}
