//! The tests of `workloads`, one file per behaviour.

mod codec;
mod codec_memory;
mod codec_values;
mod config_errors;
mod decode_graph;
mod graph_errors;
mod parameters;
mod placement;
mod prefill_graph;
mod tensor_files;

use workloads::ModelConfig;

/// The model configurations that are shipped, by file name.
pub(crate) const MODELS: [(&str, &str); 11] = [
    ("gpt3-175b", include_str!("../../../models/gpt3-175b.json")),
    ("llama-2-7b", include_str!("../../../models/llama-2-7b.json")),
    ("llama-2-13b", include_str!("../../../models/llama-2-13b.json")),
    ("llama-2-70b", include_str!("../../../models/llama-2-70b.json")),
    ("llama-3.1-8b", include_str!("../../../models/llama-3.1-8b.json")),
    ("llama-3.1-70b", include_str!("../../../models/llama-3.1-70b.json")),
    ("llama-3.2-3b", include_str!("../../../models/llama-3.2-3b-instruct.json")),
    ("mistral-7b", include_str!("../../../models/mistral-7b-instruct-v0.2.json")),
    ("opt-66b", include_str!("../../../models/opt-66b.json")),
    ("qwen2.5-72b", include_str!("../../../models/qwen2.5-72b.json")),
    ("smollm2-135m", include_str!("../../../models/smollm2-135m-instruct.json")),
];

/// A shipped model.
#[track_caller]
pub(crate) fn model(name: &str) -> ModelConfig {
    let (_, text) = MODELS.iter().find(|(known, _)| *known == name).expect("a shipped model");
    ModelConfig::from_json(text).expect("a shipped configuration is valid")
}

/// A model small enough to count by hand: 2 layers of width 8, 4 query heads on 2 KV heads of 2, FFN 12, vocabulary 10.
pub(crate) const TINY: &str = r#"{"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 8,
    "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 12, "vocab_size": 10}"#;

/// The same size in OPT's layout, with 5 positions.
pub(crate) const TINY_OPT: &str = r#"{"model_type": "opt", "num_hidden_layers": 2, "hidden_size": 8,
    "num_attention_heads": 4, "ffn_dim": 12, "vocab_size": 10, "max_position_embeddings": 5}"#;

pub(crate) fn read(text: &str) -> ModelConfig {
    ModelConfig::from_json(text).expect("a valid configuration")
}
