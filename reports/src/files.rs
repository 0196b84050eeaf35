//! Files that are written whole or not at all.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::error::ReportError;

/// Writes a file under a temporary name in the same directory and renames it when it is complete, so that a reader never
/// sees half of it and an interrupted run leaves the old one. Creates the directory where it is missing.
///
/// # Errors
/// [`ReportError::File`] with the path and the cause; the file is then as it was before.
pub fn write_whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), ReportError> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(directory).map_err(|e| ReportError::file(directory, "create", e))?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".pimscope-").suffix(".part");
    // A temporary file is private by default; a report is as readable as any other file of the user.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let file = builder.tempfile_in(directory).map_err(|e| ReportError::file(path, "create", e))?;
    let mut out = BufWriter::new(file);
    write(&mut out).map_err(|e| ReportError::file(path, "write", e))?;
    let file = out.into_inner().map_err(|e| ReportError::file(path, "write", e.into_error()))?;
    file.persist(path).map_err(|e| ReportError::file(path, "rename", e.error))?;
    tracing::debug!(target: "reports", path = %path.display(), "written");
    Ok(())
}

/// [`write_whole`] for text that is already there.
pub fn write_text(path: &Path, text: &str) -> Result<(), ReportError> {
    write_whole(path, |out| out.write_all(text.as_bytes()))
}

/// Reads a text file.
///
/// # Errors
/// [`ReportError::File`] with the path and the cause.
pub fn read_text(path: &Path) -> Result<String, ReportError> {
    std::fs::read_to_string(path).map_err(|e| ReportError::file(path, "read", e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn is_a_file_written_with_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/summary.json");
        write_text(&path, "{}").unwrap();
        write_text(&path, "[]").unwrap();
        assert_eq!(read_text(&path).unwrap(), "[]");
        assert_eq!(names(path.parent().unwrap()), ["summary.json"]);
    }

    #[test]
    fn does_a_failed_write_leave_the_old_file_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("spans.csv");
        write_text(&path, "old").unwrap();
        let error = write_whole(&path, |out| {
            out.write_all(b"half of it")?;
            Err(io::Error::other("the disk is full"))
        });
        let message = error.unwrap_err().to_string();
        assert!(message.ends_with("spans.csv: the disk is full"), "{message}");
        assert_eq!(read_text(&path).unwrap(), "old");
        assert_eq!(names(directory.path()), ["spans.csv"]);
    }

    #[test]
    fn does_an_error_name_the_path() {
        let directory = tempfile::tempdir().unwrap();
        write_text(&directory.path().join("file"), "").unwrap();
        let below = directory.path().join("file/summary.json");
        let message = write_text(&below, "{}").unwrap_err().to_string();
        assert!(message.contains("file"), "{message}");
        let message = read_text(&directory.path().join("missing")).unwrap_err().to_string();
        assert!(message.contains("missing"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn may_others_read_a_report() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.html");
        write_text(&path, "").unwrap();
        let plain = directory.path().join("plain");
        std::fs::write(&plain, "").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&plain));
    }
}
