//! Lists come in pages: so many items, and a cursor that says where the next page begins. A cursor is opaque outside
//! and names the last item given, so that what is added meanwhile neither repeats nor hides anything. It is written in
//! base64url without padding: what is sorted by names holds whatever names hold, and people paste cursors into addresses.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::OperationError;
use super::refuse::invalid;

/// Items on a page where nobody says how many.
pub const USUAL: usize = 100;
/// The most items on a page: what a page costs must have a bound.
pub const MOST: usize = 1_000;

/// A part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// What to ask for to get the next page; `None` on the last one.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// The first `limit` of `items`, where one more than that was asked for to see whether the list goes on. `place`
    /// says where an item stands.
    pub(crate) fn cut(mut items: Vec<T>, limit: usize, place: impl FnOnce(&T) -> String) -> Self {
        let goes_on = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| goes_on).map(place).map(cursor);
        Self { items, next }
    }

    /// The same page of other things.
    pub(crate) fn map<U>(self, each: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(each).collect(), next: self.next }
    }
}

/// Where a page begins and how long it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paging {
    /// [`Page::next`] of the page before; `None`: from the beginning.
    pub after: Option<String>,
    /// How many, up to [`MOST`]; `None`: [`USUAL`].
    pub limit: Option<usize>,
}

impl Paging {
    pub(crate) fn size(&self) -> usize {
        self.limit.unwrap_or(USUAL).clamp(1, MOST)
    }

    /// The place that the cursor names.
    pub(crate) fn place(&self) -> Result<Option<String>, OperationError> {
        let Some(cursor) = &self.after else { return Ok(None) };
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| bad_cursor())?;
        String::from_utf8(bytes).map(Some).map_err(|_| bad_cursor())
    }

    /// The place as numbers, divided by points in its text.
    pub(crate) fn numbers<const N: usize>(&self) -> Result<Option<[i64; N]>, OperationError> {
        let Some(text) = self.place()? else { return Ok(None) };
        let numbers: Option<Vec<i64>> = text.split('.').map(|part| part.parse().ok()).collect();
        numbers.and_then(|numbers| numbers.try_into().ok()).map(Some).ok_or_else(bad_cursor)
    }
}

/// The cursor that names a place.
pub(crate) fn cursor(place: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(place)
}

/// A cursor that no page gave.
pub(crate) fn bad_cursor() -> OperationError {
    invalid(
        "after",
        "bad_cursor",
        "`after` is no cursor of this list",
        "take `next` of the page before, or leave it out",
    )
}

#[cfg(test)]
mod tests {
    use super::{Page, Paging, cursor};

    /// What is wrong with a cursor, in words.
    fn wrong(after: &str) -> String {
        let paging = Paging { after: Some(after.to_owned()), limit: None };
        paging.numbers::<2>().expect_err("no cursor").to_string()
    }

    #[test]
    fn a_cursor_stands_in_an_address_as_it_is_and_names_any_place() {
        for place in ["7:torders db\n& more=?#/+%", "12.7", "-3.1", "7:t\u{1f600} \u{e4}"] {
            let page = Page::cut(vec![place, "more"], 1, |last| (*last).to_owned());
            let after = page.next.expect("the list goes on");
            assert!(after.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{after}");
            let paging = Paging { after: Some(after), limit: None };
            assert_eq!(paging.place().expect("a cursor").as_deref(), Some(place));
        }
        let paging = Paging { after: Some(cursor("12.-7")), limit: None };
        assert_eq!(paging.numbers().expect("two numbers"), Some([12, -7]));
        assert_eq!(Paging::default().numbers::<1>().expect("the beginning"), None);
    }

    #[test]
    fn what_no_page_gave_is_refused_in_the_same_words() {
        let padded = format!("{}=", cursor("12.7"));
        let broken = [0xff, 0xfe];
        // The last letter has bits that mean nothing: another way of writing the same.
        let other = cursor("12.7").replace("Nw", "Nx");
        assert_ne!(other, cursor("12.7"));
        for after in ["12.7", "", &padded, &other, &cursor("12"), &cursor("a.b"), &cursor(broken)] {
            assert!(wrong(after).contains("`after` is no cursor of this list"), "{after}: {}", wrong(after));
        }
    }
}
