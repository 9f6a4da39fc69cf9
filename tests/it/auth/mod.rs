//! From sign-up to sign-out.

mod hashing;
mod passwords;
mod recovery;
mod refresh;
mod sessions;
mod signing_in;
mod verification;
