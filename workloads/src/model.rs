//! Model configurations: the shape of a published language model, and the counts that follow from it.
//!
//! The input is the `config.json` that Hugging Face `transformers` writes. A family is one row of the `FAMILIES` table:
//! its keys, its defaults (those of the family's configuration class in `transformers`) and its layout.
//! Every model has pre-norm blocks of attention and a feed-forward network.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::product;

/// Why a model configuration was refused. Nothing was built; the remedy is in the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The text is not JSON.
    #[error("the model configuration is not JSON: {reason}")]
    NotJson {
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault, from 1.
        column: usize,
        /// What the JSON reader said, with the place.
        reason: String,
    },
    /// The text is JSON, but not an object.
    #[error("the model configuration is {found}: wanted a JSON object as in a Hugging Face config.json")]
    NotAnObject {
        /// The value that was found, shortened.
        found: String,
    },
    /// The `model_type` is none of the families that are known.
    #[error("`model_type` is {found}: wanted one of {known}")]
    UnknownFamily {
        /// The value that was found, shortened.
        found: String,
        /// The known families, separated by commas.
        known: String,
    },
    /// A field that the family needs is not there.
    #[error("`{field}` is missing: wanted {wanted}")]
    Missing {
        /// Key in the file.
        field: &'static str,
        /// What belongs there.
        wanted: String,
    },
    /// A field has a value that cannot be, or that contradicts another one.
    #[error("`{field}` is {value}: wanted {wanted}")]
    Invalid {
        /// Key in the file.
        field: &'static str,
        /// The value that was found, shortened.
        value: String,
        /// What belongs there.
        wanted: String,
    },
}

/// A model family: the `model_type` of its config.json.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Family {
    /// Llama and what shares its layout (SmolLM2): gated FFN, RMSNorm, rotary positions.
    Llama,
    /// Mistral: as Llama, with an optional sliding window.
    Mistral,
    /// Qwen2 and Qwen2.5: as Llama, with biases on Q, K and V.
    Qwen2,
    /// OPT: plain FFN, LayerNorm, learned positions (two rows more than positions), biases.
    Opt,
    /// GPT-2 and, by its layout, GPT-3: plain FFN, LayerNorm, learned positions, biases.
    Gpt2,
}

impl Family {
    /// The `model_type` of this family.
    pub fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Mistral => "mistral",
            Self::Qwen2 => "qwen2",
            Self::Opt => "opt",
            Self::Gpt2 => "gpt2",
        }
    }
}

/// The normalisation in front of attention, of the FFN and of the LM head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// RMSNorm: `hidden` weights.
    Rms,
    /// LayerNorm: `hidden` weights and `hidden` biases.
    Layer,
}

/// How a token's position enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Positions {
    /// Rotary embedding of Q and K: no parameters.
    Rotary,
    /// A learned vector per position, added to the token's embedding.
    Learned {
        /// Rows of the table: the positions, and the offset of 2 in OPT.
        rows: u64,
    },
}

/// The non-linearity of the feed-forward network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ActivationFunction {
    /// x · sigmoid(x).
    Silu,
    /// max(x, 0).
    Relu,
    /// GELU, exact or by its tanh approximation.
    Gelu,
}

impl ActivationFunction {
    /// Operations per element: ReLU 1 (compare); SiLU 4 (exp, add, divide, multiply); GELU 9 (tanh form
    /// `x/2 (1 + tanh(c (x + a x³)))`: five multiplications, two additions, a tanh, a halving).
    pub fn flops_per_element(self) -> u64 {
        match self {
            Self::Relu => 1,
            Self::Silu => 4,
            Self::Gelu => 9,
        }
    }
}

/// Which linear layers have a bias vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Biases {
    /// Q, K and V projections.
    pub qkv: bool,
    /// Attention's output projection.
    pub output: bool,
    /// The FFN's projections.
    pub ffn: bool,
}

/// A language model's shape. All fields are configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelConfig {
    /// Name for reports: `_name_or_path` of the file, or else the `model_type`. Free to overwrite.
    pub name: String,
    /// The family, from `model_type`.
    pub model_type: Family,
    /// Transformer layers.
    pub layers: u32,
    /// Width of the residual stream, in elements.
    pub hidden: u64,
    /// Width of the feed-forward network, in elements.
    pub intermediate: u64,
    /// Query heads per layer.
    pub heads: u32,
    /// Key and value heads per layer; divides `heads` (GQA where smaller).
    pub kv_heads: u32,
    /// Elements of one head; `hidden / heads` unless the file says otherwise.
    pub head_dim: u32,
    /// Tokens of the vocabulary: rows of the embedding table and of the LM head.
    pub vocab: u64,
    /// Longest context that the model was trained for, in tokens; `None` where the file does not say.
    pub max_positions: Option<u64>,
    /// Attention reads only this many of the newest tokens, in every layer; `None` for full attention.
    /// What a step reads is [`attended_tokens`](Self::attended_tokens).
    pub sliding_window: Option<u64>,
    /// The LM head is the embedding table, stored once.
    pub tied_embeddings: bool,
    /// The FFN has a gate projection beside the up projection.
    pub gated: bool,
    /// Bias vectors of the linear layers.
    pub biases: Biases,
    /// Normalisation.
    pub norm: Norm,
    /// Position encoding.
    pub positions: Positions,
    /// Non-linearity of the FFN.
    pub activation: ActivationFunction,
}

/// Whether `num_key_value_heads` has to be in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KvHeads {
    /// The family has no GQA: as many as query heads.
    AsHeads,
    /// Absent means as many as query heads.
    Optional,
    /// The family's default is a number (8, 32) that fits only one published model, so absent is an error.
    Required,
}

/// One family as data: the keys of its file, the defaults, the layout.
#[derive(Debug)]
struct FamilyRow {
    family: Family,
    layers: &'static str,
    hidden: &'static str,
    intermediate: &'static str,
    /// Where the width is absent or null it is this multiple of `hidden`; `None` where it has to be there.
    intermediate_ratio: Option<u64>,
    heads: &'static str,
    kv_heads: KvHeads,
    /// The file may set `head_dim` on its own.
    own_head_dim: bool,
    positions: &'static str,
    /// Rows of a learned position table beyond the positions; `None` for rotary.
    learned_offset: Option<u64>,
    activation: &'static str,
    default_activation: ActivationFunction,
    norm: Norm,
    gated: bool,
    biases: Biases,
    tied_default: bool,
}

const NO_BIAS: Biases = Biases { qkv: false, output: false, ffn: false };
const ALL_BIASES: Biases = Biases { qkv: true, output: true, ffn: true };

const LLAMA: FamilyRow = FamilyRow {
    family: Family::Llama,
    layers: "num_hidden_layers",
    hidden: "hidden_size",
    intermediate: "intermediate_size",
    intermediate_ratio: None,
    heads: "num_attention_heads",
    kv_heads: KvHeads::Optional,
    own_head_dim: true,
    positions: "max_position_embeddings",
    learned_offset: None,
    activation: "hidden_act",
    default_activation: ActivationFunction::Silu,
    norm: Norm::Rms,
    gated: true,
    biases: NO_BIAS,
    tied_default: false,
};

/// Every family that is known. Adding one with the usual pre-norm block is adding a row.
static FAMILIES: [FamilyRow; 5] = [
    LLAMA,
    FamilyRow { family: Family::Mistral, kv_heads: KvHeads::Required, ..LLAMA },
    FamilyRow {
        family: Family::Qwen2,
        kv_heads: KvHeads::Required,
        biases: Biases { qkv: true, output: false, ffn: false },
        ..LLAMA
    },
    FamilyRow {
        family: Family::Opt,
        intermediate: "ffn_dim",
        kv_heads: KvHeads::AsHeads,
        own_head_dim: false,
        // `OPTLearnedPositionalEmbedding` keeps two rows in front (its `offset`).
        learned_offset: Some(2),
        activation: "activation_function",
        default_activation: ActivationFunction::Relu,
        norm: Norm::Layer,
        gated: false,
        biases: ALL_BIASES,
        tied_default: true,
        ..LLAMA
    },
    FamilyRow {
        family: Family::Gpt2,
        layers: "n_layer",
        hidden: "n_embd",
        intermediate: "n_inner",
        intermediate_ratio: Some(4),
        heads: "n_head",
        kv_heads: KvHeads::AsHeads,
        own_head_dim: false,
        positions: "n_positions",
        learned_offset: Some(0),
        activation: "activation_function",
        default_activation: ActivationFunction::Gelu,
        norm: Norm::Layer,
        gated: false,
        biases: ALL_BIASES,
        tied_default: true,
    },
];

// Largest values accepted: well beyond any published model, and small enough that every count of this file,
// at 8 bytes an element, fits 64 bits (the largest term is 2^12 layers · 3 · 2^42 FFN elements · 2^3 bytes < 2^60).
const MAX_LAYERS: u64 = 1 << 12;
const MAX_HIDDEN: u64 = 1 << 20;
const MAX_INTERMEDIATE: u64 = 1 << 22;
const MAX_HEADS: u64 = 1 << 12;
const MAX_HEAD_DIM: u64 = 1 << 12;
const MAX_VOCAB: u64 = 1 << 24;
const MAX_TOKENS: u64 = 1 << 32;

impl ModelConfig {
    /// Reads a Hugging Face config.json of a known family (llama, mistral, qwen2, opt, gpt2).
    ///
    /// Keys that do not change the shape are ignored. A variant of a family with another layout is refused by name
    /// rather than counted wrongly.
    pub fn from_json(text: &str) -> Result<Self, ModelError> {
        let value: Value = serde_json::from_str(text).map_err(|error| ModelError::NotJson {
            line: error.line(),
            column: error.column(),
            reason: error.to_string(),
        })?;
        let Value::Object(map) = &value else {
            return Err(ModelError::NotAnObject { found: shortened(&value) });
        };
        let keys = Keys(map);
        let row = family(keys)?;
        refuse_other_layouts(keys, row)?;

        let layers = keys.count(row.layers, "the number of transformer layers", MAX_LAYERS)?;
        let hidden = keys.count(row.hidden, "the width of the residual stream", MAX_HIDDEN)?;
        let heads = keys.count(row.heads, "the number of query heads", MAX_HEADS)?;
        let kv_heads = kv_heads(keys, row, heads)?;
        let head_dim = head_dim(keys, row, hidden, heads)?;
        let ffn_width = "the width of the feed-forward network";
        let intermediate = match row.intermediate_ratio {
            Some(ratio) => {
                keys.optional_count(row.intermediate, ffn_width, MAX_INTERMEDIATE)?.unwrap_or(ratio * hidden)
            }
            None => keys.count(row.intermediate, ffn_width, MAX_INTERMEDIATE)?,
        };
        let longest = "the longest context in tokens";
        let (max_positions, positions) = match row.learned_offset {
            None => (keys.optional_count(row.positions, longest, MAX_TOKENS)?, Positions::Rotary),
            Some(offset) => {
                let max = keys.count(row.positions, longest, MAX_TOKENS)?;
                (Some(max), Positions::Learned { rows: max + offset })
            }
        };
        let config = Self {
            name: keys.text("_name_or_path").unwrap_or(row.family.name()).to_owned(),
            model_type: row.family,
            // The limits above keep these within 32 bits.
            layers: layers as u32,
            hidden,
            intermediate,
            heads: heads as u32,
            kv_heads: kv_heads as u32,
            head_dim: head_dim as u32,
            vocab: keys.count("vocab_size", "the number of tokens in the vocabulary", MAX_VOCAB)?,
            max_positions,
            sliding_window: sliding_window(keys, row, layers)?,
            tied_embeddings: keys.flag("tie_word_embeddings", row.tied_default)?,
            gated: row.gated,
            biases: biases(keys, row)?,
            norm: row.norm,
            positions,
            activation: activation(keys, row)?,
        };
        tracing::debug!(
            name = config.name,
            family = row.family.name(),
            parameters = config.parameters(),
            "model configuration read"
        );
        Ok(config)
    }

    /// Elements of Q for one token: `heads · head_dim`. Not always `hidden`.
    pub fn query_elements(&self) -> u64 {
        u64::from(self.heads) * u64::from(self.head_dim)
    }

    /// Elements of K (as of V) for one token and layer: `kv_heads · head_dim`.
    pub fn key_elements(&self) -> u64 {
        u64::from(self.kv_heads) * u64::from(self.head_dim)
    }

    /// Query heads that share one KV head.
    pub fn query_heads_per_kv_head(&self) -> u32 {
        self.heads / self.kv_heads.max(1)
    }

    /// Parameters of the Q, K and V projections of a layer, biases included.
    pub(crate) fn qkv_parameters(&self) -> u64 {
        let outputs = self.query_elements() + 2 * self.key_elements();
        self.hidden * outputs + if self.biases.qkv { outputs } else { 0 }
    }

    /// Parameters of attention's output projection.
    pub(crate) fn output_parameters(&self) -> u64 {
        self.query_elements() * self.hidden + if self.biases.output { self.hidden } else { 0 }
    }

    /// Elements that the first FFN projection writes for one token: gate and up, or up alone.
    pub(crate) fn up_elements(&self) -> u64 {
        self.intermediate * if self.gated { 2 } else { 1 }
    }

    /// Parameters of the first FFN projection (gate and up, or up alone).
    pub(crate) fn up_parameters(&self) -> u64 {
        let outputs = self.up_elements();
        self.hidden * outputs + if self.biases.ffn { outputs } else { 0 }
    }

    /// Parameters of the second FFN projection.
    pub(crate) fn down_parameters(&self) -> u64 {
        self.intermediate * self.hidden + if self.biases.ffn { self.hidden } else { 0 }
    }

    /// Parameters of one normalisation.
    pub(crate) fn norm_parameters(&self) -> u64 {
        match self.norm {
            Norm::Rms => self.hidden,
            Norm::Layer => 2 * self.hidden,
        }
    }

    /// Parameters of the LM head as it is streamed: the whole table, whether or not it is the embedding table too.
    pub(crate) fn head_parameters(&self) -> u64 {
        self.vocab * self.hidden
    }

    /// Table rows that one token looks up: its embedding, and its position where positions are learned.
    pub(crate) fn looked_up_rows(&self) -> u64 {
        match self.positions {
            Positions::Rotary => 1,
            Positions::Learned { .. } => 2,
        }
    }

    /// Parameters of one transformer layer.
    pub fn layer_parameters(&self) -> u64 {
        self.qkv_parameters()
            + self.output_parameters()
            + self.up_parameters()
            + self.down_parameters()
            + 2 * self.norm_parameters()
    }

    /// The exact number of parameters; a tied table counts once.
    pub fn parameters(&self) -> u64 {
        let positions = match self.positions {
            Positions::Rotary => 0,
            Positions::Learned { rows } => rows * self.hidden,
        };
        let head = if self.tied_embeddings { 0 } else { self.head_parameters() };
        self.vocab * self.hidden
            + positions
            + u64::from(self.layers) * self.layer_parameters()
            + self.norm_parameters()
            + head
    }

    /// Bytes of all weights at `dtype_bytes` an element: what has to be resident.
    pub fn weight_bytes(&self, dtype_bytes: u32) -> u64 {
        product(&[self.parameters(), u64::from(dtype_bytes)])
    }

    /// Bytes of weights that a decode step of `batch` sequences reads: every layer, the final norm and the LM head
    /// once, and one row per sequence of the embedding table (and of learned positions). A tied table is read for the head.
    pub fn streamed_weight_bytes(&self, batch: u32, dtype_bytes: u32) -> u64 {
        let streamed =
            u64::from(self.layers) * self.layer_parameters() + self.norm_parameters() + self.head_parameters();
        let rows = product(&[u64::from(batch), self.looked_up_rows(), self.hidden]);
        product(&[streamed.saturating_add(rows), u64::from(dtype_bytes)])
    }

    /// Bytes of keys and values of one token in one layer: `2 · kv_heads · head_dim · dtype_bytes`.
    pub fn kv_bytes_per_token_layer(&self, dtype_bytes: u32) -> u64 {
        product(&[2, self.key_elements(), u64::from(dtype_bytes)])
    }

    /// Bytes of keys and values of one token in all layers: `2 · kv_heads · head_dim · layers · dtype_bytes`.
    pub fn kv_bytes_per_token(&self, dtype_bytes: u32) -> u64 {
        product(&[self.kv_bytes_per_token_layer(dtype_bytes), u64::from(self.layers)])
    }

    /// Tokens that attention reads of `cached` ones: all, or the sliding window.
    pub fn attended_tokens(&self, cached: u64) -> u64 {
        self.sliding_window.map_or(cached, |window| cached.min(window))
    }
}

/// The keys of a configuration, read with errors that name them. A null value is an absent key, as in `transformers`.
#[derive(Clone, Copy)]
struct Keys<'a>(&'a Map<String, Value>);

impl<'a> Keys<'a> {
    fn get(self, field: &str) -> Option<&'a Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    fn text(self, field: &str) -> Option<&'a str> {
        self.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    fn optional_count(self, field: &'static str, meaning: &str, limit: u64) -> Result<Option<u64>, ModelError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        match value.as_u64() {
            Some(count) if (1..=limit).contains(&count) => Ok(Some(count)),
            _ => Err(invalid(field, value, count_wanted(meaning, limit))),
        }
    }

    fn count(self, field: &'static str, meaning: &str, limit: u64) -> Result<u64, ModelError> {
        self.optional_count(field, meaning, limit)?
            .ok_or_else(|| ModelError::Missing { field, wanted: count_wanted(meaning, limit) })
    }

    fn flag(self, field: &'static str, default: bool) -> Result<bool, ModelError> {
        match self.get(field) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(value) => Err(invalid(field, value, "true or false")),
        }
    }
}

fn count_wanted(meaning: &str, limit: u64) -> String {
    format!("{meaning}, a whole number from 1 to {limit}")
}

fn invalid(field: &'static str, value: &Value, wanted: impl Into<String>) -> ModelError {
    ModelError::Invalid { field, value: shortened(value), wanted: wanted.into() }
}

/// The value as JSON, cut where it would flood a message.
fn shortened(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        None => text,
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}

fn family(keys: Keys<'_>) -> Result<&'static FamilyRow, ModelError> {
    let known = || FAMILIES.iter().map(|row| row.family.name()).collect::<Vec<_>>().join(", ");
    let Some(value) = keys.get("model_type") else {
        return Err(ModelError::Missing { field: "model_type", wanted: format!("one of {}", known()) });
    };
    FAMILIES
        .iter()
        .find(|row| value.as_str() == Some(row.family.name()))
        .ok_or_else(|| ModelError::UnknownFamily { found: shortened(value), known: known() })
}

/// Variants whose tensors are not those of the row (OPT-350m has an embedding projection and post-norm).
fn refuse_other_layouts(keys: Keys<'_>, row: &FamilyRow) -> Result<(), ModelError> {
    if row.family != Family::Opt {
        return Ok(());
    }
    if !keys.flag("do_layer_norm_before", true)? {
        return Err(invalid("do_layer_norm_before", &Value::Bool(false), "true: post-norm blocks are not modelled"));
    }
    if keys.flag("_remove_final_layer_norm", false)? {
        let wanted = "false: a model without its final norm is not modelled";
        return Err(invalid("_remove_final_layer_norm", &Value::Bool(true), wanted));
    }
    match (keys.get("word_embed_proj_dim"), keys.get("hidden_size")) {
        (Some(value), hidden) if Some(value) != hidden => {
            Err(invalid("word_embed_proj_dim", value, "hidden_size: a projected embedding is not modelled"))
        }
        _ => Ok(()),
    }
}

fn kv_heads(keys: Keys<'_>, row: &FamilyRow, heads: u64) -> Result<u64, ModelError> {
    const FIELD: &str = "num_key_value_heads";
    const MEANING: &str = "the number of key and value heads";
    let kv_heads = match row.kv_heads {
        KvHeads::AsHeads => heads,
        KvHeads::Optional => keys.optional_count(FIELD, MEANING, MAX_HEADS)?.unwrap_or(heads),
        KvHeads::Required => keys.count(FIELD, MEANING, MAX_HEADS)?,
    };
    if heads.is_multiple_of(kv_heads) {
        return Ok(kv_heads);
    }
    Err(ModelError::Invalid {
        field: FIELD,
        value: kv_heads.to_string(),
        wanted: format!("a divisor of `{}`, which is {heads}", row.heads),
    })
}

fn head_dim(keys: Keys<'_>, row: &FamilyRow, hidden: u64, heads: u64) -> Result<u64, ModelError> {
    if row.own_head_dim
        && let Some(own) = keys.optional_count("head_dim", "the elements of one head", MAX_HEAD_DIM)?
    {
        return Ok(own);
    }
    let head_dim = hidden / heads;
    if hidden.is_multiple_of(heads) && head_dim <= MAX_HEAD_DIM {
        return Ok(head_dim);
    }
    Err(ModelError::Invalid {
        field: row.hidden,
        value: hidden.to_string(),
        wanted: format!("a multiple of `{}`, which is {heads}, by at most {MAX_HEAD_DIM}", row.heads),
    })
}

fn biases(keys: Keys<'_>, row: &FamilyRow) -> Result<Biases, ModelError> {
    match row.family {
        // Only LlamaConfig has these keys; the other families fix their biases.
        Family::Llama => {
            let attention = keys.flag("attention_bias", false)?;
            Ok(Biases { qkv: attention, output: attention, ffn: keys.flag("mlp_bias", false)? })
        }
        Family::Opt if !keys.flag("enable_bias", true)? => Ok(NO_BIAS),
        _ => Ok(row.biases),
    }
}

fn sliding_window(keys: Keys<'_>, row: &FamilyRow, layers: u64) -> Result<Option<u64>, ModelError> {
    let window = || keys.optional_count("sliding_window", "a window in tokens or null", MAX_TOKENS);
    match row.family {
        Family::Mistral => window(),
        // Qwen2 files carry a window that is off, and one that is on leaves out the first `max_window_layers` layers.
        Family::Qwen2 if keys.flag("use_sliding_window", false)? => {
            let full = match keys.get("max_window_layers") {
                // The default of Qwen2Config.
                None => 28,
                Some(value) => value.as_u64().ok_or_else(|| {
                    invalid("max_window_layers", value, "the number of layers with full attention, a whole number")
                })?,
            };
            match full {
                0 => window(),
                full if full >= layers => Ok(None),
                full => Err(ModelError::Invalid {
                    field: "max_window_layers",
                    value: full.to_string(),
                    wanted: format!("0 or at least {layers}: a window in some of the layers only is not modelled"),
                }),
            }
        }
        _ => Ok(None),
    }
}

fn activation(keys: Keys<'_>, row: &FamilyRow) -> Result<ActivationFunction, ModelError> {
    let Some(value) = keys.get(row.activation) else {
        return Ok(row.default_activation);
    };
    match value.as_str() {
        Some("silu" | "swish") => Ok(ActivationFunction::Silu),
        Some("relu") => Ok(ActivationFunction::Relu),
        Some("gelu" | "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh") => Ok(ActivationFunction::Gelu),
        _ => Err(invalid(row.activation, value, "silu, relu, gelu, gelu_new, gelu_fast or gelu_pytorch_tanh")),
    }
}
