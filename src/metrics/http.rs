//! Requests over REST, by route, method and class of status.
//!
//! A route is its template, as the router knows it, so the labels have no more values than there are
//! routes; what no route matches is `other`. A route's handles are made when it is first asked for.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use metrics::{Counter, Histogram, Unit};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::Declared;

const REQUESTS: (&str, &str) = ("chat_http_requests_total", "REST requests answered.");
const SECONDS: (&str, &str) =
    ("chat_http_seconds", "REST requests, from the head to the head of the answer.");

/// Any other method is the last one.
const METHODS: [&str; 8] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "other"];

/// By the first digit of the status.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

const OTHER: &str = "other";

/// The handles of all routes that were asked for.
pub struct Routes {
    recorder: Arc<PrometheusRecorder>,
    known: RwLock<HashMap<String, Methods>>,
}

type Methods = [Option<Arc<Route>>; METHODS.len()];

struct Route {
    by_class: [Counter; CLASSES.len()],
    seconds: Histogram,
}

/// An answered request; no route where none matched.
#[derive(Clone, Copy)]
pub struct Answered<'a> {
    pub route: Option<&'a str>,
    pub method: &'a str,
    pub status: u16,
    pub took: Duration,
}

impl Routes {
    pub(super) fn register(recorder: &Arc<PrometheusRecorder>) -> Self {
        metrics::describe_counter!(REQUESTS.0, Unit::Count, REQUESTS.1);
        metrics::describe_histogram!(SECONDS.0, Unit::Seconds, SECONDS.1);
        Self { recorder: Arc::clone(recorder), known: RwLock::default() }
    }

    pub(super) fn declared() -> Vec<Declared> {
        let labels = vec![("method", METHODS.to_vec()), ("route", vec!["templates", OTHER])];
        let mut with_status = labels.clone();
        with_status.push(("status", CLASSES.to_vec()));
        let ((requests, help), (seconds, help_seconds)) = (REQUESTS, SECONDS);
        vec![
            Declared { name: requests, kind: "counter", labels: with_status, help },
            Declared { name: seconds, kind: "histogram", labels, help: help_seconds },
        ]
    }

    /// Counts a request.
    pub fn answered(&self, request: Answered<'_>) {
        let method = METHODS.iter().position(|known| *known == request.method);
        let route = self.of(request.route.unwrap_or(OTHER), method.unwrap_or(METHODS.len() - 1));
        let class = usize::from(request.status / 100).clamp(1, CLASSES.len()) - 1;
        route.by_class[class].increment(1);
        route.seconds.record(request.took);
    }

    fn of(&self, route: &str, method: usize) -> Arc<Route> {
        let known = self.known.read().expect("nothing panics while the lock is held");
        if let Some(known) = known.get(route).and_then(|methods| methods[method].as_ref()) {
            return Arc::clone(known);
        }
        drop(known);
        let mut known = self.known.write().expect("nothing panics while the lock is held");
        let methods = known.entry(route.to_owned()).or_default();
        let made = methods[method].get_or_insert_with(|| self.make(route, METHODS[method]));
        Arc::clone(made)
    }

    /// All classes at once: a counter that begins with its first error hides it from `rate`.
    fn make(&self, route: &str, method: &'static str) -> Arc<Route> {
        metrics::with_local_recorder(&*self.recorder, || {
            let counter = |class| {
                let route = route.to_owned();
                metrics::counter!(REQUESTS.0, "method" => method, "route" => route, "status" => class)
            };
            let labels = [("method", method.to_owned()), ("route", route.to_owned())];
            let seconds = metrics::histogram!(SECONDS.0, &labels);
            Arc::new(Route { by_class: CLASSES.map(counter), seconds })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::*;

    #[test]
    fn requests_are_counted_by_what_they_were() {
        let (metrics, print) = Metrics::new("n1");
        let took = Duration::from_millis(1);
        let chat = Answered { route: Some("/chats/{chatId}"), method: "GET", status: 200, took };
        metrics.http.answered(chat);
        metrics.http.answered(Answered { status: 503, ..chat });
        metrics.http.answered(Answered { route: None, method: "BREW", status: 999, took });
        let text = print.render();
        let has = |labels: &str, count| {
            let line = format!("chat_http_requests_total{{node=\"n1\",{labels}}} {count}\n");
            assert!(text.contains(&line), "{line}{text}");
        };
        has(r#"method="GET",route="/chats/{chatId}",status="2xx""#, 1);
        has(r#"method="GET",route="/chats/{chatId}",status="4xx""#, 0);
        has(r#"method="GET",route="/chats/{chatId}",status="5xx""#, 1);
        has(r#"method="other",route="other",status="5xx""#, 1);
        let count = r#"chat_http_seconds_count{node="n1",method="GET",route="/chats/{chatId}"} 2"#;
        assert!(text.contains(count), "{text}");
    }
}
