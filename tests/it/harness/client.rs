//! A small HTTP client whose answers can be asserted in one line.

use std::net::SocketAddr;

use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::contract::check_answer;

/// A client of one node, with or without a token.
#[derive(Clone)]
pub(crate) struct Http {
    client: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Http {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let client = reqwest::Client::builder().user_agent("test/1").build().expect("no settings");
        Self { client, base: format!("http://{address}"), token: None }
    }

    /// The same client as a signed-in user.
    pub(crate) fn with_token(&self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// The same user at another node.
    pub(crate) fn at(&self, address: SocketAddr) -> Self {
        Self { token: self.token.clone(), ..Self::new(address) }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.request_at_root(method, &format!("/api/v1{path}"))
    }

    /// Where `path` is not below `/api/v1`.
    pub(crate) fn request_at_root(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request(Method::PATCH, path).json(&body)).await
    }

    /// A DELETE with a body.
    pub(crate) async fn delete_with(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request(Method::DELETE, path).json(&body)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(&body)).await
    }

    /// Signs a user up; their address is `<username>@example.org`, their password [`PASSWORD`].
    pub(crate) async fn sign_up(&self, username: &str) -> Answer {
        let email = format!("{username}@example.org");
        let body = json!({ "username": username, "email": email, "password": PASSWORD });
        self.post("/auth/signup", body).await.expect(201)
    }

    pub(crate) async fn sign_in(&self, login: &str, device: Value) -> Answer {
        let body = json!({ "login": login, "password": PASSWORD, "device": device });
        self.post("/auth/signin", body).await.expect(200)
    }
}

pub(crate) const PASSWORD: &str = "a horse of course";

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let (client, request) = request.build_split();
        let request = request.expect("the request is well formed");
        let asked = (request.method().clone(), request.url().path().to_owned());
        let response = client.execute(request).await.expect("the node answers");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.expect("the answer is whole");
        let is_zip = headers.get("content-type").is_some_and(|kind| kind == "application/zip");
        let body = if bytes.is_empty() || is_zip {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).expect("every answer with a body is JSON, or an export")
        };
        check_answer((&asked.0, &asked.1), status, &headers, &body);
        Self { status, headers, body }
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:#}", self.body);
        self
    }

    /// Expects a whole problem document.
    #[track_caller]
    pub(crate) fn expect_problem(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert_eq!(answer.body["code"], code, "{:#}", answer.body);
        assert_eq!(answer.body["status"], status);
        assert_eq!(answer.body["type"], format!("/docs/problems#{code}"));
        assert!(answer.body["title"].is_string() && answer.body["detail"].is_string());
        assert_eq!(answer.body["requestId"], answer.header("x-request-id"));
        answer
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &'static str) -> &str {
        let value = self.headers.get(HeaderName::from_static(name));
        value.and_then(|value| value.to_str().ok()).unwrap_or_else(|| panic!("no header {name}"))
    }

    #[track_caller]
    pub(crate) fn text(&self, pointer: &str) -> String {
        let found = self.body.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_else(|| panic!("no text at {pointer} in {:#}", self.body)).to_owned()
    }

    #[track_caller]
    pub(crate) fn items(&self) -> &[Value] {
        self.body["items"].as_array().expect("a list has items")
    }

    /// Where the errors of an invalid request are.
    pub(crate) fn error_paths(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().filter_map(|error| error["path"].as_str()).collect()
    }
}
