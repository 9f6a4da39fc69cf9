//! R-SE-1, R-SE-2, R-SE-4, R-SE-5: which keys there are, and how tokens find them.

use super::*;

const ED25519_PRIVATE: &[u8] = &[
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
const P256_PRIVATE: &[u8] = &[
    0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x27, 0x30, 0x25, 0x02, 0x01,
    0x01, 0x04, 0x20,
];

fn pem(kind: &str, der: &[u8]) -> String {
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", STANDARD.encode(der))
}

/// A file that is gone with the test.
struct KeyFile(String);

impl KeyFile {
    fn new(text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("key-{}", uuid::Uuid::now_v7()));
        std::fs::write(&path, text).unwrap();
        Self(path.to_str().unwrap().to_owned())
    }

    fn private(algorithm: Algorithm, scalar: u8) -> Self {
        let prefix = if algorithm == Algorithm::EdDsa { ED25519_PRIVATE } else { P256_PRIVATE };
        Self::new(&pem("PRIVATE KEY", &[prefix, &[scalar; 32]].concat()))
    }

    /// The public half of such a key.
    fn public(algorithm: Algorithm, scalar: u8) -> Self {
        let private = Self::private(algorithm, scalar);
        let text = std::fs::read(&private.0).unwrap();
        let text = text.as_slice();
        let (key, prefix) = match algorithm {
            Algorithm::EdDsa => (EncodingKey::from_ed_pem(text), ED25519_PREFIX),
            _ => (EncodingKey::from_ec_pem(text), P256_PREFIX),
        };
        let jwk = Jwk::from_encoding_key(&key.unwrap(), algorithm.of_tokens()).unwrap();
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        let raw = match &jwk.algorithm {
            AlgorithmParameters::OctetKeyPair(key) => decode(&key.x),
            AlgorithmParameters::EllipticCurve(key) => [decode(&key.x), decode(&key.y)].concat(),
            other => panic!("{other:?}"),
        };
        Self::new(&pem("PUBLIC KEY", &[prefix, &raw].concat()))
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

fn made(
    algorithm: Algorithm,
    private: Option<&str>,
    public: &[&str],
) -> Result<Keyring, Vec<String>> {
    let public: Vec<String> = public.iter().map(|path| (*path).to_owned()).collect();
    Keyring::new(&Material {
        algorithm,
        secret: &"0123456789abcdef0123456789abcdef".into(),
        previous_secrets: &[],
        private_key_file: private,
        previous_public_key_files: &public,
    })
}

fn kid(keyring: &Keyring) -> String {
    keyring.signing().0.kid.clone().unwrap()
}

/// Nodes of two versions run at once while one is deployed, and know each other's tokens by these
/// bytes: they must not change.
#[test]
fn the_header_is_always_written_alike() {
    let keyring = Keyring::of_secret(&"0123456789abcdef0123456789abcdef".into());
    let written = serde_json::to_string(keyring.signing().0).unwrap();
    let expected = r#"{"typ":"at+jwt","alg":"HS256","kid":"KID"}"#.replace("KID", &kid(&keyring));
    assert_eq!(written, expected);
    assert_eq!(kid(&keyring).len(), 22);
    let again = Keyring::of_secret(&"0123456789abcdef0123456789abcdef".into());
    assert_eq!(kid(&again), kid(&keyring), "after a restart");
    let other = Keyring::of_secret(&"fedcba9876543210fedcba9876543210".into());
    assert_ne!(kid(&other), kid(&keyring));
}

/// The example of RFC 8037, appendix A.3.
#[test]
fn the_id_of_a_public_key_is_its_thumbprint() {
    let x = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
    let text = pem("PUBLIC KEY", &[ED25519_PREFIX, &x].concat());
    let public = parse_public(Algorithm::EdDsa, &text).unwrap();
    let verifier = of_public(&public).unwrap();
    assert_eq!(verifier.kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn a_former_key_verifies_and_a_removed_one_does_not() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let (old, new) = (KeyFile::private(algorithm, 7), KeyFile::private(algorithm, 8));
        let before = made(algorithm, Some(&old.0), &[]).unwrap();
        let public = KeyFile::public(algorithm, 7);
        let during = made(algorithm, Some(&new.0), &[&public.0]).unwrap();
        let after = made(algorithm, Some(&new.0), &[]).unwrap();
        let header = |keyring: &Keyring| encoded(keyring.signing().0);
        assert!(during.verifying(&header(&before)).is_some(), "{algorithm:?}");
        assert!(during.verifying(&header(&after)).is_some());
        assert!(after.verifying(&header(&before)).is_none());
        assert!(before.verifying(&header(&after)).is_none(), "why the new key is given out first");
        assert!(!format!("{during:?}").contains("BwcHBwcH"), "Debug shows a key");
    }
}

#[test]
fn wrong_keys_are_refused_and_named_together() {
    const PRIVATE: &str = "JWT_PRIVATE_KEY_FILE";
    const PUBLIC: &str = "JWT_PREVIOUS_PUBLIC_KEY_FILES";
    use Algorithm::{EdDsa, Es256, Hs256};
    let (ed, p256) = (KeyFile::private(EdDsa, 7), KeyFile::private(Es256, 7));
    let (ed_half, p256_half) = (KeyFile::public(EdDsa, 7), KeyFile::public(Es256, 7));
    let p384 = [&P256_PRIVATE[..11], &[0x05, 0x2b, 0x81, 0x04, 0x00, 0x22]].concat();
    let p384 = KeyFile::new(&pem("PRIVATE KEY", &[p384, vec![7; 48]].concat()));
    // secp256k1: a point of the same length as P-256's.
    let k1 = [&P256_PREFIX[..13], &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a, 0x03, 0x42, 0x00, 4]];
    let k1 = KeyFile::new(&pem("PUBLIC KEY", &[&k1.concat()[..], &[7; 64]].concat()));
    let nothing = KeyFile::new("no key at all");
    let starts_of = |algorithm, private: Option<&KeyFile>, public: &[&str]| {
        let problems = made(algorithm, private.map(|file| file.0.as_str()), public).err();
        let start = |line: String| line.split(['=', ':']).next().unwrap_or_default().to_owned();
        problems.unwrap_or_default().into_iter().map(start).collect::<Vec<_>>()
    };
    assert_eq!(starts_of(Hs256, Some(&ed), &[]), [PRIVATE], "of no use");
    assert_eq!(starts_of(Hs256, None, &[&ed_half.0]), [PUBLIC], "of no use");
    assert_eq!(starts_of(EdDsa, None, &[]), [PRIVATE], "missing");
    assert_eq!(starts_of(Es256, Some(&ed), &[]), [PRIVATE], "of another kind");
    assert_eq!(starts_of(Es256, Some(&p384), &[]), [PRIVATE], "of another curve");
    assert_eq!(starts_of(EdDsa, Some(&ed_half), &[]), [PRIVATE], "the public half");
    assert_eq!(starts_of(EdDsa, Some(&ed), &[&ed.0]), [PUBLIC], "the private half");
    assert_eq!(starts_of(EdDsa, Some(&ed), &[&p256_half.0]), [PUBLIC], "of another kind");
    let others = [k1.0.as_str(), "/nowhere/key.pem", &ed_half.0];
    assert_eq!(starts_of(Es256, Some(&nothing), &others), [PRIVATE, PUBLIC, PUBLIC, PUBLIC]);
    let many = [ed_half.0.as_str(); 9];
    assert_eq!(starts_of(EdDsa, Some(&ed), &many), [PUBLIC], "too many");
    assert!(starts_of(EdDsa, Some(&ed), &[&ed_half.0]).is_empty());
    assert!(starts_of(Es256, Some(&p256), &[&p256_half.0]).is_empty());
}

#[test]
fn a_file_without_an_end_is_not_read_to_it() {
    assert!(made(Algorithm::EdDsa, Some("/dev/zero"), &[]).is_err());
}
