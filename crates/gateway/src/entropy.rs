//! Where a gateway's random numbers come from.

use ring::rand::{SecureRandom, SystemRandom};

/// Random bytes: for the nonces that clients sign, so whoever can guess them can prepare a logon. A simulator gives
/// bytes from its seed.
pub trait Entropy {
    /// Overwrites all of `bytes`. No bytes may come twice, and nobody may be able to foretell them.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoEntropy>;
}

/// There are no random numbers now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoEntropy;

/// The operating system's.
#[derive(Debug)]
pub struct SystemEntropy(SystemRandom);

impl Default for SystemEntropy {
    fn default() -> Self {
        Self(SystemRandom::new())
    }
}

impl Entropy for SystemEntropy {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
        self.0.fill(bytes).map_err(|_| NoEntropy)
    }
}
