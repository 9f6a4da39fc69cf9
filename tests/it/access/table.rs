//! Who may do what: the one written table, for REST and for the socket. Each cell is tried against
//! a real cluster, and docs/ACCESS.md shows the same rows.

/// What somebody is to the chat, or the person, that a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Anonymous,
    Stranger,
    Member,
    ExMember,
    Blocked,
    Moderator,
    Owner,
}

impl Role {
    pub(super) const ALL: [Self; 7] = [
        Self::Anonymous,
        Self::Stranger,
        Self::Member,
        Self::ExMember,
        Self::Blocked,
        Self::Moderator,
        Self::Owner,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Stranger => "stranger",
            Self::Member => "member",
            Self::ExMember => "ex-member",
            Self::Blocked => "blocked",
            Self::Moderator => "moderator",
            Self::Owner => "owner",
        }
    }
}

/// What the ids of a call name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// There is none, or the caller's own affairs.
    Own,
    /// The group; for the blocked, their direct chat with the owner.
    Chat,
    /// A message of the caller's in that chat; for strangers, anybody's.
    OwnMessage,
    /// A plain member's message; for the blocked, the owner's.
    OthersMessage,
    /// The owner; for the owner, a member.
    Person,
    /// Somebody who has blocked everybody, and has no chat with them.
    Hermit,
    OwnSession,
    OthersSession,
}

impl Of {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Own => "–",
            Self::Chat => "the chat",
            Self::OwnMessage => "an own message",
            Self::OthersMessage => "another's message",
            Self::Person => "the owner",
            Self::Hermit => "who blocked them",
            Self::OwnSession => "an own session",
            Self::OthersSession => "another's session",
        }
    }
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// 401 `unauthenticated`.
    Unknown,
    /// 403 `forbidden`.
    Forbidden,
    /// 403 `blocked`.
    Blocked,
    /// 404 `notFound`, and the same as for what does not exist.
    Hidden,
}

impl Outcome {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Done => "yes",
            Self::Unknown => "401",
            Self::Forbidden => "403",
            Self::Blocked => "blocked",
            Self::Hidden => "404",
        }
    }

    fn parse(text: &str) -> Self {
        let all = [Self::Done, Self::Unknown, Self::Forbidden, Self::Blocked, Self::Hidden];
        let found = all.into_iter().find(|outcome| outcome.name() == text);
        found.unwrap_or_else(|| panic!("{text:?} is no outcome"))
    }
}

pub(super) struct Row {
    /// Method and path, or the name of a socket's request.
    pub(super) what: &'static str,
    pub(super) of: Of,
    outcomes: &'static str,
}

impl Row {
    /// In the order of [`Role::ALL`].
    pub(super) fn cells(&self) -> Vec<(Role, Outcome)> {
        let outcomes: Vec<Outcome> = self.outcomes.split_whitespace().map(Outcome::parse).collect();
        assert_eq!(outcomes.len(), Role::ALL.len(), "{}", self.what);
        Role::ALL.into_iter().zip(outcomes).collect()
    }
}

const fn row(what: &'static str, of: Of, outcomes: &'static str) -> Row {
    Row { what, of, outcomes }
}

const EVERYBODY: &str = "yes yes yes yes yes yes yes";
const SIGNED_IN: &str = "401 yes yes yes yes yes yes";
/// Those who are in the chat; a block does not keep from reading.
const MEMBERS: &str = "401 404 yes 404 yes yes yes";
/// Those who may write there.
const WRITERS: &str = "401 404 yes 404 blocked yes yes";

#[rustfmt::skip]
pub(super) const REST: &[Row] = &[
    row("GET /api/health", Of::Own, EVERYBODY),
    row("GET /api/health/live", Of::Own, EVERYBODY),
    row("GET /api/health/ready", Of::Own, EVERYBODY),
    row("POST /api/v1/auth/signup", Of::Own, EVERYBODY),
    row("POST /api/v1/auth/signin", Of::Own, EVERYBODY),
    row("POST /api/v1/auth/refresh", Of::Own, EVERYBODY),
    row("POST /api/v1/auth/logout", Of::Own, SIGNED_IN),
    row("POST /api/v1/auth/logout-all", Of::Own, SIGNED_IN),
    row("GET /api/v1/auth/sessions", Of::Own, SIGNED_IN),
    row("DELETE /api/v1/auth/sessions/{sessionId}", Of::OwnSession, SIGNED_IN),
    row("DELETE /api/v1/auth/sessions/{sessionId}", Of::OthersSession, "401 404 404 404 404 404 404"),
    row("GET /api/v1/auth/refresh-tokens", Of::Own, SIGNED_IN),
    row("GET /api/v1/user/profile", Of::Own, SIGNED_IN),
    row("GET /api/v1/user/{userId}", Of::Person, SIGNED_IN),
    row("GET /api/v1/chats", Of::Own, SIGNED_IN),
    row("POST /api/v1/chats", Of::Own, SIGNED_IN),
    row("POST /api/v1/chats/direct/{userId}", Of::Person, SIGNED_IN),
    row("POST /api/v1/chats/direct/{userId}", Of::Hermit, "401 blocked blocked blocked blocked blocked blocked"),
    row("GET /api/v1/chats/{chatId}", Of::Chat, MEMBERS),
    row("GET /api/v1/chats/{chatId}/members", Of::Chat, MEMBERS),
    row("GET /api/v1/chats/{chatId}/changes", Of::Chat, MEMBERS),
    row("GET /api/v1/chats/{chatId}/messages", Of::Chat, MEMBERS),
    row("POST /api/v1/chats/{chatId}/messages", Of::Chat, WRITERS),
    row("GET /api/v1/chats/{chatId}/messages/{messageId}", Of::OthersMessage, MEMBERS),
    row("PATCH /api/v1/chats/{chatId}/messages/{messageId}", Of::OwnMessage, WRITERS),
    row("PATCH /api/v1/chats/{chatId}/messages/{messageId}", Of::OthersMessage, "401 404 403 404 403 403 403"),
    row("DELETE /api/v1/chats/{chatId}/messages/{messageId}", Of::OwnMessage, MEMBERS),
    row("DELETE /api/v1/chats/{chatId}/messages/{messageId}", Of::OthersMessage, "401 404 403 404 403 yes yes"),
    row("GET /api/v1/chats/{chatId}/messages/{messageId}/edits", Of::OthersMessage, MEMBERS),
    row("GET /api/v1/ws", Of::Own, EVERYBODY),
];

/// Before `authenticate`, every other request is refused. `404` at `sync` says that the chat comes
/// back as `removed`.
#[rustfmt::skip]
pub(super) const SOCKET: &[Row] = &[
    row("authenticate", Of::Own, EVERYBODY),
    row("sendMessage", Of::Chat, WRITERS),
    row("editMessage", Of::OwnMessage, WRITERS),
    row("editMessage", Of::OthersMessage, "401 404 403 404 403 403 403"),
    row("deleteMessage", Of::OwnMessage, MEMBERS),
    row("deleteMessage", Of::OthersMessage, "401 404 403 404 403 yes yes"),
    row("getMessages", Of::Chat, MEMBERS),
    row("joinChat", Of::Chat, MEMBERS),
    row("leaveChat", Of::Chat, SIGNED_IN),
    row("typing", Of::Chat, MEMBERS),
    row("sync", Of::Chat, MEMBERS),
    row("subscribe", Of::Own, SIGNED_IN),
];
