//! Drills: the real program as a process, and something that goes wrong around it. Each ends with what must hold: the
//! right words, no false `down`, nothing lost, nothing told under two keys, and recovery by itself.
//!
//! One drill, one file, one line in [`names()`]. `cargo xtask drill NAME --runs N` runs the long form against a release
//! build; the tests of the program run the short form of each. Both call [`run`]. A drill says with what seed it ran:
//! what it chooses repeats, what the machine's scheduler chooses does not.

mod clock;
mod descriptors;
mod disk;
mod door;
mod freeze;
mod hang;
mod kill;
mod names;
mod ports;
mod records;
mod report;
mod resolver;
mod scene;
mod uplink;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

pub use report::Report;

/// One drill.
#[derive(Debug, Clone, Copy)]
pub struct Drill {
    /// How it is called.
    pub name: &'static str,
    /// What goes wrong, and what must hold.
    pub about: &'static str,
    /// How often it repeats its trouble in the long form, where nobody says otherwise.
    pub runs: u32,
    /// How often in the short form.
    pub short_runs: u32,
    go: fn(&Setting) -> Result<Report, String>,
}

/// How a drill is to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How often it repeats its trouble; the drill's own number where it is not given.
    pub runs: Option<u32>,
    /// What random choices begin with.
    pub seed: u64,
    /// The bounded form that the tests run.
    pub short: bool,
}

/// What a drill works with.
struct Setting {
    binary: PathBuf,
    runs: u32,
    seed: u64,
    short: bool,
}

/// All drills.
#[must_use]
pub const fn names() -> &'static [Drill] {
    &[
        Drill {
            name: "kill",
            about: "SIGKILL at random moments; no incident and no notice lost, none told under two keys",
            runs: 200,
            short_runs: 20,
            go: kill::run,
        },
        Drill {
            name: "freeze",
            about: "SIGSTOP and SIGCONT; what was under way is void, the gap is the watcher's own",
            runs: 3,
            short_runs: 1,
            go: freeze::run,
        },
        Drill {
            name: "clock",
            about: "the wall clock is set an hour ahead and back; no false down, no slot twice, sane times",
            runs: 4,
            short_runs: 1,
            go: clock::run,
        },
        Drill {
            name: "disk",
            about: "the disk is full; results are shed, outages are still told, under their normal keys",
            runs: 3,
            short_runs: 1,
            go: disk::run,
        },
        Drill {
            name: "descriptors",
            about: "no descriptors left: unknown or queued, never down",
            runs: 3,
            short_runs: 1,
            go: descriptors::run,
        },
        Drill {
            name: "ports",
            about: "no port left for outgoing connections: unknown, never down",
            runs: 3,
            short_runs: 1,
            go: ports::run,
        },
        Drill {
            name: "resolver",
            about: "the resolver dies; last addresses are used, new names are unknown, nobody is down",
            runs: 3,
            short_runs: 1,
            go: resolver::run,
        },
        Drill {
            name: "uplink",
            about: "the watcher's own uplink is cut; targets are unknown, never down, and the operator is told",
            runs: 2,
            short_runs: 1,
            go: uplink::run,
        },
        Drill {
            name: "hang",
            about: "a webhook that never answers delays no other, and hears everything once it is well",
            runs: 3,
            short_runs: 1,
            go: hang::run,
        },
    ]
}

/// Runs a drill against the program at `binary`.
///
/// # Errors
/// A sentence that says which invariant broke, and the seed.
pub fn run(name: &str, binary: &Path, options: Options) -> Result<Report, String> {
    let drill = names().iter().find(|drill| drill.name == name).ok_or_else(|| {
        let known: Vec<&str> = names().iter().map(|drill| drill.name).collect();
        format!("there is no drill `{name}`; there are {}", known.join(", "))
    })?;
    let own = if options.short { drill.short_runs } else { drill.runs };
    let setting = Setting {
        binary: binary.to_owned(),
        runs: options.runs.unwrap_or(own),
        seed: options.seed,
        short: options.short,
    };
    // What the tools of the tests find wrong they say by a panic.
    let ended = catch_unwind(AssertUnwindSafe(|| (drill.go)(&setting)));
    ended
        .unwrap_or_else(|panic| Err(report::words_of(&*panic)))
        .map_err(|error| format!("drill {name}, seed {}: {error}", setting.seed))
}
