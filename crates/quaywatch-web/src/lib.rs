//! The listener: connections with limits and deadlines, `/metrics`, `/healthz`, `/readyz`; and the [`Gate`] around API
//! and pages, which knows who asks, how often they may, and how a refusal is told.
//!
//! What a page or an endpoint says is not decided here: pages and API are routers that are merged into
//! [`router()`]'s and served by the same [`Listener`].

pub mod cookie;
pub mod problem;

mod client;
mod gate;
mod health;
mod identify;
mod limit;
mod listener;
mod metrics;
mod router;

pub use client::Client;
pub use gate::{Gate, RequestId, Settings, as_if_from};
pub use identify::{Authenticate, Credential, Identified, Recognised};
pub use limit::Rates;
pub use listener::{Limits, Listener};
pub use router::router;
