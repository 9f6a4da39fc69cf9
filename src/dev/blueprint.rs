//! The cluster before it runs: which parts, at which addresses, with which secrets.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use super::board::shard_name;
use super::cluster_file::{self, ClusterFile, kept_secret};
use super::node::{NodeSite, Settings};
use super::plan::Plan;
use super::ports::{KeptPorts, is_free, loopback};
use super::postgres::Site;
use super::redis::RedisSite;
use super::{DevOptions, Tools, s3};

pub(super) const DATABASE: &str = "chat";

const METRICS_BASE_PORT: u16 = 9464;
const S3_ACCESS_KEY: &str = "chat-service";
const S3_BUCKET: &str = "chat-files";
const ADMIN_LOGIN: &str = "operator";
const ADMIN_EMAIL: &str = "operator@example.org";

pub(super) struct Blueprint {
    dir: PathBuf,
    program: PathBuf,
    node_program: PathBuf,
    pub(super) postgres: Site,
    pub(super) redis: Vec<(String, RedisSite)>,
    pub(super) s3_address: SocketAddr,
    s3_secret: String,
    pub(super) admin_password: String,
    pub(super) nodes: Vec<NodeSite>,
    settings: Settings,
}

impl Blueprint {
    /// Chooses addresses, makes secrets, and initialises Postgres where it never ran.
    pub(super) async fn draw(
        options: &DevOptions,
        dir: &Path,
        tools: &Tools,
    ) -> anyhow::Result<Self> {
        let mut ports = KeptPorts::open(&dir.join("ports.json"));
        // First, since these two are given rather than chosen.
        let nodes = draw_nodes(options, &mut ports)?;
        let postgres_port = ports.choose("postgres", None)?;
        let s3_address = loopback(ports.choose("s3", None)?);
        let redis = (0..usize::from(options.redis_shards))
            .map(|index| {
                let name = shard_name(index);
                let port = ports.choose(&name, None)?;
                let site = RedisSite::new(tools, &dir.join(&name), port, true);
                anyhow::Ok((name, site))
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        ports.save()?;

        let postgres = Site::prepare(tools, &dir.join("postgres"), postgres_port, true).await?;
        let s3_secret = kept_secret(&dir.join("s3-secret"))?;
        let admin_password = kept_secret(&dir.join("admin-password"))?;
        let shards: Vec<String> = redis.iter().map(|(_, site)| site.url()).collect();
        let fixed = vec![
            ("DATABASE_URL", postgres.url(DATABASE)),
            ("REDIS_URL", shards.join(",")),
            ("S3_ENDPOINT", format!("http://{s3_address}")),
            ("S3_BUCKET", S3_BUCKET.to_owned()),
            ("S3_ACCESS_KEY", S3_ACCESS_KEY.to_owned()),
            ("S3_SECRET_KEY", s3_secret.clone()),
        ];
        let mails = std::path::absolute(dir.join("mail"))?;
        std::fs::create_dir_all(&mails)?;
        let jwt_secret = kept_secret(&dir.join("jwt-secret"))?;
        let settings = Settings::new(fixed, jwt_secret, &mails, &nodes);
        let program = std::env::current_exe().context("this program's path is unknown")?;
        let node_program = match &options.node_binary {
            Some(path) => std::path::absolute(path)?,
            None => program.clone(),
        };
        let dir = dir.to_path_buf();
        std::fs::create_dir_all(dir.join("log"))?;
        Ok(Self {
            dir,
            program,
            node_program,
            postgres,
            redis,
            s3_address,
            s3_secret,
            admin_password,
            nodes,
            settings,
        })
    }

    pub(super) fn log(&self, part: &str) -> PathBuf {
        self.dir.join("log").join(format!("{part}.log"))
    }

    /// In stages: what is started first is ended last.
    pub(super) fn store_plans(&self) -> Vec<Vec<Plan>> {
        let redis = self.redis.iter().map(|(name, site)| site.plan(name, &self.log(name)));
        let s3 = s3::plan(
            self.program.clone(),
            self.dir.join("s3"),
            self.s3_address,
            (S3_ACCESS_KEY.to_owned(), self.s3_secret.clone()),
            self.log("s3"),
        );
        let postgres = self.postgres.plan("postgres", &self.log("postgres"));
        vec![vec![postgres], redis.collect(), vec![s3]]
    }

    pub(super) fn node_plans(&self) -> Vec<Plan> {
        let plan = |node: &NodeSite| {
            node.plan(self.node_program.clone(), &self.settings, &self.log(&node.name))
        };
        self.nodes.iter().map(plan).collect()
    }

    pub(super) fn migrate_command(&self) -> std::process::Command {
        self.settings.command(&self.node_program, "migrate")
    }

    /// Makes the operator's account where there is none; the password comes by standard input, as a
    /// command line can be read by all.
    pub(super) fn admin_command(&self) -> std::process::Command {
        let mut command = self.settings.command(&self.node_program, "admin");
        command.args(["create", "--login", ADMIN_LOGIN, "--email", ADMIN_EMAIL]);
        command.args(["--password-stdin", "--if-none"]);
        command
    }

    /// With pids that the board fills in.
    pub(super) fn cluster_file(&self) -> ClusterFile {
        let shard = |(_, site): &(String, RedisSite)| cluster_file::Redis {
            url: site.url(),
            pid: 0,
            data_dir: site.dir.clone(),
        };
        let node = |node: &NodeSite| cluster_file::Node {
            name: node.name.clone(),
            url: node.url(),
            metrics_url: node.metrics_url(),
            pid: 0,
        };
        let redis_shards: Vec<_> = self.redis.iter().map(shard).collect();
        ClusterFile {
            supervisor: std::process::id(),
            nodes: self.nodes.iter().map(node).collect(),
            postgres: cluster_file::Postgres { url: self.postgres.url(DATABASE), pid: 0 },
            redis: redis_shards[0].clone(),
            redis_shards: if redis_shards.len() > 1 { redis_shards } else { Vec::new() },
            s3: cluster_file::S3 {
                endpoint: format!("http://{}", self.s3_address),
                pid: 0,
                access_key: S3_ACCESS_KEY.to_owned(),
                secret_key: self.s3_secret.clone(),
                bucket: S3_BUCKET.to_owned(),
            },
            admin: cluster_file::Admin {
                login: ADMIN_LOGIN.to_owned(),
                password: self.admin_password.clone(),
            },
        }
    }
}

/// People type a node's port, so a given one is taken or refused, never replaced. Metrics are read
/// by programs, which find them in cluster.json.
fn draw_nodes(options: &DevOptions, ports: &mut KeptPorts) -> anyhow::Result<Vec<NodeSite>> {
    (0..options.nodes)
        .map(|index| {
            let name = format!("n{}", index + 1);
            let (http, preferred_metrics) = if options.http_base_port == 0 {
                (ports.choose(&format!("{name}-http"), None)?, None)
            } else {
                let port = options.http_base_port.checked_add(index).context("no such port")?;
                ensure!(
                    is_free(port),
                    "port {port} of 127.0.0.1 is in use; choose others with --http-base-port",
                );
                (port, METRICS_BASE_PORT.checked_add(index))
            };
            let metrics = ports.choose(&format!("{name}-metrics"), preferred_metrics)?;
            Ok(NodeSite { name, http: loopback(http), metrics: loopback(metrics) })
        })
        .collect()
}
