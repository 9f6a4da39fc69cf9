//! From sign-up to sign-out.

mod forgery;
mod refresh;
mod revocation;
mod sessions;
mod signing_in;
mod tokens;
