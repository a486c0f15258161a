//! Who is at the other end: the address, and whether the browser came over HTTPS. Behind a proxy both are what it says,
//! but only where the file names it under `trusted_proxies`: anybody can send `X-Forwarded-For`.

use std::net::IpAddr;

use axum::http::HeaderMap;
use quaywatch_core::egress::Network;

/// The other end of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The client's address: the proxy's own where the proxy is not trusted.
    pub address: IpAddr,
    /// Whether it came over HTTPS.
    pub secure: bool,
}

/// Who is at the other end of a request that arrived from `peer`.
pub(crate) fn of(peer: IpAddr, headers: &HeaderMap, trusted: &[Network], always_secure: bool) -> Client {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address.to_canonical()));
    if !is_trusted(peer) {
        return Client { address: peer, secure: always_secure };
    }
    let forwarded = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = forwarded.flat_map(|value| value.split(',')).collect();
    // From the right: the first that no trusted proxy is; what stands further left anybody may have written.
    let mut address = peer;
    for hop in hops.into_iter().rev() {
        let Some(hop) = address_of(hop) else { break };
        address = hop.to_canonical();
        if !is_trusted(address) {
            break;
        }
    }
    let proto = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok());
    let secure = always_secure || proto.is_some_and(|proto| proto.trim().eq_ignore_ascii_case("https"));
    Client { address, secure }
}

/// `192.0.2.1`, `192.0.2.1:1234`, `2001:db8::1` or `[2001:db8::1]:1234`.
fn address_of(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    hop.parse()
        .ok()
        .or_else(|| hop.parse::<std::net::SocketAddr>().ok().map(|address| address.ip()))
        .or_else(|| hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (k.parse().expect("a name"), v.parse().expect("a value"))).collect()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_as_far_as_it_saw() {
        let trusted = ["10.0.0.0/8".parse().expect("a network")];
        let told = headers(&[
            ("x-forwarded-for", "203.0.113.9, 198.51.100.7, 10.0.0.3"),
            ("x-forwarded-proto", "https"),
        ]);
        let proxy: IpAddr = "10.0.0.2".parse().expect("literal");
        let stranger: IpAddr = "198.51.100.99".parse().expect("literal");
        let behind = of(proxy, &told, &trusted, false);
        assert_eq!((behind.address.to_string().as_str(), behind.secure), ("198.51.100.7", true));
        assert_eq!(of(stranger, &told, &trusted, false), Client { address: stranger, secure: false });
        let none = headers(&[]);
        assert_eq!(of(proxy, &none, &trusted, true), Client { address: proxy, secure: true });
    }

    #[test]
    fn hops_are_read_in_every_spelling() {
        for hop in ["192.0.2.1", " 192.0.2.1:80", "[2001:db8::1]:80", "2001:db8::1", "[2001:db8::1]"] {
            assert!(address_of(hop).is_some(), "{hop}");
        }
        assert!(address_of("unknown").is_none());
    }
}
