//! The served documents, and whether what a node says agrees with them. Every answer and every
//! frame that a test reads passes here, so that the documents cannot say otherwise than the code.
//!
//! Stricter than the documents are to clients: a field that no schema names is an error too.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use jsonschema::Validator;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

const PROBLEM: &str = "application/problem+json";

static CONTRACT: OnceCell<Contract> = OnceCell::const_new();

struct Contract {
    operations: Vec<Operation>,
    problem: Arc<Validator>,
    /// By the name of the message.
    frames: HashMap<String, Arc<Validator>>,
}

struct Operation {
    method: Method,
    path: Vec<String>,
    answers: HashMap<u16, Bodies>,
}

/// By the essence of the content type; empty where there is no body.
type Bodies = HashMap<String, Arc<Validator>>;

/// Reads the documents of a node. The first one's count for the whole process: nodes differ in the
/// limits of requests alone, which are not looked at here.
pub(crate) async fn learn(address: SocketAddr) {
    CONTRACT
        .get_or_init(async || {
            Contract::of(&document(address, "openapi").await, &document(address, "asyncapi").await)
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
    let what = format!("{method} {path}: {status}");
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    let Some(operation) = contract.operations.iter().find(|known| known.is(method, path)) else {
        // No route, or no such method.
        assert!(status >= 400 && kind == PROBLEM, "{what} by no operation of the document");
        return assert_valid(&contract.problem, body, &what);
    };
    let bodies = operation.answers.get(&status);
    let bodies = bodies.unwrap_or_else(|| panic!("{what} is not in the document: {body:#}"));
    match bodies.get(kind) {
        Some(schema) => assert_valid(schema, body, &what),
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
    let schema = contract.frames.get(&name);
    let schema = schema.unwrap_or_else(|| panic!("{name} is not in the document: {frame:#}"));
    assert_valid(schema, frame, &name);
}

#[track_caller]
fn assert_valid(schema: &Validator, value: &Value, what: &str) {
    let errors: Vec<String> = schema
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{what} is not as documented: {errors:#?} in {value:#}");
}

impl Contract {
    fn of(openapi: &Value, asyncapi: &Value) -> Self {
        let mut schemas = Schemas { document: openapi, known: HashMap::new() };
        let problem = schemas.get(&json!({ "$ref": "#/components/schemas/Problem" }));
        let mut operations = Vec::new();
        for (path, methods) in openapi["paths"].as_object().expect("there are paths") {
            for (method, operation) in methods.as_object().expect("a path has methods") {
                operations.push(Operation {
                    method: method.to_uppercase().parse().expect("a method"),
                    path: segments(path),
                    answers: answers(&mut schemas, &operation["responses"]),
                });
            }
        }
        // `/user/profile` before `/user/{userId}`.
        operations.sort_by_key(|known| known.path.iter().filter(|part| is_variable(part)).count());
        let mut schemas = Schemas { document: asyncapi, known: HashMap::new() };
        let messages = asyncapi["components"]["messages"].as_object().expect("there are messages");
        let frames = messages
            .iter()
            .map(|(name, message)| (name.clone(), schemas.get(&message["payload"])))
            .collect();
        Self { operations, problem, frames }
    }
}

fn answers(schemas: &mut Schemas<'_>, responses: &Value) -> HashMap<u16, Bodies> {
    let mut answers = HashMap::new();
    for (status, response) in responses.as_object().expect("an operation has answers") {
        let content = response["content"].as_object();
        let bodies = content
            .into_iter()
            .flatten()
            .map(|(kind, media)| (kind.clone(), schemas.get(&media["schema"])))
            .collect();
        answers.insert(status.parse().expect("a status"), bodies);
    }
    answers
}

impl Operation {
    fn is(&self, method: &Method, path: &str) -> bool {
        let parts = segments(path);
        let is_same = |(known, part): (&String, &String)| known == part || is_variable(known);
        self.method == *method
            && self.path.len() == parts.len()
            && self.path.iter().zip(&parts).all(is_same)
    }
}

fn segments(path: &str) -> Vec<String> {
    path.split('/').map(str::to_owned).collect()
}

fn is_variable(segment: &str) -> bool {
    segment.starts_with('{')
}

/// The schemas of a document, each made ready once.
struct Schemas<'a> {
    document: &'a Value,
    known: HashMap<String, Arc<Validator>>,
}

impl Schemas<'_> {
    fn get(&mut self, schema: &Value) -> Arc<Validator> {
        let text = schema.to_string();
        if let Some(known) = self.known.get(&text) {
            return Arc::clone(known);
        }
        let mut whole = json!({
            "allOf": [schema],
            "unevaluatedProperties": false,
            "components": { "schemas": self.document["components"]["schemas"] },
        });
        close(&mut whole, false);
        let validator = jsonschema::options().should_validate_formats(true).build(&whole);
        let validator = Arc::new(validator.unwrap_or_else(|error| panic!("{text}: {error}")));
        self.known.insert(text, Arc::clone(&validator));
        validator
    }
}

/// Lets no object have fields that are not named, wherever a schema is used as a whole. A part of
/// an `allOf` does not know what the other parts name.
fn close(schema: &mut Value, is_part: bool) {
    match schema {
        Value::Array(parts) => parts.iter_mut().for_each(|part| close(part, is_part)),
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                close(value, name == "allOf");
            }
            if !is_part && fields.contains_key("$ref") {
                fields.insert("unevaluatedProperties".into(), json!(false));
            }
        }
        _ => {}
    }
}
