//! Keys, values and queries of a model in a file of the safetensors format.
//!
//! N heads, P tokens, d elements of a head, g query heads of a KV head, p positions:
//!
//! | tensor | shape | type | what |
//! |---|---|---|---|
//! | `layer_head` | (N, 2) | I32 or I64 | layer and KV head of each row |
//! | `k`, `v` | (N, P, d) | F16, BF16 or F32 | keys after rotary embedding, values |
//! | `q_L` | (N, g, p, d) | the same | queries at the positions L - p to L - 1, for one or more lengths L |
//! | `acc_L` | (N, at least L - p) | F32 or F16 | attention that each token drew from the positions 0 to L - p - 1; optional |
//!
//! Every number must be finite and within FP16's range, because that is what a cache holds.

use std::path::Path;

use half::{bf16, f16};
use safetensors::tensor::{SafeTensors, TensorView};
use safetensors::{Dtype, SafeTensorError};

use super::CodecError;
use super::error::suggestion;
use super::measure::Head;

/// The heads of a file.
#[derive(Clone, Debug)]
pub struct KvTensors {
    /// The file, as it was named.
    pub name: String,
    /// Layer and KV head of each row.
    pub heads: Vec<(u32, u32)>,
    /// Elements of a head (d).
    pub head_dim: usize,
    /// Tokens (P).
    pub tokens: usize,
    keys: Vec<f32>,
    values: Vec<f32>,
    queries: Vec<Queries>,
}

/// Queries behind a prompt of some length.
#[derive(Clone, Debug)]
struct Queries {
    length: usize,
    query_heads: usize,
    positions: usize,
    rows: Vec<f32>,
    /// Attention, and how many tokens each row of it has.
    accumulated: Option<(Vec<f32>, usize)>,
}

/// The larger FP16 numbers end here.
const LARGEST: f32 = 65_504.0;

/// What reads a file.
struct Reader<'a> {
    name: &'a str,
    file: SafeTensors<'a>,
}

impl Reader<'_> {
    fn wrong(&self, problem: String, remedy: &str) -> CodecError {
        CodecError::Tensors { file: self.name.to_owned(), problem, remedy: remedy.to_owned() }
    }

    fn tensor(&self, name: &str) -> Result<TensorView<'_>, CodecError> {
        self.file.tensor(name).map_err(|_| {
            let mut known = self.file.names();
            known.sort_unstable();
            self.wrong(format!("there is no tensor `{name}`"), &suggestion(name, &known))
        })
    }

    /// A tensor of a number of dimensions, none of them zero.
    fn shaped(&self, name: &str, dimensions: usize, form: &str) -> Result<(TensorView<'_>, Vec<usize>), CodecError> {
        let tensor = self.tensor(name)?;
        let shape = tensor.shape().to_vec();
        if shape.len() != dimensions || shape.contains(&0) {
            return Err(self.wrong(format!("tensor `{name}` has the shape {shape:?}"), &format!("it must be {form}")));
        }
        Ok((tensor, shape))
    }

    /// The numbers of a tensor, each checked.
    fn numbers(&self, name: &str, tensor: &TensorView<'_>, least: f32) -> Result<Vec<f32>, CodecError> {
        let data = tensor.data();
        let numbers: Vec<f32> = match tensor.dtype() {
            Dtype::F16 => data.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect(),
            Dtype::BF16 => data.as_chunks().0.iter().map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect(),
            Dtype::F32 => data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            other => {
                let problem = format!("tensor `{name}` has the type {other:?}");
                return Err(self.wrong(problem, "F16, BF16 and F32 can be read"));
            }
        };
        // NaN is in no range.
        let most = if least < 0.0 { LARGEST } else { f32::MAX };
        if let Some(index) = numbers.iter().position(|number| !(least..=most).contains(number)) {
            let place = place(index, tensor.shape());
            let problem = format!("tensor `{name}`, element {place:?} is {}", numbers[index]);
            return Err(self.wrong(problem, &format!("every number must be from {least} to {most}")));
        }
        Ok(numbers)
    }

    fn heads(&self) -> Result<Vec<(u32, u32)>, CodecError> {
        let (tensor, shape) = self.shaped("layer_head", 2, "(heads, 2)")?;
        let data = tensor.data();
        let numbers: Vec<i64> = match tensor.dtype() {
            Dtype::I32 => data.as_chunks().0.iter().map(|bytes| i64::from(i32::from_le_bytes(*bytes))).collect(),
            Dtype::I64 => data.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect(),
            other => {
                let problem = format!("tensor `layer_head` has the type {other:?}");
                return Err(self.wrong(problem, "I32 and I64 can be read"));
            }
        };
        if shape[1] != 2 {
            return Err(self.wrong(format!("tensor `layer_head` has the shape {shape:?}"), "it must be (heads, 2)"));
        }
        let numbers: Option<Vec<u32>> = numbers.iter().map(|number| u32::try_from(*number).ok()).collect();
        let numbers = numbers
            .ok_or_else(|| self.wrong("tensor `layer_head` has a negative number".to_owned(), "layers count from 0"))?;
        Ok(numbers.as_chunks().0.iter().map(|[layer, head]| (*layer, *head)).collect())
    }

    /// The lengths L of all tensors `q_L`, rising.
    fn lengths(&self) -> Result<Vec<usize>, CodecError> {
        let names = self.file.names();
        let mut lengths: Vec<usize> = names.iter().filter_map(|name| name.strip_prefix("q_")?.parse().ok()).collect();
        lengths.sort_unstable();
        if lengths.is_empty() {
            return Err(self.wrong("there is no tensor `q_L`".to_owned(), "queries at the positions L - p to L - 1"));
        }
        Ok(lengths)
    }

    fn queries(&self, length: usize, heads: usize, tokens: usize, head_dim: usize) -> Result<Queries, CodecError> {
        let name = format!("q_{length}");
        let form = "(heads, query heads, positions, head_dim) with the heads and the head_dim of `k`";
        let (tensor, shape) = self.shaped(&name, 4, form)?;
        let (query_heads, positions) = (shape[1], shape[2]);
        if shape[0] != heads || shape[3] != head_dim {
            return Err(self.wrong(format!("tensor `{name}` has the shape {shape:?}"), &format!("it must be {form}")));
        }
        if length > tokens || positions >= length {
            let problem = format!("tensor `{name}`: {positions} positions before {length} of {tokens} tokens");
            return Err(self.wrong(problem, "`k` must have the tokens before the queries"));
        }
        let rows = self.numbers(&name, &tensor, -LARGEST)?;
        let name = format!("acc_{length}");
        let accumulated = if self.file.names().contains(&name.as_str()) {
            let form = format!("(heads, at least {}) with the heads of `k`", length - positions);
            let (tensor, shape) = self.shaped(&name, 2, &form)?;
            if shape[0] != heads || shape[1] < length - positions {
                let problem = format!("tensor `{name}` has the shape {shape:?}");
                return Err(self.wrong(problem, &format!("it must be {form}")));
            }
            Some((self.numbers(&name, &tensor, 0.0)?, shape[1]))
        } else {
            None
        };
        Ok(Queries { length, query_heads, positions, rows, accumulated })
    }
}

/// The index of an element in each dimension.
fn place(index: usize, shape: &[usize]) -> Vec<usize> {
    let mut rest = index;
    let mut place: Vec<usize> = shape
        .iter()
        .rev()
        .map(|size| {
            let here = rest % size;
            rest /= size;
            here
        })
        .collect();
    place.reverse();
    place
}

impl KvTensors {
    /// Reads a file.
    ///
    /// # Errors
    /// [`CodecError::Tensors`] with the tensor and the element.
    pub fn read(path: &Path) -> Result<Self, CodecError> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|error| CodecError::Tensors {
            file: name.clone(),
            problem: format!("cannot be read: {error}"),
            remedy: "name a file of the safetensors format".to_owned(),
        })?;
        Self::parse(&name, &bytes)
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, CodecError> {
        let file = SafeTensors::deserialize(bytes).map_err(|error| CodecError::Tensors {
            file: name.to_owned(),
            problem: unreadable(&error),
            remedy: "name a whole file of the safetensors format".to_owned(),
        })?;
        let reader = Reader { name, file };
        let heads = reader.heads()?;
        let (keys, shape) = reader.shaped("k", 3, "(heads, tokens, head_dim)")?;
        let (tokens, head_dim) = (shape[1], shape[2]);
        if shape[0] != heads.len() {
            let problem = format!("tensor `k` has the shape {shape:?}, and `layer_head` has {} rows", heads.len());
            return Err(reader.wrong(problem, "both have a row for each head"));
        }
        let (values, other) = reader.shaped("v", 3, "(heads, tokens, head_dim)")?;
        if other != shape {
            let problem = format!("tensor `v` has the shape {other:?}");
            return Err(reader.wrong(problem, &format!("it must be that of `k`, {shape:?}")));
        }
        let (keys, values) = (reader.numbers("k", &keys, -LARGEST)?, reader.numbers("v", &values, -LARGEST)?);
        let queries = reader.lengths()?.into_iter();
        let queries: Result<Vec<_>, _> = queries.map(|l| reader.queries(l, heads.len(), tokens, head_dim)).collect();
        let queries = queries?;
        Ok(Self { name: name.to_owned(), heads, head_dim, tokens, keys, values, queries })
    }

    /// The lengths L for which there are queries, rising, each with the number of their positions.
    pub fn lengths(&self) -> impl Iterator<Item = (usize, usize)> {
        self.queries.iter().map(|queries| (queries.length, queries.positions))
    }

    /// Query heads that read each KV head (g), of the longest prompt.
    pub fn query_heads(&self) -> usize {
        self.queries.last().map_or(1, |queries| queries.query_heads)
    }

    /// Whether the attention that tokens drew is known for the prompt of `length` tokens.
    pub fn has_accumulated(&self, length: usize) -> bool {
        self.queries.iter().any(|queries| queries.length == length && queries.accumulated.is_some())
    }

    /// Row `row` with a context of the first `context` tokens and the queries behind the prompt of `length` tokens; `None`
    /// where there is no such row or length, or the context reaches into the queries.
    pub fn head(&self, row: usize, length: usize, context: usize) -> Option<Head<'_>> {
        let queries = self.queries.iter().find(|queries| queries.length == length)?;
        if row >= self.heads.len() || context == 0 || context > length - queries.positions {
            return None;
        }
        let d = self.head_dim;
        let each = queries.query_heads * queries.positions * d;
        let accumulated = queries.accumulated.as_ref().map(|(rows, tokens)| &rows[row * tokens..][..context]);
        Some(Head {
            head_dim: d,
            keys: &self.keys[row * self.tokens * d..][..context * d],
            values: &self.values[row * self.tokens * d..][..context * d],
            queries: &queries.rows[row * each..][..each],
            query_heads: queries.query_heads,
            scale: 1.0 / (d as f32).sqrt(),
            accumulated,
            queries_end: length - queries.positions,
        })
    }
}

/// Why a file is not of the format.
fn unreadable(error: &SafeTensorError) -> String {
    match error {
        SafeTensorError::HeaderTooSmall
        | SafeTensorError::InvalidHeaderLength
        | SafeTensorError::MetadataIncompleteBuffer => {
            format!("is cut off or no safetensors file ({error})")
        }
        error => format!("is no safetensors file ({error})"),
    }
}
