//! A JSON body, held to its size before it is read and to its shape afterwards.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRef, FromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::config::Config;
use crate::error::{Error, Result};

/// A body that is JSON of the right shape.
#[derive(Clone, Copy, Debug)]
pub struct ApiJson<T>(pub T);

impl<S, T> FromRequest<S> for ApiJson<T>
where
    S: Send + Sync,
    Arc<Config>: FromRef<S>,
    T: DeserializeOwned,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        if !is_json(request.headers()) {
            return Err(Error::UnsupportedMedia("the content type is not supported"));
        }
        let limit = Arc::<Config>::from_ref(state).limits.request_bytes;
        if declared_length(request.headers()).is_some_and(|length| length > limit as u64) {
            return Err(Error::TooLarge { limit });
        }
        let body = read(request.into_body(), limit).await?;
        parse(&body).map(Self)
    }
}

/// `application/json` or another type with JSON's syntax, with parameters or without.
fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = given.and_then(|text| text.split(';').next()).map(str::trim);
    essence.is_some_and(|essence| {
        let essence = essence.to_ascii_lowercase();
        essence == "application/json"
            || (essence.starts_with("application/") && essence.ends_with("+json"))
    })
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn read(body: Body, limit: usize) -> Result<Bytes> {
    to_bytes(body, limit).await.map_err(|error| {
        let is_over = std::error::Error::source(&error)
            .is_some_and(|cause| cause.to_string().contains("length limit"));
        if is_over {
            Error::TooLarge { limit }
        } else {
            Error::Malformed("the body ended early".to_owned())
        }
    })
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    // A struct can be read from an array, too; the contract knows objects only.
    if body.trim_ascii_start().first() != Some(&b'{') {
        serde_json::from_slice::<IgnoredAny>(body).map_err(|error| malformed(&error))?;
        return Err(Error::invalid("", "an object is required"));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let parsed = serde_path_to_error::deserialize(&mut reader);
    let parsed = parsed.map_err(|error| (error.path().to_string(), error.into_inner()));
    match parsed {
        Ok(value) => reader.end().map(|()| value).map_err(|error| malformed(&error)),
        Err((path, error)) => {
            // A shape is only wrong in what is JSON to its end. The kind of the error does not tell:
            // a name out of a list that is given as `null` counts as bad syntax there.
            serde_json::from_slice::<IgnoredAny>(body).map_err(|error| malformed(&error))?;
            Err(misshapen(&path, &error))
        }
    }
}

fn malformed(error: &serde_json::Error) -> Error {
    Error::Malformed(format!("not JSON: {error}"))
}

/// Says what is wrong and where. A missing field is reported at its parent, so its name is added.
fn misshapen(path: &str, error: &serde_json::Error) -> Error {
    let said = error.to_string();
    // The place by line and column, which a path says better.
    let message = said.rsplit_once(" at line ").map_or(said.as_str(), |(message, _)| message);
    let name = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
    let parent = if path == "." { "" } else { path };
    match name {
        Some(name) if parent.is_empty() => Error::invalid(name, "required"),
        Some(name) => Error::invalid(&format!("{parent}.{name}"), "required"),
        None => Error::misshapen(parent, message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only its shape matters")]
        inner: Inner,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only its shape matters")]
        count: u8,
        #[expect(dead_code, reason = "only its shape matters")]
        #[serde(default)]
        name: Name,
    }

    #[derive(Debug, Default, Deserialize)]
    enum Name {
        #[default]
        One,
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        for body in
            ["", "{", "{\"inner\": {\"count\": true}", "{\"inner\":{\"count\":1}} x", "\u{0}"]
        {
            let answer = parse::<Outer>(body.as_bytes());
            assert!(matches!(answer, Err(Error::Malformed(_))), "{body:?}: {answer:?}");
        }
        let deep = "[".repeat(10_000);
        assert!(matches!(
            parse::<Outer>(deep.as_bytes()),
            Err(Error::Malformed(_) | Error::Invalid(_))
        ));
    }

    #[test]
    fn a_wrong_shape_is_told_with_its_place() {
        let table = [
            ("{}", "inner"),
            (r#"{"inner": {}}"#, "inner.count"),
            (r#"{"inner": {"count": "1"}}"#, "inner.count"),
            (r#"{"inner": {"count": 256}}"#, "inner.count"),
            (r#"{"inner": {"count": 1, "role": "admin"}}"#, "inner.role"),
            (r#"{"inner": {"count": 1}, "more": 1}"#, "more"),
            (r#"{"inner": {"count": 1, "name": "Two"}}"#, "inner.name"),
            (r#"{"inner": {"count": 1, "name": null}}"#, "inner.name"),
            (r#"{"inner": {"count": 1, "name": 1}}"#, "inner.name"),
            (r#"[{"count": 1}]"#, ""),
            ("null", ""),
        ];
        for (body, place) in table {
            match parse::<Outer>(body.as_bytes()) {
                Err(Error::Invalid(fields)) => {
                    assert_eq!(fields[0].path, place, "{body}: {fields:?}");
                }
                other => panic!("{body}: {other:?}"),
            }
        }
    }

    #[test]
    fn other_media_are_told_apart() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, value.parse().unwrap());
            is_json(&headers)
        };
        assert!(of("application/json") && of("Application/JSON; charset=utf-8"));
        assert!(of("application/merge-patch+json"));
        assert!(!of("text/plain") && !of("application/x-www-form-urlencoded") && !of("json"));
        assert!(!is_json(&HeaderMap::new()));
    }
}
