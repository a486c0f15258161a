//! Arrows between our crates go only to a lower layer. The table is the architecture; a new crate gets its place here,
//! in the commit that argues for it.

use crate::cargo::{Dependency, DependencyKind, Metadata, Package};

/// Where a crate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Shipped: may depend on lower numbers.
    Layer(u8),
    /// For tests, benchmarks and chores: shipped code depends on it only for its own tests.
    Tool,
}

const PLACES: &[(&str, Place)] = &[
    ("quaywatch-core", Place::Layer(0)),
    ("quaywatch-net", Place::Layer(1)),
    ("quaywatch-probe", Place::Layer(2)),
    ("quaywatch-notify", Place::Layer(2)),
    ("quaywatch-store", Place::Layer(2)),
    ("quaywatch-runner", Place::Layer(3)),
    ("quaywatch-engine", Place::Layer(4)),
    ("quaywatch-app", Place::Layer(5)),
    ("quaywatch-web", Place::Layer(6)),
    ("quaywatch-api", Place::Layer(7)),
    ("quaywatch-pages", Place::Layer(7)),
    ("quaywatch-agent", Place::Layer(7)),
    ("quaywatch", Place::Layer(8)),
    ("quaywatch-testkit", Place::Tool),
    ("quaywatch-drills", Place::Tool),
    ("quaywatch-bench", Place::Tool),
    ("xtask", Place::Tool),
];

/// Arrows that must not be.
pub(super) fn check(metadata: &Metadata) -> Vec<String> {
    metadata.packages.iter().flat_map(of_package).collect()
}

fn of_package(package: &Package) -> Vec<String> {
    let Some(from) = place(&package.name) else {
        return vec![format!("{}: has no layer: give it one in xtask/src/tidy/layers.rs", package.name)];
    };
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.path.is_some() && dependency.name != package.name)
        .filter_map(|dependency| {
            let why = wrong(from, dependency)?;
            Some(format!("{} depends on {}: {why}", package.name, dependency.name))
        })
        .collect()
}

/// Why an arrow must not be; `None` if it may.
fn wrong(from: Place, dependency: &Dependency) -> Option<String> {
    let to = place(&dependency.name)?;
    match (from, to) {
        // Nothing that is shipped rests on a tool, so its own arrows disturb nobody.
        (Place::Tool, _) => None,
        (Place::Layer(_), Place::Tool) => (dependency.kind != Some(DependencyKind::Dev))
            .then(|| "it is for tests: write it under [dev-dependencies]".to_owned()),
        (Place::Layer(from), Place::Layer(to)) => (to >= from)
            .then(|| format!("arrows go only to a lower layer, and this one goes from {from} to {to}")),
    }
}

fn place(name: &str) -> Option<Place> {
    PLACES.iter().find(|(known, _)| *known == name).map(|(_, place)| *place)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(from: &str, to: &str, kind: Option<&str>) -> Vec<String> {
        let metadata = json!({"target_directory": "/t", "packages": [{
            "name": from, "manifest_path": "/r/Cargo.toml",
            "dependencies": [{"name": to, "kind": kind, "path": "/r/x"}, {"name": "serde", "kind": null, "path": null}],
        }]});
        check(&serde_json::from_value(metadata).expect("metadata"))
    }

    #[test]
    fn arrows_go_down() {
        assert!(found("quaywatch-engine", "quaywatch-runner", None).is_empty());
        for (from, to) in [
            ("quaywatch-core", "quaywatch-net"),
            ("quaywatch-probe", "quaywatch-store"),
            ("quaywatch-net", "quaywatch"),
        ] {
            assert_eq!(found(from, to, None).len(), 1, "{from} → {to}");
            assert_eq!(found(from, to, Some("dev")).len(), 1, "{from} → {to} in tests");
        }
    }

    #[test]
    fn tools_are_for_tests() {
        assert!(found("quaywatch-core", "quaywatch-testkit", Some("dev")).is_empty());
        assert_eq!(found("quaywatch", "quaywatch-testkit", None).len(), 1);
        assert_eq!(found("quaywatch", "xtask", Some("build")).len(), 1);
        assert!(found("quaywatch-bench", "quaywatch-app", None).is_empty());
    }

    #[test]
    fn a_crate_without_a_layer_is_found() {
        assert_eq!(found("quaywatch-utils", "quaywatch-core", None).len(), 1);
    }

    #[test]
    fn a_crate_may_ask_for_its_own_features_in_its_tests() {
        assert!(found("quaywatch-store", "quaywatch-store", Some("dev")).is_empty());
    }
}
