//! The API as a client meets it: through the gate, over operations on a real store.

mod access;
mod accounts;
mod cross_site;
mod document;
mod documents;
mod events;
mod examples;
mod house;
mod invite;
mod kit;
mod lookups;
mod passkeys;
mod past;
mod people;
mod providers;
mod replays;
mod requests;
mod setup;
mod signing_in;
mod words;
