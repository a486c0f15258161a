//! Lists come in pages: so many items, and a cursor that says where the next page begins. A cursor is opaque outside
//! and names the last item given, so that what is added meanwhile neither repeats nor hides anything.

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
    /// The first `limit` of `items`, where one more than that was asked for to see whether the list goes on.
    pub(crate) fn cut(mut items: Vec<T>, limit: usize, cursor: impl FnOnce(&T) -> String) -> Self {
        let goes_on = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| goes_on).map(cursor);
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

    /// The cursor as numbers, divided by points in its text.
    pub(crate) fn numbers<const N: usize>(&self) -> Result<Option<[i64; N]>, OperationError> {
        let Some(text) = &self.after else { return Ok(None) };
        let numbers: Option<Vec<i64>> = text.split('.').map(|part| part.parse().ok()).collect();
        numbers.and_then(|numbers| numbers.try_into().ok()).map(Some).ok_or_else(bad_cursor)
    }
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
