//! The one dialler: resolver with cache, egress policy, TLS roots, HTTP client, system clock, descriptor budget
