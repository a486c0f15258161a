//! The API does what its document says, and nothing else: a property tester reads the document and sends what it
//! allows and what it forbids, in a network namespace where nothing is but loopback.

use std::path::Path;

use quaywatch_testkit::netns::NetNs;
use quaywatch_testkit::process::Server;

use crate::BINARY;
use crate::program::token;

/// Whatever it finds, it finds again.
const SEED: &str = "20261121";

/// What an answer must be: documented in status, type and form, and never the server's own fault. What is refused must
/// be what the document forbids.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,negative_data_rejection,\
                      unsupported_method,ignored_auth,use_after_free";

#[test]
fn the_api_answers_nothing_that_its_document_does_not_say() {
    let tester = tester();
    let namespace = NetNs::new("described");
    // Names lead nowhere at once, instead of after a timeout each.
    namespace.resolver("127.0.0.9".parse().expect("an address"));
    let mut server = Server::new(
        BINARY,
        "server: {requests_per_second: 100000}\n\
         channels: [{name: file-log, type: log}]\n\
         monitors: [{name: of-the-file, host: 127.0.0.1, port: 9, channels: [file-log]}]\n",
    )
    .within(&namespace);
    server.start();
    let token = token(&server.data(), "described", "admin");
    let document = format!("http://{}/api/openapi.json", server.listen);
    let output = namespace
        .command(&tester)
        // It keeps notes where it stands.
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .args(["run", &document, "--checks", CHECKS, "--seed", SEED])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "15"])
        .args([
            "--request-timeout",
            "20",
            "--suppress-health-check",
            "all",
            "--generation-database",
            ":memory:",
        ])
        // A stream has no end, and a token that is revoked or a password that is changed would end the test itself.
        .args(["--exclude-path", "/api/v1/events", "--exclude-operation-id", "tokens_revoke"])
        .args(["--no-color", "--warnings", "off"])
        .output()
        .unwrap_or_else(|e| panic!("{tester}: {e}"));
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}\nthe server's log:\n{}", server.log());
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

/// Where `./test` has put it.
fn tester() -> String {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it lies in the target directory");
    let tester = target.join("tools/schemathesis/bin/schemathesis");
    assert!(
        tester.is_file(),
        "{} is missing: `./test` installs it (or `python3 -m venv` there, and its `pip install -r` with {})",
        tester.display(),
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemathesis/requirements.txt")
    );
    tester.display().to_string()
}
