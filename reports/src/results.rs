//! results.csv: a row for each point and system of a sweep, for spreadsheets and plots of one's own.
//!
//! Times are whole picoseconds, energies picojoules, shares parts of 1. A cell is empty where a system has no such
//! figure.

use sim_core::Category;

use crate::analyse::{PointReport, SystemReport};
use crate::sweep::{self, clustering};
use crate::table::plain;

/// A figure of a system.
type CellOf = fn(&SystemReport) -> Option<String>;

/// The columns after those of the categories.
const FIGURES: [(&str, CellOf); 18] = [
    ("kernel", |s| s.kernel.clone()),
    ("batch", |s| Some(s.batch.to_string())),
    ("context", |s| Some(s.context.to_string())),
    ("tokens", |s| Some(s.tokens.to_string())),
    ("latency_ps", |s| s.decodes().then(|| s.latency().ps().to_string())),
    ("latency_per_token_ps", |s| sweep::tokens(s).then(|| s.latency_per_token().ps().to_string())),
    ("tokens_per_s", |s| sweep::tokens(s).then(|| s.tokens_per_second().to_string())),
    ("attention_layer_ps", |s| (s.attention.layers > 0).then(|| s.attention.per_layer().ps().to_string())),
    ("time_to_first_token_ps", |s| Some(s.prefill.as_ref()?.latency().ps().to_string())),
    ("clustering_margin_ps", |s| Some(clustering(s)?.margin().to_string())),
    ("clustering_margin_until_again_ps", |s| Some(clustering(s)?.margin_again()?.to_string())),
    ("communication_share", |s| s.decodes().then(|| s.breakdown.communication_share().to_string())),
    ("host_communication_share", |s| s.decodes().then(|| s.breakdown.host_communication_share().to_string())),
    ("communication_busy_share", |s| s.decodes().then(|| s.communication_busy_share().to_string())),
    ("energy_pj", |s| s.energy_pj.first().map(|(_, energy)| energy.to_string())),
    ("kv_tokens_that_fit", |s| Some(s.memory.kv_tokens_that_fit.to_string())),
    ("spilled_bytes", |s| Some(s.memory.spilled.to_string())),
    ("error", |s| Some(s.accuracy.as_ref()?.error.to_string())),
];

/// results.csv as text.
pub fn to_csv(points: &[PointReport]) -> String {
    let mut rows = csv::Writer::from_writer(Vec::new());
    let keys = sweep::keys(points);
    let names = FIGURES.iter().map(|(name, _)| (*name).to_owned());
    let times = Category::ALL.into_iter().map(|category| format!("{}_ps", category.key()));
    let header = keys.iter().map(|key| (*key).to_owned()).chain(["system".to_owned()]).chain(names).chain(times);
    // Writing to memory does not fail.
    let _ = rows.write_record(header);
    for point in points {
        for system in &point.systems {
            let value = |key: &&str| {
                let value = point.keys.iter().find(|(known, _)| known == key);
                value.map_or_else(String::new, |(_, value)| plain(value))
            };
            let figures = FIGURES.iter().map(|(_, cell)| cell(system).unwrap_or_default());
            let times = system.breakdown.iter().map(|(_, time)| time.ps().to_string());
            let _ = rows.write_record(keys.iter().map(value).chain([system.name.clone()]).chain(figures).chain(times));
        }
    }
    let bytes = rows.into_inner().unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
