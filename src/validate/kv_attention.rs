//! Suite `kv-attention-error`: the error that each codec makes in the output of attention, on a model's own keys, values
//! and queries.
//!
//! Every row of the table (a context length, layer, head, method and its parameters) is computed again from the tensors.
//! Judged is the mean over the heads of a method: within 3 % for product quantisation, within 1 % for everything else.
//!
//! `--reference` takes a folder with tables (`attention_error*.csv`) and tensors (`*.safetensors`), or one table with the
//! tensors beside it. What is shipped is a part: two heads at 1920 tokens and four at 384.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use workloads::kv::measure::{Exact, Measures, Positions};
use workloads::kv::tensors::KvTensors;
use workloads::kv::{Codec, EncodedHead, TurboquantLike, Workspace};

use super::error::ValidateError;
use super::kv_reference::{Settings, files, wrong_file};
use super::outcome::{Case, Outcome};
use super::table::{Row, Table};
use super::{Options, Suite};
use crate::parallel;
use crate::tensors::EMBEDDED_TENSORS;

const FOLDER: &str = "validation/kv";
/// The tables that are shipped, beside the tensors that are built in.
const TABLES: [(&str, &str); 2] = [
    ("attention_error_n1920.csv", include_str!("../../validation/kv/attention_error_n1920.csv")),
    ("attention_error_n384.csv", include_str!("../../validation/kv/attention_error_n384.csv")),
];

const COLUMNS: [&str; 7] = ["n_ctx", "layer", "kv_head", "method", "params", "bits_per_elem", "rel_err_mean"];
/// The context is the longest multiple of this that ends before the queries.
const CONTEXT_STEP: usize = 128;
/// Positions that SnapKV observes.
const OBSERVED: usize = 32;
/// The signs of TurboQuant's rotation for seed 7 and 64 channels, the first in the lowest bit, a one for a minus: what the
/// reference's generator (NumPy's) draws, as golden.safetensors has it.
const SIGNS_OF_SEED_7: u64 = signs();
/// The bound of the means for product quantisation, and for everything else.
const BOUNDS: (f64, f64) = (0.03, 0.01);
/// Means this near count as equal: the table has six digits after the point, and scores of exact attention in FP32 are
/// rounded by about 1e-6 on either side.
const DIGITS: f64 = 3e-6;
/// With --quick so many heads of each context length.
const QUICK_HEADS: usize = 2;

const fn signs() -> u64 {
    let bits = *b"0101000010101011110111001100110110011001001110111100001010111001";
    let mut signs = 0;
    let mut index = 0;
    while index < 64 {
        if bits[index] == b'1' {
            signs |= 1 << index;
        }
        index += 1;
    }
    signs
}

/// The suite.
#[derive(Clone, Copy, Debug)]
pub struct KvAttentionError;

impl Suite for KvAttentionError {
    fn name(&self) -> &'static str {
        "kv-attention-error"
    }

    fn about(&self) -> &'static str {
        "the error of each KV codec in attention's output, on a model's own tensors"
    }

    fn run(&self, options: &Options) -> Result<Outcome, ValidateError> {
        let (name, tables, tensors) = match &options.reference {
            Some(path) => found(path)?,
            None => (FOLDER.to_owned(), shipped_tables()?, shipped_tensors()?),
        };
        let mut asked = Vec::new();
        for table in &tables {
            for row in table.rows() {
                asked.push(Asked::read(table, row, &tensors)?);
            }
        }
        if options.quick {
            asked = quick(asked);
        }
        let measured = measure(&asked, &tensors, options.threads);
        Ok(judge(&name, &tables[0], &asked, &measured?))
    }
}

fn shipped_tables() -> Result<Vec<Table>, ValidateError> {
    TABLES.iter().map(|(name, text)| Table::parse(&format!("{FOLDER}/{name}"), text.as_bytes(), &COLUMNS)).collect()
}

fn shipped_tensors() -> Result<Vec<KvTensors>, ValidateError> {
    let parse = |(name, bytes): &(&str, &[u8])| KvTensors::parse(&format!("{FOLDER}/{name}.safetensors"), bytes);
    EMBEDDED_TENSORS
        .iter()
        .map(|file| parse(file).map_err(|error| wrong_file(FOLDER, error.to_string(), error.remedy())))
        .collect()
}

/// The tables and tensors of a reference. A table without tensors beside it is about the shipped ones.
fn found(path: &Path) -> Result<(String, Vec<Table>, Vec<KvTensors>), ValidateError> {
    let name = path.display().to_string();
    let (folder, tables) = if path.is_dir() {
        (path.to_owned(), files(path, "attention_error", ".csv")?)
    } else {
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        (folder.to_owned(), vec![path.to_owned()])
    };
    if tables.is_empty() {
        let remedy = "--reference takes a folder with tables and *.safetensors, or a table with tensors beside it";
        return Err(wrong_file(&name, "there is no attention_error*.csv in this folder", remedy));
    }
    let tables: Result<Vec<Table>, _> = tables.iter().map(|path| Table::read(path, &COLUMNS)).collect();
    let tables = tables?;
    if let Some(other) = tables.iter().find(|table| table.columns() != tables[0].columns()) {
        return Err(wrong_file(
            other.name(),
            format!("has other columns than {}", tables[0].name()),
            "make them alike",
        ));
    }
    let mut tensors = Vec::new();
    for path in files(&folder, "", ".safetensors")? {
        // Golden vectors may lie in the same folder; they are of another form.
        if path.file_name().is_some_and(|name| name == "golden.safetensors") {
            continue;
        }
        let read = KvTensors::read(&path);
        tensors
            .push(read.map_err(|error| wrong_file(&folder.display().to_string(), error.to_string(), error.remedy()))?);
    }
    if tensors.is_empty() {
        tensors = shipped_tensors()?;
    }
    Ok((name, tables, tensors))
}

/// Only the first heads of each context length.
fn quick(asked: Vec<Asked<'_>>) -> Vec<Asked<'_>> {
    let mut heads: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
    for one in &asked {
        let heads = heads.entry(one.context).or_default();
        if !heads.contains(&one.head) && heads.len() < QUICK_HEADS {
            heads.push(one.head);
        }
    }
    asked.into_iter().filter(|one| heads[&one.context].contains(&one.head)).collect()
}

/// What encodes a row's head.
#[derive(Debug)]
enum Method {
    Codec(Box<dyn Codec>),
    /// With the signs of the reference.
    Turbo(TurboquantLike),
}

/// One row, understood.
#[derive(Debug)]
struct Asked<'a> {
    table: &'a Table,
    row: &'a Row,
    /// Which file of tensors, and which of its heads.
    head: (usize, usize),
    /// The prompt that the queries follow.
    length: usize,
    context: usize,
    method: Method,
    /// Tokens that are appended after a prompt of the others.
    generated: usize,
    positions: Positions,
    reference: f64,
    bound: f64,
}

impl<'a> Asked<'a> {
    fn read(table: &'a Table, row: &'a Row, tensors: &[KvTensors]) -> Result<Self, ValidateError> {
        let whole = |column: &str| -> Result<usize, ValidateError> {
            let text = table.text(row, column);
            let wrong = || table.wrong(row, column, 0, format!("`{column}` is \"{text}\""), "write a whole number");
            text.parse().map_err(|_| wrong())
        };
        let (context, layer, kv_head) = (whole("n_ctx")?, whole("layer")?, whole("kv_head")?);
        let fits = |length: usize, positions: usize| (length - positions) / CONTEXT_STEP * CONTEXT_STEP == context;
        let place = tensors.iter().enumerate().find_map(|(file, tensors)| {
            let head = tensors.heads.iter().position(|head| *head == (layer as u32, kv_head as u32))?;
            let (length, _) = tensors.lengths().find(|&(length, positions)| fits(length, positions))?;
            Some(((file, head), length, positions_of(tensors, length)))
        });
        let Some((head, length, positions)) = place.filter(|_| context > 0) else {
            let files: Vec<&str> = tensors.iter().map(|tensors| &tensors.name[..]).collect();
            let problem = format!("no tensors of layer {layer}, KV head {kv_head} with a context of {context}");
            let remedy = format!("put a file with them beside the table; looked at: {}", files.join(", "));
            return Err(table.wrong(row, "layer", 0, problem, remedy));
        };
        let mut settings = Settings::of(table, row, "params", ';');
        let read = method(&mut settings, table.text(row, "method"), context)?;
        settings.finish()?;
        let method = read.method;
        if let Method::Codec(codec) = &method {
            let d = tensors[head.0].head_dim;
            codec.check(context, d).map_err(|error| settings.refused(&error))?;
        }
        let product = table.text(row, "method").starts_with("pq") && table.text(row, "method") != "pqcache";
        Ok(Self {
            table,
            row,
            head,
            length,
            context,
            method,
            generated: read.generated,
            positions: Positions {
                observed: if read.observes { OBSERVED.min(positions / 2) } else { 0 },
                step: read.step,
            },
            reference: table.number(row, "rel_err_mean")?,
            bound: if product { BOUNDS.0 } else { BOUNDS.1 },
        })
    }
}

fn positions_of(tensors: &KvTensors, length: usize) -> usize {
    tensors.lengths().find(|(other, _)| *other == length).map_or(0, |(_, positions)| positions)
}

/// What the columns `method` and `params` say.
struct Read {
    method: Method,
    generated: usize,
    observes: bool,
    step: usize,
}

fn method(settings: &mut Settings<'_>, name: &str, context: usize) -> Result<Read, ValidateError> {
    let read = |settings: &Settings<'_>, text: &str| -> Result<Read, ValidateError> {
        Ok(Read { method: Method::Codec(settings.codec(text)?), generated: 0, observes: false, step: 1 })
    };
    match name {
        "fp16" => read(settings, "fp16"),
        "per_token" => {
            let bits = settings.need("b")?;
            read(settings, &format!("int:bits={bits}"))
        }
        "kivi" => {
            let (bits, group, residual) = (settings.need("b")?, settings.need("G")?, settings.need("R")?);
            read(settings, &format!("kivi:bits={bits},group={group},residual={residual}"))
        }
        "wkv_like" => {
            let (bits, group) = (settings.need("b")?, settings.need("G")?);
            read(settings, &format!("wkvquant-like:bits={bits},group={group},recent=0,channels=unrounded"))
        }
        "nuq_like" => {
            let (bits, outliers) = (settings.need("b")?, settings.need("outl")?);
            read(settings, &format!("kvquant-like:bits={bits},outliers={outliers}"))
        }
        "turbo_like" => {
            let (bits, seed) = (settings.number("b")?, settings.number::<u32>("seed")?);
            if seed != 7 {
                let problem = format!("the signs of seed {seed} are not known");
                return Err(settings.wrong_value(
                    "seed",
                    problem,
                    "the reference's generator is known for seed 7 alone",
                ));
            }
            settings.codec(&format!("turboquant-like:bits={bits}"))?;
            let method = Method::Turbo(TurboquantLike { bits, seed });
            Ok(Read { method, generated: 0, observes: false, step: 1 })
        }
        "streaming" => {
            let (sinks, keep) = (settings.need("sink")?, settings.need("keep")?);
            read(settings, &format!("streaming-llm:sinks={sinks},keep={keep}"))
        }
        "h2o" => {
            settings.need("heavy")?;
            let keep = settings.need("keep")?;
            read(settings, &format!("h2o:keep={keep}"))
        }
        "snapkv" => {
            settings.need("obs")?;
            let (window, keep) = (settings.need("window")?, settings.need("keep")?);
            let kernel = settings.need("kernel")?;
            let (kernel, pool) = match kernel.strip_suffix("max") {
                Some(kernel) => (kernel, "max"),
                None => (kernel.trim_end_matches("mean").trim_end_matches("avg"), "mean"),
            };
            let text = format!("snapkv:window={window},kernel={kernel},pool={pool},keep={keep}");
            Ok(Read { observes: true, ..read(settings, &text)? })
        }
        "pqcache" => {
            let (m, k, iterations) = (settings.need("m")?, settings.need("K")?, settings.need("it")?);
            let (sinks, keep) = (settings.need("sink")?, settings.need("ratio")?);
            let newest = (100.0 * settings.number::<f64>("recent_ratio")?).round();
            let text = format!(
                "pqcache:m={m},k={k},iterations={iterations},sinks={sinks},keep={keep},newest={newest},codebook=unrounded"
            );
            Ok(Read { step: step(settings), ..read(settings, &text)? })
        }
        "quest" => {
            let (page, keep) = (settings.need("page")?, settings.need("budget")?);
            Ok(Read { step: step(settings), ..read(settings, &format!("quest:page={page},keep={keep}"))? })
        }
        name if name == "pq" || name.starts_with("pq_") => pq(settings, context),
        other => {
            let known = "fp16, per_token, kivi, wkv_like, nuq_like, turbo_like, streaming, h2o, snapkv, pqcache, quest, pq \
                         and pq_...";
            let problem = format!("there is no method `{other}`");
            Err(settings.table.wrong(settings.row, "method", 0, problem, format!("methods are {known}")))
        }
    }
}

/// Every so manieth position.
fn step(settings: &mut Settings<'_>) -> usize {
    if settings.get("every 4th query").is_some() { 4 } else { 1 }
}

/// The variants of product quantisation.
fn pq(settings: &mut Settings<'_>, context: usize) -> Result<Read, ValidateError> {
    let (m, k, iterations) = (settings.need("m")?, settings.need("K")?, settings.need("it")?);
    let weights = match settings.get("w") {
        None => "none",
        Some("acc") => "attention",
        Some("sqrt(acc)") => "root",
        Some("acc_normalised") => "normalised",
        Some(other) => {
            let remedy = "weights are acc, sqrt(acc) and acc_normalised";
            return Err(settings.wrong_value("w", format!("`w` is \"{other}\""), remedy));
        }
    };
    let sorting = match settings.get("perm") {
        None => "none",
        Some("std_desc") => "deviation",
        Some("rope_pairs") => "rope-pairs",
        Some(other) => {
            let remedy = "orders are std_desc and rope_pairs";
            return Err(settings.wrong_value("perm", format!("`perm` is \"{other}\""), remedy));
        }
    };
    let [sinks, recent, window] = ["sink", "recent", "win"].map(|name| settings.get(name).unwrap_or("0"));
    let text = format!(
        "pq:m={m},k={k},iterations={iterations},weights={weights},sinks={sinks},recent={recent},window={window},\
         sort={sorting},codebook=unrounded"
    );
    let codec = settings.codec(&text)?;
    // Codebooks of the first tokens: these are the prompt, and the others are generated.
    let generated = match settings.get("train") {
        None => 0,
        Some(train) => {
            let tokens = train.trim_start_matches("first").trim_end_matches("after sinks").trim();
            let exact = [sinks, recent].iter().filter_map(|text| text.parse::<usize>().ok()).sum::<usize>();
            let prompt = tokens.parse::<usize>().ok().map(|tokens| tokens + exact);
            let Some(prompt) = prompt.filter(|prompt| *prompt <= context && *prompt > exact) else {
                let remedy = "write `train=first N` with at most the tokens that there are";
                return Err(settings.wrong_value("train", format!("`train` is \"{train}\""), remedy));
            };
            context - prompt
        }
    };
    Ok(Read { method: Method::Codec(codec), generated, observes: false, step: 1 })
}

/// The measures of all rows. Rows of one head and context share its exact attention.
fn measure(asked: &[Asked<'_>], tensors: &[KvTensors], threads: usize) -> Result<Vec<Measures>, ValidateError> {
    let mut heads: BTreeMap<(usize, (usize, usize)), Vec<usize>> = BTreeMap::new();
    for (index, one) in asked.iter().enumerate() {
        heads.entry((one.context, one.head)).or_default().push(index);
    }
    let heads: Vec<Vec<usize>> = heads.into_values().collect();
    let of_head = |workspace: &mut Workspace, head: usize| -> Result<Vec<(usize, Measures)>, ValidateError> {
        let rows = &heads[head];
        let Asked { head: (file, head), length, context, .. } = asked[rows[0]];
        let Some(head) = tensors[file].head(head, length, context) else { return Ok(Vec::new()) };
        let exact = Exact::new(head, OBSERVED);
        let mut measured = Vec::new();
        for &index in rows {
            let one = &asked[index];
            let refused = |error: workloads::kv::CodecError| {
                one.table.wrong(one.row, "params", 0, error.to_string(), error.remedy())
            };
            let prompt = exact.prompt(one.context - one.generated);
            let mut encoded: Box<dyn EncodedHead> = match &one.method {
                Method::Codec(codec) => codec.encode(&prompt),
                Method::Turbo(turbo) => {
                    let sign = |channel: usize| if SIGNS_OF_SEED_7 >> (channel % 64) & 1 == 1 { -1.0 } else { 1.0 };
                    turbo.encode_with(&prompt, &(0..head.head_dim.min(64)).map(sign).collect::<Vec<_>>())
                }
            }
            .map_err(refused)?;
            exact.append(encoded.as_mut(), one.generated);
            measured.push((index, exact.measure(encoded.as_ref(), one.positions, workspace)));
        }
        Ok(measured)
    };
    let mut all = Vec::new();
    for measured in parallel::in_order(heads.len(), threads, Workspace::default, of_head, |_| {}) {
        all.extend(measured?);
    }
    all.sort_by_key(|(index, _)| *index);
    Ok(all.into_iter().map(|(_, measures)| measures).collect())
}

/// The means over the heads of one context, method and parameters.
#[derive(Default)]
struct Group {
    rows: usize,
    reference: f64,
    ours: f64,
    bound: f64,
    /// The first row, for messages.
    line: u64,
}

impl Group {
    fn error(&self) -> f64 {
        let difference = (self.ours - self.reference).abs() / self.rows.max(1) as f64;
        let mean = self.reference / self.rows.max(1) as f64;
        if difference <= DIGITS { 0.0 } else { difference / mean.abs().max(DIGITS) }
    }
}

fn judge(name: &str, table: &Table, asked: &[Asked<'_>], measured: &[Measures]) -> Outcome {
    let key = |one: &Asked<'_>| {
        (one.context, one.table.text(one.row, "method").to_owned(), one.table.text(one.row, "params").to_owned())
    };
    let mut groups: BTreeMap<(usize, String, String), Group> = BTreeMap::new();
    for (one, measures) in asked.iter().zip(measured) {
        let group = groups.entry(key(one)).or_default();
        group.rows += 1;
        group.reference += one.reference;
        group.ours += measures.error_mean;
        group.bound = one.bound;
        group.line = if group.line == 0 { one.row.line() } else { group.line };
    }
    let failed: Vec<_> = groups.iter().filter(|(_, group)| group.error() > group.bound).collect();
    let worst = |bound: f64| {
        let errors = groups.values().filter(|group| (group.bound - bound).abs() < 1e-9).map(Group::error);
        errors.fold(0.0, f64::max)
    };
    let (product, scalar) = (worst(BOUNDS.0), worst(BOUNDS.1));
    let mut contexts: Vec<usize> = groups.keys().map(|(context, _, _)| *context).collect();
    contexts.dedup();
    let mut notes = vec![format!(
        "{} of {} means over heads within their bounds; the worst {:.4} % for product quantisation (bound {} %), {:.4} % for \
         the others (bound {} %)",
        groups.len() - failed.len(),
        groups.len(),
        100.0 * product,
        100.0 * BOUNDS.0,
        100.0 * scalar,
        100.0 * BOUNDS.1,
    )];
    for context in contexts {
        let rows = asked.iter().filter(|one| one.context == context);
        let mut heads: Vec<(usize, usize)> = rows.clone().map(|one| one.head).collect();
        heads.sort_unstable();
        heads.dedup();
        notes.push(format!("{context} tokens: {} rows of {} heads", rows.count(), heads.len()));
    }
    for ((context, method, params), group) in failed.iter().take(10) {
        let mut line = format!("line {}: {context} tokens, {method} {params}: mean ", group.line);
        let count = group.rows as f64;
        let _ = write!(line, "{:.6} here, {:.6} in the table", group.ours / count, group.reference / count);
        notes.push(line);
    }
    let cases = asked.iter().zip(measured).map(|(one, measures)| {
        let number = |number: Option<f64>| number.map_or_else(String::new, |number| format!("{number:.6}"));
        let ours = measures.error_mean;
        Case {
            line: one.row.line(),
            row: one.row.fields(),
            reference: one.reference,
            ours,
            exact: (ours - one.reference).abs() <= DIGITS,
            extra: vec![
                format!("{:.4}", measures.bits_per_element),
                format!("{:.6}", measures.error_median),
                format!("{:.6}", measures.cosine_mean),
                number(measures.total_variation),
                number(measures.key_nmse),
                number(measures.value_nmse),
                groups.get(&key(one)).map_or_else(String::new, |group| group.error().to_string()),
            ],
        }
    });
    let extra =
        ["our_bits_per_elem", "our_median", "our_cosine", "our_tv_prob", "our_K_nmse", "our_V_nmse", "error_of_mean"];
    Outcome {
        parts: None,
        suite: "kv-attention-error".to_owned(),
        reference: name.to_owned(),
        columns: table.columns().to_vec(),
        extra_columns: extra.map(str::to_owned).to_vec(),
        passed: failed.is_empty(),
        cases: cases.collect(),
        bound: vec![("pq_mean_error".to_owned(), BOUNDS.0), ("other_mean_error".to_owned(), BOUNDS.1)],
        found: vec![
            ("pq_mean_error".to_owned(), product),
            ("other_mean_error".to_owned(), scalar),
            ("means".to_owned(), groups.len() as f64),
        ],
        notes,
    }
}

#[cfg(test)]
mod tests;
