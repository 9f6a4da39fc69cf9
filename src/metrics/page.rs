//! What is looked at only when somebody asks: states, such as how far a writer is behind.
//!
//! The recorder keeps a value for good. Such a state can go: a partition becomes another node's, a
//! store does not answer. So these are written for each page anew, and what is gone is not on it.
//! They can be fractions, which the recorder's counters cannot.

use std::fmt::Write;

use super::Declared;

macro_rules! sampled {
    ($($kind:ident $const:ident = $name:literal $({ $($label:literal: $($value:literal),+;)+ })? $help:literal;)*) => {
        /// A metric of the page.
        #[derive(Clone, Copy, Debug)]
        pub struct Sample {
            name: &'static str,
            kind: &'static str,
            help: &'static str,
        }

        impl Sample {
            $(pub const $const: Self =
                Self { name: $name, kind: stringify!($kind), help: $help };)*
        }

        pub fn sampled() -> Vec<Declared> {
            vec![$(Declared {
                name: $name,
                kind: stringify!($kind),
                labels: vec![$($(($label, vec![$($value),+]),)+)?],
                help: $help,
            }),*]
        }
    };
}

sampled! {
    gauge BUILD_INFO = "chat_build_info" { "version": "of the package"; "commit": "of the build, or unknown"; } "1; which build this is.";
    gauge READY = "chat_ready" "1 where clients may be sent here.";
    gauge DRAINING = "chat_draining" "1 where the node is being shut down.";
    gauge DEPENDENCY_UP = "chat_dependency_up" { "dependency": "postgres", "redis", "storage"; } "1 where it answers; of Redis, where all shards do.";
    gauge PARTITIONS = "chat_partitions" "Partitions of the cluster. Their owners' chat_partitions_owned add up to it.";
    gauge PARTITION_OWNED = "chat_partition_owned" { "partition": "of those owned here"; } "1 for each partition whose owner this node is.";
    gauge WRITER_LAG_ENTRIES = "chat_writer_lag_entries" { "partition": "of those owned here"; } "Entries of in while any of them waits for the writer, up to some hundred that are done included; 0 where none waits.";
    gauge WRITER_LAG_SECONDS = "chat_writer_lag_seconds" { "partition": "of those owned here"; } "How long the oldest entry of in has been waiting for the writer, by Redis's clock.";
    gauge PARTITIONS_BACKLOGGED = "chat_partitions_backlogged" "Partitions whose commands this node refuses, since in is too long.";
    gauge COMMANDS_WAITING = "chat_commands_waiting" "Commands of this node whose answers are still to come.";
    gauge ROOMS = "chat_rooms" "Chats that a socket of this node is in.";
    gauge POSTGRES_CONNECTIONS = "chat_postgres_connections" { "pool": "requests", "writers", "watch"; "state": "in_use", "idle"; } "Connections to Postgres.";
    gauge POSTGRES_CONNECTIONS_MAX = "chat_postgres_connections_max" { "pool": "requests", "writers", "watch"; } "Connections that the pools may have, at the most.";
    gauge REDIS_CONNECTED = "chat_redis_connected" { "shard": "by number"; } "1 where the connection that all commands of a shard share is up.";
    gauge REDIS_COMMANDS_QUEUED = "chat_redis_commands_queued" { "shard": "by number"; } "Commands that wait for that connection.";
    gauge RUNTIME_WORKERS = "chat_runtime_workers" "Threads that run tasks.";
    gauge RUNTIME_TASKS = "chat_runtime_tasks" "Tasks that have not ended.";
    gauge RUNTIME_QUEUED_TASKS = "chat_runtime_queued_tasks" "Tasks in the queue that the threads share.";
    counter RUNTIME_BUSY_SECONDS = "chat_runtime_busy_seconds_total" "How long the threads were busy, added up; by thread and second, 1 is all of it.";
    counter CPU_SECONDS = "process_cpu_seconds_total" "CPU time of the process, its own and the system's for it.";
    gauge RESIDENT_BYTES = "process_resident_memory_bytes" "Memory of the process that is in RAM.";
    gauge OPEN_FDS = "process_open_fds" "Descriptors that the process has open.";
    gauge MAX_FDS = "process_max_fds" "Descriptors that it may have open.";
    gauge THREADS = "process_threads" "Threads of the process.";
    gauge START_TIME = "process_start_time_seconds" "When the node was started, as Unix time.";
}

/// A page in Prometheus's text format, growing behind what the recorder printed.
pub struct Page {
    text: String,
    node: String,
}

impl Page {
    pub fn new(recorded: String, node: &str) -> Self {
        Self { text: recorded, node: escaped(node) }
    }

    /// What is known of the process.
    pub fn process(&mut self) {
        super::process::write(self);
    }

    /// A metric without labels.
    pub fn value(&mut self, sample: Sample, value: f64) {
        self.values::<0>(sample, [([], value)]);
    }

    /// A metric's values by label; nothing where there are none.
    pub fn values<'a, const N: usize>(
        &mut self,
        sample: Sample,
        values: impl IntoIterator<Item = ([(&'static str, &'a str); N], f64)>,
    ) {
        let Sample { name, kind, help } = sample;
        let mut is_first = true;
        for (labels, value) in values {
            if std::mem::take(&mut is_first) {
                self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
            }
            let node = std::mem::take(&mut self.node);
            self.put(format_args!("{name}{{node=\"{node}\""));
            self.node = node;
            for (label, text) in labels {
                self.put(format_args!(",{label}=\"{}\"", escaped(text)));
            }
            self.put(format_args!("}} {value}\n"));
        }
        if !is_first {
            self.text.push('\n');
        }
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.text.write_fmt(text).expect("a string takes all");
    }

    pub fn finish(self) -> String {
        self.text
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_the_form_that_prometheus_reads() {
        let mut page = Page::new("before\n".to_owned(), "n\"1");
        page.value(Sample::CPU_SECONDS, 1.25);
        page.values::<1>(Sample::PARTITION_OWNED, []);
        page.values(Sample::WRITER_LAG_SECONDS, [([("partition", "7")], 0.0)]);
        let expected = "before\n\
            # HELP process_cpu_seconds_total CPU time of the process, its own and the system's for it.\n\
            # TYPE process_cpu_seconds_total counter\n\
            process_cpu_seconds_total{node=\"n\\\"1\"} 1.25\n\n\
            # HELP chat_writer_lag_seconds How long the oldest entry of in has been waiting for the writer, by Redis's clock.\n\
            # TYPE chat_writer_lag_seconds gauge\n\
            chat_writer_lag_seconds{node=\"n\\\"1\",partition=\"7\"} 0\n\n";
        assert_eq!(page.finish(), expected);
    }
}
