//! An account as a whole: taking its data along, and its end.

mod deletion;
mod export;
