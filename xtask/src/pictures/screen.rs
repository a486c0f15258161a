//! Text with ANSI colours as an SVG that looks like a terminal.
//!
//! Each run of letters says where it begins and how long it is, so that columns stand whatever monospaced font the
//! reader has.

use std::fmt::Write as _;

/// Letters in a line; longer ones are broken, as a terminal does.
const COLUMNS: usize = 112;
/// Width of a letter and height of a line at 14 pixels.
const LETTER: f32 = 8.4;
const LINE: usize = 20;
const MARGIN: usize = 18;

const BACKGROUND: &str = "#0d1117";
const FOREGROUND: &str = "#e6edf3";

/// How a letter looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    fill: &'static str,
    bold: bool,
    dim: bool,
}

const PLAIN: Look = Look { fill: FOREGROUND, bold: false, dim: false };

type Letter = (char, Look);

/// The screen after a command was typed and has printed its text.
pub(super) fn svg(command: &str, printed: &str) -> String {
    let prompt = Look { dim: true, ..PLAIN };
    let typed = Look { bold: true, ..PLAIN };
    let mut lines = vec![vec![('$', prompt), (' ', prompt)]];
    lines[0].extend(command.chars().map(|letter| (letter, typed)));
    lines.extend(letters(printed.trim_end()));
    let lines: Vec<&[Letter]> = lines.iter().flat_map(|line| broken(line)).collect();

    let widest = lines.iter().map(|line| line.len()).max().unwrap_or(0);
    let (width, height) = (x(widest) as usize + MARGIN, lines.len() * LINE + 2 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\">\n<title>{}</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACKGROUND}\"/>\n\
         <g font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"14\" \
         xml:space=\"preserve\">\n",
        escaped(command.chars())
    );
    for (row, line) in lines.iter().enumerate() {
        for (column, run) in runs(line) {
            let look = run[0].1;
            let _ = write!(
                svg,
                "<text x=\"{:.1}\" y=\"{}\" textLength=\"{:.1}\" fill=\"{}\"",
                x(column),
                MARGIN + row * LINE + 14,
                run.len() as f32 * LETTER,
                look.fill
            );
            svg.push_str(if look.bold { " font-weight=\"bold\"" } else { "" });
            svg.push_str(if look.dim { " opacity=\"0.6\"" } else { "" });
            let _ = writeln!(svg, ">{}</text>", escaped(run.iter().map(|(letter, _)| *letter)));
        }
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

fn x(column: usize) -> f32 {
    MARGIN as f32 + column as f32 * LETTER
}

fn escaped(letters: impl Iterator<Item = char>) -> String {
    letters.fold(String::new(), |mut text, letter| {
        match letter {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            _ => text.push(letter),
        }
        text
    })
}

/// The letters of each line, with the look that the escape sequences before them ask for.
fn letters(text: &str) -> Vec<Vec<Letter>> {
    let (mut look, mut lines) = (PLAIN, vec![Vec::new()]);
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        match letter {
            '\n' => lines.push(Vec::new()),
            '\u{1b}' => {
                let sequence: String =
                    rest.by_ref().skip(1).take_while(|c| !c.is_ascii_alphabetic()).collect();
                sequence.split(';').for_each(|code| look = changed(look, code));
            }
            _ => lines.last_mut().expect("there is always a line").push((letter, look)),
        }
    }
    lines
}

/// The look after one code of a "select graphic rendition".
fn changed(look: Look, code: &str) -> Look {
    let fill = match code {
        "" | "0" => return PLAIN,
        "1" => return Look { bold: true, ..look },
        "2" => return Look { dim: true, ..look },
        "22" => return Look { bold: false, dim: false, ..look },
        "31" | "91" => "#ff7b72",
        "32" | "92" => "#56d364",
        "33" | "93" => "#e3b341",
        "34" | "94" => "#79c0ff",
        "35" | "95" => "#d2a8ff",
        "36" | "96" => "#76e3ea",
        "39" => FOREGROUND,
        _ => look.fill,
    };
    Look { fill, ..look }
}

/// A line as a terminal breaks it, but between words.
fn broken(mut line: &[Letter]) -> Vec<&[Letter]> {
    let mut pieces = Vec::new();
    while line.len() > COLUMNS {
        let blank = line[..COLUMNS].iter().rposition(|(letter, _)| *letter == ' ');
        let (piece, rest) = line.split_at(blank.map_or(COLUMNS, |at| at + 1));
        pieces.push(piece);
        line = rest;
    }
    pieces.push(line);
    pieces
}

/// Letters that look alike and have no wide gap between them, each run with its column.
fn runs(line: &[Letter]) -> Vec<(usize, &[Letter])> {
    let gap = |column: usize| line[column].0 == ' ' && line.get(column + 1).is_none_or(|next| next.0 == ' ');
    let (mut runs, mut start) = (Vec::new(), 0);
    while start < line.len() {
        if line[start].0 == ' ' {
            start += 1;
            continue;
        }
        let ends = |at: &usize| line[*at].1 != line[start].1 || gap(*at);
        let end = (start..line.len()).find(ends).unwrap_or(line.len());
        runs.push((start, &line[start..end]));
        start = end;
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_columns_and_markup_survive() {
        let svg = svg("q <1>", "\u{1b}[1m\u{1b}[31mDOWN\u{1b}[0m    a  b & c\n\u{1b}[32mup\u{1b}[0m");
        assert!(svg.contains("<title>q &lt;1&gt;</title>"), "{svg}");
        assert!(svg.contains("fill=\"#ff7b72\" font-weight=\"bold\">DOWN</text>"), "{svg}");
        assert!(svg.contains("x=\"85.2\" y=\"52\" textLength=\"8.4\" fill=\"#e6edf3\">a</text>"), "{svg}");
        assert!(svg.contains(">b &amp; c</text>") && svg.contains("fill=\"#56d364\">up</text>"), "{svg}");
    }

    #[test]
    fn long_lines_are_broken_between_words() {
        let line: Vec<Letter> = "word ".repeat(30).chars().map(|letter| (letter, PLAIN)).collect();
        let pieces = broken(&line);
        assert_eq!(pieces.iter().map(|piece| piece.len()).collect::<Vec<_>>(), [110, 40]);
    }
}
