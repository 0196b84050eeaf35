//! The points of a sweep as a table, for the terminal and for the page.

use crate::analyse::{PointReport, SystemReport};
use crate::clustering::Clustering;
use crate::prefill::signed;
use crate::table::plain;
use crate::text::{percent, printable, significant};

/// What the columns of shares mean.
pub(crate) const SHARES: &str = "exposed: communication on the critical path; busy: any transfer under way";

/// A column.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// Its name where there is little room.
    pub(crate) name: String,
    /// Its name in full.
    pub(crate) heading: String,
    /// Whether it holds words, not numbers.
    pub(crate) text: bool,
}

impl Column {
    fn number(name: &str, heading: &str) -> Self {
        Self { name: name.to_owned(), heading: heading.to_owned(), text: false }
    }

    fn words(name: &str, heading: &str) -> Self {
        Self { name: name.to_owned(), heading: heading.to_owned(), text: true }
    }
}

/// What a figure's cell says of a system; `None` where it has no such thing.
type CellOf = fn(&SystemReport) -> Option<String>;

/// The columns of figures: those of which no system has anything are left out.
const FIGURES: [(&str, &str, CellOf); 13] = [
    ("first token", "time to first token", |s| Some(s.prefill.as_ref()?.latency().to_string())),
    ("GPU layer", "GPU time of a layer", |s| Some(clustering(s)?.gpu_layer().to_string())),
    ("clustering", "clustering of a layer", |s| Some(clustering(s)?.layer().to_string())),
    ("margin", "margin", |s| Some(signed(clustering(s)?.margin()))),
    ("margin then", "margin until the same channels are wanted again", |s| {
        Some(signed(clustering(s)?.margin_again()?))
    }),
    ("hidden", "hidden", |s| Some(if clustering(s)?.hidden() { "yes" } else { "no" }.to_owned())),
    ("latency", "time of the kernel", |s| s.kernel.is_some().then(|| s.latency().to_string())),
    ("latency/token", "latency per token", |s| tokens(s).then(|| s.latency_per_token().to_string())),
    ("attention/layer", "attention of a layer", |s| {
        (s.attention.layers > 0).then(|| s.attention.per_layer().to_string())
    }),
    ("tokens/s", "tokens per second", |s| tokens(s).then(|| significant(s.tokens_per_second()))),
    ("exposed", "exposed", |s| tokens(s).then(|| percent(s.breakdown.communication_share()))),
    ("busy", "busy", |s| tokens(s).then(|| percent(s.communication_busy_share()))),
    ("error", "error of attention's output", |s| Some(percent(s.accuracy.as_ref()?.error))),
];

pub(crate) fn clustering(system: &SystemReport) -> Option<&Clustering> {
    system.prefill.as_ref()?.clustering.as_ref()
}

/// Whether it has decoded tokens: it is no kernel, and was not stopped before the first.
pub(crate) fn tokens(system: &SystemReport) -> bool {
    system.tokens > 0 && system.kernel.is_none()
}

/// The keys of all points. They may differ: a system can have keys that another does not.
pub(crate) fn keys(points: &[PointReport]) -> Vec<&str> {
    let mut keys: Vec<&str> = Vec::new();
    for (key, _) in points.iter().flat_map(|point| &point.keys) {
        if !keys.contains(&key.as_str()) {
            keys.push(key);
        }
    }
    keys
}

/// The last part of a key, where no other ends in it.
fn short<'k>(key: &'k str, keys: &[&str]) -> &'k str {
    let last = |key: &'k str| key.rsplit('.').next().unwrap_or(key);
    let alone = keys.iter().filter(|other| other.rsplit('.').next() == Some(last(key))).count() == 1;
    if alone { last(key) } else { key }
}

/// The columns, and a row for each point and system.
pub(crate) fn table(points: &[PointReport]) -> (Vec<Column>, Vec<Vec<String>>) {
    let keys = keys(points);
    let systems = || points.iter().flat_map(|point| &point.systems);
    let figures: Vec<_> = FIGURES.iter().filter(|(_, _, cell)| systems().any(|s| cell(s).is_some())).collect();
    let mut columns: Vec<Column> =
        keys.iter().map(|key| Column::words(&printable(short(key, &keys)), &printable(key))).collect();
    columns.push(Column::words("system", "system"));
    columns.extend(figures.iter().map(|(name, heading, _)| Column::number(name, heading)));
    let mut rows = Vec::new();
    for point in points {
        for system in &point.systems {
            let value =
                |key: &&str| point.keys.iter().find(|(k, _)| k == key).map_or_else(String::new, |(_, v)| plain(v));
            let mut row: Vec<String> = keys.iter().map(value).collect();
            let partial = if system.stopped.is_some() { " (partial)" } else { "" };
            row.push(printable(&system.name) + partial);
            row.extend(figures.iter().map(|(_, _, cell)| cell(system).unwrap_or_else(|| "-".to_owned())));
            rows.push(row);
        }
    }
    (columns, rows)
}
