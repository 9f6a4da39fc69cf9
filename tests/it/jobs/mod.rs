//! Work that is done by the clock.

mod cleaning;
mod runner;

use chat_service::jobs::Jobs;
use chat_service::metrics::Metrics;
use chat_service::store;

use crate::harness::TestApp;

/// The timetable as a further node of the cluster works it off.
pub(crate) async fn runner(app: &TestApp, node: &str) -> Jobs {
    let config = Box::new(app.config_with(&[("NODE_NAME", node)]));
    let pool = store::connect(&config.postgres).await.expect("Postgres answers");
    let (metrics, _) = Metrics::new(node);
    Jobs::new(pool, &config, metrics)
}
