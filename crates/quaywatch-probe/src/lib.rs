//! How a port is looked at: half-open and full connects on threads of their own, dialogues on tokio.
//!
//! [`Bulk`] runs plain connects, ten thousand a second and more: it must close within milliseconds of the SYN-ACK,
//! which a runtime that also renders pages cannot promise. [`Dialogue`] runs the few checks that talk. Both yield a
//! [`Report`], and both make it from the same three sources: the kernel's view of the connection, the socket's error
//! queue, and the errno, in this order of belief. What was seen is data, failure included; nothing here decides what
//! it means for a monitor, resolves a name or asks a policy.

pub mod bulk;
pub mod dial;
pub mod dialogue;

mod half_open;
mod outcome;
mod own;
mod socket;
mod sys;

pub use bulk::{Bulk, BulkConfig, BulkStats};
pub use dial::{Dial, Report};
pub use dialogue::{CompiledPattern, Dialogue};
pub use half_open::half_open_works;
