//! The text of `pimscope trace`: the rows of spans.csv that a filter lets through, one line each.

use std::io;

use sim_core::Time;

use crate::critical_path::{Job, Jobs};
use crate::csv::SpanRow;
use crate::error::ReportError;
use crate::text::{glob, printable};

/// Which spans to show. The default shows all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// A pattern (`*`, `?`) for the actor's name.
    pub actor: Option<String>,
    /// A pattern (`*`, `?`) for the kind.
    pub kind: Option<String>,
    /// Spans that end before this are left out.
    pub from: Option<Time>,
    /// Spans that start after this are left out.
    pub to: Option<Time>,
    /// Only spans that lie on the critical path of a token, with the time that they contribute.
    pub critical_path: bool,
}

impl Filter {
    /// Whether a row is shown, the critical path aside.
    pub fn matches(&self, row: &SpanRow) -> bool {
        self.actor.as_ref().is_none_or(|pattern| glob(pattern, &row.actor))
            && self.kind.as_ref().is_none_or(|pattern| glob(pattern, &row.kind))
            && self.from.is_none_or(|from| row.end >= from)
            && self.to.is_none_or(|to| row.start <= to)
    }
}

/// Gives the lines to `emit`: a heading per system, then one line per span. Returns how many spans were shown. Rows of one
/// system are held in memory only where the critical path is asked for.
///
/// # Errors
/// What the rows hold; [`ReportError::LawBroken`] where the rows have no critical path; [`ReportError::Output`] with
/// what `emit` returns, such as a closed pipe.
pub fn lines(
    rows: impl IntoIterator<Item = Result<SpanRow, ReportError>>,
    filter: &Filter,
    emit: &mut dyn FnMut(&str) -> io::Result<()>,
) -> Result<u64, ReportError> {
    let mut view = View { filter, emit, heading: None, shown: 0 };
    let mut system: Vec<SpanRow> = Vec::new();
    for row in rows {
        let row = row?;
        if filter.critical_path {
            if system.last().is_some_and(|last| !same_system(last, &row)) {
                view.critical(&system)?;
                system.clear();
            }
            system.push(row);
        } else if filter.matches(&row) {
            view.row(&row, None)?;
        }
    }
    view.critical(&system)?;
    Ok(view.shown)
}

fn same_system(a: &SpanRow, b: &SpanRow) -> bool {
    (&a.point, &a.system) == (&b.point, &b.system)
}

struct View<'a> {
    filter: &'a Filter,
    emit: &'a mut dyn FnMut(&str) -> io::Result<()>,
    /// The point and system of the last line.
    heading: Option<(String, String)>,
    shown: u64,
}

impl View<'_> {
    fn critical(&mut self, rows: &[SpanRow]) -> Result<(), ReportError> {
        let jobs = Jobs::new(rows);
        let paths = jobs.check().and_then(|()| jobs.critical_paths());
        let paths = paths.map_err(|broken| {
            let row = &rows[broken.job];
            ReportError::LawBroken {
                law: 1,
                system: row.system.clone(),
                actor: row.actor.clone(),
                subject: format!("span {}:{} ({})", row.actor_index, row.number, row.kind),
                at: row.start,
                what: broken.what,
            }
        })?;
        let mut contributed = vec![None; rows.len()];
        for piece in paths.iter().flatten() {
            let time: &mut Option<Time> = &mut contributed[piece.job];
            *time = Some(time.unwrap_or_default() + (piece.to - piece.from));
        }
        for (row, time) in rows.iter().zip(contributed) {
            if time.is_some() && self.filter.matches(row) {
                self.row(row, time)?;
            }
        }
        Ok(())
    }

    fn row(&mut self, row: &SpanRow, contributed: Option<Time>) -> Result<(), ReportError> {
        let heading = self.heading.as_ref();
        if heading.is_none_or(|(point, system)| *point != row.point || *system != row.system) {
            let separator = if row.point.is_empty() { "" } else { ", " };
            self.line(&format!("# {}{separator}{}", printable(&row.system), printable(&row.point)))?;
            let critical = if contributed.is_some() { "  on the critical path" } else { "" };
            let titles = format!(
                "{:>12}  {:>12}  {:<24}  {:<16}  {:<20}  {:>12}  {:<9}{critical}",
                "start", "end", "actor", "kind", "category", "bytes", "cause"
            );
            self.line(titles.trim_end())?;
            self.heading = Some((row.point.clone(), row.system.clone()));
        }
        let (actor_index, number) = row.id();
        let cause = row.cause.map_or_else(|| "-".to_owned(), |(actor, number)| format!("{actor}:{number}"));
        let line = format!(
            "{:>12}  {:>12}  {:<24}  {:<16}  {:<20}  {:>12}  {:<9}",
            row.start,
            row.end,
            format!("{} {actor_index}:{number}", printable(&row.actor)),
            printable(&row.kind),
            row.category,
            row.bytes,
            cause,
        );
        self.shown += 1;
        match contributed {
            Some(time) => self.line(&format!("{line}  {time}")),
            None => self.line(line.trim_end()),
        }
    }

    fn line(&mut self, line: &str) -> Result<(), ReportError> {
        (self.emit)(line).map_err(|source| ReportError::Output { source })
    }
}
