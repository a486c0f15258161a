//! The network crate against servers of the tests' own, on loopback and in namespaces of their own.

#![expect(clippy::unwrap_used, reason = "a step of a test that fails ends the test")]

mod dial;
mod http;
mod name_server;
mod network;
mod resolve;
mod support;
