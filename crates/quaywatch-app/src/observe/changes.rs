//! Whether everything that was changed is watched so.

use super::{Family, Reading, Source, Wanted};
use crate::operations::Operations;

/// Reads what is owed to the engine.
#[derive(Debug)]
pub struct ChangesSource(pub Operations);

impl Source for ChangesSource {
    fn collect(&self, _: &Wanted, families: &mut Vec<Family>) {
        #[expect(clippy::cast_precision_loss, reason = "a count of monitors is far below 2^53")]
        let owed = self.0.changes.owed() as f64;
        families.push(Family::single(
            "quaywatch_changes_owed",
            "Monitors and channels that were changed and are not watched so yet; made good by itself.",
            Reading::Gauge(owed),
        ));
    }
}
