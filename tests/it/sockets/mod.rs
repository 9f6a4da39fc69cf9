//! The socket edge: getting in, what is refused, what is pushed, catching up.

mod authentication;
mod catching_up;
mod frames;
mod long_absence;
mod pushes;
mod slow_readers;
