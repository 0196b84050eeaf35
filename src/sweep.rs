//! A sweep's points side by side, each kept as soon as it is finished, and put together at the end.
//!
//! A point leaves `points/NNNNN/` with its summary.json and its spans.csv below the sweep's directory. When all are there
//! they become the same files that [`crate::run::run_to_files`] writes, byte for byte, and go away. A sweep that is
//! stopped, or one shard of several, leaves its points: it is resumed, or merged with the other shards.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use reports::csv::{SpanReader, SpanWriter};
use reports::{ReportError, RunReport, Why};
use serde_json::{Value, json};

use crate::control::{Brake, Control};
use crate::output::Output;
use crate::parallel;
use crate::run::{OPTIONAL, RunError, simulate_within, write_reports, written};
use crate::scenario::Loaded;

/// Where the points are, below the sweep's directory.
const POINTS: &str = "points";
/// What says of which sweep they are.
const HEAD: &str = "sweep.json";
/// The schema of that file.
const SCHEMA: &str = "pimscope/sweep/1";

/// Why a sweep could not be run or put together.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum SweepError {
    /// A point could not be run.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Run(#[from] RunError),
    /// Points could not be run; all others are kept.
    #[error("{failed} of {all} points failed; the first: {first}")]
    #[diagnostic(help("{remedy}the points that were finished are kept: --resume runs the others"))]
    Points {
        /// How many.
        failed: usize,
        /// Of how many.
        all: usize,
        /// Why the first one failed.
        first: Box<RunError>,
        /// What to do about it.
        remedy: String,
    },
    /// The scenario has no sweep.
    #[error("{}: there is no [sweep], so there is one point only", .0.display())]
    #[diagnostic(help(
        "take `pimscope run`, or add a section such as\n  [sweep]\n  \"workload.context\" = [4096, 8192]"
    ))]
    NoSweep(PathBuf),
    /// There are points already.
    #[error("{} holds {points} of an earlier sweep", .path.display())]
    #[diagnostic(help("go on with it by --resume, name another directory with --out, or remove {}", .path.display()))]
    Unfinished {
        /// Where.
        path: PathBuf,
        /// How many.
        points: String,
    },
    /// The points are not those that are wanted.
    #[error("{}: {what}", .path.display())]
    #[diagnostic(help("{remedy}"))]
    Other {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// A file could not be read or written.
    #[error("cannot {doing} {}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Read, write, ...
        doing: &'static str,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A point's summary cannot be read, or the reports not be made.
    #[error("{}: {source}", .path.display())]
    Report {
        /// Where.
        path: PathBuf,
        /// Why.
        source: Box<ReportError>,
    },
}

impl SweepError {
    /// Whether the input is to blame, and not pimscope.
    pub fn is_input(&self) -> bool {
        match self {
            Self::Run(error) => error.is_input(),
            Self::Points { first, .. } => first.is_input(),
            Self::Report { source, .. } => !matches!(**source, ReportError::LawBroken { .. }),
            _ => true,
        }
    }
}

/// How to run a sweep.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Points that are run side by side.
    pub jobs: usize,
    /// Which part of the points, from 0, of how many parts: point n is in part n modulo the number of parts.
    pub shard: (usize, usize),
    /// Whether to keep the points that an earlier sweep has left.
    pub resume: bool,
}

/// How a sweep ended.
#[derive(Clone, Debug)]
pub enum Ended {
    /// All points are there, and the reports.
    Whole(Box<RunReport>),
    /// All points of the shard are there: so many.
    Shard(usize),
    /// It was stopped: so many points are there, of so many.
    Stopped(Why, usize, usize),
}

/// Runs the points of a scenario. `progress` hears of how many points how many are there.
pub fn sweep(
    loaded: &Loaded,
    directory: &Path,
    choice: &Choice,
    brake: &Brake,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Ended, SweepError> {
    if loaded.sweep.is_empty() {
        return Err(SweepError::NoSweep(loaded.path.clone()));
    }
    let (part, parts) = choice.shard;
    let count = loaded.points.len() + loaded.kernels.len();
    let wanted: Vec<usize> = (0..count).filter(|point| point % parts == part).collect();
    let head = Head::of(loaded, choice.shard);
    if choice.resume
        && parts == 1
        && !directory.join(POINTS).exists()
        && let Some(run) = finished(directory, &head)
    {
        return Ok(Ended::Whole(Box::new(run)));
    }
    let there = begin(directory, &head, choice.resume)?;
    let missing: Vec<usize> = wanted.iter().copied().filter(|point| !there.contains_key(point)).collect();
    let before = wanted.len() - missing.len();
    progress(before, wanted.len());
    let ended = parallel::in_order(
        missing.len(),
        choice.jobs,
        || (),
        |(), index| one(loaded, missing[index], directory, brake),
        |done| progress(before + done, wanted.len()),
    );
    let mut failed: Vec<RunError> = Vec::new();
    let mut done = before;
    for ended in ended {
        match ended {
            Ok(whole) => done += usize::from(whole),
            Err(error) => failed.push(error),
        }
    }
    if let Some(why) = brake.pulled().filter(|_| done < wanted.len()) {
        return Ok(Ended::Stopped(why, done, wanted.len()));
    }
    let failures = failed.len();
    if let Some(first) = failed.into_iter().next() {
        let remedy = first.help().map_or_else(String::new, |help| format!("{help}; "));
        return Err(SweepError::Points { failed: failures, all: wanted.len(), first: Box::new(first), remedy });
    }
    if parts > 1 {
        return Ok(Ended::Shard(wanted.len()));
    }
    let run = join(&head, &points(directory, &head)?, directory)?;
    for path in [directory.join(POINTS), directory.join(HEAD)] {
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(|source| SweepError::File { path, doing: "remove", source })?;
    }
    Ok(Ended::Whole(Box::new(run)))
}

/// Puts the shards of a sweep together.
pub fn merge(shards: &[PathBuf], directory: &Path) -> Result<RunReport, SweepError> {
    let mut all: BTreeMap<usize, PathBuf> = BTreeMap::new();
    let mut first: Option<(Head, &Path)> = None;
    for shard in shards {
        let head = Head::read(shard)?;
        match &first {
            None => first = Some((head.clone(), shard)),
            Some((known, path)) if !known.same_sweep(&head) => {
                let what = format!("its points are not of the sweep that {} has points of", path.display());
                let remedy = "merge shards of one scenario, run by one version of pimscope".to_owned();
                return Err(SweepError::Other { path: shard.clone(), what, remedy });
            }
            Some(_) => {}
        }
        all.extend(points(shard, &head)?);
    }
    let Some((head, _)) = first else { return Err(SweepError::NoSweep(directory.to_owned())) };
    let missing: Vec<String> = (0..head.points).filter(|n| !all.contains_key(n)).map(|n| format!("{n:05}")).collect();
    if !missing.is_empty() {
        let what = format!("{} of {} points are missing: {}", missing.len(), head.points, missing.join(", "));
        let remedy = "name the directories of all shards; a shard that was stopped goes on with --resume".to_owned();
        return Err(SweepError::Other { path: directory.to_owned(), what, remedy });
    }
    join(&head, &all, directory)
}

/// What says of which sweep the points of a directory are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Head {
    scenario: String,
    sha256: String,
    version: String,
    /// Of all shards together.
    points: usize,
    shard: (usize, usize),
}

impl Head {
    fn of(loaded: &Loaded, shard: (usize, usize)) -> Self {
        Self {
            scenario: loaded.name.clone(),
            sha256: loaded.sha256.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            points: loaded.points.len() + loaded.kernels.len(),
            shard,
        }
    }

    fn same_sweep(&self, other: &Self) -> bool {
        let Self { sha256, version, points, .. } = self;
        (sha256, version, points) == (&other.sha256, &other.version, &other.points)
    }

    fn to_json(&self) -> String {
        let value = json!({
            "schema": SCHEMA,
            "scenario": self.scenario,
            "scenario_sha256": self.sha256,
            "version": self.version,
            "points": self.points,
            "shard": [self.shard.0 + 1, self.shard.1],
        });
        format!("{value:#}\n")
    }

    fn read(directory: &Path) -> Result<Self, SweepError> {
        let path = directory.join(HEAD);
        let text = fs::read_to_string(&path).map_err(|source| SweepError::File {
            path: path.clone(),
            doing: "read",
            source,
        })?;
        let value: Value = serde_json::from_str(&text).unwrap_or_default();
        let read = || {
            let text = |key: &str| value[key].as_str().map(str::to_owned);
            let number = |value: &Value| value.as_u64().and_then(|number| usize::try_from(number).ok());
            (value["schema"] == SCHEMA).then_some(())?;
            let shard = (number(&value["shard"][0])?.checked_sub(1)?, number(&value["shard"][1])?);
            Some(Self {
                scenario: text("scenario")?,
                sha256: text("scenario_sha256")?,
                version: text("version")?,
                points: number(&value["points"])?,
                shard,
            })
        };
        read().ok_or_else(|| SweepError::Other {
            path,
            what: format!("it is not what a sweep leaves (schema {SCHEMA})"),
            remedy: "name a directory that `pimscope sweep` has written".to_owned(),
        })
    }
}

/// The reports of a sweep that is finished; nothing where there are none of this one.
fn finished(directory: &Path, head: &Head) -> Option<RunReport> {
    let run = reports::summary::read(&fs::read_to_string(directory.join("summary.json")).ok()?).ok()?;
    let whole = run.stopped.is_none() && run.scenario_sha256 == head.sha256 && run.points.len() == head.points;
    whole.then_some(run)
}

/// Prepares the directory; gives the points that are there.
fn begin(directory: &Path, head: &Head, resume: bool) -> Result<BTreeMap<usize, PathBuf>, SweepError> {
    let folder = directory.join(POINTS);
    if directory.join(HEAD).exists() || folder.exists() {
        let known = Head::read(directory)?;
        let there = points(directory, &known)?;
        if !resume && !there.is_empty() {
            let points = if there.len() == 1 { "a point".to_owned() } else { format!("{} points", there.len()) };
            return Err(SweepError::Unfinished { path: folder, points });
        }
        if resume && known != *head {
            let what = if known.shard == head.shard {
                "its points are of another scenario, or of another version of pimscope".to_owned()
            } else {
                format!("its points are of shard {}/{}", known.shard.0 + 1, known.shard.1)
            };
            let remedy =
                "go on with the scenario and flags that it was begun with, or name another directory".to_owned();
            return Err(SweepError::Other { path: directory.to_owned(), what, remedy });
        }
        if resume {
            return Ok(there);
        }
    }
    let mut output = Output::prepare(directory).map_err(|source| SweepError::File {
        path: directory.to_owned(),
        doing: "write",
        source,
    })?;
    output.write_text(HEAD, &head.to_json()).and_then(|()| output.commit(&[])).map_err(reported(directory))?;
    fs::create_dir_all(&folder).map_err(|source| SweepError::File { path: folder, doing: "make", source })?;
    Ok(BTreeMap::new())
}

/// The finished points of a directory.
fn points(directory: &Path, head: &Head) -> Result<BTreeMap<usize, PathBuf>, SweepError> {
    let folder = directory.join(POINTS);
    let unreadable = |source| SweepError::File { path: folder.clone(), doing: "read", source };
    let mut found = BTreeMap::new();
    if !folder.exists() {
        return Ok(found);
    }
    for entry in fs::read_dir(&folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let number = path.file_name().and_then(|name| name.to_str()?.parse::<usize>().ok());
        // A summary is put in its place last, whole.
        if let Some(number) = number.filter(|&n| n < head.points && path.join("summary.json").exists()) {
            found.insert(number, path);
        }
    }
    Ok(found)
}

/// Runs a point and keeps it; false where it was stopped.
fn one(loaded: &Loaded, number: usize, directory: &Path, brake: &Brake) -> Result<bool, RunError> {
    if brake.pulled().is_some() {
        return Ok(false);
    }
    let path = directory.join(POINTS).join(format!("{number:05}"));
    let at = |n: usize| n..n + 1;
    let kernels = number.checked_sub(loaded.points.len());
    let point = Loaded {
        points: loaded.points.get(at(number)).unwrap_or_default().to_vec(),
        kernels: kernels.and_then(|n| loaded.kernels.get(at(n))).unwrap_or_default().to_vec(),
        ..loaded.clone()
    };
    let failed = |source| RunError::Output { path: path.clone(), source };
    let no_spans = |source| ReportError::File { path: path.join("spans.csv"), doing: "write", source };
    let mut output = Output::prepare(&path).map_err(failed)?;
    let file = output.create("spans.csv").map_err(failed)?;
    let mut spans = SpanWriter::new(BufWriter::new(file)).map_err(no_spans)?;
    let mut control = Control { brake: brake.clone(), ..Control::default() };
    let run = simulate_within(&point, &mut control, &mut |at, input, _| {
        spans.system(at, &input.name, &input.actors, &input.spans).map_err(no_spans)
    })?;
    if run.stopped.is_some() {
        return Ok(false);
    }
    spans.finish().map_err(no_spans)?;
    output.write_text("summary.json", &reports::summary::to_json(&run))?;
    output.commit(&[])?;
    let keys = run.points.first().map_or_else(String::new, |point| written(&point.keys));
    tracing::info!(number, keys, "point");
    Ok(true)
}

fn reported(path: &Path) -> impl Fn(ReportError) -> SweepError + '_ {
    move |source| SweepError::Report { path: path.to_owned(), source: Box::new(source) }
}

/// Refuses a spans.csv that is not whole: the rows of all points become one file, and a row without its end would become
/// one with the next. The summary does not count spans, but it knows the systems and how many tokens each generated.
fn check_spans(path: &Path, summary: &RunReport) -> Result<(), SweepError> {
    let broken = |what: String| SweepError::Other {
        path: path.to_owned(),
        what,
        remedy: "remove the directory of this point and go on with --resume, or copy the shard again".to_owned(),
    };
    let reading = |source| SweepError::File { path: path.to_owned(), doing: "read", source };
    let refused = |error| match error {
        ReportError::SpanFile { line, what, .. } => broken(format!("line {line}: {what}")),
        ReportError::File { source, .. } => reading(source),
        other => reported(path)(other),
    };
    let mut tokens: BTreeMap<String, usize> = BTreeMap::new();
    let mut rows = 0;
    for row in SpanReader::open(path).map_err(refused)? {
        let row = row.map_err(refused)?;
        rows += 1;
        *tokens.entry(row.system).or_default() += usize::from(row.kind == "token");
    }
    let mut last = [0];
    let mut file = File::open(path).map_err(reading)?;
    file.seek(SeekFrom::End(-1)).and_then(|_| file.read_exact(&mut last)).map_err(reading)?;
    if last != *b"\n" {
        return Err(broken(format!("line {}: it has no end; the file is cut off", rows + 1)));
    }
    let systems = || summary.points.iter().flat_map(|point| &point.systems);
    if let Some(name) = tokens.keys().find(|name| !systems().any(|system| system.name == **name)) {
        return Err(broken(format!("it has spans of `{name}`, summary.json has not")));
    }
    for system in systems() {
        // The prompts end with a token of their own.
        let (name, wanted) = (&system.name, system.step_latency.len() + usize::from(system.prefill.is_some()));
        let found = tokens.get(name).copied().unwrap_or(0);
        if found != wanted {
            return Err(broken(format!("it has {found} spans `token` of `{name}`, summary.json has {wanted} tokens")));
        }
    }
    Ok(())
}

/// Writes the files of the whole sweep from those of its points. These are checked before the directory is touched.
fn join(head: &Head, points: &BTreeMap<usize, PathBuf>, directory: &Path) -> Result<RunReport, SweepError> {
    let mut run =
        RunReport { scenario: head.scenario.clone(), scenario_sha256: head.sha256.clone(), ..RunReport::default() };
    for (place, path) in points.values().enumerate() {
        let file = path.join("summary.json");
        let text = fs::read_to_string(&file).map_err(|source| SweepError::File {
            path: file.clone(),
            doing: "read",
            source,
        })?;
        let point = reports::summary::read(&text).map_err(reported(&file))?;
        if point.scenario_sha256 != head.sha256 {
            let what = "it is of another scenario".to_owned();
            let remedy = "remove the directory of this point and go on with --resume".to_owned();
            return Err(SweepError::Other { path: file, what, remedy });
        }
        check_spans(&path.join("spans.csv"), &point)?;
        if place == 0 {
            run.seed = point.seed;
        }
        for assumption in point.assumptions {
            if !run.assumptions.contains(&assumption) {
                run.assumptions.push(assumption);
            }
        }
        run.points.extend(point.points);
    }
    let mut output = Output::prepare(directory).map_err(|source| SweepError::File {
        path: directory.to_owned(),
        doing: "write",
        source,
    })?;
    let spans = output.create("spans.csv").and_then(|file| {
        let mut out = BufWriter::new(file);
        for (place, path) in points.values().enumerate() {
            let mut rows = BufReader::new(File::open(path.join("spans.csv"))?);
            let mut header = String::new();
            rows.read_line(&mut header)?;
            if place == 0 {
                out.write_all(header.as_bytes())?;
            }
            io::copy(&mut rows, &mut out)?;
        }
        out.flush()
    });
    spans.map_err(|source| SweepError::File { path: directory.join("spans.csv"), doing: "write", source })?;
    write_reports(&mut output, &run, &[]).map_err(reported(directory))?;
    output.commit(&[&OPTIONAL[..], &["run.json"]].concat()).map_err(reported(directory))?;
    Ok(run)
}
