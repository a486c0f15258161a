//! The data directory: who may serve it, how much room its disk has, and the ballast that is thrown overboard when
//! there is none.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Result, StoreError};

/// The name of the database in its directory.
const DATABASE: &str = "quaywatch.db";

/// The paths of one data directory.
#[derive(Debug, Clone)]
pub(super) struct Directory(PathBuf);

/// Room on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    pub free: u64,
    pub total: u64,
}

impl Directory {
    /// The directory, made when it is missing; its data is nobody else's business.
    pub(super) fn make(path: &Path) -> Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o750)
            .create(path)
            .map_err(|e| failed("cannot make the data directory", path, &e))?;
        Ok(Self(path.to_owned()))
    }

    /// The directory, which must hold a database.
    pub(super) fn existing(path: &Path) -> Result<Self> {
        let directory = Self(path.to_owned());
        match fs::metadata(directory.database()) {
            Ok(_) => Ok(directory),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(StoreError::Directory(format!(
                "no Quaywatch data in {}: start `quaywatch serve` there once, or name another --data-dir",
                path.display()
            ))),
            Err(e) => Err(failed("cannot open the data in", path, &e)),
        }
    }

    pub(super) fn database(&self) -> PathBuf {
        self.0.join(DATABASE)
    }

    pub(super) fn wal(&self) -> PathBuf {
        self.0.join(format!("{DATABASE}-wal"))
    }

    /// Locks the directory for the one server that serves it, for as long as the file is held.
    pub(super) fn lock(&self) -> Result<File> {
        let path = self.0.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| failed("cannot open the lock", &path, &e))?;
        for look in 1.. {
            match file.try_lock() {
                Ok(()) => break,
                // Whoever asks whether the directory is served has the lock for an instant.
                Err(TryLockError::WouldBlock) if look < 3 => std::thread::sleep(Duration::from_millis(20)),
                Err(TryLockError::WouldBlock) => return Err(self.served_by(&mut file)),
                Err(TryLockError::Error(e)) => return Err(failed("cannot lock", &path, &e)),
            }
        }
        // The number is only for people; a full disk must not keep a server from starting.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(file)
    }

    /// Whether a server has the lock. Where that cannot be found out, one is supposed to have it.
    pub(super) fn is_served(&self) -> bool {
        File::open(self.0.join("lock"))
            .map_or(true, |file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    fn served_by(&self, lock: &mut File) -> StoreError {
        let mut text = String::new();
        let _ = lock.take(32).read_to_string(&mut text);
        let who = text
            .trim()
            .parse::<u32>()
            .map_or_else(|_| "another process".to_owned(), |pid| format!("process {pid}"));
        StoreError::Directory(format!(
            "{} is served by {who}: stop it first, or serve another --data-dir",
            self.0.display()
        ))
    }

    pub(super) fn room(&self) -> Option<Room> {
        let stat = nix::sys::statvfs::statvfs(&self.0).ok()?;
        let unit = stat.fragment_size();
        Some(Room { free: stat.blocks_available() * unit, total: stat.blocks() * unit })
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    pub(super) fn has_ballast(&self) -> bool {
        self.ballast().exists()
    }

    /// Puts `bytes` aside, really taken from the disk.
    pub(super) fn take_ballast(&self, bytes: u64) -> io::Result<()> {
        let file = File::create(self.ballast())?;
        let size = i64::try_from(bytes).unwrap_or(i64::MAX);
        match nix::fcntl::posix_fallocate(&file, 0, size) {
            Ok(()) => Ok(()),
            Err(errno) => {
                self.drop_ballast();
                Err(errno.into())
            }
        }
    }

    /// Gives the ballast's room back; whether there was any.
    pub(super) fn drop_ballast(&self) -> bool {
        fs::remove_file(self.ballast()).is_ok()
    }

    /// As root, become the owner of the directory, so that every file made here stays his.
    pub(super) fn act_as_owner(&self) -> Result<()> {
        use nix::unistd::{Gid, Uid, geteuid, setegid, seteuid};
        let owner = fs::metadata(&self.0).map_err(|e| failed("cannot look at", &self.0, &e))?;
        if !geteuid().is_root() || owner.uid() == 0 {
            return Ok(());
        }
        setegid(Gid::from_raw(owner.gid()))
            .and_then(|()| seteuid(Uid::from_raw(owner.uid())))
            .map_err(|e| failed("cannot act as the owner of", &self.0, &e.into()))
    }
}

fn failed(what: &str, path: &Path, error: &io::Error) -> StoreError {
    let remedy = if error.kind() == io::ErrorKind::PermissionDenied {
        ": run as the owner of the directory, or name another --data-dir"
    } else if error.kind() == io::ErrorKind::ReadOnlyFilesystem {
        ": name a --data-dir that can be written to"
    } else {
        ""
    };
    StoreError::Directory(format!("{what} {}: {error}{remedy}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_server_is_refused_with_the_number_of_the_first() {
        let temp = tempfile::tempdir().expect("a directory");
        let directory = Directory::make(&temp.path().join("a/b")).expect("made");
        let lock = directory.lock().expect("free");
        let refused = directory.lock().expect_err("held").to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        assert!(refused.contains("--data-dir"), "{refused}");
        drop(lock);
        directory.lock().expect("free again");
    }

    #[test]
    fn ballast_takes_room_and_gives_it_back() {
        let temp = tempfile::tempdir().expect("a directory");
        let directory = Directory::make(temp.path()).expect("made");
        directory.take_ballast(1 << 20).expect("room");
        assert!(directory.has_ballast());
        let blocks = fs::metadata(directory.ballast()).expect("there").blocks();
        assert!(blocks * 512 >= 1 << 20, "{blocks} blocks");
        assert!(directory.drop_ballast());
        assert!(!directory.drop_ballast());
    }
}
