//! The types of the wire. They are converted by hand from what operations answer.

pub(crate) mod account;
pub(crate) mod channels;
pub(crate) mod config;
pub(crate) mod evidence;
pub(crate) mod history;
pub(crate) mod ids;
pub(crate) mod incidents;
pub(crate) mod monitors;
pub(crate) mod presets;
pub(crate) mod spec;
pub(crate) mod time;
pub(crate) mod words;
