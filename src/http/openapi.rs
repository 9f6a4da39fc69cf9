//! The OpenAPI document: what the annotations say, and what holds for every route.
//!
//! A handler names its own answers alone. Whatever any request can be answered (a bad token, a
//! limit, a mistake of ours) is added here, and so are the limits that are settings, so that the
//! document of a node tells what that node does.

use serde_json::{Map, Value, json};
use utoipa::PartialSchema;
use utoipa::openapi::OpenApi;

use super::respond::Problem;
use crate::config::Config;
use crate::error::{CODES, FieldError};

const API: &str = "/api/v1/";
const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

/// When an answer that no handler names can come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    /// On every route of the API, which health is not one of.
    Api,
    /// A token of the user or of the app is asked for.
    Token,
    Body,
    Input,
}

const COMMON: &[(u16, When, &str)] = &[
    (400, When::Body, "the body is not JSON"),
    (401, When::Token, "no token, a bad one, or its session has ended"),
    (413, When::Body, "the body is too large"),
    (415, When::Body, "the body is not declared as JSON"),
    (422, When::Input, "some fields or parameters are not valid"),
    (429, When::Api, "too many requests"),
    (500, When::Always, "a mistake of the service"),
    (503, When::Api, "a part is out of reach"),
    (504, When::Api, "no answer in time; it may have been done"),
];

/// Adds what the annotations leave out.
pub(super) fn complete(document: OpenApi, config: &Config) -> Value {
    let mut document = serde_json::to_value(document).expect("a document is plain data");
    describe(&mut document);
    add_components(&mut document);
    let app_token = config.auth.app_token.is_some();
    let paths = document["paths"].as_object_mut().expect("there are routes");
    for (path, methods) in paths {
        for method in METHODS {
            if let Some(operation) = methods.get_mut(method) {
                complete_operation(operation, path, app_token);
            }
        }
    }
    let body = config.limits.body_chars;
    set_limit(&mut document, "NewMessage", "body", "maxLength", body);
    set_limit(&mut document, "NewText", "body", "maxLength", body);
    let members = config.limits.members_per_call;
    set_limit(&mut document, "CreateChat", "memberIds", "maxItems", members);
    set_limit(&mut document, "AddMembers", "userIds", "maxItems", members);
    document
}

/// Writes a limit that is a setting into a schema.
///
/// # Panics
/// Where there is no such schema or property: it was renamed, and this was forgotten.
pub(crate) fn set_limit(
    document: &mut Value,
    schema: &str,
    property: &str,
    limit: &str,
    value: usize,
) {
    let place = format!("/components/schemas/{schema}/properties/{property}");
    document.pointer_mut(&place).expect("the limited property exists")[limit] = json!(value);
}

fn describe(document: &mut Value) {
    document["info"] = json!({
        "title": "Chat service",
        "version": env!("CARGO_PKG_VERSION"),
        "summary": "Accounts, chats and messages over REST",
        "description": "What happens as it happens comes over a WebSocket, which \
            `/docs/asyncapi.json` describes. Whatever is refused is answered by a problem document \
            (RFC 9457); clients branch on its `code`.",
        "license": { "name": "MIT", "identifier": "MIT" },
    });
    document["servers"] = json!([{ "url": "/", "description": "this node" }]);
    document["tags"] = json!([
        { "name": "auth", "description": "From sign-up to sign-out" },
        { "name": "users", "description": "The caller, and others" },
        { "name": "chats", "description": "The caller's chats and who is in them" },
        { "name": "members", "description": "Who is in a group, and in which role" },
        { "name": "invites", "description": "Links by which people come into groups" },
        { "name": "blocks", "description": "Whom the caller does not want to hear of" },
        { "name": "presence", "description": "Who is online" },
        { "name": "messages", "description": "The messages of a chat" },
        { "name": "reactions", "description": "Emoji at messages" },
        { "name": "socket", "description": "The WebSocket" },
        { "name": "operators", "description": "For those who run the service" },
        { "name": "health", "description": "For people and for orchestrators" },
    ]);
}

fn add_components(document: &mut Value) {
    let components = &mut document["components"];
    components["securitySchemes"] = json!({
        "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
        "appToken": {
            "type": "apiKey",
            "in": "header",
            "name": "X-App-Token",
            "description": "The app's own token, where the service asks for one",
        },
    });
    let text = json!({ "type": "string" });
    components["headers"] = json!({
        "RequestId": { "description": "Names the request in logs", "required": true, "schema": text },
        "RetryAfter": {
            "description": "Seconds to wait",
            "required": true,
            "schema": { "type": "integer", "minimum": 0 },
        },
        "RateLimit": { "description": "What is left of the limit", "schema": text },
        "RateLimitPolicy": { "description": "The limit", "schema": text },
        "WwwAuthenticate": { "description": "Which kind of token is asked for", "schema": text },
    });
    let mut problem = json!(Problem::schema());
    let codes: Vec<&str> = CODES.iter().map(|code| code.name).collect();
    problem["properties"]["code"]["enum"] = json!(codes);
    components["schemas"]["Problem"] = problem;
    components["schemas"]["FieldError"] = json!(FieldError::schema());
}

fn complete_operation(operation: &mut Value, path: &str, app_token: bool) {
    name(operation);
    let is_api = path.starts_with(API);
    // How `security(())` is written down.
    let is_public = operation.get("security") == Some(&json!([{}]));
    operation["security"] = match (is_public, is_api && app_token) {
        (true, false) => json!([]),
        (true, true) => json!([{ "appToken": [] }]),
        (false, false) => json!([{ "bearer": [] }]),
        (false, true) => json!([{ "bearer": [], "appToken": [] }]),
    };
    let asks_for_token = operation["security"] != json!([]);
    let has_body = operation.get("requestBody").is_some();
    let has_input = has_body || operation.get("parameters").is_some();
    let responses = operation["responses"].as_object_mut().expect("operations have responses");
    for (status, when, meaning) in COMMON {
        let may_come = match when {
            When::Always => true,
            When::Api => is_api,
            When::Token => asks_for_token,
            When::Body => has_body,
            When::Input => has_input,
        };
        if may_come {
            let status = status.to_string();
            responses.entry(status).or_insert_with(|| json!({ "description": meaning }));
        }
    }
    for (status, response) in responses.iter_mut() {
        complete_response(response, status);
    }
}

/// `chats.openDirect`: unlike a function's name, it is unique.
fn name(operation: &mut Value) {
    let function = operation["operationId"].as_str().unwrap_or_default();
    let mut words = function.split('_');
    let mut name = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(1);
        name = name + &first.to_uppercase() + rest;
    }
    let tag = operation["tags"][0].as_str().expect("every operation has a tag");
    operation["operationId"] = json!(format!("{tag}.{name}"));
}

fn complete_response(response: &mut Value, status: &str) {
    let description = &mut response["description"];
    if description.as_str().is_none_or(str::is_empty) {
        let code = status.parse().ok().and_then(|code| axum::http::StatusCode::from_u16(code).ok());
        *description = json!(code.and_then(|code| code.canonical_reason()).unwrap_or("answered"));
    }
    let is_refusal = status.starts_with(['4', '5']);
    if is_refusal && response.get("content").is_none() {
        let schema = json!({ "$ref": "#/components/schemas/Problem" });
        response["content"] = json!({ "application/problem+json": { "schema": schema } });
    }
    let mut headers = Map::new();
    let mut add = |name: &str, component: &str| {
        let reference = json!({ "$ref": format!("#/components/headers/{component}") });
        headers.insert(name.to_owned(), reference);
    };
    add("X-Request-Id", "RequestId");
    match status {
        "401" => add("WWW-Authenticate", "WwwAuthenticate"),
        "429" => {
            add("Retry-After", "RetryAfter");
            add("RateLimit", "RateLimit");
            add("RateLimit-Policy", "RateLimitPolicy");
        }
        "503" if response["content"].get("application/problem+json").is_some() => {
            add("Retry-After", "RetryAfter");
        }
        _ => {}
    }
    response["headers"] = Value::Object(headers);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_says_so_is_public() {
        let of = |security: Value, app_token: bool| {
            let mut operation = json!({
                "operationId": "list",
                "tags": ["chats"],
                "responses": { "200": {} },
                "security": security,
            });
            complete_operation(&mut operation, "/api/v1/chats", app_token);
            (operation["security"].take(), operation["responses"].get("401").is_some())
        };
        assert_eq!(of(json!([{}]), false), (json!([]), false));
        assert_eq!(of(json!([{}]), true), (json!([{ "appToken": [] }]), true));
        let bearer = json!([{ "bearer": [] }]);
        assert_eq!(of(Value::Null, false), (bearer.clone(), true));
        assert_eq!(of(bearer.clone(), false), (bearer, true));
    }

    #[test]
    fn operations_are_named_by_their_part_and_function() {
        let mut operation = json!({ "operationId": "open_direct", "tags": ["chats"] });
        name(&mut operation);
        assert_eq!(operation["operationId"], "chats.openDirect");
    }
}
