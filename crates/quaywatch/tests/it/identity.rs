//! People and tokens from the command line, with the server running and not; and the link of a first start.

use std::time::Duration;

use quaywatch_testkit::process::Server;
use quaywatch_testkit::wait;

use crate::BINARY;
use crate::program::{beside, err, out, token};
use crate::talk::Talk;

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

#[test]
fn whoever_is_here_already_is_taken_into_another_account_on_the_hosts_word_alone() {
    let mut server = Server::new(BINARY, "server: {accounts: multi}\nmonitors: []\n");
    server.start();
    let data = server.data();
    let said = |arguments: &[&str], input: &str| {
        let output = beside(&data, arguments, input);
        (output.status.success(), err(&output))
    };
    assert!(said(&["user", "add", "kim@example.com"], "tugboats at dawn\n").0);
    let admin = format!("authorization: Bearer {}", token(&data, "ci", "admin"));
    let mut talk = Talk::to(server.listen);
    let signed_in = |talk: &mut Talk, password: &str| {
        let body = serde_json::json!({ "email": "kim@example.com", "password": password });
        talk.ask_once("POST", "/api/v1/session", &["content-type: application/json"], &body.to_string())
    };
    let cookie = signed_in(&mut talk, "tugboats at dawn").cookie.expect("a session");
    let body = serde_json::json!({ "email": "lee@example.com" });
    let headers = [format!("cookie: {cookie}"), "content-type: application/json".to_owned()];
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    let invited = talk.ask_once("POST", "/api/v1/invitations", &headers, &body.to_string());
    assert_eq!(invited.status, 201, "{}", invited.body);
    let accept = serde_json::json!({
        "secret": invited.text("/secret"), "name": "Lee", "password": "lighthouses at night", "account_name": "harbour",
    });
    let accepted = talk.post("/api/v1/invitations/accept", "", &accept);
    assert_eq!(accepted.status, 200, "{}", accepted.body);

    let (added, why) = said(&["user", "add", "kim@example.com", "--account", "harbour"], "");
    assert!(!added && why.contains("--existing"), "{why}");
    let (added, why) = said(&["user", "add", "ada@example.com", "--account", "harbour", "--existing"], "");
    assert!(!added && why.contains("ada@example.com"), "{why}");
    let existing =
        ["user", "add", "kim@example.com", "--account", "harbour", "--role", "viewer", "--existing"];
    let (added, why) = said(&existing, "");
    assert!(added && why.contains("kim@example.com (u1) is viewer now"), "{why}");
    let list = out(&beside(&data, &["user", "list"], ""));
    assert!(list.contains("harbour (viewer)"), "{list}");

    // A token of the host's stays; one that the person made ends, unless only the password is meant.
    let own = |talk: &mut Talk, cookie: &str, name: &str| {
        let body = serde_json::json!({ "name": name, "scopes": ["read"] }).to_string();
        let headers = [&format!("cookie: {cookie}"), "content-type: application/json"];
        let made = talk.ask_once("POST", "/api/v1/tokens", &headers, &body);
        assert_eq!(made.status, 201, "{}", made.body);
        made.text("/token")
    };
    let mine = own(&mut talk, &cookie, "mine");
    let reset = ["user", "reset-password", "kim@example.com", "--only-password"];
    let (done, told) = said(&reset, "capstans in the rain\n");
    assert!(done && !told.contains("Ended too"), "{told}");
    assert!(is_let_in(&server, &mine), "only the password was meant");
    let (done, told) = said(&reset[..3], "bollards in the sun\n");
    assert!(done && told.contains("tokens: 1"), "{told}");
    assert!(!is_let_in(&server, &mine));
    assert_eq!(talk.ask("GET", ACCOUNT, &[&admin], "").status, 200, "the host's own token stays");
    let ended = talk.ask("GET", ACCOUNT, &[&format!("cookie: {cookie}")], "");
    assert_eq!(ended.status, 401);
    assert_eq!(signed_in(&mut talk, "capstans in the rain").status, 401);
    assert_eq!(signed_in(&mut talk, "bollards in the sun").status, 200);
}
