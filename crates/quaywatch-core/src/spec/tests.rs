//! Specs as people write them: what is read, what is refused and with which words, and what survives the store.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::values::At;
use super::*;
use crate::doc::{Node, Path, Problems};
use crate::id::{AccountId, LocationId, MonitorId};
use crate::job::Plans;

/// Keeps what is written turned around, as if it were sealed; takes references, and what is sealed already.
struct TestKeeper;

impl Keeper for TestKeeper {
    fn keep(&self, written: &At<'_, '_>) -> Result<Hidden, Refusal> {
        if let Some(sealed) = sealed_text(written.node) {
            return Ok(Hidden::Sealed(sealed.into()));
        }
        let text = written.expect_text()?;
        if text.starts_with("${") {
            return Ok(Hidden::Reference(text.into()));
        }
        let message = Message::read(written.key, text)?;
        Ok(Hidden::Sealed(message.iter().rev().map(|b| char::from(*b)).collect::<String>().into()))
    }

    fn left_out(&self, _: &At<'_, '_>) -> Result<Option<Hidden>, Refusal> {
        Ok(Some(Hidden::LeftOut))
    }
}

fn context<'c>(locations: &'c [String], channels: &'c [String]) -> Context<'c> {
    Context { locations, channels, keeper: &TestKeeper }
}

/// Reads JSON with two declared locations and two channels.
fn read(json: &str) -> Result<Vec<MonitorSpec>, String> {
    read_with(json, "{}")
}

fn read_with(json: &str, defaults: &str) -> Result<Vec<MonitorSpec>, String> {
    let locations = ["us-east".to_owned(), "eu-west".to_owned()];
    let channels = ["ops".to_owned(), "night".to_owned()];
    let cx = context(&locations, &channels);
    let mut problems = Problems::new();
    let defaults = Node::from_json(defaults).expect("the test's defaults are JSON");
    let defaults = Defaults::read(&defaults, &Path::Root, &cx, &mut problems);
    let node = Node::from_json(json).expect("the test's text is JSON");
    let mut specs = Vec::new();
    MonitorSpec::read_all(&node, &Path::Root, &defaults, &cx, &mut problems, &mut |spec| specs.push(spec));
    if problems.iter().count() > 0 { Err(problems.to_string()) } else { Ok(specs) }
}

fn one(json: &str) -> MonitorSpec {
    let mut specs = read(json).unwrap_or_else(|problems| panic!("{json}\n{problems}"));
    assert_eq!(specs.len(), 1);
    specs.remove(0)
}

fn tcp(spec: &MonitorSpec) -> &TcpSpec {
    let Kind::Tcp(tcp) = &spec.kind;
    tcp
}

/// A monitor with these settings beside the three that every one needs.
fn with(settings: &str) -> String {
    format!(
        r#"{{"name":"x","host":"db","port":5432{}{settings}}}"#,
        if settings.is_empty() { "" } else { "," }
    )
}

#[test]
fn what_cannot_be_seen_is_no_part_of_a_name() {
    for c in ['\u{200B}', '\u{200F}', '\u{202A}', '\u{202E}', '\u{2066}', '\u{2069}', '\u{FEFF}'] {
        for json in [
            format!(r#"{{"name":"d{c}b","host":"db","port":1}}"#),
            with(&format!(r#""group":"a/{c}b""#)),
            with(&format!(r#""tags":{{"e{c}":"x"}}"#)),
        ] {
            let told = read(&json).expect_err("unseen");
            assert!(told.contains(&format!("U+{:04X}", u32::from(c))), "{told}");
        }
    }
    assert!(read(r#"{"name":"База данных ✓ 数据","host":"db","port":1}"#).is_ok());
}

#[test]
fn what_is_missing_has_a_place_of_its_own() {
    let mut problems = Problems::new();
    let node = Node::from_json("{}").expect("JSON");
    let path = Path::Root.key("monitors");
    let none =
        MonitorSpec::read(&node, &path.index(3), &Defaults::default(), &context(&[], &[]), &mut problems);
    assert!(none.is_none());
    let places: Vec<_> = problems.iter().map(|one| one.pointer.as_str()).collect();
    assert_eq!(places, ["/monitors/3/host", "/monitors/3/port", "/monitors/3/name"]);
}

#[test]
fn what_is_known_by_several_words_is_listed_once() {
    let locations = ["local".to_owned(), "mars".to_owned()];
    let text = with(r#""locations":["venus"]"#);
    let node = Node::from_json(&text).expect("JSON");
    let mut problems = Problems::new();
    let _ =
        MonitorSpec::read(&node, &Path::Root, &Defaults::default(), &context(&locations, &[]), &mut problems);
    assert!(problems.to_string().contains("known: `local` and `mars`"), "{problems}");
}

#[test]
fn a_default_interval_is_for_those_that_name_none() {
    let defaults = Defaults::of_interval(Duration::from_secs(300));
    for (settings, seconds) in [("", 300), (r#""check_interval":null"#, 300), (r#""check_interval":30"#, 30)]
    {
        let text = with(settings);
        let node = Node::from_json(&text).expect("JSON");
        let spec = MonitorSpec::read(&node, &Path::Root, &defaults, &context(&[], &[]), &mut Problems::new());
        assert_eq!(spec.expect("fine").check_interval, Duration::from_secs(seconds), "{settings}");
    }
}

#[test]
fn the_least_that_is_a_monitor_has_the_documented_defaults() {
    let spec = one(&with(""));
    assert_eq!(spec, MonitorSpec::tcp("x", Host::Name("db".into()), 5432));
    assert_eq!(spec.check_interval, Duration::from_secs(60));
    assert_eq!(spec.timeout, Duration::from_secs(10));
    assert_eq!(spec.dns_timeout, Duration::from_secs(5));
    assert_eq!(spec.retry_interval, Duration::from_secs(5));
    assert_eq!((spec.consecutive_failures_before_alert, spec.consecutive_successes_before_recovery), (2, 1));
    assert_eq!(spec.locations, ["local"]);
    assert!(spec.alert_on_failure && spec.alert_before_first_success && spec.enabled);
    assert_eq!(tcp(&spec).handshake, Handshake::HalfOpen);
    let policy = spec.policy(|name| (name == "local").then_some(LocationId::LOCAL));
    assert_eq!(policy.flap_window, Duration::from_secs(20 * 60));
    assert_eq!(policy.flap_hold, Duration::from_secs(10 * 60));
    assert_eq!(&*policy.locations, [LocationId::LOCAL]);
}

#[test]
fn t21_timeout_default_and_custom_timeout() {
    assert_eq!(one(&with("")).timeout, Duration::from_secs(10));
    assert_eq!(one(&with(r#""custom_timeout":60"#)).timeout, Duration::from_secs(60));
}

#[test]
fn t15_the_first_products_words_are_understood() {
    let spec = one(
        r#"{"name":"x","url":"db.example.com","monitor_type":"tcp","port":5432,"period":60,"protocol":"tcp",
        "http_method":null,"expected_keyword":null}"#,
    );
    assert_eq!(spec, MonitorSpec::tcp("x", Host::Name("db.example.com".into()), 5432));
}

#[test]
fn t14_a_pasted_host_and_port_is_split() {
    for url in ["db.example.com:5432", "tcp://db.example.com:5432", "db.example.com:postgresql"] {
        let spec = one(&format!(r#"{{"name":"x","url":"{url}"}}"#));
        assert_eq!(
            (tcp(&spec).host.to_string().as_str(), tcp(&spec).port),
            ("db.example.com", 5432),
            "{url}"
        );
    }
    assert!(read(r#"{"name":"x","url":"db:1","port":2}"#).is_err());
}

#[test]
fn t16_port_is_required_and_from_1_to_65535() {
    for port in ["1", "65535", "\"5432\"", "\"postgresql\"", "\"Postgres\""] {
        assert!(read(&format!(r#"{{"name":"x","host":"db","port":{port}}}"#)).is_ok(), "{port}");
    }
    for port in
        ["0", "65536", "-1", "1.5", "99999999999999999999999", "true", "[22]", "{}", "null", "\"nope\""]
    {
        assert!(read(&format!(r#"{{"name":"x","host":"db","port":{port}}}"#)).is_err(), "{port}");
    }
}

#[test]
fn every_field_of_the_table_is_read() {
    let mut names = BTreeSet::new();
    for field in fields::FIELDS {
        assert!(
            names.insert(field.name) && field.aliases.iter().all(|alias| names.insert(alias)),
            "{}",
            field.name
        );
        for name in std::iter::once(&field.name).chain(field.aliases) {
            // A mapping in a mapping is wrong for all; the complaint must be about the value, not about the name.
            let told =
                read(&with(&format!(r#""{name}":{{"a":{{"b":1}}}}"#))).expect_err("no field takes this");
            assert!(!told.contains("unknown setting"), "{name}: {told}");
        }
    }
    for (_, ours) in fields::HINTS {
        assert!(names.contains(ours), "{ours}");
    }
    assert!(fields::FIELDS.len() <= 64, "the reader counts them in 64 bits");
}

#[test]
fn defaults_hold_unless_the_monitor_says_otherwise() {
    let defaults = r#"{"check_interval":"30s","retry_interval":"10s","channels":["ops"],"response_time_threshold":"500ms",
        "handshake":"full","settle":"100ms","ip_family":"ipv6"}"#;
    let spec = read_with(&with(""), defaults).expect("fine").remove(0);
    assert_eq!(spec.check_interval, Duration::from_secs(30));
    assert_eq!(spec.retry_interval, Duration::from_secs(10));
    assert_eq!(spec.channels, ["ops"]);
    assert_eq!(tcp(&spec).settle, Duration::from_millis(100));
    // Null asks for the built-in default; a default that cannot apply is passed over.
    let own = r#""check_interval":"2s","channels":[],"response_time_threshold":null,"expect":"^ok","ip_family":null"#;
    let spec = read_with(&with(own), defaults).expect("fine").remove(0);
    assert_eq!(spec.retry_interval, Duration::from_secs(2));
    assert!(spec.channels.is_empty() && spec.response_time_threshold.is_none());
    assert_eq!((tcp(&spec).settle, tcp(&spec).ip_family), (Duration::ZERO, IpFamily::Any));
}

#[test]
fn a_message_that_is_a_secret_is_never_in_a_spec() {
    let spec = one(&with(r#""send_secret":"AUTH hunter2\\r\\n""#));
    assert_eq!(tcp(&spec).send, Some(Message::Hidden(Hidden::Sealed("\n\r2retnuh HTUA".into()))));
    assert_eq!(tcp(&spec).handshake, Handshake::Full);
    assert!(!format!("{spec:?}").contains("retnuh"), "{spec:?}");
    let canonical = spec.to_canonical();
    assert!(
        canonical.contains(r#""send_secret":{"$sealed":""#) && !canonical.contains("hunter2"),
        "{canonical}"
    );
    assert_eq!(tcp(&one(&with(r#""send_secret":null"#))).send, Some(Message::Hidden(Hidden::LeftOut)));

    let both = read(&with(r#""send":"a","send_secret":"hunter2""#)).expect_err("both");
    assert!(both.contains("both given"), "{both}");
    let closed = read(&with(r#""expectation":"closed","send_secret":"hunter2""#)).expect_err("no talk");
    let half = read(&with(r#""handshake":"half_open","send_secret":"hunter2""#)).expect_err("no talk");
    let long = read(&with(&format!(r#""send_secret":"{}""#, "hunter2".repeat(600)))).expect_err("long");
    let list = read(&with(r#""send_secret":["hunter2"]"#)).expect_err("a list");
    for (told, word) in
        [(closed, "open port"), (half, "`send_secret` asks"), (long, "4096"), (list, "a text")]
    {
        assert!(told.contains(word) && !told.contains("hunter2"), "{told}");
    }
    let own = with(r#""send_secret":"x""#);
    let spec = read_with(&own, r#"{"send":"PING"}"#).expect("its own before the default").remove(0);
    assert!(matches!(tcp(&spec).send, Some(Message::Hidden(_))));
    let wrong = read_with(&with(""), r#"{"send_secret":"x"}"#).expect_err("no default");
    assert!(wrong.contains("belongs to one monitor"), "{wrong}");
}

#[test]
fn handshake_and_settle_follow_what_is_exchanged() {
    assert_eq!(tcp(&one(&with(r#""send":"PING\\r\\n""#))).handshake, Handshake::Full);
    assert_eq!(tcp(&one(&with(r#""send":"PING\\r\\n""#))).send, Some(Message::Open((*b"PING\r\n").into())));
    assert_eq!(tcp(&one(&with(r#""handshake":"full""#))).settle, Duration::from_millis(50));
    assert_eq!(tcp(&one(&with(r#""handshake":"full","settle":0"#))).settle, Duration::ZERO);
    assert_eq!(tcp(&one(&with(r#""expect":"^SSH-2""#))).settle, Duration::ZERO);
}

#[test]
fn tags_are_a_mapping_or_a_list() {
    let wanted: BTreeMap<String, String> =
        [("a".to_owned(), String::new()), ("b".to_owned(), "c".to_owned())].into_iter().collect();
    for tags in [r#"["a","b:c"]"#, r#"{"a":"","b":"c"}"#, r#"{"a":null,"b":"c"}"#, r#"["a",{"b":"c"}]"#] {
        assert_eq!(one(&with(&format!(r#""tags":{tags}"#))).tags, wanted, "{tags}");
    }
}

#[test]
fn s28_ports_hosts_and_presets_become_monitors_of_one_group() {
    let names = |json: &str| -> Vec<String> {
        let specs = read(json).unwrap_or_else(|problems| panic!("{problems}"));
        specs
            .iter()
            .map(|s| {
                format!(
                    "{} = {} in {}",
                    s.name,
                    tcp(s).host.with_port(tcp(s).port),
                    s.group.clone().unwrap_or_default()
                )
            })
            .collect()
    };
    assert_eq!(
        names(r#"{"name":"db-1","host":"10.0.0.1","ports":[22,"postgresql","8000-8002"]}"#),
        [
            "db-1 22 = 10.0.0.1:22 in db-1",
            "db-1 5432 = 10.0.0.1:5432 in db-1",
            "db-1 8000 = 10.0.0.1:8000 in db-1",
            "db-1 8001 = 10.0.0.1:8001 in db-1",
            "db-1 8002 = 10.0.0.1:8002 in db-1",
        ]
    );
    assert_eq!(
        names(r#"{"name":"redis","hosts":["a","::1"],"preset":"redis","group":"caches"}"#),
        ["redis a = a:6379 in caches", "redis ::1 = [::1]:6379 in caches"]
    );
    assert_eq!(
        names(r#"{"name":"web {port} on {host}","hosts":["a","b"],"preset":"web"}"#),
        [
            "web 80 on a = a:80 in web  on",
            "web 443 on a = a:443 in web  on",
            "web 80 on b = b:80 in web  on",
            "web 443 on b = b:443 in web  on",
        ]
    );
    assert_eq!(names(r#"{"name":"db","host":"a","preset":"postgresql"}"#), ["db = a:5432 in "]);
    let specs = read(r#"{"name":"n","id":"k","host":"a","ports":"22-23"}"#).expect("fine");
    assert_eq!(specs.iter().map(MonitorSpec::identity).collect::<Vec<_>>(), ["k 22", "k 23"]);
}

#[test]
fn a11_a_whole_host_fits_in_one_entry_and_more_does_not() {
    assert_eq!(read(r#"{"name":"n","host":"a","ports":"1-65535"}"#).map(|s| s.len()), Ok(65_535));
    assert!(read(r#"{"name":"n","hosts":["a","b"],"ports":"1-65535"}"#).is_err());
}

#[test]
fn what_is_wrong_is_said_with_field_and_remedy() {
    let bad = [
        r#"{}"#,
        r#"[]"#,
        r#"{"name":"x","host":"db"}"#,
        r#"{"name":"x","hosts":["a"],"host":"b","port":1,"ports":[1]}"#,
        &with(r#""check_intervall":"30s""#),
        &with(r#""interval":"30s""#),
        &with(r#""mode":"half_open""#),
        &with(r#""xyzzy":1"#),
        &with(r#""period":30,"check_interval":60"#),
        &with(r#""check_interval":"500ms""#),
        &with(r#""check_interval":"25h""#),
        &with(r#""check_interval":"5 minuts""#),
        &with(r#""check_interval":["1m"]"#),
        &with(r#""timeout":"10ms","dns_timeout":"2m","check_interval":"2s","retry_interval":"5s""#),
        &with(r#""consecutive_failures_before_alert":0"#),
        &with(r#""consecutive_failures_before_alert":"two""#),
        &with(r#""consecutive_failures_before_alert":2.5"#),
        &with(r#""alert_on_failure":"yes""#),
        &with(r#""enabled":1"#),
        &with(r#""monitor_type":"http""#),
        &with(r#""handshake":"half_open","send":"x""#),
        &with(r#""handshake":"halfopen""#),
        &with(r#""settle":"50ms""#),
        &with(r#""settle":"50ms","expect":"x""#),
        &with(r#""handshake":"full","settle":"2s","timeout":"1s""#),
        &with(r#""expectation":"closed","expect":"x""#),
        &with(r#""expectation":"shut""#),
        &with(r#""send":"\\q""#),
        &with(r#""send":"""#),
        &with(r#""expect":"(unclosed""#),
        &with(r#""expect":"(a{1000}){1000}""#),
        &with(r#""ip_family":"v4""#),
        &with(r#""ip_family":6"#),
        &with(r#""locations":["us-esat"]"#),
        &with(r#""locations":["mars","us-east","us-east"]"#),
        &with(r#""locations":[]"#),
        &with(r#""locations":"us-east""#),
        &with(r#""locations_down_before_alert":2"#),
        &with(r#""channels":"ops""#),
        &with(r#""channels":["opps","pager"]"#),
        &with(r#""group":"infra//db""#),
        &with(r#""tags":"prod""#),
        &with(r#""tags":["a","a"]"#),
        &with(r#""flap_changes":1,"flap_window":"1s""#),
        &with(r#""runbook_url":"wiki/db""#),
        &with(r#""description":["x"]"#),
        &with(r#""response_time_threshold":"10s""#),
        &with(r#""http_method":"GET""#),
        r#"{"name":"x","host":["a","b"],"port":[1,2]}"#,
        r#"{"name":"x","host":"a","port":"8000-8010"}"#,
        r#"{"name":"x","host":"a","port":"postgress"}"#,
        r#"{"name":"x","host":"a","ports":["9-1",0,"x"]}"#,
        r#"{"name":"x","host":"a","preset":"databse"}"#,
        r#"{"name":"x","host":"127.0.0.1","port":1,"ip_family":"ipv6"}"#,
        r#"{"name":"x","host":"a","port":3306,"handshake":"full"}"#,
        r#"{"name":"x\u0000y","host":"a b","port":70000}"#,
        r#"{"name":"x","name":"y","host":"a","port":1}"#,
    ];
    let told: Vec<String> = bad
        .iter()
        .map(|json| format!("{json}\n{}", read(json).map_or_else(|e| e, |specs| format!("FINE: {specs:?}"))))
        .collect();
    insta::assert_snapshot!(told.join("\n\n"));
}

#[test]
fn defaults_cannot_hold_what_belongs_to_one_monitor() {
    let told = read_with(&with(""), r#"{"host":"a","check_intervall":"1s"}"#).expect_err("both are wrong");
    insta::assert_snapshot!(told, @r"
    `host` cannot be a default: it belongs to one monitor; write it at each monitor
    unknown setting `check_intervall`; did you mean `check_interval`?
    ");
}

#[test]
fn an_edit_resets_the_judge_only_where_another_thing_is_watched() {
    let old = one(&with(r#""handshake":"full""#));
    let resets = |settings: &str| old.resets_judge(&one(&with(settings)));
    for same in [
        r#""handshake":"full""#,
        r#""handshake":"full","check_interval":"5s""#,
        r#""handshake":"full","timeout":"5s","tags":["a"],"group":"g","channels":["ops"]"#,
        r#""handshake":"full","settle":"10ms""#,
    ] {
        assert!(!resets(same), "{same}");
    }
    for other in [
        "",
        r#""handshake":"full","send":"x""#,
        r#""expect":"x""#,
        r#""handshake":"full","expectation":"closed""#,
        r#""handshake":"full","ip_family":"ipv4""#,
        r#""handshake":"full","addresses":"all""#,
    ] {
        assert!(resets(other), "{other}");
    }
    assert!(old.resets_judge(&one(r#"{"name":"x","host":"db","port":5433,"handshake":"full"}"#)));
    assert!(old.resets_judge(&one(r#"{"name":"x","host":"db2","port":5432,"handshake":"full"}"#)));
}

#[test]
fn equal_settings_share_a_plan() {
    let mut plans = Plans::default();
    let a = one(&with("")).job(MonitorId(1), AccountId::DEFAULT, &mut plans);
    let b = one(r#"{"name":"y","host":"other","port":1}"#).job(MonitorId(2), AccountId::DEFAULT, &mut plans);
    assert!(std::sync::Arc::ptr_eq(&a.plan, &b.plan));
}

#[test]
fn the_canonical_text_holds_only_what_differs() {
    assert_eq!(one(&with("")).to_canonical(), r#"{"name":"x","monitor_type":"tcp","host":"db","port":5432}"#);
    let settings =
        r#""check_interval":"1500ms","send":"a\u0001","tags":["k"],"enabled":false,"handshake":"full""#;
    assert_eq!(
        one(&with(settings)).to_canonical(),
        r#"{"name":"x","monitor_type":"tcp","host":"db","port":5432,"check_interval":1.5,"send":"a\\x01","tags":{"k":""},"enabled":false}"#
    );
    assert!(MonitorSpec::from_canonical("{}").is_err());
    assert!(
        MonitorSpec::from_canonical(r#"{"name":"x","monitor_type":"ufo","host":"db","port":1}"#).is_err()
    );
}

/// Milliseconds, whole seconds as often as not.
fn some_duration(least_ms: u64, most_ms: u64) -> impl Strategy<Value = Duration> {
    (least_ms..=most_ms, any::<bool>()).prop_map(move |(ms, whole)| {
        let rounded = if whole { (ms / 1_000 * 1_000).max(least_ms) } else { ms };
        Duration::from_millis(rounded)
    })
}

fn some_host() -> impl Strategy<Value = Host> {
    prop_oneof![
        any::<std::net::IpAddr>().prop_map(Host::Ip),
        "[a-z0-9_-]{1,20}(\\.[a-z][a-z0-9]{0,9}){0,3}"
            .prop_filter_map("a host name", |text| Host::parse(&text).ok()),
    ]
}

fn some_message() -> impl Strategy<Value = Message> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..40)
            .prop_map(|bytes| Message::Open(bytes.into_boxed_slice())),
        "[A-Za-z0-9+/]{1,40}".prop_map(|text| Message::Hidden(Hidden::Sealed(text.into()))),
        "[A-Z_]{1,20}".prop_map(|name| Message::Hidden(Hidden::Reference(format!("${{{name}}}").into()))),
        Just(Message::Hidden(Hidden::LeftOut)),
    ]
}

prop_compose! {
    fn some_tcp()(
        host in some_host(),
        port in 1..=u16::MAX,
        ip_family in prop_oneof![Just(IpFamily::Any), Just(IpFamily::Ipv4), Just(IpFamily::Ipv6)],
        addresses in prop_oneof![Just(Addresses::First), Just(Addresses::All)],
        full in any::<bool>(),
        settle in proptest::option::of(some_duration(0, 99)),
        send in proptest::option::of(some_message()),
        expect in proptest::option::of("[ -~]{1,20}".prop_filter("a pattern", |t| Pattern(t.as_str().into()).compile().is_ok())),
    ) -> TcpSpec {
        let mut tcp = TcpSpec::new(host, port);
        tcp.ip_family = match (&tcp.host, ip_family) {
            (Host::Ip(_), _) => IpFamily::Any,
            (Host::Name(_), family) => family,
        };
        tcp.addresses = addresses;
        tcp.send = send;
        tcp.expect = expect.map(|text| Pattern(text.into()));
        tcp.handshake = if full { Handshake::Full } else { tcp.default_handshake() };
        tcp.settle = TcpSpec::default_settle(tcp.handshake, tcp.expect.is_some());
        if tcp.settle > Duration::ZERO {
            tcp.settle = settle.unwrap_or(tcp.settle);
        }
        tcp
    }
}

fn some_text() -> impl Strategy<Value = String> {
    "[ -~а-я]{1,30}".prop_map(|t| t.trim().to_owned()).prop_filter("text", |t| !t.is_empty())
}

prop_compose! {
    fn some_spec()(
        tcp in some_tcp(),
        name in some_text(),
        key in proptest::option::of(some_text()),
        times in (some_duration(1_000, 86_400_000), some_duration(100, 120_000), some_duration(100, 60_000), some_duration(100, 1_000)),
        counts in (1..=100u16, 1..=100u16, prop_oneof![Just(0u16), 2..=8u16]),
        optional in (
            proptest::option::of(some_duration(1, 99)),
            proptest::option::of(some_duration(10_000, 600_000_000)),
            proptest::option::of(some_duration(1_000, 600_000_000)),
        ),
        flags in any::<(bool, bool, bool)>(),
        lists in (
            proptest::sample::subsequence(vec!["local".to_owned(), "us-east".to_owned(), "eu-west".to_owned()], 1..=3),
            proptest::sample::subsequence(vec!["ops".to_owned(), "night".to_owned()], 0..=2),
        ),
        group in proptest::option::of("[a-zа-я]{1,9}(/[a-z ]{0,4}[a-z]){0,3}"),
        tags in proptest::collection::btree_map("[a-z]{1,5}", "[a-z]{0,5}", 0..3),
        description in proptest::option::of(some_text()),
    ) -> MonitorSpec {
        MonitorSpec {
            key,
            kind: Kind::Tcp(tcp),
            check_interval: times.0,
            timeout: times.1,
            dns_timeout: times.2,
            retry_interval: times.3,
            consecutive_failures_before_alert: counts.0,
            consecutive_successes_before_recovery: counts.1,
            flap_changes: counts.2,
            response_time_threshold: optional.0,
            flap_window: optional.1,
            flap_hold: optional.2,
            alert_on_failure: flags.0,
            alert_before_first_success: flags.1,
            enabled: flags.2,
            locations_down_before_alert: Some(1),
            locations: lists.0,
            channels: lists.1,
            group: group.map(|g| g.split('/').map(str::trim).collect::<Vec<_>>().join("/")),
            tags,
            description,
            runbook_url: Some("https://wiki.example.com/x".to_owned()),
            ..MonitorSpec::tcp(name, Host::Name("x".into()), 1)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(3), ..ProptestConfig::default() })]

    #[test]
    fn specs_survive_their_canonical_text(spec in some_spec()) {
        let text = spec.to_canonical();
        prop_assert_eq!(&MonitorSpec::from_canonical(&text).expect("canonical texts are read"), &spec);
        // Equal specs, equal texts; and the one reader accepts what the store keeps.
        prop_assert_eq!(MonitorSpec::from_canonical(&text).map(|s| s.to_canonical()), Ok(text.clone()));
        if !matches!(&spec.kind, Kind::Tcp(t) if t.port == 3306) {
            prop_assert_eq!(read(&text), Ok(vec![spec]), "{}", text);
        }
    }

    #[test]
    fn reading_any_values_never_panics(name in "\\PC{0,12}", value in "\\PC{0,24}", field in 0..fields::FIELDS.len()) {
        let key = fields::FIELDS[field].name;
        let json = serde_json::json!({ "name": name, "host": value, "port": value, key: value }).to_string();
        let _ = read(&json);
        let list = serde_json::json!({ "name": name, "host": "a", key: [value, {"a": value}] }).to_string();
        let _ = read(&list);
    }
}
