//! Sockets: what they ask and what comes of it, why they end, why they are refused.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Histogram, Unit};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::Declared;
use crate::error::{CODES, Error};
use crate::protocol::close::Close;
use crate::protocol::request::RequestKind;

const REQUESTS: (&str, &str) =
    ("chat_socket_requests_total", "What sockets asked, by event and by the answer's code.");
const SECONDS: (&str, &str) = (
    "chat_socket_request_seconds",
    "From having read a socket's request to its answer in the outbox; of those that a limit let \
     through.",
);
const CLOSED: (&str, &str) = (
    "chat_connections_closed_total",
    "Sockets that had authenticated and ended: by whom, and with which code. 1006: without a word.",
);
const REFUSED: (&str, &str) =
    ("chat_upgrades_refused_total", "Sockets that were refused before they were open.");

const OK: &str = "ok";
/// An event that there is not, or a frame that cannot be read.
const OTHER: &str = "other";

fn codes() -> impl Iterator<Item = &'static str> {
    CODES.iter().map(|code| code.name)
}

fn index_of(error: &Error) -> usize {
    codes().position(|code| code == error.code()).expect("CODES has every code; a test compares")
}

/// Requests of sockets, by event and outcome.
pub struct Requests {
    /// By [`RequestKind`], and last those of no known event.
    rows: Vec<Row>,
}

struct Row {
    seconds: Histogram,
    well: Counter,
    /// In the order of [`CODES`].
    failed: Vec<Counter>,
}

impl Requests {
    pub(super) fn register(_recorder: &Arc<PrometheusRecorder>) -> Self {
        metrics::describe_counter!(REQUESTS.0, Unit::Count, REQUESTS.1);
        metrics::describe_histogram!(SECONDS.0, Unit::Seconds, SECONDS.1);
        let row = |event| {
            let counter = |code| metrics::counter!(REQUESTS.0, "event" => event, "code" => code);
            Row {
                seconds: metrics::histogram!(SECONDS.0, "event" => event),
                well: counter(OK),
                failed: codes().map(counter).collect(),
            }
        };
        Self { rows: events().map(row).collect() }
    }

    pub(super) fn declared() -> Vec<Declared> {
        let events: Vec<&str> = events().collect();
        let codes = std::iter::once(OK).chain(codes()).collect();
        let labels = vec![("event", events.clone()), ("code", codes)];
        let ((requests, help), (seconds, help_seconds)) = (REQUESTS, SECONDS);
        let by_event = vec![("event", events)];
        vec![
            Declared { name: requests, kind: "counter", labels, help },
            Declared { name: seconds, kind: "histogram", labels: by_event, help: help_seconds },
        ]
    }

    /// Counts a request that was answered `took` after it had been read.
    pub fn answered(&self, kind: RequestKind, outcome: Result<(), &Error>, took: Duration) {
        let row = &self.rows[kind as usize];
        row.seconds.record(took);
        match outcome {
            Ok(()) => row.well.increment(1),
            Err(error) => row.failed[index_of(error)].increment(1),
        }
    }

    /// Counts a request that was refused before anything was done about it; `None` where its event
    /// is not known.
    pub fn refused(&self, kind: Option<RequestKind>, error: &Error) {
        let row = kind.map_or(self.rows.len() - 1, |kind| kind as usize);
        self.rows[row].failed[index_of(error)].increment(1);
    }
}

fn events() -> impl Iterator<Item = &'static str> {
    RequestKind::ALL.iter().map(|kind| kind.name()).chain([OTHER])
}

/// How a socket ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// We closed it.
    Server(Close),
    /// We gave it up: no sign of life in two heartbeats, or a write that failed.
    Silent,
    /// The client closed it, with this code or without one.
    Client(Option<u16>),
    /// The connection broke, or the client went without a word.
    Lost,
}

/// Codes that clients give; any other is `other`.
const CLIENT: [(u16, &str); 4] = [(1000, "1000"), (1001, "1001"), (1005, "1005"), (0, OTHER)];
const WITHOUT_A_WORD: &str = "1006";

/// Ends of sockets, by who ended them and how.
pub struct Closes {
    /// In the order of [`Close::ALL`].
    server: Vec<Counter>,
    silent: Counter,
    client: [Counter; CLIENT.len()],
    lost: Counter,
}

impl Closes {
    pub(super) fn register(_recorder: &Arc<PrometheusRecorder>) -> Self {
        metrics::describe_counter!(CLOSED.0, Unit::Count, CLOSED.1);
        let counter = |initiator, code: String| metrics::counter!(CLOSED.0, "initiator" => initiator, "code" => code);
        let by_us = Close::ALL.iter().map(|why| counter("server", why.code().to_string()));
        Self {
            server: by_us.collect(),
            silent: counter("server", WITHOUT_A_WORD.to_owned()),
            client: CLIENT.map(|(_, code)| counter("client", code.to_owned())),
            lost: counter("client", WITHOUT_A_WORD.to_owned()),
        }
    }

    pub(super) fn declared() -> Vec<Declared> {
        let mut codes: Vec<&str> = CLIENT.iter().map(|(_, code)| *code).collect();
        codes.push(WITHOUT_A_WORD);
        codes.push("those we close with");
        let labels = vec![("initiator", vec!["server", "client"]), ("code", codes)];
        vec![Declared { name: CLOSED.0, kind: "counter", labels, help: CLOSED.1 }]
    }

    pub fn note(&self, how: Ending) {
        let counter = match how {
            Ending::Server(why) => {
                let index = Close::ALL.iter().position(|known| *known == why);
                &self.server[index.expect("ALL has all")]
            }
            Ending::Silent => &self.silent,
            Ending::Client(code) => {
                let code = code.unwrap_or(1005);
                let index = CLIENT.iter().position(|(known, _)| *known == code);
                &self.client[index.unwrap_or(CLIENT.len() - 1)]
            }
            Ending::Lost => &self.lost,
        };
        counter.increment(1);
    }
}

/// Upgrades that were refused, by the error's code.
pub struct Refusals(Vec<Counter>);

impl Refusals {
    pub(super) fn register(_recorder: &Arc<PrometheusRecorder>) -> Self {
        metrics::describe_counter!(REFUSED.0, Unit::Count, REFUSED.1);
        Self(codes().map(|code| metrics::counter!(REFUSED.0, "code" => code)).collect())
    }

    pub(super) fn declared() -> Vec<Declared> {
        let labels = vec![("code", codes().collect())];
        vec![Declared { name: REFUSED.0, kind: "counter", labels, help: REFUSED.1 }]
    }

    pub fn note(&self, error: &Error) {
        self.0[index_of(error)].increment(1);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::*;

    #[test]
    fn requests_and_ends_are_counted_by_what_came_of_them() {
        let (metrics, print) = Metrics::new("n1");
        let took = Duration::from_millis(1);
        metrics.requests.answered(RequestKind::SendMessage, Ok(()), took);
        metrics.requests.answered(RequestKind::Sync, Err(&Error::Timeout), took);
        metrics.requests.refused(None, &Error::invalid("event", "unknown"));
        for how in [
            Ending::Server(Close::TooSlow),
            Ending::Silent,
            Ending::Client(None),
            Ending::Client(Some(4_999)),
            Ending::Lost,
        ] {
            metrics.closes.note(how);
        }
        metrics.upgrades_refused.note(&Error::Blocked);
        let text = print.render();
        for line in [
            r#"chat_socket_requests_total{node="n1",event="sendMessage",code="ok"} 1"#,
            r#"chat_socket_requests_total{node="n1",event="sync",code="timeout"} 1"#,
            r#"chat_socket_requests_total{node="n1",event="other",code="invalid"} 1"#,
            r#"chat_socket_request_seconds_count{node="n1",event="sync"} 1"#,
            r#"chat_socket_request_seconds_count{node="n1",event="other"} 0"#,
            r#"chat_connections_closed_total{node="n1",initiator="server",code="4408"} 1"#,
            r#"chat_connections_closed_total{node="n1",initiator="server",code="1006"} 1"#,
            r#"chat_connections_closed_total{node="n1",initiator="client",code="1005"} 1"#,
            r#"chat_connections_closed_total{node="n1",initiator="client",code="other"} 1"#,
            r#"chat_connections_closed_total{node="n1",initiator="client",code="1006"} 1"#,
            r#"chat_upgrades_refused_total{node="n1",code="blocked"} 1"#,
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
        }
    }
}
