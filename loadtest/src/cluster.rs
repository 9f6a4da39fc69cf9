//! What runs where: `cluster.json`, as the development cluster writes it.
//!
//! The supervisor rewrites the file whenever it restarts a part, so readers that need a pid load
//! it again each time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

const TRIES: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Cluster {
    pub nodes: Vec<Node>,
    pub postgres: Option<Part>,
    #[serde(default)]
    redis: Redis,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Node {
    pub name: String,
    pub url: String,
    pub metrics_url: Option<String>,
    pub pid: i32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Part {
    pub pid: i32,
    pub data_dir: Option<PathBuf>,
}

/// One server, or one per shard.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Redis {
    One(Part),
    Many(Vec<Part>),
}

impl Default for Redis {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Cluster {
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}; is the cluster running?", path.display()))?;
        let cluster: Self = serde_json::from_str(&text)
            .with_context(|| format!("{} is not a cluster file", path.display()))?;
        ensure!(!cluster.nodes.is_empty(), "{} names no node", path.display());
        Ok(cluster)
    }

    /// While parts are being killed, the supervisor may be in the middle of writing the file.
    pub(crate) async fn load_steady(path: &Path) -> Result<Self> {
        for _ in 0..TRIES {
            if let Ok(cluster) = Self::load(path) {
                return Ok(cluster);
            }
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
        Self::load(path)
    }

    pub(crate) fn redis(&self) -> &[Part] {
        match &self.redis {
            Redis::One(part) => std::slice::from_ref(part),
            Redis::Many(parts) => parts,
        }
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.url.trim_end_matches('/').to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(redis: &str) -> Cluster {
        let text = format!(
            r#"{{"nodes":[{{"name":"n1","url":"http://127.0.0.1:4001/","metricsUrl":"http://127.0.0.1:4101/metrics","pid":7}}],
                "postgres":{{"url":"postgres://x","pid":8}},"redis":{redis},"s3":{{"endpoint":"x","pid":9}}}}"#
        );
        serde_json::from_str(&text).expect("the file is valid")
    }

    #[test]
    fn redis_may_be_one_server_or_several() {
        let one = parse(r#"{"url":"redis://x","pid":3,"dataDir":"/a/b/c"}"#);
        assert_eq!(one.redis()[0].pid, 3);
        assert_eq!(one.redis()[0].data_dir.as_deref(), Some(Path::new("/a/b/c")));
        let many = parse(r#"[{"url":"a","pid":3},{"url":"b","pid":4}]"#);
        assert_eq!(many.redis().len(), 2);
        assert_eq!(many.urls(), ["http://127.0.0.1:4001"]);
    }
}
