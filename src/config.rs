//! Everything that can be set, read once from the environment.
//!
//! [`Config::from_env`] reports all problems together, each with the variable, the value given
//! (never a secret's) and the form expected. README's table lists the same variables; a test
//! compares the two.

mod mail;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

pub use mail::{Mail, MailTransport};

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
    pub socket: Socket,
    pub storage: Option<Storage>,
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
    /// The `Origin`s that a browser's socket may come from; empty refuses every `Origin`.
    pub allowed_origins: Vec<String>,
    /// How many proxies in front of the node add to `X-Forwarded-For`.
    pub trusted_proxy_hops: usize,
}

/// Which parts a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    pub edge: bool,
    pub writer: bool,
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
    pub jwt_secret: SecretString,
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
    /// Requests a second and address at the door of each node, and the burst above it.
    pub address_rate: u32,
    pub address_burst: u32,
    /// The same for sign-up, sign-in and refresh.
    pub auth_rate: u32,
    pub auth_burst: u32,
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

/// A variable, as README and `chat-service config` show it.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    pub name: &'static str,
    pub default: &'static str,
    pub help: &'static str,
    pub secret: bool,
}

const fn var(name: &'static str, default: &'static str, help: &'static str) -> Variable {
    Variable { name, default, help, secret: false }
}

const fn secret(name: &'static str, default: &'static str, help: &'static str) -> Variable {
    Variable { name, default, help, secret: true }
}

/// Every variable that is read, in the order of README's table.
pub const VARIABLES: &[Variable] = &[
    var("APP_ENV", "production", "`development` allows sample secrets"),
    var("NODE_NAME", "`HOSTNAME`, else `node`", "name of this node, unique in the cluster"),
    var("HTTP_ADDR", "0.0.0.0:4001", "address of REST and sockets"),
    var("METRICS_ADDR", "0.0.0.0:9464", "address of `/metrics`, for Prometheus alone"),
    var("NODE_ROLES", "edge,writer", "parts that this node runs"),
    var("SHUTDOWN_GRACE_MS", "30000", "from SIGTERM to the exit, at the most, in ms"),
    var("DRAIN_WINDOW_MS", "5000", "over how long sockets are told to leave, in ms"),
    var("ALLOWED_ORIGINS", "none", "browser origins that may open a socket, comma-separated"),
    var("TRUSTED_PROXY_HOPS", "0", "proxies in front that add to `X-Forwarded-For`"),
    secret("DATABASE_URL", "required", "Postgres, `postgresql://user:password@host:5432/db`"),
    var("DATABASE_MAX_CONNECTIONS", "20", "connections of this node's pool"),
    secret("REDIS_URL", "required", "Redis shards, comma-separated, `redis://host:6379`"),
    var("REDIS_PREFIX", "chat", "put before every Redis key"),
    var("LOG_PARTITIONS", "16", "partitions of the log; fixed for a cluster's life (1 to 1024)"),
    var("LOG_LEASE_MS", "3000", "how long a partition's owner stays one unrenewed, in ms"),
    var("LOG_BATCH_LIMIT", "500", "commands of one transaction, at the most"),
    var("LOG_OUT_TAIL", "2000", "entries kept in a partition's `out` stream"),
    var("LOG_IN_LIMIT", "20000", "waiting entries of a partition beyond which sends are refused"),
    var("LOG_ANSWER_TIMEOUT_MS", "10000", "how long a request waits for its answer, in ms"),
    secret("JWT_SECRET", "required", "signs access tokens (HS256); at least 32 bytes"),
    var("JWT_EXPIRE", "1h", "life of an access token (`30s`, `15m`, `1h`, `30d`)"),
    var("JWT_ISSUER", "chat-service", "`iss` of access tokens"),
    var("JWT_AUDIENCE", "chat-service", "`aud` of access tokens"),
    var("REFRESH_EXPIRE", "30d", "life of a refresh token, from its making"),
    var("SESSION_EXPIRE", "180d", "life of a session, however often it is refreshed"),
    secret("APP_TOKEN", "none", "sent by every client in `X-App-Token` where it is set"),
    var("HASH_SLOTS", "2", "passwords hashed at once (`HASH_MEMORY_KIB` each)"),
    var("HASH_QUEUE", "256", "sign-ins that may wait for a slot; one more is `unavailable`"),
    var("HASH_MEMORY_KIB", "19456", "argon2id's memory for one password, in KiB; never less"),
    var("HASH_PASSES", "2", "argon2id's passes (2 to 16)"),
    var("RESET_EXPIRE", "1h", "life of the link that sets a forgotten password anew"),
    var("VERIFY_EXPIRE", "1d", "life of the link that verifies an e-mail address"),
    var("BREACHED_PASSWORDS_FILE", "none", "SHA-1 of leaked passwords, a line each"),
    secret("MAIL_URL", "none", "`smtps://user:password@host`; without it no mail is sent"),
    var("MAIL_FROM", "none", "sender of mails, `Name <address>`; required with `MAIL_URL`"),
    var("PUBLIC_URL", "none", "put before the links in mails; required with `MAIL_URL`"),
    var("MESSAGE_MAX_CHARS", "8000", "length of a message, in characters"),
    var("REQUEST_MAX_BYTES", "65536", "size of a JSON request, in bytes"),
    var("FRAME_MAX_BYTES", "65536", "size of a socket's frame, in bytes"),
    var("MEMBERS_PER_CALL", "1000", "members named by one call"),
    var("RATE_ADDRESS", "100", "requests per second and address"),
    var("RATE_ADDRESS_BURST", "300", "requests above that rate that are let through"),
    var("RATE_AUTH", "5", "sign-ups, sign-ins and refreshes per second and address"),
    var("RATE_AUTH_BURST", "20", "the same, let through above that rate"),
    var("SOCKET_OUTBOX_BYTES", "262144", "bytes waiting for one socket before 4408"),
    var("SOCKET_HEARTBEAT_MS", "25000", "between pings; two unanswered end the socket, in ms"),
    var("SOCKET_AUTH_TIMEOUT_MS", "10000", "life of a socket without authentication, in ms"),
    var("SOCKET_IN_FLIGHT", "256", "unanswered commands of a socket before reading pauses"),
    var("SOCKET_MAX_CONNECTIONS", "50000", "sockets of one node"),
    var("S3_ENDPOINT", "none", "S3-compatible store; without it there are no files"),
    var("S3_REGION", "us-east-1", "its region"),
    var("S3_BUCKET", "chat-files", "the bucket; made at start where it is missing"),
    var("S3_ACCESS_KEY", "none", "its access key"),
    secret("S3_SECRET_KEY", "none", "its secret key"),
    var("MINIO_URL", "none", "host of the store, where `S3_ENDPOINT` is not set"),
    var("MINIO_PORT", "9000", "its port"),
    var("MINIO_USER", "none", "its access key, where `S3_ACCESS_KEY` is not set"),
    secret("MINIO_PASS", "none", "its secret key, where `S3_SECRET_KEY` is not set"),
    var("LOG_FORMAT", "text", "`text` or `json`"),
    var("LOG_LEVEL", "info", "a filter such as `info,chat_service=debug`"),
];

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
            development: self.text("APP_ENV", "production") == "development",
            node: self.node(),
            postgres: Postgres {
                url: self.required("DATABASE_URL"),
                max_connections: self.number("DATABASE_MAX_CONNECTIONS", 20),
            },
            redis: self.redis(),
            log: self.log(),
            auth: self.auth(),
            passwords: self.passwords(),
            mail: self.mail(),
            limits: self.limits(),
            socket: self.socket(),
            storage: self.storage(),
            telemetry: Telemetry {
                json: self.text("LOG_FORMAT", "text") == "json",
                filter: self.text("LOG_LEVEL", "info"),
            },
        }
    }

    fn node(&mut self) -> Node {
        let host = self.text("HOSTNAME", "node");
        Node {
            name: self.text("NODE_NAME", &host),
            http_addr: self.parsed("HTTP_ADDR", "0.0.0.0:4001", "an address such as 0.0.0.0:4001"),
            metrics_addr: self.parsed(
                "METRICS_ADDR",
                "0.0.0.0:9464",
                "an address such as 0.0.0.0:9464",
            ),
            roles: self.roles(),
            shutdown_grace: self.millis("SHUTDOWN_GRACE_MS", 30_000),
            drain_window: self.millis("DRAIN_WINDOW_MS", 5_000),
            allowed_origins: self.list("ALLOWED_ORIGINS"),
            trusted_proxy_hops: self.number("TRUSTED_PROXY_HOPS", 0),
        }
    }

    fn roles(&mut self) -> Roles {
        let mut roles = Roles { edge: false, writer: false };
        for role in self.text("NODE_ROLES", "edge,writer").split(',') {
            match role.trim() {
                "edge" => roles.edge = true,
                "writer" => roles.writer = true,
                other => self
                    .problems
                    .push(format!("NODE_ROLES={other:?}: expected `edge`, `writer` or both")),
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
        Auth {
            jwt_secret: self.required("JWT_SECRET"),
            issuer: self.text("JWT_ISSUER", "chat-service"),
            audience: self.text("JWT_AUDIENCE", "chat-service"),
            access_life: self.life("JWT_EXPIRE", "1h"),
            refresh_idle: self.life("REFRESH_EXPIRE", "30d"),
            refresh_absolute: self.life("SESSION_EXPIRE", "180d"),
            app_token: self.optional("APP_TOKEN").map(Into::into),
            reset_life: self.life("RESET_EXPIRE", "1h"),
            verification_life: self.life("VERIFY_EXPIRE", "1d"),
        }
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

    fn mail(&mut self) -> Option<Mail> {
        let development = self.text("APP_ENV", "production") == "development";
        let url = self.optional("MAIL_URL")?;
        let (from, links) = (self.text("MAIL_FROM", ""), self.text("PUBLIC_URL", ""));
        let transport = mail::transport(&url, development);
        let public_url = mail::public_url(&links, development);
        let sender = mail::sender(&from);
        for (name, problem) in [
            ("MAIL_URL".to_owned(), transport.as_ref().err().copied()),
            (format!("PUBLIC_URL={links:?}"), public_url.as_ref().err().copied()),
            (format!("MAIL_FROM={from:?}"), sender.as_ref().err().copied()),
        ] {
            self.problems.extend(problem.map(|problem| format!("{name}: {problem}")));
        }
        Some(Mail { transport: transport.ok()?, from: sender.ok()?, public_url: public_url.ok()? })
    }

    fn limits(&mut self) -> Limits {
        Limits {
            body_chars: self.number("MESSAGE_MAX_CHARS", 8_000),
            request_bytes: self.number("REQUEST_MAX_BYTES", 65_536),
            frame_bytes: self.number("FRAME_MAX_BYTES", 65_536),
            members_per_call: self.number("MEMBERS_PER_CALL", 1_000),
            address_rate: self.number("RATE_ADDRESS", 100),
            address_burst: self.number("RATE_ADDRESS_BURST", 300),
            auth_rate: self.number("RATE_AUTH", 5),
            auth_burst: self.number("RATE_AUTH_BURST", 20),
        }
    }

    fn socket(&mut self) -> Socket {
        Socket {
            outbox_bytes: self.number("SOCKET_OUTBOX_BYTES", 262_144),
            heartbeat: self.millis("SOCKET_HEARTBEAT_MS", 25_000),
            auth_timeout: self.millis("SOCKET_AUTH_TIMEOUT_MS", 10_000),
            in_flight: self.number("SOCKET_IN_FLIGHT", 256),
            max_connections: self.number("SOCKET_MAX_CONNECTIONS", 50_000),
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
        let secret = config.auth.jwt_secret.expose_secret();
        let sample = SAMPLE_SECRETS.iter().any(|known| secret.starts_with(known));
        must(
            config.development || (secret.len() >= 32 && !sample),
            "JWT_SECRET: at least 32 random bytes, and not a sample (APP_ENV=development allows it)",
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
        must(config.limits.address_rate > 0, "RATE_ADDRESS: at least 1");
        must(config.limits.auth_rate > 0, "RATE_AUTH: at least 1");
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

    fn list(&self, name: &str) -> Vec<String> {
        let value = self.text(name, "");
        value.split(',').map(str::trim).filter(|part| !part.is_empty()).map(Into::into).collect()
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

/// A duration with a unit, as the seed writes `JWT_EXPIRE`.
struct Life(Duration);

impl FromStr for Life {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let count: u64 = digits.parse().map_err(|_| ())?;
        let unit = match &text[digits.len()..] {
            "" | "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(()),
        };
        let seconds = count.checked_mul(unit).filter(|seconds| *seconds > 0).ok_or(())?;
        Ok(Self(Duration::from_secs(seconds)))
    }
}

#[cfg(test)]
mod tests;
