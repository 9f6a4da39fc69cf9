//! `/docs`: the documents of the API, a page to read them with, and what each problem means.
//!
//! All of it is made once, at the start. Nothing comes from another host, and no script stands in
//! a page, so that the policy of these answers can forbid both.

use std::fmt::Write;
use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use serde_json::Value;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config as Page, serve};

use super::openapi;
use crate::config::Config;
use crate::error::{CODES, Error};
use crate::ws::asyncapi;

/// Styles and icons stand in the files themselves, the icons partly as `data:` in the styles.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

pub(super) fn routes<S: Clone + Send + Sync + 'static>(
    routes: OpenApi,
    config: &Config,
) -> Router<S> {
    let page = Page::new(["/docs/openapi.json"]);
    // Without this, the page asks a public service what it thinks of the document.
    let page = Arc::new(page.validator_url("none"));
    let index = Arc::clone(&page);
    Router::new()
        // The page's own references are relative to a directory.
        .route("/docs", get(async || Redirect::to("/docs/")))
        .route("/docs/", get(async move || asset("index.html", index)))
        .route("/docs/openapi.json", document(&openapi::complete(routes, config)))
        .route("/docs/asyncapi.json", document(&asyncapi::document(config)))
        .route("/docs/problems", get(Html(problems())))
        .route("/docs/{file}", get(async move |Path(file): Path<String>| asset(&file, page)))
        .layer(SetResponseHeaderLayer::overriding(header::CONTENT_SECURITY_POLICY, POLICY))
}

fn document<S: Clone + Send + Sync + 'static>(document: &Value) -> axum::routing::MethodRouter<S> {
    let bytes = Bytes::from(document.to_string());
    let json = HeaderValue::from_static("application/json");
    get(([(header::CONTENT_TYPE, json)], bytes))
}

/// A file of the page, as it was built in.
fn asset(name: &str, page: Arc<Page<'static>>) -> Response {
    let file = match serve(name, page) {
        Ok(Some(file)) => file,
        Ok(None) => return Error::NotFound("file").into_response(),
        Err(error) => return Error::internal(error.to_string()).into_response(),
    };
    let mut headers = HeaderMap::new();
    if let Ok(kind) = HeaderValue::from_str(&file.content_type) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    if file.gzpipped {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    (headers, file.bytes.into_owned()).into_response()
}

/// Where the `type` of a problem document leads.
fn problems() -> String {
    let mut page = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Problems</title>\n\
         <h1>Problems</h1>\n<dl>\n",
    );
    for code in CODES {
        let statuses: Vec<String> = code.statuses.iter().map(u16::to_string).collect();
        let (name, statuses, meaning) = (code.name, statuses.join(", "), code.meaning);
        let entry = writeln!(page, "<dt id=\"{name}\">{name} ({statuses})</dt><dd>{meaning}</dd>");
        entry.expect("a string takes all");
    }
    page.push_str("</dl>\n</html>\n");
    page
}
