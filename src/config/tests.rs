//! What is accepted from the environment, and what is not.

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
    assert!(given(&"ab".repeat(20), "production").is_err(), "long, but not random");
    assert!(given("short", "staging").is_err(), "another name does not allow it");
    let previous = |secrets: &str| {
        let good = ("JWT_SECRET", "0123456789abcdef0123456789abcdef");
        with(&[&base[..], &[good, ("JWT_PREVIOUS_SECRETS", secrets)]].concat())
    };
    assert!(previous("fedcba9876543210fedcba9876543210").is_ok());
    let error = previous("fedcba9876543210fedcba9876543210, change-me").unwrap_err().to_string();
    assert!(error.contains("JWT_PREVIOUS_SECRETS") && !error.contains("change-me"), "{error}");
    let config = given("0123456789abcdef0123456789abcdef", "production").unwrap();
    assert_eq!(config.redis.shards.len(), 2);
    assert!(!format!("{config:?}").contains("0123456789abcdef"), "Debug shows a secret");
}

#[test]
fn networks_of_proxies_are_read_or_refused() {
    let base = [
        ("DATABASE_URL", "postgresql://h/d"),
        ("REDIS_URL", "redis://a"),
        ("JWT_SECRET", "0123456789abcdef0123456789abcdef"),
    ];
    let given = |proxies: &str| with(&[&base[..], &[("TRUSTED_PROXIES", proxies)]].concat());
    let networks = given("10.1.2.3/8, 192.0.2.1,2001:db8::/32").unwrap().node.trusted_proxies;
    let shown: Vec<String> = networks.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"]);
    let refused = given("10.0.0.0/8,proxy.example").unwrap_err().to_string();
    assert!(refused.contains("proxy.example"), "{refused}");
}

/// R-DE-7, R-DE-12: what is no origin, no known name, or no key is refused, all together.
#[test]
fn values_that_mean_nothing_are_refused() {
    let errors = with(&[
        ("ALLOWED_ORIGINS", "https://a.example, *, https://b.example/"),
        ("APP_ENV", "prod"),
        ("LOG_FORMAT", "yaml"),
        ("JWT_ALGORITHM", "none"),
        ("JWT_PRIVATE_KEY_FILE", "/nowhere"),
    ])
    .unwrap_err();
    let about = |start: &str| errors.0.iter().filter(|line| line.starts_with(start)).count();
    assert_eq!(about("ALLOWED_ORIGINS="), 2, "{errors}");
    for name in ["APP_ENV=", "LOG_FORMAT=", "JWT_ALGORITHM=", "JWT_PRIVATE_KEY_FILE:"] {
        assert_eq!(about(name), 1, "{name} in {errors}");
    }
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
