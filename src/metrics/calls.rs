//! Calls of the stores, by kind: how long they take, and how many fail.
//!
//! A kind is what somebody is kept waiting for, not a statement: several statements can be one call.
//! What has a metric of its own (appending, committing, publishing) is not counted here again.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;

use metrics::{Counter, Histogram, Unit};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::Declared;
use crate::error::Error;

/// The kinds of calls of one store.
pub trait Kind: Copy + 'static {
    const ALL: &'static [Self];
    const SECONDS: (&'static str, &'static str);
    const ERRORS: (&'static str, &'static str);

    fn name(self) -> &'static str;
    fn index(self) -> usize;
}

macro_rules! calls {
    ($(#[$doc:meta])* $kind:ident $seconds:literal $errors:literal { $($(#[$of:meta])* $call:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $kind {
            $($(#[$of])* $call),*
        }

        impl Kind for $kind {
            const ALL: &'static [Self] = &[$(Self::$call),*];
            const SECONDS: (&'static str, &'static str) =
                ($seconds, "Calls of this store, by what they are for; failed ones too.");
            const ERRORS: (&'static str, &'static str) =
                ($errors, "Calls of this store that failed, by what they were for.");

            fn name(self) -> &'static str {
                match self { $(Self::$call => $name),* }
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

calls! {
    PostgresCall "chat_postgres_seconds" "chat_postgres_errors_total" {
        /// Asking whether it is there.
        Ping = "ping",
        /// The chats and blocks of a user whose socket opens.
        Attach = "attach",
        /// A page of messages.
        History = "history",
        /// What changed since: `sync`, `joinChat`, changes.
        Sync = "sync",
        /// Whether a session is alive.
        Session = "session",
        /// Which sessions ended, for all sockets of the node at once.
        EndedSessions = "endedSessions",
    }
}

calls! {
    RedisCall "chat_redis_seconds" "chat_redis_errors_total" {
        /// Asking whether it is there.
        Ping = "ping",
        /// Renewing and taking leases, and finding who lives.
        Leases = "leases",
        /// Counting limits.
        Limits = "limits",
        /// Typing, ended sessions, changed people.
        Signals = "signals",
    }
}

calls! {
    StorageCall "chat_storage_seconds" "chat_storage_errors_total" {
        /// Asking whether it is there.
        Ping = "ping",
        Put = "put",
        Get = "get",
        Head = "head",
        Delete = "delete",
        List = "list",
        /// The steps of an upload in parts.
        Multipart = "multipart",
    }
}

/// The handles of one store.
pub struct Calls<K> {
    of: Vec<(Histogram, Counter)>,
    kind: PhantomData<fn(K)>,
}

impl<K: Kind> Calls<K> {
    pub(super) fn register(_recorder: &Arc<PrometheusRecorder>) -> Self {
        let ((seconds, help), (errors, help_errors)) = (K::SECONDS, K::ERRORS);
        metrics::describe_histogram!(seconds, Unit::Seconds, help);
        metrics::describe_counter!(errors, Unit::Count, help_errors);
        let handles = K::ALL.iter().map(|call| {
            let name = call.name();
            (
                metrics::histogram!(seconds, "call" => name),
                metrics::counter!(errors, "call" => name),
            )
        });
        Self { of: handles.collect(), kind: PhantomData }
    }

    pub(super) fn declared() -> Vec<Declared> {
        let calls: Vec<&str> = K::ALL.iter().map(|call| call.name()).collect();
        let declared = |(name, help), kind| {
            let labels = vec![("call", calls.clone())];
            Declared { name, kind, labels, help }
        };
        vec![declared(K::SECONDS, "histogram"), declared(K::ERRORS, "counter")]
    }

    /// Notes a request that began then and has ended now. What the caller has done wrong is no
    /// failure of the store.
    pub fn note<T>(&self, call: K, began: Instant, outcome: &Result<T, Error>) {
        let failed =
            matches!(outcome, Err(Error::Unavailable { .. } | Error::Timeout | Error::Internal(_)));
        self.took(call, began, !failed);
    }

    /// Notes a call that began then and has ended now.
    pub fn took(&self, call: K, began: Instant, went_well: bool) {
        let (seconds, errors) = &self.of[call.index()];
        seconds.record(began.elapsed());
        if !went_well {
            errors.increment(1);
        }
    }
}
