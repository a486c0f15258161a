//! Every member takes its lints and its dependencies from the workspace: lints that one crate does not have, or two
//! versions of one library, are decided by accident otherwise.

/// What is wrong with a manifest.
pub(super) fn check(place: &str, manifest: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let mut section = "";
    let mut inherits_lints = false;
    for (number, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        } else if section == "lints" && line.replace(' ', "") == "workspace=true" {
            inherits_lints = true;
        } else if section.ends_with("dependencies") && is_entry(line) && !is_inherited(line) {
            findings.push(format!(
                "{place}/Cargo.toml:{}: `{line}`: declare it in the workspace's Cargo.toml and write `.workspace = true`",
                number + 1
            ));
        }
    }
    if !inherits_lints {
        findings.push(format!("{place}/Cargo.toml: add `[lints]` with `workspace = true`"));
    }
    findings
}

fn is_entry(line: &str) -> bool {
    !line.starts_with('#') && line.contains('=')
}

fn is_inherited(line: &str) -> bool {
    let line = line.replace(' ', "");
    line.contains(".workspace=true") || line.contains("{workspace=true")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[lints]\nworkspace = true\n\n[dependencies]\n# a reason = here\nserde.workspace = true\n\
                        tokio = { workspace = true, features = [\"full\"] }\n";

    #[test]
    fn a_member_that_inherits_is_fine() {
        assert!(check("crates/x", GOOD).is_empty());
    }

    #[test]
    fn lints_and_versions_of_its_own_are_found() {
        assert_eq!(check("crates/x", "[package]\nname = \"x\"\n[lints.clippy]\nall = \"allow\"\n").len(), 1);
        for bad in ["serde = \"1\"", "serde = { version = \"1\" }"] {
            assert_eq!(check("crates/x", &format!("{GOOD}\n[dev-dependencies]\n{bad}\n")).len(), 1, "{bad}");
            assert_eq!(
                check("crates/x", &format!("{GOOD}\n[target.'cfg(unix)'.dependencies]\n{bad}\n")).len(),
                1
            );
        }
    }
}
