//! spans.csv: every span of a run as a row, written as it goes and read again by `pimscope trace`.
//!
//! Rows are ordered by (end, actor index, number) within each (point, system). Times are picoseconds. `cause` and
//! `held_by` name a span by actor index and number, `3:17`; empty where there is none.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use csv::{Reader, ReaderBuilder, StringRecord, Writer};
use sim_core::{Category, Span, Time};

use crate::critical_path::{Job, JobId, job_id};
use crate::error::ReportError;
use crate::text::actor_name;

/// The columns, in order.
pub const COLUMNS: [&str; 18] = [
    "point",
    "system",
    "actor",
    "actor_index",
    "number",
    "kind",
    "category",
    "token",
    "layer",
    "ready_ps",
    "start_ps",
    "end_ps",
    "launch_ps",
    "signal_ps",
    "bytes",
    "operations",
    "cause",
    "held_by",
];

/// Writes spans.csv system by system, so that a long sweep need not be held in memory.
#[derive(Debug)]
pub struct SpanWriter<W: Write> {
    rows: Writer<W>,
}

impl<W: Write> SpanWriter<W> {
    /// Writes the header.
    pub fn new(out: W) -> io::Result<Self> {
        let mut rows = Writer::from_writer(out);
        rows.write_record(COLUMNS)?;
        Ok(Self { rows })
    }

    /// Writes the spans of one system, ordered as [`sim_core::Spans::into_sorted`] gives them. `point` names the point of
    /// a sweep and is empty without one. The end of a span that is still open (in spans-open.csv) is empty.
    pub fn system(&mut self, point: &str, system: &str, actors: &[String], spans: &[Span]) -> io::Result<()> {
        let id = |id: Option<JobId>| id.map_or_else(String::new, |(actor, number)| format!("{actor}:{number}"));
        for span in spans {
            let index = span.id.actor.index();
            self.rows.write_field(point)?;
            self.rows.write_field(system)?;
            self.rows.write_field(actor_name(actors, index))?;
            self.rows.write_field(index.to_string())?;
            self.rows.write_field(span.id.number.to_string())?;
            self.rows.write_field(span.kind)?;
            self.rows.write_field(span.category.key())?;
            self.rows.write_field(span.tag.step.to_string())?;
            self.rows.write_field(span.tag.layer.map_or_else(String::new, |layer| layer.to_string()))?;
            self.rows.write_field(span.ready.ps().to_string())?;
            self.rows.write_field(span.start.ps().to_string())?;
            self.rows.write_field(if span.end == Time::MAX { String::new() } else { span.end.ps().to_string() })?;
            for number in [span.launch.ps(), span.signal.ps(), span.bytes, span.operations] {
                self.rows.write_field(number.to_string())?;
            }
            self.rows.write_field(id(span.cause.map(job_id)))?;
            self.rows.write_field(id(span.held_by.map(job_id)))?;
            self.rows.write_record(None::<&[u8]>)?;
        }
        Ok(())
    }

    /// Writes what is still in the buffer.
    pub fn finish(mut self) -> io::Result<()> {
        self.rows.flush()
    }
}

/// A row of spans.csv. The fields are those of [`Span`] with names in the place of types that only a simulation can make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanRow {
    /// The point of the sweep; empty without one.
    pub point: String,
    /// The system.
    pub system: String,
    /// The actor's name.
    pub actor: String,
    /// The actor's index.
    pub actor_index: u32,
    /// The actor's own count, from 0.
    pub number: u32,
    /// What kind of job.
    pub kind: String,
    /// What `start + launch .. end` is spent on.
    pub category: Category,
    /// The generated token, from 1.
    pub token: u32,
    /// The decoder layer, from 0.
    pub layer: Option<u32>,
    /// When the last predecessor's news arrived.
    pub ready: Time,
    /// When the resource was granted.
    pub start: Time,
    /// When it was done.
    pub end: Time,
    /// The fixed cost at the beginning.
    pub launch: Time,
    /// How long the last predecessor's news took to arrive.
    pub signal: Time,
    /// Bytes read, written or moved.
    pub bytes: u64,
    /// Arithmetic operations.
    pub operations: u64,
    /// The predecessor that made it ready, as (actor index, number).
    pub cause: Option<(u32, u32)>,
    /// The job that held the resource just before, as (actor index, number).
    pub held_by: Option<(u32, u32)>,
}

impl Job for SpanRow {
    fn id(&self) -> JobId {
        (self.actor_index, self.number)
    }
    fn category(&self) -> Category {
        self.category
    }
    fn ready(&self) -> Time {
        self.ready
    }
    fn start(&self) -> Time {
        self.start
    }
    fn end(&self) -> Time {
        self.end
    }
    fn launch(&self) -> Time {
        self.launch
    }
    fn signal(&self) -> Time {
        self.signal
    }
    fn cause(&self) -> Option<JobId> {
        self.cause
    }
    fn held_by(&self) -> Option<JobId> {
        self.held_by
    }
    fn token(&self) -> Option<u32> {
        (self.kind == "token").then_some(self.token)
    }
}

/// Reads spans.csv row by row. An error names the file and the line, and ends the rows.
#[derive(Debug)]
pub struct SpanReader<R> {
    rows: Reader<R>,
    path: PathBuf,
    record: StringRecord,
    failed: bool,
}

impl SpanReader<BufReader<File>> {
    /// Opens a file and checks its header.
    ///
    /// # Errors
    /// [`ReportError::File`] where it cannot be read, [`ReportError::SpanFile`] where its columns are others.
    pub fn open(path: &Path) -> Result<Self, ReportError> {
        let file = File::open(path).map_err(|e| ReportError::file(path, "read", e))?;
        Self::new(BufReader::new(file), path)
    }
}

impl<R: Read> SpanReader<R> {
    /// Reads from anything; `path` is for the errors.
    ///
    /// # Errors
    /// [`ReportError::SpanFile`] where the columns are others.
    pub fn new(input: R, path: &Path) -> Result<Self, ReportError> {
        let mut reader = Self {
            rows: ReaderBuilder::new().from_reader(input),
            path: path.to_owned(),
            record: StringRecord::new(),
            failed: false,
        };
        let header = match reader.rows.headers() {
            Ok(header) => header.clone(),
            Err(error) => return Err(reader.csv_error(&error)),
        };
        if header != COLUMNS[..] {
            let what = match header.iter().zip(COLUMNS).find(|(found, expected)| found != expected) {
                Some((found, expected)) => format!("the column `{expected}` was expected, `{found}` was found"),
                None if header.len() < COLUMNS.len() => {
                    format!("the column `{}` is missing", COLUMNS[header.len()])
                }
                None => format!("there are {} columns, {} were expected", header.len(), COLUMNS.len()),
            };
            return Err(reader.located(1, what));
        }
        Ok(reader)
    }

    fn located(&self, line: u64, what: String) -> ReportError {
        let path = self.path.clone();
        ReportError::SpanFile { path, line, what }
    }

    fn csv_error(&self, error: &csv::Error) -> ReportError {
        let line = error.position().map_or(1, csv::Position::line);
        let what = match error.kind() {
            csv::ErrorKind::Io(e) => e.to_string(),
            csv::ErrorKind::Utf8 { .. } => "it is not UTF-8".to_owned(),
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("it has {len} fields, {expected_len} were expected; the file may be cut off")
            }
            _ => error.to_string(),
        };
        self.located(line, what)
    }

    fn row(&self) -> Result<SpanRow, ReportError> {
        let line = self.record.position().map_or(0, csv::Position::line);
        let fields = Fields { record: &self.record, fail: |what| self.located(line, what) };
        let kind = &self.record[5];
        let category = &self.record[6];
        let Some(category) = Category::from_key(category) else {
            let all: Vec<&str> = Category::ALL.into_iter().map(Category::key).collect();
            let what = format!("`category` is `{category}`; it must be one of {}", all.join(", "));
            return Err(self.located(line, what));
        };
        Ok(SpanRow {
            point: self.record[0].to_owned(),
            system: self.record[1].to_owned(),
            actor: self.record[2].to_owned(),
            actor_index: fields.number(3)?,
            number: fields.number(4)?,
            kind: kind.to_owned(),
            category,
            token: fields.number(7)?,
            layer: if self.record[8].is_empty() { None } else { Some(fields.number(8)?) },
            ready: Time::from_ps(fields.number(9)?),
            start: Time::from_ps(fields.number(10)?),
            end: Time::from_ps(fields.number(11)?),
            launch: Time::from_ps(fields.number(12)?),
            signal: Time::from_ps(fields.number(13)?),
            bytes: fields.number(14)?,
            operations: fields.number(15)?,
            cause: fields.span(16)?,
            held_by: fields.span(17)?,
        })
    }
}

/// The fields of a row, all of which are there: the reader refuses rows of another length.
struct Fields<'a, F> {
    record: &'a StringRecord,
    fail: F,
}

impl<F: Fn(String) -> ReportError> Fields<'_, F> {
    fn number<T: std::str::FromStr>(&self, column: usize) -> Result<T, ReportError> {
        let field = &self.record[column];
        field.parse().map_err(|_| {
            let bits = 8 * size_of::<T>();
            (self.fail)(format!("`{}` is `{field}`; it must be a whole number of {bits} bits", COLUMNS[column]))
        })
    }

    fn span(&self, column: usize) -> Result<Option<JobId>, ReportError> {
        let field = &self.record[column];
        if field.is_empty() {
            return Ok(None);
        }
        let parts = field.split_once(':');
        let id = parts.and_then(|(actor, number)| Some((actor.parse().ok()?, number.parse().ok()?)));
        id.map(Some)
            .ok_or_else(|| (self.fail)(format!("`{}` is `{field}`; it must be actor:number or empty", COLUMNS[column])))
    }
}

impl<R: Read> Iterator for SpanReader<R> {
    type Item = Result<SpanRow, ReportError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let mut record = std::mem::take(&mut self.record);
        let read = self.rows.read_record(&mut record);
        self.record = record;
        let row = match read {
            Ok(false) => return None,
            Ok(true) => self.row(),
            Err(error) => Err(self.csv_error(&error)),
        };
        self.failed = row.is_err();
        Some(row)
    }
}
