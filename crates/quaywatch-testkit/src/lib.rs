//! What tests need around the product: a clock that obeys, networks of their own, servers that can be broken.
//!
//! Everything here cleans up after itself when dropped, takes free ports and names of its own, and talks to loopback
//! and to namespaces that it made, never to anything else.

pub mod clock;
pub mod device;
pub mod netns;
pub mod port;
pub mod process;
pub mod provider;
pub mod random;
pub mod servers;
pub mod sink;
pub mod wait;
pub mod world;
