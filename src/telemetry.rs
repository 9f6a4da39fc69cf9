//! Logs: text for people, JSON for machines; one event, one line.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::Telemetry;

/// Sets the process's logging up. Libraries that log a line per connection attempt or statement are
/// kept down; the filter can raise them.
pub fn init(settings: &Telemetry) {
    let filter = format!("fred=error,sqlx=warn,{}", settings.filter);
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = fmt().with_env_filter(filter).with_target(true).with_ansi(false);
    if settings.json {
        builder.json().flatten_event(true).init();
    } else {
        builder.init();
    }
}
