//! The server is killed (SIGKILL) at random moments of its life, again and again, while its targets go down and come
//! back and its webhooks are taken by a sink that often fails. In the end everything heals, and what the sink has seen
//! is held against what the store says and against what really happened.

mod audit;
mod world;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use quaywatch_core::judge::Status;
use quaywatch_core::{BootTime, Clock as _, Timestamp};
use quaywatch_testkit::process::Server;
use quaywatch_testkit::random::Random;
use quaywatch_testkit::sink::{Answer, Sink};
use quaywatch_testkit::wait::{self, RealClock};

use crate::records::Records;
use crate::{Report, Setting, door, scene};
use world::World;

const TARGETS: usize = 20;
/// Every so many lives the targets hold still until the server has said of each what it is.
const HOLDS_STILL: u32 = 5;
/// Every so many lives last longer.
const LIVES_LONG: u32 = 7;
const LONG_LIFE: Duration = Duration::from_secs(6);

/// From being ready until the kill.
#[derive(Debug, Clone, Copy)]
struct Life {
    ready: Timestamp,
    killed: Timestamp,
}

struct Drill {
    server: Server<'static>,
    world: World,
    /// Often fails.
    rough: Sink,
    /// Takes everything.
    calm: Sink,
    random: Random,
    lives: Vec<Life>,
    ready_after: Vec<Duration>,
    /// How often a target that held still was rightly said to be up or down.
    agreed: usize,
}

pub(super) fn run(setting: &Setting) -> Result<Report, String> {
    let mut random = Random::new(setting.seed);
    let world = World::new(TARGETS, random.next_u64());
    let (rough, calm) = (Sink::start(), Sink::start());
    rough.mood(random.next_u64(), rough_mood);
    let mut server = Server::new(&setting.binary, &yaml(&world, &rough, &calm, "rough"));
    server.listen = door::free_address();
    let (lives, ready_after) = (Vec::new(), Vec::new());
    let mut drill = Drill { server, world, rough, calm, random, lives, ready_after, agreed: 0 };
    for number in 1..=setting.runs {
        drill
            .live(number)
            .map_err(|error| format!("life {number}: {error}\n{}", scene::tail(&drill.server.log())))?;
    }
    let healed_after = drill.heal()?;
    drill.judge(setting.runs, healed_after)
}

/// A third of all requests go wrong, each in one of the ways that webhooks do.
fn rough_mood(random: &mut Random) -> Answer {
    if !random.chance(35) {
        return Answer::Take;
    }
    let ways = [
        Answer::Status(500),
        Answer::Status(503),
        Answer::ResetBefore,
        Answer::ResetAfter,
        Answer::Hang(Duration::from_secs(30)),
        Answer::Limited(1),
    ];
    random.pick(&ways).clone()
}

/// A second's interval, so that something happens in every life; some monitors are damped where they flap.
fn yaml(world: &World, rough: &Sink, calm: &Sink, path: &str) -> String {
    let mut text = format!(
        "channels:\n  \
           - {{name: rough, type: webhook, url: \"{}{path}\"}}\n  \
           - {{name: calm, type: webhook, url: \"{}\"}}\n\
         defaults: {{check_interval: 1s, retry_interval: 250ms, timeout: 2s, flap_changes: 0, channels: [rough, calm]}}\n\
         monitors:\n",
        rough.url(),
        calm.url()
    );
    for (number, port) in world.ports().enumerate() {
        let damped = if number % 5 == 4 { ", flap_changes: 6, flap_window: 20s, flap_hold: 3s" } else { "" };
        let _ = writeln!(text, "  - {{name: t{number}, host: 127.0.0.1, port: {port}{damped}}}");
    }
    text
}

impl Drill {
    /// One life of the server, from its start to the kill, and the time after it.
    fn live(&mut self, number: u32) -> Result<(), String> {
        let random = Duration::from_millis(200 + self.random.below(2_800));
        let length = if number.is_multiple_of(LIVES_LONG) { LONG_LIFE } else { random };
        let began = RealClock.boot();
        self.server.spawn();
        let mut ready = None;
        while RealClock.boot().since(began) < length {
            self.look_whether_ready(began, &mut ready)?;
            self.world.turn();
            std::thread::sleep(Duration::from_millis(3));
        }
        if number.is_multiple_of(HOLDS_STILL) {
            self.agree()?;
            self.look_whether_ready(began, &mut ready)?;
        }
        let killed = RealClock.now();
        self.server.kill();
        self.lives.extend(ready.map(|ready| Life { ready, killed }));
        let dead_until = RealClock.boot() + Duration::from_millis(self.random.below(400));
        while RealClock.boot() < dead_until {
            self.world.turn();
            std::thread::sleep(Duration::from_millis(3));
        }
        Ok(())
    }

    fn look_whether_ready(&mut self, began: BootTime, ready: &mut Option<Timestamp>) -> Result<(), String> {
        if let Some(status) = self.server.has_ended() {
            return Err(format!("the server ended by itself, with {status}"));
        }
        if ready.is_none() && self.server.get("/readyz").is_ok_and(|(status, _)| status == 200) {
            *ready = Some(RealClock.now());
            self.ready_after.push(RealClock.boot().since(began));
        }
        Ok(())
    }

    /// Waits until the server says of each target what it is.
    fn agree(&mut self) -> Result<(), String> {
        let open = self.world.is_open();
        let mut differ = Vec::new();
        let agreed = wait::poll(scene::PATIENCE, || {
            let statuses = self.server.statuses();
            differ.clear();
            for (number, open) in open.iter().enumerate() {
                let name = format!("t{number}");
                let row = statuses.iter().find(|row| row["name"] == name.as_str());
                let said = row.and_then(|row| row["status"].as_str()).unwrap_or("nothing").to_owned();
                if said != if *open { "up" } else { "down" } {
                    differ.push(format!(
                        "{name} is {} and said to be {said}",
                        if *open { "open" } else { "closed" }
                    ));
                }
            }
            std::thread::sleep(Duration::from_millis(100));
            differ.is_empty().then_some(())
        });
        self.agreed += open.len();
        agreed
            .ok_or_else(|| format!("targets held still for {:?}, and {}", scene::PATIENCE, differ.join(", ")))
    }

    /// Opens all targets, lets the sink take everything, and waits until nobody has anything left to say.
    fn heal(&mut self) -> Result<Duration, String> {
        self.world.open_all();
        self.rough.always(Answer::Take);
        self.server.start();
        // A channel whose settings changed is tried again at once: nobody waits for the ladder.
        self.server.configure(&yaml(&self.world, &self.rough, &self.calm, "healed"));
        let began = RealClock.boot();
        let data = self.server.data();
        let mut left = String::new();
        wait::poll(scene::PATIENCE, || {
            std::thread::sleep(Duration::from_millis(200));
            left = left_to_do(&data);
            left.is_empty().then_some(())
        })
        .ok_or_else(|| {
            format!(
                "not quiet {:?} after all healed: {left}\n{}",
                scene::PATIENCE,
                scene::tail(&self.server.log())
            )
        })?;
        let took = RealClock.boot().since(began);
        let ended = self.server.stop();
        if !ended.success() {
            return Err(format!("the server ended with {ended}\n{}", scene::tail(&self.server.log())));
        }
        Ok(took)
    }

    fn judge(self, runs: u32, healed_after: Duration) -> Result<Report, String> {
        let records = Records::read(&self.server.data())?;
        let pasts = self.world.pasts();
        let sinks = [("rough", self.rough.received()), ("calm", self.calm.received())];
        let found =
            audit::Case { records: &records, sinks: &sinks, pasts: &pasts, lives: &self.lives }.judge();
        let figures = found.map_err(|broken| {
            format!(
                "{} broken invariants:\n  {}",
                broken.len(),
                broken.iter().take(20).cloned().collect::<Vec<_>>().join("\n  ")
            )
        })?;
        let mut report = Report::default();
        report.add("kills", runs);
        report.times("ready after a kill", &self.ready_after);
        report.add("outages made", pasts.iter().map(|past| past.0.len()).sum::<usize>());
        report.add("incidents", figures.incidents);
        report.add("notices (events × channels)", figures.notices);
        report.add("requests that the sinks read", figures.requests);
        report.add("repeated under the same key", figures.repeats);
        report.add("taken twice, same key", figures.taken_twice);
        report.add("outages that had to be seen, and were", figures.seen_outages);
        report.add("targets that held still, rightly judged", self.agreed);
        report.add("quiet after all healed", format!("{:.1} s", healed_after.as_secs_f64()));
        Ok(report)
    }
}

/// What is not quiet yet; empty where all is.
fn left_to_do(data: &Path) -> String {
    let records = match Records::read_decisions(data) {
        Ok(records) => records,
        Err(error) => return error,
    };
    let open =
        records.monitors.iter().flat_map(|w| &w.incidents).filter(|i| i.record.ended_at.is_none()).count();
    let not_up = records.monitors.iter().filter(|watched| watched.status != Status::Up).count();
    if open + not_up + records.undelivered.len() == 0 {
        return String::new();
    }
    format!(
        "{open} incidents are open, {not_up} monitors not up, {} notices not delivered",
        records.undelivered.len()
    )
}
