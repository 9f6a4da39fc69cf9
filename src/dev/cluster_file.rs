//! `cluster.json`: what a running private cluster is made of, for load tests and for people.
//!
//! It exists while the cluster is ready, follows every restart, and is always whole: it is written
//! beside and renamed. It holds secrets of this cluster, so only its owner may read it.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// The name of the file in the cluster's directory.
pub const NAME: &str = "cluster.json";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterFile {
    pub supervisor: u32,
    pub nodes: Vec<Node>,
    pub postgres: Postgres,
    /// The first shard.
    pub redis: Redis,
    /// All shards, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redis_shards: Vec<Redis>,
    pub s3: S3,
    /// An operator's account.
    pub admin: Admin,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admin {
    pub login: String,
    /// The one that it was made with.
    pub password: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    pub name: String,
    pub url: String,
    pub metrics_url: String,
    pub pid: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Postgres {
    pub url: String,
    pub pid: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Redis {
    pub url: String,
    pub pid: u32,
    pub data_dir: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct S3 {
    pub endpoint: String,
    pub pid: u32,
    pub access_key: String,
    pub secret_key: String,
    pub bucket: String,
}

/// Writes JSON that a reader sees either whole or not at all.
pub(super) fn write_atomically(file: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let context = || format!("cannot write {}", file.display());
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    let beside = file.with_extension("json.tmp");
    let mut out = private_file(&beside).with_context(context)?;
    out.write_all(&text).with_context(context)?;
    std::fs::rename(&beside, file).with_context(context)
}

/// The secret kept in a file, made at random where there is none yet.
pub(super) fn kept_secret(file: &Path) -> anyhow::Result<String> {
    if let Ok(secret) = std::fs::read_to_string(file)
        && secret.trim().len() >= 32
    {
        return Ok(secret.trim().to_owned());
    }
    let secret = random_secret();
    let mut out = private_file(file).with_context(|| format!("cannot write {}", file.display()))?;
    out.write_all(secret.as_bytes())?;
    Ok(secret)
}

/// 128 bits out of the system's generator, in hexadecimal.
pub(super) fn random_secret() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn private_file(file: &Path) -> std::io::Result<std::fs::File> {
    std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_is_made_once_and_for_its_owner_alone() {
        let file = std::env::temp_dir().join(format!("chat-secret-{}", std::process::id()));
        let first = kept_secret(&file).unwrap();
        let second = kept_secret(&file).unwrap();
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        std::fs::remove_file(&file).unwrap();
        assert_eq!((first.len(), &first), (32, &second));
        assert_eq!(mode & 0o777, 0o600);
    }

    /// The load test and scripts read these names.
    #[test]
    fn the_names_of_the_file_are_stable() {
        let redis = Redis { url: "redis://h".into(), pid: 3, data_dir: "/d".into() };
        let file = ClusterFile {
            supervisor: 1,
            nodes: vec![Node {
                name: "n1".into(),
                url: "http://h".into(),
                metrics_url: "http://m".into(),
                pid: 2,
            }],
            postgres: Postgres { url: "postgresql://h".into(), pid: 4 },
            redis,
            redis_shards: Vec::new(),
            s3: S3 {
                endpoint: "http://s".into(),
                pid: 5,
                access_key: "a".into(),
                secret_key: "k".into(),
                bucket: "b".into(),
            },
            admin: Admin { login: "l".into(), password: "p".into() },
        };
        let expected = serde_json::json!({
            "supervisor": 1,
            "nodes": [{"name": "n1", "url": "http://h", "metricsUrl": "http://m", "pid": 2}],
            "postgres": {"url": "postgresql://h", "pid": 4},
            "redis": {"url": "redis://h", "pid": 3, "dataDir": "/d"},
            "s3": {"endpoint": "http://s", "pid": 5, "accessKey": "a", "secretKey": "k",
                   "bucket": "b"},
            "admin": {"login": "l", "password": "p"},
        });
        assert_eq!(serde_json::to_value(&file).unwrap(), expected);
    }
}
