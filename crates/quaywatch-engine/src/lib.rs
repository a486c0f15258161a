//! Results, judge, step, outbox, delivery; chunks, blocks, retention
