//! `quaywatch apply -f FILE`: makes a document of monitors and channels true on a server, and says what that changes.
//!
//! What is wrong with the document is found by the server, which knows what else there is, and shown as `validate` shows
//! it: the server names the place in the document, this side has its text.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use quaywatch_app::config::{self, Look, Pointed};
use quaywatch_core::doc::{Path as Way, Problems};
use serde::Deserialize;
use serde_json::Value;

use crate::arguments::{Apply, PlanOutput};
use crate::client::{self, Call, Client, Failure, WrongField};
use crate::terminal;

/// Something would change, and `--check` asks for that.
const WOULD_CHANGE: u8 = 2;

pub(crate) fn run(arguments: &Apply) -> ExitCode {
    client::run(async || {
        let document = Document::read(&arguments.file)?;
        let name = name_of(arguments)?;
        let client = Client::new(&arguments.remote)?;
        Applying { arguments, client, document, name }.run().await
    })
}

struct Applying<'a> {
    arguments: &'a Apply,
    client: Client,
    document: Document,
    /// Who owns what the document brings.
    name: String,
}

impl Applying<'_> {
    async fn run(&self) -> Result<ExitCode, String> {
        let only_plan = self.arguments.dry_run || self.arguments.check;
        let may_ask = !self.arguments.yes && !only_plan && terminal::is_attended();
        let Some(plan) = self.send(only_plan || may_ask).await? else { return Ok(ExitCode::FAILURE) };
        self.show(&plan)?;
        if only_plan {
            let differs = self.arguments.check && plan.changes() > 0;
            return Ok(if differs { ExitCode::from(WOULD_CHANGE) } else { ExitCode::SUCCESS });
        }
        if !may_ask || plan.changes() == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        if !plan.removed.is_empty() && !agreed(plan.removed.len())? {
            terminal::say("Nothing was changed.\n");
            return Ok(ExitCode::FAILURE);
        }
        match self.send(false).await? {
            Some(done) => {
                terminal::say(&format!("{}\n", self.summary(&done)));
                Ok(ExitCode::SUCCESS)
            }
            None => Ok(ExitCode::FAILURE),
        }
    }

    /// The plan, done unless `dry`; `None` where the document is wrong, which is told then.
    async fn send(&self, dry: bool) -> Result<Option<Plan>, String> {
        let path = ["apply", &self.name];
        let call = Call::document(&path, &self.document.text).with("dry_run", dry.to_string());
        match self.client.json(call).await {
            Ok(answer) => {
                let plan = Plan::deserialize(&answer).map_err(|error| {
                    format!("{} answers with a plan that cannot be read: {error}", self.client.server())
                })?;
                Ok(Some(Plan { raw: answer, ..plan }))
            }
            Err(Failure::Refused(refusal)) if refusal.errors.iter().any(|error| error.pointer.is_some()) => {
                let wrong: Vec<Found<'_>> = refusal.errors.iter().map(Found::error).collect();
                terminal::say(&self.document.located(&wrong));
                Ok(None)
            }
            Err(error) => Err(format!("{error}{}", self.half_done(dry, &error))),
        }
    }

    /// A document is applied in pieces: whoever was cut off does not know how far that came.
    fn half_done(&self, dry: bool, error: &Failure) -> &'static str {
        match error {
            Failure::Said(_) if !dry => {
                "\n  if the server had it already, some of it may be done: apply it again"
            }
            Failure::Said(_) | Failure::Unreached(_) | Failure::Refused(_) => "",
        }
    }

    fn show(&self, plan: &Plan) -> Result<(), String> {
        if !plan.warnings.is_empty() {
            let warnings: Vec<Found<'_>> = plan.warnings.iter().map(Found::warning).collect();
            terminal::say(&self.document.located(&warnings));
        }
        match self.arguments.output {
            PlanOutput::Json => terminal::print(&format!("{}\n", plan.raw)),
            PlanOutput::Text => {
                terminal::print(&plan.lines());
                terminal::print(&format!("{}\n", self.summary(plan)));
            }
        }
        Ok(())
    }

    /// `infra on https://watch.example.com: 2 added, 1 changed, 3 unchanged`
    fn summary(&self, plan: &Plan) -> String {
        let parts = [
            (plan.added.len(), "added", AnsiColor::Green),
            (plan.changed.len(), "changed", AnsiColor::Yellow),
            (plan.removed.len(), "removed", AnsiColor::Red),
        ];
        let mut words: Vec<String> = parts
            .iter()
            .filter(|(number, ..)| *number > 0)
            .map(|(number, word, colour)| {
                let style = terminal::colour(*colour);
                format!("{style}{number} {word}{style:#}")
            })
            .collect();
        if words.is_empty() {
            words.push("nothing to change".to_owned());
        }
        if plan.unchanged > 0 {
            words.push(format!("{} unchanged", plan.unchanged));
        }
        let tense = if plan.applied || plan.changes() == 0 { "" } else { " (planned, not done)" };
        format!("{} on {}: {}{tense}", self.name, self.client.server(), words.join(", "))
    }
}

/// The owner's name: as said, else the file's.
fn name_of(arguments: &Apply) -> Result<String, String> {
    let fits = |name: &str| {
        (1..=64).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    let (name, from) = match &arguments.name {
        Some(name) => (Some(name.clone()), "--name"),
        None if arguments.file.as_os_str() == "-" => {
            return Err("say by --name who owns what standard input brings".to_owned());
        }
        None => {
            (arguments.file.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned), "the file's name")
        }
    };
    match name.filter(|name| fits(name)) {
        Some(name) => Ok(name),
        None => Err(format!(
            "{from} cannot be the name under which a document is applied: give --name up to 64 letters, digits, `-`, `_` \
             and `.`"
        )),
    }
}

/// Asks; only an answer that begins with y is one.
fn agreed(removed: usize) -> Result<bool, String> {
    let things = terminal::count(removed, "thing");
    terminal::say(&format!(
        "This puts {things} into the bin, from which they can be taken out for 30 days. Go on? [y/N] "
    ));
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(|error| format!("cannot read the answer: {error}"))?;
    Ok(answer.trim().to_ascii_lowercase().starts_with('y'))
}

/// What is applied.
struct Document {
    text: String,
    /// Where it is from, for messages.
    name: String,
}

impl Document {
    fn read(file: &Path) -> Result<Self, String> {
        let (name, text) = if file.as_os_str() == "-" {
            ("standard input".to_owned(), std::io::read_to_string(std::io::stdin()))
        } else {
            (file.display().to_string(), std::fs::read_to_string(file))
        };
        match text {
            Ok(text) => Ok(Self { text, name }),
            Err(error) => Err(format!("cannot read {name}: {error}")),
        }
    }

    /// What a server found, as `validate` would show it: with the lines of this text.
    fn located(&self, found: &[Found<'_>]) -> String {
        let pointed: Vec<Pointed<'_>> = found
            .iter()
            .map(|one| Pointed { pointer: one.pointer, is_key: KEYS.contains(&one.code) })
            .collect();
        let (spans, mut problems) = config::spans_of(&self.text, &pointed);
        // What is no YAML has no pointers: read here, it has a place.
        let known: Vec<String> = problems.iter().map(|problem| problem.message.clone()).collect();
        for (one, span) in found.iter().zip(spans).filter(|(one, _)| !known.contains(&one.message)) {
            one.put(&mut problems, span);
        }
        let look = Look { color: terminal::errors_are_coloured() };
        config::render(&problems, &self.text, &self.name, look)
    }
}

/// Findings about a key and not about what stands under it.
const KEYS: [&str; 4] = ["unknown_key", "duplicate_key", "not_here", "unknown_section"];

/// One thing that a server found in a document.
struct Found<'f> {
    pointer: &'f str,
    code: &'f str,
    message: String,
    remedy: String,
    is_error: bool,
}

impl<'f> Found<'f> {
    fn error(error: &'f WrongField) -> Self {
        Self {
            pointer: error.pointer.as_deref().unwrap_or_default(),
            code: &error.code,
            message: terminal::clean(&error.message),
            remedy: terminal::clean(error.suggestion.as_deref().unwrap_or_default()),
            is_error: true,
        }
    }

    fn warning(warning: &'f Warning) -> Self {
        Self {
            pointer: &warning.pointer,
            code: &warning.code,
            message: terminal::clean(&warning.message),
            remedy: terminal::clean(warning.suggestion.as_deref().unwrap_or_default()),
            is_error: false,
        }
    }

    fn put(&self, problems: &mut Problems, span: quaywatch_core::doc::Span) {
        // The code decides what is starred out; no other is looked at where problems are shown.
        let code = if self.code == "clear_secret" { "clear_secret" } else { "found" };
        if self.is_error {
            problems.error(&Way::Root, span, code, &self.message, &self.remedy);
        } else {
            problems.warning(&Way::Root, span, code, &self.message, &self.remedy);
        }
    }
}

/// What a document changes, as the API says it.
#[derive(Debug, Deserialize)]
struct Plan {
    applied: bool,
    added: Vec<Thing>,
    changed: Vec<Change>,
    removed: Vec<Thing>,
    unchanged: usize,
    #[serde(default)]
    warnings: Vec<Warning>,
    /// All of it.
    #[serde(skip)]
    raw: Value,
}

#[derive(Debug, Deserialize)]
struct Thing {
    kind: String,
    name: String,
    about: String,
}

#[derive(Debug, Deserialize)]
struct Change {
    #[serde(flatten)]
    thing: Thing,
    fields: Vec<Field>,
}

#[derive(Debug, Deserialize)]
struct Field {
    field: String,
    before: Option<Value>,
    after: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Warning {
    pointer: String,
    code: String,
    message: String,
    suggestion: Option<String>,
}

impl Plan {
    fn changes(&self) -> usize {
        self.added.len() + self.changed.len() + self.removed.len()
    }

    fn lines(&self) -> String {
        let mut text = String::new();
        for thing in &self.added {
            thing.line('+', AnsiColor::Green, &mut text);
        }
        for change in &self.changed {
            change.thing.line('~', AnsiColor::Yellow, &mut text);
            let width = change.fields.iter().map(|field| field.field.chars().count()).max().unwrap_or(0);
            for field in &change.fields {
                field.line(width, &mut text);
            }
        }
        for thing in &self.removed {
            thing.line('-', AnsiColor::Red, &mut text);
        }
        text
    }
}

impl Thing {
    /// `+ monitor orders database (db.example.com:5432)`
    fn line(&self, sign: char, colour: AnsiColor, text: &mut String) {
        let style = terminal::colour(colour);
        let (name, about) = (terminal::clean(&self.name), terminal::clean(&self.about));
        let _ = writeln!(text, "{style}{sign} {} {name}{style:#} ({about})", self.kind);
    }
}

impl Field {
    /// `check_interval  60 → 30`
    fn line(&self, width: usize, text: &mut String) {
        let (red, green) = (terminal::colour(AnsiColor::Red), terminal::colour(AnsiColor::Green));
        let dim = Style::new().dimmed();
        let side = |value: &Option<Value>, style: Style| match value {
            Some(value) => format!("{style}{}{style:#}", terminal::clean(&terminal::value(value))),
            None => format!("{dim}default{dim:#}"),
        };
        let (before, after) = (side(&self.before, red), side(&self.after, green));
        let _ = writeln!(text, "    {:width$}  {before} → {after}", self.field);
    }
}
