//! Ed25519 keys: those of a data folder, and fresh ones for the accounts that a run opens.

use std::path::Path;

use joulebook_types::AccountId;
use ring::digest::{SHA256, digest};
use ring::signature::{Ed25519KeyPair, KeyPair};

use crate::BenchError;

/// Who signs a logon.
pub struct Signer {
    pub account: AccountId,
    key: Ed25519KeyPair,
}

impl Signer {
    /// The key of an account that a run opens: derived, so that a seed repeats it.
    pub fn derived(seed: u64, account: AccountId) -> Self {
        let mut text = b"joulebook load generator key\0".to_vec();
        text.extend_from_slice(&seed.to_le_bytes());
        text.extend_from_slice(&account.raw().to_le_bytes());
        let hash = digest(&SHA256, &text);
        Self { account, key: pair(hash.as_ref()).expect("SHA-256 has the length of a seed") }
    }

    /// Reads a key file: lines `account`, `name`, `seed`; `#` begins a comment.
    pub fn read(path: &Path) -> Result<Self, BenchError> {
        let text = std::fs::read_to_string(path).map_err(BenchError::file("read", path))?;
        Self::parse(&text).map_err(|what| BenchError::content(path, what))
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let field = |name: &str| {
            text.lines()
                .filter_map(|line| line.trim().split_once(char::is_whitespace))
                .find_map(|(key, value)| (key == name).then_some(value.trim()))
        };
        let account =
            field("account").and_then(|text| text.parse().ok()).ok_or("no line `account <number>`")?;
        let seed = field("seed").and_then(from_hex).ok_or("no line `seed <64 hex digits>`")?;
        let key = pair(&seed).ok_or("no line `seed <64 hex digits>`")?;
        Ok(Self { account: AccountId::new(account), key })
    }

    pub fn public_key(&self) -> [u8; 32] {
        self.key.public_key().as_ref().try_into().expect("an Ed25519 key has 32 bytes")
    }

    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.key.sign(bytes).as_ref().try_into().expect("an Ed25519 signature has 64 bytes")
    }
}

fn pair(seed: &[u8]) -> Option<Ed25519KeyPair> {
    Ed25519KeyPair::from_seed_unchecked(seed).ok()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    (0..32).map(|index| u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_files_are_read() {
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let text = format!("# a comment\naccount 10\nname alice\nseed {seed}\n");
        let signer = Signer::parse(&text).ok().unwrap();
        assert_eq!(signer.account, AccountId::new(10));
        // Test vector 1 of RFC 8032.
        assert_eq!(signer.public_key()[..4], [0xd7, 0x5a, 0x98, 0x01]);
        assert_eq!(signer.sign(b"")[..4], [0xe5, 0x56, 0x43, 0x00]);
        for broken in ["", "account 10", "seed 12", "account x\nseed 9d", "account 1\nseed zz"] {
            assert!(Signer::parse(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn derived_keys_depend_on_seed_and_account() {
        let public = |seed, account| Signer::derived(seed, AccountId::new(account)).public_key();
        assert_eq!(public(1, 2), public(1, 2));
        assert_ne!(public(1, 2), public(2, 2));
        assert_ne!(public(1, 2), public(1, 3));
    }
}
