//! Everything a person can do, as plain functions; configuration: read, check, diff, write

pub mod observe;
pub mod history;
pub mod status;
