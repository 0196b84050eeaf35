//! `pimscope list`: what there is, as text.

use comfy_table::{ContentArrangement, Table, presets};

use crate::catalogue::{Catalogue, Entry, FigureField, FigureKind, Kind, UnknownName, nearest};
use crate::scenario;
use workloads::kv;

/// What can be listed besides the catalogue.
const OTHERS: [&str; 3] = ["models", "scenarios", "codecs"];

/// Nothing of this name can be listed. The user's mistake; nothing was printed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// There is no such list.
    #[error("there is no list `{word}`{}; lists: {}", did_you_mean(nearest.as_deref()), lists().join(", "))]
    NoList {
        /// The word as written.
        word: String,
        /// The list that may have been meant.
        nearest: Option<String>,
    },
    /// The list has no such entry.
    #[error("{unknown}{}; there are: {}", did_you_mean(unknown.nearest.as_deref()), unknown.all.join(", "))]
    NoEntry {
        /// What was looked for, and where.
        unknown: UnknownName,
    },
    /// Only devices have figures.
    #[error("{word} have no figures to show: `pimscope list {word}` shows all there is")]
    NoFigures {
        /// The list.
        word: String,
    },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!(": did you mean `{nearest}`?"))
}

/// The words that [`list`] takes.
pub(super) fn lists() -> Vec<&'static str> {
    Kind::ALL.into_iter().map(Kind::plural).chain(OTHERS).collect()
}

/// The table that `pimscope list WORD` prints.
pub fn list(word: &str) -> Result<String, ListError> {
    if let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.plural() == word) {
        return Ok(devices(kind));
    }
    match word {
        "models" => Ok(models()),
        "scenarios" => Ok(scenarios()),
        "codecs" => Ok(codecs()),
        _ => Err(no_list(word)),
    }
}

/// The table that `pimscope list WORD NAME` prints: every figure of one device with its source.
pub fn list_entry(word: &str, name: &str) -> Result<String, ListError> {
    let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.plural() == word) else {
        return Err(if OTHERS.contains(&word) {
            ListError::NoFigures { word: word.to_owned() }
        } else {
            no_list(word)
        });
    };
    let entry = Catalogue::embedded().find(kind, name).map_err(|unknown| ListError::NoEntry { unknown })?;
    Ok(figures(entry))
}

fn no_list(word: &str) -> ListError {
    ListError::NoList { word: word.to_owned(), nearest: nearest(word, lists().into_iter()).map(str::to_owned) }
}

/// The columns of a list of devices: heading and key.
const fn columns(kind: Kind) -> &'static [(&'static str, &'static str)] {
    match kind {
        Kind::Gpu => &[
            ("memory", "mem_capacity"),
            ("stacks", "hbm_stacks"),
            ("bandwidth", "mem_bw_peak"),
            ("streaming", "stream_fraction"),
            ("FP16", "fp16_dense"),
            ("launch", "launch_interval_graph"),
        ],
        Kind::Cpu => &[
            ("sockets", "sockets"),
            ("cores", "cores"),
            ("bandwidth", "mem_bw_peak"),
            ("memory", "mem_capacity"),
            ("FP16", "fp16"),
        ],
        Kind::Link => &[
            ("protocol", "link_kind"),
            ("raw rate", "raw_bw"),
            ("packets", "link_efficiency"),
            ("flit payload", "flit_payload"),
            ("host port", "host_port"),
            ("latency", "latency"),
        ],
        Kind::Pim => &[
            ("stack", "stack_capacity"),
            ("channels", "channels"),
            ("interface", "ext_bandwidth"),
            ("rules", "rules"),
            ("GQA", "gqa"),
            ("link", "link"),
        ],
    }
}

/// The mark behind a figure in a list of devices.
const fn mark(kind: FigureKind) -> &'static str {
    match kind {
        FigureKind::Measured => " m",
        FigureKind::Assumption => " a",
        FigureKind::Unverified => " ?",
        FigureKind::Spec | FigureKind::Derived | FigureKind::Scenario => "",
    }
}

fn devices(kind: Kind) -> String {
    let mut table = table();
    let columns = columns(kind);
    let headings = ["name", "also"].into_iter().chain(columns.iter().map(|(heading, _)| *heading));
    table.set_header(headings);
    for entry in Catalogue::embedded().of(kind) {
        let name = match (entry.simulated, &entry.why_not) {
            (true, _) => entry.name.clone(),
            // Devices that cannot be part of a system, but run kernels, say so.
            (false, Some(_)) if kind == Kind::Pim => format!("{} (kernels only)", entry.name),
            (false, _) => format!("{} (not simulated)", entry.name),
        };
        let cells = columns.iter().map(|(_, key)| match entry.get(key) {
            // Remarks such as "per socket" would only widen the columns.
            Some(figure) => {
                let written = figure.written();
                let plain = written.split(" per ").next().unwrap_or_default();
                let plain = plain.split(" of ").next().unwrap_or_default();
                format!("{plain}{}", mark(figure.kind))
            }
            None => String::new(),
        });
        table.add_row([name, also(entry)].into_iter().chain(cells));
    }
    format!(
        "{}\nm measured, a assumption, ? unverified, no mark: specification or derived from other figures.\n\
         `pimscope list {} NAME` shows every figure with its source.\n",
        text(table),
        kind.plural()
    )
}

/// The first aliases; the rest are spellings of them.
fn also(entry: &Entry) -> String {
    entry.aliases.iter().take(2).cloned().collect::<Vec<_>>().join(", ")
}

fn figures(entry: &Entry) -> String {
    let mut table = table();
    table.set_header(["figure", "value", "kind", "source"]);
    let read = FigureField::of(entry.kind);
    let is_read = |key: &str| read.iter().any(|field| field.key == key);
    for figure in &entry.figures {
        let source = match &figure.note {
            Some(note) => format!("{}; {note}", figure.source),
            None => figure.source.clone(),
        };
        let key = if is_read(&figure.key) { format!("{} *", figure.key) } else { figure.key.clone() };
        table.add_row([key, figure.written(), figure.kind.to_string(), source]);
    }
    let names = if entry.aliases.is_empty() { String::new() } else { format!(", also {}", entry.aliases.join(", ")) };
    let fate = match (entry.simulated, &entry.why_not) {
        (true, _) => "* read by the simulator.".to_owned(),
        (false, None) => "Too little is known to simulate it.".to_owned(),
        (false, Some(why)) => format!("It cannot be part of a system: {why}."),
    };
    format!("{} ({}{names})\n{}\n{fate}\n", entry.name, entry.kind, text(table))
}

fn models() -> String {
    let mut table = table();
    table.set_header(["name", "type", "layers", "trained length"]);
    for (name, text) in scenario::EMBEDDED_MODELS {
        let config: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        let number = |keys: &[&str]| {
            let value = keys.iter().find_map(|key| config.get(key)?.as_u64());
            value.map_or_else(String::new, |value| value.to_string())
        };
        table.add_row([
            format!("models/{name}.json"),
            config["model_type"].as_str().unwrap_or_default().to_owned(),
            number(&["num_hidden_layers", "n_layer"]),
            number(&["max_position_embeddings", "n_positions"]),
        ]);
    }
    format!("{}\nA scenario may also name any Hugging Face config.json by its path.\n", text(table))
}

fn scenarios() -> String {
    if scenario::SHIPPED_SCENARIOS.is_empty() {
        return "No scenario is built in.\n".to_owned();
    }
    let mut table = table();
    table.set_header(["file", "what"]);
    for (name, text) in scenario::SHIPPED_SCENARIOS {
        table.add_row([format!("scenarios/{name}.toml"), scenario::title(text)]);
    }
    format!("{}\n", text(table))
}

fn codecs() -> String {
    let mut table = table();
    table.set_header(["codec", "what", "parameters and their defaults"]);
    for codec in kv::codecs() {
        table.add_row([codec.name().to_owned(), codec.summary().to_owned(), codec.parameters()]);
    }
    format!("{}\n", text(table))
}

fn table() -> Table {
    let mut table = Table::new();
    // No lines: the output is read by people and by `grep` alike, and is the same in every terminal.
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// The table without spaces at the ends of its lines.
fn text(mut table: Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}
