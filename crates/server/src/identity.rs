//! Certificates and keys of a data folder: made at first start, readable by their owner only.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use joulebook_sys::sync_directory;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What the TLS server shows and proves.
#[derive(Debug)]
pub struct TlsIdentity {
    pub leaf: CertificateDer<'static>,
    pub key: PrivateKeyDer<'static>,
    /// Of the leaf in DER: part of what a client signs at logon.
    pub leaf_sha256: [u8; 32],
    /// Where clients find the certificate to trust.
    pub ca_path: PathBuf,
}

/// Why certificates or keys are not usable.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("cannot {what} {path}: {error}", path = .path.display())]
    Io { what: &'static str, path: PathBuf, error: io::Error },
    #[error("{path} is readable by others (mode {mode:04o}): run `chmod 600 {path}`", path = .path.display())]
    Exposed { path: PathBuf, mode: u32 },
    #[error("cannot make certificates: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("{path} is no PEM file of the expected kind: {what}", path = .path.display())]
    Pem { path: PathBuf, what: String },
    #[error("{path} is no key file: {what}", path = .path.display())]
    Key { path: PathBuf, what: &'static str },
    #[error("the system has no randomness")]
    Random,
}

/// Reads the certificates of `dir`, or makes a CA of our own and a leaf for localhost.
pub fn tls_identity(dir: &Path) -> Result<TlsIdentity, IdentityError> {
    let (ca_path, leaf_path, key_path) =
        (dir.join("ca.pem"), dir.join("tls/leaf.pem"), dir.join("tls/leaf.key"));
    if !key_path.exists() {
        make_certificates(dir, &ca_path, &leaf_path, &key_path)?;
    }
    let key_pem = read_secret(&key_path)?;
    let leaf_pem = read(&leaf_path)?;
    let pem_error = |path: &Path| {
        let path = path.to_owned();
        move |error: rustls::pki_types::pem::Error| IdentityError::Pem { path, what: format!("{error:?}") }
    };
    let leaf = CertificateDer::from_pem_slice(leaf_pem.as_bytes()).map_err(pem_error(&leaf_path))?;
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(pem_error(&key_path))?;
    let hash = digest(&SHA256, &leaf);
    let leaf_sha256 = hash.as_ref().try_into().expect("SHA-256 has 32 bytes");
    Ok(TlsIdentity { leaf, key, leaf_sha256, ca_path })
}

fn make_certificates(
    dir: &Path,
    ca_path: &Path,
    leaf_path: &Path,
    key_path: &Path,
) -> Result<(), IdentityError> {
    make_dir(&dir.join("tls"))?;
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::new(Vec::<String>::new())?;
    ca.distinguished_name.push(DnType::CommonName, "joulebook development CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca_certificate = ca.self_signed(&ca_key)?;
    let issuer = Issuer::new(ca, ca_key);

    let leaf_key = KeyPair::generate()?;
    let names = ["localhost", "127.0.0.1", "::1"].map(String::from).to_vec();
    let mut leaf = CertificateParams::new(names)?;
    leaf.distinguished_name.push(DnType::CommonName, "joulebook gateway");
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let leaf_certificate = leaf.signed_by(&leaf_key, &issuer)?;

    // The key last: it is what the next start looks for.
    write_new(&dir.join("tls/ca.key"), issuer.key().serialize_pem().as_bytes(), 0o600)?;
    write_new(ca_path, ca_certificate.pem().as_bytes(), 0o644)?;
    write_new(leaf_path, leaf_certificate.pem().as_bytes(), 0o644)?;
    write_new(key_path, leaf_key.serialize_pem().as_bytes(), 0o600)
}

/// Reads the Ed25519 key of an account in `dir/keys`, or makes one. Returns the public key.
pub fn account_key(dir: &Path, account: u32, name: &str) -> Result<[u8; 32], IdentityError> {
    let path = dir.join("keys").join(format!("{name}.key"));
    if !path.exists() {
        make_dir(&dir.join("keys"))?;
        write_new(&path, key_file_text(account, name, &random()?).as_bytes(), 0o600)?;
    }
    public_key(&path, account)
}

/// Secret of the QUIC endpoint, kept over restarts: it tells clients at once that their old connections are gone.
pub fn reset_key(dir: &Path) -> Result<[u8; 32], IdentityError> {
    let path = dir.join("tls/reset.key");
    if !path.exists() {
        make_dir(&dir.join("tls"))?;
        let hex: String = random::<32>()?.iter().map(|byte| format!("{byte:02x}")).collect();
        write_new(&path, hex.as_bytes(), 0o600)?;
    }
    parse_hex(read_secret(&path)?.trim())
        .ok_or(IdentityError::Key { path, what: "it does not hold 64 hex digits" })
}

/// A number that nobody can guess.
pub fn random_u64() -> Result<u64, IdentityError> {
    Ok(u64::from_le_bytes(random()?))
}

fn random<const N: usize>() -> Result<[u8; N], IdentityError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| IdentityError::Random)?;
    Ok(bytes)
}

/// The text of a key file.
pub fn key_file_text(account: u32, name: &str, seed: &[u8; 32]) -> String {
    let hex: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("# joulebook account key: keep it secret\naccount {account}\nname {name}\nseed {hex}\n")
}

fn public_key(path: &Path, account: u32) -> Result<[u8; 32], IdentityError> {
    let bad = |what| IdentityError::Key { path: path.to_owned(), what };
    let text = read_secret(path)?;
    let owner = text.lines().find_map(|line| line.strip_prefix("account "));
    if owner.and_then(|owner| owner.trim().parse().ok()) != Some(account) {
        return Err(bad("it belongs to another account"));
    }
    let seed = text
        .lines()
        .find_map(|line| line.strip_prefix("seed "))
        .ok_or_else(|| bad("it has no `seed` line"))?;
    let seed = parse_hex(seed.trim()).ok_or_else(|| bad("the seed is not 64 hex digits"))?;
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| bad("the seed is no Ed25519 key"))?;
    pair.public_key().as_ref().try_into().map_err(|_| bad("the public key has the wrong length"))
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[index * 2..index * 2 + 2], 16).ok()?;
    }
    Some(bytes)
}

fn read(path: &Path) -> Result<String, IdentityError> {
    fs::read_to_string(path).map_err(|error| IdentityError::Io { what: "read", path: path.to_owned(), error })
}

/// Refuses a secret that others can read: it is no secret any more.
fn read_secret(path: &Path) -> Result<String, IdentityError> {
    let io_error = |error| IdentityError::Io { what: "read", path: path.to_owned(), error };
    let mode = fs::metadata(path).map_err(io_error)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(IdentityError::Exposed { path: path.to_owned(), mode });
    }
    read(path)
}

fn make_dir(path: &Path) -> Result<(), IdentityError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| IdentityError::Io { what: "create", path: path.to_owned(), error })
}

/// Writes beside and renames, so that a crash leaves no half file. Never widens the permissions on the way.
fn write_new(path: &Path, contents: &[u8], mode: u32) -> Result<(), IdentityError> {
    let fail = |what: &'static str| move |error| IdentityError::Io { what, path: path.to_owned(), error };
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail("replace")(error)),
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)
        .map_err(fail("create"))?;
    file.write_all(contents).and_then(|()| file.sync_all()).map_err(fail("write"))?;
    fs::rename(&beside, path).map_err(fail("create"))?;
    // The journal will name this key for good, so the name must outlive a power cut that the journal outlives.
    path.parent().map_or(Ok(()), sync_directory).map_err(fail("sync the folder of"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_made_once_and_kept_secret() {
        let dir = tempfile::tempdir().unwrap();
        let first = tls_identity(dir.path()).unwrap();
        let key = account_key(dir.path(), 10, "alice").unwrap();
        assert_eq!(tls_identity(dir.path()).unwrap().leaf_sha256, first.leaf_sha256);
        assert_eq!(account_key(dir.path(), 10, "alice").unwrap(), key);
        assert_ne!(account_key(dir.path(), 11, "bob").unwrap(), key);
        for secret in ["tls/ca.key", "tls/leaf.key", "keys/alice.key"] {
            let mode = fs::metadata(dir.path().join(secret)).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{secret}");
        }
    }

    #[test]
    fn an_exposed_or_broken_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        account_key(dir.path(), 10, "alice").unwrap();
        let error = account_key(dir.path(), 11, "alice").unwrap_err().to_string();
        assert!(error.contains("belongs to another account"), "{error}");
        let path = dir.path().join("keys/alice.key");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = account_key(dir.path(), 10, "alice").unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "account 10\nseed xyz\n").unwrap();
        let error = account_key(dir.path(), 10, "alice").unwrap_err().to_string();
        assert!(error.contains("64 hex digits"), "{error}");
    }
}
