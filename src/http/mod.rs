//! The REST edge: routes, what is read from a request, and how answers look.
//!
//! The table of routes is also the source of the OpenAPI document, so the two cannot diverge: a
//! handler says in its annotation what it takes and answers, and `openapi` adds what all have.
//!
//! A request passes, from the outside in: request id and span, catching of panics, the limit of
//! its address, the app token, a time limit, and then its handler.

pub mod app_token;
pub mod auth;
pub mod chats;
mod docs;
pub mod extract;
pub mod health;
pub mod limits;
pub mod messages;
pub mod middleware;
mod openapi;
pub mod page;
pub mod respond;
pub mod server;
mod state;
pub mod users;

pub use state::AppState;

use axum::Router;
use axum::extract::FromRef;
use axum::middleware::{from_fn, from_fn_with_state};
use tower::ServiceBuilder;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use crate::health::Health;
use crate::ws;

/// Every route.
pub fn router(state: AppState) -> Router {
    let (routes, document) = table(&state).split_for_parts();
    let docs = if state.config.node.docs {
        docs::routes(document, &state.config).layer(state.limits.address())
    } else {
        Router::new()
    };
    routes
        .merge(docs)
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

/// The table of routes. Each path stands here for the reader, and at its handler for the document;
/// [`At`] compares the two.
fn table(state: &AppState) -> OpenApiRouter<AppState> {
    // Guessing is done here, so these have a stricter limit of their own.
    let doors = OpenApiRouter::default()
        .at("/auth/signup", routes!(auth::sign_up))
        .at("/auth/signin", routes!(auth::sign_in))
        .at("/auth/refresh", routes!(auth::refresh))
        .layer(state.limits.auth());

    let api = OpenApiRouter::default()
        .merge(doors)
        .at("/auth/logout", routes!(auth::logout))
        .at("/auth/logout-all", routes!(auth::logout_all))
        .at("/auth/sessions", routes!(auth::sessions))
        .at("/auth/sessions/{sessionId}", routes!(auth::end_session))
        .at("/auth/refresh-tokens", routes!(auth::refresh_tokens))
        .at("/user/profile", routes!(users::profile))
        .at("/user/{userId}", routes!(users::user))
        .at("/chats", routes!(chats::list, chats::create))
        .at("/chats/direct/{userId}", routes!(chats::open_direct))
        .at("/chats/{chatId}", routes!(chats::find))
        .at("/chats/{chatId}/members", routes!(chats::members))
        .at("/chats/{chatId}/changes", routes!(chats::changes))
        .at("/chats/{chatId}/messages", routes!(messages::list, messages::send))
        .at(
            "/chats/{chatId}/messages/{messageId}",
            routes!(messages::find, messages::edit, messages::delete),
        )
        .at("/chats/{chatId}/messages/{messageId}/edits", routes!(messages::edits))
        .at("/ws", routes!(ws::upgrade))
        .fallback(respond::no_route)
        .layer(
            ServiceBuilder::new()
                .layer(state.limits.address())
                .layer(from_fn_with_state(state.clone(), app_token::check))
                .layer(from_fn(middleware::time_limit)),
        );

    OpenApiRouter::default().nest("/api/v1", api).merge(health_table())
}

/// What orchestrators ask of every node, also of one that serves no clients.
pub fn health_routes<S>() -> Router<S>
where
    Health: FromRef<S>,
    S: Clone + Send + Sync + 'static,
{
    health_table().into()
}

fn health_table<S>() -> OpenApiRouter<S>
where
    Health: FromRef<S>,
    S: Clone + Send + Sync + 'static,
{
    OpenApiRouter::default()
        .at("/api/health", routes!(health::health))
        .at("/api/health/live", routes!(health::live))
        .at("/api/health/ready", routes!(health::ready))
}

/// Lays annotated handlers at a path.
trait At<S> {
    fn at(self, path: &str, handlers: UtoipaMethodRouter<S>) -> Self;
}

impl<S: Clone + Send + Sync + 'static> At<S> for OpenApiRouter<S> {
    /// # Panics
    /// Where an annotation says another path: the node does not start then.
    fn at(self, path: &str, handlers: UtoipaMethodRouter<S>) -> Self {
        let annotated: Vec<&String> = handlers.1.paths.keys().collect();
        assert_eq!(annotated, [path], "the annotation and the table name different paths");
        self.routes(handlers)
    }
}
