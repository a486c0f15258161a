//! Days of checks in milliseconds: the machine with a bent clock and a made-up network.

mod bulk;
mod fair;
mod health;
mod names;
mod schedule;
mod sharing;
mod sim;
mod time;
mod turns;
