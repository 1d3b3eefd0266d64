//! A 256-bit hash of the logical state: two engines with the same hash will answer alike for ever.

use zerocopy::IntoBytes;

use crate::Engine;

impl Engine {
    /// The hash of everything that decides what happens next. Slots, capacities of containers and connections are not
    /// part of it: a restart may change them.
    pub fn state_hash(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.time.as_bytes());
        hasher.update(self.last_seq.as_bytes());
        for account in self.accounts.iter() {
            hasher.update(account.definition().as_bytes());
            hasher.update(account.self_trade_group.as_bytes());
        }
        *hasher.finalize().as_bytes()
    }
}
