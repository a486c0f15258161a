//! The types of the wire. They are converted by hand from what operations answer.

pub(crate) mod ids;
pub(crate) mod presets;
pub(crate) mod time;
