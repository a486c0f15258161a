//! Whole files: both samples of the guide, everything that can be set, everything that can be wrong, and any text at all.

use std::time::Duration;

use proptest::prelude::*;
use quaywatch_core::ChannelId;
use quaywatch_core::spec::Host;
use quaywatch_core::{AccountId, MonitorId, MonitorSpec, Timestamp};
use quaywatch_store::records::{ChannelRecord, MonitorRecord, Owner, ResourceChange};

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn env(name: &str) -> Option<String> {
    match name {
        "OPS_WEBHOOK_SECRET" | "SECRET" => Some(SECRET.to_owned()),
        "TOKEN" | "REDIS_PASSWORD" => Some("t0ken".to_owned()),
        "HOOKS" => Some("https://hooks.example.com".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn accept(text: &str) -> Config {
    read(text, "quaywatch.yaml", &env)
        .unwrap_or_else(|problems| panic!("{}", render(&problems, text, "quaywatch.yaml", Look::default())))
}

fn refuse(text: &str) -> String {
    match read(text, "quaywatch.yaml", &env) {
        Ok(config) => format!("ACCEPTED with {} monitors\n{}", config.monitors.len(), config.warnings),
        Err(problems) => render(&problems, text, "quaywatch.yaml", Look::default()),
    }
}

const FIRST_SAMPLE: &str = "\
server:
  listen: 127.0.0.1:8080
  data_dir: ./data
defaults:            # of every monitor below
  check_interval: 30s
channels:
  - name: ops
    type: webhook
    url: https://hooks.example.com/quaywatch
    secret: ${OPS_WEBHOOK_SECRET}
monitors:
  - name: orders database
    monitor_type: tcp
    host: db.example.com
    port: 5432
    channels: [ops]
";

#[test]
fn the_first_sample_is_read_as_it_stands() {
    let config = accept(FIRST_SAMPLE);
    assert_eq!(config.server.listen, Some("127.0.0.1:8080".parse().expect("an address")));
    assert_eq!(config.server.data_dir.as_deref(), Some(std::path::Path::new("./data")));
    let channel = &config.channels[0];
    assert_eq!(
        (channel.name.as_str(), channel.key.as_str(), channel.kind.as_str()),
        ("ops", "ops", "webhook")
    );
    assert_eq!(
        channel.settings,
        r#"{"secret":"${OPS_WEBHOOK_SECRET}","url":"https://hooks.example.com/quaywatch"}"#
    );
    assert_eq!(channel.resolved.reveal()["secret"], SECRET);
    let mut wanted = MonitorSpec::tcp("orders database", Host::Name("db.example.com".into()), 5432);
    wanted.check_interval = Duration::from_secs(30);
    wanted.channels = vec!["ops".to_owned()];
    assert_eq!(config.monitors.iter().map(MonitorConfig::spec).collect::<Vec<_>>(), [wanted]);
    assert_eq!(config.warnings, Problems::new());
    assert_eq!((config.hash.len(), hash("").as_str().get(..8)), (64, Some("e3b0c442")));
}

const SECOND_SAMPLE: &str = "\
locations: [us-east, eu-west]
monitors:
  - name: your database
    monitor_type: tcp
    host: db.yourapp.com  # or IP address
    port: 5432
    check_interval: 1m
    timeout: 10s
    locations:
      - us-east
      - eu-west
    alert_on_failure: true
    consecutive_failures_before_alert: 2
";

#[test]
fn z12_the_second_sample_is_read_as_it_stands() {
    let config = accept(SECOND_SAMPLE);
    let mut wanted = MonitorSpec::tcp("your database", Host::Name("db.yourapp.com".into()), 5432);
    wanted.locations = vec!["us-east".to_owned(), "eu-west".to_owned()];
    assert_eq!(config.monitors[0].spec(), wanted);
    assert_eq!(config.locations, ["us-east", "eu-west"]);
    // Undeclared, they are errors that list those which exist.
    insta::assert_snapshot!(refuse(&SECOND_SAMPLE.replace("[us-east, eu-west]", "[eu-west]")));
}

#[test]
fn z08_mail_with_spelled_out_units() {
    let config = accept(
        "monitors:\n- name: mail\n  host: smtp.example.com\n  port: 587\n  check_interval: 5 minutes\n  timeout: 10 seconds\n",
    );
    let spec = config.monitors[0].spec();
    assert_eq!((spec.check_interval, spec.timeout), (Duration::from_secs(300), Duration::from_secs(10)));
}

#[test]
fn s08_timeouts_by_kind_of_target() {
    let text = "defaults: {timeout: 15s}\nmonitors:\n- {name: db, host: a, port: 1, timeout: 5s}\n- {name: far, host: b, port: 1}\n\
        - {name: none, host: c, port: 1, timeout: null}\n";
    let seconds: Vec<u64> = accept(text).monitors.iter().map(|m| m.spec().timeout.as_secs()).collect();
    assert_eq!(seconds, [5, 15, 10]);
}

#[test]
fn s20_the_full_example_alerts_at_once_from_two_regions() {
    let config = accept(
        "locations: [home, backup]\nmonitors:\n- name: postgres\n  host: db.internal\n  port: 5432\n  timeout: 10s\n  \
         consecutive_failures_before_alert: 1\n  check_interval: 5 min\n  locations: [home, backup]\n",
    );
    let spec = config.monitors[0].spec();
    assert_eq!((spec.consecutive_failures_before_alert, spec.check_interval.as_secs()), (1, 300));
    assert_eq!(spec.locations, ["home", "backup"]);
}

#[test]
fn t12_every_preset_can_be_named() {
    let text = "monitors:\n- {name: all, host: srv, preset: common}\n";
    let ports: Vec<u16> = accept(text).monitors.iter().map(|m| m.spec().host_and_port().1).collect();
    assert_eq!(ports, quaywatch_core::ports::PRESETS.map(|p| p.port));
}

#[test]
fn t21_the_first_products_words_in_a_file() {
    let config =
        accept("monitors:\n- {name: a, url: db.example.com, port: 5432, period: 60, custom_timeout: 60}\n");
    assert_eq!(config.monitors[0].spec().timeout, Duration::from_secs(60));
}

#[test]
fn json_is_read_by_the_same_reader() {
    let config = accept(r#"{"monitors": [{"name": "a", "host": "db", "port": 5432, "tags": ["x", "y:z"]}]}"#);
    assert_eq!(config.monitors[0].spec().tags.len(), 2);
}

#[test]
fn everything_that_can_be_set_is_read() {
    let text = "\
x-base: &base {check_interval: 10s, channels: [log]}
monitors:
- {<<: *base, name: a, host: 10.0.0.1, ports: [22, 8000-8001]}
- <<: *base
  name: b
  host: '[::1]'
  port: redis
  check_interval: 20s
server:
  listen: '[::]:80'
  accounts: multi
  public_url: https://watch.example.com/
  name: watch-1
  log_format: json
  log_level: debug
  retention: {raw: 7 days, hourly: 13 months, daily: forever, bin: 60 days}
  operator_channels: [log]
  egress: {allow: ['fe80::/10'], deny: [203.0.113.0/24]}
  metrics: {monitor_series: 50, token: '${TOKEN}'}
  target_budget: {per_port: 5, per_address: 6}
resolvers: [192.0.2.53, '[2001:db8::53]:5353', '2001:db8::54']
anchors: [192.0.2.1:443]
locations: [local, us-east]
channels:
- {name: log, type: log, level: error}
- name: hook
  id: hook-1
  type: webhook
  url: ${HOOKS}/x
  secret: ${SECRET}
  headers: {X-Env: prod, Authorization: 'Bearer ${TOKEN}'}
";
    let config = accept(text);
    let server = &config.server;
    assert_eq!(server.retention.raw, Duration::from_secs(7 * 86_400));
    assert_eq!(server.retention.hourly, Duration::from_secs(396 * 86_400));
    assert_eq!(server.retention.daily, None);
    assert_eq!(server.public_url.as_deref(), Some("https://watch.example.com"));
    assert_eq!((server.log_format, server.log_level), (Some(LogFormat::Json), Some("debug")));
    assert_eq!(server.metrics_token.as_ref().map(|t| t.reveal().as_str()), Some("t0ken"));
    assert_eq!((server.monitor_series, server.target_per_port, server.target_per_address), (50, 5, 6));
    assert!(!server.egress.judge("203.0.113.7".parse().expect("an address")).is_allowed());
    let resolvers: Vec<String> = config.resolvers.iter().flatten().map(ToString::to_string).collect();
    assert_eq!(resolvers, ["192.0.2.53:53", "[2001:db8::53]:5353", "[2001:db8::54]:53"]);
    assert_eq!(config.locations, ["us-east"]);
    let hook = &config.channels[1];
    assert_eq!(hook.key, "hook-1");
    assert_eq!(hook.resolved.reveal()["url"], "https://hooks.example.com/x");
    assert_eq!(hook.resolved.reveal()["headers"]["Authorization"], "Bearer t0ken");
    let names: Vec<&str> = config.monitors.iter().map(MonitorConfig::key).collect();
    assert_eq!(names, ["a 22", "a 8000", "a 8001", "b"]);
    assert_eq!(config.monitors[3].spec().target(), "[::1]:6379");
    assert_eq!(config.monitors[3].spec().check_interval, Duration::from_secs(20));
}

#[test]
fn no_clear_secret_is_in_what_is_stored_or_printed() {
    let text = "channels:\n- {name: h, type: webhook, url: 'https://a/${TOKEN}', secret: '${SECRET}', headers: {X-Token: '${TOKEN}'}}\n\
        server: {metrics: {token: '${TOKEN}'}}\nmonitors: []\n";
    let config = accept(text);
    let seen = format!("{config:?}") + &config.channels[0].settings;
    assert!(!seen.contains("t0ken") && !seen.contains(SECRET), "{seen}");
}

#[test]
fn a_secret_on_a_line_of_its_own_is_not_printed() {
    for value in [
        "|\n      AUTH hunter2 \\q",
        "\n      AUTH hunter2 \\q",
        "\n      'AUTH hunter2 \\q'",
        ">-\n\n      AUTH\n      hunter2 ${TOKEN} \\q",
        "*hunter2",
        "!hunter2 x",
        "\n      *hunter2",
        "'AUTH ${NOBODY:-hunter2}'",
        "'AUTH ${NOBODY:=hunter2}'",
        "AUTH me\n      pw hunter2: y",
        "|\nhunter2: y",
        "\n\thunter2: x",
        "{a: b}, hunter2: y",
        "[hunter2]",
        "'AUTH\n      hunter2 \\q'",
    ] {
        let text = format!(
            "monitors:\n  - name: a\n    host: b\n    port: 1\n    send_secret: {value}\n    timeout: 5 parsecs\n"
        );
        let told = refuse(&text);
        assert!(told.contains("error:") && !told.contains("hunter2"), "{value}: {told}");
    }
    for text in [
        "monitors:\n- {name: z, host: a, send_secret:\n    \"AUTH hunter2\", port: 99999}\n",
        "{\"monitors\": [{\"name\": \"z\", \"host\": \"a\", \"send_secret\":\n\"AUTH hunter2\", \"port\": 99999}]}\n",
        "monitors:\n- {name: z, host: a, port: 99999, send_secret: AUTH me,hunter2}\n",
        "monitors:\n- {name: z, host: a, send_secret: '${TOKEN}hunter2', port: 99999}\n",
        "monitors:\n- name: z\n  host: a\n  port: 1\n  send-secert: AUTH hunter2\n",
        "monitors:\n- name: z\n  host: a\n  port: 1\n  send_secret AUTH hunter2\n",
        "monitors:\n- name: z\n  host: a\n  port: 1\n  send_secret: |\n    AUTH\n- hunter2\n",
        "monitors:\n- name: z\n  host: a\n  port: 1\n  ? send_secret\n  : \"AUTH hunter2 \\q\"\n",
        "monitors:\n- name: z\n  host: a\n  port: 1\n  send_secret: 'AUTH\nhunter2'\n  x: y\n",
    ] {
        let told = refuse(text);
        assert!(told.contains("error:") && !told.contains("hunter2"), "{text}: {told}");
    }
}

/// Each with what it is about. Every text is refused as a whole, with everything that is wrong in it.
const BAD: &[(&str, &str)] = &[
    ("nothing", ""),
    ("only a comment", "# soon\n"),
    ("no monitors", "server: {}\n"),
    ("a monitor without a list", "name: x\nmonitor_type: tcp\nhost: db\nport: 5432\n"),
    ("a list without a name", "- name: x\n  host: db\n  port: 1\n"),
    ("monitors as a mapping", "monitors:\n  db:\n    host: a\n"),
    ("unknown sections", "monitor: []\nmonitors: []\nlisten: 1\ntimeout: 5s\nserverr: {}\nxyz: 1\n"),
    (
        "unknown keys everywhere",
        "server: {listn: 127.0.0.1:1, egress: {alow: []}}\ndefaults: {check_intervall: 1s}\nmonitors:\n- {name: a, host: b, port: 1, intervall: 5s}\n",
    ),
    (
        "many mistakes at once",
        "monitors:\n  - name: orders database\n    host: https://admin:pa55@db.example.com:5432/\n    port: 70000\n    check_interval: 5 minuts\n    timeout: [10s]\n  - host: db\n  - name: third\n    host: db\n    port: postgress\n    channels: [opps]\n",
    ),
    (
        "values that are not there",
        "monitors:\n- name:\n  host: a\n  port:\n  timeout:\n- name: b\n  host: ''\n  port: 1\n",
    ),
    (
        "the same name twice",
        "monitors:\n- {name: a, host: b, port: 1}\n- {name: b, id: a, host: b, port: 2}\n- {name: 'c {port}', host: b, ports: [1, 2]}\n- {name: c 1, host: x, port: 9}\n",
    ),
    ("the same key twice", "monitors:\n- name: a\n  host: b\n  port: 1\n  port: 2\nmonitors: []\n"),
    ("tabs", "monitors:\n\t- name: a\n"),
    ("a missing colon", "monitors:\n- name a\n  host: b\n"),
    ("crooked indentation", "monitors:\n- name: a\n   host: b\n"),
    ("an open bracket", "monitors:\n- {name: a, host: b, port: 1\n"),
    ("two documents", "monitors: []\n---\nmonitors: []\n"),
    (
        "channels",
        "channels:\n- name: ops\n  type: webhok\n- type: log\n- {name: a, type: log, levell: x, level: loud}\n- {name: a, type: log}\n- {name: b}\n- ops\n- {name: w, type: webhook}\n- {name: v, type: webhook, url: not a url, secret: '${SECRET}', method: BREW}\nmonitors:\n- {name: x, host: b, port: 1, channels: [ops, a, nobody]}\n",
    ),
    (
        "secrets",
        "channels:\n- name: a\n  type: webhook\n  url: https://hooks.example.com/services/T000/B000/verysecret\n  secret: hunter2hunter2hunter2\n- {name: b, type: webhook, url: 'https://x/${NOBODY}', secret: 'file:/nonexistent/secret', bearer_token: '${EMPTY}', urll: x}\n- {name: c, type: webhook, url: 'https://x', headers: {Authorization: Bearer abcdef, X-A: 1}}\n- name: d\n  type: webhook\n  url: https://x/${UNCLOSED\n  secret: |\n    multi\n    line\nserver: {metrics: {token: plaintoken}}\nmonitors: []\n",
    ),
    (
        "a secret beside another mistake",
        "channels:\n- {name: a, type: webhook, urll: x, url: 'https://h/abc/def', secret: hunter2}\nmonitors: []\n",
    ),
    (
        "the server",
        "server:\n  listen: localhost:8080\n  accounts: many\n  public_url: watch.example.com\n  log_format: xml\n  log_level: loud\n  retention: {raw: 1h, hourly: soon, daily: never}\n  operator_channels: [ops]\n  egress: {allow: [10.0.0.0/33], deny: evil.example.com}\n  metrics: {monitor_series: many}\n  target_budget: {per_port: 0}\nresolvers: [dns.example.com, 192.0.2.53]\nanchors: [192.0.2.1, example.com:443]\nlocations: [us east, us-west, us-west]\nmonitors: []\n",
    ),
    ("a port for every address", "server: {listen: ':8080'}\nmonitors: []\n"),
    ("defaults that belong to one", "defaults: {name: x, port: 5432, channels: [ops]}\nmonitors: []\n"),
    (
        "aliases and tags",
        "monitors:\n- {name: *who, host: b, port: 1}\n- !monitor {name: a, host: b, port: 1}\n- {<<: 5, name: c, host: b, port: 1}\n",
    ),
    ("control characters", "monitors:\n- {name: \"a\\e[31m\", host: \"\u{202e}moc.elpmaxe\", port: 1}\n"),
    (
        "a long line",
        "monitors:\n- {name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, host: b, port: nope, description: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb}\n",
    ),
    ("international columns", "monitors:\n- {name: заказы, host: пример.рф, порт: 5432, port: сто}\n"),
];

#[test]
fn z01_whatever_is_wrong_is_shown_with_place_line_and_remedy() {
    let told: Vec<String> = BAD.iter().map(|(about, text)| format!("━━ {about}\n{}", refuse(text))).collect();
    assert!(told.iter().all(|t| !t.contains("ACCEPTED")), "{}", told.join("\n"));
    let all = told.join("\n");
    for secret in ["hunter2", "pa55", "verysecret", "plaintoken", "abcdef", "abc/def", "multi\n"] {
        assert!(!all.contains(secret), "{secret} is shown");
    }
    insta::assert_snapshot!(all);
}

#[test]
fn addresses_that_are_never_dialled_are_warned_of_where_they_stand() {
    let told = |server: &str, host: &str| {
        let config = accept(&format!("monitors:\n- name: a\n  port: 80\n  host: {host}\n{server}"));
        let lines = config.warnings.iter().map(|warning| (warning.span.line, warning.remedy.clone()));
        lines.collect::<Vec<_>>()
    };
    for never in ["169.254.169.254", "'::ffff:169.254.169.254'", "255.255.255.255", "224.0.0.1"] {
        let wanted = [(4, "watch another address; no setting allows this one".to_owned())];
        assert_eq!(told("", never), wanted);
        assert_eq!(told("server: {egress: {allow: [0.0.0.0/0]}}\n", never), wanted);
    }
    assert_eq!(told("", "fe80::1"), [(4, "allow it under `server.egress.allow`".to_owned())]);
    let deny = "server: {egress: {deny: [203.0.113.0/24]}}\n";
    assert!(told(deny, "203.0.113.7")[0].1.contains("server.egress.deny"));
    for fine in ["127.0.0.1", "203.0.113.7", "db.example.com", "10.0.0.1"] {
        assert_eq!(told("", fine), []);
    }
}

#[test]
fn what_works_but_is_hardly_meant_is_a_warning() {
    let mut text = "monitors:\n- {name: mysql, host: db, port: 3306, handshake: full}\n".to_owned();
    text += "- {name: slow, host: db, port: 1, response_time_threshold: 20s}\n";
    for i in 0..25 {
        // Different settles, or they would share one connection.
        text += &format!(
            "- {{name: m{i}, host: busy, port: 80, check_interval: 1s, handshake: full, settle: {i}ms}}\n"
        );
    }
    for i in 0..50 {
        text += &format!("- {{name: s{i}, host: shared, port: 80, check_interval: 1s}}\n");
    }
    let config = accept(&text);
    insta::assert_snapshot!(render(&config.warnings, &text, "quaywatch.yaml", Look::default()));
}

#[test]
fn a_hundred_problems_are_shown_and_all_are_counted() {
    let text = "monitors:\n".to_owned() + &"- {name: a, host: b, port: 0}\n".repeat(250);
    let told = refuse(&text);
    assert_eq!(told.matches("error:").count(), 100);
    assert!(told.ends_with("quaywatch.yaml: 250 errors; the first 100 are shown\n"), "{told}");
}

#[test]
fn colours_only_where_they_are_asked_for() {
    let problems = read("monitors: 5", "f", &env).expect_err("a number is no list");
    assert!(render(&problems, "monitors: 5", "f", Look { color: true }).contains("\x1b["));
    assert!(!render(&problems, "monitors: 5", "f", Look::default()).contains('\x1b'));
}

#[test]
fn a_wrong_security_setting_is_told_from_others() {
    let wrong = |text: &str| read(text, "f", &env).expect_err("something is wrong");
    assert!(security(&wrong("server: {egress: {deny: [nonsense]}}\nmonitors: []\n")));
    assert!(security(&wrong("server: {accounts: many}\nmonitors: []\n")));
    assert!(security(&wrong("server: {metrics: {token: clear}}\nmonitors: []\n")));
    assert!(!security(&wrong("server: {listen: nowhere}\nmonitors: []\n")));
}

fn stored(config: &Config) -> (Vec<MonitorRecord>, Vec<ChannelRecord>) {
    let monitors = config.monitors.iter().zip(1..).map(|(m, id)| MonitorRecord {
        id: MonitorId(id),
        account: AccountId::DEFAULT,
        owner: Owner::File,
        key: m.key().to_owned(),
        name: m.name.clone().into_string(),
        revision: 1,
        spec: m.spec.clone().into_string(),
        paused: false,
        created_at: Timestamp::default(),
    });
    let channels = config.channels.iter().zip(1..).map(|(c, id)| ChannelRecord {
        id: ChannelId(id),
        account: AccountId::DEFAULT,
        owner: Owner::File,
        key: c.key.clone(),
        name: c.name.clone(),
        kind: c.kind.clone(),
        settings: c.settings.clone(),
        revision: 1,
    });
    (monitors.collect(), channels.collect())
}

#[test]
fn the_data_directory_is_found_in_a_broken_file_too() {
    let broken = "server: {data_dir: /srv/watch, listen: nowhere}\nmonitors:\n- {name: [\n";
    assert_eq!(data_dir(broken), Some("/srv/watch".into()));
    assert_eq!(data_dir("monitors: []\nserver:\n  data_dir: ./data\nx: {\n"), Some("./data".into()));
    assert_eq!(data_dir("monitors: []"), None);
    assert_eq!(data_dir("{"), None);
}

#[test]
fn only_what_differs_is_changed_and_others_things_are_left_alone() {
    let before = accept(
        "channels: [{name: a, type: log}, {name: b, type: log}]\nmonitors:\n- {name: x, host: h, port: 1}\n- {name: y, host: h, port: 2}\n- {name: z, host: h, port: 3}\n",
    );
    let (mut monitors, channels) = stored(&before);
    assert_eq!(diff(&before, &monitors, &channels).changes, []);
    // The same in other words and another order.
    let same = accept(
        "monitors:\n- {port: 3, name: z, host: H., check_interval: 60}\n- {name: y, host: h, port: '2', enabled: true}\n- {name: x, host: h, port: 1, tags: {}}\nchannels: [{type: log, name: b}, {name: a, type: log}]\n",
    );
    assert_eq!(diff(&same, &monitors, &channels).changes, []);
    monitors.push(MonitorRecord { owner: Owner::Api, key: "mine".to_owned(), ..monitors[0].clone() });
    let after = accept(
        "channels: [{name: a, type: log, level: error}]\nmonitors:\n- {name: x, host: h, port: 1}\n- {name: y, host: h, port: 22}\n- {name: new, host: h, port: 4}\n",
    );
    let changes = diff(&after, &monitors, &channels).changes;
    let told: Vec<String> = changes
        .iter()
        .map(|change| match change {
            ResourceChange::PutMonitor { key, spec, .. } => format!("put {key} {spec}"),
            ResourceChange::RemoveMonitor { key } => format!("remove {key}"),
            ResourceChange::PutChannel { key, settings, .. } => format!("put channel {key} {settings}"),
            ResourceChange::RemoveChannel { key } => format!("remove channel {key}"),
            other @ (ResourceChange::AddMonitor { .. }
            | ResourceChange::EditMonitor { .. }
            | ResourceChange::BinMonitor { .. }
            | ResourceChange::RestoreMonitor { .. }
            | ResourceChange::AddChannel { .. }
            | ResourceChange::EditChannel { .. }
            | ResourceChange::BinChannel { .. }
            | ResourceChange::RestoreChannel { .. }) => {
                panic!("a file names things by their keys: {other:?}")
            }
        })
        .collect();
    assert_eq!(
        told,
        [
            r#"put channel a {"level":"error"}"#,
            r#"put y {"name":"y","monitor_type":"tcp","host":"h","port":22}"#,
            r#"put new {"name":"new","monitor_type":"tcp","host":"h","port":4}"#,
            "remove z",
            "remove channel b",
        ]
    );
}

#[test]
fn channels_of_other_owners_may_be_named() {
    let text = "monitors:\n- {name: x, host: h, port: 1, channels: [pager, ch4]}\n";
    assert!(read(text, "f", &env).is_err());
    let outside = Outside { env: &env, channels: &["pager".to_owned(), "ch4".to_owned()] };
    assert!(read_with(text, "f", &outside).is_ok());
}

#[test]
fn the_samples_in_the_repository_are_accepted_without_a_warning() {
    for name in ["quaywatch.yaml", "full.yaml"] {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/");
        let text = std::fs::read_to_string(format!("{path}{name}")).expect("the sample is there");
        let config = accept(&text);
        assert!(!config.monitors.is_empty());
        assert_eq!(config.warnings.to_string(), "", "{name}");
    }
}

#[test]
fn the_reference_is_what_the_tables_say() {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/");
    let guide = std::fs::read_to_string(format!("{docs}configuration.md")).unwrap_or_default();
    let mut wanted = reference::documents();
    wanted.push(("configuration.md", reference::fill(&guide).expect("the guide's tables are known and end")));
    for (name, text) in wanted {
        let path = format!("{docs}{name}");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, text).expect("the documents can be written");
        } else {
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                found == text,
                "docs/{name} is out of date: run `UPDATE_DOCS=1 cargo test -p quaywatch-app reference`"
            );
        }
    }
}

/// Each YAML example of the guide is a file, or a list of monitors.
#[test]
fn every_example_of_the_guide_is_accepted() {
    let guide = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md"))
        .expect("the guide is there");
    let examples: Vec<&str> =
        guide.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 8);
    for example in examples {
        let whole = if example.contains("monitors:") {
            example.to_owned()
        } else if example.starts_with('-') {
            format!(
                "channels: [{{name: ops, type: log}}]\nlocations: [us-east, eu-west]\nmonitors:\n{example}"
            )
        } else {
            format!("{example}monitors: []\n")
        };
        accept(&whole);
    }
}

#[test]
fn a_hundred_thousand_monitors_are_read() {
    let text = many(if cfg!(debug_assertions) { 5_000 } else { 100_000 });
    let config = accept(&text);
    assert_eq!(config.monitors.len(), if cfg!(debug_assertions) { 5_000 } else { 100_000 });
}

fn many(count: usize) -> String {
    use std::fmt::Write as _;
    let mut text = "channels: [{name: ops, type: log}]\nmonitors:\n".to_owned();
    for i in 0..count {
        let _ = write!(
            text,
            "  - name: service {i}\n    monitor_type: tcp\n    host: 127.{}.{}.{}\n    port: 5432\n    check_interval: 10s\n    \
             channels: [ops]\n    group: rack/{}\n    tags: [env:prod]\n",
            i >> 16 & 255,
            i >> 8 & 255,
            i & 255,
            i / 100
        );
    }
    text
}

/// Words and signs out of which broken files are made.
fn some_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("monitors:\n".to_owned()),
        Just("- ".to_owned()),
        Just("  ".to_owned()),
        Just("\n".to_owned()),
        Just("name: ".to_owned()),
        Just("host: ".to_owned()),
        Just("port: ".to_owned()),
        Just("channels:\n- {name: a, type: webhook, url: ".to_owned()),
        Just("server: {".to_owned()),
        Just("<<: *a".to_owned()),
        Just("&a ".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just("}".to_owned()),
        Just("${TOKEN".to_owned()),
        Just("\"".to_owned()),
        Just("|\n  ".to_owned()),
        Just("secret: ".to_owned()),
        Just("url: https://a/b/c".to_owned()),
        "\\PC{0,8}",
        "[a-z0-9:. ,-]{0,12}",
        Just("\t".to_owned()),
        Just("\r\n".to_owned()),
        Just("\u{0}".to_owned()),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3_000,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(7),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_text_is_accepted_or_refused_and_never_panics(text in some_text()) {
        if let Err(problems) = read(&text, "f", &env) {
            prop_assert!(!problems.is_fine());
            let told = render(&problems, &text, "f", Look::default());
            prop_assert!(told.contains("error:"), "{told}");
        }
    }

    #[test]
    fn cut_samples_never_panic(at in 0usize..400, insert in "[\\[\\]{}:,&*!|>'\"%@`#\\- \n\t]{0,3}") {
        let at = at.min(FIRST_SAMPLE.len());
        let text = format!("{}{insert}{}", &FIRST_SAMPLE[..at], &FIRST_SAMPLE[at..]);
        if let Err(problems) = read(&text, "f", &env) {
            let _ = render(&problems, &text, "f", Look { color: true });
        }
    }
}
