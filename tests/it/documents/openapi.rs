//! The OpenAPI document. That live answers agree with it is checked wherever a test asks something.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, TestApp, document};

const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

/// R-DE-11: the table of routes makes the document, so that only what goes around it could miss.
#[test]
fn every_route_is_laid_by_the_table_that_makes_the_document() {
    let source = include_str!("../../../src/http/mod.rs");
    for way_around in [".route(", ".nest_service(", ".route_service("] {
        assert!(!source.contains(way_around), "src/http/mod.rs lays routes by {way_around}");
    }
    assert!(source.contains(".at(\"/chats\""), "the table is there");
}

#[tokio::test]
async fn every_operation_of_the_document_is_a_route() {
    let app = TestApp::start().await;
    let document = document(app.address, "openapi").await;
    // An operator: to others what only they may do is no route.
    let ann = app.operator("ann").await;
    let nobody = uuid::Uuid::now_v7().to_string();
    let mut tried = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        // Away from `/api/v1` only health is served, and the tests of health ask it.
        let Some(path) = path.strip_prefix("/api/v1") else { continue };
        for method in methods.as_object().unwrap().keys() {
            let filled = fill(path, &nobody);
            let method: Method = method.to_uppercase().parse().unwrap();
            // No other method than the documented ones, and these are there: not 405.
            let answer = Answer::of(ann.http.request(method.clone(), &filled)).await;
            assert_ne!(answer.status, 405, "{method} {path}");
            assert_ne!(answer.body["detail"], "route not found", "{method} {path}");
            tried += 1;
            if path == "/auth/logout" || path == "/auth/logout-all" {
                return_to(&app, &ann.id).await;
            }
        }
        for method in METHODS.iter().filter(|method| methods.get(**method).is_none()) {
            let method: Method = method.to_uppercase().parse().unwrap();
            let answer = Answer::of(ann.http.request(method, &fill(path, &nobody))).await;
            answer.expect_problem(405, "invalid");
        }
    }
    assert!(tried >= 20, "{tried} operations were tried");
}

/// Ended sessions are begun anew, so that the same token goes on.
async fn return_to(app: &TestApp, user: &str) {
    let sql = "update sessions set ended_at = null, end_reason = null where user_id = $1";
    app.sql(sql, Some(user)).await;
}

fn fill(path: &str, id: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { id } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn the_document_is_whole() {
    let app = TestApp::start().await;
    let document = document(app.address, "openapi").await;
    assert_eq!(document["openapi"], "3.1.0");
    references_lead_somewhere(&document, &document);
    let mut names = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(METHODS.contains(&method.as_str()), "{method} {path}");
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{name} twice");
            assert!(operation["summary"].is_string(), "{name} has no summary");
            check_parameters(path, operation);
            check_responses(name, path.starts_with("/api/v1/"), operation);
        }
    }
    let requests = ["SignUp", "SignIn", "Refresh", "CreateChat", "NewMessage", "NewText"];
    for request in requests {
        let schema = &document["components"]["schemas"][request];
        assert_eq!(schema["additionalProperties"], false, "{request} takes unknown fields");
    }
}

/// The path's variables are the parameters in the path.
fn check_parameters(path: &str, operation: &Value) {
    let variables: BTreeSet<&str> =
        path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let named = parameters.iter().filter(|parameter| parameter["in"] == "path");
    let named: BTreeSet<&str> =
        named.map(|parameter| parameter["name"].as_str().expect("a name")).collect();
    assert_eq!(variables, named, "{path}");
}

fn check_responses(name: &str, is_api: bool, operation: &Value) {
    let responses = operation["responses"].as_object().expect("it has responses");
    let has = |status: &str| responses.contains_key(status);
    assert!(responses.keys().any(|status| status.as_str() < "400"), "{name} never succeeds");
    assert!(has("500") && (!is_api || (has("429") && has("503") && has("504"))), "{name}");
    let needs_token = operation["security"] != json!([]);
    assert!(!needs_token || has("401"), "{name} is never refused");
    for (status, response) in responses {
        assert!(!response["description"].as_str().expect("a text").is_empty(), "{name} {status}");
        assert!(response["headers"]["X-Request-Id"].is_object(), "{name} {status}");
        let problem = &response["content"]["application/problem+json"];
        let is_probe = name.starts_with("health.") && status == "503";
        assert_eq!(problem.is_object(), status.as_str() >= "400" && !is_probe, "{name} {status}");
    }
}

pub(super) fn references_lead_somewhere(part: &Value, document: &Value) {
    match part {
        Value::Object(fields) => {
            if let Some(place) = fields.get("$ref").and_then(Value::as_str) {
                let pointer = place.strip_prefix('#').expect("references stay in the document");
                assert!(document.pointer(pointer).is_some(), "{place} leads nowhere");
            }
            fields.values().for_each(|field| references_lead_somewhere(field, document));
        }
        Value::Array(parts) => parts.iter().for_each(|p| references_lead_somewhere(p, document)),
        _ => {}
    }
}

/// What is a setting stands in the document as it is set.
#[tokio::test]
async fn limits_that_are_settings_are_told() {
    let settings = [("MESSAGE_MAX_CHARS", "17"), ("MEMBERS_PER_CALL", "3"), ("APP_TOKEN", "x")];
    let app = TestApp::start_with(&settings).await;
    let openapi = document(app.address, "openapi").await;
    let schemas = &openapi["components"]["schemas"];
    assert_eq!(schemas["NewMessage"]["properties"]["body"]["maxLength"], 17);
    assert_eq!(schemas["NewText"]["properties"]["body"]["maxLength"], 17);
    assert_eq!(schemas["CreateChat"]["properties"]["memberIds"]["maxItems"], 3);
    let security = |path: &str, method: &str| openapi["paths"][path][method]["security"].clone();
    assert_eq!(security("/api/v1/auth/signin", "post"), json!([{ "appToken": [] }]));
    assert_eq!(security("/api/v1/chats", "get"), json!([{ "appToken": [], "bearer": [] }]));
    assert_eq!(security("/api/health", "get"), json!([]));
    let asyncapi = document(app.address, "asyncapi").await;
    let schemas = &asyncapi["components"]["schemas"];
    assert_eq!(schemas["SendMessage"]["properties"]["body"]["maxLength"], 17);
}
