//! From sign-up to sign-out.

mod forgery;
mod hashing;
mod passwords;
mod recovery;
mod refresh;
mod revocation;
mod sessions;
mod signing_in;
mod tokens;
mod verification;
