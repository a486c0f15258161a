//! Channels: one file each, pure render, thin deliver
