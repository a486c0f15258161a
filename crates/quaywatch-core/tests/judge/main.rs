//! The judge from outside: rules by example, and random sequences against a simpler judge.

#![expect(clippy::wildcard_enum_match_arm, reason = "these tests pick the variants they are about")]

mod kit;
mod model;
mod random;
mod rules;
mod speed;
