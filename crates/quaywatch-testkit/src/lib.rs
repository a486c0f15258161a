//! Manual clock, seeded randomness, network namespaces, fake name servers, real servers for tests
