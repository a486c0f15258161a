//! What no compiler checks. Each rule is one file with a pure function over what it needs, so that a test can show
//! that it finds what it is for; a finding says where, what, and what to do instead.

mod banned;
mod documents;
mod layers;
mod manifests;
mod migrations;
mod sources;

use std::fs;
use std::path::{Path, PathBuf};

use crate::cargo;

/// Runs every rule and prints what they find; an error if anything is wrong.
pub(crate) fn check(root: &Path) -> Result<(), String> {
    let metadata = cargo::metadata()?;
    let members: Vec<_> = metadata
        .packages
        .iter()
        .map(|package| package.manifest_path.parent().expect("a manifest lies in a directory").to_owned())
        .collect();
    let mut findings = layers::check(&metadata);
    for member in &members {
        findings.extend(manifests::check(&shown(root, member), &read(&member.join("Cargo.toml"))?));
    }
    let mut long = Vec::new();
    for path in members.iter().flat_map(|member| files(member, "rs")) {
        let text = read(&path)?;
        findings.extend(sources::check(&shown(root, &path), &text));
        long.extend(sources::long(&shown(root, &path), &text));
    }
    findings.extend(banned::check(cargo::runtime_tree)?);
    findings.extend(migrations::check(root)?);
    findings.extend(documents::check(root)?);

    // Long files are shown and not refused: a table of words may be long.
    long.iter().for_each(|line| println!("note: {line}"));
    findings.iter().for_each(|finding| println!("{finding}"));
    match findings.len() {
        0 => {
            println!("tidy: {} crates, nothing to say", members.len());
            Ok(())
        }
        1 => Err("one thing is not tidy".to_owned()),
        many => Err(format!("{many} things are not tidy")),
    }
}

/// Pins the migrations that are not pinned yet.
pub(crate) fn pin(root: &Path) -> Result<(), String> {
    migrations::pin(root)?.iter().for_each(|name| println!("pinned {name}"));
    Ok(())
}

/// All files below a directory with this ending, in order; without what is built or hidden.
fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<_> =
        fs::read_dir(directory).into_iter().flatten().flatten().map(|e| e.path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with('.') || name == "target" || name == "node_modules" {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
    found
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|e| format!("{} cannot be read: {e}", path.display()))
}

/// A path as people write it: from the root.
fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}
