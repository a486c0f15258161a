//! One file a subcommand: it reads its arguments, calls `quaywatch-app`, and prints.

pub(crate) mod check;
pub(crate) mod completions;
mod data;
pub(crate) mod export;
pub(crate) mod man;
pub(crate) mod ports;
pub(crate) mod serve;
pub(crate) mod status;
pub(crate) mod validate;
