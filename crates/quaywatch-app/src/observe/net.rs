//! What the probe threads and the resolver say of themselves.

use std::sync::Arc;

use quaywatch_net::Resolver;
use quaywatch_probe::BulkStats;

use super::{Family, Reading, Source, Wanted, gauge};

/// Readings of the bulk prober.
#[derive(Debug)]
pub struct BulkSource(pub Arc<BulkStats>);

impl Source for BulkSource {
    fn collect(&self, _: &Wanted, families: &mut Vec<Family>) {
        let stats = &*self.0;
        let single = Family::single;
        families.extend([
            single("quaywatch_dials", "Connects begun.", Reading::Counter(stats.dials.read())),
            single(
                "quaywatch_dials_in_flight",
                "Connects under way, each with a descriptor.",
                gauge(&stats.in_flight),
            ),
            single("quaywatch_dials_waiting", "Connects that wait for their turn.", gauge(&stats.waiting)),
            single("quaywatch_dials_cap", "The most connects that may be in flight now.", gauge(&stats.cap)),
            single(
                "quaywatch_late_close",
                "Half-open checks whose handshake was completed because our close came too late.",
                Reading::Counter(stats.late_close.read()),
            ),
            single(
                "quaywatch_close_lag_seconds",
                "From the SYN-ACK to our close, of half-open checks.",
                Reading::Histogram(Box::new(stats.close_lag.read())),
            ),
            single(
                "quaywatch_loop_lag_seconds",
                "By how much later than asked a probe thread woke up, where it did.",
                Reading::Histogram(Box::new(stats.loop_lag.read())),
            ),
            single(
                "quaywatch_probe_stalls",
                "Times that a probe thread was away so long that silence proves nothing.",
                Reading::Counter(stats.stalls.read()),
            ),
        ]);
    }
}

/// Readings of the resolver.
pub struct ResolverSource(pub Resolver);

impl Source for ResolverSource {
    fn collect(&self, _: &Wanted, families: &mut Vec<Family>) {
        let stats = self.0.stats();
        let single = Family::single;
        families.extend([
            single("quaywatch_dns_lookups", "Lookups begun.", Reading::Counter(stats.lookups.read())),
            single(
                "quaywatch_dns_joined",
                "Lookups spared by joining another.",
                Reading::Counter(stats.joined.read()),
            ),
            single(
                "quaywatch_dns_failed",
                "Lookups that failed by the name's fault.",
                Reading::Counter(stats.failed.read()),
            ),
            single(
                "quaywatch_dns_own_failed",
                "Lookups that failed by our own fault.",
                Reading::Counter(stats.own_failed.read()),
            ),
            single(
                "quaywatch_dns_stale",
                "Answers given from the last good ones.",
                Reading::Counter(stats.stale.read()),
            ),
            single("quaywatch_dns_in_flight", "Lookups in flight.", gauge(&stats.in_flight)),
            single("quaywatch_dns_down", "1 while no name server answers anything.", gauge(&stats.down)),
            single(
                "quaywatch_dns_lookup_seconds",
                "Time of a lookup.",
                Reading::Histogram(Box::new(stats.took.read())),
            ),
        ]);
    }
}
