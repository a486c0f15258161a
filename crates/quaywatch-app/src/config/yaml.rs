//! YAML to the tree that every reader reads. The parser gives events with places; this file gives them their meaning:
//! anchors, aliases and merge keys within bounds, and nothing else of YAML's magic (no tags, no typed guesses).
//!
//! A list of a million monitors never stands in memory as a tree: [`document`] hands its items over one at a time.

use std::borrow::Cow;
use std::collections::BTreeMap;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, StrInput, Tag};
use quaywatch_core::doc::{Key, Node, Path, Problems, Span, Style, Value, quote};

/// How deep collections may stand in each other, aliases followed. The deepest that means anything is six.
const DEPTH: usize = 64;

/// How many nodes aliases may add: enough for a merge key in each of the document's monitors (a use takes at least a
/// dozen bytes), and far from what nine lines of nine aliases ask for.
const fn alias_budget(text: &str) -> usize {
    10_000 + 2 * text.len()
}

/// Reads a document. The items of the sequence under the top-level key `hold` go to `sink`, one by one and in order;
/// in the tree that comes back, that sequence is empty. `None` where the text is no YAML: then `problems` says where
/// and why.
pub(super) fn document<'t>(
    text: &'t str,
    hold: &str,
    problems: &mut Problems,
    sink: &mut dyn FnMut(usize, &Node<'t>, &mut Problems),
) -> Option<Node<'t>> {
    if u32::try_from(text.len()).is_err() {
        problems.error(
            &Path::Root,
            Span::default(),
            "too_large",
            "the file is larger than 4 GiB",
            "cut it into several",
        );
        return None;
    }
    let mut builder = Builder::new(text, problems);
    match builder.stream(hold, sink) {
        Ok(root) => Some(root),
        Err(Stop::Syntax(error)) => {
            syntax(&error, text, problems);
            None
        }
        Err(Stop::Reported) => None,
    }
}

/// What can be read of a document that may be broken further down: the top-level values before the break.
pub(super) fn beginning(text: &str) -> Node<'_> {
    let mut problems = Problems::new();
    let mut builder = Builder::new(text, &mut problems);
    match builder.stream("monitors", &mut |_, _, _| {}) {
        Ok(root) => root,
        Err(_) => Node { value: Value::Mapping(builder.top), span: Span::default() },
    }
}

/// What the tree of the document is if the sequence under `hold` is its last section: read from the text before that
/// section alone. A guess, made by looking at the beginnings of lines; who uses it compares it with the whole.
pub(super) fn before_last<'t>(text: &'t str, hold: &str) -> Option<Node<'t>> {
    let line = format!("\n{hold}:");
    let at = if text.starts_with(&line[1..]) { 0 } else { text.rfind(&line)? + 1 };
    // Another key after it: not the last section.
    let other = |line: &str| line.starts_with(|c: char| !matches!(c, ' ' | '\t' | '-' | '#' | '\r' | '\n'));
    if text[at..].lines().skip(1).any(other) {
        return None;
    }
    // The text up to the dash of the first item: so places and kinds agree with those of the whole.
    let mut upto = at;
    for (i, line) in text[at..].split_inclusive('\n').enumerate() {
        let bare = line.split(" #").next().unwrap_or_default().trim();
        let indent = line.len() - line.trim_start().len();
        if i > 0 && bare.starts_with('-') {
            upto += indent + 1;
            let mut problems = Problems::new();
            let root = document(&text[..upto], hold, &mut problems, &mut |_, _, _| {})?;
            return problems.is_fine().then_some(root);
        }
        let passable = if i == 0 {
            bare.strip_suffix(':') == Some(hold)
        } else {
            bare.is_empty() || bare.starts_with('#')
        };
        if !passable {
            return None;
        }
        upto += line.len();
    }
    None
}

enum Stop {
    Syntax(ScanError),
    Reported,
}

impl From<ScanError> for Stop {
    fn from(error: ScanError) -> Self {
        Self::Syntax(error)
    }
}

struct Anchored<'t> {
    node: Node<'t>,
    nodes: usize,
    depth: usize,
}

struct Builder<'t, 'p> {
    parser: Parser<'t, StrInput<'t>>,
    problems: &'p mut Problems,
    anchors: BTreeMap<usize, Anchored<'t>>,
    budget: usize,
    ended: bool,
    /// The top-level pairs so far.
    top: Vec<(Key<'t>, Node<'t>)>,
}

type Next<'t> = (Event<'t>, Span);

impl<'t, 'p> Builder<'t, 'p> {
    fn new(text: &'t str, problems: &'p mut Problems) -> Self {
        let options = granit_parser::options! {
            emit_comments: false,
            emit_unresolved_aliases: true,
            flow_nesting_limit: DEPTH,
            block_nesting_limit: DEPTH,
        };
        let parser = Parser::new_from_str_with_options(text, options);
        let budget = alias_budget(text);
        Self { parser, problems, anchors: BTreeMap::new(), budget, ended: false, top: Vec::new() }
    }

    fn next(&mut self) -> Result<Next<'t>, Stop> {
        match self.parser.next() {
            Some(Ok((event, span))) => Ok((event, place(&span))),
            Some(Err(error)) => Err(error.into()),
            None => {
                self.ended = true;
                Ok((Event::StreamEnd, Span::default()))
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the parser may learn new events")]
    fn stream(
        &mut self,
        hold: &str,
        sink: &mut dyn FnMut(usize, &Node<'t>, &mut Problems),
    ) -> Result<Node<'t>, Stop> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if root.is_some() => {
                    let message = "a second document begins here, and one is read";
                    self.problems.error(
                        &Path::Root,
                        span,
                        "second_document",
                        message,
                        "remove the `---` and join the two",
                    );
                    return Err(Stop::Reported);
                }
                Event::DocumentStart(..) => root = Some(self.root(hold, sink)?),
                Event::StreamEnd => break,
                _ if self.ended => break,
                _ => return Err(self.not_understood(span)),
            }
        }
        Ok(root.unwrap_or_else(|| Node::plain("")))
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the parser may learn new events")]
    fn root(
        &mut self,
        hold: &str,
        sink: &mut dyn FnMut(usize, &Node<'t>, &mut Problems),
    ) -> Result<Node<'t>, Stop> {
        let (event, span) = self.next()?;
        let Event::MappingStart(_, _, None) = event else { return self.node(event, span, 0) };
        loop {
            let (event, key_span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = self.key(event, key_span, 1)?;
            let (event, value_span) = self.next()?;
            let held = key.as_ref().is_some_and(|key| key.text == hold);
            let node = match event {
                Event::SequenceStart(_, 0, None) if held => {
                    self.held(sink)?;
                    // Its place is its key: that of the items depends on what they are.
                    Node { value: Value::Sequence(Vec::new()), span: key_span }
                }
                event => self.node(event, value_span, 1)?,
            };
            if let Some(key) = key {
                self.top.push((key, node));
            }
        }
        let pairs = std::mem::take(&mut self.top);
        Ok(Node { value: Value::Mapping(self.merged(pairs)), span })
    }

    fn not_understood(&mut self, span: Span) -> Stop {
        let message = "this part of YAML is not understood here";
        self.problems.error(&Path::Root, span, "syntax", message, "write it in a simpler form");
        Stop::Reported
    }

    /// The items of the held sequence, each dropped before the next is read.
    fn held(&mut self, sink: &mut dyn FnMut(usize, &Node<'t>, &mut Problems)) -> Result<(), Stop> {
        let mut index = 0;
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(());
            }
            let node = self.node(event, span, 2)?;
            sink(index, &node, self.problems);
            index += 1;
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the parser may learn new events")]
    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node<'t>, Stop> {
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (self.scalar(text, style, tag.as_deref(), span), anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.no_tag(tag.as_deref(), span);
                (self.sequence(span, depth)?, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.no_tag(tag.as_deref(), span);
                (self.mapping(span, depth)?, anchor)
            }
            Event::Alias(id) => return self.alias(id, span, depth),
            // Neither names what it complains of: a password may begin with `*` or `!`, and the line shows it where it
            // may be shown.
            Event::UnresolvedAlias(_) => {
                let message = "this alias refers to an anchor that does not exist";
                let remedy = "write `&` and the same name at the value that is meant, above this line; quote a text that \
                              begins with `*`";
                self.problems.error(&Path::Root, span, "unknown_anchor", message, remedy);
                return Ok(Node { value: Value::Scalar(Cow::Borrowed("null"), Style::Plain), span });
            }
            _ => return Err(self.not_understood(span)),
        };
        if anchor != 0 {
            let (nodes, depth) = measure(&node);
            self.anchors.insert(anchor, Anchored { node: node.clone(), nodes, depth });
        }
        Ok(node)
    }

    fn scalar(&mut self, text: Cow<'t, str>, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Node<'t> {
        let plain = style == ScalarStyle::Plain;
        let style = match tag.map(|tag| (tag, tag.core_suffix())) {
            None | Some((_, Some("int" | "float" | "bool" | "null"))) if plain => Style::Plain,
            None | Some((_, Some(_))) => Style::Quoted,
            // `! text` is YAML's way to say "this is a text".
            Some((tag, None)) if tag.handle().is_empty() && tag.suffix() == "!" => Style::Quoted,
            Some((tag, None)) => {
                self.no_tag(Some(tag), span);
                Style::Plain
            }
        };
        // The parser writes `~` for a value that is not there; only the place tells it from one that is.
        let text = if plain && span.start == span.end { Cow::Borrowed("") } else { text };
        Node { value: Value::Scalar(text, style), span }
    }

    fn no_tag(&mut self, tag: Option<&Tag>, span: Span) {
        if tag.is_some_and(|tag| tag.core_suffix().is_none()) {
            let remedy = "remove it; quote a text that begins with `!`";
            self.problems.error(&Path::Root, span, "tag", "a tag means nothing here", remedy);
        }
    }

    fn sequence(&mut self, mut span: Span, depth: usize) -> Result<Node<'t>, Stop> {
        let mut items = Vec::new();
        loop {
            let (event, end) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                span.end = end.end.max(span.end);
                return Ok(Node { value: Value::Sequence(items), span });
            }
            items.push(self.node(event, end, depth + 1)?);
        }
    }

    fn mapping(&mut self, mut span: Span, depth: usize) -> Result<Node<'t>, Stop> {
        let mut pairs = Vec::with_capacity(8);
        loop {
            let (event, key_span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                span.end = key_span.end.max(span.end);
                return Ok(Node { value: Value::Mapping(self.merged(pairs)), span });
            }
            let key = self.key(event, key_span, depth + 1)?;
            let (event, value_span) = self.next()?;
            let node = self.node(event, value_span, depth + 1)?;
            if let Some(key) = key {
                pairs.push((key, node));
            }
        }
    }

    fn key(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Option<Key<'t>>, Stop> {
        let node = self.node(event, span, depth)?;
        if let Value::Scalar(text, _) = node.value {
            return Ok(Some(Key { text, span }));
        }
        let message = format!("{} stands where a key belongs", node.describe());
        self.problems.error(
            &Path::Root,
            span,
            "bad_key",
            message,
            "keys are plain words; quote a text that begins with `[` or `{`",
        );
        Ok(None)
    }

    fn alias(&mut self, id: usize, span: Span, depth: usize) -> Result<Node<'t>, Stop> {
        let Some(anchored) = self.anchors.get(&id) else {
            let message = "this alias refers to something that it is a part of";
            self.problems.error(&Path::Root, span, "endless_alias", message, "write the value itself");
            return Err(Stop::Reported);
        };
        if depth + anchored.depth > DEPTH || anchored.nodes > self.budget {
            let message = "aliases make this document many times larger than it is written";
            self.problems.error(&Path::Root, span, "alias_bomb", message, "write the values themselves");
            return Err(Stop::Reported);
        }
        self.budget -= anchored.nodes;
        let mut node = anchored.node.clone();
        // A scalar is complained about where it is used; settings inside a mapping where they are written.
        if matches!(node.value, Value::Scalar(..)) {
            node.span = span;
        }
        Ok(node)
    }

    /// The pairs with what `<<` brings in: own keys win over merged ones, earlier mappings over later ones.
    fn merged(&mut self, pairs: Vec<(Key<'t>, Node<'t>)>) -> Vec<(Key<'t>, Node<'t>)> {
        if pairs.iter().all(|(key, _)| key.text != "<<") {
            return pairs;
        }
        let (merges, mut own): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(key, _)| key.text == "<<");
        for (key, node) in merges {
            let sources = match node.value {
                Value::Sequence(items) => items,
                Value::Mapping(_) | Value::Scalar(..) => vec![node],
            };
            for source in sources {
                let Value::Mapping(brought) = source.value else {
                    let message = format!("`<<` merges a mapping, not {}", source.describe());
                    self.problems.error(
                        &Path::Root,
                        key.span,
                        "bad_merge",
                        message,
                        "write `<<: *name` with `&name` at a mapping",
                    );
                    continue;
                };
                let mut known: std::collections::HashSet<Cow<'t, str>> =
                    own.iter().map(|(key, _)| key.text.clone()).collect();
                for (key, node) in brought {
                    if known.insert(key.text.clone()) {
                        own.push((key, node));
                    }
                }
            }
        }
        own
    }
}

/// How many nodes, and how deep.
fn measure(node: &Node<'_>) -> (usize, usize) {
    let fold = |acc: (usize, usize), child: &Node<'_>| {
        let (nodes, depth) = measure(child);
        (acc.0 + nodes, acc.1.max(depth + 1))
    };
    match &node.value {
        Value::Scalar(..) => (1, 1),
        Value::Sequence(items) => items.iter().fold((1, 1), fold),
        Value::Mapping(pairs) => pairs.iter().map(|(_, node)| node).fold((1, 1), fold),
    }
}

fn place(span: &granit_parser::Span) -> Span {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let (start, end) = (span.start.byte_offset().unwrap_or(0), span.end.byte_offset().unwrap_or(0));
    Span {
        line: number(span.start.line()),
        column: number(span.start.col() + 1),
        start: number(start),
        end: number(end),
    }
}

/// A syntax error in words: the parser knows what it missed, a person wants to know what to change.
fn syntax(error: &ScanError, text: &str, problems: &mut Problems) {
    let mark = error.marker();
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let start = number(mark.byte_offset().unwrap_or(text.len()));
    let span = Span { line: number(mark.line()), column: number(mark.col() + 1), start, end: start };
    let kind = error.kind();
    let tab = matches!(kind, ErrorKind::TabNotAllowed | ErrorKind::TabInBlockIndentation);
    let nesting = text.get(..start as usize).is_some_and(|t| t.ends_with('\t'));
    let (message, remedy) = if tab || nesting {
        ("a tab stands where YAML allows only spaces".to_owned(), "indent with spaces")
    } else {
        in_words(error)
    };
    problems.error(&Path::Root, span, "syntax", message, remedy);
}

fn in_words(error: &ScanError) -> (String, &'static str) {
    let kind = error.kind();
    if let ErrorKind::UnexpectedCharacter { character } = kind {
        let message = format!("this is not YAML: no value begins with {}", quote(&character.to_string()));
        return (message, "put the value into single quotes");
    }
    let said = error.info();
    let said = ["while parsing ", "while scanning "]
        .iter()
        .fold(said.as_str(), |s, p| s.strip_prefix(p).unwrap_or(s));
    let said = said.split_once(", ").map_or(said, |(_, what)| what);
    let remedy = if matches!(kind, ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey) {
        "every setting is a word, a colon and a space before its value: `name: orders database`"
    } else if said.contains("mapping values") {
        "settings of one monitor begin in the same column, each in a line of its own; \
         look also for a missing colon in the line above, and quote a text with `: ` in it"
    } else if said.contains("expected key") || said.contains("'-' indicator") || said.contains("indentation")
    {
        "settings of one monitor begin in the same column: look at this line and the one above"
    } else if said.contains("bracket") || said.contains("',' or") {
        "every `[` needs its `]` and every `{` its `}`, with commas between"
    } else if said.contains("quote") {
        "every quote needs a second one of its kind"
    } else {
        ""
    };
    (format!("this is not YAML: {said}"), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Node<'_>, String> {
        let mut problems = Problems::new();
        let node = document(text, "", &mut problems, &mut |_, _, _| {});
        match node {
            Some(node) if problems.is_fine() => Ok(node),
            _ => Err(problems.to_string()),
        }
    }

    #[test]
    fn values_keep_their_place_and_style() {
        let text = "a: 1\nпорт: \"2\"   # note\nc:\nd: ~\ne: |\n  x\nf: !!str 5\n";
        let node = parse(text).expect("the text is YAML");
        let value = |key: &str| node.get(key).expect("the key is there");
        assert_eq!(value("a").span, Span { line: 1, column: 4, start: 3, end: 4 });
        let port = value("порт").span;
        assert_eq!((port.line, port.column, &text[port.start as usize..port.end as usize]), (2, 7, "\"2\""));
        assert!(value("c").is_blank() && !value("c").is_null() && value("d").is_null());
        assert_eq!(value("e").describe(), "the text `x\\n`");
        assert_eq!(value("f").describe(), "the text `5`");
    }

    #[test]
    fn merge_keys_bring_in_what_is_not_there() {
        let node =
            parse("a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {<<: [*a, *b], x: 9}\nd:\n  <<: *a\n  y: 5\n")
                .expect("the text is YAML");
        let value = |at: &str, key: &str| node.get(at).and_then(|n| n.get(key)).map(Node::describe);
        assert_eq!(value("c", "x").as_deref(), Some("`9`"));
        assert_eq!(value("c", "y").as_deref(), Some("`2`"));
        assert_eq!(value("c", "z").as_deref(), Some("`4`"));
        assert_eq!(value("d", "x").as_deref(), Some("`1`"));
        assert_eq!(value("d", "y").as_deref(), Some("`5`"));
    }

    #[test]
    fn alias_bombs_are_refused_at_once() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..=9 {
            let aliases = vec![format!("*a{}", i - 1); 9].join(", ");
            text.push_str(&format!("a{i}: &a{i} [{aliases}]\n"));
        }
        assert!(parse(&text).expect_err("nine to the ninth").contains("many times larger"));
        let deep: String = (1..500)
            .fold("a0: &a0 [x]\n".to_owned(), |text, i| text + &format!("a{i}: &a{i} [*a{}]\n", i - 1));
        assert!(parse(&deep).expect_err("500 deep").contains("many times larger"));
        assert!(parse("a: &a [*a]").expect_err("endless").contains("part of"));
        assert!(parse(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn held_items_are_handed_over_in_order() {
        let mut seen = Vec::new();
        let mut problems = Problems::new();
        let node = document("m:\n- a\n- {b: 1}\nx: y\n", "m", &mut problems, &mut |i, node, _| {
            seen.push((i, node.describe()));
        });
        assert_eq!(seen, [(0, "`a`".to_owned()), (1, "a mapping".to_owned())]);
        assert_eq!(node.and_then(|n| n.get("x").map(Node::describe)).as_deref(), Some("`y`"));
    }

    #[test]
    fn what_stands_before_the_last_section_is_guessed_right_or_not_at_all() {
        let whole = |text| document(text, "m", &mut Problems::new(), &mut |_, _, _| {});
        for text in [
            "a: 1\nm:\n- x\n- y\n",
            "m:\n\n  # first\n  - x: 1\n    y: 2\n",
            "a: &a {b: 1}\nm:   # all\n-\n  x\n- *a\n",
            "a:\n  - '\n    m: no'\nm:\n- x\n",
        ] {
            let guess = before_last(text, "m");
            assert!(guess.is_some(), "{text}");
            assert_eq!(guess, whole(text), "{text}");
        }
        let not_last = ["m:\n- x\na: 1\n", "a: '\nm:\n- x'\n", "m:\n- '\nm:\n- y'\n"];
        for text in ["a: 1\n", "m: [x]\n", "m:\n  x: 1\n", "a: {\nm:\n- x\n", "m:\n"].iter().chain(&not_last)
        {
            assert_eq!(before_last(text, "m"), None, "{text}");
        }
        // A wrong guess differs from the whole.
        let twice = "m:\n- x\nm:\n- y\n";
        assert_ne!(before_last(twice, "m"), whole(twice));
    }

    #[test]
    fn what_is_no_yaml_is_told_with_its_place() {
        let bad = [
            "a: [1, 2",
            "a: {b: 1",
            "a:\n\tb: 1",
            "a: 1\n b: 2",
            "a: b: c",
            "- a\nb: c",
            "a: @x",
            "a: `x`",
            "a: *nobody",
            "a: !secret x",
            "? [a, b]\n: c",
            "<<: 5",
            "a: 1\n---\nb: 2",
            "a: \"x",
            "a: 'x",
            "just words\nand: more",
            "%YAML 9.9\n---\na: 1",
        ];
        let told: Vec<String> = bad
            .iter()
            .map(|text| format!("{text:?}\n{}", parse(text).map_or_else(|e| e, |n| format!("FINE {n:?}"))))
            .collect();
        insta::assert_snapshot!(told.join("\n\n"));
    }
}
