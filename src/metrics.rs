//! Every metric, in one place: name, unit, and the question that it answers.
//!
//! The handles are made once and kept, since making one hashes its labels. They hang on a recorder
//! of the node's own, so that several nodes can run in one process.

use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Bounds of all latency histograms, in seconds.
const SECONDS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0,
];

/// Bounds of counts of things handled at once.
const COUNTS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0];

macro_rules! metrics {
    ($($(#[$doc:meta])* $kind:ident $field:ident = $name:literal $({ $label:literal = $value:literal })? $unit:ident $help:literal;)*) => {
        pub struct Metrics {
            $($(#[$doc])* pub $field: metrics!(@type $kind),)*
        }

        impl Metrics {
            fn register() -> Self {
                $(metrics!(@describe $kind $name $unit $help);)*
                Self { $($field: metrics!(@make $kind $name $($label $value)?),)* }
            }

            /// Every name, for the test that compares dashboards and docs with it.
            pub const NAMES: &[&str] = &[$($name),*];
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
    counter slow_readers = "chat_slow_readers_total" Count "Sockets closed with 4408, because they read too slowly.";
    counter frames_in = "chat_frames_in_total" Count "Frames that sockets sent us.";
    counter frames_out = "chat_frames_out_total" Count "Frames written to sockets.";
    counter flushes = "chat_flushes_total" Count "Writes to sockets; frames per write tell how well they are joined.";
    counter ephemera_dropped = "chat_ephemera_dropped_total" Count "Typing and the like not delivered to a slow reader.";
    histogram append_seconds = "chat_append_seconds" Seconds "From taking commands off the queue to their being in the in stream.";
    histogram ack_seconds = "chat_ack_seconds" Seconds "From a socket's sendMessage to its answer.";
    histogram commit_seconds = "chat_commit_seconds" Seconds "A writer's transaction.";
    histogram publish_seconds = "chat_publish_seconds" Seconds "From commit to being in the out streams.";
    histogram batch_commands = "chat_batch_commands" Count "Commands of one transaction.";
    histogram fan_out_seconds = "chat_fan_out_seconds" Seconds "Handing the entries of one read to the outboxes.";
    counter commands_done = "chat_commands_total" { "result" = "done" } Count "Commands decided by this node's writers, by what they came to.";
    counter commands_repeated = "chat_commands_total" { "result" = "repeated" } Count "Commands decided by this node's writers, by what they came to.";
    counter commands_refused = "chat_commands_total" { "result" = "refused" } Count "Commands decided by this node's writers, by what they came to.";
    counter takeovers = "chat_takeovers_total" Count "Partitions that this node took over.";
    gauge partitions_owned = "chat_partitions_owned" Count "Partitions whose owner this node is.";
    counter fence_rejected_postgres = "chat_fence_rejected_total" { "by" = "postgres" } Count "Batches or entries of this node that were refused, because another had taken the partition over.";
    counter fence_rejected_redis = "chat_fence_rejected_total" { "by" = "redis" } Count "Batches or entries of this node that were refused, because another had taken the partition over.";
    counter dead_letters = "chat_dead_letters_total" Count "Commands set aside, because they could not be read or done.";
    counter catch_ups = "chat_catch_ups_total" Count "Chats whose missed events were read from Postgres.";
    counter missed = "chat_out_gaps_total" Count "Times that this node found events of a partition missing.";
    counter resyncs = "chat_resyncs_total" Count "Sockets told to sync, because too much was missed.";
    counter sync_chats = "chat_sync_chats_total" Count "Chats for which a client asked what it had missed.";
    counter limited_address = "chat_rate_limited_total" { "class" = "address" } Count "Requests refused, and sockets closed, by the class of limit that they were beyond.";
    counter limited_auth = "chat_rate_limited_total" { "class" = "auth" } Count "Requests refused, and sockets closed, by the class of limit that they were beyond.";
    counter limited_sign_up = "chat_rate_limited_total" { "class" = "signUp" } Count "Requests refused, and sockets closed, by the class of limit that they were beyond.";
    counter limited_sign_in = "chat_rate_limited_total" { "class" = "signIn" } Count "Requests refused, and sockets closed, by the class of limit that they were beyond.";
    counter limited_login = "chat_rate_limited_total" { "class" = "login" } Count "Requests refused, and sockets closed, by the class of limit that they were beyond.";
    counter limited_mail = "chat_rate_limited_total" { "class" = "mail" } Count "Requests refused, and sockets closed, by the class of limit that they were beyond.";
    counter limited_read = "chat_rate_limited_total" { "class" = "read" } Count "Requests refused, and sockets closed, by the class of limit that they were beyond.";
    counter limited_change = "chat_rate_limited_total" { "class" = "change" } Count "Requests refused, and sockets closed, by the class of limit that they were beyond.";
    counter limited_send = "chat_rate_limited_total" { "class" = "send" } Count "Requests refused, and sockets closed, by the class of limit that they were beyond.";
    counter limited_reaction = "chat_rate_limited_total" { "class" = "reaction" } Count "Requests refused, and sockets closed, by the class of limit that they were beyond.";
    counter limited_search = "chat_rate_limited_total" { "class" = "search" } Count "Requests refused, and sockets closed, by the class of limit that they were beyond.";
    counter limited_direct = "chat_rate_limited_total" { "class" = "direct" } Count "Requests refused, and sockets closed, by the class of limit that they were beyond.";
    counter limited_invite = "chat_rate_limited_total" { "class" = "invite" } Count "Requests refused, and sockets closed, by the class of limit that they were beyond.";
    counter limited_join = "chat_rate_limited_total" { "class" = "join" } Count "Requests refused, and sockets closed, by the class of limit that they were beyond.";
    counter limited_upload = "chat_rate_limited_total" { "class" = "upload" } Count "Requests refused, and sockets closed, by the class of limit that they were beyond.";
    counter limited_export = "chat_rate_limited_total" { "class" = "export" } Count "Requests refused, and sockets closed, by the class of limit that they were beyond.";
    counter limited_presence = "chat_rate_limited_total" { "class" = "presence" } Count "Requests refused, and sockets closed, by the class of limit that they were beyond.";
    counter limited_typing = "chat_rate_limited_total" { "class" = "typing" } Count "Requests refused, and sockets closed, by the class of limit that they were beyond.";
    counter limited_frame = "chat_rate_limited_total" { "class" = "frame" } Count "Requests refused, and sockets closed, by the class of limit that they were beyond.";
    counter limited_sockets = "chat_rate_limited_total" { "class" = "sockets" } Count "Requests refused, and sockets closed, by the class of limit that they were beyond.";
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
    counter presence_published = "chat_presence_changes_total" { "step" = "published" } Count "Users that came or went here, pushes of that to sockets, and pushes put off because the socket reads slowly.";
    counter presence_delivered = "chat_presence_changes_total" { "step" = "delivered" } Count "Users that came or went here, pushes of that to sockets, and pushes put off because the socket reads slowly.";
    counter presence_shed = "chat_presence_changes_total" { "step" = "shed" } Count "Users that came or went here, pushes of that to sockets, and pushes put off because the socket reads slowly.";
    counter presence_rewrites = "chat_presence_rewrites_total" Count "Times that this node wrote all its users anew, since Redis may have lost them.";
    counter last_seen_dropped = "chat_last_seen_dropped_total" Count "Comings and goings not stored, because Postgres was away for long.";
    counter mails_sent = "chat_mails_total" { "result" = "sent" } Count "Mails, by what became of them; dropped are those that found no room, or no MAIL_URL.";
    counter mails_failed = "chat_mails_total" { "result" = "failed" } Count "Mails, by what became of them; dropped are those that found no room, or no MAIL_URL.";
    counter mails_dropped = "chat_mails_total" { "result" = "dropped" } Count "Mails, by what became of them; dropped are those that found no room, or no MAIL_URL.";
    counter http_requests = "chat_http_requests_total" Count "REST requests answered.";
    histogram http_seconds = "chat_http_seconds" Seconds "REST requests, from the head to the answer.";
    counter expired_done = "chat_jobs_done_total" { "job" = "expiredRefreshTokens" } Count "Slots of the timetable whose work this node has done.";
    counter sessions_done = "chat_jobs_done_total" { "job" = "inactiveSessions" } Count "Slots of the timetable whose work this node has done.";
    counter revoked_done = "chat_jobs_done_total" { "job" = "revokedRefreshTokens" } Count "Slots of the timetable whose work this node has done.";
    counter audit_done = "chat_jobs_done_total" { "job" = "oldAuditRows" } Count "Slots of the timetable whose work this node has done.";
    counter expired_failed = "chat_jobs_failed_total" { "job" = "expiredRefreshTokens" } Count "Runs of a job that failed on this node; each is tried again.";
    counter sessions_failed = "chat_jobs_failed_total" { "job" = "inactiveSessions" } Count "Runs of a job that failed on this node; each is tried again.";
    counter revoked_failed = "chat_jobs_failed_total" { "job" = "revokedRefreshTokens" } Count "Runs of a job that failed on this node; each is tried again.";
    counter audit_failed = "chat_jobs_failed_total" { "job" = "oldAuditRows" } Count "Runs of a job that failed on this node; each is tried again.";
    counter expired_rows = "chat_job_rows_total" { "job" = "expiredRefreshTokens" } Count "Rows that a job has ended or deleted on this node.";
    counter sessions_rows = "chat_job_rows_total" { "job" = "inactiveSessions" } Count "Rows that a job has ended or deleted on this node.";
    counter revoked_rows = "chat_job_rows_total" { "job" = "revokedRefreshTokens" } Count "Rows that a job has ended or deleted on this node.";
    counter audit_rows = "chat_job_rows_total" { "job" = "oldAuditRows" } Count "Rows that a job has ended or deleted on this node.";
    gauge expired_late = "chat_job_late_seconds" { "job" = "expiredRefreshTokens" } Seconds "How long the work of a job's slot has been waiting to be done; 0 where it is done.";
    gauge sessions_late = "chat_job_late_seconds" { "job" = "inactiveSessions" } Seconds "How long the work of a job's slot has been waiting to be done; 0 where it is done.";
    gauge revoked_late = "chat_job_late_seconds" { "job" = "revokedRefreshTokens" } Seconds "How long the work of a job's slot has been waiting to be done; 0 where it is done.";
    gauge audit_late = "chat_job_late_seconds" { "job" = "oldAuditRows" } Seconds "How long the work of a job's slot has been waiting to be done; 0 where it is done.";
    gauge expired_last = "chat_job_last_success_timestamp_seconds" { "job" = "expiredRefreshTokens" } Seconds "When a job was last done anywhere in the cluster, as Unix time.";
    gauge sessions_last = "chat_job_last_success_timestamp_seconds" { "job" = "inactiveSessions" } Seconds "When a job was last done anywhere in the cluster, as Unix time.";
    gauge revoked_last = "chat_job_last_success_timestamp_seconds" { "job" = "revokedRefreshTokens" } Seconds "When a job was last done anywhere in the cluster, as Unix time.";
    gauge audit_last = "chat_job_last_success_timestamp_seconds" { "job" = "oldAuditRows" } Seconds "When a job was last done anywhere in the cluster, as Unix time.";
}

impl Metrics {
    /// A node's metrics and the way to print them.
    pub fn new(node: &str) -> (Arc<Self>, PrometheusHandle) {
        let mut builder = PrometheusBuilder::new().add_global_label("node", node);
        let buckets = [
            (Matcher::Suffix("_seconds".to_owned()), SECONDS),
            (Matcher::Full("chat_batch_commands".to_owned()), COUNTS),
        ];
        for (matcher, bounds) in buckets {
            builder = builder
                .set_buckets_for_metric(matcher, bounds)
                .expect("the bounds are constants, and not empty");
        }
        let recorder = builder.build_recorder();
        let metrics = metrics::with_local_recorder(&recorder, Self::register);
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
