//! The HTTP client: what arrives, what comes back, and whether a failure came before or after the request went out.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use quaywatch_core::ErrorCode;
use quaywatch_core::egress::EgressPolicy;
use quaywatch_net::http::{
    HeaderMap, HeaderValue, HttpClient, HttpError, HttpErrorKind as Kind, HttpStage as Stage, Limits, Method,
    Request, Response, header, tls,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::dial::{clock, dialler, everything, names, public_only};
use crate::name_server::NameServer;

const LIMITS: Limits =
    Limits { connect: Duration::from_millis(800), total: Duration::from_millis(1_200), body: 4_096 };

/// A server that does `serve` with each connection and passes on what it returns.
fn server<T: Send + 'static>(serve: impl Fn(TcpStream) -> T + Send + 'static) -> (SocketAddr, Receiver<T>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            // Not every test wants to know.
            let _ = sender.send(serve(stream));
        }
    });
    (address, receiver)
}

/// Reads a request with its body.
fn read_request(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text.into_owned();
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return String::from_utf8_lossy(&bytes).into_owned(),
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
        }
    }
}

fn reset(stream: &TcpStream) {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
}

fn client(names: &NameServer, egress: EgressPolicy, roots: RootCertStore) -> HttpClient {
    HttpClient::new(dialler(names, egress), tls::client_config(roots), clock())
}

async fn send(egress: EgressPolicy, url: &str) -> Result<Response, HttpError> {
    send_trusting(RootCertStore::empty(), egress, url).await
}

async fn send_trusting(roots: RootCertStore, egress: EgressPolicy, url: &str) -> Result<Response, HttpError> {
    let names = names();
    let mut headers = HeaderMap::new();
    headers.insert(header::USER_AGENT, HeaderValue::from_static("Quaywatch/test"));
    let request =
        Request { method: Method::POST, url: url.parse().unwrap(), headers, body: "{\"a\":1}".into() };
    client(&names, egress, roots).send(request, LIMITS).await
}

fn failure(result: Result<Response, HttpError>) -> (Stage, Kind) {
    let error = result.unwrap_err();
    assert!(!error.text.contains("token"), "{}", error.text);
    (error.stage, error.kind)
}

#[tokio::test]
async fn a_request_arrives_and_its_answer_comes_back() {
    let (address, requests) = server(|mut stream| {
        let request = read_request(&mut stream);
        stream
            .write_all(b"HTTP/1.1 202 Accepted\r\nretry-after: 7\r\ncontent-length: 5\r\n\r\nhello")
            .unwrap();
        request
    });
    let response =
        send(everything(), &format!("http://here.test:{}/hook/token?x=1", address.port())).await.unwrap();
    assert_eq!(
        (response.status.as_u16(), &response.body[..], response.body_cut),
        (202, &b"hello"[..], false)
    );
    assert_eq!(response.headers[header::RETRY_AFTER], "7");
    let request = requests.recv().unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "{\"a\":1}");
    let mut lines: Vec<&str> = head.lines().collect();
    assert_eq!(lines.remove(0), "POST /hook/token?x=1 HTTP/1.1");
    lines.sort_unstable();
    let host = format!("host: here.test:{}", address.port());
    assert_eq!(
        lines,
        ["connection: close", "content-length: 7", host.as_str(), "user-agent: Quaywatch/test"]
    );
}

#[tokio::test]
async fn redirects_are_answers() {
    let (address, _) = server(|mut stream| {
        read_request(&mut stream);
        stream
            .write_all(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
    });
    let response = send(everything(), &format!("http://{address}/")).await.unwrap();
    assert_eq!(response.status.as_u16(), 302);
}

#[tokio::test]
async fn only_the_beginning_of_a_large_or_endless_body_is_read() {
    let (large, _) = server(|mut stream| {
        read_request(&mut stream);
        let body = vec![b'x'; 1_000_000];
        let _ =
            stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes());
        let _ = stream.write_all(&body);
    });
    let response = send(everything(), &format!("http://{large}/")).await.unwrap();
    assert_eq!((response.status.as_u16(), response.body.len(), response.body_cut), (200, 4_096, true));

    // The status stands although the body never ends.
    let (hanging, _) = server(|mut stream| {
        read_request(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").unwrap();
        stream.read(&mut [0; 1]).unwrap_or(0)
    });
    let response = send(everything(), &format!("http://{hanging}/")).await.unwrap();
    assert_eq!((response.status.as_u16(), &response.body[..], response.body_cut), (200, &b"half"[..], true));
}

#[tokio::test]
async fn a_failure_tells_whether_the_request_had_gone_out() {
    let (hangs, _) = server(|mut stream| stream.read_to_end(&mut Vec::new()).unwrap_or(0));
    let (resets, _) = server(|mut stream| {
        read_request(&mut stream);
        reset(&stream);
    });
    let (closes, _) = server(|mut stream| drop(read_request(&mut stream)));
    let (babbles, _) = server(|mut stream| {
        read_request(&mut stream);
        stream.write_all(b"220 mail.example ESMTP\r\n").unwrap();
        stream.read(&mut [0; 1]).unwrap_or(0)
    });
    let (greets, _) = server(|mut stream| {
        stream.write_all(b"220 mail.example ESMTP\r\n").unwrap();
        stream.read(&mut [0; 512]).unwrap_or(0)
    });
    let (resets_at_once, _) = server(|stream| reset(&stream));
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let table = [
        (format!("http://{hangs}/token"), Stage::AfterRequest, Kind::Timeout),
        (format!("http://{resets}/token"), Stage::AfterRequest, Kind::Closed),
        (format!("http://{closes}/token"), Stage::AfterRequest, Kind::Closed),
        (format!("http://{babbles}/token"), Stage::AfterRequest, Kind::Protocol),
        (format!("http://{gone}/token"), Stage::BeforeRequest, Kind::Connect),
        (format!("https://{hangs}/token"), Stage::BeforeRequest, Kind::Timeout),
        (format!("https://{resets_at_once}/token"), Stage::BeforeRequest, Kind::Tls),
        (format!("https://{greets}/token"), Stage::BeforeRequest, Kind::Tls),
        ("http://gone.test/token".into(), Stage::BeforeRequest, Kind::Resolve(ErrorCode::DnsNxdomain)),
        ("ftp://here.test/token".into(), Stage::BeforeRequest, Kind::Url),
        ("http://user:token@here.test/".into(), Stage::BeforeRequest, Kind::Url),
    ];
    for (url, stage, kind) in table {
        assert_eq!(failure(send(everything(), &url).await), (stage, kind), "{url}");
    }
}

#[tokio::test]
async fn no_spelling_of_a_forbidden_address_is_dialled() {
    let (address, connections) = server(|_| ());
    let port = address.port();
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "127.1",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "here.test",
        "HERE.test",
        "mixed.test",
    ] {
        let url = format!("http://{host}:{port}/token");
        assert_eq!(failure(send(public_only(), &url).await), (Stage::BeforeRequest, Kind::Policy), "{host}");
    }
    for host in ["169.254.169.254", "2852039166", "[::ffff:a9fe:a9fe]", "metadata.test"] {
        let url = format!("http://{host}:{port}/token");
        assert_eq!(failure(send(everything(), &url).await), (Stage::BeforeRequest, Kind::Policy), "{host}");
    }
    assert!(connections.try_recv().is_err(), "something was dialled");
}

/// A private authority, and a server for `name` under it.
fn tls_server(name: &str) -> (SocketAddr, RootCertStore) {
    let mut authority = CertificateParams::new(vec![]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let config = Arc::new(config);
    let (address, _) = server(move |stream| {
        let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
        if !read_request(&mut stream).is_empty() {
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    (address, roots)
}

#[tokio::test]
async fn tls_is_spoken_with_servers_that_can_be_trusted_only() {
    let (address, roots) = tls_server("here.test");
    let url = format!("https://here.test:{}/", address.port());
    let response = send_trusting(roots.clone(), everything(), &url).await.unwrap();
    assert_eq!((response.status.as_u16(), response.body_cut), (204, false));
    // Nobody vouches for it.
    assert_eq!(failure(send(everything(), &url).await), (Stage::BeforeRequest, Kind::Tls));
    // Somebody vouches for another name.
    let (address, roots) = tls_server("other.test");
    let url = format!("https://here.test:{}/", address.port());
    assert_eq!(failure(send_trusting(roots, everything(), &url).await), (Stage::BeforeRequest, Kind::Tls));
}

#[test]
fn there_are_always_roots_to_trust() {
    assert!(!tls::roots().is_empty());
}
