//! Bytes as people write them in one line: text with `\r`, `\n`, `\t`, `\0`, `\\`, `\"` and `\xNN`.

use std::fmt::Write as _;

/// An escape that does not exist or is not complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EscapeError {
    /// What is wrong, as a sentence that quotes the escape.
    pub message: String,
    /// The byte offset of the backslash.
    pub at: usize,
}

/// Text to bytes.
///
/// # Errors
/// A backslash that begins no known escape.
pub fn read(text: &str) -> Result<Vec<u8>, EscapeError> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] != b'\\' {
            out.push(bytes[i]);
            i += 1;
            continue;
        }
        let (byte, length) = escape(text, i)?;
        out.push(byte);
        i += length;
    }
    Ok(out)
}

/// The byte that the escape at `at` stands for, and the escape's length.
fn escape(text: &str, at: usize) -> Result<(u8, usize), EscapeError> {
    let rest = &text[at + 1..];
    let byte = match rest.chars().next() {
        Some('r') => b'\r',
        Some('n') => b'\n',
        Some('t') => b'\t',
        Some('0') => 0,
        Some('\\') => b'\\',
        Some('"') => b'"',
        Some('x') => {
            let digits = rest.get(1..3).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
            return digits.and_then(|d| u8::from_str_radix(d, 16).ok()).map(|byte| (byte, 4)).ok_or_else(
                || {
                    let seen: String = rest.chars().take(3).collect();
                    EscapeError { message: format!("`\\{seen}` is not `\\x` and two hexadecimal digits"), at }
                },
            );
        }
        Some(other) => {
            return Err(EscapeError {
                message: format!("`\\{}` is not an escape", other.escape_debug()),
                at,
            });
        }
        None => return Err(EscapeError { message: "the text ends in a single `\\`".to_owned(), at }),
    };
    Ok((byte, 2))
}

/// Bytes to text that [`read`] turns back into them. Printable ASCII stays as it is.
#[must_use]
pub fn write(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 8);
    for &byte in bytes {
        match byte {
            b'\r' => out.push_str("\\r"),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b'\\' => out.push_str("\\\\"),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => write!(out, "\\x{byte:02x}").expect("writing to a String cannot fail"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_bytes() {
        assert_eq!(read(r#"PING\r\n\t\0\\\"\x7F\xff é"#), Ok(b"PING\r\n\t\0\\\"\x7f\xff \xc3\xa9".to_vec()));
    }

    #[test]
    fn unknown_escapes_are_named() {
        assert_eq!(read(r"a\q"), Err(EscapeError { message: r"`\q` is not an escape".to_owned(), at: 1 }));
        assert!(
            read(r"\x4").is_err() && read(r"\xzz").is_err() && read(r"\x+1").is_err() && read("a\\").is_err()
        );
        assert!(read("\\xé").is_err());
    }

    #[test]
    fn every_byte_survives() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(read(&write(&all)), Ok(all));
    }
}
