//! What is set wrongly is told, all at once.

use super::*;

fn with(pairs: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    Config::from_lookup(&|name| {
        pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn all_problems_are_reported_together() {
    let errors = with(&[("LOG_PARTITIONS", "many"), ("JWT_EXPIRE", "soon")]).unwrap_err();
    let text = errors.to_string();
    for name in ["DATABASE_URL", "REDIS_URL", "JWT_SECRET", "LOG_PARTITIONS", "JWT_EXPIRE"] {
        assert!(text.contains(name), "{name} is missing in {text}");
    }
}

#[test]
fn sample_and_short_secrets_are_refused_outside_development() {
    let base = [("DATABASE_URL", "postgresql://h/d"), ("REDIS_URL", "redis://a, redis://b")];
    let given = |secret: &str, env: &str| {
        let all = [&base[..], &[("JWT_SECRET", secret), ("APP_ENV", env)]].concat();
        with(&all)
    };
    assert!(given("short", "production").is_err());
    assert!(given("your-super-secure-jwt-secret-and-more-of-it", "production").is_err());
    assert!(given("short", "development").is_ok());
    let config = given("0123456789abcdef0123456789abcdef", "production").unwrap();
    assert_eq!(config.redis.shards.len(), 2);
    assert!(!format!("{config:?}").contains("0123456789abcdef"), "Debug shows a secret");
}

#[test]
fn the_names_of_the_seed_are_understood() {
    let config = with(&[
        ("DATABASE_URL", "postgresql://user:password@localhost:5432/chatdb"),
        ("REDIS_URL", "redis://localhost"),
        ("JWT_SECRET", "0123456789abcdef0123456789abcdef"),
        ("JWT_EXPIRE", "1h"),
        ("MINIO_USER", "minioadmin"),
        ("MINIO_PASS", "minioadmin"),
        ("MINIO_URL", "localhost"),
        ("MINIO_PORT", "9000"),
    ])
    .unwrap();
    assert_eq!(config.storage.unwrap().endpoint, "http://localhost:9000");
    assert_eq!(config.auth.access_life, Duration::from_hours(1));
}
