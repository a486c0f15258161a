//! One webhook takes connections and never answers; another works. The working one hears of everything in time, checks
//! are on time, and the hanging one is told all of it once it is well again, under the keys that it was sent before.

use std::collections::BTreeSet;
use std::time::Duration;

use quaywatch_core::Clock as _;
use quaywatch_testkit::process::Server;
use quaywatch_testkit::sink::{Answer, Sink};
use quaywatch_testkit::wait::RealClock;

use crate::door::Door;
use crate::records::Records;
use crate::{Report, Setting, scene};

const TARGETS: usize = 8;
/// Two failures 300 ms apart, and a machine that also builds.
const IN_TIME: Duration = Duration::from_secs(10);

pub(super) fn run(setting: &Setting) -> Result<Report, String> {
    let (works, hangs) = (Sink::start(), Sink::start());
    let mut doors: Vec<Door> = (0..TARGETS).map(|_| Door::open()).collect();
    let names: Vec<String> = (0..TARGETS).map(|n| format!("t{n}")).collect();
    let monitors: Vec<String> = names
        .iter()
        .zip(&doors)
        .map(|(name, door)| scene::monitor(name, door.address(), "channels: [ops, hung]"))
        .collect();
    let file = scene::file("", &works, &monitors).replace(
        "channels: [{name: ops",
        &format!("channels: [{{name: hung, type: webhook, url: \"{}\"}}, {{name: ops", hangs.url()),
    );
    let mut server = Server::new(&setting.binary, &file);
    server.start();
    scene::until_all(&server, &names, "up")?;

    let (mut in_time, mut healed_after) = (Vec::new(), Vec::new());
    for _ in 0..setting.runs {
        let in_vain = hangs.received().len();
        hangs.always(Answer::Hang(Duration::from_secs(600)));
        // All at once, and not for long: a notice that failed again and again is left alone for minutes.
        for (open, kind) in [(false, "incident.opened"), (true, "incident.closed")] {
            let before = works.received().len();
            let began = RealClock.boot();
            doors.iter_mut().for_each(|door| door.set(open));
            for name in &names {
                scene::told(&server, &works, before, kind, name)?;
                in_time.push(RealClock.boot().since(began));
            }
        }
        scene::until("the hanging sink was asked", || hangs.received().len() >= in_vain + TARGETS)?;
        hangs.always(Answer::Take);
        let began = RealClock.boot();
        scene::until("the sink that hung has heard everything", || told(&hangs) == told(&works))?;
        healed_after.push(RealClock.boot().since(began));
    }
    let late = in_time.iter().max().copied().unwrap_or_default();
    if late > IN_TIME {
        return Err(format!("beside a hanging channel, a notice took {late:?}"));
    }
    let missed = server.metric("quaywatch_missed_total");
    server.stop();

    let records = Records::read(&server.data())?;
    for (name, sink) in [("ops", &works), ("hung", &hangs)] {
        scene::expect_one_key_each(&sink.received()).map_err(|error| format!("channel {name}: {error}"))?;
    }
    if !records.undelivered.is_empty() {
        return Err(format!("{} notices are not delivered", records.undelivered.len()));
    }
    let received = hangs.received();
    let sent_in_vain = received.iter().filter(|request| !request.taken).count();
    if sent_in_vain == 0 {
        return Err("the hanging sink was never sent anything while it hung".to_owned());
    }
    let mut report = Report::default();
    report.add("outages", setting.runs as usize * TARGETS);
    report.times("told by the working channel after", &in_time);
    report.add("sent to the hanging channel in vain", sent_in_vain);
    report.times("it heard everything after it healed", &healed_after);
    report.add("slots missed", missed);
    Ok(report)
}

/// The events that were taken: incident, type.
fn told(sink: &Sink) -> BTreeSet<String> {
    let about = |body: &serde_json::Value| format!("{} {}", body["incident"]["id"], body["type"]);
    let of_incidents =
        |body: &serde_json::Value| body["type"].as_str().is_some_and(|t| t.starts_with("incident."));
    let taken = sink.received().into_iter().filter(|request| request.taken).map(|request| request.json());
    taken.filter(of_incidents).map(|body| about(&body)).collect()
}
