//! People and tokens from the command line, with the server running and not; and the link of a first start.

use std::time::Duration;

use quaywatch_testkit::process::Server;
use quaywatch_testkit::wait;

use crate::BINARY;
use crate::program::{beside, err, out, token};

const PATIENCE: Duration = Duration::from_secs(15);
const NOTHING: &str = "monitors: []\n";
const ACCOUNT: &str = "/api/v1/account";

fn is_let_in(server: &Server<'_>, token: &str) -> bool {
    server.get_with(ACCOUNT, &format!("authorization: Bearer {token}")).is_ok_and(|(status, _)| status == 200)
}

#[test]
fn a_token_of_the_command_line_works_whether_the_server_ran_when_it_was_made() {
    let mut server = Server::new(BINARY, NOTHING);
    server.start();
    assert_eq!(server.get(ACCOUNT).expect("an answer").0, 401);
    let first = token(&server.data(), "beside", "read");
    assert!(is_let_in(&server, &first));
    assert_eq!(server.get_with(ACCOUNT, &format!("x-api-key: {first}")).expect("an answer").0, 200);

    assert!(server.stop().success());
    let alone = token(&server.data(), "alone", "admin");
    let again = beside(&server.data(), &["token", "create", "--name", "alone", "--scope", "read"], "");
    assert_eq!(again.status.code(), Some(1));
    assert!(err(&again).contains("a token called `alone`"), "{}", err(&again));
    server.start();
    assert!(is_let_in(&server, &alone) && is_let_in(&server, &first));

    let list = out(&beside(&server.data(), &["token", "list"], ""));
    assert!(list.contains("beside") && list.contains("cli:") && list.contains(&alone[..10]), "{list}");
    assert!(!list.contains(&alone[10..]), "a list shows the beginning only");
    assert!(beside(&server.data(), &["token", "revoke", "beside"], "").status.success());
    assert!(beside(&server.data(), &["token", "revoke", &alone], "").status.success());
    assert!(!is_let_in(&server, &first) && !is_let_in(&server, &alone), "at once, in the running server");
    let unknown = beside(&server.data(), &["token", "revoke", "beside"], "");
    assert!(!unknown.status.success() && err(&unknown).contains("token list"), "{}", err(&unknown));
    assert!(!server.log().contains(&alone[10..]), "nothing of it in the log");
}

#[test]
fn a_first_start_prints_a_link_until_somebody_is_there() {
    let mut server = Server::new(BINARY, NOTHING);
    server.start();
    let link = || {
        server
            .log()
            .lines()
            .any(|line| line.trim().starts_with("http://") && line.contains("/setup?key=qw_k"))
    };
    assert!(wait::poll(PATIENCE, || link().then_some(())).is_some(), "{}", server.log());
    assert!(server.stop().success());

    let add = |input: &str, more: &[&str]| {
        let arguments: Vec<&str> = ["user", "add", "kim@example.com"].iter().chain(more).copied().collect();
        beside(&server.data(), &arguments, input)
    };
    let weak = add("password123\n", &[]);
    assert!(!weak.status.success() && err(&weak).contains("among the first"), "{}", err(&weak));
    let none = add("", &[]);
    assert!(!none.status.success() && err(&none).contains("--invite"), "{}", err(&none));
    let added = add("tugboats at dawn\n", &[]);
    assert!(added.status.success(), "{}", err(&added));
    assert_eq!(err(&added), "kim@example.com (u1) is owner now.\n");
    let twice = add("tugboats at dawn\n", &[]);
    assert!(!twice.status.success() && err(&twice).contains("reset-password"), "{}", err(&twice));
    let list = out(&beside(&server.data(), &["user", "list"], ""));
    assert!(list.contains("kim@example.com") && list.contains("default (owner)"), "{list}");

    let reset = ["user", "reset-password", "kim@example.com"];
    assert!(beside(&server.data(), &reset, "lighthouses at night\n").status.success());
    let nobody =
        beside(&server.data(), &["user", "reset-password", "lee@example.com"], "lighthouses at night\n");
    assert!(!nobody.status.success() && err(&nobody).contains("user list"), "{}", err(&nobody));
    let invited = ["user", "add", "lee@example.com", "--role", "editor", "--invite"];
    let invited = beside(&server.data(), &invited, "");
    assert!(out(&invited).starts_with("/invite/qw_i"), "{}", out(&invited));

    let before = server.log().len();
    server.start();
    assert!(!server.log()[before..].contains("/setup?key="), "somebody is there");
}

#[test]
fn an_account_is_given_a_plan_while_the_server_runs() {
    let text =
        "server: {plans: {free: {max_urls: 5}, vip: {max_urls: 50}}, default_plan: free}\nmonitors: []\n";
    let mut server = Server::new(BINARY, text);
    server.start();
    let reader = token(&server.data(), "reader", "admin");
    let read = |path: &str| {
        let (status, body) =
            server.get_with(path, &format!("authorization: Bearer {reader}")).expect("an answer");
        assert_eq!(status, 200, "{body}");
        body
    };
    assert!(read(ACCOUNT).contains("\"plan\":\"free\""), "{}", read(ACCOUNT));
    let given = beside(&server.data(), &["account", "plan", "default", "vip"], "");
    assert!(
        given.status.success() && err(&given).contains("default (a1) was given the plan `vip`"),
        "{}",
        err(&given)
    );
    assert!(read(ACCOUNT).contains("\"plan\":\"vip\""), "at once: {}", read(ACCOUNT));
    let log = read("/api/v1/audit");
    assert!(log.contains("account.changed") && log.contains("cli:"), "{log}");

    let file = server.file();
    let file = file.to_str().expect("a plain path");
    let list = out(&beside(&server.data(), &["account", "list", "--config", file], ""));
    assert!(list.contains("Plan that holds") && list.contains("vip"), "{list}");
    let typo = beside(&server.data(), &["account", "plan", "a1", "fre", "--config", file], "");
    assert_eq!(typo.status.code(), Some(1));
    assert!(err(&typo).contains("did you mean `free`?"), "{}", err(&typo));
    let unknown = beside(&server.data(), &["account", "plan", "globex", "vip"], "");
    assert!(!unknown.status.success() && err(&unknown).contains("there are default"), "{}", err(&unknown));
    let none = beside(&server.data(), &["account", "plan", "a1", "--none", "--config", file], "");
    assert!(err(&none).contains("`free` holds"), "{}", err(&none));
    assert!(read(ACCOUNT).contains("\"plan\":\"free\""), "{}", read(ACCOUNT));
}

#[test]
fn what_is_not_there_is_said() {
    let directory = tempfile::tempdir().expect("a directory");
    for arguments in [&["user", "list"][..], &["token", "create", "--name", "ci", "--scope", "read"][..]] {
        let output = beside(&directory.path().join("none"), arguments, "");
        assert_eq!(output.status.code(), Some(1));
        assert!(err(&output).contains("there is no data directory"), "{}", err(&output));
    }
    let mut server = Server::new(BINARY, NOTHING);
    server.start();
    let scope = beside(&server.data(), &["token", "create", "--name", "ci", "--scope", "root"], "");
    assert_eq!(scope.status.code(), Some(64));
    assert!(err(&scope).contains("there are read, write and admin"), "{}", err(&scope));
    let account = ["token", "create", "--name", "ci", "--scope", "read", "--account", "harbour"];
    let account = beside(&server.data(), &account, "");
    assert!(err(&account).contains("there are default"), "{}", err(&account));
}
