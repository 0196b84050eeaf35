//! The directory of a run: its files appear together, when all of them are there, or not at all.
//!
//! They are written into a directory of their own inside of it and moved to their places at the end. A run that fails,
//! and a process that is told to end at once ([`abandon`]), takes that directory away, and with it the output directory
//! where it was made for this run. What a killed process left is taken away by the next run into the same directory:
//! a lock on a file in it says whether its process still lives.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use reports::ReportError;

/// What has to go if the process ends now.
#[derive(Debug)]
struct Unfinished {
    stage: PathBuf,
    /// The directories that did not exist before, the innermost first.
    made: Vec<PathBuf>,
}

impl Unfinished {
    fn remove(&self) {
        // Another thread may still be creating files in it; it cannot any more as soon as it is gone.
        for _ in 0..100 {
            match fs::remove_dir_all(&self.stage) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {}
                _ => break,
            }
        }
        for path in &self.made {
            // Only empty ones go; what somebody else has put there stays.
            let _ = fs::remove_dir(path);
        }
    }
}

/// The runs of this process that have begun and not put their files in place. Whoever holds the lock is alone in making
/// and removing directories.
static UNFINISHED: Mutex<Vec<Unfinished>> = Mutex::new(Vec::new());

fn unfinished() -> MutexGuard<'static, Vec<Unfinished>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the process at once and leaves nothing half written: files that are being moved to their places get there,
/// everything else that is unfinished is removed.
pub fn abandon(code: i32) -> ! {
    // Never unlocked, so that no other thread reports the loss of its files as an error.
    let unfinished = unfinished();
    unfinished.iter().for_each(Unfinished::remove);
    std::process::exit(code)
}

/// The files of one run.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    stage: PathBuf,
    /// Held as long as the stage is in use; `None` where the file system knows no locks.
    lock: Option<File>,
    /// The files so far, in order.
    files: Vec<String>,
}

/// The names of stages.
const PREFIX: &str = ".pimscope-";
const SUFFIX: &str = ".part";
/// The file in a stage that its process has locked.
const LOCK: &str = ".lock";

/// Locks a new stage. The lock is there before the file has its name, so whoever finds it unlocked knows that its process
/// is gone.
fn lock(stage: &Path) -> Option<File> {
    let unnamed = stage.join(".lock-new");
    let file = File::create(&unnamed).ok()?;
    let locked = file.try_lock().is_ok() && fs::rename(&unnamed, stage.join(LOCK)).is_ok();
    if !locked {
        let _ = fs::remove_file(unnamed);
    }
    locked.then_some(file)
}

/// Removes the stages in `path` whose processes were killed. What has no lock is left alone: it may be about to get one,
/// or is not ours.
fn remove_dead(path: &Path) {
    let Ok(entries) = fs::read_dir(path) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_stage = name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
        // Not through a link: that would lead elsewhere.
        if !is_stage || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let dead = File::open(entry.path().join(LOCK)).is_ok_and(|file| file.try_lock().is_ok());
        if dead && let Err(error) = fs::remove_dir_all(entry.path()) {
            tracing::warn!(%error, path = %entry.path().display(), "what a killed run has left cannot be removed");
        }
    }
}

impl Output {
    /// Makes the directory where it is missing.
    pub fn prepare(path: &Path) -> io::Result<Self> {
        let mut unfinished = unfinished();
        let missing = |part: &&Path| !part.as_os_str().is_empty() && !part.exists();
        let made: Vec<PathBuf> = path.ancestors().take_while(missing).map(Path::to_owned).collect();
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX).suffix(SUFFIX);
        let stage = fs::create_dir_all(path).and_then(|()| Ok(builder.tempdir_in(path)?.keep()));
        let unmade = Unfinished { stage: stage.as_deref().unwrap_or(path).to_owned(), made };
        match stage {
            Ok(stage) => {
                unfinished.push(unmade);
                let lock = lock(&stage);
                remove_dead(path);
                Ok(Self { path: path.to_owned(), stage, lock, files: Vec::new() })
            }
            Err(error) => {
                for path in &unmade.made {
                    let _ = fs::remove_dir(path);
                }
                Err(error)
            }
        }
    }

    /// A new file, to be written while the run goes on.
    pub fn create(&mut self, name: &str) -> io::Result<File> {
        let file = File::create(self.stage.join(name))?;
        self.files.push(name.to_owned());
        Ok(file)
    }

    /// Writes a file.
    ///
    /// # Errors
    /// [`ReportError::File`] with the path that the file was to have.
    pub fn write(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), ReportError> {
        let written = self.create(name).and_then(|file| {
            let mut out = BufWriter::new(file);
            write(&mut out)?;
            out.flush()
        });
        written.map_err(|source| self.error(name, "write", source))
    }

    /// [`Self::write`] for text that is already there.
    pub fn write_text(&mut self, name: &str, text: &str) -> Result<(), ReportError> {
        self.write(name, |out| out.write_all(text.as_bytes()))
    }

    /// Puts the files in their places, and removes those of `others` that an earlier run left and this one has not
    /// written.
    ///
    /// # Errors
    /// [`ReportError::File`] with the first file that could not be moved or removed.
    pub fn commit(mut self, others: &[&str]) -> Result<(), ReportError> {
        let mut unfinished = unfinished();
        let moved = self.place(others);
        if moved.is_ok() {
            drop(self.lock.take());
            let _ = fs::remove_file(self.stage.join(LOCK));
            let _ = fs::remove_dir(&self.stage);
            unfinished.retain(|one| one.stage != self.stage);
        }
        drop(unfinished);
        moved
    }

    fn place(&self, others: &[&str]) -> Result<(), ReportError> {
        for name in &self.files {
            let moved = fs::rename(self.stage.join(name), self.path.join(name));
            moved.map_err(|source| self.error(name, "rename", source))?;
        }
        for &name in others.iter().filter(|name| !self.files.iter().any(|file| file == *name)) {
            match fs::remove_file(self.path.join(name)) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(self.error(name, "remove", source));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn error(&self, name: &str, doing: &'static str, source: io::Error) -> ReportError {
        ReportError::File { path: self.path.join(name), doing, source }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let mut unfinished = unfinished();
        if let Some(place) = unfinished.iter().position(|one| one.stage == self.stage) {
            unfinished.swap_remove(place).remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn do_the_files_appear_together() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b");
        let mut output = Output::prepare(&path).unwrap();
        output.write_text("one", "1").unwrap();
        output.create("two").unwrap().write_all(b"2").unwrap();
        assert_eq!(names(&path).len(), 1, "the stage and nothing else");
        output.commit(&[]).unwrap();
        assert_eq!(names(&path), ["one", "two"]);
        assert_eq!(fs::read_to_string(path.join("two")).unwrap(), "2");
    }

    #[test]
    fn do_the_files_of_an_earlier_run_go_that_are_not_written_again() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["kept", "again", "stale"] {
            fs::write(directory.path().join(name), "old").unwrap();
        }
        let mut output = Output::prepare(directory.path()).unwrap();
        output.write_text("again", "new").unwrap();
        output.commit(&["again", "stale", "never"]).unwrap();
        assert_eq!(names(directory.path()), ["again", "kept"]);
        assert_eq!(fs::read_to_string(directory.path().join("again")).unwrap(), "new");
    }

    #[test]
    fn does_a_run_that_is_dropped_leave_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut output = Output::prepare(&directory.path().join("a/b")).unwrap();
        output.write_text("one", "1").unwrap();
        let failed = output.write("two", |_| Err(io::Error::other("the disk is full")));
        let message = failed.unwrap_err().to_string();
        assert!(message.ends_with("a/b/two: the disk is full"), "{message}");
        drop(output);
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn does_the_next_run_remove_what_a_killed_one_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let living = Output::prepare(path).unwrap();
        // As a killed process leaves it: named, and nobody holds the lock.
        let dead = path.join(".pimscope-dead.part");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join(LOCK), "").unwrap();
        fs::write(dead.join("spans.csv"), "half").unwrap();
        // About to be locked; not ours; a link to somewhere else.
        for other in [".pimscope-new.part", "pimscope.part", "elsewhere"] {
            fs::create_dir(path.join(other)).unwrap();
        }
        fs::write(path.join("elsewhere").join(LOCK), "").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(path.join("elsewhere"), path.join(".pimscope-link.part")).unwrap();
        let before = names(path).len();
        Output::prepare(path).unwrap().commit(&[]).unwrap();
        assert!(!dead.exists() && living.stage.exists() && path.join("elsewhere").exists());
        assert_eq!(names(path).len(), before - 1);
        living.commit(&[]).unwrap();
        assert_eq!(names(path).len(), before - 2);
    }

    #[test]
    fn does_a_directory_stay_that_was_there() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("old"), "").unwrap();
        Output::prepare(directory.path()).unwrap().write_text("new", "").unwrap();
        assert_eq!(names(directory.path()), ["old"]);
    }
}
