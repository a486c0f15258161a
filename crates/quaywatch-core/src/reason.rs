//! Words for people, for every outcome.
