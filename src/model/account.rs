//! What operators see: an account, a row of the audit log, how a job stands.

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::id::UserId;
use super::time::Timestamp;
use super::user::Role;

/// An account as an operator sees it: with what its owner alone sees, without what is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    #[schema(value_type = String, format = Uuid)]
    pub id: UserId,
    pub username: String,
    pub email: String,
    pub display_name: String,
    pub email_verified: bool,
    /// The badge.
    pub verified: bool,
    #[schema(value_type = String, example = "user")]
    pub role: Role,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub suspended_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub deleted_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// Who did what to whom, when and from where.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditRow {
    pub id: Uuid,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Null where nobody was signed in.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub actor_id: Option<UserId>,
    pub action: String,
    /// The id of what was acted upon.
    pub subject: Option<String>,
    #[schema(value_type = Object)]
    pub detail: Value,
    pub ip: Option<String>,
}

/// How a job stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobStatus {
    pub name: String,
    /// When it runs, in words.
    pub timetable: String,
    #[schema(value_type = String, format = DateTime)]
    pub next_due_at: Timestamp,
    /// The slot up to which its work is done.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_due_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_finished_at: Option<Timestamp>,
    /// Of the last run: `running`, `done`, `failed`, `stopped`.
    pub outcome: Option<String>,
    /// Rows that the last run ended or deleted.
    pub rows: i64,
    /// The node that ran it last.
    pub node: Option<String>,
}
