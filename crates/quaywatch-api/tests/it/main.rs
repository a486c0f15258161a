//! The API as a client meets it: through the gate, over operations on a real store.

mod access;
mod document;
mod events;
mod examples;
mod kit;
mod people;
mod requests;
mod setup;
