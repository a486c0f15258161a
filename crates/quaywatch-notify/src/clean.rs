//! How values become text for people: foreign text is made harmless, durations get two units, times an offset.

use std::fmt::Write as _;
use std::time::Duration;

use quaywatch_core::Timestamp;

/// The longest piece of foreign text in a notice.
pub const FOREIGN_CHARS: usize = 120;

/// One line of text: control characters and line ends become single spaces, characters that reorder or hide text are
/// dropped, and what is longer than `max` characters is cut and marked.
#[must_use]
pub fn line(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max));
    let mut length = 0;
    let mut gap = false;
    for c in text.chars().filter(|c| !is_invisible(*c)) {
        if c.is_control() || c.is_whitespace() {
            gap = length > 0;
            continue;
        }
        if length + usize::from(gap) >= max {
            while length >= max && out.pop().is_some() {
                length -= 1;
            }
            out.push('…');
            return out;
        }
        if std::mem::take(&mut gap) {
            out.push(' ');
            length += 1;
        }
        out.push(c);
        length += 1;
    }
    out
}

/// Text that a target or a name server sent: one line of at most [`FOREIGN_CHARS`], with words that call people in chat
/// services taken apart.
#[must_use]
pub fn foreign(text: &str) -> String {
    let mut out = line(text, FOREIGN_CHARS);
    for (call, harmless) in
        [("<!", "< !"), ("<@", "< @"), ("@everyone", "@ everyone"), ("@all", "@ all"), ("@here", "@ here")]
    {
        if out.contains(call) {
            out = out.replace(call, harmless);
        }
    }
    for call in ["@channel", "@**"] {
        if out.contains(call) {
            out = out.replace(call, &format!("@ {}", &call[1..]));
        }
    }
    out
}

/// Characters that reorder or hide what stands beside them.
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{061c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2064}'
            | '\u{2066}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// A duration with at most two units: `850 ms`, `12 s`, `3 min 20 s`, `2 h`, `4 d 6 h`.
#[must_use]
pub fn duration(duration: Duration) -> String {
    const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let seconds = duration.as_secs();
    if seconds == 0 {
        return match duration.as_millis() {
            0 => "0 s".to_owned(),
            ms => format!("{ms} ms"),
        };
    }
    let first = UNITS.iter().position(|(_, size)| seconds >= *size).unwrap_or(UNITS.len() - 1);
    let mut out = format!("{} {}", seconds / UNITS[first].1, UNITS[first].0);
    if let Some((unit, size)) = UNITS.get(first + 1) {
        let rest = seconds % UNITS[first].1 / size;
        if rest > 0 {
            let _ = write!(out, " {rest} {unit}");
        }
    }
    out
}

/// A latency: `412 µs`, `12.3 ms`, `1.2 s`.
#[must_use]
pub fn latency(us: u32) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..100_000 => format!("{:.1} ms", f64::from(us) / 1e3),
        100_000..1_000_000 => format!("{} ms", us / 1_000),
        _ => format!("{:.1} s", f64::from(us) / 1e6),
    }
}

/// A moment for people, with its offset: `2026-05-01 16:15:09 +00:00`.
#[must_use]
pub fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    match (text.get(..10), text.get(11..19)) {
        (Some(date), Some(time)) => format!("{date} {time} +00:00"),
        _ => text,
    }
}

/// Host and port as they are dialled: `db.example.com:5432`, `[2001:db8::1]:5432`.
#[must_use]
pub fn target(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_reorder_break_or_call() {
        assert_eq!(foreign("220 mail\r\nready\0\t!"), "220 mail ready !");
        assert_eq!(foreign("user\u{202e}gnp.exe"), "usergnp.exe");
        assert_eq!(
            foreign("<!channel> @everyone @all @**all** @here"),
            "< !channel> @ everyone @ all @ **all** @ here"
        );
        assert_eq!(foreign(&"ж".repeat(200)).chars().count(), FOREIGN_CHARS);
        assert_eq!(foreign(""), "");
    }

    #[test]
    fn a_cut_line_keeps_to_its_limit_with_its_mark() {
        assert_eq!(line("abc def", 3), "ab…");
        assert_eq!(line("abc def", 4), "abc…");
        assert_eq!(line("abc def", 7), "abc def");
        assert_eq!(line("  a   b ", 9), "a b");
    }

    #[test]
    fn durations_have_two_units_and_times_an_offset() {
        let of = |s| duration(Duration::from_secs(s));
        assert_eq!(
            [of(0), of(12), of(200), of(7_200), of(7_500), of(367_000), duration(Duration::from_millis(850))],
            ["0 s", "12 s", "3 min 20 s", "2 h", "2 h 5 min", "4 d 5 h", "850 ms"]
        );
        assert_eq!(moment(Timestamp(1_777_652_121_204_999)), "2026-05-01 16:15:21 +00:00");
        assert_eq!(
            [latency(412), latency(12_340), latency(120_000), latency(1_250_000)],
            ["412 µs", "12.3 ms", "120 ms", "1.2 s"]
        );
        assert_eq!(target("2001:db8::1", 5432), "[2001:db8::1]:5432");
    }
}
