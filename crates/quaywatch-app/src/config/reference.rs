//! The reference documents, written from the tables that the readers use, so that they cannot say anything else.

use std::fmt::Write as _;

use quaywatch_core::ports::{PRESETS, SERVICES, SETS};
use quaywatch_core::spec::fields::FIELDS;
use quaywatch_notify::registry::{Form, KINDS};

use super::settings::{
    CHANNEL, EGRESS, METRICS, OIDC, PLAN, RETENTION, SERVER, SESSIONS, Setting, TARGET_BUDGET, TOP,
};

/// Docs that are written whole: file name under `docs/` and text.
#[must_use]
pub fn documents() -> Vec<(&'static str, String)> {
    vec![("reference-outcomes.md", quaywatch_core::reason::reference()), ("reference-ports.md", ports())]
}

/// `docs/configuration.md` with the parts between `<!-- table: NAME -->` and `<!-- end -->` written anew.
///
/// # Errors
/// A part that is not known, or one that does not end.
pub fn fill(guide: &str) -> Result<String, String> {
    let mut out = String::with_capacity(guide.len());
    let mut rest = guide;
    while let Some((before, after)) = rest.split_once("<!-- table: ") {
        let (name, after) = after.split_once(" -->").ok_or("a `<!-- table:` is not closed")?;
        let (_, after) =
            after.split_once("<!-- end -->").ok_or_else(|| format!("the table `{name}` does not end"))?;
        let table = table(name).ok_or_else(|| format!("there is no table `{name}`"))?;
        let _ = write!(out, "{before}<!-- table: {name} -->\n{table}<!-- end -->");
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn table(name: &str) -> Option<String> {
    Some(match name {
        "sections" => settings(TOP),
        "monitor" => monitor(),
        "server" => settings(SERVER),
        "retention" => settings(RETENTION),
        "egress" => settings(EGRESS),
        "metrics" => settings(METRICS),
        "target_budget" => settings(TARGET_BUDGET),
        "sessions" => settings(SESSIONS),
        "oidc" => settings(OIDC),
        "plan" => settings(PLAN),
        "channel" => settings(CHANNEL),
        kind => channel(kind.strip_prefix("channel ")?)?,
    })
}

fn settings(list: &[Setting]) -> String {
    let mut out = String::from("| setting | value | default | what it does |\n|---|---|---|---|\n");
    for s in list {
        let _ = writeln!(out, "| `{}` | {} | {} | {} |", s.name, s.kind, s.default, s.doc);
    }
    out
}

fn monitor() -> String {
    let mut out =
        String::from("| setting | value | default | range | what it does |\n|---|---|---|---|---|\n");
    for f in FIELDS {
        let aliases: Vec<String> = f.aliases.iter().map(|alias| format!("`{alias}`")).collect();
        let aliases = if aliases.is_empty() {
            String::new()
        } else {
            format!(" Also understood: {}.", aliases.join(", "))
        };
        let own = if f.in_defaults { "" } else { " Not in `defaults`." };
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} | {}{aliases}{own} |",
            f.name, f.kind, f.default, f.range, f.doc
        );
    }
    out
}

fn channel(kind: &str) -> Option<String> {
    let kind = KINDS.iter().find(|k| k.name == kind)?;
    let mut out =
        format!("{}.\n\n| setting | value | | what it does |\n|---|---|---|---|\n", sentence(kind.summary));
    for field in kind.fields {
        let form = match field.form {
            Form::Text if field.secret && field.name != "url" => "reference to a secret",
            Form::Text => "text",
            Form::Map => "mapping of texts",
        };
        let required = if field.required { "required" } else { "" };
        let _ = writeln!(out, "| `{}` | {form} | {required} | {} |", field.name, sentence(field.meaning));
    }
    Some(out)
}

fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn ports() -> String {
    let mut out = String::from(
        "# Ports\n\n<!-- Written from the table of ports in quaywatch-core; do not edit. -->\n\n\
         A port may be written by its name: `port: postgresql`. `quaywatch ports` prints this table.\n\n## Presets\n\n\
         The sixteen that forms and API offer first.\n\n| port | label |\n|---|---|\n",
    );
    for preset in PRESETS {
        let _ = writeln!(out, "| {} | {} |", preset.port, preset.label);
    }
    out.push_str("\n## Sets\n\n`preset: mail` makes one monitor for each port of the set.\n\n| set | ports |\n|---|---|\n");
    for (name, ports) in SETS {
        let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
        let _ = writeln!(out, "| `{name}` | {} |", ports.join(", "));
    }
    out.push_str(
        "\n## Known services\n\nWho speaks first, and how TLS begins, are for information: a plain TCP check needs \
         neither.\n\n| port | name | also | service | speaks first | TLS |\n|---|---|---|---|---|---|\n",
    );
    for s in SERVICES {
        let aliases: Vec<String> = s.aliases.iter().map(|alias| format!("`{alias}`")).collect();
        let _ = writeln!(
            out,
            "| {} | `{}` | {} | {} | {} | {} |",
            s.port,
            s.name,
            aliases.join(", "),
            s.label,
            s.first.as_str(),
            s.tls.as_str()
        );
    }
    out
}
