//! The REST edge: routes, what is read from a request, and how answers look.
//!
//! A request passes, from the outside in: request id and span, catching of panics, the limit of
//! its address, the app token, a time limit, the limit of its class, and then its handler.

pub mod app_token;
pub mod auth;
pub mod chats;
pub mod extract;
pub mod health;
pub mod limits;
pub mod messages;
pub mod middleware;
pub mod page;
pub mod respond;
pub mod server;
mod state;
pub mod users;

pub use state::AppState;

use axum::Router;
use axum::extract::FromRef;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{delete, get, patch, post};
use tower::ServiceBuilder;

use crate::health::Health;
use crate::limits::Class;
use crate::ws;

/// Every route, by the class that it is counted in. One that is in none answers 500.
pub fn router(state: AppState) -> Router {
    let routes = Router::new;
    let counted = [
        (Class::SignUp, routes().route("/auth/signup", post(auth::sign_up))),
        (
            Class::SignIn,
            routes()
                .route("/auth/signin", post(auth::sign_in))
                .route("/auth/refresh", post(auth::refresh)),
        ),
        (
            Class::Address,
            routes()
                .route("/auth/logout", post(auth::logout))
                .route("/auth/logout-all", post(auth::logout_all))
                .route("/ws", get(ws::upgrade)),
        ),
        (Class::Change, routes().route("/auth/sessions/{sessionId}", delete(auth::end_session))),
        (
            Class::Read,
            routes()
                .route("/auth/sessions", get(auth::sessions))
                .route("/auth/refresh-tokens", get(auth::refresh_tokens))
                .route("/user/profile", get(users::profile))
                .route("/user/{userId}", get(users::user))
                .route("/chats", get(chats::list))
                .route("/chats/{chatId}", get(chats::find))
                .route("/chats/{chatId}/members", get(chats::members))
                .route("/chats/{chatId}/changes", get(chats::changes))
                .route("/chats/{chatId}/messages", get(messages::list))
                .route("/chats/{chatId}/messages/{messageId}", get(messages::find))
                .route("/chats/{chatId}/messages/{messageId}/edits", get(messages::edits)),
        ),
        (Class::Invite, routes().route("/chats", post(chats::create))),
        (Class::Direct, routes().route("/chats/direct/{userId}", post(chats::open_direct))),
        (
            Class::Send,
            routes().route("/chats/{chatId}/messages", post(messages::send)).route(
                "/chats/{chatId}/messages/{messageId}",
                patch(messages::edit).delete(messages::delete),
            ),
        ),
    ];
    let api = counted
        .into_iter()
        .fold(routes(), |api, (class, routes)| api.merge(limits::class(&state, class, routes)))
        .layer(from_fn(limits::has_class))
        .fallback(respond::no_route)
        .layer(
            ServiceBuilder::new()
                .layer(from_fn_with_state(state.clone(), limits::door))
                .layer(state.doors.address())
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
