//! The listener: connections with limits and deadlines, `/metrics`, `/healthz`, `/readyz`.
//!
//! What a page or an endpoint says is not decided here: pages and API are routers that are merged into
//! [`router()`]'s and served by the same [`Listener`].

mod health;
mod listener;
mod metrics;
mod router;

pub use listener::{Limits, Listener};
pub use router::router;
