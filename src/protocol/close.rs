//! Why the server closes a socket, and what the client should do then.

/// | code | meaning | then |
/// |---|---|---|
/// | 1009 | a frame was too large | fix the client |
/// | 1012 | the node restarts | reconnect, elsewhere, after the delay of `goingAway` |
/// | 4400 | the protocol was broken again and again | fix the client |
/// | 4401 | not, or no longer, authenticated | get a new token, then reconnect |
/// | 4403 | the session was ended | sign in again |
/// | 4408 | too slow a reader | reconnect and `sync` |
/// | 4429 | too many requests or connections | reconnect after a while |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    TooLarge,
    Restarting,
    Protocol,
    Unauthenticated,
    SessionRevoked,
    TooSlow,
    TooMany,
}

impl Close {
    pub const fn code(self) -> u16 {
        match self {
            Self::TooLarge => 1009,
            Self::Restarting => 1012,
            Self::Protocol => 4400,
            Self::Unauthenticated => 4401,
            Self::SessionRevoked => 4403,
            Self::TooSlow => 4408,
            Self::TooMany => 4429,
        }
    }

    pub const fn reason(self) -> &'static str {
        match self {
            Self::TooLarge => "too large",
            Self::Restarting => "restarting",
            Self::Protocol => "protocol error",
            Self::Unauthenticated => "not authenticated",
            Self::SessionRevoked => "session revoked",
            Self::TooSlow => "too slow a reader",
            Self::TooMany => "too many requests or connections",
        }
    }
}
