//! The API as a client meets it: through the gate, over operations on a real store.

mod access;
mod accounts;
mod document;
mod events;
mod examples;
mod kit;
mod lookups;
mod past;
mod people;
mod replays;
mod requests;
mod setup;
mod words;
