//! `quaywatch check TARGET…`: looks once at each target, many at a time, and prints in the order they were asked for.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Read as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use quaywatch_app::check::{self, CheckReport};
use quaywatch_app::look::Looker;
use quaywatch_core::{MonitorSpec, Verdict};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::arguments::{Check, CheckOutput};
use crate::terminal;

/// Targets looked at at once.
const AT_ONCE: usize = 500;

/// Bytes of targets from a file or standard input.
const MOST_INPUT: u64 = 64 << 20;

pub(crate) fn run(arguments: &Check) -> ExitCode {
    match prepare(arguments).and_then(|targets| look(arguments, targets)) {
        Ok(reports) => ExitCode::from(show(arguments.output, &reports)),
        Err(error) => {
            terminal::complain(&error);
            ExitCode::from(terminal::CHECK_UNKNOWN)
        }
    }
}

type Target = (String, MonitorSpec);

/// All targets, read; all that is wrong with any of them is said at once.
fn prepare(arguments: &Check) -> Result<Vec<Target>, String> {
    let mut words = Vec::new();
    for word in &arguments.targets {
        if word == "-" {
            words.extend(read_targets(None)?);
        } else {
            words.push(word.clone());
        }
    }
    if let Some(file) = &arguments.from_file {
        words.extend(read_targets(Some(file))?);
    }
    let options = options(arguments);
    let mut wrong = String::new();
    let mut targets = Vec::with_capacity(words.len());
    for word in words {
        match check::spec(&word, &options) {
            Ok(spec) => targets.push((word, spec)),
            Err(problems) => problems.sorted().iter().for_each(|problem| {
                let _ = writeln!(wrong, "{word}: {problem}");
            }),
        }
    }
    match (wrong.is_empty(), targets.is_empty()) {
        (false, _) => Err(wrong),
        (true, true) => {
            Err("there is no target: write `host:port`, or put one on each line of the input".to_owned())
        }
        (true, false) => Ok(targets),
    }
}

fn read_targets(file: Option<&Path>) -> Result<Vec<String>, String> {
    let mut text = String::new();
    let read = match file {
        Some(path) => std::fs::File::open(path).and_then(|f| f.take(MOST_INPUT).read_to_string(&mut text)),
        None => std::io::stdin().lock().take(MOST_INPUT).read_to_string(&mut text),
    };
    let place = file.map_or_else(|| "standard input".to_owned(), |path| path.display().to_string());
    read.map_err(|error| format!("cannot read targets from {place}: {error}"))?;
    let line = |line: &str| line.split('#').next().unwrap_or_default().trim().to_owned();
    Ok(text.lines().map(line).filter(|line| !line.is_empty()).collect())
}

fn options(arguments: &Check) -> Vec<(&'static str, &str)> {
    let given = [
        ("timeout", &arguments.timeout),
        ("handshake", &arguments.handshake),
        ("settle", &arguments.settle),
        ("ip_family", &arguments.ip_family),
        ("addresses", &arguments.addresses),
        ("send", &arguments.send),
        ("send_secret", &arguments.send_secret),
        ("expect", &arguments.expect),
        ("expectation", &arguments.expectation),
        ("response_time_threshold", &arguments.threshold),
    ];
    given.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect()
}

fn look(arguments: &Check, targets: Vec<Target>) -> Result<Vec<CheckReport>, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    let _entered = runtime.enter();
    let looker = Arc::new(Looker::new(&arguments.resolvers)?);
    let bar = progress(targets.len());
    let reports = runtime.block_on(look_at_all(looker, targets, &bar));
    bar.finish_and_clear();
    Ok(reports)
}

async fn look_at_all(looker: Arc<Looker>, targets: Vec<Target>, bar: &ProgressBar) -> Vec<CheckReport> {
    let seats = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for (place, (target, spec)) in targets.into_iter().enumerate() {
        let (looker, seats) = (Arc::clone(&looker), Arc::clone(&seats));
        tasks.spawn(async move {
            let _seat = seats.acquire_owned().await;
            let seen = looker.look(&spec).await;
            (place, check::report(&target, &spec, seen))
        });
    }
    let mut reports = Vec::new();
    while let Some(done) = tasks.join_next().await {
        bar.inc(1);
        reports.extend(done);
    }
    reports.sort_by_key(|(place, _)| *place);
    reports.into_iter().map(|(_, report)| report).collect()
}

/// On a terminal, and only where there is something to wait for.
fn progress(targets: usize) -> ProgressBar {
    let bar = ProgressBar::new(targets as u64);
    let shown = targets > 1 && std::io::stderr().is_terminal();
    bar.set_draw_target(if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() });
    let style = ProgressStyle::with_template("{pos} of {len} checked {wide_bar}");
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

/// Prints all reports; the exit status.
fn show(output: CheckOutput, reports: &[CheckReport]) -> u8 {
    let text = match output {
        CheckOutput::Text => text(reports),
        CheckOutput::Json => reports.iter().fold(String::new(), |mut lines, report| {
            let line = serde_json::to_string(report).expect("a report of texts and numbers is always JSON");
            let _ = writeln!(lines, "{line}");
            lines
        }),
        CheckOutput::Nagios => nagios(reports),
    };
    terminal::print(&text);
    check::exit_status(reports.iter().map(|report| report.status))
}

fn text(reports: &[CheckReport]) -> String {
    let widest = reports.iter().map(|report| report.target.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for report in reports {
        let (word, colour) = word(report.status);
        let style = terminal::colour(colour).bold();
        let _ = write!(text, "{style}{word:<8}{style:#} {:<widest$}  {}", report.target, report.message);
        if let Some(address) = report.address.as_ref().filter(|address| **address != report.target) {
            let _ = write!(text, " [{address}]");
        }
        if report.error_status.is_some() {
            let _ = write!(text, " ({})", report.error_code);
        }
        text.push('\n');
        details(&mut text, report);
    }
    text
}

/// What helps when something is wrong.
fn details(text: &mut String, report: &CheckReport) {
    if report.error_status.is_none() {
        return;
    }
    // What stands before the words steps back behind them.
    let dim = Style::new().dimmed();
    if let Some(detail) = &report.evidence.detail {
        let _ = writeln!(text, "         {dim}seen:{dim:#} {detail}");
    }
    for attempt in &report.evidence.attempts {
        if let Some(icmp) = &attempt.icmp {
            let sender = icmp.sender.map_or_else(|| "unknown".to_owned(), |sender| sender.to_string());
            let _ = writeln!(
                text,
                "         {dim}seen:{dim:#} ICMP{} type {} code {} from {sender}",
                if icmp.v6 { "v6" } else { "" },
                icmp.kind,
                icmp.code
            );
        }
    }
    if let Some(bytes) = &report.evidence.first_bytes {
        let _ = writeln!(text, "         {dim}said:{dim:#} \"{bytes}\"");
    }
    for (head, words) in [("cause", report.cause), ("do", report.remedy.as_str())] {
        if !words.is_empty() {
            let _ = writeln!(text, "         {dim}{head}:{dim:#} {words}");
        }
    }
}

const fn word(verdict: Verdict) -> (&'static str, AnsiColor) {
    match verdict {
        Verdict::Up => ("up", AnsiColor::Green),
        Verdict::Degraded => ("degraded", AnsiColor::Yellow),
        Verdict::Down => ("DOWN", AnsiColor::Red),
        Verdict::Unknown => ("unknown", AnsiColor::Magenta),
        Verdict::Blocked => ("blocked", AnsiColor::Magenta),
    }
}

/// One line and performance data, as monitoring plugins print them: `TCP OK - … | time=0.000412s`.
fn nagios(reports: &[CheckReport]) -> String {
    let state = match check::exit_status(reports.iter().map(|report| report.status)) {
        0 => "OK",
        1 => "WARNING",
        2 => "CRITICAL",
        _ => "UNKNOWN",
    };
    let worst_first = |report: &&CheckReport| std::cmp::Reverse(check::exit_rank(report.status));
    let mut sorted: Vec<&CheckReport> = reports.iter().collect();
    sorted.sort_by_key(worst_first);
    let words = sorted.iter().map(|report| format!("{}: {}", report.target, report.message));
    let figures = reports.iter().filter_map(|report| {
        let seconds = f64::from(report.latency_us?) / 1e6;
        // A label in quotes may hold anything but a quote and an equals sign.
        let label = if reports.len() == 1 { "time".to_owned() } else { format!("'{}'", report.target) };
        Some(format!("{label}={seconds:.6}s;;;0"))
    });
    // A bar would begin the performance data.
    let words = words.collect::<Vec<_>>().join(", ").replace('|', "/");
    let figures = figures.collect::<Vec<_>>().join(" ");
    let bar = if figures.is_empty() { "" } else { " | " };
    format!("TCP {state} - {words}{bar}{figures}\n")
}
