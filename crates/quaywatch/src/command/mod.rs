//! One file a subcommand: it reads its arguments, calls `quaywatch-app`, and prints.

pub(crate) mod account;
pub(crate) mod apply;
pub(crate) mod check;
pub(crate) mod completions;
mod data;
pub(crate) mod export;
pub(crate) mod get;
mod host;
pub(crate) mod man;
pub(crate) mod pause;
pub(crate) mod ports;
pub(crate) mod profile;
pub(crate) mod serve;
pub(crate) mod status;
pub(crate) mod token;
pub(crate) mod user;
pub(crate) mod validate;
