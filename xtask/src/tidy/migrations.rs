//! Migrations are numbered without gaps, each is used, and one that is pinned never changes: databases out there have
//! run it. The pins stand beside them, in `PINNED`, one `sha256  name` a line, as `sha256sum` writes and checks them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{read, shown};

/// Where migrations lie: one folder for each engine.
const FOLDERS: [&str; 1] = ["crates/quaywatch-store/src/sqlite/migrations"];
const PINNED: &str = "PINNED";

/// What is wrong with the migrations.
pub(super) fn check(root: &Path) -> Result<Vec<String>, String> {
    let mut findings = Vec::new();
    for folder in FOLDERS.map(|folder| root.join(folder)) {
        let place = shown(root, &folder);
        let files = migrations(&folder)?;
        let user = read(&folder.with_file_name("migrate.rs"))?;
        findings.extend(numbering(&place, &files));
        for name in files.keys().filter(|name| !user.contains(&format!("/{name}\""))) {
            findings.push(format!("{place}/{name}: nothing runs it: add it to migrate.rs"));
        }
        findings.extend(pins(&place, &files, &pinned(&folder)?));
    }
    Ok(findings)
}

/// Pins what is not pinned; the names.
pub(super) fn pin(root: &Path) -> Result<Vec<String>, String> {
    let mut new = Vec::new();
    for folder in FOLDERS.map(|folder| root.join(folder)) {
        let mut pins = pinned(&folder)?;
        for (name, text) in migrations(&folder)? {
            pins.entry(name.clone()).or_insert_with(|| {
                new.push(name);
                hash(&text)
            });
        }
        let mut lines: Vec<_> =
            pins.iter().map(|(name, hash)| (number(name), format!("{hash}  {name}\n"))).collect();
        lines.sort();
        let text: String = lines.into_iter().map(|(_, line)| line).collect();
        let file = folder.join(PINNED);
        fs::write(&file, text).map_err(|e| format!("{} cannot be written: {e}", file.display()))?;
    }
    Ok(new)
}

/// Names and texts.
fn migrations(folder: &PathBuf) -> Result<BTreeMap<String, String>, String> {
    let entries = fs::read_dir(folder).map_err(|e| format!("{} cannot be read: {e}", folder.display()))?;
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "sql"))
        .map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok((name, read(&path)?))
        })
        .collect()
}

/// Names and hashes.
fn pinned(folder: &Path) -> Result<BTreeMap<String, String>, String> {
    let file = folder.join(PINNED);
    if !file.exists() {
        return Ok(BTreeMap::new());
    }
    let text = read(&file)?;
    let pair = |line: &str| line.split_once("  ").map(|(hash, name)| (name.to_owned(), hash.to_owned()));
    text.lines()
        .map(|line| pair(line).ok_or_else(|| format!("{}: `{line}` is not `sha256  name`", file.display())))
        .collect()
}

fn numbering(place: &str, files: &BTreeMap<String, String>) -> Vec<String> {
    let mut numbers: Vec<_> = files.keys().map(|name| (number(name), name)).collect();
    numbers.sort();
    let mut findings = Vec::new();
    let mut expected = 1;
    for (number, name) in numbers {
        match number {
            None => findings.push(format!("{place}/{name}: name it `V<number>__<what>.sql`")),
            Some(number) if number != expected => {
                findings.push(format!("{place}/{name}: its number must be {expected}"));
            }
            Some(_) => expected += 1,
        }
    }
    findings
}

/// The number in `V12__what.sql`.
fn number(name: &str) -> Option<u32> {
    let (number, what) = name.strip_prefix('V')?.split_once("__")?;
    (what.len() > ".sql".len() && !number.starts_with('0')).then(|| number.parse().ok())?
}

fn pins(place: &str, files: &BTreeMap<String, String>, pinned: &BTreeMap<String, String>) -> Vec<String> {
    let mut findings = Vec::new();
    for (name, pin) in pinned {
        match files.get(name) {
            None => {
                findings.push(format!("{place}/{name}: is pinned and gone; databases out there have run it"));
            }
            Some(text) if hash(text) != *pin => findings.push(format!(
                "{place}/{name}: is pinned and has changed: undo that, and write a new migration instead"
            )),
            Some(_) => {}
        }
    }
    for name in files.keys().filter(|name| !pinned.contains_key(*name)) {
        findings.push(format!("{place}/{name}: is not pinned: when it is final, run `cargo xtask pin`"));
    }
    findings
}

fn hash(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root with these migrations, all of them run.
    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a directory");
        let folder = root.path().join(FOLDERS[0]);
        fs::create_dir_all(&folder).expect("made");
        let mut user = String::new();
        for (name, text) in files {
            fs::write(folder.join(name), text).expect("written");
            user.push_str(&format!("include_str!(\"migrations/{name}\")\n"));
        }
        fs::write(folder.with_file_name("migrate.rs"), user).expect("written");
        root
    }

    fn found(root: &tempfile::TempDir) -> String {
        check(root.path()).expect("readable").join("\n")
    }

    #[test]
    fn a_pinned_migration_never_changes() {
        let root = root(&[("V1__first.sql", "CREATE TABLE a (b);")]);
        assert!(found(&root).contains("is not pinned"));
        assert_eq!(pin(root.path()).expect("written"), ["V1__first.sql"]);
        assert_eq!(found(&root), "");
        let file = root.path().join(FOLDERS[0]).join("V1__first.sql");
        fs::write(&file, "CREATE TABLE a (c);").expect("written");
        assert!(found(&root).contains("has changed"));
        assert!(pin(root.path()).expect("written").is_empty(), "pinning again forgives nothing");
        assert!(found(&root).contains("has changed"));
        fs::remove_file(&file).expect("removed");
        assert!(found(&root).contains("and gone"));
    }

    #[test]
    fn numbers_have_no_gap_and_no_twin() {
        let numbered = |names: &[&str]| {
            let files: Vec<_> = names.iter().map(|name| (*name, "")).collect();
            let root = root(&files);
            pin(root.path()).expect("written");
            found(&root).lines().count()
        };
        assert_eq!(numbered(&["V1__a.sql", "V2__b.sql", "V10__d.sql"]), 1);
        assert_eq!(numbered(&["V1__a.sql", "V1__b.sql"]), 1);
        assert_eq!(numbered(&["V1__a.sql", "second.sql"]), 1);
        assert_eq!(numbered(&["V1__a.sql", "V2__b.sql"]), 0);
    }

    #[test]
    fn a_migration_that_nothing_runs_is_found() {
        let root = root(&[("V1__a.sql", "")]);
        pin(root.path()).expect("written");
        fs::write(root.path().join(FOLDERS[0]).with_file_name("migrate.rs"), "").expect("written");
        assert!(found(&root).contains("nothing runs it"));
    }
}
