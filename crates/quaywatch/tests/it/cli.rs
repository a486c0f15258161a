//! The command line as a person meets it: help, exit statuses, errors that say what to do.

use std::process::Output;

use quaywatch_testkit::port::{ClosedPort, FullPort, Manner, Port};

use crate::program::{err, out, program, run};

fn quaywatch(arguments: &[&str]) -> Output {
    with_input(arguments, "")
}

fn with_input(arguments: &[&str], input: &str) -> Output {
    run(&mut program(arguments), input)
}

#[test]
fn help_of_every_command() {
    for command in
        ["", "serve", "check", "validate", "ports", "export", "status", "account", "completions", "man"]
    {
        let arguments: Vec<&str> = [command, "--help"].into_iter().filter(|word| !word.is_empty()).collect();
        let output = quaywatch(&arguments);
        assert!(output.status.success());
        let name = if command.is_empty() { "quaywatch" } else { command };
        insta::assert_snapshot!(format!("help_{name}"), out(&output));
    }
}

#[test]
fn t20_t21_check_says_what_it_saw_and_exits_as_monitoring_plugins_do() {
    let (open, closed) = (Port::open(Manner::Close), ClosedPort::new());
    let full = FullPort::at("127.0.0.1:0".parse().expect("literal"));
    let (open, closed, full) =
        (open.address.to_string(), closed.address.to_string(), full.address.to_string());

    let up = quaywatch(&["check", &open]);
    assert_eq!(up.status.code(), Some(0), "{}", err(&up));
    assert!(out(&up).starts_with("up "));

    let down = quaywatch(&["check", &open, &closed]);
    assert_eq!(down.status.code(), Some(2));
    assert!(out(&down).contains("TCP connection refused (tcp_refused)"), "{}", out(&down));
    assert!(out(&down).contains("do: "), "a remedy is named");

    let silent = quaywatch(&["check", "--timeout", "300ms", "--output", "json", &full]);
    let line: serde_json::Value = serde_json::from_str(&out(&silent)).expect("one JSON line");
    assert_eq!(
        (line["error_status"].as_str(), line["error_code"].as_str()),
        (Some("timeout"), Some("tcp_timeout"))
    );
    assert!(line["latency_us"].is_null() && line["evidence"]["elapsed_us"].as_u64() >= Some(300_000));

    let slow = quaywatch(&["check", "--threshold", "1us", &open]);
    assert_eq!(slow.status.code(), Some(3), "less than a millisecond is no threshold: {}", err(&slow));

    let blocked = quaywatch(&["check", "169.254.169.254:80"]);
    assert_eq!(blocked.status.code(), Some(3));
    assert!(out(&blocked).contains("policy_blocked"), "{}", out(&blocked));
}

#[test]
fn a03_a04_check_talks_where_it_is_told_to() {
    let redis = Port::open(Manner::Answer(b"+PONG\r\n".to_vec()));
    let mail = Port::open(Manner::Say(b"220 mail.example.com ESMTP\r\n".to_vec()));
    let (redis, mail) = (redis.address.to_string(), mail.address.to_string());
    let pong = quaywatch(&["check", "--send", r"PING\r\n", "--expect", r"^\+PONG", &redis]);
    assert_eq!(pong.status.code(), Some(0), "{}", out(&pong));
    assert_eq!(quaywatch(&["check", "--expect", "^220 ", &mail]).status.code(), Some(0));
    let wrong = quaywatch(&["check", "--expect", "^250 ", "--output", "json", "--timeout", "2s", &mail]);
    let line: serde_json::Value = serde_json::from_str(&out(&wrong)).expect("one JSON line");
    assert_eq!(line["error_code"], "tcp_banner_mismatch");
    assert!(line["evidence"]["first_bytes"].as_str().is_some_and(|b| b.starts_with("220 mail")), "{line}");
}

#[test]
fn targets_come_from_standard_input_and_files_too() {
    let open = Port::open(Manner::Close);
    let input = format!("# databases\n{}\n\n  {} # twice\n", open.address, open.address);
    let read = with_input(&["check", "--output", "json", "-"], &input);
    assert_eq!((read.status.code(), out(&read).lines().count()), (Some(0), 2), "{}", err(&read));
    let nagios = with_input(&["check", "--output", "nagios", &open.address.to_string()], "");
    assert!(out(&nagios).starts_with("TCP OK - ") && out(&nagios).contains("| time=0."), "{}", out(&nagios));
}

#[test]
fn wrong_usage_names_what_is_wrong_and_what_to_write() {
    let no_port = quaywatch(&["check", "db.example.com", "http://db/"]);
    assert_eq!(no_port.status.code(), Some(3));
    insta::assert_snapshot!("check_without_a_port", err(&no_port));
    assert_eq!(quaywatch(&["check"]).status.code(), Some(3));
    assert_eq!(quaywatch(&["check", "--nosuch", "a:1"]).status.code(), Some(3));
    assert_eq!(quaywatch(&["status", "--nosuch"]).status.code(), Some(64));
    let nowhere = quaywatch(&["status", "--data-dir", "/nonexistent/quaywatch"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(err(&nowhere).contains("--data-dir"), "{}", err(&nowhere));
    assert_eq!(quaywatch(&["validate", "/nonexistent.yaml"]).status.code(), Some(1));
}

#[test]
fn validate_reads_standard_input_and_warns_of_what_is_never_dialled() {
    let file =
        "monitors:\n- {name: a, host: 127.0.0.1, port: 22}\n- name: b\n  port: 80\n  host: 169.254.169.254\n";
    let output = with_input(&["validate", "-"], file);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(out(&output).starts_with("standard input is valid: 2 monitors"), "{}", out(&output));
    assert!(err(&output).contains("standard input:5:9"), "{}", err(&output));
    assert!(
        err(&output).contains("`169.254.169.254` may not be dialled: never 169.254.0.0/16"),
        "{}",
        err(&output)
    );
    assert_eq!(with_input(&["validate", "-"], "monitors: [{name: a}]\n").status.code(), Some(1));
    let check = quaywatch(&["check", "169.254.169.254:80"]);
    assert_eq!(check.status.code(), Some(3));
    assert!(out(&check).contains("169.254.0.0/16"), "{}", out(&check));
}

#[test]
fn t11_t12_ports_lists_the_sixteen_presets_in_their_order() {
    insta::assert_snapshot!("ports", out(&quaywatch(&["ports"])));
    let all = quaywatch(&["ports", "--all", "--output", "json"]);
    assert!(out(&all).lines().count() >= 80);
    let found = out(&quaywatch(&["ports", "postgres", "--output", "json"]));
    assert!(found.lines().next().is_some_and(|line| line.contains("\"port\":5432")), "{found}");
}

#[test]
fn completions_and_manual_pages_are_made() {
    assert!(out(&quaywatch(&["completions", "bash"])).contains("_quaywatch"));
    assert!(out(&quaywatch(&["man"])).contains(".TH quaywatch"));
    let directory = tempfile::tempdir().expect("a directory");
    assert!(quaywatch(&["man", &directory.path().display().to_string()]).status.success());
    assert!(directory.path().join("quaywatch-serve.1").exists());
}

#[test]
fn the_shipped_examples_are_valid() {
    for example in ["quaywatch.yaml", "full.yaml"] {
        let path = format!("{}/../../examples/{example}", env!("CARGO_MANIFEST_DIR"));
        let mut validate = program(&["validate", &path]);
        let output = run(validate.env("OPS_WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "");
        assert!(output.status.success(), "{example}: {}", err(&output));
    }
}

#[test]
fn a_table_without_monitors_or_without_a_server_says_so() {
    let place = tempfile::tempdir().expect("a directory");
    let data = place.path().display().to_string();
    // A port that is taken: the server makes its data directory and ends.
    let holder = Port::open(Manner::Close);
    let taken = holder.address.to_string();
    let ended = quaywatch(&["serve", "--data-dir", &data, "--listen", &taken]);
    assert!(err(&ended).contains("another program listens there"), "{}", err(&ended));

    let status = quaywatch(&["status", "--data-dir", &data]);
    assert!(out(&status).contains("There are no monitors yet"), "{}", out(&status));
    assert!(err(&status).contains("No server is running"), "{}", err(&status));
    assert!(out(&quaywatch(&["status", "--data-dir", &data, "x"])).contains("contains `x`"));
}
