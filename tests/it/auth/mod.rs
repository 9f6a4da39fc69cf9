//! From sign-up to sign-out.

mod refresh;
mod sessions;
mod signing_in;
