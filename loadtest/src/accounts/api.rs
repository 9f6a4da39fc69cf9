//! One node's REST calls, without the patience of [`crate::rest`]: what is measured must not be
//! repeated behind the measurement's back.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use uuid::Uuid;

const WITHIN: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub(super) struct Api {
    http: Client,
    pub(super) url: String,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

/// A signed-in session.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) name: String,
    pub(super) user_id: String,
    pub(super) session_id: String,
    pub(super) access: String,
    pub(super) refresh: String,
}

/// Names of this run's accounts, and the password of all of them.
pub(super) struct Run {
    tag: String,
    pub(super) password: String,
}

impl Run {
    pub(super) fn new() -> Self {
        let tag = Uuid::new_v4().simple().to_string();
        Self { password: format!("Lt-{tag}"), tag: tag[..8].to_owned() }
    }

    pub(super) fn name(&self, index: usize) -> String {
        format!("a{}_{index}", self.tag)
    }
}

impl Api {
    pub(super) fn all(urls: &[String]) -> Vec<Self> {
        let http = Client::new();
        urls.iter().map(|url| Self { http: http.clone(), url: url.clone() }).collect()
    }

    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Answer> {
        let mut request = self.http.request(method, format!("{}/api/v1{path}", self.url));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.timeout(WITHIN).send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { status, headers, body })
    }

    pub(super) async fn sign_up(&self, run: &Run, index: usize) -> Result<Login> {
        let name = run.name(index);
        let email = format!("{name}@example.com");
        let body = json!({"username": name, "email": email, "password": run.password});
        let answer = self.call(Method::POST, "/auth/signup", None, Some(&body)).await?;
        ensure!(answer.status == 201, "sign-up: {} {}", answer.status, answer.body);
        login(name, &answer.body)
    }

    pub(super) async fn sign_in(&self, name: &str, password: &str) -> Result<Answer> {
        let body = json!({"login": name, "password": password, "device": {"id": "loadtest"}});
        self.call(Method::POST, "/auth/signin", None, Some(&body)).await
    }

    /// Signs in where that has to work.
    pub(super) async fn session(&self, run: &Run, name: &str) -> Result<Login> {
        let answer = self.sign_in(name, &run.password).await?;
        ensure!(answer.status == 200, "sign-in: {} {}", answer.status, answer.body);
        login(name.to_owned(), &answer.body)
    }

    pub(super) async fn group(&self, token: &str, members: &[&str]) -> Result<String> {
        let body = json!({"title": "figures", "memberIds": members});
        let answer = self.call(Method::POST, "/chats", Some(token), Some(&body)).await?;
        ensure!(answer.status == 201, "a new chat: {} {}", answer.status, answer.body);
        text(&answer.body, "/id")
    }
}

fn login(name: String, body: &Value) -> Result<Login> {
    Ok(Login {
        name,
        user_id: text(body, "/user/id")?,
        session_id: text(body, "/session/id")?,
        access: text(body, "/accessToken")?,
        refresh: text(body, "/refreshToken")?,
    })
}

pub(super) fn text(body: &Value, pointer: &str) -> Result<String> {
    let found = body.pointer(pointer).and_then(Value::as_str);
    found.map(str::to_owned).with_context(|| format!("no {pointer} in an answer"))
}
