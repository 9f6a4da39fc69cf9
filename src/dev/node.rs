//! One node of the private cluster: its environment, its process, and whether it is ready.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::plan::{Plan, StopSteps};
use super::tools::variable;

/// A node takes up to 30 s to leave (`SHUTDOWN_GRACE_MS`).
const STOP: StopSteps = &[(Signal::SIGTERM, Duration::from_secs(35))];

/// Where a node is found.
#[derive(Clone, Debug)]
pub(super) struct NodeSite {
    pub(super) name: String,
    pub(super) http: SocketAddr,
    pub(super) metrics: SocketAddr,
}

impl NodeSite {
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    pub(super) fn metrics_url(&self) -> String {
        format!("http://{}/metrics", self.metrics)
    }

    pub(super) fn plan(&self, program: PathBuf, settings: &Settings, log: &Path) -> Plan {
        let (site, settings) = (self.clone(), settings.clone());
        let build = move || {
            let mut command = settings.command(&program, "serve");
            command.env("NODE_NAME", &site.name);
            command.env("HTTP_ADDR", site.http.to_string());
            command.env("METRICS_ADDR", site.metrics.to_string());
            Ok(command)
        };
        Plan {
            name: self.name.clone(),
            log: log.to_path_buf(),
            stop: STOP,
            has_lifeline: true,
            build: Box::new(build),
        }
    }

    pub(super) async fn is_ready(&self) -> bool {
        let probe = async {
            let mut stream = TcpStream::connect(self.http).await?;
            let request = format!(
                "GET /api/health/ready HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
                self.http
            );
            stream.write_all(request.as_bytes()).await?;
            let mut status = [0; 12];
            stream.read_exact(&mut status).await?;
            std::io::Result::Ok(status.ends_with(b" 200"))
        };
        matches!(timeout(Duration::from_secs(2), probe).await, Ok(Ok(true)))
    }
}

/// The environment that all nodes and `migrate` share, beside what they inherit from the caller.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// These point at the private cluster, whatever the caller's environment says.
    pub(super) fixed: Vec<(&'static str, String)>,
    /// These give way to the caller's environment.
    pub(super) defaults: Vec<(&'static str, String)>,
}

/// Load tests and several people's browsers come from one address here, and a load test's users send
/// as fast as they are answered.
const LIMITS: [(&str, &str); 24] = [
    ("RATE_ADDRESS", "200000/2s"),
    ("RATE_AUTH", "5000/5s"),
    ("RATE_SIGN_UP", "1000000/1m"),
    ("RATE_SIGN_IN", "10000/1m"),
    ("SIGN_IN_TRIES", "1000"),
    ("RATE_MAIL", "1000/1m"),
    ("RATE_READ", "1000000/1m"),
    ("RATE_CHANGE", "100000/1m"),
    ("RATE_SEND", "1000000/1m"),
    ("RATE_MARK", "1000000/1m"),
    ("RATE_REACTION", "1000000/1m"),
    ("RATE_SEARCH", "100000/1m"),
    ("RATE_DIRECT", "100000/1m"),
    ("RATE_INVITE", "100000/1m"),
    ("RATE_JOIN", "100000/1m"),
    ("RATE_UPLOAD", "100000/1m"),
    ("RATE_EXPORT", "1000/1m"),
    ("RATE_PRESENCE", "100000/1m"),
    ("RATE_TYPING", "1000/1s"),
    ("RATE_FRAME", "200000/10s"),
    ("SOCKET_PER_ADDRESS", "50000"),
    ("SOCKET_WAITING_PER_ADDRESS", "50000"),
    ("SOCKET_PER_USER", "50000"),
    ("SIGN_IN_DELAY_MAX", "10s"),
];

impl Settings {
    pub(super) fn new(
        fixed: Vec<(&'static str, String)>,
        jwt_secret: String,
        mails: &Path,
        nodes: &[NodeSite],
    ) -> Self {
        let mut defaults = vec![
            ("APP_ENV", "development".to_owned()),
            ("JWT_SECRET", jwt_secret),
            ("MAIL_URL", format!("file://{}", mails.display())),
            ("MAIL_FROM", "chat-service <no-reply@localhost>".to_owned()),
            ("PUBLIC_URL", nodes.first().map(NodeSite::url).unwrap_or_default()),
            ("ALLOWED_ORIGINS", origins(nodes)),
            ("TOKIO_WORKER_THREADS", worker_threads(nodes.len()).to_string()),
        ];
        defaults.extend(LIMITS.map(|(name, value)| (name, value.to_owned())));
        Self { fixed, defaults }
    }

    pub(super) fn command(&self, program: &Path, subcommand: &str) -> Command {
        self.command_in(program, subcommand, &variable)
    }

    fn command_in(
        &self,
        program: &Path,
        subcommand: &str,
        inherited: &dyn Fn(&str) -> Option<OsString>,
    ) -> Command {
        let mut command = Command::new(program);
        command.arg(subcommand);
        let open = self.defaults.iter().filter(|(name, _)| inherited(name).is_none());
        for (name, value) in open.chain(&self.fixed) {
            command.env(name, value);
        }
        // The node ends when its standard input does.
        command.env("EXIT_WITH_PARENT", "1");
        command
    }
}

/// The nodes share this machine's cores; with more threads than cores they mostly wake each other.
fn worker_threads(nodes: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (cores / nodes.max(1)).max(1)
}

/// The web client is served by the nodes themselves, under either name of loopback.
fn origins(nodes: &[NodeSite]) -> String {
    let of_node = |node: &NodeSite| {
        ["127.0.0.1", "localhost"].map(|host| format!("http://{host}:{}", node.http.port()))
    };
    nodes.iter().flat_map(of_node).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::ports::loopback;

    #[test]
    fn the_callers_environment_wins_over_defaults_but_not_over_addresses() {
        let node = NodeSite { name: "n1".into(), http: loopback(1), metrics: loopback(2) };
        let fixed = vec![("DATABASE_URL", "private".to_owned())];
        let mails = Path::new("/dev/mail");
        let settings = Settings::new(fixed, "made".to_owned(), mails, &[node]);
        let inherited = |name: &str| {
            ["RATE_AUTH", "DATABASE_URL"].contains(&name).then(|| OsString::from("callers"))
        };
        let command = settings.command_in(Path::new("x"), "serve", &inherited);
        let env = |name: &str| {
            let mut all = command.get_envs();
            all.find(|(key, _)| *key == name).and_then(|(_, value)| value?.to_str())
        };
        assert_eq!(env("RATE_AUTH"), None, "left to what is inherited");
        assert_eq!(env("DATABASE_URL"), Some("private"));
        assert_eq!(env("RATE_ADDRESS"), Some("200000/2s"));
        assert_eq!(env("MAIL_URL"), Some("file:///dev/mail"));
        assert_eq!(env("PUBLIC_URL"), Some("http://127.0.0.1:1"));
        assert_eq!(env("ALLOWED_ORIGINS"), Some("http://127.0.0.1:1,http://localhost:1"));
    }
}
