//! How long a steady success takes. Printed; only a gross slowdown fails, because neighbours share the machine.

use std::hint::black_box;

use quaywatch_core::judge::{Input, Judge};
use quaywatch_core::{ErrorCode, LocationId};

use crate::kit::{policy, secs, seen_from};

#[test]
#[expect(clippy::disallowed_methods, reason = "a measurement of the code itself")]
fn a_steady_success_costs_next_to_nothing() {
    const ROUNDS: i64 = 200_000;
    for policy in [policy(), seen_from(3)] {
        let mut best = f64::INFINITY;
        for _ in 0..5 {
            let mut judge = Judge::new(secs(0));
            let mut out = Vec::new();
            let began = std::time::Instant::now();
            for round in 0..ROUNDS {
                let slot = secs(60 * round + 1);
                let input = Input::Observed {
                    location: LocationId((round % policy.locations.len() as i64) as u16),
                    slot,
                    code: ErrorCode::Ok,
                    latency_us: Some(250),
                };
                judge.handle(black_box(&policy), black_box(input), slot, &mut out);
            }
            best = best.min(began.elapsed().as_nanos() as f64 / ROUNDS as f64);
            black_box((&judge, &out));
        }
        println!("{} location(s): {best:.1} ns per steady success", policy.locations.len());
        assert!(best < 2_000.0, "{best:.0} ns");
    }
    println!("{} bytes per judge with one location", size_of::<Judge>());
}
