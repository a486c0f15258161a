//! When a notice is tried again: quickly at first, hourly at last, for a day.

use std::time::Duration;

use quaywatch_core::{DeliveryKey, Timestamp};

use crate::rng::Fingerprint;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The pause after so many attempts; the last one repeats.
const STEPS: [Duration; 6] =
    [seconds(5), seconds(30), seconds(120), seconds(600), seconds(1_800), seconds(3_600)];
/// For how long a notice is tried.
pub(crate) const LIFETIME: Duration = seconds(24 * 3_600);
/// The pause of the last step, and where only a person can help.
pub(crate) const HOURLY: Duration = seconds(3_600);

/// After a start, the longest pause of what was tried before: whatever was wrong (a receiver, a key file, a setting) may
/// have been put right while the server was off, and nobody else says so.
pub(crate) const AFTER_START: Duration = seconds(30);

/// The pause after `attempts` attempts, without jitter.
pub(crate) fn step(attempts: u32) -> Duration {
    STEPS[(attempts.max(1) as usize - 1).min(STEPS.len() - 1)]
}

/// The pause after `attempts` attempts of one notice: up to a tenth more or less, so that notices that failed together
/// do not come back together. A function of the key, so that a replay waits as long.
pub(crate) fn pause(key: &DeliveryKey, attempts: u32, seed: u64) -> Duration {
    let bits = key.incident.0.as_u128();
    let print = Fingerprint::new()
        .number(seed)
        .number(bits as u64)
        .number((bits >> 64) as u64)
        .number(u64::from(key.sequence))
        .number(key.channel.0 as u64)
        .number(u64::from(attempts));
    let share = (print.finish() >> 11) as f64 / (1_u64 << 53) as f64;
    step(attempts).mul_f64(0.9 + share / 5.0)
}

/// Whether a notice is too old to be tried again.
pub(crate) fn expired(queued_at: Timestamp, now: Timestamp) -> bool {
    now.since(queued_at) >= LIFETIME
}

#[cfg(test)]
mod tests {
    use quaywatch_core::{ChannelId, IncidentId};

    use super::*;

    #[test]
    fn the_ladder_climbs_to_an_hour_and_stays_there() {
        let steps: Vec<_> = (1..=8).map(|attempts| step(attempts).as_secs()).collect();
        assert_eq!(steps, [5, 30, 120, 600, 1_800, 3_600, 3_600, 3_600]);
    }

    #[test]
    fn jitter_spreads_and_repeats() {
        let key =
            |n: u8| DeliveryKey { incident: IncidentId::new(1, [n; 10]), sequence: 0, channel: ChannelId(1) };
        let pauses: std::collections::BTreeSet<_> = (0..100).map(|n| pause(&key(n), 2, 7)).collect();
        assert_eq!(pauses.len(), 100);
        assert!(pauses.iter().all(|p| (27.0..33.0).contains(&p.as_secs_f64())));
        assert_eq!(pause(&key(3), 2, 7), pause(&key(3), 2, 7));
    }
}
