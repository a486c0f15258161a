//! Secrets of every kind are planted wherever they lawfully go, used there, and then looked for everywhere else: in the
//! database and its log of writes, in the server's own log at its most talkative, in every answer, export and refusal,
//! on the command line, and in the message of a panic.

mod checks;
mod needle;

use std::panic;
use std::path::Path;
use std::time::Duration;

use quaywatch_core::{Clock as _, Secret};
use quaywatch_testkit::port::ClosedPort;
use quaywatch_testkit::process::Server;
use quaywatch_testkit::random::Random;
use quaywatch_testkit::sink::{Answer as Reply, Received, Sink};
use quaywatch_testkit::wait::{self, RealClock};
use serde_json::{Value, json};

use crate::BINARY;
use crate::parrot::Parrot;
use crate::program::{err, out, program, run};
use crate::talk::Talk;
use needle::Needles;

const PATIENCE: Duration = Duration::from_secs(30);
const API: &str = "/api/v1";
const KIM: &str = "kim@example.com";
const LEE: &str = "lee@example.com";
const ADA: &str = "ada@example.com";

#[test]
fn fifty_planted_secrets_are_found_nowhere() {
    let mut stage = Stage::set();
    stage.settle_people();
    stage.make_channels();
    stage.make_checks();
    stage.send_broken_requests();
    stage.bring_documents();
    stage.tell_of_an_outage();
    stage.check_with_secrets();
    stage.refuse_a_file();
    stage.use_the_command_line();
    stage.read_everything();
    assert!(stage.needles.count() >= 50, "{} secrets", stage.needles.count());
    stage.look_everywhere();
}

#[test]
fn a_panic_does_not_say_a_secret() {
    let secret = "hawsers and bollards";
    let message = panic::catch_unwind(|| {
        let refused = ("refused", Secret::new(secret.to_owned()));
        panic!("{refused:?}");
    })
    .expect_err("it panics");
    let message = message.downcast_ref::<String>().expect("a text");
    assert!(message.contains("refused") && message.contains("[secret]"), "{message}");
    assert!(!message.contains(secret), "{message}");
}

/// A server with secrets in it, and what was planted.
struct Stage {
    server: Server<'static>,
    talk: Talk,
    needles: Needles,
    random: Random,
    sink: Sink,
    parrot: Parrot,
    /// Files of secrets, which lie outside of what is looked through.
    _files: tempfile::TempDir,
    /// Headers of those who sign in: the owner's cookie, and a token of scope `admin`.
    owner: String,
    admin: String,
    /// Such as arrive at the receiver: what was planted is what is used.
    delivered: Vec<String>,
    /// Such as arrive at what is checked.
    said: Vec<String>,
    /// The same file with secrets written out, which is refused.
    refused_file: String,
    file: String,
    /// What commands printed.
    printed: Vec<(String, Vec<u8>)>,
}

impl Stage {
    /// Plants the secrets of a file and of its surroundings, and starts.
    fn set() -> Self {
        let (sink, files) = (Sink::start(), tempfile::tempdir().expect("a directory"));
        let parrot = Parrot::perch();
        let (mut needles, mut random) = (Needles::default(), Random::new(4));
        let mut made = |what: &str| plant(&mut needles, &mut random, what);
        let hook = made("path of a URL, from the environment");
        let signing = made("signing secret, from a file");
        let before = made("signing secret before, from the environment");
        let bearer = made("bearer token, from the environment");
        let authorization = made("header Authorization, from the environment");
        let key = made("header X-Api-Key, from a file");
        let basic = made("password of basic authorization, from the environment");
        let metrics = made("token of the metrics");
        let oidc = made("client secret of a provider, from the environment");
        let other = made("client secret of a provider, from a file");
        let knock = made("password of a check, from the environment");
        let whole = made("message of a check, from a file");
        let (literal, second) = (made("bearer token written out"), made("signing secret written out"));
        let third = made("password of a check written out");
        let held = |name: &str, value: &str| {
            std::fs::write(files.path().join(name), format!("{value}\n")).expect("written");
            format!("file:{}", files.path().join(name).display())
        };
        let (signing_at, key_at, other_at) =
            (held("signing", &signing), held("key", &key), held("other", &other));
        let whole_at = held("whole", &format!("LOGIN {whole}\\r\\n"));
        let closed = ClosedPort::new();
        let (url, port, perch) = (sink.url(), closed.address.port(), parrot.address.port());
        let file = format!(
            "server:\n  public_url: http://localhost:8080\n  metrics:\n    token: ${{METRICS}}\n  oidc:\n    company:\n      issuer: {url}\n      \
             client_id: quaywatch\n      client_secret: ${{OIDC}}\n    other:\n      issuer: {url}other\n      \
             client_id: quaywatch\n      client_secret: {other_at}\n\
             channels:\n  - name: filed\n    type: webhook\n    url: ${{FILED}}\n    secret: {signing_at}\n    \
             previous_secret: ${{BEFORE}}\n    bearer_token: ${{BEARER}}\n  - name: headed\n    type: webhook\n    \
             url: {url}headed\n    headers:\n      Authorization: ${{AUTHORIZATION}}\n      X-Api-Key: {key_at}\n  \
             - name: basic\n    type: webhook\n    url: {url}basic\n    username: kim\n    password: ${{BASIC}}\n\
             monitors:\n  - name: berth\n    host: 127.0.0.1\n    port: {port}\n    check_interval: 1s\n    \
             retry_interval: 1s\n    channels: [filed, headed, basic]\n  \
             - name: knocks\n    host: 127.0.0.1\n    port: {perch}\n    check_interval: 1s\n    \
             send_secret: 'AUTH ${{KNOCK}}\\r\\n'\n    expect: '^never'\n    channels: [filed]\n  \
             - name: logs in\n    host: 127.0.0.1\n    port: {perch}\n    check_interval: 1s\n    \
             send_secret: {whole_at}\n    expect: LOGIN\n"
        );
        let refused_file =
            file.replace("${BEARER}", &literal).replace("${KNOCK}", &third).replace(&signing_at, &second);
        let mut server = Server::new(BINARY, &file)
            .with("QUAYWATCH_LOG", "trace")
            .with("FILED", &format!("{url}hook/{hook}"))
            .with("BEFORE", &before)
            .with("BEARER", &bearer)
            .with("AUTHORIZATION", &format!("Key {authorization}"))
            .with("BASIC", &basic)
            .with("KNOCK", &knock)
            .with("METRICS", &metrics)
            .with("OIDC", &oidc);
        server.start();
        Self {
            talk: Talk::to(server.listen),
            server,
            needles,
            random,
            sink,
            parrot,
            _files: files,
            owner: String::new(),
            admin: String::new(),
            delivered: vec![hook, bearer, authorization, key],
            said: vec![knock, whole],
            refused_file,
            file,
            printed: Vec::new(),
        }
    }

    fn made(&mut self, what: &str) -> String {
        plant(&mut self.needles, &mut self.random, what)
    }

    /// A password that every encoding has to write differently.
    fn password(&mut self, what: &str) -> String {
        let password = format!("gräün/\"tide\"+{}", self.random.next_u64());
        self.needles.add(what, password.as_bytes());
        password
    }

    fn quaywatch(&mut self, arguments: &[&str], input: &str) -> (bool, String) {
        let mut command = program(arguments);
        command.arg("--data-dir").arg(self.server.data()).env("QUAYWATCH_LOG", "trace");
        let ended = run(&mut command, input);
        self.printed.push((arguments.join(" "), err(&ended).into_bytes()));
        (ended.status.success(), out(&ended))
    }

    /// The first owner by the link, others by invitation and by the command line; signing in rightly and wrongly; the
    /// second factor; tokens.
    fn settle_people(&mut self) {
        let key = wait::poll(PATIENCE, || {
            let log = self.server.log();
            let (_, rest) = log.split_once("/setup?key=")?;
            rest.split_once('\n').map(|(key, _)| key.trim().to_owned())
        });
        let key = key.expect("a link on the terminal");
        self.needles.add("set-up key", key.as_bytes());
        let first = self.password("password of the first owner");
        let set_up = json!({ "key": key, "email": KIM, "name": "Kim", "password": first });
        let cookie = self.session("set-up", "/setup", &set_up);
        let again = self.talk.post(&at("/setup"), "", &set_up);
        assert_eq!(again.status, 401, "{}", again.body);

        let changed = self.password("password after a change");
        let body = json!({ "old_password": first, "new_password": changed });
        let put = ["content-type: application/json", cookie.as_str()];
        let answer = self.talk.ask("PUT", &at("/profile/password"), &put, &body.to_string());
        assert_eq!(answer.status, 204, "{}", answer.body);
        let short = &self.made("new password that nobody allows")[..9];
        self.needles.add("new password, too short", short.as_bytes());
        let body = json!({ "old_password": changed, "new_password": short });
        let answer = self.talk.ask("PUT", &at("/profile/password"), &put, &body.to_string());
        assert_eq!(answer.status, 422, "{}", answer.body);

        self.owner = self.turn_on_second_factor(&cookie, &changed);
        self.make_tokens();
        self.invite();
        for (email, what) in [(KIM, "wrong password"), ("nobody@example.com", "password of nobody")] {
            let wrong = self.password(what);
            let refused = self.talk.post(&at("/session"), "", &json!({ "email": email, "password": wrong }));
            assert_eq!(refused.status, 401, "{}", refused.body);
        }
    }

    /// Signs somebody in: the cookie's header.
    fn session(&mut self, what: &str, path: &str, body: &Value) -> String {
        let json = "content-type: application/json";
        let answer = self.talk.ask_once("POST", &at(path), &[json], &body.to_string());
        assert_eq!(answer.status, 200, "{what}: {}", answer.body);
        let cookie = answer.cookie.unwrap_or_else(|| panic!("{what}: no cookie, but {}", answer.body));
        let (_, secret) = cookie.split_once('=').expect("a name and a value");
        self.needles.add(&format!("session of {what}"), secret.as_bytes());
        self.talk.heard.push((format!("POST {path}"), answer.body.into_bytes()));
        format!("cookie: {cookie}")
    }

    fn turn_on_second_factor(&mut self, cookie: &str, password: &str) -> String {
        let path = at("/profile/second-factor");
        let begun = self.talk.ask_once("POST", &path, &[cookie], "");
        let typed = begun.text("/secret");
        self.needles.add("secret of the second factor, as typed", typed.as_bytes());
        let raw = totp_rs::Secret::try_from_base32(&typed).expect("base32");
        self.needles.add("secret of the second factor", raw.as_bytes());
        let totp =
            totp_rs::Builder::new().with_secret(raw).with_account_name("kim").build().expect("160 bits");
        let code = totp.generate(RealClock.now().secs().unsigned_abs()).to_string();
        let headers = [cookie, "content-type: application/json"];
        let shown = self.talk.ask_once("PUT", &path, &headers, &json!({ "code": code }).to_string());
        let codes = shown.json()["recovery_codes"].as_array().cloned().expect("recovery codes");
        assert_eq!(codes.len(), 10);
        for (i, code) in codes.iter().filter_map(Value::as_str).enumerate() {
            self.needles.add(&format!("recovery code {i}"), code.as_bytes());
            self.needles.add(&format!("recovery code {i}, bare"), code.replace('-', "").as_bytes());
        }
        let wrong = json!({ "email": KIM, "password": password, "code": "wxyz-wxyz-wxyz-wxyz" });
        self.needles.add("wrong recovery code", b"wxyz-wxyz-wxyz-wxyz");
        assert_eq!(self.talk.post(&at("/session"), "", &wrong).status, 401);
        let used = json!({ "email": KIM, "password": password, "code": codes[0] });
        self.session("a recovery code", "/session", &used)
    }

    fn make_tokens(&mut self) {
        let (made, token) = self.quaywatch(&["token", "create", "--name", "ci", "--scope", "admin"], "");
        assert!(made);
        self.needles.add("token of the command line", token.trim().as_bytes());
        self.admin = format!("authorization: Bearer {}", token.trim());
        for name in ["kept", "revoked"] {
            let body = json!({ "name": name, "scopes": ["read"] }).to_string();
            let headers = [self.owner.as_str(), "content-type: application/json"];
            let answer = self.talk.ask_once("POST", &at("/tokens"), &headers, &body);
            let token = answer.text("/token");
            self.needles.add(&format!("token of the API, {name}"), token.as_bytes());
            let works = self.talk.ask("GET", &at("/monitors"), &[&format!("x-api-key: {token}")], "");
            assert_eq!(works.status, 200, "{}", works.body);
            if name == "revoked" {
                let path = format!("{API}/tokens/{}", answer.text("/id"));
                assert_eq!(self.talk.ask("DELETE", &path, &[&self.owner], "").status, 204);
                let ended = self.talk.ask("GET", &at("/monitors"), &[&format!("x-api-key: {token}")], "");
                assert_eq!(ended.status, 401);
                let mistyped = format!("authorization: Bearer {}x", &token[..token.len() - 1]);
                self.needles.add("mistyped token", format!("{}x", &token[..token.len() - 1]).as_bytes());
                assert_eq!(self.talk.ask("GET", &at("/monitors"), &[&mistyped], "").status, 401);
            }
        }
    }

    fn invite(&mut self) {
        let body = json!({ "email": LEE, "role": "editor" }).to_string();
        let owner = self.owner.clone();
        let headers = [owner.as_str(), "content-type: application/json"];
        let secret = self.talk.ask_once("POST", &at("/invitations"), &headers, &body).text("/secret");
        self.needles.add("invitation", secret.as_bytes());
        let offer = self.talk.post(&at("/invitations/read"), "", &json!({ "secret": secret }));
        assert_eq!(offer.status, 200, "{}", offer.body);
        let password = self.password("password of the invited");
        let accept = json!({ "secret": secret, "name": "Lee", "password": password });
        self.session("the invited", "/invitations/accept", &accept);
        let body = json!({ "email": "waits@example.com", "role": "viewer" }).to_string();
        let waiting = self.talk.ask_once("POST", &at("/invitations"), &headers, &body).text("/secret");
        self.needles.add("invitation that waits", waiting.as_bytes());
    }

    /// Channels by the API with every secret there is; changed, replayed, put into the bin; each tried out.
    fn make_channels(&mut self) {
        let (path, query) = (self.made("path of a URL"), self.made("query of a URL"));
        let (signing, before) = (self.made("signing secret"), self.made("signing secret before"));
        let (bearer, header) = (self.made("bearer token"), self.made("further header"));
        let url = format!("{}api/{path}?key={query}", self.sink.url());
        let body = json!({
            "name": "made", "type": "webhook", "url": url, "secret": signing, "previous_secret": before,
            "bearer_token": bearer, "headers": { "X-Token": header, "X-Harmless": "spring tide" },
        });
        let by = self.admin.clone();
        // The same request twice: the second answer is the one that was kept.
        let headers = [by.as_str(), "content-type: application/json", "idempotency-key: quay-1"];
        for _ in 0..2 {
            let answer = self.talk.ask("POST", &at("/channels"), &headers, &body.to_string());
            assert_eq!(answer.status, 201, "{}", answer.body);
        }
        let mut other = body;
        other["bearer_token"] = json!(self.made("bearer token under a key that was used"));
        let answer = self.talk.ask("POST", &at("/channels"), &headers, &other.to_string());
        assert!(matches!(answer.status, 409 | 422), "{} {}", answer.status, answer.body);
        self.try_out("made");
        self.delivered.extend([path.clone(), query, bearer, header]);

        // One test notice in five seconds to each channel: so one channel for each answer.
        let old = self.made("bearer token before a change");
        let url = format!("{}changed/{path}", self.sink.url());
        let body = json!({ "name": "changed", "type": "webhook", "url": url, "bearer_token": old });
        assert_eq!(self.talk.post(&at("/channels"), &by, &body).status, 201);
        let (bearer, header) = (self.made("bearer token after a change"), self.made("header after a change"));
        let patch = json!({ "bearer_token": bearer, "headers": { "X-Token": header } }).to_string();
        let headers = [by.as_str(), "content-type: application/json"];
        let answer = self.talk.ask("PATCH", &at("/channels/changed"), &headers, &patch);
        assert_eq!(answer.status, 200, "{}", answer.body);
        // The receiver sends it elsewhere, to an address with the same secret in it.
        self.sink.always(Reply::Redirect(format!("{}moved/{path}", self.sink.url())));
        self.try_out("changed");
        let url = format!("{}denied/{path}", self.sink.url());
        let body = json!({ "name": "denied", "type": "webhook", "url": url });
        assert_eq!(self.talk.post(&at("/channels"), &by, &body).status, 201);
        self.sink.always(Reply::Status(401));
        self.try_out("denied");
        self.sink.always(Reply::Take);
        self.delivered.extend([bearer, header]);

        let password = self.made("password of basic authorization");
        let url = format!("{}binned", self.sink.url());
        let binned = json!({ "name": "binned", "type": "webhook", "url": url, "username": "kim", "password": password });
        assert_eq!(self.talk.post(&at("/channels"), &by, &binned).status, 201);
        self.try_out("binned");
        assert_eq!(self.talk.ask("DELETE", &at("/channels/binned"), &[&by], "").status, 204);
        // Nobody listens there.
        let unheard =
            format!("http://{}/{}", ClosedPort::new().address, self.made("path where nobody listens"));
        let body = json!({ "name": "unheard", "type": "webhook", "url": unheard });
        assert_eq!(self.talk.post(&at("/channels"), &by, &body).status, 201);
        self.try_out("unheard");
    }

    fn try_out(&mut self, channel: &str) {
        let path = format!("{API}/channels/{channel}/test");
        let by = self.admin.clone();
        let answer = self.talk.ask("POST", &path, &[&by], "");
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// Requests that are refused, each with a secret where somebody might put one.
    fn send_broken_requests(&mut self) {
        let by = self.admin.clone();
        let hook = json!({ "name": "broken", "type": "webhook", "url": "https://hooks.example.com/" });
        for (field, wrong) in [
            ("bearer_token", json!(["@"])),
            ("bearer_token", json!("@\r\nx-more: 1")),
            ("headers", json!("@")),
            ("headers", json!({ "X Y": "@" })),
            ("headers", json!({ "X-Key": ["@"] })),
            ("headers", json!({ "X-Key": "@\u{1}" })),
            ("pasword", json!("@")),
            ("secret", json!("whsec_!@")),
            ("secret", json!({ "value": "@" })),
            ("url", json!("ftp://hooks.example.com/@")),
            ("url", json!("hooks.example.com @")),
            ("url", json!("https://kim:@@hooks.example.com:99999/")),
        ] {
            let secret = self.made(&format!("broken channel, `{field}`"));
            let mut body = hook.clone();
            body[field] = serde_json::from_str(&wrong.to_string().replacen('@', &secret, 1)).expect("JSON");
            self.refused("POST", "/channels", &by, "application/json", &body.to_string());
        }
        for (path, by, content, body) in [
            ("/channels", by.as_str(), "application/json", "{\"name\":\"cut\",\"bearer_token\":\"@\""),
            ("/channels", &by, "application/json", "{\"name\":\"twice\",\"secret\":\"@\",\"secret\":1}"),
            ("/channels", &by, "text/plain", "{\"name\":\"plain\",\"secret\":\"@\"}"),
            ("/session", "", "application/json", "{\"email\":\"kim@example.com\",\"passwort\":\"@\"}"),
            ("/session", "", "application/json", "{\"email\":5,\"password\":\"@\"}"),
            (
                "/session",
                "",
                "application/json",
                "{\"email\":\"kim@example.com\",\"password\":{\"a\":\"@\"}}",
            ),
            ("/session", "", "application/x-www-form-urlencoded", "email=kim%40example.com&password=@"),
            (
                "/setup",
                "",
                "application/json",
                "{\"key\":\"@\",\"email\":\"x@example.com\",\"name\":\"x\",\"password\":\"p\"}",
            ),
            ("/invitations/read", "", "application/json", "{\"secret\":\"@\"}"),
            (
                "/invitations/accept",
                "",
                "application/json",
                "{\"secret\":\"@\",\"name\":\"x\",\"password\":[\"@\"]}",
            ),
            ("/tokens", &by, "application/json", "{\"name\":\"x\",\"scopes\":[\"read\"],\"token\":\"@\"}"),
            (
                "/urls",
                &by,
                "application/json",
                "{\"url\":\"db.example.com\",\"monitor_type\":\"tcp\",\"port\":1,\"api_token\":\"@\"}",
            ),
            (
                "/monitors",
                &by,
                "application/json",
                "{\"name\":\"x\",\"host\":\"h\",\"port\":1,\"password\":\"@\"}",
            ),
            (
                "/monitors/bulk?atomic=true",
                &by,
                "application/json",
                "{\"create\":[{\"name\":\"x\",\"host\":\"h\",\"port\":1,\"password\":\"@\"}]}",
            ),
            (
                "/import",
                &by,
                "application/yaml",
                "channels:\n  - name: x\n    type: webhook\n    url: https://h.example/\n    secret: [\"@\"\nmonitors: []\n",
            ),
            (
                "/import",
                &by,
                "application/yaml",
                "channels:\n  - name: x\n    type: webhook\n    url: https://h.example/\n    secrett: @\nmonitors: []\n",
            ),
        ] {
            let secret = self.made(&format!("broken request, POST {path} of {content}"));
            // The first `@` that stands alone: addresses of mail have theirs between letters.
            let body = body.replace("\"@\"", &format!("\"{secret}\"")).replace("=@", &format!("={secret}"));
            let body = body.replace(": @", &format!(": {secret}"));
            self.refused("POST", path, by, content, &body);
        }
        for header in ["authorization: Basic ", "authorization: Bearer ", "x-api-key: ", "cookie: qw="] {
            let secret = self.made(&format!("broken header `{header}`"));
            self.refused("GET", "/monitors", &format!("{header}{secret}"), "", "");
        }
        for path in [
            "/monitors?token=",
            "/monitors?access_token=",
            "/session/providers/company/callback?state=x&code=",
        ] {
            let secret = self.made(&format!("broken address, {path}"));
            self.refused("GET", &format!("{path}{secret}"), &by, "", "");
        }
        let long = format!("{}{}", self.made("a password too long"), "x".repeat(1_000));
        let body = json!({ "email": KIM, "password": long }).to_string();
        self.refused("POST", "/session", "", "application/json", &body);
        for provider in ["company", "other"] {
            self.talk.ask("POST", &format!("{API}/session/providers/{provider}"), &[], "");
        }
    }

    fn refused(&mut self, method: &str, path: &str, by: &str, content: &str, body: &str) {
        let content = if content.is_empty() { String::new() } else { format!("content-type: {content}") };
        let answer = self.talk.ask(method, &at(path), &[by, &content], body);
        assert!(
            (400..500).contains(&answer.status),
            "{method} {path} {body}: {} {}",
            answer.status,
            answer.body
        );
    }

    /// Documents of YAML with secrets written out: by `import` and by `apply`, as a plan and for real.
    fn bring_documents(&mut self) {
        let by = self.admin.clone();
        for (path, name) in [("/import?dry_run=true", "a"), ("/import", "b"), ("/apply/infra", "c")] {
            let (url, bearer) =
                (self.made(&format!("{path}, a URL")), self.made(&format!("{path}, a bearer token")));
            let text = format!(
                "channels:\n  - name: brought-{name}\n    type: webhook\n    url: {}{url}\n    bearer_token: {bearer}\n\
                 monitors: []\n",
                self.sink.url()
            );
            let answer = self.talk.ask("POST", &at(path), &[&by, "content-type: application/yaml"], &text);
            assert!(matches!(answer.status, 200 | 422), "{path}: {} {}", answer.status, answer.body);
        }
    }

    /// Secrets go where they belong.
    fn tell_of_an_outage(&mut self) {
        for path in ["/hook/", "/headed", "/basic"] {
            let told = |r: &Received| r.path.starts_with(path) && r.json()["type"] == "incident.opened";
            self.sink.wait(&format!("notice at {path}"), PATIENCE, told);
        }
        let arrived = self.sink.received();
        for secret in &self.delivered {
            let there =
                |r: &Received| r.path.contains(secret) || r.headers.values().any(|v| v.contains(secret));
            assert!(arrived.iter().any(there), "{secret} was never used");
        }
    }

    /// A file with secrets written out is refused, and what is said of it goes into the log.
    fn refuse_a_file(&mut self) {
        self.server.configure(&self.refused_file);
        let is = |word: &str| {
            let text = format!("\"config\":\"{word}\"");
            self.server.get("/readyz").is_ok_and(|(_, body)| body.contains(&text))
        };
        wait::until("the file is refused", PATIENCE, || is("stale"));
        self.server.configure(&self.file);
        wait::until("the file is taken", PATIENCE, || is("fresh"));
    }

    fn use_the_command_line(&mut self) {
        let password = self.password("password by the command line");
        assert!(self.quaywatch(&["user", "add", ADA], &format!("{password}\n")).0);
        self.session("ada", "/session", &json!({ "email": ADA, "password": password }));
        let reset = self.password("password after a reset");
        assert!(self.quaywatch(&["user", "reset-password", ADA], &format!("{reset}\n")).0);
        let weak = "password1234";
        assert!(!self.quaywatch(&["user", "reset-password", ADA], &format!("{weak}\n")).0);
        let (_, link) = self.quaywatch(&["user", "add", "eva@example.com", "--invite"], "");
        let secret = link.trim().rsplit('/').next().expect("a link").to_owned();
        self.needles.add("invitation of the command line", secret.as_bytes());
        let knocked = self.made("password of a check by the command line");
        let target = self.parrot.address.to_string();
        let arguments = ["check", "--send-secret", "AUTH ${KNOCKED}\\r\\n", "--expect", "^never", &target];
        let seen = run(program(&arguments).env("KNOCKED", &knocked).env("QUAYWATCH_LOG", "trace"), "");
        assert!(
            out(&seen).contains("not kept") && self.parrot.has_heard(&knocked),
            "{}{}",
            out(&seen),
            err(&seen)
        );
        self.printed.push(("check".to_owned(), [seen.stdout, seen.stderr].concat()));
        for words in [&["user", "list"][..], &["token", "list"], &["status", "--output", "json"]] {
            let (worked, out) = self.quaywatch(words, "");
            assert!(worked, "{words:?}");
            self.printed.push((words.join(" "), out.into_bytes()));
        }
        let refused = self.server.file().with_file_name("refused.yaml");
        std::fs::write(&refused, &self.refused_file).expect("written");
        let said = run(program(&["validate"]).arg(&refused), "");
        std::fs::remove_file(&refused).expect("removed");
        assert!(!said.status.success());
        self.printed.push(("validate".to_owned(), [said.stdout, said.stderr].concat()));
    }

    /// Every GET of the document, as owner and by a token, of lists and of each single thing.
    fn read_everything(&mut self) {
        let document = self.talk.ask("GET", "/api/openapi.json", &[], "").json();
        let by = [self.owner.clone(), self.admin.clone()];
        let ids = |talk: &mut Talk, list: &str, name: &str| -> Vec<String> {
            let answer = talk.ask("GET", &at(list), &[&by[0]], "").json();
            let items = answer["items"].as_array().unwrap_or_else(|| panic!("{list}: {answer}"));
            items.iter().filter_map(|item| item[name].as_str()).map(str::to_owned).collect()
        };
        let monitors = ids(&mut self.talk, "/monitors", "id");
        // The documented call knows them by number.
        let numbers: Vec<String> = monitors.iter().map(|id| id.trim_start_matches('m').to_owned()).collect();
        let incidents = ids(&mut self.talk, "/incidents", "id");
        let channels = ids(&mut self.talk, "/channels", "name");
        assert!(!monitors.is_empty() && !incidents.is_empty() && channels.len() >= 4, "{channels:?}");
        let paths = document["paths"].as_object().expect("paths").clone();
        let mut read = 0;
        for path in paths.iter().filter(|(_, about)| about["get"].is_object()).map(|(path, _)| path) {
            let of = |things: &[String], hole: &str| -> Vec<String> {
                things.iter().map(|thing| path.replace(hole, thing)).collect()
            };
            let concrete = match path.as_str() {
                p if p.starts_with("/api/v1/incidents/{id}") => of(&incidents, "{id}"),
                p if p.starts_with("/api/v1/urls/{id}") => of(&numbers, "{id}"),
                p if p.contains("/{id}") => of(&monitors, "{id}"),
                p if p.contains("/{channel}") => of(&channels, "{channel}"),
                // A secret was carried there above.
                p if p.contains("/{name}/callback") => continue,
                p if p.ends_with("/monitors/find") => vec![format!("{path}?name=berth")],
                p => vec![p.to_owned()],
            };
            for path in concrete {
                let answers = by.each_ref().map(|who| self.talk.ask("GET", &path, &[who], "").status);
                assert!(answers.contains(&200), "{path}: {answers:?}");
                read += 1;
            }
        }
        assert!(read > 30, "{read} addresses were read");
        for path in ["/metrics", "/api/docs", "/healthz", "/readyz", "/no/such/place"] {
            self.talk.ask("GET", path, &[], "");
        }
    }

    fn look_everywhere(mut self) {
        let mut found = Vec::new();
        let mut look = |place: &str, bytes: &[u8]| {
            found.extend(self.needles.found_in(bytes).into_iter().map(|what| format!("{place}: {what}")));
        };
        for (what, answer) in self.talk.heard.iter().chain(&self.printed) {
            look(what, answer);
        }
        // While it runs there is a log of writes beside the database; afterwards all is in the database.
        let running = files_of(&self.server.data());
        assert!(running.iter().any(|(name, bytes)| name.ends_with("-wal") && !bytes.is_empty()), "no WAL");
        assert!(self.server.stop().success());
        let stopped = files_of(&self.server.data());
        for (name, bytes) in running.iter().chain(&stopped) {
            look(name, bytes);
        }
        // The terminal shows the link of the first start, once; that is what it is for.
        let log = self.server.log();
        let links = log.lines().filter(|line| line.contains("/setup?key=")).count();
        assert_eq!(links, 1, "one start, one link");
        let rest: Vec<&str> = log.lines().filter(|line| !line.contains("/setup?key=")).collect();
        look("log", rest.join("\n").as_bytes());
        found.sort();
        found.dedup();
        assert!(found.is_empty(), "{} places:\n{}", found.len(), found.join("\n"));

        // Where they could have been found, other words are.
        let holds = |bytes: &[u8], word: &str| bytes.windows(word.len()).any(|w| w == word.as_bytes());
        assert!(log.contains("TRACE") && log.contains("holds the secret itself"), "the log says much");
        for word in ["brought-b", LEE, "berth", "AUTH ${KNOCK}", "$sealed"] {
            assert!(stopped.iter().any(|(_, bytes)| holds(bytes, word)), "{word} is in the database");
        }
        assert!(self.talk.heard.iter().any(|(_, answer)| holds(answer, "X-Harmless")), "names are shown");
    }
}

/// A secret that is nowhere else.
fn plant(needles: &mut Needles, random: &mut Random, what: &str) -> String {
    let letters: Vec<u8> = (b'a'..=b'z').chain(b'A'..=b'Z').chain(b'0'..=b'9').collect();
    let secret: String = (0..28).map(|_| char::from(*random.pick(&letters))).collect();
    needles.add(what, secret.as_bytes());
    secret
}

fn at(path: &str) -> String {
    format!("{API}{path}")
}

fn files_of(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(directory).expect("a directory").flatten();
    entries
        .filter(|entry| entry.path().is_file())
        .map(|entry| {
            (entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).expect("read"))
        })
        .collect()
}
