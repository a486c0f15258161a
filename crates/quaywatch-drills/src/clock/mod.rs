//! The wall clock is set an hour ahead, and back again, under a running server. Monotonic time goes on as it does when
//! an administrator or NTP sets a clock. Nobody is called down for it, no slot is checked twice, checks go on at once,
//! and what really happens in the other hour is told with sane times.

use std::os::unix::fs::FileExt as _;
use std::process::Command;
use std::time::Duration;

use quaywatch_core::{Clock as _, Timestamp};
use quaywatch_testkit::process::Server;
use quaywatch_testkit::sink::Sink;
use quaywatch_testkit::wait::RealClock;

use crate::door::Door;
use crate::records::{Incident, Records};
use crate::{Report, Setting, scene};

const STEADY: usize = 8;
const HOUR: i64 = 3_600;

/// The clock of one process.
struct BentClock {
    directory: tempfile::TempDir,
    file: std::fs::File,
}

impl BentClock {
    fn new() -> Result<Self, String> {
        let directory = tempfile::tempdir().map_err(|e| format!("no directory for the clock: {e}"))?;
        let source = directory.path().join("shim.c");
        std::fs::write(&source, include_str!("shim.c")).map_err(|e| format!("{}: {e}", source.display()))?;
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(directory.path().join("shim.so"))
            .arg(&source)
            .output()
            .map_err(|e| format!("the C compiler `cc` is needed to bend a clock: {e}"))?;
        if !built.status.success() {
            return Err(format!("cc: {}", String::from_utf8_lossy(&built.stderr)));
        }
        let path = directory.path().join("seconds");
        let file = std::fs::File::create(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let clock = Self { directory, file };
        clock.set(0);
        Ok(clock)
    }

    /// So many seconds from the truth.
    fn set(&self, seconds: i64) {
        self.file.write_all_at(&seconds.to_ne_bytes(), 0).expect("eight bytes of a temporary file");
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }
}

pub(super) fn run(setting: &Setting) -> Result<Report, String> {
    let clock = BentClock::new()?;
    let sink = Sink::start();
    let mut victim = Door::open();
    let steady: Vec<Door> = (0..STEADY).map(|_| Door::open()).collect();
    let names: Vec<String> =
        std::iter::once("victim".to_owned()).chain((0..STEADY).map(|n| format!("steady{n}"))).collect();
    let doors = std::iter::once(&victim).chain(&steady);
    let monitors: Vec<String> =
        names.iter().zip(doors).map(|(name, door)| scene::monitor(name, door.address(), "")).collect();
    let mut server = Server::new(&setting.binary, &scene::file("", &sink, &monitors))
        .with("LD_PRELOAD", &clock.path("shim.so"))
        .with("QUAYWATCH_DRILL_CLOCK", &clock.path("seconds"));
    server.start();
    scene::until_all(&server, &names, "up")?;

    let began = RealClock.now();
    let (mut steps, mut back_after, mut told_after) = (0, Vec::new(), Vec::new());
    for run in 0..setting.runs {
        let mut set = |seconds| -> Result<(), String> {
            steps += 1;
            clock.set(seconds);
            scene::until("the step is noticed", || {
                server.metric("quaywatch_wall_steps_total") >= f64::from(steps)
            })?;
            back_after.push(goes_on(&server, names.len())?);
            Ok(())
        };
        set(HOUR)?;
        told_after.push(scene::outage(&server, &sink, "victim", &mut victim)?);
        if run % 2 == 0 {
            // An outage that began in the other hour ends in this one.
            let before = sink.received().len();
            victim.set(false);
            scene::told(&server, &sink, before, "incident.opened", "victim")?;
            set(0)?;
            victim.set(true);
            scene::told(&server, &sink, before, "incident.closed", "victim")?;
        } else {
            set(0)?;
        }
        told_after.push(scene::outage(&server, &sink, "victim", &mut victim)?);
        scene::until_all(&server, &names, "up")?;
    }
    let doubled = server.metric("quaywatch_duplicate_results_total");
    let void = server.metric("quaywatch_void_total");
    server.stop();

    let records = Records::read(&server.data())?;
    records.expect_always_up(|name| name != "victim")?;
    records.expect_single_slots()?;
    scene::expect_one_key_each(&sink.received())?;
    if doubled > 0.0 {
        return Err(format!("{doubled} results had a slot that was taken: the schedule repeats itself"));
    }
    let took = RealClock.now().since(began);
    let outages = &records.of("victim")?.incidents;
    let wanted = setting.runs as usize * 2 + setting.runs.div_ceil(2) as usize;
    if outages.len() != wanted {
        let found: Vec<String> = outages.iter().map(Incident::in_words).collect();
        return Err(format!("{wanted} outages, and {} incidents: {}", found.len(), found.join("; ")));
    }
    outages.iter().try_for_each(|incident| has_sane_times(incident, began, took))?;
    let mut report = Report::default();
    report.add("steps of an hour", steps);
    report.times("every monitor checked again after a step", &back_after);
    report.times("outage told after", &told_after);
    report.add("incidents with sane times", outages.len());
    report.add("checks thrown away", void);
    Ok(report)
}

/// Waits until as many checks were judged as make two rounds.
fn goes_on(server: &Server<'_>, monitors: usize) -> Result<Duration, String> {
    #[expect(clippy::cast_precision_loss, reason = "a dozen monitors")]
    let enough = server.metric("quaywatch_judged_total") + 2.0 * monitors as f64;
    scene::until("checks go on after the step", || server.metric("quaywatch_judged_total") >= enough)
}

/// It lies in the drill's own time or an hour ahead of it, and ends after it began, by no more than the drill took.
fn has_sane_times(incident: &Incident, began: Timestamp, took: Duration) -> Result<(), String> {
    let record = &incident.record;
    let (from, to) = (record.started_at, record.ended_at);
    let ahead = Duration::from_secs(HOUR.unsigned_abs());
    // A backdated start may lie an interval before.
    let slack = Duration::from_secs(2);
    let is_ours = |at: Timestamp| {
        let within = |begin: Timestamp| at + slack >= begin && at <= begin + took + slack;
        within(began) || within(began + ahead)
    };
    let lasts = to.map(|to| to.since(from));
    let sane = is_ours(from) && to.is_some_and(|to| to >= from && is_ours(to)) && lasts <= Some(took);
    let words =
        || format!("{} lasts from {from} to {to:?}, in a drill of {took:?} that began {began}", record.id);
    sane.then_some(()).ok_or_else(words)
}
