//! Golden runs: folders of files, each the list of commands that another simulator issued, with cycle and address.
//!
//! A suite reads the folder with [`files`], issues the commands of each file itself, and has the two lists compared with
//! [`Run::compare`]; [`outcome`] makes of them one case per file.

use std::fmt;
use std::fs;
use std::io::Read;
use std::path::Path;

use super::error::{Place, ValidateError};
use super::outcome::{Case, Outcome, Parts};
use super::table::Table;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 64 << 20;
/// How many files with a difference are named in the notes.
const NAMED: usize = 10;

/// One file of a golden folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoldenFile {
    /// The file's name without its folder.
    pub name: String,
    /// The file as messages name it.
    pub path: String,
    /// Its text.
    pub bytes: Vec<u8>,
}

impl GoldenFile {
    /// A file of the program itself.
    pub fn shipped(folder: &str, name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), path: format!("{folder}/{name}"), bytes: text.as_bytes().to_vec() }
    }

    /// The file as a table with these columns.
    ///
    /// # Errors
    /// [`ValidateError::Reference`] with the place.
    pub fn table(&self, required: &[&str]) -> Result<Table, ValidateError> {
        Table::parse(&self.path, &self.bytes, required)
    }

    /// An error about the file as a whole, such as a name that says nothing.
    pub fn wrong(&self, problem: impl Into<String>, remedy: impl Into<String>) -> ValidateError {
        ValidateError::Reference { place: Place::file(&self.path), problem: problem.into(), remedy: remedy.into() }
    }
}

/// The files of a folder whose names end in `.extension`, ordered by name; others are passed over.
///
/// # Errors
/// [`ValidateError::Reference`] where the folder is missing, is none, has no such file, or a file cannot be read.
pub fn files(folder: &Path, extension: &str) -> Result<Vec<GoldenFile>, ValidateError> {
    let remedy = format!("--reference takes a folder of .{extension} files, one for each run");
    let failed = |path: &Path, problem: String| ValidateError::Reference {
        place: Place::file(&path.display().to_string()),
        problem,
        remedy: remedy.clone(),
    };
    if folder.is_file() {
        return Err(failed(folder, "this is a file, not a folder".to_owned()));
    }
    let unreadable = |error: std::io::Error| failed(folder, format!("cannot be read: {error}"));
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if !path.is_file() || path.extension().is_none_or(|found| found != extension) {
            continue;
        }
        let cannot = |error: std::io::Error| failed(&path, format!("cannot be read: {error}"));
        let mut bytes = Vec::new();
        fs::File::open(&path).map_err(cannot)?.take(LARGEST + 1).read_to_end(&mut bytes).map_err(cannot)?;
        if bytes.len() as u64 > LARGEST {
            return Err(failed(&path, format!("is larger than {} MiB", LARGEST >> 20)));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.push(GoldenFile { name, path: path.display().to_string(), bytes });
    }
    if files.is_empty() {
        return Err(failed(folder, format!("there is no .{extension} file in this folder")));
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// A command of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// When.
    pub cycle: u64,
    /// What, in the reference's spelling.
    pub command: String,
    /// Where and for whom: the other columns, in their order.
    pub address: Vec<i64>,
}

impl fmt::Display for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.cycle, self.command)?;
        self.address.iter().try_for_each(|part| write!(f, " {part}"))
    }
}

/// What is asked of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Asked {
    /// Every command equal.
    Exact,
    /// The cycle of the last command within this part of the reference's.
    End(f64),
}

/// A golden run beside ours.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The file's name.
    pub file: String,
    /// What is asked.
    pub asked: Asked,
    /// The reference's end, in its cycles.
    pub reference_end: f64,
    /// Ours.
    pub our_end: f64,
    /// Commands of the reference.
    pub commands: usize,
    /// Those that are equal, each compared with ours of the same position.
    pub equal: usize,
    /// Commands of ours.
    pub ours: usize,
    /// The first that differs, for people.
    pub first_difference: Option<String>,
}

impl Run {
    /// Compares two lists position by position. The end is the cycle of the last command.
    pub fn compare(file: &GoldenFile, asked: Asked, reference: &[Issued], ours: &[Issued]) -> Self {
        let equal = reference.iter().zip(ours).filter(|(theirs, ours)| theirs == ours).count();
        let longest = reference.len().max(ours.len());
        let differs = (0..longest).find(|&index| reference.get(index) != ours.get(index));
        let text = |issued: Option<&Issued>| issued.map_or_else(|| "nothing".to_owned(), Issued::to_string);
        let first_difference = differs.map(|index| {
            format!("command {}: {}, here {}", index + 1, text(reference.get(index)), text(ours.get(index)))
        });
        let end = |list: &[Issued]| list.last().map_or(0.0, |issued| issued.cycle as f64);
        Self {
            file: file.name.clone(),
            asked,
            reference_end: end(reference),
            our_end: end(ours),
            commands: reference.len(),
            equal,
            ours: ours.len(),
            first_difference,
        }
    }

    fn case(&self) -> Case {
        Case {
            line: 0,
            row: vec![self.file.clone(), self.commands.to_string(), self.reference_end.to_string()],
            reference: self.reference_end,
            ours: self.our_end,
            exact: self.is_exact(),
            extra: vec![
                self.ours.to_string(),
                self.equal.to_string(),
                self.first_difference.clone().unwrap_or_default(),
            ],
        }
    }

    /// Whether both lists are the same.
    pub const fn is_exact(&self) -> bool {
        self.first_difference.is_none()
    }

    /// Whether what is asked holds.
    pub fn holds(&self) -> bool {
        match self.asked {
            Asked::Exact => self.is_exact(),
            Asked::End(bound) => self.case().relative_error() <= bound,
        }
    }
}

/// The outcome of a suite of golden runs: a case for each file, `exact` counts commands.
pub fn outcome(suite: &str, reference: &str, runs: &[Run]) -> Outcome {
    let parts =
        Parts { equal: runs.iter().map(|run| run.equal).sum(), total: runs.iter().map(|run| run.commands).sum() };
    let must_be_exact: Vec<&Run> = runs.iter().filter(|run| run.asked == Asked::Exact).collect();
    let exact = must_be_exact.iter().filter(|run| run.is_exact()).count();
    let broken: Vec<&Run> = runs.iter().filter(|run| !run.holds()).collect();
    let mut bound = Vec::new();
    let mut found = Vec::new();
    let mut notes = vec![format!("{} of {} commands equal in cycle, command and address", parts.equal, parts.total)];
    if !must_be_exact.is_empty() {
        bound.push(("exact_files".to_owned(), must_be_exact.len() as f64));
        found.push(("exact_files".to_owned(), exact as f64));
        notes.push(format!("{exact} of {} files that must be exact are", must_be_exact.len()));
    }
    let ends = runs.iter().filter_map(|run| match run.asked {
        Asked::Exact => None,
        Asked::End(bound) => Some((bound, run.case().relative_error())),
    });
    if let Some((widest, worst)) = ends.reduce(|a, b| (a.0.max(b.0), a.1.max(b.1))) {
        bound.push(("end_error".to_owned(), widest));
        found.push(("end_error".to_owned(), worst));
        notes.push(format!(
            "ends of the other files off by at most {:.3} % (bound {} %)",
            100.0 * worst,
            100.0 * widest
        ));
    }
    for run in broken.iter().take(NAMED) {
        notes.push(match (&run.first_difference, run.asked) {
            (Some(difference), Asked::Exact) => format!("{}: {difference}", run.file),
            _ => format!("{}: ends at {}, here {}", run.file, run.reference_end, run.our_end),
        });
    }
    Outcome {
        suite: suite.to_owned(),
        reference: reference.to_owned(),
        columns: ["file", "commands", "last_cycle"].map(str::to_owned).to_vec(),
        extra_columns: ["our_commands", "equal_commands", "first_difference"].map(str::to_owned).to_vec(),
        cases: runs.iter().map(Run::case).collect(),
        parts: Some(parts),
        bound,
        found,
        notes,
        passed: broken.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issued(cycle: u64, command: &str) -> Issued {
        Issued { cycle, command: command.to_owned(), address: vec![0, 7] }
    }

    fn file(name: &str) -> GoldenFile {
        GoldenFile::shipped("validation/golden", name, "")
    }

    #[test]
    fn are_commands_compared_one_by_one() {
        let reference = [issued(1, "ACT"), issued(23, "RD"), issued(40, "PRE")];
        let same = Run::compare(&file("a.csv"), Asked::Exact, &reference, &reference);
        assert!(same.is_exact() && same.holds());
        let late = [issued(1, "ACT"), issued(24, "RD"), issued(40, "PRE")];
        let late = Run::compare(&file("b.csv"), Asked::Exact, &reference, &late);
        assert_eq!((late.equal, late.holds()), (2, false));
        assert_eq!(late.first_difference.as_deref(), Some("command 2: 23 RD 0 7, here 24 RD 0 7"));
        let short = Run::compare(&file("c.csv"), Asked::Exact, &reference, &reference[..2]);
        assert_eq!((short.equal, short.holds()), (2, false));
        assert_eq!(short.first_difference.as_deref(), Some("command 3: 40 PRE 0 7, here nothing"));
        let end = Run::compare(&file("d.csv"), Asked::End(0.05), &reference, &[issued(41, "PRE")]);
        assert!(end.holds() && !end.is_exact());
        let far = Run::compare(&file("e.csv"), Asked::End(0.05), &reference, &[issued(43, "PRE")]);
        assert!(!far.holds());

        let outcome = outcome("golden", "folder", &[same.clone(), late, end.clone()]);
        assert!(!outcome.passed);
        assert_eq!((outcome.cases.len(), outcome.exact(), outcome.exact_cases()), (3, 5, 1));
        assert_eq!(outcome.parts, Some(Parts { equal: 5, total: 9 }));
        assert!(outcome.notes.iter().any(|note| note.contains("b.csv: command 2")), "{:?}", outcome.notes);
        assert!(super::outcome("golden", "folder", &[same, end]).passed);
    }

    #[track_caller]
    fn check_refused(path: &Path, message: &str) {
        let error = files(path, "csv").unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
        assert!(error.is_input() && error.remedy().contains("folder"));
    }

    #[test]
    fn is_a_folder_that_is_none_refused() {
        let directory = tempfile::tempdir().unwrap();
        check_refused(&directory.path().join("none"), "none: cannot be read");
        check_refused(directory.path(), "there is no .csv file in this folder");
        let path = directory.path().join("b.csv");
        fs::write(&path, "clock\n1\n").unwrap();
        check_refused(&path, "this is a file, not a folder");
        fs::write(directory.path().join("a.csv"), "clock\n1\n").unwrap();
        fs::write(directory.path().join("README.md"), "").unwrap();
        let found = files(directory.path(), "csv").unwrap();
        assert_eq!(found.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["a.csv", "b.csv"]);
        let error = found[0].table(&["clock", "command"]).unwrap_err().to_string();
        assert!(error.ends_with("a.csv:1:1: column `command` is missing"), "{error}");
    }
}
