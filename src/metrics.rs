//! Every metric, in one place: name, unit, and the question that it answers.
//!
//! The handles are made once and kept, since making one hashes its labels. They hang on a recorder
//! of the node's own, so that several nodes can run in one process.
//!
//! Here stands what has no label, or one with a few values. Families with more have a file each;
//! what is looked at only when somebody asks for it stands in `page`.

mod calls;
mod http;
mod page;
mod process;
mod sockets;

use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, Unit};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

pub use calls::{Calls, PostgresCall, RedisCall, StorageCall};
pub use http::{Answered, Routes};
pub use page::{Page, Sample, sampled};
pub use sockets::{Closes, Ending, Refusals, Requests};

/// Bounds of all latency histograms, in seconds.
const SECONDS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0,
];

/// Bounds of counts of things handled at once.
const COUNTS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0];

/// Bounds of what waits for one socket; most have nothing.
const FRAMES: &[f64] = &[0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0];
const BYTES: &[f64] =
    &[0.0, 256.0, 1_024.0, 4_096.0, 16_384.0, 32_768.0, 65_536.0, 131_072.0, 262_144.0];

/// A metric, as the documents list it.
#[derive(Clone, Debug)]
pub struct Declared {
    pub name: &'static str,
    pub kind: &'static str,
    /// Each label with its values.
    pub labels: Vec<(&'static str, Vec<&'static str>)>,
    pub help: &'static str,
}

/// A metric without labels is a line, `kind field = "name" Unit "help";`. Those with a label stand
/// in braces behind all lines, a handle for each value. Last come the families of other files.
macro_rules! metrics {
    (
        $($kind:ident $field:ident = $name:literal $({ $label:literal = $value:literal })? $unit:ident $help:literal;)*
        {
            $($f_kind:ident $f_name:literal by $f_label:literal $f_unit:ident $f_help:literal {
                $($f_field:ident = $f_value:literal),* $(,)?
            })*
        }
        {
            $($part:ident: $type:ty;)*
        }
    ) => {
        pub struct Metrics {
            $(pub $field: metrics!(@type $kind),)*
            $($(pub $f_field: metrics!(@type $f_kind),)*)*
            $(pub $part: $type,)*
        }

        impl Metrics {
            fn register(recorder: &Arc<PrometheusRecorder>) -> Self {
                $(metrics!(@describe $kind $name $unit $help);)*
                $(metrics!(@describe $f_kind $f_name $f_unit $f_help);)*
                Self {
                    $($field: metrics!(@make $kind $name $($label $value)?),)*
                    $($($f_field: metrics!(@make $f_kind $f_name $f_label $f_value),)*)*
                    $($part: <$type>::register(recorder),)*
                }
            }

            /// Every metric, for whoever compares papers and dashboards with it.
            pub fn declared() -> Vec<Declared> {
                let mut all = vec![
                    $(Declared {
                        name: $name,
                        kind: stringify!($kind),
                        labels: vec![$(($label, vec![$value]))?],
                        help: $help,
                    },)*
                    $(Declared {
                        name: $f_name,
                        kind: stringify!($f_kind),
                        labels: vec![($f_label, vec![$($f_value),*])],
                        help: $f_help,
                    },)*
                ];
                $(all.extend(<$type>::declared());)*
                all.extend(sampled());
                all
            }
        }
    };
    (@type counter) => { Counter };
    (@type gauge) => { Gauge };
    (@type histogram) => { Histogram };
    (@make counter $name:literal $($label:literal $value:literal)?) => { metrics::counter!($name $(, $label => $value)?) };
    (@make gauge $name:literal $($label:literal $value:literal)?) => { metrics::gauge!($name $(, $label => $value)?) };
    (@make histogram $name:literal $($label:literal $value:literal)?) => { metrics::histogram!($name $(, $label => $value)?) };
    (@describe counter $name:literal $unit:ident $help:literal) => { metrics::describe_counter!($name, Unit::$unit, $help) };
    (@describe gauge $name:literal $unit:ident $help:literal) => { metrics::describe_gauge!($name, Unit::$unit, $help) };
    (@describe histogram $name:literal $unit:ident $help:literal) => { metrics::describe_histogram!($name, Unit::$unit, $help) };
}

metrics! {
    gauge connections = "chat_connections" Count "Authenticated sockets that are open.";
    counter connections_opened = "chat_connections_opened_total" Count "Sockets that authenticated.";
    counter sockets_unauthenticated = "chat_sockets_unauthenticated_total" Count "Sockets that ended before they were authenticated and attached.";
    counter slow_readers = "chat_slow_readers_total" Count "Sockets closed with 4408, because they read too slowly.";
    counter frames_in = "chat_frames_in_total" Count "Frames that sockets sent us.";
    counter frames_out = "chat_frames_out_total" Count "Frames written to sockets.";
    counter bytes_in = "chat_received_bytes_total" Bytes "Text that sockets sent us, without the framing.";
    counter bytes_out = "chat_sent_bytes_total" Bytes "Text written to sockets, without the framing.";
    counter flushes = "chat_flushes_total" Count "Writes to sockets; frames per write tell how well they are joined.";
    counter ephemera_dropped = "chat_ephemera_dropped_total" Count "Typing and the like not delivered to a slow reader.";
    histogram outbox_frames = "chat_outbox_frames" Count "Frames that wait in an outbox; up to 1,000 sockets are looked at every 5 s.";
    histogram outbox_bytes = "chat_outbox_bytes" Bytes "Bytes of pushes that wait in an outbox; up to 1,000 sockets are looked at every 5 s.";
    histogram delivery_seconds = "chat_delivery_seconds" Seconds "From laying the first waiting frame into a socket's outbox to its having been written; one for each write.";
    histogram command_seconds = "chat_command_seconds" Seconds "From handing a command to the log to its answer out of out, on the node that took it: append, commit, publish and the way back.";
    histogram append_commands = "chat_append_commands" Count "Commands of one round trip to the in streams.";
    counter append_failed = "chat_append_failed_total" Count "Commands that Redis did not take; they were answered unavailable.";
    histogram append_seconds = "chat_append_seconds" Seconds "From taking commands off the queue to their being in the in stream.";
    histogram commit_seconds = "chat_commit_seconds" Seconds "A writer's transaction.";
    counter commit_failed = "chat_commit_failed_total" Count "Batches that were not committed, or of which nobody knows whether.";
    counter publish_failed = "chat_publish_failed_total" Count "Entries that could not be published; the term ended.";
    histogram publish_seconds = "chat_publish_seconds" Seconds "From commit to being in the out streams.";
    histogram batch_commands = "chat_batch_commands" Count "Commands of one transaction.";
    histogram fan_out_seconds = "chat_fan_out_seconds" Seconds "Handing the entries of one read to the outboxes.";
    counter events = "chat_events_total" Count "Events that this node read from the out streams.";
    counter deliveries = "chat_deliveries_total" Count "Pushes of events that were laid into outboxes; by event, it is the size of the audience.";
    histogram takeover_seconds = "chat_takeover_seconds" Seconds "Taking one partition over, from asking for its fence to the marker in out.";
    counter takeovers = "chat_takeovers_total" Count "Partitions that this node took over.";
    gauge partitions_owned = "chat_partitions_owned" Count "Partitions whose owner this node is.";
    counter dead_letters = "chat_dead_letters_total" Count "Commands set aside, because they could not be read or done.";
    counter catch_ups = "chat_catch_ups_total" Count "Chats whose missed events were read from Postgres.";
    counter catch_up_events = "chat_catch_up_events_total" Count "Events that were read from Postgres for that.";
    histogram catch_up_seconds = "chat_catch_up_seconds" Seconds "Catching up with one chat.";
    counter missed = "chat_out_gaps_total" Count "Times that this node found events of a partition missing.";
    counter resyncs = "chat_resyncs_total" Count "Sockets told to sync, because too much was missed.";
    counter sync_chats = "chat_sync_chats_total" Count "Chats for which a client asked what it had missed.";
    counter sync_rows = "chat_sync_rows_total" Count "Messages, members and chats that answers to sync, joinChat and changes brought.";
    counter receipts_calls = "chat_receipt_calls_total" Count "Calls of Redis that set marks; many marks share one.";
    gauge receipts_lag_seconds = "chat_receipt_lag_seconds" Seconds "For how long the oldest mark of this node's partitions had waited to be stored, at the last look.";
    counter limit_charges = "chat_limit_charges_total" Count "Times that a limit was counted in Redis; many of them share a call.";
    gauge limit_nodes = "chat_limit_nodes" Count "Nodes that share the limits, as this node knows.";
    counter limits_alone = "chat_limits_alone_total" Count "Requests that this node counted on its own, because Redis did not.";
    counter search_indexed = "chat_search_indexed_total" Count "Messages that this node has written into the search index, or taken out of it.";
    counter search_failures = "chat_search_failures_total" Count "Rounds of indexing that failed; they are tried again.";
    histogram search_index_seconds = "chat_search_index_seconds" Seconds "A round of indexing: reading what changed, and writing it down.";
    gauge search_lag_messages = "chat_search_lag_messages" Count "Events of chats of this node's partitions that search does not know yet.";
    gauge search_lag_seconds = "chat_search_lag_seconds" Seconds "How long the first of those has been waiting.";
    gauge presence_online = "chat_presence_online" Count "Users with a socket on this node.";
    gauge presence_subscriptions = "chat_presence_subscriptions" Count "Pairs of a socket and a user whose presence it follows.";
    counter presence_rewrites = "chat_presence_rewrites_total" Count "Times that this node wrote all its users anew, since Redis may have lost them.";
    counter last_seen_dropped = "chat_last_seen_dropped_total" Count "Comings and goings not stored, because Postgres was away for long.";
    gauge http_in_flight = "chat_http_in_flight" Count "REST requests that are being answered.";
    gauge hashing_waiting = "chat_hashing_waiting" Count "Passwords that wait to be hashed or checked.";
    counter hashing_refused = "chat_hashing_refused_total" Count "Passwords that found no room to wait: the request was unavailable.";
    histogram hashing_wait_seconds = "chat_hashing_wait_seconds" Seconds "From asking for a password to be hashed or checked to its beginning.";
    histogram hashing_seconds = "chat_hashing_seconds" Seconds "Hashing or checking one password.";
    histogram postgres_acquire_seconds = "chat_postgres_acquire_seconds" Seconds "How long the probe of Postgres waited for a connection of the requests' pool.";
    {
        counter "chat_commands_total" by "result" Count "Commands decided by this node's writers, by what they came to." {
            commands_done = "done",
            commands_repeated = "repeated",
            commands_refused = "refused",
        }
        counter "chat_fence_rejected_total" by "by" Count "Batches or entries of this node that were refused, because another had taken the partition over." {
            fence_rejected_postgres = "postgres",
            fence_rejected_redis = "redis",
        }
        counter "chat_rate_limited_total" by "class" Count "Requests refused, and sockets closed, by the class of limit that they were beyond." {
            limited_address = "address",
            limited_auth = "auth",
            limited_sign_up = "signUp",
            limited_sign_in = "signIn",
            limited_login = "login",
            limited_mail = "mail",
            limited_read = "read",
            limited_change = "change",
            limited_send = "send",
            limited_mark = "mark",
            limited_reaction = "reaction",
            limited_search = "search",
            limited_direct = "direct",
            limited_invite = "invite",
            limited_join = "join",
            limited_upload = "upload",
            limited_export = "export",
            limited_presence = "presence",
            limited_typing = "typing",
            limited_frame = "frame",
            limited_sockets = "sockets",
        }
        counter "chat_presence_changes_total" by "step" Count "Users that came or went here, pushes of that to sockets, and pushes put off because the socket reads slowly." {
            presence_published = "published",
            presence_delivered = "delivered",
            presence_shed = "shed",
        }
        counter "chat_receipts_total" by "step" Count "Marks of reading: asked for, moved in Redis, told to sockets, dropped on the way to them, stored by their partition's owner, and stored straight away because Redis was away." {
            receipts_marked = "marked",
            receipts_moved = "moved",
            receipts_pushed = "pushed",
            receipts_dropped = "dropped",
            receipts_flushed = "stored",
            receipts_direct = "direct",
        }
        counter "chat_mails_total" by "result" Count "Mails, by what became of them; dropped are those that found no room, or no MAIL_URL." {
            mails_sent = "sent",
            mails_failed = "failed",
            mails_dropped = "dropped",
        }
        counter "chat_jobs_done_total" by "name" Count "Slots of the timetable whose work this node has done." {
            expired_done = "expiredRefreshTokens",
            sessions_done = "inactiveSessions",
            revoked_done = "revokedRefreshTokens",
            audit_done = "oldAuditRows",
        }
        counter "chat_jobs_failed_total" by "name" Count "Runs of a job that failed on this node; each is tried again." {
            expired_failed = "expiredRefreshTokens",
            sessions_failed = "inactiveSessions",
            revoked_failed = "revokedRefreshTokens",
            audit_failed = "oldAuditRows",
        }
        counter "chat_job_rows_total" by "name" Count "Rows that a job has ended or deleted on this node." {
            expired_rows = "expiredRefreshTokens",
            sessions_rows = "inactiveSessions",
            revoked_rows = "revokedRefreshTokens",
            audit_rows = "oldAuditRows",
        }
        gauge "chat_job_late_seconds" by "name" Seconds "How long the work of a job's slot has been waiting to be done; 0 where it is done." {
            expired_late = "expiredRefreshTokens",
            sessions_late = "inactiveSessions",
            revoked_late = "revokedRefreshTokens",
            audit_late = "oldAuditRows",
        }
        gauge "chat_job_last_success_timestamp_seconds" by "name" Seconds "When a job was last done anywhere in the cluster, as Unix time." {
            expired_last = "expiredRefreshTokens",
            sessions_last = "inactiveSessions",
            revoked_last = "revokedRefreshTokens",
            audit_last = "oldAuditRows",
        }
    }
    {
        http: Routes;
        requests: Requests;
        closes: Closes;
        upgrades_refused: Refusals;
        postgres: Calls<PostgresCall>;
        redis: Calls<RedisCall>;
        storage: Calls<StorageCall>;
    }
}

impl Metrics {
    /// A node's metrics and the way to print them.
    pub fn new(node: &str) -> (Arc<Self>, PrometheusHandle) {
        let mut builder = PrometheusBuilder::new().add_global_label("node", node);
        let buckets = [
            (Matcher::Suffix("_seconds".to_owned()), SECONDS),
            (Matcher::Suffix("_commands".to_owned()), COUNTS),
            (Matcher::Suffix("_frames".to_owned()), FRAMES),
            (Matcher::Suffix("_bytes".to_owned()), BYTES),
        ];
        for (matcher, bounds) in buckets {
            builder = builder
                .set_buckets_for_metric(matcher, bounds)
                .expect("the bounds are constants, and not empty");
        }
        let recorder = Arc::new(builder.build_recorder());
        let metrics = metrics::with_local_recorder(&*recorder, || Self::register(&recorder));
        (Arc::new(metrics), recorder.handle())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_of_one_process_count_apart() {
        let (one, print_one) = Metrics::new("n1");
        let (_two, print_two) = Metrics::new("n2");
        one.takeovers.increment(3);
        one.commit_seconds.record(0.002);
        let text = print_one.render();
        assert!(text.contains("chat_takeovers_total{node=\"n1\"} 3"), "{text}");
        assert!(text.contains("chat_commit_seconds_bucket"), "a histogram, not a summary: {text}");
        assert!(print_two.render().contains("chat_takeovers_total{node=\"n2\"} 0"));
    }
}
