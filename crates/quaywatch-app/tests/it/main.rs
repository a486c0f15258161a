//! A whole server in this process, with several accounts: what one may not reach of the network, and of the others' time.

mod egress;
mod fairness;
