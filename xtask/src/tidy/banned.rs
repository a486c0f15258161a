//! Crates that must not be in what we ship, and what the pure core must not rest on. `deny.toml` says the same to
//! cargo-deny; this needs no tool that is not there.

/// Not in the program that people run.
const BANNED: [(&str, &str); 5] = [
    ("ring", "one cryptographic provider: aws-lc-rs"),
    ("openssl-sys", "TLS is rustls; no C library of the system"),
    ("native-tls", "TLS is rustls; no C library of the system"),
    ("serde_yml", "unsound and archived"),
    ("serde_yaml", "archived"),
];

/// Not below the core, which decides and does nothing.
const IMPURE: [&str; 9] =
    ["tokio", "mio", "async-io", "rusqlite", "libsqlite3-sys", "hyper", "socket2", "nix", "rand"];

/// Crates that should not be there. `tree` gives the names of all that a member needs at run time.
pub(super) fn check(tree: impl Fn(&str) -> Result<Vec<String>, String>) -> Result<Vec<String>, String> {
    let mut findings = Vec::new();
    let shipped = tree("quaywatch")?;
    for (name, why) in BANNED {
        if shipped.iter().any(|found| found == name) {
            findings.push(format!(
                "quaywatch ships {name} ({why}): `cargo tree -p quaywatch -e normal -i {name}` says through whom"
            ));
        }
    }
    let core = tree("quaywatch-core")?;
    for name in IMPURE {
        if core.iter().any(|found| found == name) {
            findings.push(format!(
                "quaywatch-core rests on {name} and must stay pure: \
                 `cargo tree -p quaywatch-core -e normal -i {name}` says through whom"
            ));
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo::tree_names;

    const LISTING: &str = "quaywatch v0.1.0 (/x/crates/quaywatch)\nring v0.17.14\nserde v1.0.1\nserde v1.0.1 (*)\n\
                           tokio v1.54.0\nring-compat v1.0.0\n";

    #[test]
    fn what_is_banned_is_found_by_its_whole_name() {
        let shipped = tree_names(LISTING);
        assert_eq!(shipped, ["quaywatch", "ring", "ring-compat", "serde", "tokio"]);
        let findings =
            check(|of| Ok(if of == "quaywatch" { shipped.clone() } else { Vec::new() })).expect("a tree");
        assert_eq!(findings.len(), 1);
        assert!(findings[0].contains("ring "), "{findings:?}");
    }

    #[test]
    fn the_core_stays_pure() {
        let findings = check(|of| Ok(if of == "quaywatch" { Vec::new() } else { tree_names(LISTING) }));
        assert_eq!(findings.expect("a tree").len(), 1);
    }
}
