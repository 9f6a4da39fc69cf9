//! Why the server closes a socket, and what the client should do then.

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
    pub const ALL: [Self; 7] = [
        Self::TooLarge,
        Self::Restarting,
        Self::Protocol,
        Self::Unauthenticated,
        Self::SessionRevoked,
        Self::TooSlow,
        Self::TooMany,
    ];

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

    /// What the client should do then.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::TooLarge | Self::Protocol => "do not reconnect: the client has to be mended",
            Self::Restarting => "reconnect after the delay of `goingAway`, then `sync`",
            Self::Unauthenticated => "get a new token, then reconnect",
            Self::SessionRevoked => "sign in again",
            Self::TooSlow => "reconnect, then `sync`",
            Self::TooMany => "reconnect after a while",
        }
    }
}
