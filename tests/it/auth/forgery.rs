//! Tokens that were not made by us, and keys to make them with.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use uuid::Uuid;

const ED25519_PRIVATE: &[u8] = &[
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
const ED25519_PUBLIC: &[u8] =
    &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const P256_PRIVATE: &[u8] = &[
    0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x27, 0x30, 0x25, 0x02, 0x01,
    0x01, 0x04, 0x20,
];
const P256_PUBLIC: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];

/// A key, in every form that somebody may try to use it in.
pub(super) struct Key {
    pub(super) algorithm: Algorithm,
    signing: EncodingKey,
    pub(super) jwk: Option<Jwk>,
    pub(super) private_pem: String,
    pub(super) public_pem: String,
    public_bytes: Vec<u8>,
}

impl Key {
    pub(super) fn secret(secret: &str) -> Self {
        Self {
            algorithm: Algorithm::HS256,
            signing: EncodingKey::from_secret(secret.as_bytes()),
            jwk: None,
            private_pem: String::new(),
            public_pem: String::new(),
            public_bytes: Vec::new(),
        }
    }

    /// A new key of ES256 or EdDSA.
    pub(super) fn pair(algorithm: Algorithm) -> Self {
        // Any 32 bytes that do not begin with ones are a key of either curve.
        let scalar = [&[0x42][..], &rand::random::<[u8; 31]>()].concat();
        let is_ed = algorithm == Algorithm::EdDSA;
        let (private, public) =
            if is_ed { (ED25519_PRIVATE, ED25519_PUBLIC) } else { (P256_PRIVATE, P256_PUBLIC) };
        let private_pem = pem("PRIVATE KEY", &[private, &scalar].concat());
        let signing = if is_ed {
            EncodingKey::from_ed_pem(private_pem.as_bytes())
        } else {
            EncodingKey::from_ec_pem(private_pem.as_bytes())
        };
        let signing = signing.expect("it is a key");
        let jwk = Jwk::from_encoding_key(&signing, algorithm).expect("it has a public half");
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).expect("it is base64");
        let public_bytes = match &jwk.algorithm {
            AlgorithmParameters::OctetKeyPair(key) => decode(&key.x),
            AlgorithmParameters::EllipticCurve(key) => [decode(&key.x), decode(&key.y)].concat(),
            other => panic!("{other:?}"),
        };
        let public_pem = pem("PUBLIC KEY", &[public, &public_bytes].concat());
        Self { algorithm, signing, jwk: Some(jwk), private_pem, public_pem, public_bytes }
    }

    /// A token of exactly these texts.
    pub(super) fn sign(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &self.signing, self.algorithm);
        format!("{message}.{}", signature.expect("the key signs"))
    }

    /// What a thief of the public half has, used as if it were a shared secret.
    fn as_secrets(&self) -> Vec<Key> {
        let bytes = [self.public_bytes.as_slice(), self.public_pem.as_bytes(), b""];
        let of = |bytes: &[u8]| Key {
            signing: EncodingKey::from_secret(bytes),
            ..Key::secret("replaced")
        };
        bytes.into_iter().map(of).collect()
    }
}

fn pem(kind: &str, der: &[u8]) -> String {
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", STANDARD.encode(der))
}

fn encode(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// The header and claims of a token.
pub(super) fn parts(token: &str) -> (Value, Value) {
    let decode = |part: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(part).expect("it is base64");
        serde_json::from_slice(&bytes).expect("it is JSON")
    };
    let mut parts = token.split('.');
    (decode(parts.next().expect("a header")), decode(parts.next().expect("claims")))
}

/// A header with its fields in the order in which ours are written: with another one, it would be
/// refused for that alone.
pub(super) fn written(header: &Value) -> String {
    const OURS: [&str; 3] = ["typ", "alg", "kid"];
    let fields = header.as_object().expect("an object");
    let first = OURS.iter().filter_map(|name| fields.get_key_value(*name));
    let others = fields.iter().filter(|(name, _)| !OURS.contains(&name.as_str()));
    let field = |(name, value): (&String, &Value)| format!("{}:{value}", json!(name));
    let all: Vec<String> = first.chain(others).map(field).collect();
    format!("{{{}}}", all.join(","))
}

fn with(base: &Value, name: &str, value: Value) -> String {
    let mut changed = base.clone();
    changed[name] = value;
    written(&changed)
}

fn without(base: &Value, name: &str) -> String {
    let mut changed = base.clone();
    changed.as_object_mut().expect("an object").remove(name);
    written(&changed)
}

pub(super) type Table = Vec<(String, String)>;

/// Tokens that no key of ours has signed as they are, or that name another way to check them.
pub(super) fn odd_headers(key: &Key, good: &str) -> Table {
    let (header, claims) = parts(good);
    let claims = claims.to_string();
    let ours = |name: &str, value: Value| key.sign(&with(&header, name, value), &claims);
    let thief = Key::pair(if key.algorithm == Algorithm::ES256 {
        Algorithm::ES256
    } else {
        Algorithm::EdDSA
    });
    let mut table = Table::new();
    let mut add = |what: &str, token: String| table.push((what.to_owned(), token));
    for none in ["none", "None", "NONE", "nOnE"] {
        let unsigned = ours("alg", json!(none));
        let message = unsigned.rsplit_once('.').expect("three parts").0;
        add(&format!("alg {none}, unsigned"), format!("{message}."));
        add(&format!("alg {none}, signed"), unsigned.clone());
    }
    for alg in ["HS256", "HS384", "HS512", "RS256", "PS256", "ES256", "ES384", "EdDSA", "ed25519"] {
        if alg == header["alg"] {
            continue;
        }
        add(&format!("our signature called {alg}"), ours("alg", json!(alg)));
        for secret in key.as_secrets() {
            let named = with(&header, "alg", json!(alg));
            add(&format!("a public key as the secret of {alg}"), secret.sign(&named, &claims));
        }
    }
    add("another key under our name", thief.sign(&written(&header), &claims));
    add("another key under its own", thief.sign(&with(&header, "alg", json!("EdDSA")), &claims));
    add("an empty secret", Key::secret("").sign(&written(&header), &claims));
    add("no alg", key.sign(&without(&header, "alg"), &claims));
    add("a list as alg", ours("alg", json!([header["alg"], "none"])));
    let null = with(&header, "kid", json!("../../../../../../dev/null"));
    add("a file without content as the key", Key::secret("").sign(&null, &claims));
    add("SQL as the key's name", ours("kid", json!("x' union select 'key' --")));
    add("an unknown key", ours("kid", json!("AAAAAAAAAAAAAAAAAAAAAA")));
    add("a list of keys", ours("kid", json!([header["kid"]])));
    add("a number as the key's name", ours("kid", json!(1)));
    add("no key's name", key.sign(&without(&header, "kid"), &claims));
    add("a key elsewhere", ours("jku", json!("https://evil.example/keys.json")));
    add("a certificate elsewhere", ours("x5u", json!("https://evil.example/cert.pem")));
    let own_key = with(&header, "jwk", serde_json::to_value(&thief.jwk).expect("it is data"));
    add("the thief's own key", thief.sign(&own_key, &claims));
    add("the thief's own certificate", thief.sign(&with(&header, "x5c", json!(["MIIB"])), &claims));
    add("something critical", ours("crit", json!(["exp"])));
    let mut raw = header.clone();
    raw["crit"] = json!(["b64"]);
    add("an unencoded payload", key.sign(&with(&raw, "b64", json!(false)), &claims));
    add("b64 without crit", ours("b64", json!(false)));
    for typ in ["JWT", "jwt", "rt+jwt", "AT+JWT"] {
        add(&format!("a {typ}"), ours("typ", json!(typ)));
    }
    add("no type", key.sign(&without(&header, "typ"), &claims));
    add("a token within", ours("cty", json!("JWT")));
    add("compressed", ours("zip", json!("DEF")));
    add("one space more", key.sign(&written(&header).replace(':', ": "), &claims));
    let twice = written(&header).replacen('{', "{\"alg\":\"none\",", 1);
    add("alg twice", key.sign(&twice, &claims));
    table
}

/// A good token that was changed after it was signed.
pub(super) fn odd_forms(good: &str, other: &str) -> Table {
    let (message, signature) = good.rsplit_once('.').expect("three parts");
    let (header, payload) = message.split_once('.').expect("three parts");
    let (_, claims) = parts(good);
    let taken = other.rsplit_once('.').expect("three parts").1;
    let stronger = encode(&with(&claims, "exp", json!(4_000_000_000_u32)));
    // In the middle: the last character has bits that mean nothing.
    let flipped = if &signature[9..10] == "A" { "B" } else { "A" };
    let flipped = format!("{}{flipped}{}", &signature[..9], &signature[10..]);
    let table = [
        ("no signature", format!("{message}.")),
        ("no signature, and no dot", message.to_owned()),
        ("half a signature", format!("{message}.{}", &signature[..signature.len() / 2])),
        ("one byte less", format!("{message}.{}", &signature[..signature.len() - 2])),
        ("a signature of zeros", format!("{message}.{}", "A".repeat(signature.len()))),
        ("another token's signature", format!("{message}.{taken}")),
        ("one bit flipped", format!("{message}.{flipped}")),
        ("other claims under it", format!("{header}.{stronger}.{signature}")),
        ("padding behind the signature", format!("{good}=")),
        ("padding behind the claims", format!("{header}.{payload}=.{signature}")),
        ("a dot behind it", format!("{good}.")),
        ("a dot before it", format!(".{good}")),
        ("a part more", format!("{good}.e30")),
        ("shaped like an encrypted one", format!("{header}.{payload}.{payload}.{signature}.AA")),
        ("no claims", format!("{header}..{signature}")),
        ("not a token", "a.b.c".to_owned()),
        ("dots alone", "..".to_owned()),
    ];
    table.into_iter().map(|(what, token)| (what.to_owned(), token)).collect()
}

/// Tokens that our own key has signed, but whose claims are not those of an access token.
pub(super) fn odd_claims(key: &Key, good: &str, strangers_session: &str) -> Table {
    let (header, claims) = parts(good);
    let header = written(&header);
    let now = claims["iat"].as_i64().expect("a time");
    let ours = |name: &str, value: Value| key.sign(&header, &with(&claims, name, value));
    let doubled = |name: &str, value: Value| {
        let more = format!("{{{}:{value},", json!(name));
        key.sign(&header, &claims.to_string().replacen('{', &more, 1))
    };
    let mut table = vec![
        ("another issuer", ours("iss", json!("https://evil.example"))),
        ("another audience", ours("aud", json!("another-service"))),
        ("a list of audiences", ours("aud", json!([claims["aud"], "another-service"]))),
        ("a list of one audience", ours("aud", json!([claims["aud"]]))),
        ("expired", ours("exp", json!(now - 1))),
        ("expired long ago", ours("exp", json!(0))),
        ("ending as text", ours("exp", json!((now + 60).to_string()))),
        ("ending in a fraction", ours("exp", json!(1.0e300))),
        ("ending never", ours("exp", json!(i64::MAX))),
        ("ending below zero", ours("exp", json!(-1))),
        ("ending nowhere", ours("exp", Value::Null)),
        ("not yet", ours("nbf", json!(now + 3_600))),
        ("made in the future", ours("iat", json!(now + 3_600))),
        ("of nobody", ours("sub", json!(""))),
        ("of a name", ours("sub", json!("admin"))),
        ("of somebody else", ours("sub", json!(Uuid::now_v7()))),
        ("another user's session", ours("sid", json!(strangers_session))),
        ("a session that never was", ours("sid", json!(Uuid::now_v7()))),
        ("a list of sessions", ours("sid", json!([claims["sid"]]))),
        ("3 KiB", ours("pad", json!("x".repeat(3_072)))),
        ("two users", doubled("sub", json!(Uuid::now_v7()))),
        ("two ends", doubled("exp", json!(now + 60))),
        ("two audiences", doubled("aud", claims["aud"].clone())),
        ("a list of claims", key.sign(&header, &json!([claims]).to_string())),
        ("nothing claimed", key.sign(&header, "{}")),
        ("claims that are no JSON", key.sign(&header, "sub=admin")),
    ];
    for name in ["iss", "aud", "sub", "sid", "iat", "nbf", "exp", "jti"] {
        table.push(("a claim missing", key.sign(&header, &without(&claims, name))));
    }
    table.into_iter().map(|(what, token)| (what.to_owned(), token)).collect()
}
