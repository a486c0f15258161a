//! The types of the wire. They are converted by hand from what operations answer.

pub(crate) mod account;
pub(crate) mod bulk;
pub(crate) mod channels;
pub(crate) mod config;
pub(crate) mod events;
pub(crate) mod evidence;
pub(crate) mod history;
pub(crate) mod ids;
pub(crate) mod incidents;
pub(crate) mod monitors;
pub(crate) mod paging;
pub(crate) mod passkeys;
pub(crate) mod people;
pub(crate) mod presets;
pub(crate) mod session;
pub(crate) mod spec;
pub(crate) mod time;
pub(crate) mod tokens;
pub(crate) mod urls;
pub(crate) mod words;
