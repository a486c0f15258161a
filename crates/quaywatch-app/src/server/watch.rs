//! Noticing that a file changed, by looking at it each second: works on every file system, through symbolic links that
//! are swapped (as orchestrators do) and editors that replace the file.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often to look. A change is taken when two looks in a row agree, so that a half-written file is not read.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

/// A file that is looked at.
#[derive(Debug, Clone)]
pub(super) struct FileWatch {
    path: PathBuf,
    /// As it was when it was last read.
    taken: Option<Mark>,
    /// As it was at the last look.
    seen: Option<Mark>,
}

impl FileWatch {
    /// Takes the file as it is now for known.
    pub(super) fn new(path: &Path) -> Self {
        let mark = mark_of(path);
        Self { path: path.to_owned(), taken: mark, seen: mark }
    }

    /// Whether the file is another than when it was last taken, and has come to rest. A file that is missing is no
    /// change: it may be in the middle of being replaced.
    pub(super) fn look(&mut self) -> bool {
        let now = mark_of(&self.path);
        let rested = now == self.seen;
        self.seen = now;
        if now.is_none() || now == self.taken || !rested {
            return false;
        }
        self.taken = now;
        true
    }
}

fn mark_of(path: &Path) -> Option<Mark> {
    let about = std::fs::metadata(path).ok()?;
    Some(Mark {
        device: about.dev(),
        inode: about.ino(),
        bytes: about.size(),
        modified: (about.mtime(), about.mtime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_taken_once_and_only_when_it_has_come_to_rest() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        std::fs::write(&path, "one").expect("written");
        let mut watch = FileWatch::new(&path);
        assert!(!watch.look());
        std::fs::write(&path, "two, longer").expect("written");
        assert!(!watch.look(), "it may still be written");
        assert!(watch.look());
        assert!(!watch.look(), "once");
        std::fs::remove_file(&path).expect("removed");
        assert!(!watch.look() && !watch.look(), "missing is no change");
        std::fs::write(&path, "three, longer still").expect("written");
        assert!(!watch.look());
        assert!(watch.look());
    }
}
