//! What KV codecs do to a model's own keys and values: the error in attention's output against the bits that are stored.
//!
//! [`Plan`] reads a file of tensors and the codecs, and refuses what does not go together before anything is computed.
//! [`Plan::measure`] goes through all heads and codecs by several threads, with results that do not depend on how many. The
//! [`Report`] becomes a [`table`] for people, a [`csv()`] with a row for each head, a [`json()`] summary and a [`figure`].

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use reports::ReportError;
use reports::figure::error_bits::{self, Point};
use serde_json::{Value, json};
use workloads::kv::measure::{Exact, Measures, Positions};
use workloads::kv::tensors::KvTensors;
use workloads::kv::{self, Codec, CodecError, HeadShape, Needs, Workspace};

use crate::parallel;

/// The context is by default the longest multiple of this before the queries.
const CONTEXT_STEP: usize = 128;

/// The codecs of `--codec all`: each codec, and those parameters that the literature compares.
pub const DEFAULT_SET: [&str; 26] = [
    "fp16",
    "int:bits=8",
    "int:bits=4",
    "int:bits=2",
    "kivi:bits=4",
    "kivi:bits=2",
    "wkvquant-like:bits=4",
    "skvq-like:key_bits=4,value_bits=4",
    "skvq-like:key_bits=2,value_bits=2",
    "turboquant-like:bits=4",
    "turboquant-like:bits=2",
    "kvquant-like:bits=4",
    "kvquant-like:bits=2",
    "pq:m=32,k=512",
    "pq:m=32,k=256",
    "pq:m=16,k=256",
    "pq:m=8,k=256",
    "pq:m=32,k=512,weights=none,sinks=0,recent=0",
    "pqcache:keep=0.2",
    "snapkv:keep=0.25",
    "snapkv:keep=0.125",
    "streaming-llm:keep=0.25",
    "streaming-llm:keep=0.125",
    "h2o:keep=0.25",
    "h2o:keep=0.125",
    "quest:keep=0.125",
];

/// Why the codecs cannot be measured. The input is to blame for all of it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QuantizeError {
    /// A codec, its parameters or the tensors are wrong.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A flag is wrong.
    #[error("{flag}: {problem}")]
    Flag {
        /// The flag with its value.
        flag: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: String,
    },
}

impl QuantizeError {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Codec(error) => error.remedy(),
            Self::Flag { remedy, .. } => remedy.clone(),
        }
    }
}

/// What is measured: heads and codecs that go together.
#[derive(Debug)]
pub struct Plan {
    tensors: KvTensors,
    /// Rows of the tensors.
    rows: Vec<usize>,
    /// The prompt that the queries follow, and the number of their positions.
    length: usize,
    positions: usize,
    context: usize,
    generated: usize,
    /// As they were written, and what they are.
    codecs: Vec<(String, Box<dyn Codec>)>,
    /// Codecs of the default set that the tensors do not go with, and why.
    left_out: Vec<String>,
}

/// One codec on all heads.
#[derive(Debug)]
pub struct OfCodec {
    /// The codec as it was written.
    pub text: String,
    /// Its name.
    pub name: &'static str,
    /// All its parameters.
    pub parameters: String,
    /// One for each head, in the order of [`Report::heads`].
    pub measures: Vec<Measures>,
    /// Bytes that its cost side says one head takes.
    pub stored_bytes: u64,
    /// The same in whole words and pages of HBM.
    pub padded_bytes: u64,
}

/// What was found.
#[derive(Debug)]
pub struct Report {
    /// The file, without its folders.
    pub file: String,
    /// Layer and KV head.
    pub heads: Vec<(u32, u32)>,
    /// Stored tokens.
    pub context: usize,
    /// Of these the appended ones.
    pub generated: usize,
    /// Elements of a head, and query heads for each.
    pub shape: HeadShape,
    /// Codecs, in the order in which they were asked for.
    pub codecs: Vec<OfCodec>,
    /// Codecs of the default set that were left out, and why.
    pub left_out: Vec<String>,
}

/// Reads `0,3,5-9`.
fn layers(text: &str) -> Result<Vec<u32>, QuantizeError> {
    let mut layers = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (first.trim().parse::<u32>(), last.trim().parse::<u32>()) {
            (Ok(first), Ok(last)) if first <= last && last - first < 65_536 => layers.extend(first..=last),
            _ => {
                return Err(QuantizeError::Flag {
                    flag: format!("--layers {text}"),
                    problem: format!("\"{part}\" is no layer and no range of layers"),
                    remedy: "write numbers and ranges with commas: --layers 0,3,5-9".to_owned(),
                });
            }
        }
    }
    Ok(layers)
}

impl Plan {
    /// Reads the codecs and the tensors. No codec, or the word `all`, is the default set.
    ///
    /// # Errors
    /// [`QuantizeError`] with the place.
    pub fn new(
        file: &Path,
        codecs: &[String],
        wanted_layers: Option<&str>,
        context: Option<usize>,
        generated: usize,
    ) -> Result<Self, QuantizeError> {
        let all = codecs.is_empty() || codecs.iter().any(|text| text == "all");
        let given: Vec<(String, Box<dyn Codec>)> = codecs
            .iter()
            .filter(|text| *text != "all")
            .map(|text| Ok((text.trim().to_owned(), kv::parse(text)?)))
            .collect::<Result<_, CodecError>>()?;
        let wanted_layers = wanted_layers.map(layers).transpose()?;
        let tensors = KvTensors::read(file)?;
        let rows = rows(&tensors, wanted_layers.as_deref())?;
        let mut plan = Self::on(tensors, rows, context, generated)?;
        for (text, codec) in given {
            plan.add(text, codec)?;
        }
        if all {
            for text in DEFAULT_SET {
                let codec = kv::parse(text)?;
                match plan.try_codec(codec.as_ref()) {
                    Ok(()) => plan.codecs.push((text.to_owned(), codec)),
                    Err(error) => plan.left_out.push(error.to_string()),
                }
            }
        }
        Ok(plan)
    }

    /// All heads of `tensors`, without a codec yet.
    ///
    /// # Errors
    /// [`QuantizeError::Flag`] where there are not so many tokens.
    pub fn all_heads(tensors: KvTensors, context: Option<usize>) -> Result<Self, QuantizeError> {
        let rows = (0..tensors.heads.len()).collect();
        Self::on(tensors, rows, context, 0)
    }

    /// One codec more.
    ///
    /// # Errors
    /// [`CodecError`] where it does not go with the tensors.
    pub fn add(&mut self, text: String, codec: Box<dyn Codec>) -> Result<(), CodecError> {
        self.try_codec(codec.as_ref())?;
        self.codecs.push((text, codec));
        Ok(())
    }

    /// Elements of a head.
    pub fn head_dim(&self) -> u32 {
        self.tensors.head_dim as u32
    }

    fn on(
        tensors: KvTensors,
        rows: Vec<usize>,
        context: Option<usize>,
        generated: usize,
    ) -> Result<Self, QuantizeError> {
        let (length, positions, context) = place(&tensors, context)?;
        if generated >= context {
            return Err(QuantizeError::Flag {
                flag: format!("--generated {generated}"),
                problem: format!("of {context} tokens"),
                remedy: "leave at least one token for the prompt".to_owned(),
            });
        }
        Ok(Self { tensors, rows, length, positions, context, generated, codecs: Vec::new(), left_out: Vec::new() })
    }

    /// Whether a codec goes with the tensors: shapes, and whether what it has to know is there.
    fn try_codec(&self, codec: &dyn Codec) -> Result<(), CodecError> {
        codec.check(self.context, self.tensors.head_dim)?;
        let known = match codec.needs() {
            Needs::Nothing => true,
            Needs::Accumulated => self.tensors.has_accumulated(self.length),
            Needs::Observed => self.positions > 1,
        };
        if known { Ok(()) } else { Err(codec.needs().missing(codec)) }
    }

    fn head(&self, index: usize) -> Option<kv::measure::Head<'_>> {
        self.tensors.head(self.rows[index], self.length, self.context)
    }

    /// Positions that a codec may look at: half of them, where it looks.
    fn observed(&self, codec: &dyn Codec) -> usize {
        if codec.needs() == Needs::Observed { self.positions / 2 } else { 0 }
    }

    /// Measures every codec on every head. `done` is told how many of how many are finished.
    ///
    /// # Errors
    /// [`QuantizeError::Codec`].
    pub fn measure(&self, threads: usize, done: &(dyn Fn(usize, usize) + Sync)) -> Result<Report, QuantizeError> {
        let (heads, codecs) = (self.rows.len(), self.codecs.len());
        let mut measures: Vec<Vec<Measures>> = (0..codecs).map(|_| Vec::with_capacity(heads)).collect();
        let failed = AtomicBool::new(false);
        let threads = threads.max(1);
        // As many heads at a time as there are threads: their exact attention is shared by all codecs and not kept longer.
        for first in (0..heads).step_by(threads) {
            let some = first..(first + threads).min(heads);
            let exact =
                |(): &mut (), index: usize| self.head(first + index).map(|head| Exact::new(head, self.positions / 2));
            let exact = parallel::in_order(some.len(), threads, || (), exact, |_| {});
            let one = |workspace: &mut Workspace, index: usize| {
                let (_, codec) = &self.codecs[index % codecs];
                if failed.load(Ordering::Relaxed) {
                    return None;
                }
                let positions = Positions { observed: self.observed(codec.as_ref()), step: 1 };
                let result =
                    exact[index / codecs].as_ref()?.evaluate(codec.as_ref(), self.generated, positions, workspace);
                failed.fetch_or(result.is_err(), Ordering::Relaxed);
                Some(result)
            };
            let tell = |finished: usize| done(first * codecs + finished, heads * codecs);
            let results = parallel::in_order(some.len() * codecs, threads, Workspace::default, one, tell);
            for (index, result) in results.into_iter().enumerate() {
                if let Some(result) = result {
                    measures[index % codecs].push(result?);
                }
            }
        }
        let shape =
            HeadShape { head_dim: self.tensors.head_dim as u32, query_heads: self.tensors.query_heads() as u32 };
        let of_codec = |((text, codec), measures): (&(String, Box<dyn Codec>), Vec<Measures>)| OfCodec {
            text: text.clone(),
            name: codec.name(),
            parameters: codec.parameters(),
            measures,
            stored_bytes: codec.stored_bytes(shape, self.context as u64),
            padded_bytes: codec.padded_bytes(shape, self.context as u64, kv::packing::Pages::HBM),
        };
        let file = Path::new(&self.tensors.name).file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Report {
            file,
            heads: self.rows.iter().map(|&row| self.tensors.heads[row]).collect(),
            context: self.context,
            generated: self.generated,
            shape,
            codecs: self.codecs.iter().zip(measures).map(of_codec).collect(),
            left_out: self.left_out.clone(),
        })
    }
}

/// The rows of the wanted layers.
fn rows(tensors: &KvTensors, wanted: Option<&[u32]>) -> Result<Vec<usize>, QuantizeError> {
    let Some(wanted) = wanted else { return Ok((0..tensors.heads.len()).collect()) };
    let mut known: Vec<u32> = tensors.heads.iter().map(|(layer, _)| *layer).collect();
    known.sort_unstable();
    known.dedup();
    if let Some(missing) = wanted.iter().find(|layer| !known.contains(layer)) {
        let known: Vec<String> = known.iter().map(u32::to_string).collect();
        return Err(QuantizeError::Flag {
            flag: "--layers".to_owned(),
            problem: format!("{} has no layer {missing}", tensors.name),
            remedy: format!("there are: {}", known.join(", ")),
        });
    }
    Ok((0..tensors.heads.len()).filter(|row| wanted.contains(&tensors.heads[*row].0)).collect())
}

/// The prompt, the positions of its queries, and the context.
fn place(tensors: &KvTensors, context: Option<usize>) -> Result<(usize, usize, usize), QuantizeError> {
    let longest = tensors.lengths().last().unwrap_or((0, 0));
    let most = longest.0.saturating_sub(longest.1);
    let Some(context) = context else {
        let context = if most >= CONTEXT_STEP { most / CONTEXT_STEP * CONTEXT_STEP } else { most };
        return Ok((longest.0, longest.1, context));
    };
    // The shortest prompt that has the context: its queries come soonest after it.
    let found = tensors.lengths().find(|(length, positions)| context <= length - positions);
    match found {
        Some((length, positions)) if context > 0 => Ok((length, positions, context)),
        _ => Err(QuantizeError::Flag {
            flag: format!("--context {context}"),
            problem: format!("{} has queries behind at most {most} tokens", tensors.name),
            remedy: format!("take 1 to {most} tokens"),
        }),
    }
}

impl OfCodec {
    /// The mean of a measure over the heads; `None` where the codec does not have it.
    fn mean(&self, measure: impl Fn(&Measures) -> Option<f64>) -> Option<f64> {
        let all: Option<Vec<f64>> = self.measures.iter().map(measure).collect();
        all.filter(|all| !all.is_empty()).map(|all| all.iter().sum::<f64>() / all.len() as f64)
    }

    /// Stored bits per element.
    pub fn bits(&self) -> f64 {
        self.mean(|measures| Some(measures.bits_per_element)).unwrap_or_default()
    }

    /// The mean cosine between the exact output and the codec's.
    pub fn cosine(&self) -> f64 {
        self.mean(|measures| Some(measures.cosine_mean)).unwrap_or_default()
    }

    /// The mean relative error.
    pub fn error(&self) -> f64 {
        self.mean(|measures| Some(measures.error_mean)).unwrap_or_default()
    }
}

/// The table for people: means over the heads.
pub fn table(report: &Report) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["codec", "bits", "error", "median", "cosine", "tv", "K nmse", "V nmse"]);
    let number = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), |number| format!("{number:.5}"));
    for codec in &report.codecs {
        table.add_row([
            codec.text.clone(),
            format!("{:.3}", codec.bits()),
            number(Some(codec.error())),
            number(codec.mean(|measures| Some(measures.error_median))),
            number(codec.mean(|measures| Some(measures.cosine_mean))),
            number(codec.mean(|measures| measures.total_variation)),
            number(codec.mean(|measures| measures.key_nmse)),
            number(codec.mean(|measures| measures.value_nmse)),
        ]);
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if index > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = format!("{}\n\n{}\n", title(report), table.trim_fmt());
    for reason in &report.left_out {
        let _ = writeln!(text, "left out: {reason}");
    }
    text
}

fn title(report: &Report) -> String {
    let generated = match report.generated {
        0 => String::new(),
        tokens => format!(", {tokens} of them generated"),
    };
    format!("{}: {} tokens{generated}, mean of {} heads", report.file, report.context, report.heads.len())
}

/// `errors.csv`: a row for each codec and head, with the columns of the reference tables.
pub fn csv(report: &Report) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // A vector takes every byte, so that writing to it cannot fail.
    let _ = writer.write_record([
        "n_ctx",
        "layer",
        "kv_head",
        "method",
        "params",
        "bits_per_elem",
        "rel_err_mean",
        "rel_err_median",
        "cosine_mean",
        "tv_prob",
        "K_nmse",
        "V_nmse",
    ]);
    let number = |number: Option<f64>| number.map_or_else(|| "nan".to_owned(), |number| format!("{number:.6}"));
    for (index, (layer, head)) in report.heads.iter().enumerate() {
        for codec in &report.codecs {
            let Some(measures) = codec.measures.get(index) else { continue };
            let _ = writer.write_record([
                report.context.to_string(),
                layer.to_string(),
                head.to_string(),
                codec.name.to_owned(),
                codec.parameters.clone(),
                format!("{:.4}", measures.bits_per_element),
                number(Some(measures.error_mean)),
                number(Some(measures.error_median)),
                number(Some(measures.cosine_mean)),
                number(measures.total_variation),
                number(measures.key_nmse),
                number(measures.value_nmse),
            ]);
        }
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

/// `summary.json`: means over the heads.
pub fn json(report: &Report) -> Value {
    let codecs: Vec<Value> = report
        .codecs
        .iter()
        .map(|codec| {
            json!({
                "codec": codec.text,
                "method": codec.name,
                "params": codec.parameters,
                "bits_per_elem": codec.bits(),
                "rel_err_mean": codec.error(),
                "rel_err_median": codec.mean(|measures| Some(measures.error_median)),
                "cosine_mean": codec.mean(|measures| Some(measures.cosine_mean)),
                "tv_prob": codec.mean(|measures| measures.total_variation),
                "K_nmse": codec.mean(|measures| measures.key_nmse),
                "V_nmse": codec.mean(|measures| measures.value_nmse),
                "queries_per_head": codec.measures.first().map(|measures| measures.queries),
                "bytes_per_head": codec.stored_bytes,
                "bytes_per_head_in_pages": codec.padded_bytes,
            })
        })
        .collect();
    let heads: Vec<[u32; 2]> = report.heads.iter().map(|&(layer, head)| [layer, head]).collect();
    json!({
        "file": report.file,
        "n_ctx": report.context,
        "generated": report.generated,
        "head_dim": report.shape.head_dim,
        "query_heads": report.shape.query_heads,
        "layer_head": heads,
        "codecs": codecs,
        "left_out": report.left_out,
    })
}

/// `error-bits.svg`.
///
/// # Errors
/// [`ReportError::Figure`].
pub fn figure(report: &Report) -> Result<String, ReportError> {
    let point = |codec: &OfCodec| Point {
        family: codec.name.to_owned(),
        label: codec.text.clone(),
        bits: codec.bits(),
        error: codec.error(),
    };
    error_bits::svg(&title(report), &report.codecs.iter().map(point).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_list_of_layers_read() {
        assert_eq!(layers("0,3,5-7").unwrap(), [0, 3, 5, 6, 7]);
        for text in ["", "a", "3-1", "1,", "0-99999999"] {
            assert!(layers(text).is_err(), "{text}");
        }
    }

    #[test]
    fn is_every_codec_in_the_default_set_and_can_be_read() {
        let set: Vec<&str> = DEFAULT_SET.iter().map(|text| kv::parse(text).unwrap().name()).collect();
        for codec in kv::codecs() {
            assert!(set.contains(&codec.name()), "{}", codec.name());
        }
    }
}
