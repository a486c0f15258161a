//! The documented call, word by word.

use std::time::Duration;

use quaywatch_core::doc::{Node, Problem};
use quaywatch_core::{AccountId, ErrorCode, ErrorStatus};
use quaywatch_store::Store as _;
use quaywatch_store::records::{ChangeSet, Owner, ResourceChange};

use super::OperationError;
use super::kit::{Kit, MINUTE, failed, ok, owner};
use super::urls::WrittenUrl;

const DOCUMENTED: &str =
    r#"{"url":"db.example.com","monitor_type":"tcp","port":3306,"period":60,"notify_telegram":true}"#;

async fn create(kit: &Kit, json: &str) -> Result<WrittenUrl, OperationError> {
    kit.operations.create_url(&owner(), &Node::from_json(json).expect("JSON")).await
}

fn codes(warnings: &[Problem]) -> Vec<(&str, &'static str)> {
    warnings.iter().map(|problem| (problem.path.as_str(), problem.code)).collect()
}

async fn channel(kit: &Kit, name: &str, kind: &str) {
    let put = ResourceChange::PutChannel {
        key: name.into(),
        name: name.into(),
        kind: kind.into(),
        settings: "{}".into(),
    };
    let set = ChangeSet { owner: Owner::Api, actor: "test".into(), changes: vec![put], accepted: None };
    let now = quaywatch_core::Clock::now(&*kit.clock);
    kit.store.account(AccountId::DEFAULT).apply(set, now).await.expect("applied");
}

#[tokio::test]
async fn t15_t21_the_documented_call_works_letter_by_letter() {
    let kit = Kit::new().await;
    let made = create(&kit, DOCUMENTED).await.expect("the documented call");
    let url = &made.url;
    assert_eq!((url.url.as_str(), url.monitor_type, url.port), ("db.example.com", "tcp", 3306));
    assert_eq!((url.period, url.custom_timeout), (Duration::from_secs(60), Duration::from_secs(60)));
    assert_eq!(codes(&made.warnings), [("notify_telegram", "nobody_told")]);
    let read = kit.operations.read_url(&owner(), url.id).await.expect("it is there");
    assert_eq!(read, made.url);
    assert_eq!(url.name, "db.example.com:3306");
    let again = create(&kit, DOCUMENTED).await.expect("a second one").url;
    assert_eq!((again.name.as_str(), again.id == url.id), ("db.example.com:3306 (2)", false));
}

#[tokio::test]
async fn t16_the_port_is_required_and_an_integer_in_range() {
    let kit = Kit::new().await;
    for port in [
        "",
        r#","port":null"#,
        r#","port":0"#,
        r#","port":65536"#,
        r#","port":"abc""#,
        r#","port":33.5"#,
        r#","port":"3306""#,
    ] {
        let json = format!(r#"{{"url":"db.example.com","monitor_type":"tcp","period":60{port}}}"#);
        let result = create(&kit, &json).await;
        let Err(OperationError::Invalid(problems)) = result else { panic!("{json}: {result:?}") };
        let problem = problems.iter().next().expect("a problem");
        assert_eq!(problem.path, "port", "{json}");
        assert!(problem.message.contains("an integer from 1 to 65535"), "{}", problem.message);
    }
    for port in ["1", "65535", "3306"] {
        let json =
            format!(r#"{{"url":"db.example.com","monitor_type":"tcp","port":{port},"protocol":"mysql"}}"#);
        let made = create(&kit, &json).await.expect("in range");
        assert_eq!(made.url.protocol.as_deref(), Some("mysql"));
    }
    let result = create(&kit, r#"{"url":"http://db.example.com","monitor_type":"tcp","port":80}"#).await;
    let Err(OperationError::Invalid(problems)) = result else { panic!("{result:?}") };
    assert!(problems.to_string().contains("has a scheme"), "{problems}");
    let result = create(&kit, r#"{"url":"a","monitor_type":"ftp","port":80}"#).await;
    let Err(OperationError::Invalid(problems)) = result else { panic!("{result:?}") };
    assert_eq!(problems.iter().next().expect("a problem").path, "monitor_type");
}

#[tokio::test]
async fn t17_what_belongs_to_http_is_ignored_and_a_value_is_warned_about() {
    let kit = Kit::new().await;
    let silent = r#"{"url":"a","monitor_type":"tcp","port":1,"http_method":null,"expected_keyword":null}"#;
    assert_eq!(codes(&create(&kit, silent).await.expect("nulls").warnings), []);
    let loud = r#"{"url":"a","monitor_type":"tcp","port":2,"http_method":"GET","expected_keyword":"ok"}"#;
    let made = create(&kit, loud).await.expect("ignored");
    assert_eq!(codes(&made.warnings), [("http_method", "ignored"), ("expected_keyword", "ignored")]);
    let unknown = create(&kit, r#"{"url":"a","monitor_type":"tcp","port":1,"perod":60}"#).await;
    let Err(OperationError::Invalid(problems)) = unknown else { panic!("{unknown:?}") };
    assert!(problems.to_string().contains("did you mean `period`?"), "{problems}");
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_url_is_told_at_once_in_its_own_words() {
    let kit = Kit::new().await;
    let wrong = async |body: &str| {
        let Err(OperationError::Invalid(problems)) = create(&kit, body).await else { panic!("{body}") };
        problems
    };
    let all = wrong(r#"{"url":"http://db.example.com","port":70000,"period":"soon","nope":1}"#).await;
    let told: Vec<_> = all.iter().map(|one| (one.pointer.as_str(), one.code)).collect();
    assert_eq!(
        told,
        [
            ("/url", "bad_host"),
            ("/port", "out_of_range"),
            ("/nope", "unknown_key"),
            ("/period", "bad_duration")
        ]
    );
    let scheme = all.iter().next().expect("the first");
    assert_eq!(scheme.remedy, r#"send `"url": "db.example.com"`"#);
    for (port, code) in [("0", "out_of_range"), (r#""3306""#, "integer"), ("1.5", "integer")] {
        let all = wrong(&format!(r#"{{"url":"a","port":{port}}}"#)).await;
        let one = all.iter().next().expect("one");
        assert!(one.code == code && one.message.starts_with("`port` is required for"), "{one}");
    }
    let both: Vec<_> = wrong(r#"{"enabled":"x"}"#).await.iter().map(|one| one.pointer.clone()).collect();
    assert_eq!(both, ["/url", "/port", "/enabled"]);
    let secret = wrong(r#"{"url":"u:PLANTED@h/x","port":1}"#).await.to_string();
    assert!(!secret.contains("PLANTED"), "{secret}");
    let pasted = create(&kit, r#"{"url":"db.example.com:3307","port":3307}"#).await.expect("made").url;
    assert_eq!((pasted.name.as_str(), pasted.url.as_str()), ("db.example.com:3307", "db.example.com"));
}

#[tokio::test]
async fn t18_a_url_counts_and_its_period_is_the_plans_at_least() {
    let plans =
        "server: {plans: {free: {max_urls: 1, min_interval: 5m}}, default_plan: free}\nmonitors: []\n";
    let kit = Kit::with(plans).await;
    let often = create(&kit, DOCUMENTED).await;
    assert!(matches!(often, Err(OperationError::Limit { limit: "min_interval", .. })), "{often:?}");
    let unsaid = create(&kit, r#"{"url":"192.0.2.1","port":1}"#).await.expect("no period is the plan's");
    assert_eq!(unsaid.url.period, Duration::from_secs(300));
    let null = Node::from_json(r#"{"check_interval":null,"tags":{"a":"b"}}"#).expect("JSON");
    let patched = kit.operations.update_monitor(&owner(), unsaid.url.id, &null, None).await.expect("patched");
    assert_eq!(patched.monitor.spec.check_interval, Duration::from_secs(300));
    kit.operations.delete_url(&owner(), unsaid.url.id).await.expect("gone");
    let slow = DOCUMENTED.replace("60", "300");
    create(&kit, &slow).await.expect("the first");
    let second = create(&kit, &slow).await;
    assert!(matches!(second, Err(OperationError::Limit { limit: "max_urls", .. })), "{second:?}");
}

#[tokio::test]
async fn t15_notify_means_the_accounts_channels_of_that_kind() {
    let kit = Kit::new().await;
    channel(&kit, "hook", "webhook").await;
    channel(&kit, "hook 2", "webhook").await;
    channel(&kit, "chat", "telegram").await;
    let json = r#"{"url":"a","monitor_type":"tcp","port":1,"notify_webhook":true,"notify_telegram":true}"#;
    let made = create(&kit, json).await.expect("made");
    assert_eq!(codes(&made.warnings), []);
    assert!(made.url.notify.webhook && made.url.notify.telegram && !made.url.notify.email);
    let view = kit.operations.read_monitor(&owner(), made.url.id).await.expect("a monitor");
    assert_eq!(view.spec.channels, ["hook", "hook 2", "chat"]);

    let patch = Node::from_json(r#"{"notify_webhook":false,"period":120,"url":"b"}"#).expect("JSON");
    let changed = kit.operations.update_url(&owner(), made.url.id, &patch, None).await.expect("changed").url;
    assert!(!changed.notify.webhook && changed.notify.telegram);
    assert_eq!((changed.period, changed.name.as_str()), (2 * MINUTE, "b:1"), "the name follows");
    assert_eq!(changed.custom_timeout, MINUTE);
    kit.operations.delete_url(&owner(), changed.id).await.expect("removed");
    assert!(kit.operations.read_url(&owner(), changed.id).await.is_err());
}

#[tokio::test]
async fn t22_t23_the_log_has_the_public_word_and_null_when_ok() {
    let kit = Kit::new().await;
    let id = create(&kit, DOCUMENTED).await.expect("made").url.id;
    let at = |n: u32| super::kit::MIDNIGHT + MINUTE * n;
    kit.record(vec![
        ok(id, at(1), 900),
        failed(id, at(2), ErrorCode::TcpRefused),
        failed(id, at(3), ErrorCode::TcpTimeout),
    ])
    .await;
    let log = kit.operations.list_url_logs(&owner(), id, None, &Default::default()).await.expect("a log");
    let words: Vec<Option<ErrorStatus>> = log.items.iter().map(|row| row.error_status).collect();
    assert_eq!(words, [Some(ErrorStatus::Timeout), Some(ErrorStatus::TcpRefused), None], "the newest first");
    assert_eq!(log.items[2].latency_us, Some(900));
}
