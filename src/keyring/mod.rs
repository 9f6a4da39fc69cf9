//! The keys of access tokens: one signs, and it and a few others verify.
//!
//! One algorithm is configured, and each key belongs to it. A key's id (`kid`) is derived from the
//! key, so it is the same on all nodes and after each restart. What a token says of its key is never
//! interpreted: its encoded header has to be, byte for byte, one that we would have written, and
//! that finds the key in a fixed map. So `none`, other algorithms, keys that a token brings along
//! (`jwk`, `x5c`) or points to (`jku`, `x5u`, `kid` as a path), and critical extensions are all
//! refused by one look-up.
//!
//! # Rotation
//! A key that another node may sign with must be known here before it does. So a new key is first
//! given to all nodes as one that only verifies, and only then made the one that signs, with the old
//! one still verifying. When an access token's life has passed, the old one can go.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, EllipticCurveKeyParameters,
    EllipticCurveKeyType, Jwk, OctetKeyPairParameters, OctetKeyPairType, ThumbprintHash,
};
use jsonwebtoken::{DecodingKey, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// RFC 9068's name, so that a token made for another purpose is never taken for an access token.
const TYPE: &str = "at+jwt";

/// Larger than any key; a wrong path may name anything.
const MAX_FILE_BYTES: u64 = 16 * 1024;

/// Other keys that verify. A rotation needs one; more than this are a mistake.
const MAX_OTHERS: usize = 8;

/// A public key's DER before the key itself: that of P-256 ends with the mark of an uncompressed
/// point.
const P256_PREFIX: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
const ED25519_PREFIX: &[u8] =
    &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// What access tokens are signed with, by its name in `alg`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Hs256,
    Es256,
    EdDsa,
}

impl FromStr for Algorithm {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "HS256" => Ok(Self::Hs256),
            "ES256" => Ok(Self::Es256),
            "EdDSA" => Ok(Self::EdDsa),
            _ => Err(()),
        }
    }
}

impl Algorithm {
    fn of_tokens(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Hs256 => jsonwebtoken::Algorithm::HS256,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

/// What a keyring is made of.
#[derive(Clone, Copy, Debug)]
pub struct Material<'a> {
    pub algorithm: Algorithm,
    pub secret: &'a SecretString,
    pub previous_secrets: &'a [SecretString],
    pub private_key_file: Option<&'a str>,
    pub previous_public_key_files: &'a [String],
}

#[derive(Clone)]
pub struct Keyring {
    algorithm: Algorithm,
    signing: EncodingKey,
    header: Header,
    /// By the encoded header of the tokens that they verify.
    verifying: HashMap<String, DecodingKey>,
}

impl Keyring {
    /// Makes the keys ready.
    ///
    /// # Errors
    /// All that is wrong with them, a line each, with the variable that has to be changed.
    pub fn new(material: &Material<'_>) -> Result<Self, Vec<String>> {
        let mut problems = check_use(material);
        let signing = match signing_key(material) {
            Ok(signing) => Some(signing),
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        let mut others = Vec::new();
        match material.algorithm {
            Algorithm::Hs256 => others.extend(material.previous_secrets.iter().map(of_secret)),
            asymmetric => {
                for path in material.previous_public_key_files {
                    match public_key(asymmetric, path) {
                        Ok(key) => others.push(key),
                        Err(problem) => problems.push(problem),
                    }
                }
            }
        }
        match signing {
            Some((signing, own)) if problems.is_empty() => {
                Ok(Self::put_together(material.algorithm, signing, own, others))
            }
            _ => Err(problems),
        }
    }

    /// HS256 with one secret.
    pub fn of_secret(secret: &SecretString) -> Self {
        let signing = EncodingKey::from_secret(secret.expose_secret().as_bytes());
        Self::put_together(Algorithm::Hs256, signing, of_secret(secret), Vec::new())
    }

    fn put_together(
        algorithm: Algorithm,
        signing: EncodingKey,
        own: Verifier,
        others: Vec<Verifier>,
    ) -> Self {
        let header = header_of(algorithm, own.kid.clone());
        let by_header = |key: Verifier| (encoded(&header_of(algorithm, key.kid)), key.key);
        let verifying = others.into_iter().chain([own]).map(by_header).collect();
        Self { algorithm, signing, header, verifying }
    }

    pub fn algorithm(&self) -> jsonwebtoken::Algorithm {
        self.algorithm.of_tokens()
    }

    /// What each new token begins with, and the key that signs it.
    pub fn signing(&self) -> (&Header, &EncodingKey) {
        (&self.header, &self.signing)
    }

    /// The key of a token that begins with this encoded header.
    pub fn verifying(&self, encoded_header: &str) -> Option<&DecodingKey> {
        self.verifying.get(encoded_header)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.header.kid)
            .field("verifying", &self.verifying.len())
            .finish_non_exhaustive()
    }
}

/// A key that verifies, and its id.
struct Verifier {
    kid: String,
    key: DecodingKey,
}

fn header_of(algorithm: Algorithm, kid: String) -> Header {
    let mut header = Header::new(algorithm.of_tokens());
    header.typ = Some(TYPE.to_owned());
    header.kid = Some(kid);
    header
}

fn encoded(header: &Header) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(header).expect("a header is plain data"))
}

/// Variables that are set for another algorithm: whoever set them meant something else.
fn check_use(material: &Material<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    let is_secret = material.algorithm == Algorithm::Hs256;
    if is_secret && material.private_key_file.is_some() {
        problems.push("JWT_PRIVATE_KEY_FILE: only with JWT_ALGORITHM ES256 or EdDSA".to_owned());
    }
    if is_secret && !material.previous_public_key_files.is_empty() {
        let only = "JWT_PREVIOUS_PUBLIC_KEY_FILES: only with JWT_ALGORITHM ES256 or EdDSA";
        problems.push(only.to_owned());
    }
    if material.previous_secrets.len() > MAX_OTHERS {
        problems.push(format!("JWT_PREVIOUS_SECRETS: at most {MAX_OTHERS}"));
    }
    if material.previous_public_key_files.len() > MAX_OTHERS {
        problems.push(format!("JWT_PREVIOUS_PUBLIC_KEY_FILES: at most {MAX_OTHERS}"));
    }
    problems
}

fn signing_key(material: &Material<'_>) -> Result<(EncodingKey, Verifier), String> {
    const VARIABLE: &str = "JWT_PRIVATE_KEY_FILE";
    let algorithm = material.algorithm;
    if algorithm == Algorithm::Hs256 {
        let signing = EncodingKey::from_secret(material.secret.expose_secret().as_bytes());
        return Ok((signing, of_secret(material.secret)));
    }
    let path = material
        .private_key_file
        .ok_or_else(|| format!("{VARIABLE}: required with JWT_ALGORITHM ES256 and EdDSA"))?;
    let pem = read(VARIABLE, path)?;
    let pem = pem.expose_secret().as_bytes();
    let (parsed, expected) = match algorithm {
        Algorithm::EdDsa => (EncodingKey::from_ed_pem(pem), "Ed25519"),
        _ => (EncodingKey::from_ec_pem(pem), "P-256"),
    };
    // The library finds the public half, and so sees a key that is of another curve, or broken.
    let key = parsed.and_then(|key| {
        let public = Jwk::from_encoding_key(&key, algorithm.of_tokens())?;
        Ok((key, of_public(&public)?))
    });
    key.map_err(|_| {
        format!("{VARIABLE}={path:?}: expected a private key of {expected}, PKCS#8 as PEM")
    })
}

/// The id of a secret says nothing of it that its tokens' signatures do not say as well.
fn of_secret(secret: &SecretString) -> Verifier {
    let secret = secret.expose_secret().as_bytes();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(b"access token key id, 1");
    let kid = URL_SAFE_NO_PAD.encode(&mac.finalize().into_bytes()[..16]);
    Verifier { kid, key: DecodingKey::from_secret(secret) }
}

/// The id of a public key is its thumbprint after RFC 7638.
fn of_public(public: &Jwk) -> Result<Verifier, jsonwebtoken::errors::Error> {
    let kid = public.thumbprint(ThumbprintHash::SHA256)?;
    Ok(Verifier { kid, key: DecodingKey::from_jwk(public)? })
}

fn public_key(algorithm: Algorithm, path: &str) -> Result<Verifier, String> {
    const VARIABLE: &str = "JWT_PREVIOUS_PUBLIC_KEY_FILES";
    let pem = read(VARIABLE, path)?;
    let public = parse_public(algorithm, pem.expose_secret());
    public.and_then(|public| of_public(&public).ok()).ok_or_else(|| {
        let curve = if algorithm == Algorithm::EdDsa { "Ed25519" } else { "P-256" };
        format!("{VARIABLE}={path:?}: expected a public key of {curve}, as PEM")
    })
}

/// Exactly the one form that such a key has, so that no key of another curve is taken for one.
fn parse_public(algorithm: Algorithm, pem: &str) -> Option<Jwk> {
    let (_, rest) = pem.split_once("-----BEGIN PUBLIC KEY-----")?;
    let (body, _) = rest.split_once("-----END PUBLIC KEY-----")?;
    let body: String = body.split_ascii_whitespace().collect();
    let der = STANDARD.decode(body).ok()?;
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let algorithm = if algorithm == Algorithm::EdDsa {
        let x = der.strip_prefix(ED25519_PREFIX).filter(|x| x.len() == 32)?;
        AlgorithmParameters::OctetKeyPair(OctetKeyPairParameters {
            key_type: OctetKeyPairType::OctetKeyPair,
            curve: EllipticCurve::Ed25519,
            x: text(x),
        })
    } else {
        let point = der.strip_prefix(P256_PREFIX).filter(|point| point.len() == 64)?;
        AlgorithmParameters::EllipticCurve(EllipticCurveKeyParameters {
            key_type: EllipticCurveKeyType::EC,
            curve: EllipticCurve::P256,
            x: text(&point[..32]),
            y: text(&point[32..]),
        })
    };
    Some(Jwk { common: CommonParameters::default(), algorithm })
}

fn read(variable: &str, path: &str) -> Result<SecretString, String> {
    let mut text = String::new();
    let read =
        File::open(path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(text.into()),
        Err(error) => Err(format!("{variable}={path:?}: cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests;
