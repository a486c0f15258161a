//! Every kind of check and of channel has its page, and links between documents lead somewhere. The kinds are read
//! from the sources, so that a new one is missed here and not by its users.

use std::path::Path;

use super::{files, read, shown};

/// What is missing from the documents.
pub(super) fn check(root: &Path) -> Result<Vec<String>, String> {
    let mut findings = pages(root, "checks", check_kinds(&read(&root.join(CHECKS))?), CHECKS);
    let mut channels = Vec::new();
    for file in files(&root.join(CHANNELS), "rs") {
        channels.extend(channel_kind(&read(&file)?));
    }
    findings.extend(pages(root, "channels", channels, CHANNELS));
    for document in files(root, "md") {
        for target in links(&read(&document)?) {
            if !document.parent().is_some_and(|folder| folder.join(&target).exists()) {
                findings.push(format!("{}: the link to {target} leads nowhere", shown(root, &document)));
            }
        }
    }
    Ok(findings)
}

const CHECKS: &str = "crates/quaywatch-core/src/spec/mod.rs";
const CHANNELS: &str = "crates/quaywatch-notify/src";

fn pages(root: &Path, folder: &str, kinds: Vec<String>, source: &str) -> Vec<String> {
    if kinds.is_empty() {
        return vec![format!(
            "{source}: no kinds found: teach xtask/src/tidy/documents.rs how they are written now"
        )];
    }
    kinds
        .into_iter()
        .map(|kind| format!("docs/{folder}/{kind}.md"))
        .filter(|page| !root.join(page).exists())
        .map(|page| format!("{page}: is missing: every kind has its page"))
        .collect()
}

/// The words of `Kind::name`: `Self::Tcp(_) => "tcp",`.
fn check_kinds(source: &str) -> Vec<String> {
    let body = source.split_once("impl Kind {").map_or("", |(_, rest)| rest);
    let body = body.split_once("\n}\n").map_or(body, |(body, _)| body);
    body.lines()
        .filter_map(|line| line.trim().strip_prefix("Self::")?.split_once("=> \"")?.1.strip_suffix("\","))
        .map(str::to_owned)
        .collect()
}

/// The name in `pub const KIND: Kind = Kind { name: "webhook", …`.
fn channel_kind(source: &str) -> Option<String> {
    let (_, rest) = source.split_once("const KIND: Kind = Kind {")?;
    let (_, rest) = rest.split_once("name: \"")?;
    Some(rest.split_once('"')?.0.to_owned())
}

/// The files that a document links to: `[text](file#part)` and `![text](file)`, outside blocks of code.
fn links(document: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_code = false;
    for line in document.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            found.extend(line.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0)));
        }
    }
    found
        .into_iter()
        .map(|target| target.split_once('#').map_or(target, |(file, _)| file))
        .filter(|file| !file.is_empty() && !file.contains("://") && !file.starts_with("mailto:"))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_from_the_sources() {
        let spec = "impl Kind {\n    pub const fn name(&self) -> &'static str {\n        match self {\n            \
                    Self::Tcp(_) => \"tcp\",\n            Self::Tls(_) => \"tls\",\n        }\n    }\n}\n\
                    impl Other {\n Self::X(_) => \"x\",\n}\n";
        assert_eq!(check_kinds(spec), ["tcp", "tls"]);
        let channel = "pub const KIND: Kind = Kind {\n    name: \"ntfy\",\n    summary: \"x\",\n};\n";
        assert_eq!(channel_kind(channel).as_deref(), Some("ntfy"));
        assert_eq!(channel_kind("fn name() {}"), None);
    }

    #[test]
    fn a_kind_without_a_page_is_found_and_so_are_no_kinds_at_all() {
        let root = tempfile::tempdir().expect("a directory");
        let kinds = || vec!["tcp".to_owned()];
        assert_eq!(pages(root.path(), "checks", kinds(), CHECKS).len(), 1);
        std::fs::create_dir_all(root.path().join("docs/checks")).expect("made");
        std::fs::write(root.path().join("docs/checks/tcp.md"), "# TCP").expect("written");
        assert!(pages(root.path(), "checks", kinds(), CHECKS).is_empty());
        assert_eq!(pages(root.path(), "checks", Vec::new(), CHECKS).len(), 1);
    }

    #[test]
    fn links_to_files_are_followed() {
        let document = "[a](b.md#c) ![d](e.svg) [f](https://g) [h](#i)\n```\n[j](k)\n```\n";
        assert_eq!(links(document), ["b.md", "e.svg"]);
    }
}
