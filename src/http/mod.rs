//! The REST edge: routes, what is read from a request, and how answers look.
//!
//! The table of routes is also the source of the OpenAPI document, so the two cannot diverge: a
//! handler says in its annotation what it takes and answers, and `openapi` adds what all have.
//!
//! A request passes, from the outside in: request id and span, headers against browsers' mistakes,
//! catching of panics, CORS, the limit of its address, the app token, a time limit, the limit of its
//! class, and then its handler.

pub mod account;
pub mod admin;
pub mod app_token;
pub mod auth;
pub mod blocks;
pub mod chat_search;
pub mod chats;
mod docs;
pub mod extract;
pub mod headers;
pub mod health;
pub mod invites;
pub mod limits;
pub mod members;
pub mod messages;
pub mod middleware;
mod openapi;
pub mod page;
pub mod passwords;
pub mod pins;
pub mod presence;
pub mod reactions;
pub mod receipts;
pub mod respond;
pub mod search;
pub mod server;
mod state;
pub mod users;
pub mod verification;

pub use state::AppState;

use axum::Router;
use axum::extract::FromRef;
use axum::middleware::{from_fn, from_fn_with_state};
use tower::ServiceBuilder;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use crate::health::Health;
use crate::limits::Class;
use crate::ws;

/// Every route. One that is in no class answers 500.
pub fn router(state: AppState) -> Router {
    let (routes, document) = table(&state).split_for_parts();
    let docs = if state.config.node.docs {
        let door = ServiceBuilder::new()
            .layer(from_fn_with_state(state.clone(), limits::door))
            .layer(state.doors.address());
        docs::routes(document, &state.config).layer(door)
    } else {
        Router::new()
    };
    let security = headers::Security::new(&state.config.node);
    routes
        .merge(docs)
        .fallback(respond::no_route)
        .method_not_allowed_fallback(respond::no_method)
        .layer(
            ServiceBuilder::new()
                .layer(from_fn(middleware::context))
                .layer(from_fn_with_state(security, headers::secure))
                .layer(from_fn_with_state(state.clone(), middleware::measure))
                .layer(middleware::catch_panic())
                .layer(headers::cors(&state.config.node)),
        )
        .with_state(state)
}

/// The table of routes, by the class that each is counted in. Each path stands here for the reader,
/// and at its handler for the document; [`At`] compares the two.
fn table(state: &AppState) -> OpenApiRouter<AppState> {
    // On the heap: the routes of all classes are more than a stack should hold at once.
    let counted = vec![
        (Class::SignUp, sign_up_routes()),
        (Class::SignIn, sign_in_routes()),
        (Class::Mail, mail_routes()),
        (Class::Address, unbounded_routes()),
        (Class::Read, read_routes()),
        (Class::Change, change_routes()),
        (Class::Search, search_routes()),
        (Class::Presence, presence_routes()),
        (Class::Send, send_routes()),
        (Class::Reaction, reaction_routes()),
        (Class::Mark, mark_routes()),
        (Class::Direct, direct_routes()),
        (Class::Invite, invite_routes()),
        (Class::Join, join_routes()),
        (Class::Export, export_routes()),
    ];
    let api = counted
        .into_iter()
        .fold(routes(), |api, (class, routes)| api.merge(limits::class(state, class, routes)))
        .layer(from_fn(limits::has_class))
        .fallback(respond::no_route)
        .layer(
            ServiceBuilder::new()
                .layer(from_fn_with_state(state.clone(), limits::door))
                .layer(state.doors.address())
                .layer(from_fn_with_state(state.clone(), app_token::check))
                .layer(from_fn(middleware::time_limit)),
        );
    routes().nest("/api/v1", api).merge(health_table())
}

type Routes = OpenApiRouter<AppState>;

fn routes() -> Routes {
    OpenApiRouter::default()
}

fn sign_up_routes() -> Routes {
    routes().at("/auth/signup", routes!(auth::sign_up))
}

/// Where passwords and tokens could be guessed at.
fn sign_in_routes() -> Routes {
    routes()
        .at("/auth/signin", routes!(auth::sign_in))
        .at("/auth/refresh", routes!(auth::refresh))
        .at("/auth/password", routes!(passwords::change))
        .at("/auth/password/reset", routes!(passwords::reset))
        .at("/auth/email/verify", routes!(verification::verify))
}

/// What has a mail sent.
fn mail_routes() -> Routes {
    routes()
        .at("/auth/password/forgot", routes!(passwords::forgot))
        .at("/auth/email/verify/resend", routes!(verification::resend))
}

/// Bounded by the door alone.
fn unbounded_routes() -> Routes {
    routes()
        .at("/auth/logout", routes!(auth::logout))
        .at("/auth/logout-all", routes!(auth::logout_all))
        .at("/ws", routes!(ws::upgrade))
}

fn read_routes() -> Routes {
    routes()
        .at("/auth/sessions", routes!(auth::sessions))
        .at("/auth/refresh-tokens", routes!(auth::refresh_tokens))
        .at("/admin/users", routes!(admin::accounts))
        .at("/admin/audit", routes!(admin::audit))
        .at("/admin/jobs", routes!(admin::jobs))
        .at("/user/profile", routes!(users::profile))
        .at("/user/blocks", routes!(blocks::list))
        .at("/user/{userId}", routes!(users::user))
        .at("/chats", routes!(chats::list))
        .at("/chats/pinned", routes!(pins::pinned))
        .at("/chats/{chatId}", routes!(chats::find))
        .at("/chats/{chatId}/members", routes!(chats::members))
        .at("/chats/{chatId}/invites", routes!(invites::list))
        .at("/chats/{chatId}/changes", routes!(chats::changes))
        .at("/chats/{chatId}/receipts", routes!(receipts::list))
        .at("/chats/{chatId}/messages", routes!(messages::list))
        .at("/chats/{chatId}/messages/{messageId}", routes!(messages::find))
        .at("/chats/{chatId}/messages/{messageId}/edits", routes!(messages::edits))
        .at("/chats/{chatId}/messages/{messageId}/thread", routes!(messages::thread))
        .at("/chats/{chatId}/messages/{messageId}/reactions", routes!(reactions::list))
}

fn change_routes() -> Routes {
    routes()
        .at("/auth/sessions/{sessionId}", routes!(auth::end_session))
        .at("/admin/users/{userId}", routes!(admin::change))
        .at("/admin/users/{userId}/suspend", routes!(admin::suspend))
        .at("/admin/users/{userId}/unsuspend", routes!(admin::unsuspend))
        .at("/admin/users/{userId}/sessions", routes!(admin::end_sessions))
        .at("/user/profile", routes!(users::edit_profile))
        .at("/user/block/{userId}", routes!(blocks::block, blocks::unblock))
        .at("/chats/{chatId}", routes!(chats::update, chats::delete))
        .at("/chats/{chatId}/leave", routes!(members::leave))
        .at("/chats/{chatId}/pin", routes!(pins::pin))
        .at("/chats/{chatId}/mute", routes!(pins::mute))
        .at("/chats/{chatId}/members/{userId}", routes!(members::change_role, members::remove))
        .at("/chats/{chatId}/invites/{code}", routes!(invites::revoke))
}

fn search_routes() -> Routes {
    routes()
        .at("/user/search", routes!(users::search))
        .at("/messages/search", routes!(search::messages))
        .at("/chats/search", routes!(chat_search::by_name))
        .at("/chats/search/users", routes!(chat_search::by_people))
}

fn mark_routes() -> Routes {
    routes().at("/chats/{chatId}/read", routes!(receipts::mark))
}

fn presence_routes() -> Routes {
    routes().at("/user/presence", routes!(presence::list))
}

fn send_routes() -> Routes {
    routes()
        .at("/chats/{chatId}/messages", routes!(messages::send))
        .at("/chats/{chatId}/messages/{messageId}", routes!(messages::edit, messages::delete))
}

fn reaction_routes() -> Routes {
    routes().at(
        "/chats/{chatId}/messages/{messageId}/reactions/{emoji}",
        routes!(reactions::add, reactions::remove),
    )
}

fn direct_routes() -> Routes {
    routes().at("/chats/direct/{userId}", routes!(chats::open_direct))
}

/// What is dear, or cannot be undone.
fn export_routes() -> Routes {
    routes().at("/user/export", routes!(account::export)).at("/user", routes!(account::delete))
}

/// Bringing others into chats.
fn invite_routes() -> Routes {
    routes()
        .at("/chats", routes!(chats::create))
        .at("/chats/{chatId}/members", routes!(members::add))
        .at("/chats/{chatId}/invites", routes!(invites::create))
}

fn join_routes() -> Routes {
    routes()
        .at("/invites/{code}", routes!(invites::preview))
        .at("/invites/{code}/join", routes!(invites::join))
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
