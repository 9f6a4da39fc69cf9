//! A cluster of one's own for each test: real nodes inside the test's process, on a database and
//! under a Redis prefix that nobody else has. What nodes need beside them is in the environment,
//! put there by `chat-service with-services`.

mod check;
mod client;
mod contract;
mod database;
mod load;
mod mails;
mod process;
mod proxy;
mod schema;
mod services;
mod socket;

pub(crate) use check::{check_chat, seqs};
pub(crate) use client::{Answer, Http, PASSWORD};
pub(crate) use contract::document;
pub(crate) use database::Database;
pub(crate) use load::Load;
use mails::Mails;
pub(crate) use mails::{Mail, PUBLIC_URL};
pub(crate) use process::{LOG_TO, NodeProcess};
pub(crate) use proxy::{Mode, Proxy};
pub(crate) use services::{A_WHILE, PrivatePostgres, PrivateRedis};
pub(crate) use socket::{Socket, message};

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chat_service::app::Node;
use chat_service::config::Config;
use chat_service::log::partition::Partitioner;
use chat_service::log::shard::Shards;
use chat_service::model::id::ChatId;
use chat_service::presence::Presence;
use serde_json::{Value, json};
use uuid::Uuid;

/// Whatever is waited for comes in a moment; a busy machine gets a lot more.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// Partitions of a test's cluster.
const PARTITIONS: u16 = 8;

/// The limits beside those at the door.
const LIMITS: [&str; 17] = [
    "RATE_SIGN_UP",
    "RATE_SIGN_IN",
    "RATE_MAIL",
    "RATE_READ",
    "RATE_CHANGE",
    "RATE_SEND",
    "RATE_MARK",
    "RATE_REACTION",
    "RATE_SEARCH",
    "RATE_DIRECT",
    "RATE_INVITE",
    "RATE_JOIN",
    "RATE_UPLOAD",
    "RATE_EXPORT",
    "RATE_PRESENCE",
    "RATE_TYPING",
    "RATE_FRAME",
];

/// A running node of a test's cluster; the first one's end is the end of the database.
pub(crate) struct TestApp {
    pub(crate) database: Database,
    pub(crate) address: SocketAddr,
    metrics: SocketAddr,
    node: Option<Node>,
    site: Arc<Site>,
}

/// What the nodes of a cluster have in common.
struct Site {
    settings: Vec<(String, String)>,
    nodes: AtomicUsize,
    mails: Mails,
}

/// A signed-in user.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) http: Http,
    pub(crate) signed_up: Value,
}

impl TestApp {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With settings of its own, by the names of their variables.
    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_on(Database::create().await, settings).await
    }

    /// On this database; `DATABASE_URL` among the settings can name another way to it.
    pub(crate) async fn start_on(database: Database, settings: &[(&str, &str)]) -> Self {
        let site = Arc::new(Site::new(&database, settings));
        Self::start_node(database, site, &[]).await
    }

    /// Nodes of one cluster.
    pub(crate) async fn cluster(count: usize) -> Vec<Self> {
        let mut nodes = vec![Self::start().await];
        for _ in 1..count {
            nodes.push(nodes[0].join().await);
        }
        nodes
    }

    /// Another node of the same cluster.
    pub(crate) async fn join(&self) -> Self {
        self.join_with(&[]).await
    }

    /// Another node that differs in some settings.
    pub(crate) async fn join_with(&self, settings: &[(&str, &str)]) -> Self {
        Self::start_node(self.database.share(), Arc::clone(&self.site), settings).await
    }

    /// A node as a process of its own, which can be killed and stopped. It writes, whatever the
    /// cluster's other nodes do.
    pub(crate) async fn join_process(&self) -> NodeProcess {
        let mut settings = self.site.next_settings();
        settings.extend(owned(&[("NODE_ROLES", "edge,writer")]));
        NodeProcess::start(settings).await
    }

    /// A node's process that differs in some settings, and need not become ready.
    pub(crate) fn begin_process(&self, settings: &[(&str, &str)]) -> NodeProcess {
        let mut all = self.site.next_settings();
        all.extend(owned(settings));
        NodeProcess::begin(all)
    }

    async fn start_node(database: Database, site: Arc<Site>, settings: &[(&str, &str)]) -> Self {
        show_logs();
        let mut all = site.next_settings();
        all.extend(owned(settings));
        let config = config(&all);
        // A node that a test of limits looks at is not asked for anything else.
        let is_asked = config.node.docs && config.rates.address.first().count >= 1_000;
        let node = Node::start(config).await.expect("the node starts");
        let (address, metrics) = (node.http_addr, node.metrics_addr);
        let app = Self { database, address, metrics, node: Some(node), site };
        app.is_ready().await;
        if is_asked {
            Box::pin(contract::learn(address)).await;
        }
        app
    }

    /// The settings that a further node of the cluster would have.
    pub(crate) fn config_with(&self, settings: &[(&str, &str)]) -> Config {
        let mut all = self.site.next_settings();
        all.extend(owned(settings));
        config(&all)
    }

    async fn is_ready(&self) {
        eventually("the node is ready", async || self.probe("ready").await == Some(200)).await;
    }

    /// The status of `/api/health/<name>`; none where nobody answers.
    pub(crate) async fn probe(&self, name: &str) -> Option<u16> {
        probe(self.address, name).await
    }

    /// Ends the node in order; the rest of the test's cluster stays.
    pub(crate) async fn stop(&mut self) {
        self.node.take().expect("it was not stopped before").stop().await;
    }

    /// Takes the node out, to be stopped beside something else.
    pub(crate) fn take_node(&mut self) -> Node {
        self.node.take().expect("it was not stopped before")
    }

    /// A client without a token.
    pub(crate) fn client(&self) -> Http {
        Http::new(self.address)
    }

    /// Signs somebody up here.
    pub(crate) async fn person(&self, name: &str) -> Person {
        let answer = self.client().sign_up(name).await;
        let token = answer.text("/accessToken");
        let http = self.client().with_token(&token);
        Person { id: answer.text("/user/id"), token, http, signed_up: answer.body }
    }

    pub(crate) async fn people<const N: usize>(&self, names: [&str; N]) -> [Person; N] {
        let mut people = Vec::with_capacity(N);
        for name in names {
            people.push(self.person(name).await);
        }
        people.try_into().unwrap_or_else(|_| unreachable!("one for each name"))
    }

    /// A socket of somebody's at this node.
    pub(crate) async fn connect(&self, person: &Person) -> Socket {
        Socket::connect(self.address, &person.token).await
    }

    /// Who is online, as this node knows.
    pub(crate) fn presence(&self) -> Presence {
        let node = self.node.as_ref().expect("it was not stopped");
        node.presence.clone().expect("it serves clients")
    }

    /// The mails of the cluster to an address with a subject, once there are as many.
    pub(crate) async fn mails(&self, address: &str, subject: &str, count: usize) -> Vec<Mail> {
        self.site.mails.wait(address, subject, count).await
    }

    /// Those that are there now.
    pub(crate) fn mails_now(&self, address: &str, subject: &str) -> Vec<Mail> {
        self.site.mails.find(address, subject)
    }

    /// A counter of this node, summed over its labels.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        metric(self.metrics, name).await
    }

    /// All that this node tells Prometheus.
    pub(crate) async fn page_of_metrics(&self) -> String {
        page_of_metrics(self.metrics).await
    }

    /// The cluster's Redis, as its nodes see it.
    pub(crate) async fn redis(&self) -> Shards {
        let config = self.config_with(&[]);
        Shards::connect(&config.redis, config.log.partitions).await.expect("its URLs are good")
    }

    /// The partition of a chat.
    pub(crate) fn partition_of(&self, chat: &str) -> u16 {
        let partitions = self.config_with(&[]).log.partitions;
        Partitioner::new(partitions).of(ChatId(chat.parse().expect("a chat's id")))
    }

    /// Signs somebody up and makes an operator of them.
    pub(crate) async fn operator(&self, name: &str) -> Person {
        let person = self.person(name).await;
        self.sql("update users set role = 'admin' where id = $1", Some(&person.id)).await;
        person
    }

    /// Runs the program with the cluster's settings, and `input` on its standard input; gives its
    /// status and all that it printed.
    pub(crate) async fn run(&self, arguments: &[&str], input: &str) -> (bool, String) {
        process::run(self.site.next_settings(), arguments, input).await
    }

    /// Runs the program where these settings of the cluster are all that there is, and then those that
    /// are given.
    pub(crate) async fn run_with_only(
        &self,
        kept: &[&str],
        settings: &[(&str, &str)],
        arguments: &[&str],
    ) -> (bool, String) {
        let mut all = self.site.next_settings();
        all.retain(|(name, _)| kept.contains(&name.as_str()));
        all.extend(owned(settings));
        process::run(all, arguments, "").await
    }

    /// How often something stands in the audit log.
    pub(crate) async fn audited(&self, action: &str) -> i64 {
        let mut db = self.database.connect().await;
        let count = sqlx::query_scalar("select count(*) from audit_log where action = $1");
        count.bind(action).fetch_one(&mut db).await.expect("the statement runs")
    }

    /// Runs a statement on the cluster's database.
    pub(crate) async fn sql(&self, sql: &'static str, id: Option<&str>) {
        let mut db = self.database.connect().await;
        let id = id.map(|id| id.parse::<Uuid>().expect("an id"));
        let query = sqlx::query(sql);
        let query = if let Some(id) = id { query.bind(id) } else { query };
        query.execute(&mut db).await.expect("the statement runs");
    }
}

impl Person {
    /// The same user at another node.
    pub(crate) fn at(&self, app: &TestApp) -> Http {
        self.http.at(app.address)
    }

    /// Makes a group with these others.
    pub(crate) async fn group(&self, others: &[&Person]) -> String {
        let ids: Vec<&str> = others.iter().map(|person| person.id.as_str()).collect();
        let body = json!({ "title": "a group", "memberIds": ids });
        self.http.post("/chats", body).await.expect(201).text("/id")
    }

    /// Opens the chat with somebody.
    pub(crate) async fn direct(&self, peer: &Person) -> Answer {
        self.http.post(&format!("/chats/direct/{}", peer.id), json!({})).await
    }
}

impl Site {
    /// The limits are high, since all tests come from one address; those about limits set their
    /// own.
    fn new(database: &Database, settings: &[(&str, &str)]) -> Self {
        let prefix = format!("t{}", Uuid::now_v7().simple());
        let partitions = PARTITIONS.to_string();
        let redis = environment("TEST_REDIS_URLS");
        let mails = Mails::new();
        let mut all = owned(&[
            ("APP_ENV", "development"),
            // The timetable would run in each; tests of jobs ask for it.
            ("NODE_ROLES", "edge,writer"),
            ("HTTP_ADDR", "127.0.0.1:0"),
            ("METRICS_ADDR", "127.0.0.1:0"),
            ("DATABASE_URL", &database.url),
            ("DATABASE_MAX_CONNECTIONS", "5"),
            ("REDIS_URL", &redis),
            ("REDIS_PREFIX", &prefix),
            ("LOG_PARTITIONS", &partitions),
            ("LOG_LEASE_MS", "1500"),
            ("DRAIN_WINDOW_MS", "200"),
            ("JWT_SECRET", "0123456789abcdef0123456789abcdef"),
            ("MAIL_URL", &mails.url()),
            ("MAIL_FROM", "Chat <no-reply@example.org>"),
            ("PUBLIC_URL", PUBLIC_URL),
            ("RATE_ADDRESS", "100000/10s"),
            ("RATE_AUTH", "100000/10s"),
            ("SIGN_IN_TRIES", "1000"),
        ]);
        // All that Redis counts, and what sockets may ask.
        for name in LIMITS {
            all.push((name.to_owned(), "100000/10s".to_owned()));
        }
        all.extend(owned(settings));
        Self { settings: all, nodes: AtomicUsize::new(1), mails }
    }

    /// The cluster's settings, and the next node's name.
    fn next_settings(&self) -> Vec<(String, String)> {
        let name = format!("n{}", self.nodes.fetch_add(1, Ordering::Relaxed));
        let mut all = self.settings.clone();
        all.push(("NODE_NAME".to_owned(), name));
        all
    }
}

fn owned(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Of a variable that is set twice, the later one counts.
fn config(settings: &[(String, String)]) -> Config {
    let lookup = |name: &str| {
        settings.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    };
    Config::from_lookup(&lookup).expect("the settings are good")
}

/// Waits until something holds that takes a moment.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "not after {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) async fn probe(address: SocketAddr, name: &str) -> Option<u16> {
    let answer = reqwest::get(format!("http://{address}/api/health/{name}")).await;
    answer.ok().map(|answer| answer.status().as_u16())
}

pub(crate) async fn metric(address: SocketAddr, name: &str) -> f64 {
    let text = page_of_metrics(address).await;
    let lines = text
        .lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
    let values = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    values.sum()
}

async fn page_of_metrics(address: SocketAddr) -> String {
    let answer = reqwest::get(format!("http://{address}/metrics")).await.expect("it is served");
    answer.text().await.expect("it is text")
}

/// `TEST_LOG=info` shows what the nodes of this process say.
fn show_logs() {
    if let Some(filter) = std::env::var_os("TEST_LOG") {
        let filter = filter.to_string_lossy().into_owned();
        // Only the first test of a process sets it.
        tracing_subscriber::fmt().with_env_filter(filter).try_init().ok();
    }
}

#[expect(clippy::disallowed_methods, reason = "the wrapper hands its services over like this")]
pub(crate) fn environment(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run `make test`, which starts the services"))
}
