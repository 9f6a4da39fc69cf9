//! The REST edge: routes, what is read from a request, and how answers look.
//!
//! A request passes, from the outside in: request id and span, catching of panics, the limit of
//! its address, the app token, a time limit, and then its handler.

pub mod app_token;
pub mod auth;
pub mod chats;
pub mod extract;
pub mod health;
pub mod limits;
pub mod messages;
pub mod middleware;
pub mod page;
pub mod passwords;
pub mod respond;
pub mod server;
mod state;
pub mod users;
pub mod verification;

pub use state::AppState;

use axum::Router;
use axum::extract::FromRef;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{delete, get, post};
use tower::ServiceBuilder;

use crate::health::Health;
use crate::ws;

/// Every route.
pub fn router(state: AppState) -> Router {
    // Guessing is done here, so these have a stricter limit of their own.
    let doors = Router::new()
        .route("/auth/signup", post(auth::sign_up))
        .route("/auth/signin", post(auth::sign_in))
        .route("/auth/refresh", post(auth::refresh))
        .route("/auth/password", post(passwords::change))
        .route("/auth/password/forgot", post(passwords::forgot))
        .route("/auth/password/reset", post(passwords::reset))
        .route("/auth/email/verify", post(verification::verify))
        .route("/auth/email/verify/resend", post(verification::resend))
        .layer(state.limits.auth());

    let api = Router::new()
        .merge(doors)
        .route("/auth/logout", post(auth::logout))
        .route("/auth/logout-all", post(auth::logout_all))
        .route("/auth/sessions", get(auth::sessions))
        .route("/auth/sessions/{sessionId}", delete(auth::end_session))
        .route("/auth/refresh-tokens", get(auth::refresh_tokens))
        .route("/user/profile", get(users::profile))
        .route("/user/{userId}", get(users::user))
        .route("/chats", get(chats::list).post(chats::create))
        .route("/chats/direct/{userId}", post(chats::open_direct))
        .route("/chats/{chatId}", get(chats::find))
        .route("/chats/{chatId}/members", get(chats::members))
        .route("/chats/{chatId}/changes", get(chats::changes))
        .route("/chats/{chatId}/messages", get(messages::list).post(messages::send))
        .route(
            "/chats/{chatId}/messages/{messageId}",
            get(messages::find).patch(messages::edit).delete(messages::delete),
        )
        .route("/chats/{chatId}/messages/{messageId}/edits", get(messages::edits))
        .route("/ws", get(ws::upgrade))
        .fallback(respond::no_route)
        .layer(
            ServiceBuilder::new()
                .layer(state.limits.address())
                .layer(from_fn_with_state(state.clone(), app_token::check))
                .layer(from_fn(middleware::time_limit)),
        );

    Router::new()
        .nest("/api/v1", api)
        .merge(health_routes())
        .fallback(respond::no_route)
        .method_not_allowed_fallback(respond::no_method)
        .layer(
            ServiceBuilder::new()
                .layer(from_fn(middleware::context))
                .layer(from_fn_with_state(state.clone(), middleware::measure))
                .layer(middleware::catch_panic()),
        )
        .with_state(state)
}

/// What orchestrators ask of every node, also of one that serves no clients.
pub fn health_routes<S>() -> Router<S>
where
    Health: FromRef<S>,
    S: Clone + Send + Sync + 'static,
{
    Router::new()
        .route("/api/health", get(health::health))
        .route("/api/health/live", get(health::live))
        .route("/api/health/ready", get(health::ready))
}
