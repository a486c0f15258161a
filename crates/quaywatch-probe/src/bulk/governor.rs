//! How many dials a thread takes at once. A half-open close that comes later than the kernel's delayed ACK completes
//! the handshake after all, so a thread that closes late too often has too much in its hands and takes less.

use std::time::Duration;

use quaywatch_core::BootTime;

/// How often the share of late closes is looked at.
const WINDOW: Duration = Duration::from_secs(1);
/// A thread never takes less than this at once, or it could not find out that it may take more again.
const LEAST: usize = 64;
/// Fewer late closes than this in a window are chance.
const CHANCE: usize = 3;

/// The bound on what one thread has in flight.
pub(super) struct Governor {
    most: usize,
    cap: usize,
    window_began: BootTime,
    closes: usize,
    late: usize,
}

impl Governor {
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1);
        Self { most, cap: most, window_began: BootTime(0), closes: 0, late: 0 }
    }

    /// The most to have in flight now.
    pub(super) const fn cap(&self) -> usize {
        self.cap
    }

    /// Takes note of the close of a half-open check.
    pub(super) const fn closed(&mut self, late: bool) {
        self.closes += 1;
        self.late += late as usize;
    }

    /// Sets the bound anew when a window has ended: down to half of what is in flight if more than one close in a
    /// hundred was late, otherwise up by an eighth.
    pub(super) fn turn(&mut self, now: BootTime, in_flight: usize) {
        if now.since(self.window_began) < WINDOW {
            return;
        }
        if self.late >= CHANCE && self.late * 100 > self.closes {
            self.cap = (self.cap.min(in_flight) / 2).max(LEAST).min(self.most);
        } else if self.cap < self.most {
            self.cap = (self.cap + (self.cap / 8).max(LEAST)).min(self.most);
        }
        (self.window_began, self.closes, self.late) = (now, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_one_late_close_in_a_hundred_halves_what_is_taken_and_quiet_seconds_give_it_back() {
        let mut governor = Governor::new(1_000);
        let mut second = 1_000_000;
        let mut window = |governor: &mut Governor, closes: usize, late: usize| {
            for close in 0..closes {
                governor.closed(close < late);
            }
            second += 1_000_000;
            governor.turn(BootTime(second), 800);
            governor.cap()
        };
        assert_eq!(window(&mut governor, 1_000, 10), 1_000);
        assert_eq!(window(&mut governor, 1_000, 11), 400);
        assert_eq!(window(&mut governor, 1_000, 500), 200);
        assert_eq!(window(&mut governor, 10, 2), 264);
        for _ in 0..20 {
            window(&mut governor, 100, 0);
        }
        assert_eq!(governor.cap(), 1_000);
        for _ in 0..20 {
            window(&mut governor, 100, 100);
        }
        assert_eq!(governor.cap(), LEAST);
    }
}
