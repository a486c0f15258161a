//! Secrets that checks send, to a server that says again whatever it is told.

use quaywatch_testkit::wait;
use serde_json::json;

use super::{API, PATIENCE, Stage, at};

impl Stage {
    /// Checks that say a secret to what repeats it: made, changed, copied, tried, brought by documents.
    pub(super) fn make_checks(&mut self) {
        let by = self.admin.clone();
        let json = [by.as_str(), "content-type: application/json"];
        let port = self.parrot.address.port();
        let body = |name: &str, secret: &str| {
            json!({
                "name": name, "host": "127.0.0.1", "port": port, "check_interval": 1, "expect": "^never",
                "send_secret": format!("AUTH {secret}\\r\\n"), "channels": ["made"],
            })
        };
        let first = self.made("password of a check");
        let headers = [by.as_str(), "content-type: application/json", "idempotency-key: quay-2"];
        for _ in 0..2 {
            let text = body("says", &first).to_string();
            let answer = self.talk.ask("POST", &at("/monitors"), &headers, &text);
            assert_eq!(
                (answer.status, answer.text("/secrets/0").as_str()),
                (201, "send_secret"),
                "{}",
                answer.body
            );
        }
        let id = self.talk.ask("GET", &at("/monitors/find?name=says"), &[&by], "").text("/id");
        let path = format!("{API}/monitors/{id}");
        let copied = self.talk.ask("POST", &format!("{path}/clone"), &json, "{}");
        assert_eq!(copied.status, 201, "{}", copied.body);
        let elsewhere = self.talk.ask("PATCH", &path, &json, &json!({ "port": 1 }).to_string());
        assert_eq!(elsewhere.status, 422, "{}", elsewhere.body);
        let changed = self.made("password of a check after a change");
        let text = json!({ "send_secret": format!("AUTH {changed}\\r\\n") }).to_string();
        assert_eq!(self.talk.ask("PATCH", &path, &json, &text).status, 200);
        let many = self.made("password of a check in a bulk");
        let text = json!({ "create": [body("one of many", &many)] }).to_string();
        assert_eq!(self.talk.ask("POST", &at("/monitors/bulk"), &json, &text).status, 200);
        let tried = self.made("password of a check that is tried");
        let answer = self.talk.ask("POST", &at("/monitors/test"), &json, &body("tried", &tried).to_string());
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.body.contains("not kept"), "its answer is no evidence: {}", answer.body);
        let brought = self.made("password of a check in a document");
        let text = format!(
            "monitors:\n  - {{name: brought, host: 127.0.0.1, port: {port}, check_interval: 1s, send_secret: {brought}}}\n"
        );
        for way in ["/import?dry_run=true", "/import", "/apply/checks?dry_run=true"] {
            let answer = self.talk.ask("POST", &at(way), &[&by, "content-type: application/yaml"], &text);
            assert_eq!(answer.status, 200, "{way}: {}", answer.body);
        }
        let binned = self.made("password of a check in the bin");
        let gone =
            self.talk.ask("POST", &at("/monitors"), &json, &body("gone", &binned).to_string()).text("/id");
        assert_eq!(self.talk.ask("DELETE", &format!("{API}/monitors/{gone}"), &[&by], "").status, 204);
        self.said.extend([first, changed, many, tried, brought]);
        for (wrong, word) in
            [("AUTH @\\q", "an escape that is none"), ("${@}", "a reference"), ("@", "too long")]
        {
            let secret = self.made(&format!("password of a check, {word}"));
            let secret = wrong.replace('@', &secret);
            let secret = if word == "too long" { secret.repeat(200) } else { secret };
            let mut wrong = body("wrong", "x");
            wrong["send_secret"] = secret.into();
            self.refused("POST", "/monitors", &by, "application/json", &wrong.to_string());
        }
    }

    /// What is checked has heard them, and each outcome is known.
    pub(super) fn check_with_secrets(&mut self) {
        for secret in &self.said {
            wait::until("the target has heard it", PATIENCE, || self.parrot.has_heard(secret));
        }
        let by = self.admin.clone();
        wait::until("what repeats a secret is down", PATIENCE, || {
            let answer = self.talk.ask("GET", &at("/monitors/find?name=knocks"), &[&by], "");
            answer.text("/error_code") == "tcp_banner_mismatch"
        });
    }
}
