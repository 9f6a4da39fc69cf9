//! What operators do, over REST and at the command line.

mod acts;
mod command_line;
mod lists;
mod suspension;
