//! Answers, as frames.

use bytes::Bytes;
use serde::Serialize;

use crate::error::Error;
use crate::log::entry::Answer;
use crate::model::id::MessageId;
use crate::model::time::Timestamp;

#[derive(Serialize)]
struct Done<'a, T> {
    id: &'a str,
    ok: bool,
    data: T,
}

#[derive(Serialize)]
struct Failed<'a> {
    id: &'a str,
    ok: bool,
    error: Problem,
}

/// Why a request was refused.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Problem {
    /// What clients branch on.
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

pub(super) fn done(id: &str, data: impl Serialize) -> Bytes {
    encode(&Done { id, ok: true, data })
}

pub(super) fn failed(id: &str, error: &Error) -> Bytes {
    if let Error::Internal(cause) = error {
        tracing::error!(%cause, "a request failed");
    }
    let retry_after_ms =
        error.retry_after().map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    let error = Problem { code: error.code(), message: error.message(), retry_after_ms };
    encode(&Failed { id, ok: false, error })
}

/// The answer to `sendMessage`.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sent {
    message_id: MessageId,
    seq: i64,
    created_at: Timestamp,
}

/// The answer to a command: as which event it was done.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Seq {
    seq: i64,
}

/// What a command came to.
pub(super) fn answered(id: &str, outcome: Result<Answer, Error>) -> Bytes {
    match outcome {
        Ok(Answer::Sent { message_id, seq, created_at, .. }) => {
            done(id, Sent { message_id, seq, created_at })
        }
        Ok(Answer::Done { seq, .. }) => done(id, Seq { seq }),
        Ok(Answer::Refused(refusal)) => failed(id, &refusal.into_error()),
        Err(error) => failed(id, &error),
    }
}

fn encode(frame: &impl Serialize) -> Bytes {
    serde_json::to_vec(frame).expect("an answer is plain data").into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn answers_have_the_form_of_the_contract() {
        let error = Error::Unavailable { part: "the log", retry_after: Duration::from_millis(250) };
        let text = String::from_utf8(failed("7", &error).to_vec()).unwrap();
        let expected = r#"{"id":"7","ok":false,"error":{"code":"unavailable","message":"the log is unavailable","retryAfterMs":250}}"#;
        assert_eq!(text, expected);
        let answer = answered("8", Ok(Answer::Done { seq: 3, again: false }));
        assert_eq!(answer, r#"{"id":"8","ok":true,"data":{"seq":3}}"#);
    }
}
