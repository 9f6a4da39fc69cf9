//! The classes: everything that is limited, by what it counts and with which setting.
//!
//! Every route and every request of a socket belongs to one. A route without a class answers 500
//! (`http::limits`), a request without one is not known (`ws::limits`), so neither passes a test.
//! The table stands in docs/PROTOCOL.md too; a test compares the two.

use metrics::Counter;

use crate::config::{Quotas, Rates};
use crate::metrics::Metrics;

/// What a limit counts by, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// An address (of IPv6 its /64), in the memory of each node.
    AddressAtNode,
    /// An address, over all nodes.
    Address,
    /// A user, or the address where nobody is signed in; over all nodes.
    Caller,
    /// What somebody signs in as, over all nodes.
    Login,
    /// A socket, in its own memory.
    Socket,
}

impl By {
    pub const fn text(self) -> &'static str {
        match self {
            Self::AddressAtNode => "address, each node",
            Self::Address => "address",
            Self::Caller => "user, else address",
            Self::Login => "login",
            Self::Socket => "socket",
        }
    }

    /// Whether Redis counts it, for all nodes together.
    pub const fn is_shared(self) -> bool {
        matches!(self, Self::Address | Self::Caller | Self::Login)
    }
}

macro_rules! classes {
    ($($(#[$doc:meta])* $class:ident $name:literal $by:ident $setting:literal $counts:literal => $bound:literal, $counter:ident $($quotas:ident)?;)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Class {
            $($(#[$doc])* $class,)*
        }

        impl Class {
            pub const ALL: &[Self] = &[$(Self::$class),*];

            /// As answers, metrics and Redis keys call it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$class => $name,)* }
            }

            pub const fn by(self) -> By {
                match self { $(Self::$class => By::$by,)* }
            }

            /// The variable that sets it.
            pub const fn setting(self) -> &'static str {
                match self { $(Self::$class => $setting,)* }
            }

            pub const fn counts(self) -> &'static str {
                match self { $(Self::$class => $counts,)* }
            }

            /// What happens beyond it.
            pub const fn at_bound(self) -> &'static str {
                match self { $(Self::$class => $bound,)* }
            }

            /// None where something else than quotas bounds it.
            pub fn quotas(self, rates: &Rates) -> Option<&Quotas> {
                match self { $(Self::$class => classes!(@quotas rates $($quotas)?),)* }
            }

            /// Counts what was refused.
            pub fn refusals(self, metrics: &Metrics) -> &Counter {
                match self { $(Self::$class => &metrics.$counter,)* }
            }
        }
    };
    (@quotas $rates:ident $quotas:ident) => { Some(&$rates.$quotas) };
    (@quotas $rates:ident) => {{ let _ = $rates; None }};
}

classes! {
    /// The door: everything below `/api/v1`. Routes that nothing else bounds are of this class.
    Address "address" AddressAtNode "RATE_ADDRESS" "all requests" => "429", limited_address address;
    Auth "auth" AddressAtNode "RATE_AUTH" "sign-ups, sign-ins, refreshes, one-time tokens" => "429", limited_auth auth;
    SignUp "signUp" Address "RATE_SIGN_UP" "sign-ups" => "429", limited_sign_up sign_up;
    /// Whoever guesses at passwords or tokens: what was right is given back.
    SignIn "signIn" Address "RATE_SIGN_IN" "failed sign-ins, refreshes, one-time tokens" => "429", limited_sign_in sign_in;
    Login "login" Login "SIGN_IN_TRIES" "wrong passwords in a row; a device, or an address, that was signed in lately counts for itself" => "429, each delay twice the last, up to `SIGN_IN_DELAY_MAX`", limited_login;
    Mail "mail" Caller "RATE_MAIL" "requests that send a mail" => "429", limited_mail mail;
    Read "read" Caller "RATE_READ" "reading: lists, history, `getMessages`, `joinChat`, `sync`" => "429, `rateLimited`", limited_read read;
    Change "change" Caller "RATE_CHANGE" "changes of one's own records" => "429", limited_change change;
    Send "send" Caller "RATE_SEND" "messages, edits, deletions" => "429, `rateLimited`", limited_send send;
    Mark "mark" Caller "RATE_MARK" "marking as read" => "429, `rateLimited`", limited_mark mark;
    Reaction "reaction" Caller "RATE_REACTION" "reactions" => "429, `rateLimited`", limited_reaction reaction;
    Search "search" Caller "RATE_SEARCH" "searches" => "429", limited_search search;
    Direct "direct" Caller "RATE_DIRECT" "direct chats opened" => "429", limited_direct direct;
    Invite "invite" Caller "RATE_INVITE" "groups made, members added, invites made" => "429", limited_invite invite;
    Join "join" Caller "RATE_JOIN" "invites looked at and used" => "429", limited_join join;
    Upload "upload" Caller "RATE_UPLOAD" "files and avatars" => "429", limited_upload upload;
    Export "export" Caller "RATE_EXPORT" "exports and deletions of an account" => "429", limited_export export;
    Presence "presence" Caller "RATE_PRESENCE" "questions for presence" => "429, `rateLimited`", limited_presence presence;
    Typing "typing" Socket "RATE_TYPING" "`typing`" => "`rateLimited`", limited_typing typing;
    Frame "frame" Socket "RATE_FRAME" "frames of any kind, also malformed ones" => "4429", limited_frame frame;
    Sockets "sockets" AddressAtNode "SOCKET_PER_ADDRESS" "open sockets; without authentication `SOCKET_WAITING_PER_ADDRESS`, of a user `SOCKET_PER_USER`" => "429 before the upgrade, 4429 behind it", limited_sockets;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for (index, class) in Class::ALL.iter().enumerate() {
            assert!(Class::ALL[..index].iter().all(|other| other.name() != class.name()));
        }
    }
}
