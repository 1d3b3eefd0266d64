use std::fmt;
use std::path::Path;

use joulebook_types::AccountId;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};

use crate::KeyError;

/// An account and the key that proves it.
pub struct AccountKey {
    account: AccountId,
    pair: Ed25519KeyPair,
}

impl AccountKey {
    /// From the 32 secret bytes of an Ed25519 key.
    pub fn from_seed(account: AccountId, seed: &[u8; 32]) -> Result<Self, KeyError> {
        if account.is_none() {
            return Err(KeyError::NoAccount);
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("every 32 bytes are an Ed25519 seed");
        Ok(Self { account, pair })
    }

    /// A new random key.
    pub fn generate(account: AccountId) -> Result<Self, KeyError> {
        let mut seed = [0; 32];
        SystemRandom::new().fill(&mut seed).map_err(|_| KeyError::NoRandomness)?;
        Self::from_seed(account, &seed)
    }

    /// From a key file: lines `account N` and `seed` with 64 hex digits; `#` begins a comment. A file that others can
    /// read is refused: its key is no secret any more.
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        refuse_exposed(path)?;
        let text =
            std::fs::read_to_string(path).map_err(|error| KeyError::Io { path: path.to_owned(), error })?;
        let bad = |what| KeyError::Format { path: path.to_owned(), what };
        let field = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(' '));
            lines.find(|(key, _)| *key == name).map(|(_, value)| value.trim())
        };
        let account = field("account").ok_or_else(|| bad("it has no `account` line"))?;
        let account = account.parse().map_err(|_| bad("the account is not a number"))?;
        let seed = field("seed").ok_or_else(|| bad("it has no `seed` line"))?;
        let seed = parse_hex(seed).ok_or_else(|| bad("the seed is not 64 hex digits"))?;
        Self::from_seed(AccountId::new(account), &seed)
    }

    pub fn account(&self) -> AccountId {
        self.account
    }

    /// What the operator opens the account with.
    pub fn public_key(&self) -> [u8; 32] {
        self.pair.public_key().as_ref().try_into().expect("Ed25519 public keys have 32 bytes")
    }

    pub(crate) fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.pair.sign(bytes).as_ref().try_into().expect("Ed25519 signatures have 64 bytes")
    }
}

/// Never shows the secret.
impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountKey").field("account", &self.account).finish_non_exhaustive()
    }
}

#[cfg(unix)]
fn refuse_exposed(path: &Path) -> Result<(), KeyError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = std::fs::metadata(path).map_err(|error| KeyError::Io { path: path.to_owned(), error })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed { path: path.to_owned(), mode });
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_exposed(_path: &Path) -> Result<(), KeyError> {
    Ok(())
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    let mut bytes = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |index: usize| char::from(pair[index]).to_digit(16);
        *byte = (digit(0)? * 16 + digit(1)?) as u8;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// The first test key of RFC 8032, section 7.1.
    const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    fn load(text: &str, mode: u32) -> Result<AccountKey, KeyError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alice.key");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        AccountKey::from_file(&path)
    }

    #[test]
    fn a_key_file_is_read() {
        let key = load(&format!("# keep it secret\naccount 10\nname alice\nseed {SEED}\n"), 0o600).unwrap();
        assert_eq!((key.account(), key.public_key()), (AccountId::new(10), parse_hex(PUBLIC).unwrap()));
        assert!(!format!("{key:?}").contains("9d61"), "debug output hides the secret");
    }

    #[test]
    fn new_keys_differ() {
        let new = || AccountKey::generate(AccountId::new(1)).unwrap().public_key();
        assert_ne!(new(), new());
    }

    #[test]
    fn bad_key_files_say_why() {
        let cases = [
            ("seed 00", "it has no `account` line".to_owned()),
            ("account ten\nseed 00", "the account is not a number".to_owned()),
            ("account 10", "it has no `seed` line".to_owned()),
            ("account 10\nseed 00", "the seed is not 64 hex digits".to_owned()),
            (&format!("account 10\nseed {}g", &SEED[1..]), "the seed is not 64 hex digits".to_owned()),
            (&format!("account 10\nseed {}é", &SEED[2..]), "the seed is not 64 hex digits".to_owned()),
            (&format!("account 0\nseed {SEED}"), "account 0 is nobody's".to_owned()),
        ];
        for (text, why) in cases {
            let error = load(text, 0o600).unwrap_err().to_string();
            assert!(error.contains(&why), "{text:?}: {error}");
        }
        let missing = AccountKey::from_file(Path::new("no/such.key")).unwrap_err();
        assert!(matches!(missing, KeyError::Io { .. }), "{missing}");
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        for mode in [0o644, 0o640, 0o604, 0o620] {
            let error = load(&format!("account 10\nseed {SEED}\n"), mode).unwrap_err();
            assert!(
                matches!(error, KeyError::Exposed { mode: found, .. } if found == mode),
                "{mode:o}: {error}"
            );
            assert!(error.to_string().contains("chmod 600"));
        }
    }
}
