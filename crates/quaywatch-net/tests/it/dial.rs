//! The dialler: no address is dialled that the policy did not see, and anchors answer or do not.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::egress::{Accounts, EgressPolicy};
use quaywatch_core::{AccountId, Clock, ErrorCode};
use quaywatch_net::{Anchor, DialError, Dialler, Resolver, ResolverConfig, SystemClock, anchor_answers};

use crate::name_server::{NameServer, Say};

const LIMIT: Duration = Duration::from_secs(2);

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// A dialler under `egress` that asks `server`.
pub(crate) fn dialler(server: &NameServer, egress: EgressPolicy) -> Dialler {
    let config = ResolverConfig {
        upstreams: Some(vec![server.address]),
        resolv_conf: "/nonexistent".into(),
        hosts: "/nonexistent".into(),
        descriptors: None,
    };
    Dialler::new(Resolver::new(config, clock()), egress, clock())
}

pub(crate) fn everything() -> EgressPolicy {
    EgressPolicy::default()
}

/// What binds an account that is not the server's own.
pub(crate) fn public_only() -> EgressPolicy {
    EgressPolicy::new(Accounts::Multi, vec![], vec![]).of(AccountId(7))
}

pub(crate) fn names() -> NameServer {
    NameServer::start(|name, _| match name {
        "" => Say::Root,
        "here.test" => Say::Addresses(&["127.0.0.1"], 60),
        // Nobody listens on 127.0.0.9 in these tests.
        "second.test" => Say::Addresses(&["127.0.0.9", "127.0.0.1"], 60),
        "metadata.test" => Say::Addresses(&["169.254.169.254"], 60),
        "mixed.test" => Say::Addresses(&["169.254.169.254", "127.0.0.1"], 60),
        _ => Say::NxDomain,
    })
}

#[tokio::test]
async fn hosts_are_dialled_by_name_and_by_address() {
    let (server, listener) = (names(), TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let port = listener.local_addr().unwrap().port();
    let dialler = dialler(&server, everything());
    for host in ["127.0.0.1", "here.test", "HERE.test.", "second.test", "mixed.test"] {
        let stream = dialler.connect(host, port, LIMIT).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), SocketAddr::from((Ipv4Addr::LOCALHOST, port)), "{host}");
    }
}

#[tokio::test]
async fn a_failure_says_whether_policy_name_or_network_was_the_cause() {
    let (server, listener) = (names(), TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (open, public) = (dialler(&server, everything()), dialler(&server, public_only()));
    for host in ["127.0.0.1", "::ffff:127.0.0.1", "[::1]", "here.test", "mixed.test", "metadata.test"] {
        let error = public.connect(host, port, LIMIT).await.unwrap_err();
        assert!(error.is_policy(), "{host}: {error}");
    }
    for host in ["169.254.169.254", "[::ffff:169.254.169.254]", "metadata.test", "0.0.0.0"] {
        let error = open.connect(host, port, LIMIT).await.unwrap_err();
        assert!(error.is_policy(), "{host}: {error}");
    }
    assert!(listener.accept().is_err(), "something was dialled");

    let error = open.connect("gone.test", port, LIMIT).await.unwrap_err();
    assert!(matches!(error, DialError::Resolve { code: ErrorCode::DnsNxdomain, .. }), "{error}");
    let error = open.connect("127.1", port, LIMIT).await.unwrap_err();
    assert!(matches!(error, DialError::Name { .. }), "{error}");
    drop(listener);
    let error = open.connect("second.test", port, LIMIT).await.unwrap_err();
    assert!(matches!(&error, DialError::Connect(failures) if failures.len() == 2), "{error}");
}

#[tokio::test]
async fn any_answer_of_an_anchor_counts() {
    let server = names();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let open = listener.local_addr().unwrap();
    let closed = {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.local_addr().unwrap()
    };
    for anchor in
        [Anchor::Tcp(open), Anchor::Tcp(closed), Anchor::Resolver(server.address), Anchor::Gateway(closed)]
    {
        assert!(anchor_answers(anchor, &clock(), LIMIT).await, "{anchor:?}");
    }
    server.silence(true);
    let limit = Duration::from_millis(300);
    assert!(!anchor_answers(Anchor::Resolver(server.address), &clock(), limit).await);
}
