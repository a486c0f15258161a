//! The one way out to the network: resolver with cache, egress policy, dialler, HTTP client, TLS roots; and what the
//! whole server must know of its own machine: clock, descriptors, routes and addresses.
//!
//! Resolve → egress policy → connect → TLS is needed by checks, channels and sign-in alike, and forgetting one step
//! once is a hole; so it stands here once. What a check or a notice is, nobody here knows.

pub mod anchor;
pub mod clock;
pub mod descriptors;
pub mod dial;
pub mod http;
mod race;
pub mod resolve;
pub mod routes;

pub use anchor::{Anchor, anchor_answers};
pub use clock::SystemClock;
pub use descriptors::{Descriptors, Permit};
pub use dial::{DialError, Dialler};
pub use resolve::{Answer, Resolver, ResolverConfig};
