//! Ports that have a name: the sixteen presets that forms, pages and API offer first, and a wider table by which a
//! port can be written as a word (`port: postgresql`) and shown as one.
//!
//! The table is about TCP. What it says about who speaks first and how TLS begins is for display and for later check
//! kinds; a plain TCP check needs neither.

/// Who sends the first byte on a fresh connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum First {
    /// The server greets.
    Server,
    /// The client asks.
    Client,
    /// Both may begin.
    Both,
}

impl First {
    /// As a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
            Self::Both => "both",
        }
    }
}

/// How TLS comes about on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tls {
    /// It does not, or nobody uses it.
    None,
    /// From the first byte.
    Implicit,
    /// From the first byte on servers that are set up so.
    Optional,
    /// After a request in the service's own protocol, named here.
    Upgrade(&'static str),
}

impl Tls {
    /// In words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "–",
            Self::Implicit => "implicit",
            Self::Optional => "implicit, where set up",
            Self::Upgrade(how) => how,
        }
    }
}

/// One known service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    /// Its port.
    pub port: u16,
    /// The word for `port:`; lower case, unique.
    pub name: &'static str,
    /// Other words for it.
    pub aliases: &'static [&'static str],
    /// What people call it.
    pub label: &'static str,
    /// Who speaks first.
    pub first: First,
    /// How TLS begins.
    pub tls: Tls,
    /// What stops when it is down; empty where nothing general can be said.
    pub impact: &'static str,
}

/// One of the sixteen that are offered first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// Its port.
    pub port: u16,
    /// Its label, letter by letter.
    pub label: &'static str,
}

const fn preset(port: u16, label: &'static str) -> Preset {
    Preset { port, label }
}

/// The presets, in the order in which they are offered.
pub const PRESETS: [Preset; 16] = [
    preset(21, "FTP"),
    preset(22, "SSH"),
    preset(25, "SMTP"),
    preset(53, "DNS"),
    preset(80, "HTTP"),
    preset(443, "HTTPS"),
    preset(587, "SMTP (TLS)"),
    preset(993, "IMAP (SSL)"),
    preset(995, "POP3 (SSL)"),
    preset(3306, "MySQL"),
    preset(4222, "NATS"),
    preset(5432, "PostgreSQL"),
    preset(5672, "RabbitMQ"),
    preset(6379, "Redis"),
    preset(8080, "HTTP Alt"),
    preset(27017, "MongoDB"),
];

/// Sets of services that are watched together, for `preset:`.
pub const SETS: &[(&str, &[u16])] = &[
    ("common", &[21, 22, 25, 53, 80, 443, 587, 993, 995, 3306, 4222, 5432, 5672, 6379, 8080, 27017]),
    ("databases", &[1433, 1521, 3306, 5432, 6379, 27017]),
    ("mail", &[25, 465, 587, 110, 995, 143, 993]),
    ("queues", &[4222, 5672, 9092]),
    ("web", &[80, 443]),
];

const fn service(
    port: u16,
    name: &'static str,
    aliases: &'static [&'static str],
    label: &'static str,
    first: First,
    tls: Tls,
) -> Service {
    Service { port, name, aliases, label, first, tls, impact: "" }
}

const fn with_impact(service: Service, impact: &'static str) -> Service {
    Service { impact, ..service }
}

use First::{Both, Client, Server};
use Tls::{Implicit, None as Plain, Optional, Upgrade};

/// Every known service, by port; the first of a port is the one that a bare number is shown as.
pub const SERVICES: &[Service] = &[
    service(7, "echo", &[], "Echo", Client, Plain),
    service(13, "daytime", &[], "Daytime", Server, Plain),
    service(21, "ftp", &[], "FTP", Server, Upgrade("AUTH TLS")),
    with_impact(
        service(22, "ssh", &["sftp", "scp"], "SSH", Both, Plain),
        "Nobody can log in: administration, deployments and SFTP transfers stop.",
    ),
    service(23, "telnet", &[], "Telnet", Both, Plain),
    with_impact(
        service(25, "smtp", &["mail"], "SMTP", Server, Upgrade("STARTTLS")),
        "Mail is neither received nor relayed; password resets and confirmations vanish.",
    ),
    service(37, "time", &[], "Time", Server, Plain),
    service(43, "whois", &[], "WHOIS", Client, Plain),
    service(49, "tacacs", &["tacacs+"], "TACACS+", Client, Plain),
    with_impact(
        service(53, "dns", &["domain"], "DNS", Client, Plain),
        "Large answers and zone transfers fail; most queries use UDP and may still work.",
    ),
    service(70, "gopher", &[], "Gopher", Client, Plain),
    service(79, "finger", &[], "Finger", Client, Plain),
    with_impact(
        service(80, "http", &["www"], "HTTP", Client, Plain),
        "Plain web requests fail, and redirects to HTTPS with them.",
    ),
    service(88, "kerberos", &[], "Kerberos", Client, Plain),
    service(102, "iso-tsap", &["s7"], "ISO-TSAP, S7", Client, Plain),
    service(110, "pop3", &["pop"], "POP3", Server, Upgrade("STLS")),
    service(111, "rpcbind", &["portmapper", "sunrpc"], "RPC portmapper", Client, Plain),
    service(113, "ident", &["auth"], "Ident", Client, Plain),
    service(119, "nntp", &[], "NNTP", Server, Upgrade("STARTTLS")),
    service(135, "msrpc", &["epmap"], "Microsoft RPC", Client, Plain),
    service(139, "netbios-ssn", &["netbios"], "NetBIOS session", Client, Plain),
    service(143, "imap", &["imap2"], "IMAP", Server, Upgrade("STARTTLS")),
    service(179, "bgp", &[], "BGP", Both, Plain),
    service(194, "irc", &[], "IRC", Client, Plain),
    service(389, "ldap", &[], "LDAP", Client, Upgrade("StartTLS")),
    service(427, "slp", &["svrloc"], "SLP", Client, Plain),
    with_impact(
        service(443, "https", &[], "HTTPS", Client, Implicit),
        "Web pages and APIs cannot be reached.",
    ),
    service(445, "smb", &["microsoft-ds", "cifs"], "SMB", Client, Plain),
    with_impact(
        service(465, "submissions", &["smtps"], "SMTP submission (TLS)", Server, Implicit),
        "Programs cannot hand in mail: password resets and confirmations vanish.",
    ),
    service(502, "modbus", &[], "Modbus", Client, Plain),
    service(515, "printer", &["lpd"], "LPD printing", Client, Plain),
    service(548, "afp", &[], "AFP", Client, Plain),
    service(554, "rtsp", &[], "RTSP", Client, Plain),
    service(563, "nntps", &[], "NNTP (TLS)", Server, Implicit),
    with_impact(
        service(587, "submission", &["smtp-tls"], "SMTP (TLS)", Server, Upgrade("STARTTLS")),
        "Programs cannot hand in mail: password resets and confirmations vanish.",
    ),
    service(631, "ipp", &["cups"], "IPP, CUPS", Client, Upgrade("HTTP Upgrade")),
    service(636, "ldaps", &[], "LDAP (TLS)", Client, Implicit),
    service(646, "ldp", &[], "LDP", Client, Plain),
    service(853, "dns-tls", &["dot", "domain-s"], "DNS over TLS", Client, Implicit),
    service(873, "rsync", &[], "rsync", Server, Plain),
    service(902, "vmware-auth", &["vmware"], "VMware console", Server, Upgrade("after the banner")),
    service(989, "ftps-data", &[], "FTP data (TLS)", Client, Implicit),
    service(990, "ftps", &[], "FTP (TLS)", Server, Implicit),
    service(992, "telnets", &[], "Telnet (TLS)", Both, Implicit),
    with_impact(
        service(993, "imaps", &[], "IMAP (SSL)", Server, Implicit),
        "Mail programs cannot read mailboxes.",
    ),
    with_impact(
        service(995, "pop3s", &["pops"], "POP3 (SSL)", Server, Implicit),
        "Mail programs cannot fetch mail.",
    ),
    service(1080, "socks", &["socks5"], "SOCKS proxy", Client, Plain),
    service(1194, "openvpn", &[], "OpenVPN (usually UDP)", Client, Plain),
    with_impact(
        service(1433, "mssql", &["sqlserver", "ms-sql-s"], "SQL Server", Client, Upgrade("inside TDS")),
        "Every request that needs the database fails.",
    ),
    with_impact(
        service(1521, "oracle", &["oracle-tns"], "Oracle Database", Client, Plain),
        "Every request that needs the database fails.",
    ),
    service(1723, "pptp", &[], "PPTP", Client, Plain),
    service(1883, "mqtt", &["mosquitto"], "MQTT", Client, Plain),
    service(1935, "rtmp", &[], "RTMP", Client, Plain),
    service(2049, "nfs", &[], "NFS", Client, Plain),
    service(2181, "zookeeper", &[], "ZooKeeper", Client, Plain),
    service(2222, "ssh-alt", &[], "SSH (alternative port)", Both, Plain),
    service(2375, "docker", &[], "Docker API (without TLS)", Client, Plain),
    service(2376, "docker-tls", &["dockers"], "Docker API (TLS)", Client, Implicit),
    service(2379, "etcd", &["etcd-client"], "etcd", Client, Optional),
    service(2380, "etcd-peer", &["etcd-server"], "etcd peers", Client, Optional),
    service(2484, "oracle-tls", &["tcps"], "Oracle Database (TLS)", Client, Implicit),
    service(3000, "grafana", &[], "Grafana", Client, Optional),
    service(3128, "squid", &["http-proxy"], "HTTP proxy", Client, Plain),
    service(3260, "iscsi", &[], "iSCSI", Client, Plain),
    service(3268, "gc-ldap", &["globalcatalog"], "Global Catalog", Client, Upgrade("StartTLS")),
    service(3269, "gc-ldaps", &[], "Global Catalog (TLS)", Client, Implicit),
    with_impact(
        service(3306, "mysql", &["mariadb"], "MySQL", Server, Upgrade("SSLRequest after the greeting")),
        "Reads and writes fail: every request that needs the database answers with an error.",
    ),
    service(3389, "rdp", &["ms-wbt-server"], "Remote Desktop", Client, Upgrade("after X.224")),
    service(3478, "stun", &["turn"], "STUN, TURN", Client, Plain),
    service(3690, "svn", &["subversion"], "Subversion", Server, Plain),
    with_impact(
        service(4222, "nats", &[], "NATS", Server, Upgrade("after INFO")),
        "Messages are neither published nor delivered; jobs stop silently.",
    ),
    service(4369, "epmd", &[], "Erlang port mapper", Client, Plain),
    service(5000, "registry", &["docker-registry"], "Container registry", Client, Optional),
    service(5060, "sip", &[], "SIP", Client, Plain),
    service(5061, "sips", &["sip-tls"], "SIP (TLS)", Client, Implicit),
    service(5201, "iperf3", &["iperf"], "iperf3", Client, Plain),
    service(5222, "xmpp", &["xmpp-client", "jabber"], "XMPP", Client, Upgrade("STARTTLS")),
    service(5269, "xmpp-server", &[], "XMPP between servers", Client, Upgrade("STARTTLS")),
    with_impact(
        service(
            5432,
            "postgresql",
            &["postgres", "pgsql", "pg"],
            "PostgreSQL",
            Client,
            Upgrade("SSLRequest"),
        ),
        "Nearly every request that needs the database answers with an error.",
    ),
    service(5601, "kibana", &[], "Kibana", Client, Optional),
    service(5666, "nrpe", &[], "NRPE", Client, Optional),
    service(5671, "amqps", &[], "AMQP (TLS)", Client, Implicit),
    with_impact(
        service(5672, "rabbitmq", &["amqp"], "RabbitMQ", Client, Plain),
        "The front end looks fine while background jobs stop silently.",
    ),
    service(5900, "vnc", &["rfb"], "VNC", Server, Plain),
    service(5984, "couchdb", &[], "CouchDB", Client, Plain),
    service(5985, "winrm", &[], "WinRM", Client, Plain),
    service(5986, "winrms", &["winrm-tls"], "WinRM (TLS)", Client, Implicit),
    service(6379, "redis", &["valkey", "keydb"], "Redis", Client, Optional),
    service(6432, "pgbouncer", &[], "PgBouncer", Client, Upgrade("SSLRequest")),
    service(6443, "kubernetes", &["k8s", "kube-apiserver"], "Kubernetes API", Client, Implicit),
    service(6514, "syslog-tls", &[], "Syslog (TLS)", Client, Implicit),
    service(6667, "ircd", &[], "IRC", Client, Plain),
    service(6697, "ircs", &[], "IRC (TLS)", Client, Implicit),
    service(7000, "cassandra-peer", &[], "Cassandra nodes", Client, Plain),
    service(7687, "neo4j", &["bolt"], "Neo4j (Bolt)", Client, Optional),
    service(8080, "http-alt", &["tomcat", "webcache"], "HTTP Alt", Client, Plain),
    service(8086, "influxdb", &[], "InfluxDB", Client, Optional),
    service(8123, "clickhouse-http", &[], "ClickHouse (HTTP)", Client, Plain),
    service(8200, "vault", &[], "Vault", Client, Optional),
    service(8291, "winbox", &[], "MikroTik Winbox", Client, Plain),
    service(8443, "https-alt", &[], "HTTPS Alt", Client, Implicit),
    service(8500, "consul", &[], "Consul", Client, Plain),
    service(8883, "mqtts", &["secure-mqtt"], "MQTT (TLS)", Client, Implicit),
    service(8983, "solr", &[], "Solr", Client, Plain),
    service(9000, "clickhouse", &[], "ClickHouse", Client, Plain),
    service(9042, "cassandra", &["cql", "scylladb"], "Cassandra", Client, Optional),
    service(9090, "prometheus", &[], "Prometheus", Client, Optional),
    with_impact(
        service(9092, "kafka", &[], "Kafka", Client, Optional),
        "The front end looks fine while events and background jobs stop silently.",
    ),
    service(9093, "alertmanager", &[], "Alertmanager", Client, Optional),
    service(9100, "node-exporter", &[], "Node exporter", Client, Optional),
    with_impact(
        service(
            9200,
            "elasticsearch",
            &["opensearch", "elastic"],
            "Elasticsearch, OpenSearch",
            Client,
            Optional,
        ),
        "Searches fail, and writes to the index with them.",
    ),
    service(9300, "elasticsearch-peer", &[], "Elasticsearch nodes", Client, Optional),
    service(9418, "git", &[], "Git", Client, Plain),
    service(9440, "clickhouse-tls", &[], "ClickHouse (TLS)", Client, Implicit),
    service(10050, "zabbix-agent", &["zabbix"], "Zabbix agent", Client, Plain),
    service(10051, "zabbix-server", &["zabbix-trapper"], "Zabbix server", Client, Plain),
    service(10250, "kubelet", &[], "Kubelet", Client, Implicit),
    with_impact(
        service(11211, "memcached", &["memcache"], "Memcached", Client, Plain),
        "The cache is gone: everything falls through to the database.",
    ),
    service(15672, "rabbitmq-management", &[], "RabbitMQ management", Client, Plain),
    service(25565, "minecraft", &[], "Minecraft", Client, Plain),
    service(26257, "cockroachdb", &["cockroach"], "CockroachDB", Client, Upgrade("SSLRequest")),
    service(26379, "redis-sentinel", &["sentinel"], "Redis Sentinel", Client, Optional),
    with_impact(
        service(27017, "mongodb", &["mongo"], "MongoDB", Client, Optional),
        "The member is down: reads and writes that need it fail.",
    ),
    service(33060, "mysqlx", &[], "MySQL X Protocol", Client, Upgrade("inside the protocol")),
    service(50000, "db2", &[], "Db2", Client, Plain),
    service(50051, "grpc", &[], "gRPC", Client, Optional),
    service(61616, "activemq", &["artemis", "openwire"], "ActiveMQ", Server, Plain),
];

/// The service that a bare port number is shown as.
#[must_use]
pub fn by_port(port: u16) -> Option<&'static Service> {
    SERVICES.binary_search_by_key(&port, |s| s.port).ok().map(|i| &SERVICES[i])
}

/// The service of that name or alias; case does not matter.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Service> {
    SERVICES.iter().find(|service| service.names().any(|known| known.eq_ignore_ascii_case(name)))
}

/// The service that was probably meant by an unknown name.
#[must_use]
pub fn similar(name: &str) -> Option<&'static Service> {
    similar_name(name).and_then(by_name)
}

/// The name or alias that was probably meant by an unknown one.
#[must_use]
pub fn similar_name(name: &str) -> Option<&'static str> {
    crate::doc::closest(&name.to_ascii_lowercase(), SERVICES.iter().flat_map(Service::names))
}

/// The ports of a set (`mail`, `web`, …).
#[must_use]
pub fn set(name: &str) -> Option<&'static [u16]> {
    SETS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, ports)| *ports)
}

impl Service {
    /// Its name and aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t11_t12_the_sixteen_presets_stand_letter_by_letter() {
        let shown: Vec<String> = PRESETS.iter().map(|p| format!("{} {}", p.port, p.label)).collect();
        assert_eq!(
            shown.join(", "),
            "21 FTP, 22 SSH, 25 SMTP, 53 DNS, 80 HTTP, 443 HTTPS, 587 SMTP (TLS), 993 IMAP (SSL), 995 POP3 (SSL), \
             3306 MySQL, 4222 NATS, 5432 PostgreSQL, 5672 RabbitMQ, 6379 Redis, 8080 HTTP Alt, 27017 MongoDB"
        );
        for preset in PRESETS {
            assert_eq!(by_port(preset.port).map(|s| s.label), Some(preset.label));
        }
        assert_eq!(set("common").map(<[u16]>::to_vec), Some(PRESETS.iter().map(|p| p.port).collect()));
    }

    #[test]
    fn the_table_is_sorted_and_its_names_are_unique() {
        assert!(SERVICES.len() >= 80, "{}", SERVICES.len());
        assert!(SERVICES.windows(2).all(|pair| pair[0].port < pair[1].port));
        let mut names: Vec<&str> = SERVICES.iter().flat_map(Service::names).collect();
        let all = names.len();
        assert!(
            names
                .iter()
                .all(|n| n.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-+".contains(c)))
        );
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        for (_, ports) in SETS {
            assert!(ports.iter().all(|port| by_port(*port).is_some()));
        }
    }

    #[test]
    fn services_are_found_by_number_name_and_alias() {
        assert_eq!(by_name("postgresql").map(|s| s.port), Some(5432));
        assert_eq!(by_name("Postgres").map(|s| s.port), Some(5432));
        assert_eq!(by_port(6379).map(|s| s.name), Some("redis"));
        assert_eq!(by_port(6380), None);
        assert_eq!(similar("postgress").map(|s| s.port), Some(5432));
        assert_eq!(similar("zzzzzzzz"), None);
    }
}
