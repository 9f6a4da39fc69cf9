//! Everything that can be set, read once from the environment.
//!
//! [`Config::from_env`] reports all problems together, each with the variable, the value given
//! (never a secret's) and the form expected. README's table lists the same variables; a test
//! compares the two.

mod life;
mod mail;
mod part;
mod rates;
mod variables;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};

use crate::keyring::{Keyring, Material};
use crate::origin::is_origin;
use life::Life;

pub use mail::{Mail, MailTransport};
pub use rates::{MOST_QUOTAS, Quota, Quotas, Rates};
pub use variables::{VARIABLES, Variable};

/// The settings of one node.
#[derive(Clone, Debug)]
pub struct Config {
    pub development: bool,
    pub node: Node,
    pub postgres: Postgres,
    pub redis: Redis,
    pub log: Log,
    pub auth: Auth,
    pub passwords: Passwords,
    /// Without it no mail is sent.
    pub mail: Option<Mail>,
    pub limits: Limits,
    pub rates: Rates,
    pub socket: Socket,
    pub presence: Presence,
    pub storage: Option<Storage>,
    pub jobs: Jobs,
    pub telemetry: Telemetry,
}

/// Who this node is and where it listens.
#[derive(Clone, Debug)]
pub struct Node {
    /// Stable over restarts of the same node: a new process of the same name replaces the old.
    pub name: String,
    pub http_addr: SocketAddr,
    pub metrics_addr: SocketAddr,
    pub roles: Roles,
    /// From SIGTERM to the exit, at the most.
    pub shutdown_grace: Duration,
    /// Over how long the sockets are told to leave while draining.
    pub drain_window: Duration,
    /// The `Origin`s that a browser's requests and sockets may come from; empty allows none.
    pub allowed_origins: Vec<String>,
    /// For how many seconds browsers insist on TLS after an answer; 0 says nothing of it.
    pub hsts_max_age: u64,
    /// Whether `/docs` is served, which needs no token.
    pub docs: bool,
    /// Where the proxies in front of the node are; only these may say whom they speak for.
    pub trusted_proxies: Vec<IpNet>,
}

/// Which parts a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    pub edge: bool,
    pub writer: bool,
    pub jobs: bool,
}

#[derive(Clone, Debug)]
pub struct Postgres {
    pub url: SecretString,
    pub max_connections: u32,
}

#[derive(Clone, Debug)]
pub struct Redis {
    /// One entry a shard; partitions are spread over them.
    pub shards: Vec<SecretString>,
    /// Before every key, so that clusters and tests can share a server.
    pub prefix: String,
}

/// The log: partitions, writers, streams.
#[derive(Clone, Debug)]
pub struct Log {
    pub partitions: u16,
    /// How long an owner stays one without renewing.
    pub lease: Duration,
    /// Commands of one transaction, at the most.
    pub batch_limit: usize,
    /// Entries that a partition's `out` keeps behind its top.
    pub out_tail: u64,
    /// Unread entries in a partition's `in` beyond which new commands are refused.
    pub in_limit: u64,
    /// How long an edge waits for a command's answer.
    pub answer_timeout: Duration,
}

#[derive(Clone, Debug)]
pub struct Auth {
    /// Makes the successors of refresh tokens, and with HS256 signs access tokens.
    pub jwt_secret: SecretString,
    /// Other secrets that are known: those before and after a rotation.
    pub previous_secrets: Vec<SecretString>,
    /// The keys of access tokens.
    pub keyring: Arc<Keyring>,
    pub issuer: String,
    pub audience: String,
    pub access_life: Duration,
    /// A refresh token's life, from its making.
    pub refresh_idle: Duration,
    /// A session's life, however often it is refreshed.
    pub refresh_absolute: Duration,
    /// Sent by every client in `X-App-Token` where it is set.
    pub app_token: Option<SecretString>,
    /// How long a link in a mail is good for.
    pub reset_life: Duration,
    pub verification_life: Duration,
    /// How long after their sign-in operators may change others' accounts.
    pub admin_reauth: Duration,
}

/// How passwords are hashed, and which are refused.
#[derive(Clone, Debug)]
pub struct Passwords {
    /// Hashed at once; each takes `memory_kib`.
    pub slots: usize,
    /// Sign-ins that may wait for a slot; one more is refused.
    pub queue: usize,
    /// What argon2id takes for one: memory in KiB, and passes over it.
    pub memory_kib: u32,
    pub passes: u32,
    /// Those that are known to have leaked, as lines of their SHA-1.
    pub breached: Option<PathBuf>,
}

#[derive(Clone, Debug)]
pub struct Limits {
    pub body_chars: usize,
    pub request_bytes: usize,
    pub frame_bytes: usize,
    pub members_per_call: usize,
}

#[derive(Clone, Debug)]
pub struct Socket {
    /// Bytes that may wait for one socket before it is closed with 4408.
    pub outbox_bytes: usize,
    pub heartbeat: Duration,
    /// How long a socket may live without authentication.
    pub auth_timeout: Duration,
    /// Commands of one socket that may wait for their answers; further frames are read later.
    pub in_flight: usize,
    /// Sockets of one node, at the most.
    pub max_connections: usize,
    /// Of these, at each node: of one address, of one address without authentication, of one user.
    pub per_address: usize,
    pub waiting_per_address: usize,
    pub per_user: usize,
}

/// Who is online.
#[derive(Clone, Debug)]
pub struct Presence {
    /// How long the users of a node that is not heard of any more stay online.
    pub life: Duration,
}

/// An S3-compatible store.
#[derive(Clone, Debug)]
pub struct Storage {
    pub endpoint: String,
    pub region: String,
    pub bucket: String,
    pub access_key: String,
    pub secret_key: SecretString,
}

/// How long the jobs of the timetable leave things alone.
#[derive(Clone, Copy, Debug)]
pub struct Jobs {
    /// Sessions, after their end.
    pub session_keep: Duration,
    /// Rows of the audit log.
    pub audit_keep: Duration,
}

#[derive(Clone, Debug)]
pub struct Telemetry {
    pub json: bool,
    pub filter: String,
}

/// All that is wrong with the environment, a line each.
#[derive(Debug)]
pub struct ConfigErrors(pub Vec<String>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration has {} problem(s):", self.0.len())?;
        self.0.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl std::error::Error for ConfigErrors {}

/// Secrets that stand in sample files and so are no secrets.
const SAMPLE_SECRETS: &[&str] =
    &["your-super-secure-jwt-secret", "change-me", "secret", "development-only-jwt-secret"];

impl Config {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// All problems at once.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn from_env() -> Result<Self, ConfigErrors> {
        Self::from_lookup(&|name| std::env::var(name).ok())
    }

    /// Reads variables from `lookup`; tests pass a map.
    ///
    /// # Errors
    /// All problems at once.
    pub fn from_lookup(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigErrors> {
        let mut vars = Reader { lookup, problems: Vec::new() };
        let config = vars.config();
        vars.check(&config);
        if vars.problems.is_empty() { Ok(config) } else { Err(ConfigErrors(vars.problems)) }
    }
}

struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<String>,
}

impl Reader<'_> {
    fn config(&mut self) -> Config {
        Config {
            development: self.one_of("APP_ENV", "production", &["production", "development"])
                == "development",
            node: self.node(),
            postgres: self.postgres(),
            redis: self.redis(),
            log: self.log(),
            auth: self.auth(),
            passwords: self.passwords(),
            mail: self.mail(),
            limits: self.limits(),
            rates: self.rates(),
            socket: self.socket(),
            presence: Presence { life: self.millis("PRESENCE_LIFE_MS", 20_000) },
            storage: self.storage(),
            jobs: Jobs {
                session_keep: self.life("SESSION_KEEP", "30d"),
                audit_keep: self.life("AUDIT_KEEP", "365d"),
            },
            telemetry: self.telemetry(),
        }
    }

    fn postgres(&mut self) -> Postgres {
        Postgres {
            url: self.required("DATABASE_URL"),
            max_connections: self.number("DATABASE_MAX_CONNECTIONS", 20),
        }
    }

    fn telemetry(&mut self) -> Telemetry {
        Telemetry {
            json: self.one_of("LOG_FORMAT", "text", &["text", "json"]) == "json",
            filter: self.text("LOG_LEVEL", "info"),
        }
    }

    fn http_addr(&mut self) -> SocketAddr {
        self.parsed("HTTP_ADDR", "0.0.0.0:4001", "an address such as 0.0.0.0:4001")
    }

    fn node(&mut self) -> Node {
        let host = self.text("HOSTNAME", "node");
        Node {
            name: self.text("NODE_NAME", &host),
            http_addr: self.http_addr(),
            metrics_addr: self.parsed(
                "METRICS_ADDR",
                "0.0.0.0:9464",
                "an address such as 0.0.0.0:9464",
            ),
            roles: self.roles(),
            shutdown_grace: self.millis("SHUTDOWN_GRACE_MS", 30_000),
            drain_window: self.millis("DRAIN_WINDOW_MS", 5_000),
            allowed_origins: self.origins(),
            hsts_max_age: self.number("HSTS_MAX_AGE", 0),
            docs: self.parsed("DOCS", "true", "`true` or `false`"),
            trusted_proxies: self.networks("TRUSTED_PROXIES"),
        }
    }

    fn origins(&mut self) -> Vec<String> {
        let origins = self.list("ALLOWED_ORIGINS");
        for origin in origins.iter().filter(|origin| !is_origin(origin)) {
            self.problems.push(format!(
                "ALLOWED_ORIGINS={origin:?}: expected origins such as https://chat.example.org, \
                 without a path, and no wildcard"
            ));
        }
        origins
    }

    fn roles(&mut self) -> Roles {
        let mut roles = Roles { edge: false, writer: false, jobs: false };
        for role in self.text("NODE_ROLES", "edge,writer,jobs").split(',') {
            match role.trim() {
                "edge" => roles.edge = true,
                "writer" => roles.writer = true,
                "jobs" => roles.jobs = true,
                other => self.problems.push(format!(
                    "NODE_ROLES={other:?}: expected some of `edge`, `writer`, `jobs`"
                )),
            }
        }
        roles
    }

    fn redis(&mut self) -> Redis {
        let shards = self.required("REDIS_URL");
        let shards = shards.expose_secret().split(',').map(|url| url.trim().to_owned().into());
        Redis { shards: shards.collect(), prefix: self.text("REDIS_PREFIX", "chat") }
    }

    fn log(&mut self) -> Log {
        Log {
            partitions: self.number("LOG_PARTITIONS", 16),
            lease: self.millis("LOG_LEASE_MS", 3_000),
            batch_limit: self.number("LOG_BATCH_LIMIT", 500),
            out_tail: self.number("LOG_OUT_TAIL", 2_000),
            in_limit: self.number("LOG_IN_LIMIT", 20_000),
            answer_timeout: self.millis("LOG_ANSWER_TIMEOUT_MS", 10_000),
        }
    }

    fn auth(&mut self) -> Auth {
        let jwt_secret = self.required("JWT_SECRET");
        let previous_secrets: Vec<SecretString> =
            self.list("JWT_PREVIOUS_SECRETS").into_iter().map(Into::into).collect();
        Auth {
            keyring: Arc::new(self.keyring(&jwt_secret, &previous_secrets)),
            jwt_secret,
            previous_secrets,
            issuer: self.text("JWT_ISSUER", "chat-service"),
            audience: self.text("JWT_AUDIENCE", "chat-service"),
            access_life: self.life("JWT_EXPIRE", "1h"),
            refresh_idle: self.life("REFRESH_EXPIRE", "30d"),
            refresh_absolute: self.life("SESSION_EXPIRE", "180d"),
            app_token: self.optional("APP_TOKEN").map(Into::into),
            reset_life: self.life("RESET_EXPIRE", "1h"),
            verification_life: self.life("VERIFY_EXPIRE", "1d"),
            admin_reauth: self.life("ADMIN_REAUTH", "15m"),
        }
    }

    fn keyring(&mut self, secret: &SecretString, previous: &[SecretString]) -> Keyring {
        let private_key_file = self.optional("JWT_PRIVATE_KEY_FILE");
        let material = Material {
            algorithm: self.parsed("JWT_ALGORITHM", "HS256", "`HS256`, `ES256` or `EdDSA`"),
            secret,
            previous_secrets: previous,
            private_key_file: private_key_file.as_deref(),
            previous_public_key_files: &self.list("JWT_PREVIOUS_PUBLIC_KEY_FILES"),
        };
        Keyring::new(&material).unwrap_or_else(|problems| {
            self.problems.extend(problems);
            // Nobody gets it, since there are problems.
            Keyring::of_secret(secret)
        })
    }

    fn passwords(&mut self) -> Passwords {
        Passwords {
            slots: self.number("HASH_SLOTS", 2),
            queue: self.number("HASH_QUEUE", 256),
            memory_kib: self.number("HASH_MEMORY_KIB", 19_456),
            passes: self.number("HASH_PASSES", 2),
            breached: self.optional("BREACHED_PASSWORDS_FILE").map(Into::into),
        }
    }

    fn limits(&mut self) -> Limits {
        Limits {
            body_chars: self.number("MESSAGE_MAX_CHARS", 8_000),
            request_bytes: self.number("REQUEST_MAX_BYTES", 65_536),
            frame_bytes: self.number("FRAME_MAX_BYTES", 65_536),
            members_per_call: self.number("MEMBERS_PER_CALL", 1_000),
        }
    }

    fn socket(&mut self) -> Socket {
        Socket {
            outbox_bytes: self.number("SOCKET_OUTBOX_BYTES", 262_144),
            heartbeat: self.millis("SOCKET_HEARTBEAT_MS", 25_000),
            auth_timeout: self.millis("SOCKET_AUTH_TIMEOUT_MS", 10_000),
            in_flight: self.number("SOCKET_IN_FLIGHT", 256),
            max_connections: self.number("SOCKET_MAX_CONNECTIONS", 50_000),
            per_address: self.number("SOCKET_PER_ADDRESS", 1_000),
            waiting_per_address: self.number("SOCKET_WAITING_PER_ADDRESS", 50),
            per_user: self.number("SOCKET_PER_USER", 50),
        }
    }

    /// `S3_*`, or the seed's `MINIO_*` in their place.
    fn storage(&mut self) -> Option<Storage> {
        let minio_port = self.text("MINIO_PORT", "9000");
        let minio = self.optional("MINIO_URL").map(|host| {
            let scheme = if host.contains("://") { "" } else { "http://" };
            format!("{scheme}{host}:{minio_port}")
        });
        let endpoint = self.optional("S3_ENDPOINT").or(minio)?;
        let access_key = self.optional("S3_ACCESS_KEY").or_else(|| self.optional("MINIO_USER"));
        let secret_key = self.optional("S3_SECRET_KEY").or_else(|| self.optional("MINIO_PASS"));
        let (Some(access_key), Some(secret_key)) = (access_key, secret_key) else {
            self.problems.push(
                "S3_ACCESS_KEY, S3_SECRET_KEY: both are required where S3_ENDPOINT is set".into(),
            );
            return None;
        };
        Some(Storage {
            endpoint,
            region: self.text("S3_REGION", "us-east-1"),
            bucket: self.text("S3_BUCKET", "chat-files"),
            access_key,
            secret_key: secret_key.into(),
        })
    }

    /// What no single variable can tell.
    fn check(&mut self, config: &Config) {
        let mut must = |holds: bool, problem: &str| {
            if !holds {
                self.problems.push(problem.to_owned());
            }
        };
        let previous = config.auth.previous_secrets.iter();
        let secrets = std::iter::once(("JWT_SECRET", &config.auth.jwt_secret))
            .chain(previous.map(|secret| ("JWT_PREVIOUS_SECRETS", secret)));
        for (name, secret) in secrets {
            must(
                config.development || is_strong(secret),
                &format!(
                    "{name}: 32 random bytes or more, no sample (APP_ENV=development allows it)"
                ),
            );
        }
        must(
            config.auth.access_life <= Duration::from_hours(366 * 24),
            "JWT_EXPIRE: a year at most",
        );
        must((1..=1024).contains(&config.log.partitions), "LOG_PARTITIONS: from 1 to 1024");
        must((1..=5_000).contains(&config.log.batch_limit), "LOG_BATCH_LIMIT: from 1 to 5000");
        must(config.log.lease >= Duration::from_millis(500), "LOG_LEASE_MS: at least 500");
        must(config.passwords.slots > 0, "HASH_SLOTS: at least 1");
        must(
            (19_456..=1_048_576).contains(&config.passwords.memory_kib),
            "HASH_MEMORY_KIB: from 19456 to 1048576",
        );
        must((2..=16).contains(&config.passwords.passes), "HASH_PASSES: from 2 to 16");
        must(
            config.socket.heartbeat >= Duration::from_secs(1),
            "SOCKET_HEARTBEAT_MS: at least 1000",
        );
        must(config.rates.sign_in_tries > 0, "SIGN_IN_TRIES: at least 1");
        must(
            (1_000..=30_000).contains(&config.presence.life.as_millis()),
            "PRESENCE_LIFE_MS: from 1000 to 30000",
        );
        // A day: the jobs run daily, and nodes look for sessions that ended lately.
        let day = Duration::from_hours(24);
        must(config.jobs.session_keep >= day, "SESSION_KEEP: at least 1d");
        must(config.jobs.audit_keep >= day, "AUDIT_KEEP: at least 1d");
        must(
            config.node.drain_window < config.node.shutdown_grace,
            "DRAIN_WINDOW_MS: shorter than SHUTDOWN_GRACE_MS",
        );
    }

    fn optional(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.trim().is_empty())
    }

    fn text(&self, name: &str, default: &str) -> String {
        self.optional(name).unwrap_or_else(|| default.to_owned())
    }

    fn one_of(&mut self, name: &str, default: &str, known: &[&str]) -> String {
        let given = self.text(name, default);
        if !known.contains(&given.as_str()) {
            self.problems.push(format!("{name}={given:?}: expected one of {}", known.join(", ")));
        }
        given
    }

    fn list(&self, name: &str) -> Vec<String> {
        let value = self.text(name, "");
        value.split(',').map(str::trim).filter(|part| !part.is_empty()).map(Into::into).collect()
    }

    /// Networks, or single addresses.
    fn networks(&mut self, name: &str) -> Vec<IpNet> {
        let mut networks = Vec::new();
        for entry in self.list(name) {
            let address = || entry.parse::<IpAddr>().map(IpNet::from);
            match entry.parse::<IpNet>().or_else(|_| address()) {
                Ok(network) => networks.push(network.trunc()),
                Err(_) => self
                    .problems
                    .push(format!("{name}={entry:?}: expected a network such as 10.0.0.0/8")),
            }
        }
        networks
    }

    fn required(&mut self, name: &str) -> SecretString {
        self.optional(name).map_or_else(
            || {
                self.problems.push(format!("{name}: required, but not set"));
                SecretString::default()
            },
            Into::into,
        )
    }

    fn parsed<T: FromStr>(&mut self, name: &str, default: &str, expected: &str) -> T {
        let given = self.text(name, default);
        given.parse().unwrap_or_else(|_| {
            self.problems.push(format!("{name}={given:?}: expected {expected}"));
            default.parse().unwrap_or_else(|_| unreachable!("the default of {name} parses"))
        })
    }

    fn number<T: FromStr + fmt::Display + Copy>(&mut self, name: &str, default: T) -> T {
        self.parsed(name, &default.to_string(), "a whole number within range")
    }

    fn millis(&mut self, name: &str, default: u64) -> Duration {
        Duration::from_millis(self.number(name, default))
    }

    fn life(&mut self, name: &str, default: &str) -> Duration {
        let Life(life) = self.parsed(name, default, "a time such as 30s, 15m, 1h or 30d");
        life
    }
}

/// Long enough, in no sample file, and not one character over and over.
fn is_strong(secret: &SecretString) -> bool {
    let secret = secret.expose_secret();
    let is_sample = SAMPLE_SECRETS.iter().any(|known| secret.starts_with(known));
    let mut bytes = secret.as_bytes().to_vec();
    bytes.sort_unstable();
    bytes.dedup();
    secret.len() >= 32 && bytes.len() >= 8 && !is_sample
}

#[cfg(test)]
mod tests;
