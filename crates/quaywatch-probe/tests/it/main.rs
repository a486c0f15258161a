//! Kernel-level tests of the probers: real sockets on loopback and in network namespaces of the tests' own.

mod answers;
mod dialogue;
mod harm;
mod loopback;
mod own_fault;
mod reuse;
mod watcher;
mod wire;
