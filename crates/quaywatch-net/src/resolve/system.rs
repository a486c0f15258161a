//! What the machine says about names: /etc/resolv.conf and /etc/hosts, read again when they change, so that a
//! container that moves between networks or a VPN that comes up needs no restart.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use quaywatch_core::spec::IpFamily;
use resolv_conf::ScopedIp;

/// The most upstreams that are asked; glibc stops at 3.
const MAX_UPSTREAMS: usize = 8;

/// Both files at one moment.
#[derive(Debug, Default)]
pub(super) struct System {
    pub(super) upstreams: Vec<SocketAddr>,
    pub(super) search: Vec<String>,
    hosts: HashMap<String, Vec<IpAddr>, foldhash::fast::RandomState>,
    stamp: Stamp,
}

/// Tells one version of the files from the next: inode, size and time of change.
#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
pub(super) struct Stamp([Option<(u64, u64, i64, i64)>; 2]);

/// Where the files are.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    pub(super) resolv_conf: PathBuf,
    pub(super) hosts: PathBuf,
}

impl Paths {
    fn stamp(&self) -> Stamp {
        let of = |path: &Path| {
            let meta = fs::metadata(path).ok()?;
            Some((meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()))
        };
        Stamp([of(&self.resolv_conf), of(&self.hosts)])
    }
}

impl System {
    /// Reads both files. What is missing or cannot be read counts as empty, as it does for the C library.
    pub(super) fn read(paths: &Paths) -> Self {
        let stamp = paths.stamp();
        let (conf, errors) =
            resolv_conf::Config::parse_with_errors(&fs::read(&paths.resolv_conf).unwrap_or_default());
        for error in errors {
            tracing::warn!(file = %paths.resolv_conf.display(), %error, "a line of the resolver configuration is ignored");
        }
        let mut upstreams: Vec<SocketAddr> = conf.nameservers.iter().map(socket_address).collect();
        if upstreams.is_empty() {
            // As resolv.conf(5) has it.
            upstreams.push(SocketAddr::from(([127, 0, 0, 1], 53)));
        }
        upstreams.truncate(MAX_UPSTREAMS);
        let search =
            conf.get_last_search_or_domain().filter_map(|domain| quaywatch_core::dns::question(domain).ok());
        let hosts = parse_hosts(&fs::read_to_string(&paths.hosts).unwrap_or_default());
        Self { upstreams, search: search.collect(), hosts, stamp }
    }

    /// The files read again, if they changed.
    pub(super) fn reread(&self, paths: &Paths) -> Option<Self> {
        (paths.stamp() != self.stamp).then(|| Self::read(paths))
    }

    /// Addresses that need no name server: /etc/hosts, and `localhost` (RFC 6761).
    pub(super) fn known(&self, name: &str, family: IpFamily) -> Option<Vec<IpAddr>> {
        let localhost = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])];
        let all: &[IpAddr] = match self.hosts.get(name) {
            Some(addresses) => addresses,
            None if name == "localhost" || name.ends_with(".localhost") => &localhost,
            None => return None,
        };
        let wanted: Vec<IpAddr> = all.iter().copied().filter(|ip| is_of(*ip, family)).collect();
        (!wanted.is_empty()).then_some(wanted)
    }
}

/// Whether an address may be dialled under a family setting.
pub(super) const fn is_of(ip: IpAddr, family: IpFamily) -> bool {
    match family {
        IpFamily::Any => true,
        IpFamily::Ipv4 => ip.is_ipv4(),
        IpFamily::Ipv6 => ip.is_ipv6(),
    }
}

fn socket_address(server: &ScopedIp) -> SocketAddr {
    match server {
        ScopedIp::V4(ip) => SocketAddr::from((*ip, 53)),
        ScopedIp::V6(ip, scope) => {
            let scope = scope.as_deref().map_or(0, |scope| {
                scope.parse().ok().or_else(|| nix::net::if_::if_nametoindex(scope).ok()).unwrap_or(0)
            });
            SocketAddr::V6(SocketAddrV6::new(*ip, 53, 0, scope))
        }
    }
}

fn parse_hosts(text: &str) -> HashMap<String, Vec<IpAddr>, foldhash::fast::RandomState> {
    let mut hosts: HashMap<String, Vec<IpAddr>, _> = HashMap::default();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        // Addresses with a zone (fe80::1%lo0) are not dialled.
        let Some(ip) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else { continue };
        for name in words {
            let addresses = hosts.entry(name.trim_end_matches('.').to_ascii_lowercase()).or_default();
            if !addresses.contains(&ip) {
                addresses.push(ip);
            }
        }
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_and_read_again_when_they_change() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths { resolv_conf: dir.path().join("resolv.conf"), hosts: dir.path().join("hosts") };
        let empty = System::read(&paths);
        assert_eq!(empty.upstreams, ["127.0.0.1:53".parse().unwrap()]);
        assert!(empty.reread(&paths).is_none());

        fs::write(
            &paths.resolv_conf,
            "nameserver 192.0.2.53\nnameserver 2001:db8::53\nsearch Corp.Example. b.example\n",
        )
        .unwrap();
        fs::write(&paths.hosts, "192.0.2.7 db DB.example # the old one\n2001:db8::7 db\nnonsense db\n")
            .unwrap();
        let system = empty.reread(&paths).expect("both files are new");
        assert_eq!(
            system.upstreams,
            ["192.0.2.53:53".parse().unwrap(), "[2001:db8::53]:53".parse().unwrap()]
        );
        assert_eq!(system.search, ["corp.example", "b.example"]);
        let known = |name, family| system.known(name, family).map(|ips| ips.len());
        assert_eq!(known("db", IpFamily::Any), Some(2));
        assert_eq!(known("db", IpFamily::Ipv6), Some(1));
        assert_eq!(known("db.example", IpFamily::Any), Some(1));
        assert_eq!(known("db.example", IpFamily::Ipv6), None);
        assert_eq!(known("localhost", IpFamily::Any), Some(2));
        assert_eq!(known("other", IpFamily::Any), None);
        assert!(system.reread(&paths).is_none());
    }
}
