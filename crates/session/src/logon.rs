//! What a logon's signature covers.

use joulebook_types::{AccountId, SessionId};

const LABEL: &[u8; 18] = b"joulebook/1 logon\0";
/// Bytes that are signed.
pub const LOGON_BYTES: usize = LABEL.len() + 32 + 32 + 4 + 4;

/// The bytes that the client signs and the server verifies.
///
/// The nonce makes the signature good for one logon; the hash of the server's leaf certificate (SHA-256 of its DER)
/// makes it worthless to a server in between that holds another certificate.
pub fn logon_bytes(
    nonce: &[u8; 32],
    leaf_sha256: &[u8; 32],
    account: AccountId,
    session: SessionId,
) -> [u8; LOGON_BYTES] {
    let mut bytes = [0; LOGON_BYTES];
    let (label, rest) = bytes.split_at_mut(LABEL.len());
    label.copy_from_slice(LABEL);
    rest[..32].copy_from_slice(nonce);
    rest[32..64].copy_from_slice(leaf_sha256);
    rest[64..68].copy_from_slice(&account.raw().to_le_bytes());
    rest[68..].copy_from_slice(&session.raw().to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_the_documented_one() {
        let bytes = logon_bytes(&[1; 32], &[2; 32], AccountId::new(0x0403_0201), SessionId::new(9));
        let want = [b"joulebook/1 logon\0".as_slice(), &[1; 32], &[2; 32], &[1, 2, 3, 4], &[9, 0, 0, 0]];
        assert_eq!(bytes.as_slice(), want.concat());
    }
}
