//! `/api/health`: for people and for orchestrators. Needs no token.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use crate::health::{Health, Report, Status};

/// What a probe reads.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Probe {
    status: &'static str,
}

/// How the node and what it depends on are; 503 where it cannot work.
#[utoipa::path(
    get, path = "/api/health", tag = "health",
    security(()),
    responses((status = 200, body = Report), (status = 503, body = Report)),
)]
pub async fn health(State(health): State<Health>) -> (StatusCode, Json<Report>) {
    let report = health.report().await;
    let code = match report.status {
        Status::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Status::Ok | Status::Degraded => StatusCode::OK,
    };
    (code, Json(report))
}

/// The process answers; says nothing of what it depends on.
#[utoipa::path(
    get, path = "/api/health/live", tag = "health",
    security(()),
    responses((status = 200, body = Probe)),
)]
pub async fn live() -> Json<Probe> {
    Json(Probe { status: "ok" })
}

/// Clients may be sent here.
#[utoipa::path(
    get, path = "/api/health/ready", tag = "health",
    security(()),
    responses((status = 200, body = Probe), (status = 503, body = Probe)),
)]
pub async fn ready(State(health): State<Health>) -> (StatusCode, Json<Probe>) {
    if health.is_ready().await {
        (StatusCode::OK, Json(Probe { status: "ok" }))
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, Json(Probe { status: "unavailable" }))
    }
}
