//! Table `audit_log`: who did what to whom, when and from where.

use std::net::IpAddr;

use serde_json::Value;
use sqlx::types::time::OffsetDateTime;
use sqlx::{FromRow, PgExecutor};
use uuid::Uuid;

use crate::error::Result;
use crate::model::account::AuditRow;
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

/// Which rows to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub actor: Option<UserId>,
    pub subject: Option<String>,
    pub action: Option<String>,
    /// Exclusive.
    pub after: Option<OffsetDateTime>,
    pub before: Option<OffsetDateTime>,
}

/// Where a page ends: a row's exact time, and its id.
pub type Position = (OffsetDateTime, Uuid);

#[derive(FromRow)]
struct Row {
    id: Uuid,
    at: OffsetDateTime,
    actor_id: Option<UserId>,
    action: String,
    subject: Option<String>,
    detail: Value,
    ip: Option<String>,
}

/// Rows, the newest first, behind `behind`, with their positions.
pub async fn list(
    db: impl PgExecutor<'_>,
    filter: &Filter,
    behind: Option<Position>,
    limit: usize,
) -> Result<Vec<(Position, AuditRow)>> {
    let (at, id) = behind.unzip();
    let rows: Vec<Row> = sqlx::query_as(
        "select id, at, actor_id, action, subject, detail, host(ip) as ip
         from audit_log
         where ($1::uuid is null or actor_id = $1)
           and ($2::text is null or subject = $2)
           and ($3::text is null or action = $3)
           and ($4::timestamptz is null or at > $4)
           and ($5::timestamptz is null or at < $5)
           and ($6::timestamptz is null or (at, id) < ($6, $7))
         order by at desc, id desc
         limit $8",
    )
    .bind(filter.actor)
    .bind(&filter.subject)
    .bind(&filter.action)
    .bind(filter.after)
    .bind(filter.before)
    .bind(at)
    .bind(id)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(db)
    .await?;
    let positioned = rows.into_iter().map(|row| {
        let shown = AuditRow {
            id: row.id,
            at: row.at.into(),
            actor_id: row.actor_id,
            action: row.action,
            subject: row.subject,
            detail: row.detail,
            ip: row.ip,
        };
        ((row.at, row.id), shown)
    });
    Ok(positioned.collect())
}
