//! The served documents, and whether what a node says agrees with them. Every answer and every
//! frame that a test reads passes here, so that the documents cannot say otherwise than the code.

use std::collections::HashMap;
use std::net::SocketAddr;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::schema::Checker;

const PROBLEM: &str = "application/problem+json";

static CONTRACT: OnceCell<Contract> = OnceCell::const_new();

struct Contract {
    openapi: Value,
    asyncapi: Value,
    operations: Vec<Operation>,
}

struct Operation {
    method: Method,
    path: Vec<String>,
    answers: HashMap<u16, Bodies>,
}

/// Schemas by the essence of the content type; empty where there is no body.
type Bodies = HashMap<String, Value>;

/// Reads the documents of a node. The first one's count for the whole process: nodes differ in the
/// limits of requests alone, which are not looked at here.
pub(crate) async fn learn(address: SocketAddr) {
    CONTRACT
        .get_or_init(async || {
            Contract::of(document(address, "openapi").await, document(address, "asyncapi").await)
        })
        .await;
}

pub(crate) async fn document(address: SocketAddr, name: &str) -> Value {
    let answer = reqwest::get(format!("http://{address}/docs/{name}.json")).await;
    let answer = answer.expect("the node answers").error_for_status().expect("it has documents");
    answer.json().await.expect("a document is JSON")
}

/// Checks an answer of the REST side.
#[track_caller]
pub(crate) fn check_answer(
    (method, path): (&Method, &str),
    status: u16,
    headers: &HeaderMap,
    body: &Value,
) {
    let Some(contract) = CONTRACT.get() else { return };
    // Asked by browsers before they call; no route sees it.
    if *method == Method::OPTIONS {
        return;
    }
    let what = format!("{method} {path}: {status}");
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    // The first path that fits is the one that answers, whatever methods it has.
    let first = contract.operations.iter().find(|known| known.is_at(path));
    let mut there = contract.operations.iter().filter(|known| {
        known.method == *method && first.is_some_and(|first| known.path == first.path)
    });
    let Some(operation) = there.next() else {
        // No route, or no such method.
        assert!(status >= 400 && kind == PROBLEM, "{what} by no operation of the document");
        let problem = &contract.openapi["components"]["schemas"]["Problem"];
        return assert_valid(&contract.openapi, problem, body, &what);
    };
    let bodies = operation.answers.get(&status);
    let bodies = bodies.unwrap_or_else(|| panic!("{what} is not in the document: {body:#}"));
    match bodies.get(kind) {
        Some(_) if kind == "application/zip" => {}
        Some(schema) => assert_valid(&contract.openapi, schema, body, &what),
        None => assert!(bodies.is_empty() && body.is_null(), "{what} has a body of type {kind:?}"),
    }
}

/// Checks a frame from a node; `asked` is the request that it answers, where that is known.
#[track_caller]
pub(crate) fn check_frame(frame: &Value, asked: Option<&str>) {
    let Some(contract) = CONTRACT.get() else { return };
    let name = match (frame["event"].as_str(), frame["ok"].as_bool(), asked) {
        (Some(event), ..) => format!("push.{event}"),
        (None, Some(true), Some(asked)) => format!("{asked}.ok"),
        (None, Some(false), _) => "refused".to_owned(),
        // Asked for by hand.
        (None, Some(true), None) => return,
        (None, None, _) => panic!("neither an answer nor a push: {frame:#}"),
    };
    let message = contract.asyncapi["components"]["messages"].get(&name);
    let message = message.unwrap_or_else(|| panic!("{name} is not in the document: {frame:#}"));
    assert_valid(&contract.asyncapi, &message["payload"], frame, &name);
}

#[track_caller]
fn assert_valid(document: &Value, schema: &Value, value: &Value, what: &str) {
    let errors = Checker { document }.errors(schema, value);
    assert!(errors.is_empty(), "{what} is not as documented: {errors:#?} in {value:#}");
}

impl Contract {
    fn of(openapi: Value, asyncapi: Value) -> Self {
        let mut operations = Vec::new();
        for (path, methods) in openapi["paths"].as_object().expect("there are paths") {
            for (method, operation) in methods.as_object().expect("a path has methods") {
                operations.push(Operation {
                    method: method.to_uppercase().parse().expect("a method"),
                    path: segments(path),
                    answers: answers(&operation["responses"]),
                });
            }
        }
        // `/user/profile` before `/user/{userId}`.
        operations.sort_by_key(|known| known.path.iter().filter(|part| is_variable(part)).count());
        Self { openapi, asyncapi, operations }
    }
}

fn answers(responses: &Value) -> HashMap<u16, Bodies> {
    let mut answers = HashMap::new();
    for (status, response) in responses.as_object().expect("an operation has answers") {
        let content = response["content"].as_object();
        let bodies = content
            .into_iter()
            .flatten()
            .map(|(kind, media)| (kind.clone(), media["schema"].clone()))
            .collect();
        answers.insert(status.parse().expect("a status"), bodies);
    }
    answers
}

impl Operation {
    fn is_at(&self, path: &str) -> bool {
        let parts = segments(path);
        let is_same = |(known, part): (&String, &String)| known == part || is_variable(known);
        self.path.len() == parts.len() && self.path.iter().zip(&parts).all(is_same)
    }
}

fn segments(path: &str) -> Vec<String> {
    path.split('/').map(str::to_owned).collect()
}

fn is_variable(segment: &str) -> bool {
    segment.starts_with('{')
}
