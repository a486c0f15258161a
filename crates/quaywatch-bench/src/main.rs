//! Benchmarks: the bare loops, the acceptor, and the whole server beside them.

mod measure;
mod server;

fn main() {}
