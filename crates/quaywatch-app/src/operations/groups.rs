//! Groups: paths that monitors name. They are there as long as a monitor is in them.

use std::collections::BTreeMap;

use quaywatch_core::judge::Status;

use super::monitors::{LOOK, StatusCounts};
use super::{OperationError, Operations};
use crate::caller::Caller;

/// A group with everything below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupView {
    /// Its path: `infra/db`.
    pub path: String,
    /// Its monitors and those of the groups below it.
    pub counts: StatusCounts,
    /// What is worst among them.
    pub worst: Status,
}

impl Operations {
    /// All groups, those above others included, by path.
    ///
    /// # Errors
    /// Where the caller may not.
    pub async fn list_groups(&self, caller: &Caller) -> Result<Vec<GroupView>, OperationError> {
        caller.require(LOOK)?;
        let mut groups: BTreeMap<String, StatusCounts> = BTreeMap::new();
        for one in self.account(caller).groups().await? {
            for path in paths(&one.group) {
                let counts = groups.entry(path.to_owned()).or_default();
                for status in StatusCounts::ORDER {
                    counts.add(status, one.counts.of(status));
                }
            }
        }
        let view = |(path, counts)| GroupView { path, counts, worst: worst(&counts) };
        Ok(groups.into_iter().map(view).collect())
    }
}

/// `a/b/c` → `a`, `a/b`, `a/b/c`; nothing for those without a group.
fn paths(group: &str) -> impl Iterator<Item = &str> {
    let ends = group.match_indices('/').map(|(at, _)| at).chain([group.len()]);
    ends.map(|end| &group[..end]).filter(|path| !path.is_empty())
}

fn worst(counts: &StatusCounts) -> Status {
    StatusCounts::ORDER.into_iter().find(|status| counts.of(*status) > 0).unwrap_or(Status::Up)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_lies_in_all_above_it() {
        assert_eq!(paths("a/b/c").collect::<Vec<_>>(), ["a", "a/b", "a/b/c"]);
        assert_eq!(paths("a").collect::<Vec<_>>(), ["a"]);
        assert_eq!(paths("").count(), 0);
    }

    #[test]
    fn trouble_is_worse_than_none() {
        let mut counts = StatusCounts::default();
        counts.add(Status::Up, 9);
        assert_eq!(worst(&counts), Status::Up);
        counts.add(Status::Unknown, 1);
        counts.add(Status::Down, 1);
        assert_eq!(worst(&counts), Status::Down);
    }
}
