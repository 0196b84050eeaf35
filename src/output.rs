//! The directory of a run: its files appear together, when all of them are there, or not at all.
//!
//! They are written into a directory of their own inside of it and moved to their places at the end. A run that fails,
//! and a process that is told to end at once ([`abandon`]), takes that directory away, and with it the output directory
//! where it was made for this run.

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
    /// The files so far, in order.
    files: Vec<String>,
}

impl Output {
    /// Makes the directory where it is missing.
    pub fn prepare(path: &Path) -> io::Result<Self> {
        let mut unfinished = unfinished();
        let missing = |part: &&Path| !part.as_os_str().is_empty() && !part.exists();
        let made: Vec<PathBuf> = path.ancestors().take_while(missing).map(Path::to_owned).collect();
        let mut builder = tempfile::Builder::new();
        builder.prefix(".pimscope-").suffix(".part");
        let stage = fs::create_dir_all(path).and_then(|()| Ok(builder.tempdir_in(path)?.keep()));
        let unmade = Unfinished { stage: stage.as_deref().unwrap_or(path).to_owned(), made };
        match stage {
            Ok(stage) => {
                unfinished.push(unmade);
                Ok(Self { path: path.to_owned(), stage, files: Vec::new() })
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
    pub fn commit(self, others: &[&str]) -> Result<(), ReportError> {
        let mut unfinished = unfinished();
        let moved = self.place(others);
        if moved.is_ok() {
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
    fn does_a_directory_stay_that_was_there() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("old"), "").unwrap();
        Output::prepare(directory.path()).unwrap().write_text("new", "").unwrap();
        assert_eq!(names(directory.path()), ["old"]);
    }
}
