//! The judge from outside: rules by example, and random sequences against a simpler judge.

mod kit;
mod model;
mod random;
mod rules;
mod speed;
