//! The table of a run for the terminal.
//!
//! Systems are columns: the reader compares the numbers of one line. Four systems fit in 120 columns, more come in
//! further tables below.

use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle};
use serde_json::Value;
use sim_core::Category;

use crate::analyse::{Accuracy, PointReport, RunReport, SystemReport, Use};
use crate::energy;
use crate::prefill::PrefillReport;
use crate::sweep::{self, Column};
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
    let names = systems.iter().map(|system| breakable(&(shortened(&system.name, 44) + partial(system)), true));
    table.set_header(std::iter::once(Cell::new("")).chain(names));
    let mut row = |label: &str, value: &dyn Fn(&SystemReport) -> String| {
        table.add_row(std::iter::once(Cell::new(label)).chain(systems.iter().map(|system| right(value(system)))));
    };
    if systems.iter().any(|system| system.prefill.is_some()) {
        prefill(&mut row, systems);
    }
    let decodes = systems.iter().any(SystemReport::decodes);
    let kernels = SystemReport::are_kernels(systems);
    if kernels {
        row("latency", &|s| s.latency().to_string());
        row("kernel", &SystemReport::shape);
    } else {
        if decodes {
            row("latency per token", &|s| decoded(s, s.latency_per_token().to_string()));
            row("tokens per second", &|s| decoded(s, significant(s.tokens_per_second())));
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
        row("exposed communication", &|s| decoded(s, percent(s.breakdown.communication_share())));
        row("busy communication", &|s| decoded(s, percent(s.communication_busy_share())));
    }
    if systems.iter().any(|system| system.attention.layers > 0) {
        row("attention of a layer", &|s| s.attention.per_layer().to_string());
    }
    for (label, memory) in MEMORIES {
        if systems.iter().any(|system| memory(system).is_some()) {
            row(label, &|s| memory(s).map_or_else(|| "-".to_owned(), used_of));
        }
    }
    if systems.iter().any(|system| system.energy_pj.first().is_some_and(|(_, energy)| *energy > 0.0)) {
        row(if kernels { "energy" } else { "energy per token step" }, &|s| {
            s.energy_per_step().map_or_else(|| "-".to_owned(), |energy| format!("{} mJ", significant(energy / 1e9)))
        });
        energies(&mut row, systems, kernels);
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

/// The rows of the energy's parts, below that of a whole token step.
fn energies(row: &mut dyn FnMut(&str, Shown<'_>), systems: &[SystemReport], kernels: bool) {
    if systems.iter().all(|system| energy::of_step(system).is_none()) {
        return;
    }
    // All of a kernel's is PIM's.
    let groups = if kernels { &[][..] } else { &ENERGY_GROUPS[..] };
    for &(label, group) in groups {
        if systems.iter().any(|system| system.energy_share(group) > 0.0) {
            row(&format!("  {label}"), &|s| match energy::of_step(s) {
                Some(_) if s.energy_share(group) > 0.0 => percent(s.energy_share(group)),
                _ => "-".to_owned(),
            });
        }
    }
    row("  idle, standby, refresh", &|s| {
        energy::of_step(s).map_or_else(|| "-".to_owned(), |groups| percent(energy::idle_share(&groups)))
    });
    if systems.iter().any(|system| system.attention_energy_per_step().is_some()) {
        row("energy of its attention", &|s| {
            let energy = s.attention_energy_per_step();
            energy.map_or_else(|| "-".to_owned(), |energy| format!("{} mJ", significant(energy / 1e9)))
        });
    }
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

/// What of a memory is used. The unit stands once where both have the same, so that four systems fit side by side.
fn used_of(memory: Use) -> String {
    let (used, capacity) = (memory.used.to_string(), memory.capacity.to_string());
    match (used.rsplit_once(' '), capacity.rsplit_once(' ')) {
        (Some((number, unit)), Some((_, same))) if unit == same => format!("{number} / {capacity}"),
        _ => format!("{used} / {capacity}"),
    }
}

/// One row per point and system of a sweep.
pub fn points(points: &[PointReport]) -> String {
    let mut table = new_table();
    let (columns, rows) = sweep::table(points);
    let head = |c: &Column| breakable(&c.name, !c.text);
    let cell =
        |(c, text): (&Column, String)| if c.text { breakable(&shortened(&text, 50), false) } else { right(text) };
    table.set_header(columns.iter().map(head));
    for row in rows {
        table.add_row(columns.iter().zip(row).map(cell));
    }
    let shares = columns.iter().any(|column| column.name == "exposed");
    let legend = if shares { format!("{}\n", sweep::SHARES) } else { String::new() };
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

/// What is known only once a token is decoded.
fn decoded(system: &SystemReport, value: String) -> String {
    if system.tokens > 0 { value } else { "-".to_owned() }
}

fn right(text: String) -> Cell {
    Cell::new_owned(text).set_alignment(CellAlignment::Right)
}

/// Where a text may be broken: a space without width, which is taken out of the table again.
const BREAK: char = '\u{200b}';

/// A cell that is broken at separators before it is broken in words. A blank goes to the side that does not show.
fn breakable(text: &str, to_the_right: bool) -> Cell {
    let mut broken = String::with_capacity(text.len() + 8);
    // The character before, and the one before that.
    let (mut before, mut earlier, mut rest) = (None::<char>, None::<char>, text.chars().peekable());
    while let Some(c) = rest.next() {
        let next = rest.peek();
        if c == ' ' && to_the_right {
            broken.push(BREAK);
        }
        broken.push(c);
        let word = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric());
        let after = match c {
            ' ' => !to_the_right,
            '/' | '_' => next.is_some(),
            // Neither a sign nor a number is taken apart.
            '-' if before == Some('e') && earlier.is_some_and(|c| c.is_ascii_digit() || c == '.') => false,
            '-' => word(before.as_ref()) && word(next),
            '.' | ',' => next.is_some_and(|next| next.is_alphabetic()),
            _ => false,
        };
        if after {
            broken.push(BREAK);
        }
        (earlier, before) = (before, Some(c));
    }
    let cell = Cell::new_owned(broken).set_delimiter(BREAK);
    if to_the_right { cell.set_alignment(CellAlignment::Right) } else { cell }
}

fn rendered(table: &Table) -> String {
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.replace(BREAK, "").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_may_a_text_be_broken() {
        for (text, left) in [
            ("models/llama-2-7b.json", "models/|llama-|2-|7b.|json"),
            ("1.25e-05", "1.25e-05"),
            ("-3 of 4", "-3 |of |4"),
            ("a_key, two", "a_|key, |two"),
            ("m=16,k=512", "m=16,|k=512"),
        ] {
            assert_eq!(breakable(text, false).content().replace(BREAK, "|"), left);
        }
        assert_eq!(breakable("a b-c", true).content().replace(BREAK, "|"), "a| b-|c");
    }
}
