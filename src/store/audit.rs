//! Table `audit_log`: who did what to whom, when and from where.

use std::net::IpAddr;

use serde_json::Value;
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::error::Result;
use crate::model::id::UserId;

/// One row. Never put a password, a token or a message's text into `detail`.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    pub actor: Option<UserId>,
    /// A verb with its noun, such as `session.reuse`.
    pub action: &'static str,
    /// The id of what was acted upon.
    pub subject: &'a str,
    pub detail: Value,
    pub ip: Option<IpAddr>,
}

/// Writes a row, in the transaction of what it tells of.
pub async fn add(db: impl PgExecutor<'_>, entry: Entry<'_>) -> Result<()> {
    sqlx::query(
        "insert into audit_log (id, actor_id, action, subject, detail, ip)
         values ($1, $2, $3, $4, $5, $6::text::inet)",
    )
    .bind(Uuid::now_v7())
    .bind(entry.actor)
    .bind(entry.action)
    .bind(entry.subject)
    .bind(entry.detail)
    .bind(entry.ip.map(|ip| ip.to_string()))
    .execute(db)
    .await?;
    Ok(())
}
