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
    Admin,
    Owner,
    /// Of the service; a stranger to every chat.
    Operator,
}

impl Role {
    pub(super) const ALL: [Self; 9] = [
        Self::Anonymous,
        Self::Stranger,
        Self::Member,
        Self::ExMember,
        Self::Blocked,
        Self::Moderator,
        Self::Admin,
        Self::Owner,
        Self::Operator,
    ];

    /// Whether the chat that a call is about is one of theirs.
    pub(super) const fn is_inside(self) -> bool {
        matches!(self, Self::Member | Self::Blocked | Self::Moderator | Self::Admin | Self::Owner)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Stranger => "stranger",
            Self::Member => "member",
            Self::ExMember => "ex-member",
            Self::Blocked => "blocked",
            Self::Moderator => "moderator",
            Self::Admin => "admin",
            Self::Owner => "owner",
            Self::Operator => "operator",
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
    /// A message of the owner's there.
    OwnersMessage,
    /// The owner; for the owner, a member.
    Person,
    /// A plain member, who is none of the roles.
    PlainMember,
    /// Somebody who is not in the chat.
    Outsider,
    /// Somebody who has blocked everybody, and has no chat with them.
    Hermit,
    OtherOperator,
    /// To the group, also for the blocked.
    Invite,
    /// The same, but the ex-member was banned.
    InviteAfterBan,
    RevokedInvite,
    OtherChatsInvite,
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
            Self::OwnersMessage => "the owner's message",
            Self::Person => "the owner",
            Self::PlainMember => "a plain member",
            Self::Outsider => "who is not in the chat",
            Self::OtherOperator => "another operator",
            Self::Invite => "an invite",
            Self::InviteAfterBan => "an invite, the ex-member banned",
            Self::RevokedInvite => "a revoked invite",
            Self::OtherChatsInvite => "another chat's invite",
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

const EVERYBODY: &str = "yes yes yes yes yes yes yes yes yes";
const SIGNED_IN: &str = "401 yes yes yes yes yes yes yes yes";
/// Nobody, as if it did not exist.
const HIDDEN: &str = "401 404 404 404 404 404 404 404 404";
/// Those who are in the chat; a block does not keep from reading.
const MEMBERS: &str = "401 404 yes 404 yes yes yes yes 404";
/// Those who may write there.
const WRITERS: &str = "401 404 yes 404 blocked yes yes yes 404";
/// A direct chat, as that of the blocked, has nobody above a member.
const MODERATORS: &str = "401 404 403 404 403 yes yes yes 404";
const ADMINS: &str = "401 404 403 404 403 403 yes yes 404";
const OWNER: &str = "401 404 403 404 403 403 403 yes 404";
const OPERATORS: &str = "401 404 404 404 404 404 404 404 yes";
/// Nobody acts on an operator over REST.
const NOT_OPERATORS: &str = "401 404 404 404 404 404 404 404 403";

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
    row("DELETE /api/v1/auth/sessions/{sessionId}", Of::OthersSession, HIDDEN),
    row("GET /api/v1/auth/refresh-tokens", Of::Own, SIGNED_IN),
    row("POST /api/v1/auth/password", Of::Own, SIGNED_IN),
    row("POST /api/v1/auth/password/forgot", Of::Own, EVERYBODY),
    row("POST /api/v1/auth/password/reset", Of::Own, EVERYBODY),
    row("POST /api/v1/auth/email/verify", Of::Own, EVERYBODY),
    row("POST /api/v1/auth/email/verify/resend", Of::Own, SIGNED_IN),
    row("GET /api/v1/user/profile", Of::Own, SIGNED_IN),
    row("PATCH /api/v1/user/profile", Of::Own, SIGNED_IN),
    row("GET /api/v1/user/search", Of::Own, SIGNED_IN),
    row("GET /api/v1/user/presence", Of::Person, SIGNED_IN),
    row("GET /api/v1/user/{userId}", Of::Person, SIGNED_IN),
    row("POST /api/v1/user/block/{userId}", Of::Outsider, SIGNED_IN),
    row("DELETE /api/v1/user/block/{userId}", Of::Outsider, SIGNED_IN),
    row("DELETE /api/v1/user/block/{userId}", Of::Hermit, SIGNED_IN),
    row("GET /api/v1/user/blocks", Of::Own, SIGNED_IN),
    row("GET /api/v1/user/export", Of::Own, SIGNED_IN),
    row("GET /api/v1/chats", Of::Own, SIGNED_IN),
    row("POST /api/v1/chats", Of::Own, SIGNED_IN),
    row("POST /api/v1/chats/direct/{userId}", Of::Person, SIGNED_IN),
    row("POST /api/v1/chats/direct/{userId}", Of::Hermit, "401 blocked blocked blocked blocked blocked blocked blocked blocked"),
    row("GET /api/v1/chats/pinned", Of::Own, SIGNED_IN),
    row("GET /api/v1/chats/search", Of::Own, SIGNED_IN),
    row("GET /api/v1/chats/search/users", Of::Own, SIGNED_IN),
    row("GET /api/v1/chats/{chatId}", Of::Chat, MEMBERS),
    row("PATCH /api/v1/chats/{chatId}", Of::Chat, ADMINS),
    row("DELETE /api/v1/chats/{chatId}", Of::Chat, OWNER),
    row("DELETE /api/v1/chats/{chatId}/leave", Of::Chat, "401 404 yes 404 403 yes yes yes 404"),
    row("PATCH /api/v1/chats/{chatId}/read", Of::Chat, MEMBERS),
    row("GET /api/v1/chats/{chatId}/receipts", Of::Chat, MEMBERS),
    row("PATCH /api/v1/chats/{chatId}/pin", Of::Chat, MEMBERS),
    row("PATCH /api/v1/chats/{chatId}/mute", Of::Chat, MEMBERS),
    row("GET /api/v1/chats/{chatId}/members", Of::Chat, MEMBERS),
    row("POST /api/v1/chats/{chatId}/members", Of::Outsider, ADMINS),
    row("POST /api/v1/chats/{chatId}/members", Of::Hermit, "401 404 403 404 403 403 blocked blocked 404"),
    row("PATCH /api/v1/chats/{chatId}/members/{userId}", Of::PlainMember, ADMINS),
    row("PATCH /api/v1/chats/{chatId}/members/{userId}", Of::Person, OWNER),
    row("PATCH /api/v1/chats/{chatId}/members/{userId}", Of::Outsider, "401 404 403 404 403 403 404 404 404"),
    row("DELETE /api/v1/chats/{chatId}/members/{userId}", Of::PlainMember, MODERATORS),
    row("DELETE /api/v1/chats/{chatId}/members/{userId}", Of::Person, OWNER),
    row("DELETE /api/v1/chats/{chatId}/members/{userId}", Of::Outsider, "401 404 403 404 403 404 404 404 404"),
    row("GET /api/v1/chats/{chatId}/invites", Of::Chat, MODERATORS),
    row("POST /api/v1/chats/{chatId}/invites", Of::Chat, MODERATORS),
    row("DELETE /api/v1/chats/{chatId}/invites/{code}", Of::Invite, MODERATORS),
    row("DELETE /api/v1/chats/{chatId}/invites/{code}", Of::OtherChatsInvite, "401 404 403 404 403 404 404 404 404"),
    row("GET /api/v1/invites/{code}", Of::Invite, SIGNED_IN),
    row("GET /api/v1/invites/{code}", Of::RevokedInvite, HIDDEN),
    row("POST /api/v1/invites/{code}/join", Of::Invite, SIGNED_IN),
    row("POST /api/v1/invites/{code}/join", Of::InviteAfterBan, "401 yes yes 403 yes yes yes yes yes"),
    row("POST /api/v1/invites/{code}/join", Of::RevokedInvite, HIDDEN),
    row("GET /api/v1/chats/{chatId}/changes", Of::Chat, MEMBERS),
    row("GET /api/v1/chats/{chatId}/messages", Of::Chat, MEMBERS),
    row("POST /api/v1/chats/{chatId}/messages", Of::Chat, WRITERS),
    row("GET /api/v1/chats/{chatId}/messages/{messageId}", Of::OthersMessage, MEMBERS),
    row("PATCH /api/v1/chats/{chatId}/messages/{messageId}", Of::OwnMessage, WRITERS),
    row("PATCH /api/v1/chats/{chatId}/messages/{messageId}", Of::OthersMessage, "401 404 403 404 403 403 403 403 404"),
    row("DELETE /api/v1/chats/{chatId}/messages/{messageId}", Of::OwnMessage, MEMBERS),
    row("DELETE /api/v1/chats/{chatId}/messages/{messageId}", Of::OthersMessage, MODERATORS),
    row("DELETE /api/v1/chats/{chatId}/messages/{messageId}", Of::OwnersMessage, OWNER),
    row("GET /api/v1/chats/{chatId}/messages/{messageId}/edits", Of::OthersMessage, MEMBERS),
    row("GET /api/v1/chats/{chatId}/messages/{messageId}/thread", Of::OthersMessage, MEMBERS),
    row("GET /api/v1/chats/{chatId}/messages/{messageId}/reactions", Of::OthersMessage, MEMBERS),
    row("PUT /api/v1/chats/{chatId}/messages/{messageId}/reactions/{emoji}", Of::OthersMessage, WRITERS),
    row("PUT /api/v1/chats/{chatId}/messages/{messageId}/reactions/{emoji}", Of::OwnMessage, WRITERS),
    row("DELETE /api/v1/chats/{chatId}/messages/{messageId}/reactions/{emoji}", Of::OthersMessage, MEMBERS),
    row("GET /api/v1/messages/search", Of::Chat, MEMBERS),
    row("GET /api/v1/admin/users", Of::Own, OPERATORS),
    row("GET /api/v1/admin/audit", Of::Own, OPERATORS),
    row("GET /api/v1/admin/jobs", Of::Own, OPERATORS),
    row("PATCH /api/v1/admin/users/{userId}", Of::Person, OPERATORS),
    row("POST /api/v1/admin/users/{userId}/suspend", Of::Outsider, OPERATORS),
    row("POST /api/v1/admin/users/{userId}/suspend", Of::OtherOperator, NOT_OPERATORS),
    row("POST /api/v1/admin/users/{userId}/unsuspend", Of::Outsider, OPERATORS),
    row("POST /api/v1/admin/users/{userId}/unsuspend", Of::OtherOperator, NOT_OPERATORS),
    row("DELETE /api/v1/admin/users/{userId}/sessions", Of::Outsider, OPERATORS),
    row("DELETE /api/v1/admin/users/{userId}/sessions", Of::OtherOperator, NOT_OPERATORS),
    row("GET /api/v1/ws", Of::Own, EVERYBODY),
    // The last one, since nobody is left to ask anything then.
    row("DELETE /api/v1/user", Of::Own, SIGNED_IN),
];

/// Before `authenticate`, every other request is refused. `404` at `sync` says that the chat comes
/// back as `removed`.
#[rustfmt::skip]
pub(super) const SOCKET: &[Row] = &[
    row("authenticate", Of::Own, EVERYBODY),
    row("sendMessage", Of::Chat, WRITERS),
    row("editMessage", Of::OwnMessage, WRITERS),
    row("editMessage", Of::OthersMessage, "401 404 403 404 403 403 403 403 404"),
    row("deleteMessage", Of::OwnMessage, MEMBERS),
    row("deleteMessage", Of::OthersMessage, MODERATORS),
    row("deleteMessage", Of::OwnersMessage, OWNER),
    row("addReaction", Of::OthersMessage, WRITERS),
    row("addReaction", Of::OwnMessage, WRITERS),
    row("removeReaction", Of::OthersMessage, MEMBERS),
    row("getMessages", Of::Chat, MEMBERS),
    row("joinChat", Of::Chat, MEMBERS),
    row("leaveChat", Of::Chat, SIGNED_IN),
    row("markRead", Of::Chat, MEMBERS),
    row("typing", Of::Chat, MEMBERS),
    row("sync", Of::Chat, MEMBERS),
    row("subscribe", Of::Own, SIGNED_IN),
    row("subscribePresence", Of::Person, SIGNED_IN),
    row("unsubscribePresence", Of::Person, SIGNED_IN),
];
