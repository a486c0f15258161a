//! Everything a person can do, as plain functions: configuration, looking once, status, history, and the server itself
//! with its parts wired together.
//!
//! No HTTP words and no SQL: whoever serves pages or an API calls what stands here, and so does the command line.

pub mod caller;
pub mod check;
pub mod config;
pub mod history;
pub mod identity;
pub mod look;
pub mod observe;
mod opener;
pub mod operations;
pub mod server;
pub mod status;
