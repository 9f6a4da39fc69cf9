//! A node as a process of its own: it can be killed, and stopped in the middle of what it does.

use std::net::SocketAddr;
use std::process::Stdio;

use chat_service::dev::ports::{free_port, loopback};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

use super::{eventually, metric, probe};

/// Among the settings: the file that gets what the process says, at the level that is set.
pub(crate) const LOG_TO: &str = "TEST_LOG_TO";

pub(crate) struct NodeProcess {
    pub(crate) address: SocketAddr,
    metrics: SocketAddr,
    settings: Vec<(String, String)>,
    child: Child,
}

impl NodeProcess {
    pub(super) async fn start(settings: Vec<(String, String)>) -> Self {
        let mut node = Self::begin(settings);
        node.is_ready().await;
        node
    }

    /// Starts one that need not become ready.
    pub(super) fn begin(settings: Vec<(String, String)>) -> Self {
        let address = loopback(free_port().expect("a port is free"));
        let metrics = loopback(free_port().expect("a port is free"));
        let child = spawn(&settings, address, metrics);
        Self { address, metrics, settings, child }
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&mut self) {
        self.child.wait().await.expect("it can be waited for");
    }

    pub(crate) fn metrics_url(&self) -> String {
        format!("http://{}/metrics", self.metrics)
    }

    /// Ends it as a crash would.
    pub(crate) async fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.child.wait().await.expect("it can be waited for");
    }

    /// Starts it again, under the same name and address.
    pub(crate) async fn start_again(&mut self) {
        self.child = spawn(&self.settings, self.address, self.metrics);
        self.is_ready().await;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.child.id().expect("it was not waited for");
        kill(Pid::from_raw(pid.cast_signed()), signal).expect("it lives");
    }

    pub(crate) async fn metric(&self, name: &str) -> f64 {
        metric(self.metrics, name).await
    }

    pub(crate) async fn is_ready(&mut self) {
        let (address, child) = (self.address, &mut self.child);
        eventually("the node's process is ready", async || {
            let ended = child.try_wait().expect("it can be asked");
            assert!(ended.is_none(), "the node's process has ended: {ended:?}");
            probe(address, "ready").await == Some(200)
        })
        .await;
    }
}

/// Runs the program to its end; gives whether it succeeded, and all that it printed.
pub(super) async fn run(
    settings: Vec<(String, String)>,
    arguments: &[&str],
    input: &str,
) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat-service"));
    command.args(arguments).envs(settings).env("LOG_LEVEL", "error").kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program is built");
    let mut stdin = child.stdin.take().expect("it has a standard input");
    // One that ends without reading is judged by what it says.
    stdin.write_all(input.as_bytes()).await.ok();
    drop(stdin);
    let output = child.wait_with_output().await.expect("it can be waited for");
    let printed = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(printed).expect("it prints text"))
}

fn spawn(settings: &[(String, String)], address: SocketAddr, metrics: SocketAddr) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat-service"));
    command.arg("serve").envs(settings.iter().cloned());
    command.env("HTTP_ADDR", address.to_string()).env("METRICS_ADDR", metrics.to_string());
    // It ends with the test even where that is killed: the pipe is cut then.
    command.env("EXIT_WITH_PARENT", "1").stdin(Stdio::piped());
    if let Some((_, path)) = settings.iter().rev().find(|(name, _)| name == LOG_TO) {
        let log = std::fs::File::options().create(true).append(true).open(path);
        let log = log.expect("it can be written");
        command.stderr(log.try_clone().expect("it can be shared")).stdout(log);
    } else {
        command.env("LOG_LEVEL", "error");
    }
    command.kill_on_drop(true).spawn().expect("the program is built")
}
