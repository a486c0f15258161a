//! The data directory's disk is full: a tmpfs of a few megabytes is filled to the last page. Raw results are no longer
//! recorded and the server says so; what happens to a target is still noticed and told, under the key that it would
//! have had; when there is room again, all is recorded as if nothing had been.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use quaywatch_testkit::process::Server;
use quaywatch_testkit::sink::{Received, Sink};

use crate::door::Door;
use crate::records::Records;
use crate::{Report, Setting, scene};

const STEADY: usize = 10;
const VICTIMS: usize = 6;
/// Too small for a ballast; in the long form large enough.
const SMALL: &str = "size=24m";
const LARGE: &str = "size=640m";

/// A small disk, mounted; unmounted when dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path, size: &str) -> Result<Self, String> {
        std::fs::create_dir_all(at).map_err(|e| format!("{}: {e}", at.display()))?;
        mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some(size)).map_err(
            |e| format!("cannot mount a tmpfs: {e}; run this as root, or inside `unshare -Urn --mount`"),
        )?;
        Ok(Self(at.to_owned()))
    }

    /// Takes all the room that is left.
    fn fill(&self) -> Result<u64, String> {
        let path = self.0.join("filler");
        let mut file = File::options().create(true).append(true).open(&path).map_err(|e| e.to_string())?;
        let mut taken = 0;
        // In ever smaller pieces, until not a page is left.
        for piece in [1 << 20, 1 << 16, 4_096] {
            while file.write_all(&vec![1; piece]).is_ok() {
                taken += piece as u64;
            }
        }
        Ok(taken)
    }

    fn free(&self) -> Result<(), String> {
        std::fs::remove_file(self.0.join("filler")).map_err(|e| e.to_string())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whoever still holds a file of it lets go in a moment.
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

pub(super) fn run(setting: &Setting) -> Result<Report, String> {
    let sink = Sink::start();
    let steady: Vec<Door> = (0..STEADY).map(|_| Door::open()).collect();
    let mut victims: Vec<Door> = (0..VICTIMS).map(|_| Door::open()).collect();
    let steady_names = (0..STEADY).map(|n| format!("steady{n}"));
    let victim_names: Vec<String> = (0..VICTIMS).map(|n| format!("victim{n}")).collect();
    let names: Vec<String> = steady_names.chain(victim_names.iter().cloned()).collect();
    let monitors: Vec<String> = names
        .iter()
        .zip(steady.iter().chain(&victims))
        .map(|(name, door)| scene::monitor(name, door.address(), ""))
        .collect();
    let mut server = Server::new(&setting.binary, &scene::file("", &sink, &monitors));
    let disk = Disk::mount(&server.data(), if setting.short { SMALL } else { LARGE })?;
    server.start();
    scene::until_all(&server, &names, "up")?;

    let mut report = Report::default();
    let (mut told_after, mut healed_after, mut filled) = (Vec::new(), Vec::new(), 0);
    let mut from_memory = false;
    for _ in 0..setting.runs {
        filled = disk.fill()?;
        scene::until("the server says that it sheds results", || server.metric("quaywatch_shedding") >= 1.0)?;
        // What is given back to be used now is taken, too.
        disk.fill()?;
        let recorded = server.metric("quaywatch_recorded_results_total");
        for (name, door) in victim_names.iter().zip(&mut victims) {
            told_after.push(scene::outage(&server, &sink, name, door)?);
            from_memory |= server.metric("quaywatch_emergency") >= 1.0;
        }
        // The last one is down when there is room again.
        let before = sink.received().len();
        victims[0].set(false);
        scene::told(&server, &sink, before, "incident.opened", &victim_names[0])?;
        if server.metric("quaywatch_recorded_results_total") > recorded {
            return Err("raw results are recorded while the disk is full".to_owned());
        }
        disk.free()?;
        healed_after.push(scene::until("results are recorded again", || {
            server.metric("quaywatch_shedding") < 1.0
                && server.metric("quaywatch_recorded_results_total") > recorded
        })?);
        victims[0].set(true);
        scene::told(&server, &sink, before, "incident.closed", &victim_names[0])?;
        scene::until_all(&server, &names, "up")?;
        scene::until("no notice is left", || server.metric("quaywatch_outbox") < 1.0)?;
    }
    let shed = server.metric("quaywatch_shed_results_total") + server.metric("quaywatch_not_recorded_total");
    server.stop();

    let records = Records::read(&server.data())?;
    records.expect_never_down(|name| name.starts_with("steady"))?;
    records.expect_single_slots()?;
    scene::expect_one_key_each(&sink.received())?;
    let incidents = as_it_would_have_been(&records, &sink.received())?;
    let wanted = setting.runs as usize * (VICTIMS + 1);
    if incidents != wanted {
        return Err(format!("{wanted} outages, and the store knows of {incidents}"));
    }
    report.add("filled", format!("{} times, the last with {} MiB", setting.runs, filled >> 20));
    report.times("outage told while full, after", &told_after);
    report.add("notices from memory", if from_memory { "yes" } else { "no: the log had room" });
    report.add("operators told", own_trouble(&sink.received())?);
    report.add("results not recorded", shed);
    report.times("recording again after there is room", &healed_after);
    report.add("incidents whole in the store", incidents);
    drop(server);
    drop(disk);
    Ok(report)
}

/// What the server told of itself: each trouble has its end, and names the disk.
fn own_trouble(received: &[Received]) -> Result<String, String> {
    let mut told = std::collections::BTreeMap::new();
    for body in received.iter().map(Received::json).filter(|body| body["monitor"].is_null()) {
        if body["error_code"] != "self_storage" {
            return Err(format!("the server told of other trouble than the disk's: {body}"));
        }
        told.entry(body["id"].to_string())
            .or_insert_with(|| body["type"].as_str().unwrap_or_default().to_owned());
    }
    let times = |kind: &str| told.values().filter(|told| *told == kind).count();
    let (faults, recovered) = (times("server.fault"), times("server.recovered"));
    if faults == recovered {
        return Ok(format!("{faults} faults of the store, {recovered} recoveries"));
    }
    Err(format!("{faults} faults of the store were told, and {recovered} recoveries"))
}

/// Every incident in the store is whole, delivered, and was told under its own keys; and nothing else was told.
fn as_it_would_have_been(records: &Records, received: &[Received]) -> Result<usize, String> {
    let mut keys = std::collections::BTreeSet::new();
    let mut incidents = 0;
    for watched in &records.monitors {
        for incident in &watched.incidents {
            incidents += 1;
            let id = incident.record.id;
            let kinds: Vec<&str> = incident.events.iter().map(|event| event.kind.as_str()).collect();
            if kinds != ["incident.opened", "incident.closed"] {
                return Err(format!("{id} of {} has events {kinds:?}", watched.monitor.name));
            }
            keys.extend((0..2).map(|sequence| format!("{id}-{sequence}-{}", records.channels[0].id)));
        }
    }
    if !records.undelivered.is_empty() {
        return Err(format!("{} notices are not delivered", records.undelivered.len()));
    }
    // Its own trouble is told, too, and belongs to no incident of a monitor.
    let of_monitors = received.iter().filter(|request| !request.json()["monitor"].is_null());
    let told = of_monitors.map(|request| request.id().to_owned()).collect();
    let lost: Vec<&String> = keys.difference(&told).collect();
    let unknown: Vec<&String> = told.difference(&keys).collect();
    if lost.is_empty() && unknown.is_empty() {
        return Ok(incidents);
    }
    Err(format!("in the store and never told: {lost:?}; told and not in the store: {unknown:?}"))
}
