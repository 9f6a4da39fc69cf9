//! The few REST calls that a run needs, with patience for a cluster under fire.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use reqwest::{Client, Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::wire::ChatRef;

const CALL_WITHIN: Duration = Duration::from_secs(20);
const TRIES: u32 = 30;
const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(3);
/// As the contract has it.
pub(crate) const MEMBERS_PER_CALL: usize = 1000;

#[derive(Clone)]
pub(crate) struct Rest {
    http: Client,
    url: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub name: String,
    pub user_id: Uuid,
    pub token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthResult {
    user: Me,
    access_token: String,
}

#[derive(Deserialize)]
struct Me {
    id: Uuid,
}

/// An answer that is not a success.
struct Refused {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.body)
    }
}

impl Rest {
    pub(crate) fn new(http: Client, url: &str) -> Self {
        Self { http, url: url.trim_end_matches('/').to_owned() }
    }

    pub(crate) async fn sign_up(
        &self,
        name: &str,
        display: &str,
        password: &str,
    ) -> Result<Account> {
        let body = json!({
            "username": name,
            "email": format!("{name}@example.com"),
            "password": password,
            "displayName": display,
        });
        let signed = match self.call(Method::POST, "/auth/signup", None, Some(&body)).await? {
            Ok(text) => text,
            // An earlier try of ours got through without its answer.
            Err(refused) if refused.status == StatusCode::CONFLICT => {
                let body = json!({"login": name, "password": password});
                self.must(Method::POST, "/auth/signin", None, Some(&body)).await?
            }
            Err(refused) => bail!("sign-up of {name}: {refused}"),
        };
        let auth: AuthResult = serde_json::from_str(&signed).context("not an AuthResult")?;
        Ok(Account { name: name.to_owned(), user_id: auth.user.id, token: auth.access_token })
    }

    /// Creates a group with all members; more than a call may bring are added after it.
    pub(crate) async fn create_chat(
        &self,
        token: &str,
        title: &str,
        members: &[Uuid],
    ) -> Result<Uuid> {
        let mut parts = members.chunks(MEMBERS_PER_CALL);
        let body = json!({"title": title, "memberIds": parts.next().unwrap_or_default()});
        let text = self.must(Method::POST, "/chats", Some(token), Some(&body)).await?;
        let chat: ChatRef = serde_json::from_str(&text).context("not a Chat")?;
        for part in parts {
            let path = format!("/chats/{}/members", chat.id);
            let body = json!({"userIds": part});
            self.must(Method::POST, &path, Some(token), Some(&body)).await?;
        }
        Ok(chat.id)
    }

    pub(crate) async fn chat(&self, token: &str, chat_id: Uuid) -> Result<ChatRef> {
        self.get(token, &format!("/chats/{chat_id}")).await
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, token: &str, path: &str) -> Result<T> {
        let text = self.get_text(token, path).await?;
        serde_json::from_str(&text).with_context(|| format!("unexpected answer to GET {path}"))
    }

    pub(crate) async fn get_text(&self, token: &str, path: &str) -> Result<String> {
        self.must(Method::GET, path, Some(token), None).await
    }

    pub(crate) async fn is_ready(&self) -> bool {
        let url = format!("{}/api/health/ready", self.url);
        let asked = self.http.get(url).timeout(Duration::from_secs(2)).send().await;
        asked.is_ok_and(|answer| answer.status().is_success())
    }

    async fn must(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<String> {
        let name = format!("{method} {path}");
        self.call(method, path, token, body).await?.map_err(|refused| anyhow!("{name}: {refused}"))
    }

    /// Tries again where the cluster says, or looks, as if it were busy or away.
    async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Result<String, Refused>> {
        let mut delay = FIRST_DELAY;
        let mut last = anyhow!("never tried");
        for _ in 0..TRIES {
            match self.once(method.clone(), path, token, body).await {
                Ok(Err(refused)) if is_passing(refused.status) => {
                    delay = refused.retry_after.unwrap_or(delay);
                    last = anyhow!("{refused}");
                }
                Ok(answer) => return Ok(answer),
                Err(error) => last = error.into(),
            }
            tokio::time::sleep(delay + crate::client::jitter(delay / 4)).await;
            delay = (delay * 2).min(LONGEST_DELAY);
        }
        Err(last.context(format!("{method} {path} on {} failed {TRIES} times", self.url)))
    }

    async fn once(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Result<String, Refused>, reqwest::Error> {
        let url = format!("{}/api/v1{path}", self.url);
        let mut request = self.http.request(method, url).timeout(CALL_WITHIN);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let retry_after = answer
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let body = answer.text().await?;
        Ok(if status.is_success() { Ok(body) } else { Err(Refused { status, retry_after, body }) })
    }
}

fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}
