//! Every cell of the access table, tried: R-AZ-1, R-AZ-3, F43.

mod paper;
mod rest;
mod socket;
mod table;
mod world;
