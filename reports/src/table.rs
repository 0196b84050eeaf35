//! The table of a run for the terminal.
//!
//! Systems are columns: the reader compares the numbers of one line. Four systems fit in 120 columns, more come in
//! further tables below.

use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle};
use serde_json::Value;
use sim_core::Category;

use crate::analyse::{Accuracy, PointReport, RunReport, SystemReport, Use};
use crate::clustering::Clustering;
use crate::prefill::{PrefillReport, signed};
use crate::text::{percent, printable, shortened, significant};

/// The columns of the terminal that the tables fit in.
const WIDTH: u16 = 120;
/// A line below the header and no other: the rows are read as a block.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
/// Systems in one table.
const ACROSS: usize = 4;

/// The tables of a run: its systems, and its points if it is a sweep.
pub fn table(run: &RunReport) -> String {
    let mut text = String::new();
    if !run.systems.is_empty() || run.points.is_empty() {
        text.push_str(&systems(&run.systems));
    }
    if !run.points.is_empty() {
        text.push_str(&points(&run.points));
    }
    if let Some(stopped) = &run.stopped {
        text.extend([&printable(&stopped.sentence()), "\n"]);
    }
    text
}

/// One column per system, and the notes below.
pub fn systems(systems: &[SystemReport]) -> String {
    if systems.is_empty() {
        return "no system to show\n".to_owned();
    }
    let mut text = String::new();
    for systems in systems.chunks(ACROSS) {
        text.push_str(&rendered(&comparison(systems)));
    }
    for system in systems {
        let lines: Vec<&String> = system.memory.placement.iter().chain(&system.notes).collect();
        if !lines.is_empty() {
            text.extend([&printable(&system.name), "\n"]);
        }
        for line in lines {
            text.extend(["  - ", &printable(line), "\n"]);
        }
    }
    text
}

fn comparison(systems: &[SystemReport]) -> Table {
    let mut table = new_table();
    let partial = |system: &SystemReport| if system.stopped.is_some() { " (partial)" } else { "" };
    let names = systems.iter().map(|system| right(shortened(&system.name, 44) + partial(system)));
    table.set_header(std::iter::once(Cell::new("")).chain(names));
    let mut row = |label: &str, value: &dyn Fn(&SystemReport) -> String| {
        table.add_row(std::iter::once(Cell::new(label)).chain(systems.iter().map(|system| right(value(system)))));
    };
    if systems.iter().any(|system| system.prefill.is_some()) {
        prefill(&mut row, systems);
    }
    let decodes = systems.iter().any(SystemReport::decodes);
    if systems.iter().all(|system| system.kernel.is_some()) {
        row("latency", &|s| s.latency().to_string());
        row("kernel", &SystemReport::shape);
    } else {
        if decodes {
            row("latency per token", &|s| s.latency_per_token().to_string());
            row("tokens per second", &|s| significant(s.tokens_per_second()));
        }
        row("batch, context, tokens", &SystemReport::shape);
    }
    for category in Category::ALL {
        if systems.iter().any(|system| system.breakdown.get(category).ps() > 0) {
            row(&format!("  {category}"), &|s| match s.breakdown.get(category).ps() {
                0 => "-".to_owned(),
                _ => percent(s.breakdown.share(category)),
            });
        }
    }
    if decodes {
        row("exposed communication", &|s| percent(s.breakdown.communication_share()));
        row("busy communication", &|s| percent(s.communication_busy_share()));
    }
    if systems.iter().any(|system| system.attention.layers > 0) {
        row("attention of a layer", &|s| s.attention.per_layer().to_string());
    }
    for (label, memory) in MEMORIES {
        if systems.iter().any(|system| memory(system).is_some()) {
            row(label, &|s| memory(s).map_or_else(|| "-".to_owned(), |m| format!("{} / {}", m.used, m.capacity)));
        }
    }
    if systems.iter().any(|system| system.energy_pj.first().is_some_and(|(_, energy)| *energy > 0.0)) {
        row("energy per token step", &|s| {
            s.energy_per_step().map_or_else(|| "-".to_owned(), |energy| format!("{} mJ", significant(energy / 1e9)))
        });
    }
    if systems.iter().any(|system| system.memory.kv_tokens_that_fit > 0) {
        row("context that fits", &|s| s.memory.kv_tokens_that_fit.to_string());
    }
    if systems.iter().any(|system| system.memory.kv_bytes.packed != system.memory.kv_bytes.plain) {
        row("KV smaller than FP16", &|s| {
            let (packed, paged) = s.memory.kv_bytes.compression();
            format!("{packed:.2}x ({paged:.2}x paged)")
        });
    }
    if systems.iter().any(|system| system.accuracy.is_some()) {
        let of =
            |s: &SystemReport, text: &dyn Fn(&Accuracy) -> String| s.accuracy.as_ref().map_or("-".to_owned(), text);
        row("error of attention", &|s| of(s, &|accuracy| percent(accuracy.error)));
        row("stored bits per element", &|s| of(s, &|accuracy| significant(accuracy.bits_per_element)));
    }
    // Long names of systems are wrapped, the labels never.
    if let Some(labels) = table.column_mut(0) {
        labels.set_constraint(ColumnConstraint::ContentWidth);
    }
    table
}

/// What a row shows of a system.
type Shown<'a> = &'a dyn Fn(&SystemReport) -> String;

/// Groups of parts of the energy, each with its label.
pub(crate) const ENERGY_GROUPS: [(&str, &str); 4] =
    [("of it GPU", "gpu"), ("of it PIM", "pim"), ("of it host", "host"), ("of it links", "communication")];

/// The rows of the prefill, above those of the tokens.
fn prefill(row: &mut dyn FnMut(&str, Shown<'_>), systems: &[SystemReport]) {
    let of =
        |s: &SystemReport, value: &dyn Fn(&PrefillReport) -> String| s.prefill.as_ref().map_or("-".to_owned(), value);
    row("time to first token", &|s| of(s, &|p| p.latency().to_string()));
    row("prompt tokens per second", &|s| of(s, &|p| significant(p.tokens_per_second())));
    row("prompts, groups, chunks", &|s| of(s, &PrefillReport::cut));
    for category in Category::ALL {
        if systems.iter().filter_map(|s| s.prefill.as_ref()).any(|p| p.breakdown.get(category).ps() > 0) {
            row(&format!("  {category}"), &|s| {
                of(s, &|p| match p.breakdown.get(category).ps() {
                    0 => "-".to_owned(),
                    _ => percent(p.breakdown.share(category)),
                })
            });
        }
    }
    row("  GPU time of a layer", &|s| of(s, &|p| p.gpu_layer().to_string()));
    row("  K and V at home after", &|s| of(s, &|p| p.done.to_string()));
    if systems.iter().filter_map(|s| s.prefill.as_ref()).any(|p| p.clustering.is_some()) {
        for (label, cell) in PrefillReport::clustering_rows() {
            if systems.iter().any(|s| of(s, &cell) != "-") {
                row(&format!("  {label}"), &|s| of(s, &cell));
            }
        }
    }
}

type MemoryOf = fn(&SystemReport) -> Option<Use>;

/// The memories, each with its label.
const MEMORIES: [(&str, MemoryOf); 3] =
    [("GPU memory", |s| s.memory.gpu), ("PIM memory", |s| s.memory.pim), ("host memory", |s| s.memory.host)];

/// One row per point and system of a sweep.
pub fn points(points: &[PointReport]) -> String {
    let mut table = new_table();
    // Points may differ in their keys: a system can have keys that another does not.
    let mut keys: Vec<&str> = Vec::new();
    for (key, _) in points.iter().flat_map(|point| &point.keys) {
        if !keys.contains(&key.as_str()) {
            keys.push(key);
        }
    }
    let mut header: Vec<Cell> = keys.iter().map(|key| Cell::new(printable(key))).collect();
    header.push(Cell::new("system"));
    // Of a sweep with prompts the time to first token; the widest tables still fit.
    let prefill = points.iter().flat_map(|point| &point.systems).any(|system| system.prefill.is_some());
    if prefill {
        header.push(right("first token".to_owned()));
    }
    let of_clustering = |system: &SystemReport| system.prefill.as_ref().is_some_and(|p| p.clustering.is_some());
    let clustering = points.iter().flat_map(|point| &point.systems).any(of_clustering);
    if clustering {
        header.extend(["GPU layer", "clustering", "margin", "hidden"].map(|name| right(name.to_owned())));
    }
    let decodes = points.iter().flat_map(|point| &point.systems).any(SystemReport::decodes);
    header.extend(decodes.then(|| right("latency/token".to_owned())));
    let attention = points.iter().flat_map(|point| &point.systems).any(|system| system.attention.layers > 0);
    header.extend(attention.then(|| right("attention/layer".to_owned())));
    if decodes {
        header.extend(["tokens/s", "exposed", "busy"].map(|name| right(name.to_owned())));
    }
    let with_error = points.iter().flat_map(|point| &point.systems).any(|system| system.accuracy.is_some());
    header.extend(with_error.then(|| right("error".to_owned())));
    table.set_header(header);
    for point in points {
        for system in &point.systems {
            let value =
                |key: &&str| point.keys.iter().find(|(k, _)| k == key).map_or_else(String::new, |(_, v)| plain(v));
            let mut row: Vec<Cell> = keys.iter().map(|key| Cell::new(shortened(&value(key), 40))).collect();
            let partial = if system.stopped.is_some() { " (partial)" } else { "" };
            row.push(Cell::new(shortened(&system.name, 40) + partial));
            if prefill {
                row.push(right(system.prefill.as_ref().map_or("-".to_owned(), |p| p.latency().to_string())));
            }
            if clustering {
                let cell = |value: &dyn Fn(&Clustering) -> String| {
                    right(system.prefill.as_ref().map_or("-".to_owned(), |p| p.clustering_cell(value)))
                };
                row.push(cell(&|c| c.gpu_layer().to_string()));
                row.push(cell(&|c| c.layer().to_string()));
                row.push(cell(&|c| signed(c.margin())));
                row.push(cell(&|c| if c.hidden() { "yes" } else { "no" }.to_owned()));
            }
            if decodes {
                row.push(right(system.latency_per_token().to_string()));
            }
            if attention {
                row.push(right(system.attention.per_layer().to_string()));
            }
            if decodes {
                row.push(right(significant(system.tokens_per_second())));
                row.push(right(percent(system.breakdown.communication_share())));
                row.push(right(percent(system.communication_busy_share())));
            }
            if with_error {
                let error = system.accuracy.as_ref().map(|accuracy| percent(accuracy.error));
                row.push(right(error.unwrap_or_else(|| "-".to_owned())));
            }
            table.add_row(row);
        }
    }
    let legend =
        if decodes { "exposed: communication on the critical path; busy: any transfer under way\n" } else { "" };
    format!("{}{legend}", rendered(&table))
}

/// A value as a person would write it: text without quotes.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => printable(text),
        value => value.to_string(),
    }
}

fn new_table() -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table
}

fn right(text: String) -> Cell {
    Cell::new_owned(text).set_alignment(CellAlignment::Right)
}

fn rendered(table: &Table) -> String {
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
