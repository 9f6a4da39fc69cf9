//! Who is in the cluster.

pub mod registry;
