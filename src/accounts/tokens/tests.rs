//! R-SE-1, R-SE-2, R-SE-3: what is not exactly one of our access tokens is refused.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use jsonwebtoken::{Algorithm, EncodingKey};

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn settings() -> config::Auth {
    settings_of(SECRET, &[])
}

fn settings_of(secret: &str, previous: &[&str]) -> config::Auth {
    let lookup = |name: &str| {
        let value = match name {
            "APP_ENV" => "development",
            "DATABASE_URL" | "REDIS_URL" => "unused",
            "JWT_SECRET" => secret,
            "JWT_PREVIOUS_SECRETS" => return Some(previous.join(",")),
            "JWT_ISSUER" => "us",
            "JWT_AUDIENCE" => "them",
            _ => return None,
        };
        Some(value.to_owned())
    };
    config::Config::from_lookup(&lookup).expect("the settings are good").auth
}

/// The header of our tokens.
fn our_header() -> Value {
    serde_json::to_value(settings().keyring.signing().0).unwrap()
}

/// A header with its fields in the order in which ours are written: with another one, it would be
/// refused for that alone.
fn written(header: &Value) -> String {
    const OURS: [&str; 3] = ["typ", "alg", "kid"];
    let fields = header.as_object().expect("an object");
    let first = OURS.iter().filter_map(|name| fields.get_key_value(*name));
    let others = fields.iter().filter(|(name, _)| !OURS.contains(&name.as_str()));
    let field = |(name, value): (&String, &Value)| format!("{}:{value}", json!(name));
    let all: Vec<String> = first.chain(others).map(field).collect();
    format!("{{{}}}", all.join(","))
}

/// Signs whatever it is given, as a holder of `secret` could.
fn forge(header: &Value, claims: &Value, secret: &str) -> String {
    let part = |text: String| URL_SAFE_NO_PAD.encode(text);
    let message = format!("{}.{}", part(written(header)), part(claims.to_string()));
    let key = EncodingKey::from_secret(secret.as_bytes());
    let algorithm = match header["alg"].as_str() {
        Some("HS384") => Algorithm::HS384,
        Some("HS512") => Algorithm::HS512,
        _ => Algorithm::HS256,
    };
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).unwrap();
    format!("{message}.{signature}")
}

fn claims_at(now: i64) -> Value {
    json!({
        "iss": "us", "aud": "them", "sub": UserId::new(), "sid": SessionId::new(),
        "iat": now, "nbf": now, "exp": now + 60, "jti": Uuid::new_v4(),
    })
}

fn with(base: &Value, key: &str, value: Value) -> Value {
    let mut changed = base.clone();
    changed[key] = value;
    changed
}

fn without(base: &Value, key: &str) -> Value {
    let mut changed = base.clone();
    changed.as_object_mut().unwrap().remove(key);
    changed
}

#[test]
fn a_token_of_ours_is_understood() {
    let key = AccessKey::new(&settings());
    let (user, session, now) = (UserId::new(), SessionId::new(), Timestamp::now());
    let token = key.issue(user, session, now, Duration::from_mins(1)).unwrap();
    let caller = key.verify(&token, now).unwrap();
    assert_eq!((caller.user_id, caller.session_id), (user, session));
    let left = caller.expires_at.unix_millis() - now.unix_millis();
    assert!((59_000..=60_000).contains(&left), "{left} ms left");
}

#[test]
fn it_ends_on_time() {
    let key = AccessKey::new(&settings());
    let made = Timestamp::from_unix_millis(1_700_000_000_000);
    let token = key.issue(UserId::new(), SessionId::new(), made, Duration::from_mins(1)).unwrap();
    let at = |seconds: i64| Timestamp::from_unix_millis(1_700_000_000_000 + seconds * 1_000);
    assert!(key.verify(&token, at(59)).is_ok());
    assert!(key.verify(&token, at(60)).is_err());
    assert!(key.verify(&token, at(-4)).is_ok(), "clocks may differ a little");
    assert!(key.verify(&token, at(-6)).is_err(), "but not much");
}

#[test]
fn forged_tokens_are_refused() {
    let key = AccessKey::new(&settings());
    let now = Timestamp::now().unix_millis() / 1_000;
    let header = our_header();
    let claims = claims_at(now);
    let accepted = forge(&header, &claims, SECRET);
    assert!(key.verify(&accepted, Timestamp::now()).is_ok(), "the table's base must be good");

    let odd_header = |name: &str, value: Value| forge(&with(&header, name, value), &claims, SECRET);
    let odd_claim = |name: &str, value: Value| forge(&header, &with(&claims, name, value), SECRET);
    let body = accepted.rsplit_once('.').unwrap().0.to_owned();
    let mut table = vec![
        ("another secret", forge(&header, &claims, "another-secret-another-secret-32")),
        ("no signature", format!("{body}.")),
        ("alg none", {
            let none = with(&header, "alg", json!("none"));
            let forged = forge(&none, &claims, SECRET);
            format!("{}.", forged.rsplit_once('.').unwrap().0)
        }),
        ("HS384", odd_header("alg", json!("HS384"))),
        ("HS512", odd_header("alg", json!("HS512"))),
        ("RS256 with our secret as its key", odd_header("alg", json!("RS256"))),
        ("plain JWT", odd_header("typ", json!("JWT"))),
        ("a refresh token's type", odd_header("typ", json!("rt+jwt"))),
        ("no type", forge(&without(&header, "typ"), &claims, SECRET)),
        ("its own key", odd_header("jwk", json!({"kty": "oct", "k": "AAAA"}))),
        ("a key elsewhere", odd_header("jku", json!("https://evil.example/keys"))),
        ("a certificate elsewhere", odd_header("x5u", json!("https://evil.example/cert"))),
        ("another key id", odd_header("kid", json!("../../dev/null"))),
        ("no key id", forge(&without(&header, "kid"), &claims, SECRET)),
        ("a critical extension", odd_header("crit", json!(["exp"]))),
        ("another issuer", odd_claim("iss", json!("them"))),
        ("another audience", odd_claim("aud", json!("us"))),
        ("a list of audiences", odd_claim("aud", json!(["them", "others"]))),
        ("expired", odd_claim("exp", json!(now - 1))),
        ("not yet", odd_claim("nbf", json!(now + 60))),
        ("made in the future", odd_claim("iat", json!(now + 60))),
        ("a time as text", odd_claim("exp", json!((now + 60).to_string()))),
        ("a user that is no id", odd_claim("sub", json!("admin"))),
        ("too long", odd_claim("pad", json!("x".repeat(4_000)))),
        ("empty", String::new()),
        ("not a token", "a.b.c".to_owned()),
        ("one part more", format!("{accepted}.e30")),
    ];
    for claim in ["iss", "aud", "sub", "sid", "iat", "nbf", "exp", "jti"] {
        table.push(("a missing claim", forge(&header, &without(&claims, claim), SECRET)));
    }
    for (what, token) in table {
        let answer = key.verify(&token, Timestamp::now());
        assert!(matches!(answer, Err(Error::Unauthenticated(_))), "{what} was accepted: {token}");
    }
}

/// R-SE-5: nobody is signed out while secrets are rotated, and in the end the old one is worth
/// nothing.
#[test]
fn keys_rotate_with_an_overlap() {
    const NEXT: &str = "fedcba9876543210fedcba9876543210";
    let key = |secret, previous: &[&str]| AccessKey::new(&settings_of(secret, previous));
    let issue = |key: &AccessKey| {
        key.issue(UserId::new(), SessionId::new(), Timestamp::now(), Duration::from_mins(1))
            .unwrap()
    };
    let good = |key: &AccessKey, token: &str| key.verify(token, Timestamp::now()).is_ok();
    // First all nodes know the new secret, then they sign with it one after the other.
    let (before, told) = (key(SECRET, &[]), key(SECRET, &[NEXT]));
    let (signing, after) = (key(NEXT, &[SECRET]), key(NEXT, &[]));
    let (old, new) = (issue(&told), issue(&signing));
    for node in [&told, &signing] {
        assert!(good(node, &old) && good(node, &new));
    }
    assert!(good(&before, &old) && !good(&before, &new), "why the secret is told first");
    assert!(good(&after, &new) && !good(&after, &old));
}
