//! The command line over a server's API: as a person or a script at another machine uses it, with no access to the
//! server's data.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;
use std::time::Duration;

use quaywatch_testkit::port::{ClosedPort, Manner, Port};
use quaywatch_testkit::process::Server;
use quaywatch_testkit::wait;
use serde_json::Value;

use crate::BINARY;
use crate::program::{self, err, out, program};

const PATIENCE: Duration = Duration::from_secs(15);

/// A server, and somebody's home beside it.
struct Scene {
    server: Server<'static>,
    home: tempfile::TempDir,
    token: String,
}

impl Scene {
    fn start() -> Self {
        let mut server = Server::new(BINARY, "monitors: []\n");
        server.start();
        let home = tempfile::tempdir().expect("a directory");
        let token = program::token(&server.data(), "laptop", "admin");
        Self { server, home, token }
    }

    fn url(&self) -> String {
        format!("http://{}", self.server.listen)
    }

    /// With nothing but a home to say which server is meant.
    fn bare(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = program(arguments);
        program::run(command.env("XDG_CONFIG_HOME", self.home.path()).env("HOME", self.home.path()), input)
    }

    /// With server and token in the environment.
    fn run(&self, arguments: &[&str], input: &str) -> Output {
        self.with_token(&self.token, arguments, input)
    }

    fn with_token(&self, token: &str, arguments: &[&str], input: &str) -> Output {
        let mut command = program(arguments);
        command.env("XDG_CONFIG_HOME", self.home.path());
        program::run(command.env("QUAYWATCH_SERVER", self.url()).env("QUAYWATCH_TOKEN", token), input)
    }

    fn monitors(&self, filters: &[&str]) -> Vec<Value> {
        let arguments = [&["get", "monitors", "--output", "json"], filters].concat();
        let shown = self.run(&arguments, "");
        assert!(shown.status.success(), "{}", err(&shown));
        out(&shown).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    fn names(&self, filters: &[&str]) -> Vec<String> {
        let mut names: Vec<String> = self
            .monitors(filters)
            .iter()
            .map(|m| m["name"].as_str().unwrap_or_default().to_owned())
            .collect();
        names.sort();
        names
    }
}

const APPLY: [&str; 4] = ["apply", "-f", "-", "--name"];

#[test]
fn a_document_is_planned_applied_changed_and_what_it_no_longer_has_goes() {
    let scene = Scene::start();
    let open = Port::open(Manner::Close);
    let document = |interval: &str, rest: &str| {
        format!(
            "monitors:\n  - name: orders database\n    host: 127.0.0.1\n    port: {}\n    check_interval: {interval}\n{rest}",
            open.address.port()
        )
    };
    let apply = |text: &str, flags: &[&str]| scene.run(&[&APPLY[..], &["infra"], flags].concat(), text);
    let second = "  - {name: cache, host: 127.0.0.1, port: 9, check_interval: 60s}\n";
    let first = document("30s", second);

    let planned = apply(&first, &["--dry-run"]);
    assert_eq!(planned.status.code(), Some(0), "{}", err(&planned));
    assert!(out(&planned).contains("+ monitor cache (127.0.0.1:9)"), "{}", out(&planned));
    assert!(out(&planned).contains("2 added (planned, not done)"), "{}", out(&planned));
    assert_eq!(apply(&first, &["--check"]).status.code(), Some(2), "something would change");
    assert!(scene.names(&[]).is_empty(), "nothing was done");

    let done = apply(&first, &[]);
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    assert!(out(&done).ends_with(&format!("infra on {}: 2 added\n", scene.url())), "{}", out(&done));
    assert_eq!(scene.names(&[]), ["cache", "orders database"]);
    let again = apply(&first, &["--check"]);
    assert_eq!(again.status.code(), Some(0), "{}", out(&again));
    assert!(out(&again).contains("nothing to change, 2 unchanged"), "{}", out(&again));

    let changed = apply(&document("45s", ""), &[]);
    assert_eq!(changed.status.code(), Some(0), "{}", err(&changed));
    let said = out(&changed);
    assert!(said.contains("~ monitor orders database") && said.contains("- monitor cache"), "{said}");
    let line = said.lines().find(|line| line.trim_start().starts_with("check_interval")).unwrap_or_default();
    assert!(line.contains("30") && line.contains(" → ") && line.contains("45"), "{said}");
    assert_eq!(scene.names(&[]), ["orders database"]);
    assert!(out(&scene.run(&["get", "bin"], "")).contains("cache"), "what went can be restored");

    let plan = apply(&first, &["--dry-run", "--output", "json"]);
    let plan: Value = serde_json::from_str(&out(&plan)).expect("one JSON object");
    assert_eq!((&plan["applied"], plan["added"].as_array().map(Vec::len)), (&false.into(), Some(1)));

    let written = scene.run(&["get", "config"], "");
    let back = apply(&out(&written), &["--check"]);
    assert_eq!(back.status.code(), Some(0), "what is written reads back equal: {}{}", out(&back), err(&back));
}

#[test]
fn what_get_config_writes_is_applied_again_without_the_secrets_that_it_leaves_out() {
    let scene = Scene::start();
    let apply = |scene: &Scene, name: &str, text: &str, flags: &[&str]| {
        scene.run(&[&APPLY[..], &[name], flags].concat(), text)
    };
    let hooks = "channels:\n  - {name: hook, type: webhook, url: \"https://hooks.example.com/planted\"}\nmonitors: []\n";
    let done = apply(&scene, "hooks", hooks, &[]);
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    let written = out(&scene.run(&["get", "config"], ""));
    assert!(written.contains("url: null") && !written.contains("planted"), "{written}");
    for name in ["hooks", "others"] {
        let back = apply(&scene, name, &written, &["--check"]);
        assert_eq!(back.status.code(), Some(0), "{}{}", out(&back), err(&back));
        assert!(out(&back).contains("nothing to change, 1 unchanged"), "{}", out(&back));
    }
    let elsewhere = apply(&Scene::start(), "hooks", &written, &["--dry-run"]);
    let said = err(&elsewhere);
    assert_eq!(elsewhere.status.code(), Some(1), "{said}");
    assert!(
        said.contains("standard input:4:") && said.contains("`url` of channel `hook` is missing"),
        "{said}"
    );
}

#[test]
fn a_wrong_document_is_shown_with_its_lines_and_changes_nothing() {
    let scene = Scene::start();
    let wrong = "monitors:\n  - name: a\n    host: http://x\n    port: 70000\n    chek_interval: 5\n";
    let output = scene.run(&[&APPLY[..], &["infra"]].concat(), wrong);
    assert_eq!(output.status.code(), Some(1));
    let said = err(&output);
    for place in ["standard input:3:11: error", "standard input:4:11: error", "standard input:5:5: error"] {
        assert!(said.contains(place), "{place}\n{said}");
    }
    assert!(said.contains("     4 |     port: 70000\n       |           ^^^^^ "), "{said}");
    assert!(said.contains("standard input: 3 errors"), "{said}");
    let broken = scene.run(&[&APPLY[..], &["infra"]].concat(), "monitors:\n  - name: [a\n");
    assert!(
        err(&broken).contains("not YAML") && err(&broken).contains("standard input: 1 error"),
        "{}",
        err(&broken)
    );
    assert!(scene.names(&[]).is_empty());

    let nameless = scene.run(&["apply", "-f", "-"], wrong);
    assert!(err(&nameless).contains("--name"), "{}", err(&nameless));
}

#[test]
fn what_there_is_is_shown_filtered_and_in_the_form_that_is_asked_for() {
    let scene = Scene::start();
    let (open, closed) = (Port::open(Manner::Close), ClosedPort::new());
    let monitor = |name: &str, port: u16, rest: &str| {
        format!(
            "  - {{name: {name}, host: 127.0.0.1, port: {port}, check_interval: 1s, retry_interval: 200ms{rest}}}\n"
        )
    };
    let document = format!(
        "monitors:\n{}{}",
        monitor("orders database", open.address.port(), ", group: infra/db, tags: {env: prod}"),
        monitor("dead", closed.address.port(), ""),
    );
    let done = scene.run(&[&APPLY[..], &["infra"]].concat(), &document);
    assert!(done.status.success(), "{}", err(&done));
    wait::until("dead is down", PATIENCE, || scene.names(&["--status", "down"]) == ["dead"]);
    wait::until("the other is up", PATIENCE, || scene.names(&["--status", "up"]) == ["orders database"]);

    assert_eq!(scene.names(&["-q", "ORDERS"]), ["orders database"]);
    assert_eq!(scene.names(&["--tag", "env=prod", "--group", "infra"]), ["orders database"]);
    assert_eq!(scene.names(&["--status", "down,up", "--limit", "0"]), ["dead", "orders database"]);
    let cut = scene.run(&["get", "--limit", "1"], "");
    assert_eq!(out(&cut).lines().count(), 2, "{}", out(&cut));
    assert!(out(&cut).contains("DOWN"), "trouble first: {}", out(&cut));
    assert!(err(&cut).contains("--limit"), "{}", err(&cut));

    let one = out(&scene.run(&["get", "monitor", "orders database", "--output", "yaml"], ""));
    assert!(
        one.lines().any(|line| line == "managed_by: apply:infra" || line == "managed_by: \"apply:infra\""),
        "{one}"
    );
    let incidents = scene.run(&["get", "incidents", "dead", "--open", "--output", "json"], "");
    let incident: Value = serde_json::from_str(out(&incidents).trim()).expect("one line");
    assert_eq!(incident["error_code"], "tcp_refused");
    let id = incident["id"].as_str().expect("an id");
    assert!(out(&scene.run(&["get", "incident", id], "")).contains("tcp_refused"));
    for what in ["channels", "groups", "tags", "locations", "tokens", "members", "audit", "account"] {
        let shown = scene.run(&["get", what], "");
        assert!(shown.status.success() && !out(&shown).is_empty(), "{what}: {}", err(&shown));
    }
    let unfit = scene.run(&["get", "groups", "--status", "down"], "");
    assert!(!unfit.status.success() && err(&unfit).contains("--status is for monitors"), "{}", err(&unfit));
    let misspelt = scene.run(&["get", "--status", "dwon"], "");
    assert!(!misspelt.status.success() && err(&misspelt).contains("422"), "{}", err(&misspelt));
}

#[test]
fn a_monitor_is_paused_by_its_name_and_resumed() {
    let scene = Scene::start();
    let open = Port::open(Manner::Close);
    let document = format!("monitors: [{{name: 'a/b ü', host: 127.0.0.1, port: {}}}]\n", open.address.port());
    assert!(scene.run(&[&APPLY[..], &["infra"]].concat(), &document).status.success());

    let paused = scene.run(&["pause", "a/b ü", "--for", "2h", "--reason", "moving racks"], "");
    assert!(paused.status.success(), "{}", err(&paused));
    assert!(err(&paused).contains("is paused until 20"), "{}", err(&paused));
    let monitor = &scene.monitors(&[])[0];
    assert_eq!(
        (&monitor["status"], &monitor["paused"]["reason"]),
        (&"paused".into(), &"moving racks".into())
    );

    let resumed = scene.run(&["resume", "m1"], "");
    assert!(resumed.status.success(), "{}", err(&resumed));
    assert!(scene.monitors(&[])[0]["paused"].is_null());
    let nobody = scene.run(&["pause", "a/b ü", "nobody"], "");
    assert_eq!(nobody.status.code(), Some(1));
    assert!(err(&nobody).contains("answered 404") && err(&nobody).contains("`nobody`"), "{}", err(&nobody));
    assert!(scene.monitors(&[])[0]["paused"].is_null(), "a mistyped name stops none half way");
}

#[test]
fn of_monitors_that_are_called_the_same_none_is_taken_for_another() {
    let scene = Scene::start();
    let open = Port::open(Manner::Close);
    let document =
        |host: &str| format!("monitors: [{{name: redis, host: {host}, port: {}}}]\n", open.address.port());
    for (owner, host) in [("infra", "127.0.0.1"), ("shop", "127.0.0.2")] {
        assert!(scene.run(&[&APPLY[..], &[owner]].concat(), &document(host)).status.success());
    }
    for act in [&["pause", "redis"][..], &["get", "monitor", "redis"]] {
        let output = scene.run(act, "");
        let told = err(&output);
        assert_eq!(output.status.code(), Some(1), "{act:?}: {told}");
        assert!(told.contains("m1 (") && told.contains("m2 (") && told.contains("of apply:shop"), "{told}");
    }
    assert!(scene.monitors(&[]).iter().all(|monitor| monitor["paused"].is_null()));
    let paused = scene.run(&["pause", "m2"], "");
    assert!(paused.status.success(), "{}", err(&paused));
    let never = scene.run(&["pause", "m1", "--for", "0"], "");
    assert_eq!(never.status.code(), Some(1));
    assert!(err(&never).contains("--for is 0"), "{}", err(&never));
}

#[test]
fn tokens_are_made_over_the_api_with_no_more_than_their_maker_has() {
    let scene = Scene::start();
    let made =
        scene.run(&["token", "create", "--name", "ci", "--scope", "monitors:read", "--expires", "90d"], "");
    assert!(made.status.success(), "{}", err(&made));
    let weak = out(&made).trim_end().to_owned();
    assert!(weak.starts_with("qw_") && !weak.contains(char::is_whitespace), "the token alone");
    assert!(scene.with_token(&weak, &["get"], "").status.success());

    let denied = scene.with_token(&weak, &["pause", "m1"], "");
    let denied_apply = scene.with_token(&weak, &[&APPLY[..], &["infra"]].concat(), "monitors: []\n");
    assert_eq!(denied.status.code(), Some(1));
    assert!(err(&denied_apply).contains("answered 403"), "{}", err(&denied_apply));
    assert!(
        err(&denied_apply).contains("config:admin")
            && err(&denied_apply).contains("its log has the request as ")
    );

    assert!(out(&scene.run(&["token", "list"], "")).contains("ci"));
    assert!(scene.run(&["token", "revoke", "ci"], "").status.success());
    let ended = scene.with_token(&weak, &["get"], "");
    assert!(err(&ended).contains("answered 401") && err(&ended).contains("token create"), "{}", err(&ended));
    assert!(!err(&ended).contains(&weak), "a token is never said");
}

#[test]
fn a_profile_keeps_server_and_token_for_oneself_alone() {
    let scene = Scene::start();
    let nothing = scene.bare(&["get"], "");
    assert!(err(&nothing).contains("no server is named"), "{}", err(&nothing));
    let wrong = scene.bare(&["profile", "add", "home", "--server", &scene.url()], "qw_nonsense\n");
    assert!(!wrong.status.success() && err(&wrong).contains("nothing was kept"), "{}", err(&wrong));

    let kept =
        scene.bare(&["profile", "add", "home", "--server", &scene.url()], &format!("{}\n", scene.token));
    assert!(kept.status.success(), "{}", err(&kept));
    assert!(!err(&kept).contains(&scene.token) && !out(&kept).contains(&scene.token));
    let file = scene.home.path().join("quaywatch/profiles.yaml");
    let mode = std::fs::metadata(&file).expect("it is kept").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(scene.bare(&["get"], "").status.success());
    let account = out(&scene.bare(&["get", "account", "--profile", "home"], ""));
    assert!(account.contains("used.monitors") && !account.contains('{'), "{account}");
    let again = ["profile", "add", "home", "--unchecked", "--server", "http://127.0.0.1:1"];
    let again = scene.bare(&again, "qw_nonsense\n");
    assert!(err(&again).contains(&format!("in place of the one for {}", scene.url())), "{}", err(&again));
    let unreached = scene.bare(&[&APPLY[..], &["infra"]].concat(), "monitors: []\n");
    assert!(err(&unreached).contains("no answer from"), "{}", err(&unreached));
    assert!(!err(&unreached).contains("may be done"), "nothing was sent: {}", err(&unreached));
    let listed = out(&scene.bare(&["profile", "list"], ""));
    assert!(listed.contains("home") && !listed.contains(&scene.token), "{listed}");

    // Somebody else's server gets nothing of it.
    let other = Port::open(Manner::Close);
    let strange = scene.bare(&["get", "--server", &format!("http://{}", other.address)], "");
    assert!(err(&strange).contains("there is no token for"), "{}", err(&strange));
    assert!(scene.bare(&["profile", "remove", "home"], "").status.success());
    assert!(err(&scene.bare(&["get"], "")).contains("no server is named"));
}

#[test]
fn who_is_not_there_or_is_somebody_else_is_told_apart() {
    let home = tempfile::tempdir().expect("a directory");
    let get = |url: &str| {
        let mut command = program(&["get", "--server", url]);
        command.env("XDG_CONFIG_HOME", home.path()).env("QUAYWATCH_TOKEN", "qw_x");
        let output = program::run(&mut command, "");
        assert_eq!(output.status.code(), Some(1));
        err(&output)
    };
    let closed = ClosedPort::new();
    let refused = get(&format!("http://{}", closed.address));
    assert!(refused.contains("no answer from") && refused.contains("is the server running"), "{refused}");

    let page =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
    let strange = Port::open(Manner::Answer(page.to_vec()));
    let told = get(&format!("http://{}", strange.address));
    assert!(told.contains("not as Quaywatch does (status 200, text/html)"), "{told}");

    let moved =
        b"HTTP/1.1 301 Moved\r\nlocation: https://elsewhere.example.com/\r\ncontent-length: 0\r\n\r\n";
    let mover = Port::open(Manner::Answer(moved.to_vec()));
    let told = get(&format!("http://{}", mover.address));
    assert!(told.contains("sends us on to https://elsewhere.example.com/"), "{told}");

    // What a TLS port says to plain HTTP: an alert.
    let tls = Port::open(Manner::Answer(vec![0x15, 3, 1, 0, 2, 2, 70]));
    let told = get(&format!("http://{}", tls.address));
    assert!(told.contains("https:// instead of http://"), "{told}");
    let plain = Port::open(Manner::Answer(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n".to_vec()));
    let told = get(&format!("https://{}", plain.address));
    assert!(told.contains("http:// instead of https://"), "{told}");
    assert!(get("watch.example.com").contains("begin it with https://"));
}

#[test]
fn help_of_the_commands_that_talk_to_a_server() {
    for words in ["apply", "get", "pause", "resume", "token create", "profile add"] {
        let arguments: Vec<&str> = words.split(' ').chain(["--help"]).collect();
        let output = program::run(&mut program(&arguments), "");
        assert!(output.status.success(), "{words}");
        insta::assert_snapshot!(format!("help_{}", words.replace(' ', "_")), out(&output));
    }
}
