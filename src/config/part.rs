//! What commands need that are no nodes: a part of the settings, so that the rest need not be there.

use std::net::SocketAddr;

use super::{Config, ConfigErrors, Postgres, Reader, Telemetry};

impl Config {
    /// What migrations need: Postgres, and how to log. No other secret has to be there.
    ///
    /// # Errors
    /// All problems at once.
    pub fn for_migrations_from_env() -> Result<(Postgres, Telemetry), ConfigErrors> {
        Self::part_from_env(|vars| (vars.postgres(), vars.telemetry()))
    }

    /// Where the node of this environment serves REST and sockets.
    ///
    /// # Errors
    /// It is no address.
    pub fn http_addr_from_env() -> Result<SocketAddr, ConfigErrors> {
        #[expect(
            clippy::redundant_closure_for_method_calls,
            reason = "its lifetime is a fixed one"
        )]
        Self::part_from_env(|vars| vars.http_addr())
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    fn part_from_env<T>(
        part: impl for<'a> FnOnce(&mut Reader<'a>) -> T,
    ) -> Result<T, ConfigErrors> {
        let mut vars = Reader { lookup: &|name| std::env::var(name).ok(), problems: Vec::new() };
        let part = part(&mut vars);
        if vars.problems.is_empty() { Ok(part) } else { Err(ConfigErrors(vars.problems)) }
    }
}
