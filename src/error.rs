//! What can go wrong, by meaning. One enum for REST and socket alike.
//!
//! Every variant has a stable `code` that clients branch on. The HTTP status is chosen here too,
//! since the contract pairs the two. `Internal` keeps its cause for the log alone: a client sees
//! the code and nothing of what is inside.

use std::time::Duration;

use serde::Serialize;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input is understood, but breaks a rule; nothing was done.
    #[error("the request is invalid")]
    Invalid(Vec<FieldError>),
    /// The input is not even of the right form.
    #[error("{0}")]
    Malformed(String),
    #[error("{0}")]
    Unauthenticated(&'static str),
    #[error("{0}")]
    Forbidden(&'static str),
    /// Closed by a block or by a privacy setting: the two have one answer, so that nobody learns
    /// from it that they are blocked.
    #[error("this is not possible with this person")]
    Blocked,
    /// Also for what the caller may not know exists.
    #[error("{0} not found")]
    NotFound(&'static str),
    #[error("{0}")]
    Conflict(&'static str),
    #[error("larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("{0}")]
    UnsupportedMedia(&'static str),
    #[error("too many requests")]
    RateLimited { retry_after: Duration },
    /// A part is out of reach; the same request may be sent again after a while.
    #[error("{part} is unavailable")]
    Unavailable { part: &'static str, retry_after: Duration },
    /// No answer in time; what was asked may have been done. Sending it again is safe.
    #[error("no answer in time")]
    Timeout,
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// One thing wrong with the input: where, and what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    pub path: String,
    pub message: String,
}

impl Error {
    pub fn invalid(path: &str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError { path: path.to_owned(), message: message.into() }])
    }

    /// All that is wrong, or `Ok` where nothing is.
    pub fn of_fields(problems: Vec<(&str, String)>) -> Result<()> {
        if problems.is_empty() {
            return Ok(());
        }
        let field = |(path, message): (&str, String)| FieldError { path: path.to_owned(), message };
        Err(Self::Invalid(problems.into_iter().map(field).collect()))
    }

    /// Of the wrong shape, as a reader of JSON says it; without the value that it met, since that
    /// may be a password in the wrong place.
    pub fn misshapen(path: &str, said: &str) -> Self {
        // The place by line and column, which a path says better.
        let said = said.rsplit_once(" at line ").map_or(said, |(said, _)| said);
        let names_a_value = ["invalid type", "invalid value", "invalid length", "unknown variant"]
            .iter()
            .any(|start| said.starts_with(start));
        match said.rsplit_once(", expected ").filter(|_| names_a_value) {
            Some((_, expected)) => Self::invalid(path, format!("expected {expected}")),
            None => Self::invalid(path, said),
        }
    }

    pub fn unavailable(part: &'static str) -> Self {
        Self::Unavailable { part, retry_after: Duration::from_millis(500) }
    }

    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }

    /// The name that clients branch on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) | Self::Malformed(_) => "invalid",
            Self::Unauthenticated(_) => "unauthenticated",
            Self::Forbidden(_) => "forbidden",
            Self::Blocked => "blocked",
            Self::NotFound(_) => "notFound",
            Self::Conflict(_) => "conflict",
            Self::TooLarge { .. } => "tooLarge",
            Self::UnsupportedMedia(_) => "unsupportedMedia",
            Self::RateLimited { .. } => "rateLimited",
            Self::Unavailable { .. } => "unavailable",
            Self::Timeout => "timeout",
            Self::Internal(_) => "internal",
        }
    }

    /// The HTTP status that goes with the code.
    pub fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::Unauthenticated(_) => 401,
            Self::Forbidden(_) | Self::Blocked => 403,
            Self::NotFound(_) => 404,
            Self::Conflict(_) => 409,
            Self::TooLarge { .. } => 413,
            Self::UnsupportedMedia(_) => 415,
            Self::Invalid(_) => 422,
            Self::RateLimited { .. } => 429,
            Self::Internal(_) => 500,
            Self::Unavailable { .. } => 503,
            Self::Timeout => 504,
        }
    }

    /// When to try again, where that makes sense.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } | Self::Unavailable { retry_after, .. } => {
                Some(*retry_after)
            }
            _ => None,
        }
    }

    /// What is said to the client beside the code.
    pub fn message(&self) -> String {
        match self {
            Self::Invalid(fields) => fields
                .iter()
                .map(|field| format!("{}: {}", field.path, field.message))
                .collect::<Vec<_>>()
                .join("; "),
            other => other.to_string(),
        }
    }
}

/// A code, as the documents explain it.
#[derive(Clone, Copy, Debug)]
pub struct Code {
    pub name: &'static str,
    pub statuses: &'static [u16],
    pub meaning: &'static str,
}

const fn code(name: &'static str, statuses: &'static [u16], meaning: &'static str) -> Code {
    Code { name, statuses, meaning }
}

/// Every code, by status.
pub const CODES: &[Code] = &[
    code(
        "invalid",
        &[400, 405, 422],
        "The input breaks a rule, and nothing was done. 400 where it cannot be read at all, 405 \
         where the path has no such method. `errors` names each place that is wrong.",
    ),
    code("unauthenticated", &[401], "No token, a bad one, or its session has ended."),
    code("forbidden", &[403], "The caller's role, or the page's origin, may not do this."),
    code("blocked", &[403], "One of the two has blocked the other."),
    code("notFound", &[404], "It is not there, or the caller may not know that it is."),
    code("conflict", &[409], "Taken, used for something else, or deleted meanwhile."),
    code("tooLarge", &[413], "Larger than the limit that the detail names."),
    code("unsupportedMedia", &[415], "The content type is not one that this call takes."),
    code("rateLimited", &[429], "Too many requests. `Retry-After` says when to come back."),
    code("internal", &[500], "A mistake of the service. Quote the `requestId`."),
    code(
        "unavailable",
        &[503],
        "A part is out of reach. `Retry-After` says when to try again; a repeated message keeps \
         its `clientId`.",
    ),
    code(
        "timeout",
        &[504],
        "No answer in time. What was asked may have been done; a message may be sent again with \
         the same `clientId`.",
    ),
];

impl From<sqlx::Error> for Error {
    /// A lost or exhausted database is `Unavailable`: the caller may try again. All else is ours.
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::unavailable("the database"),
            sqlx::Error::Database(db) if is_passing(db.code().as_deref()) => {
                Self::unavailable("the database")
            }
            _ => Self::internal(error),
        }
    }
}

/// SQLSTATEs that speak of the server's state rather than of the statement: connection trouble
/// (08), read-only (25006), out of resources (53), shutdown or crash recovery (57P), cancelled by
/// a timeout (57014), deadlock and serialization (40).
fn is_passing(sqlstate: Option<&str>) -> bool {
    sqlstate.is_some_and(|code| {
        ["08", "25006", "53", "57P", "57014", "40"].iter().any(|prefix| code.starts_with(prefix))
    })
}

impl From<fred::error::Error> for Error {
    fn from(error: fred::error::Error) -> Self {
        tracing::debug!(%error, "redis failed");
        Self::unavailable("Redis")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R-AD-6.
    #[test]
    fn a_wrong_shape_is_told_without_the_value() {
        let of = |json| serde_json::from_str::<u8>(json).unwrap_err().to_string();
        for json in [r#""a secret, expected by nobody""#, "3000", "[1]"] {
            let message = Error::misshapen("pin", &of(json)).message();
            assert_eq!(message, "pin: expected u8", "{json}");
        }
        let unknown = Error::misshapen("", "unknown field `x`, expected `y` at line 1 column 2");
        assert_eq!(unknown.message(), ": unknown field `x`, expected `y`");
    }

    /// Clients branch on these: a changed line here is a broken client.
    #[test]
    fn codes_and_statuses_are_those_of_the_contract() {
        let after = Duration::from_secs(1);
        let table = [
            (Error::invalid("body", "empty"), "invalid", 422),
            (Error::Malformed("no JSON".into()), "invalid", 400),
            (Error::Unauthenticated("no token"), "unauthenticated", 401),
            (Error::Forbidden("role"), "forbidden", 403),
            (Error::Blocked, "blocked", 403),
            (Error::NotFound("chat"), "notFound", 404),
            (Error::Conflict("username"), "conflict", 409),
            (Error::TooLarge { limit: 1 }, "tooLarge", 413),
            (Error::UnsupportedMedia("x"), "unsupportedMedia", 415),
            (Error::RateLimited { retry_after: after }, "rateLimited", 429),
            (Error::unavailable("x"), "unavailable", 503),
            (Error::Timeout, "timeout", 504),
            (Error::internal("secret detail"), "internal", 500),
        ];
        for (error, code, status) in table {
            assert_eq!((error.code(), error.status()), (code, status));
            let explained = CODES.iter().find(|known| known.name == code);
            assert!(explained.is_some_and(|known| known.statuses.contains(&status)), "{code}");
            assert!(!error.message().contains("secret detail"));
        }
    }
}
