//! What is done as the disk fills up: first raw results are no longer written, then the ballast goes; decisions and
//! notices are written to the last. All of it is undone by itself once there is room.

use std::sync::atomic::Ordering;

use super::connection::Use;
use super::directory::{Directory, Room};
use super::{Options, Stats};

/// A disk on which the ballast would be more than this part of it is too small for one.
const SMALLEST_SHARE: u64 = 8;

/// The writer's view of its disk.
#[derive(Debug)]
pub(super) struct Disk {
    low_bytes: u64,
    low_percent: u64,
    ballast_bytes: u64,
    serving: bool,
    shedding: bool,
    noted_small: bool,
}

impl Disk {
    pub(super) fn new(options: &Options, purpose: Use) -> Self {
        Self {
            low_bytes: options.low_bytes,
            low_percent: options.low_percent,
            ballast_bytes: options.ballast_bytes,
            serving: purpose == Use::Serving,
            shedding: false,
            noted_small: false,
        }
    }

    /// Whether raw results are not to be written.
    pub(super) const fn shedding(&self) -> bool {
        self.shedding
    }

    /// Looks at the room, and begins or ends what follows from it.
    pub(super) fn look(&mut self, directory: &Directory, stats: &Stats) {
        let Some(room) = directory.room() else { return };
        stats.free_bytes.store(room.free, Ordering::Relaxed);
        let low = self.low(room);
        if room.free < low {
            self.begin_shedding(stats);
        } else if room.free >= low + low / 4 {
            // A little more than the mark, so that it does not flutter around it.
            if self.shedding {
                self.shedding = false;
                stats.shedding.store(false, Ordering::Relaxed);
                tracing::info!(free_bytes = room.free, "there is room again: raw results are recorded");
            }
            if self.serving {
                self.restore_ballast(directory, room, low);
            }
        }
    }

    /// The smaller of the two marks: five percent of a large disk are far more than an outage needs, and half a
    /// gigabyte may be all of a small one.
    fn low(&self, room: Room) -> u64 {
        self.low_bytes.min(room.total / 100 * self.low_percent)
    }

    fn restore_ballast(&mut self, directory: &Directory, room: Room, low: u64) {
        if self.ballast_bytes == 0 || directory.has_ballast() {
            return;
        }
        if self.ballast_bytes > room.total / SMALLEST_SHARE {
            if !self.noted_small {
                tracing::info!(
                    total_bytes = room.total,
                    "the disk is too small to put room aside for emergencies"
                );
                self.noted_small = true;
            }
        } else if room.free >= low + low / 4 + self.ballast_bytes
            && let Err(error) = directory.take_ballast(self.ballast_bytes)
        {
            tracing::warn!(%error, "no room could be put aside for emergencies");
        }
    }

    pub(super) fn begin_shedding(&mut self, stats: &Stats) {
        if !self.shedding {
            self.shedding = true;
            stats.shedding.store(true, Ordering::Relaxed);
            tracing::warn!("the disk is nearly full: raw results are not recorded, alerts go on");
        }
    }

    /// Gives the ballast's room back at the first failure; whether there was any.
    pub(super) fn throw_ballast(&mut self, directory: &Directory, stats: &Stats) -> bool {
        if !self.serving || !directory.drop_ballast() {
            return false;
        }
        self.begin_shedding(stats);
        tracing::warn!("the disk is full: the room put aside is used now");
        true
    }
}
