//! What is measured, and how it is printed.

pub(crate) mod cpu;
pub(crate) mod latency;
pub(crate) mod metrics;
pub(crate) mod report;
pub(crate) mod window;
