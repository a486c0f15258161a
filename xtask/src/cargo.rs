//! Cargo as a program: what it knows of the workspace, and running it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// What `cargo metadata --no-deps` says, as far as it is needed.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    /// The members of the workspace.
    pub(crate) packages: Vec<Package>,
    target_directory: PathBuf,
}

/// A member of the workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
}

/// A line of a manifest.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Absent for normal ones.
    pub(crate) kind: Option<DependencyKind>,
    /// Where it is, for those of the workspace.
    pub(crate) path: Option<PathBuf>,
}

/// What a dependency is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DependencyKind {
    /// For tests and examples.
    Dev,
    /// For the build script.
    Build,
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies below the root").to_owned()
}

/// What cargo knows of the members.
pub(crate) fn metadata() -> Result<Metadata, String> {
    let text = output(&["metadata", "--format-version", "1", "--no-deps", "--locked"])?;
    serde_json::from_str(&text).map_err(|e| format!("cargo metadata is not understood: {e}"))
}

/// Where programs are built to.
pub(crate) fn target_directory() -> Result<PathBuf, String> {
    Ok(metadata()?.target_directory)
}

/// Everything that a member needs to run, not to be tested or built: names, sorted.
pub(crate) fn runtime_tree(package: &str) -> Result<Vec<String>, String> {
    let text = output(&[
        "tree",
        "--locked",
        "--package",
        package,
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ])?;
    Ok(tree_names(&text))
}

/// The names in a listing of `cargo tree`, each once.
pub(crate) fn tree_names(listing: &str) -> Vec<String> {
    let mut names: Vec<_> =
        listing.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

/// Runs cargo in the root, with variables of the environment; its words go to the terminal.
pub(crate) fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Result<(), String> {
    start(program(), arguments, environment)
}

/// Runs a program in the root.
pub(crate) fn start<S: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: &[S],
    environment: &[(&str, &str)],
) -> Result<(), String> {
    let shown = Path::new(program.as_ref()).display().to_string();
    let status = Command::new(&program)
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(root())
        .status()
        .map_err(|e| format!("{shown} cannot be started: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("{shown} ended with {status}")) }
}

fn output(arguments: &[&str]) -> Result<String, String> {
    let shown = || format!("cargo {}", arguments.join(" "));
    let output = Command::new(program())
        .args(arguments)
        .current_dir(root())
        .output()
        .map_err(|e| format!("{} cannot be started: {e}", shown()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{} failed:\n{}", shown(), String::from_utf8_lossy(&output.stderr)))
    }
}

fn program() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}
