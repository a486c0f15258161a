//! How long an answer stands.

use std::time::Duration;

use quaywatch_core::ErrorCode;
use quaywatch_core::dns::Outcome;

/// TTLs below are raised: a name with TTL 0 would be asked for by every one of a thousand monitors.
const TTL_MIN: Duration = Duration::from_secs(1);
/// TTLs above are cut: a wrong record must not live on here for a day.
const TTL_MAX: Duration = Duration::from_secs(3_600);
/// A "no" is kept briefly: below the usual 5 s to the recheck, which is to ask afresh.
const NO_MAX: Duration = Duration::from_secs(4);
/// Where the zone does not say how long its "no" stands.
const NO_DEFAULT: Duration = Duration::from_secs(2);
/// Errors and silence are kept only so long that a crowd asks once.
const FAILURE_KEPT: Duration = Duration::from_secs(1);
/// An answer for one family of two is asked for again soon.
const INCOMPLETE_MAX: Duration = Duration::from_secs(5);

/// How long `outcome` stands, from now.
pub(super) fn kept_for(outcome: &Outcome) -> Duration {
    let ttl = outcome.ttl.map(|ttl| Duration::from_secs(ttl.into()));
    let is_no =
        matches!(outcome.code, ErrorCode::DnsNxdomain | ErrorCode::DnsNodata | ErrorCode::DnsCnameBroken);
    if outcome.code == ErrorCode::Ok {
        let max = if outcome.complete { TTL_MAX } else { INCOMPLETE_MAX };
        ttl.unwrap_or(TTL_MIN).clamp(TTL_MIN, max)
    } else if is_no {
        ttl.unwrap_or(NO_DEFAULT).clamp(TTL_MIN, NO_MAX)
    } else {
        FAILURE_KEPT
    }
}
