//! Everything a person can do, as plain functions; configuration: read, check, diff, write
