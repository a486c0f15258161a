//! The table itself: one arm a code, in the order of the reference.

use super::{Reason, reason};
use crate::code::ErrorCode;

/// The words for an outcome.
#[must_use]
pub const fn of(code: ErrorCode) -> Reason {
    match code {
        ErrorCode::Ok => reason("OK", "The target answered as it should.", ""),

        // Told by the target or a router.
        ErrorCode::TcpRefused => reason(
            "TCP connection refused",
            "The host answers but nothing listens on the port: the service has most likely stopped, or listens on \
             another address.",
            "On {host}: `ss -ltn 'sport = :{port}'`. If nothing is listed, start the service; if it listens on \
             127.0.0.1 only, change its bind address.",
        ),
        ErrorCode::TcpReset => reason(
            "TCP connection reset",
            "The connection was accepted and then torn down: a proxy without a living backend, an access list, or a \
             service that crashes on connect.",
            "Look into the log of whatever listens on {host} port {port}, and behind it if it is a proxy.",
        ),
        ErrorCode::TcpClosedEarly => reason(
            "Connection closed before it answered",
            "The service accepted the connection and closed it without the expected bytes: an access list, a full \
             connection pool, or a service that is shutting down.",
            "Try by hand: `nc -v {host} {port}`. Look into the service's log for the reason of the close.",
        ),
        ErrorCode::TcpBannerMismatch => reason(
            "The answer does not match `expect`",
            "Something listens, but it is another service or another version than expected, or it answers with an \
             error.",
            "Compare the first bytes in the evidence with the monitor's `expect`; by hand: `nc -v {host} {port}`.",
        ),
        ErrorCode::HostUnreachable => reason(
            "Host unreachable",
            "A router on the way says that the host cannot be reached: it is off, or gone from its network.",
            "Is {host} switched on and connected? The evidence names the router that answered.",
        ),
        ErrorCode::NetUnreachable => reason(
            "Network unreachable",
            "A router on the way has no route to the target's network.",
            "Follow the way: `ip route get <address>` here, `traceroute -n -T -p {port} {host}` beyond. The evidence \
             names the router that answered.",
        ),
        ErrorCode::AdminProhibited => reason(
            "Forbidden by a firewall on the way",
            "A firewall rejects the connection and says so (ICMP administratively prohibited).",
            "Allow this watcher's address to reach {host} port {port} on the firewall that the evidence names.",
        ),
        ErrorCode::TcpOpenUnexpected => reason(
            "Port is open but should not be",
            "Something listens where the monitor expects a closed or filtered port: a firewall rule is gone, or a \
             service was started.",
            "On {host}: `ss -ltnp 'sport = :{port}'` shows who listens. Close it, or change `expectation`.",
        ),
        ErrorCode::TcpClosedUnexpected => reason(
            "Port is closed but should be filtered",
            "The host refuses the connection itself where the monitor expects a firewall to drop it: the rule may be \
             gone.",
            "Look at the firewall before {host}, or change `expectation` to `closed`.",
        ),

        // Silence.
        ErrorCode::TcpTimeout => reason(
            "No answer within the timeout",
            "Nothing came back at all: the host is down, a firewall drops the packets, the route is broken, or the \
             service is so busy that its accept queue is full.",
            "Is {host} up? Does a firewall let this watcher through to port {port}? On {host}: `ss -ltn 'sport = \
             :{port}'` shows a full queue as Recv-Q above Send-Q.",
        ),
        ErrorCode::TlsTimeout => reason(
            "TLS handshake timed out",
            "The port accepts connections but does not finish the TLS handshake: an overloaded service, or one that \
             does not speak TLS here.",
            "By hand: `openssl s_client -connect {host}:{port}`.",
        ),
        ErrorCode::HttpTtfbTimeout => reason(
            "No HTTP answer within the timeout",
            "The request was taken but no answer began: the application behind the port hangs or is overloaded.",
            "By hand: `curl -sv -o /dev/null http://{host}:{port}/`. Look at the application, not at the port.",
        ),
        ErrorCode::HttpBodyTimeout => reason(
            "HTTP answer did not end within the timeout",
            "The answer began but did not arrive completely: a slow application, a slow network, or a large body.",
            "By hand: `curl -sv -o /dev/null http://{host}:{port}/`.",
        ),
        ErrorCode::TcpBannerTimeout => reason(
            "Connected, but no answer within the timeout",
            "The connection stands but the expected bytes did not come: the service hangs, or waits for the client to \
             speak first.",
            "Try by hand: `nc -v {host} {port}`. If the service waits for the client, the monitor needs `send`.",
        ),
        ErrorCode::DnsTimeout => reason(
            "The name's own servers do not answer",
            "The resolver works but the name servers of the domain are silent.",
            "`dig +trace {host}` shows which server is silent; ask whoever runs the domain's DNS.",
        ),

        // Names.
        ErrorCode::DnsNxdomain => reason(
            "Host name not found",
            "The name does not exist (NXDOMAIN): a typing error, a deleted record, or an expired domain.",
            "`dig {host}`. Check the spelling and the domain's registration.",
        ),
        ErrorCode::DnsNodata => reason(
            "Host name has no address",
            "The name exists but has no address of the wanted family.",
            "`dig {host} A` and `dig {host} AAAA`; compare with the monitor's `ip_family`.",
        ),
        ErrorCode::DnsCnameBroken => reason(
            "Host name is an alias of nothing",
            "The name is a CNAME whose target has no address: what it pointed to was removed.",
            "`dig {host}` shows the chain; correct or remove the alias.",
        ),
        ErrorCode::DnsServfail => reason(
            "DNS lookup failed (SERVFAIL)",
            "The resolver could not get a valid answer from the domain's name servers: they are broken, or their \
             DNSSEC signatures are.",
            "`dig +trace {host}`, and `dig +cd {host}` to tell a broken signature (works with +cd) from a broken server.",
        ),
        ErrorCode::DnsRefused => reason(
            "DNS lookup refused",
            "The name servers refuse to answer for this domain: the zone was moved or is not served any more.",
            "`dig NS` of the domain, then ask each server: `dig @<server> {host}`.",
        ),
        ErrorCode::DnsBogus => reason(
            "DNS answer fails DNSSEC validation",
            "The domain's signatures do not fit: expired, or the keys were changed without the parent zone.",
            "`delv {host}` names the broken link; the domain's operator must sign again or fix the DS record.",
        ),
        ErrorCode::DnsMismatch => reason(
            "DNS answer is not the expected one",
            "The name resolves to other records than the monitor expects.",
            "`dig {host}`; if the change was intended, change the monitor.",
        ),

        // TLS.
        ErrorCode::TlsNotTls => reason(
            "The port does not speak TLS",
            "The answer to the TLS greeting is not TLS: a plain-text service, or one that begins TLS only on request \
             (STARTTLS).",
            "By hand: `openssl s_client -connect {host}:{port}`, with `-starttls <protocol>` where the service needs it.",
        ),
        ErrorCode::TlsProtocolVersion => reason(
            "No common TLS version",
            "The server speaks only versions that are no longer safe, or only newer ones.",
            "Enable TLS 1.2 or 1.3 on {host} port {port}.",
        ),
        ErrorCode::TlsNoCipher => reason(
            "No common TLS cipher",
            "The server offers only ciphers that are no longer safe.",
            "Enable modern cipher suites (ECDHE with AES-GCM or ChaCha20) on {host} port {port}.",
        ),
        ErrorCode::TlsAlert => reason(
            "The server ended the TLS handshake",
            "The server sent an alert: it wants a client certificate, does not know the name, or is misconfigured.",
            "By hand: `openssl s_client -connect {host}:{port} -servername {host}` shows the alert.",
        ),
        ErrorCode::TlsExpired => reason(
            "Certificate has expired",
            "The certificate was not renewed in time, or the service was not reloaded after it was.",
            "Renew the certificate and reload the service; `openssl s_client -connect {host}:{port} | openssl x509 \
             -noout -dates` shows what is served.",
        ),
        ErrorCode::TlsNotYetValid => reason(
            "Certificate is not valid yet",
            "The certificate begins in the future: the clock of the machine that made it, or this watcher's, is wrong.",
            "Compare clocks; `openssl s_client -connect {host}:{port} | openssl x509 -noout -dates`.",
        ),
        ErrorCode::TlsNameMismatch => reason(
            "Certificate is for another name",
            "The server shows a certificate that does not cover this name: a wrong virtual host, or a missing name.",
            "Add {host} to the certificate, or correct the server's configuration for that name.",
        ),
        ErrorCode::TlsSelfSigned => reason(
            "Certificate is self-signed",
            "The certificate is signed by itself and not by an authority that this watcher trusts.",
            "Install a certificate of a trusted authority, or tell the monitor to trust this one.",
        ),
        ErrorCode::TlsUnknownIssuer => reason(
            "Certificate's issuer is not trusted",
            "The chain ends at an authority that this watcher does not know: often a private one.",
            "Add the authority to the watcher's trust store, or install a certificate of a public authority.",
        ),
        ErrorCode::TlsChainIncomplete => reason(
            "Certificate chain is incomplete",
            "The server does not send its intermediate certificates; browsers often hide that, programs fail.",
            "Configure the full chain (`fullchain.pem`) on {host} port {port}.",
        ),
        ErrorCode::TlsRevoked => reason(
            "Certificate was revoked",
            "The authority has withdrawn the certificate.",
            "Get a new certificate; find out why the old one was revoked.",
        ),
        ErrorCode::TlsChainTooLarge => reason(
            "Certificate chain is too large",
            "The server sends more certificates than any client needs.",
            "Send only the certificate and its intermediates from {host} port {port}.",
        ),

        // HTTP and content.
        ErrorCode::HttpStatus => reason(
            "Unexpected HTTP status",
            "The server answers, but with a status that the monitor does not accept.",
            "By hand: `curl -si http://{host}:{port}/ | head`. 5xx: the application's log; 4xx: the monitor's path \
             and credentials.",
        ),
        ErrorCode::HttpTruncated => reason(
            "HTTP answer was cut off",
            "The connection ended before the announced length: a crashing application or a proxy's limit.",
            "Look into the logs of the application and of the proxies before it.",
        ),
        ErrorCode::HttpBadFraming => reason(
            "Not a valid HTTP answer",
            "The answer breaks the rules of HTTP, or the port speaks another protocol.",
            "By hand: `nc -v {host} {port}`. Is this an HTTP port?",
        ),
        ErrorCode::HttpHeaderTooLarge => reason(
            "HTTP header is too large",
            "The answer's header exceeds what clients accept, mostly because of cookies.",
            "Look at the header's size: `curl -sI http://{host}:{port}/ | wc -c`.",
        ),
        ErrorCode::HttpRedirectLoop => reason(
            "HTTP redirects in a circle",
            "A redirect leads back to where it came from: often http to https and back behind a proxy.",
            "By hand: `curl -sIL http://{host}:{port}/`.",
        ),
        ErrorCode::HttpRedirectLimit => reason(
            "Too many HTTP redirects",
            "The chain of redirects is longer than the monitor follows.",
            "By hand: `curl -sIL http://{host}:{port}/`; let the monitor watch the final address.",
        ),
        ErrorCode::KeywordMissing => reason(
            "Expected text is missing",
            "The page came but does not hold the text that proves that it works.",
            "Compare the answer with the monitor's keyword.",
        ),
        ErrorCode::KeywordForbidden => reason(
            "Forbidden text was found",
            "The page holds a text that stands for an error.",
            "Compare the answer with the monitor's keyword.",
        ),
        ErrorCode::JsonMismatch => reason(
            "JSON answer is not the expected one",
            "A value that the monitor looks at is missing or different.",
            "Compare the answer in the evidence with the monitor's expectation.",
        ),
        ErrorCode::BodyEmpty => reason(
            "Answer is empty",
            "The server answered without any content.",
            "Look into the application's log.",
        ),
        ErrorCode::BannerMismatch => reason(
            "The service's greeting is not the expected one",
            "Another service or another version answers on this port.",
            "By hand: `nc -v {host} {port}`; compare with the monitor's expectation.",
        ),

        // The service's own errors.
        ErrorCode::AuthFailed => reason(
            "Login failed",
            "The service answers but does not accept the monitor's credentials.",
            "Check the monitor's user and secret, and the service's access rules for this watcher.",
        ),
        ErrorCode::ServiceStarting => reason(
            "Service is starting",
            "The service accepts connections but is not ready: start-up, recovery, or loading of data.",
            "Wait, and follow the service's log; if it stays so, the log says what it waits for.",
        ),
        ErrorCode::TooManyConnections => reason(
            "Service has no free connection slot",
            "All connection slots are in use: a leak in a client, a load peak, or a limit that is too low.",
            "List the sessions on {host}, find who holds them, then raise the limit or use a pool.",
        ),
        ErrorCode::ReadOnly => reason(
            "Service is read-only",
            "The service refuses writes: a replica after a failover, a full disk, or a lost quorum.",
            "Check which member is primary, and the disk of {host}.",
        ),
        ErrorCode::QueryFailed => reason(
            "Query failed",
            "The service answered the monitor's query with an error.",
            "Run the query by hand on {host}; the evidence holds the error.",
        ),
        ErrorCode::ProtocolError => reason(
            "The service does not speak the expected protocol",
            "Another service answers on this port, or the service is broken.",
            "By hand: `nc -v {host} {port}`; compare with the monitor's kind.",
        ),

        // Warnings.
        ErrorCode::TcpSlow => reason(
            "TCP connection is slow",
            "The handshake takes longer than `response_time_threshold`: a busy host or network, or a lost packet.",
            "Compare with the monitor's usual latency; `mtr -T -P {port} {host}` shows where time is lost.",
        ),
        ErrorCode::HttpSlow => reason(
            "HTTP answer is slow",
            "The answer takes longer than the threshold.",
            "Look at the application behind {host} port {port}; the phases show where time is lost.",
        ),
        ErrorCode::DnsSlow => reason(
            "DNS lookup is slow",
            "The name takes longer to resolve than the threshold.",
            "`dig {host}` shows the query time; `dig +trace {host}` shows where it is spent.",
        ),
        ErrorCode::DnsPartial => reason(
            "Some of the name's servers fail",
            "Not every name server of the domain answers alike; lookups fail now and then.",
            "Ask each: `dig NS` of the domain, then `dig @<server> {host}`.",
        ),
        ErrorCode::AddressPartial => reason(
            "Some of the addresses do not answer",
            "The name has several addresses and at least one is dead; clients that pick it fail.",
            "The evidence lists every address. Repair the dead one, or take it out of the DNS.",
        ),
        ErrorCode::FamilyPartial => reason(
            "Only one of IPv4 and IPv6 answers",
            "The name has addresses of both families and all of one are dead; clients of that family fail or wait.",
            "Repair that family, or take its records out of the DNS.",
        ),
        ErrorCode::TlsExpiring => reason(
            "Certificate expires soon",
            "Automatic renewal has probably failed.",
            "Renew the certificate and reload the service on {host} port {port}.",
        ),
        ErrorCode::TlsDeprecated => reason(
            "Server allows outdated TLS",
            "The server still accepts versions or ciphers that are no longer safe.",
            "Disable TLS 1.0 and 1.1 and weak ciphers on {host} port {port}.",
        ),

        // The watcher's own fault.
        ErrorCode::SelfNetwork => reason(
            "This watcher has no network",
            "The watcher's own uplink or route is down, so nothing can be said about the target.",
            "On the watcher: `ip route get <address>`, and whether the anchors (gateway, resolvers) answer.",
        ),
        ErrorCode::SelfDns => reason(
            "This watcher's resolver does not answer",
            "No configured resolver answers, so the name could not be looked up and no known address was left.",
            "On the watcher: `dig . NS`, and the resolvers in /etc/resolv.conf or `resolvers:`.",
        ),
        ErrorCode::SelfResource => reason(
            "This watcher is out of resources",
            "No descriptor, port or memory was left for the check.",
            "On the watcher: raise `ulimit -n` (LimitNOFILE=), widen net.ipv4.ip_local_port_range, or spread the \
             checks.",
        ),
        ErrorCode::SelfFirewall => reason(
            "This watcher's own firewall forbids the check",
            "A rule on the watcher itself rejects the connection.",
            "On the watcher: `nft list ruleset`; allow outgoing connections to {host} port {port}.",
        ),
        ErrorCode::SelfClock => reason(
            "This watcher's clock jumped",
            "The clock was set while the check ran, so the result means nothing.",
            "Let the watcher's clock be kept by NTP without steps.",
        ),
        ErrorCode::SelfStall => reason(
            "This watcher was stopped for a while",
            "The machine was suspended, or the process got no CPU, while the check ran.",
            "Look for suspend, live migration, or overload of the watcher's machine.",
        ),
        ErrorCode::SelfOverload => reason(
            "This watcher has more to do than it may",
            "The check was left out twice in a row: too many checks of one target, or too many in all.",
            "Lengthen `check_interval`, or spread monitors over several locations; `/metrics` shows which budget is full.",
        ),
        ErrorCode::SelfStorage => reason(
            "This watcher could not record the result",
            "The watcher's disk is full or does not answer.",
            "On the watcher: `df -h` of the data directory, and the system log for I/O errors.",
        ),
        ErrorCode::AgentOffline => reason(
            "The location's agent is offline",
            "No agent reports from this location, so nothing can be said from there.",
            "Is the agent running, and can it reach the server?",
        ),
        ErrorCode::SelfBlocked => reason(
            "The target shuts this watcher out",
            "The target refuses this watcher for what it did before (failed handshakes, too many connections), and \
             others may still be served.",
            "Unblock the watcher (MySQL: `FLUSH HOSTS`), then use `handshake: half_open` or a check that logs in.",
        ),

        ErrorCode::SelfSecret => reason(
            "This watcher cannot open the secret that the check sends",
            "The key that it was sealed with is gone, or the variable or file that the configuration names is: the \
             target was not asked.",
            "Restore the key file of the data directory (or QUAYWATCH_KEY), or give the monitor its `send_secret` \
             again; the server's log names what is missing.",
        ),

        // Forbidden.
        ErrorCode::PolicyBlocked => reason(
            "Not allowed by this server's egress policy",
            "The address that the name leads to may not be dialled from here: metadata services and addresses that \
             are no hosts never, others by `server.egress`.",
            "An address that should be allowed goes into `server.egress.allow`, as a network. `quaywatch check \
             {host}:{port}` names the rule that applies.",
        ),
    }
}
