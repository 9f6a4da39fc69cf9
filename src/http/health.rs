//! `/api/health`: for people and for orchestrators. Needs no token.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use crate::health::{Health, Report, Status};

/// What a probe reads.
#[derive(Serialize)]
pub struct Probe {
    status: &'static str,
}

pub async fn health(State(health): State<Health>) -> (StatusCode, Json<Report>) {
    let report = health.report().await;
    let code = match report.status {
        Status::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Status::Ok | Status::Degraded => StatusCode::OK,
    };
    (code, Json(report))
}

/// The process answers; says nothing of what it depends on.
pub async fn live() -> Json<Probe> {
    Json(Probe { status: "ok" })
}

/// Clients may be sent here.
pub async fn ready(State(health): State<Health>) -> (StatusCode, Json<Probe>) {
    if health.is_ready().await {
        (StatusCode::OK, Json(Probe { status: "ok" }))
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, Json(Probe { status: "unavailable" }))
    }
}
