//! What an endpoint is made of: a function from a [`Call`] to an [`Output`], registered together with
//! the rule of who may and with its documentation ([`Routes`]).
//!
//! Path, query and body are typed; their schemas are the document that is served, and the same schemas check what
//! arrives. A handler whose types cannot be described does not compile, and neither does a route without a rule.

pub mod answer;
pub mod body;
pub mod call;
pub mod describe;
pub mod document;
pub mod parameters;
pub(crate) mod replay;
pub mod routes;
pub mod rule;
pub mod validate;

pub use answer::{Accepted, Created, Done, Listed, Output, Paged, Shown, Tagged, Text};
pub use body::{Body, Json, Optional, OptionalSettings, Raw, Reads, Settings};
pub use call::{Call, Head};
pub use routes::{Docs, Routes, Tag, docs};
pub use rule::{Needs, Public, SignedIn};
