//! The short forms of the drills: the real program, and something that goes wrong around it. Each has a server, targets
//! and a sink of its own; none depends on another. `cargo xtask drill NAME` runs the long form.

use std::path::Path;

use quaywatch_drills::{Options, names, run};

use crate::BINARY;

/// Random choices repeat from run to run; another seed is for `cargo xtask drill`.
const SEED: u64 = 20_260_501;

/// Runs the short form of a drill, and shows its figures.
#[expect(clippy::print_stdout, reason = "the figures of a drill are shown with --nocapture")]
pub(crate) fn short(name: &str) {
    let options = Options { runs: None, seed: SEED, short: true };
    match run(name, Path::new(BINARY), options) {
        Ok(report) => println!("{name}\n{report}"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn every_drill_has_its_short_form_here() {
    let here = concat!(include_str!("drills.rs"), include_str!("kill.rs"));
    for drill in names() {
        assert!(here.contains(&format!("short(\"{}\")", drill.name)), "{} is not run", drill.name);
    }
}

#[test]
fn a_stopped_process_calls_nobody_down_and_goes_on() {
    short("freeze");
}

#[test]
fn a_clock_that_is_set_calls_nobody_down_and_repeats_no_slot() {
    short("clock");
}

#[test]
fn a_full_disk_costs_raw_results_and_no_alert() {
    short("disk");
}

#[test]
fn no_descriptors_is_our_own_fault() {
    short("descriptors");
}

#[test]
fn no_ports_is_our_own_fault() {
    short("ports");
}

#[test]
fn a_dead_resolver_is_our_own_fault() {
    short("resolver");
}

#[test]
fn a_cut_uplink_is_our_own_fault() {
    short("uplink");
}

#[test]
fn a_webhook_that_hangs_delays_no_other() {
    short("hang");
}
