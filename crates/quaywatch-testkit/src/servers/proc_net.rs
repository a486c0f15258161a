//! Whether a port is open, from the kernel's table instead of by connecting: a server would count that.

use std::net::{IpAddr, SocketAddr};

/// State `LISTEN` in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// Whether something in the calling thread's network namespace listens at exactly this address.
pub(super) fn listens(address: SocketAddr) -> bool {
    let (table, wanted) = match address.ip() {
        IpAddr::V4(ip) => ("tcp", hex(&ip.octets())),
        IpAddr::V6(ip) => ("tcp6", hex(&ip.octets())),
    };
    let wanted = format!("{wanted}:{:04X}", address.port());
    let text = std::fs::read_to_string(format!("/proc/thread-self/net/{table}")).unwrap_or_default();
    text.lines().skip(1).any(|line| {
        let mut words = line.split_whitespace().skip(1);
        words.next() == Some(&wanted) && words.nth(1) == Some(LISTEN)
    })
}

/// The kernel prints addresses as words of four bytes in the machine's own order.
fn hex(octets: &[u8]) -> String {
    octets
        .chunks_exact(4)
        .map(|word| format!("{:08X}", u32::from_ne_bytes([word[0], word[1], word[2], word[3]])))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;
    use crate::wait;

    #[test]
    fn a_port_is_open_while_somebody_listens() {
        for ip in ["127.0.0.1", "::1"] {
            let listener = TcpListener::bind((ip, 0)).expect("bound");
            let address = listener.local_addr().expect("bound");
            assert!(listens(address));
            drop(listener);
            // A child that another test is just starting holds it for a moment, until it is another program.
            wait::until("the port is closed", Duration::from_secs(5), || !listens(address));
        }
    }
}
