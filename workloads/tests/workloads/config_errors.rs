//! Is a bad configuration refused with its field and the remedy, and never with a panic?

use crate::{TINY, TINY_OPT};
use proptest::prelude::*;
use serde_json::Value;
use workloads::{DecodeStep, ModelConfig, OperatorGraph};

#[track_caller]
fn check(text: &str, expected: &str) {
    let error = ModelConfig::from_json(text).expect_err("a bad configuration").to_string();
    assert_eq!(error, expected);
}

/// [`TINY`] with one key set.
fn tiny(key: &str, value: &str) -> String {
    let mut config: Value = serde_json::from_str(TINY).expect("JSON");
    config[key] = serde_json::from_str(value).expect("JSON");
    config.to_string()
}

#[test]
fn text_that_is_no_configuration_is_refused() {
    check("", "the model configuration is not JSON: EOF while parsing a value at line 1 column 0");
    check("{\n\"model_type\": llama}", "the model configuration is not JSON: expected value at line 2 column 15");
    check("[1]", "the model configuration is [1]: wanted a JSON object as in a Hugging Face config.json");
    check("{}", "`model_type` is missing: wanted one of llama, mistral, qwen2, opt, gpt2");
}

#[test]
fn an_unknown_family_is_refused_with_the_known_ones() {
    check(
        &tiny("model_type", "\"mamba\""),
        "`model_type` is \"mamba\": wanted one of llama, mistral, qwen2, opt, gpt2",
    );
    check(&tiny("model_type", "7"), "`model_type` is 7: wanted one of llama, mistral, qwen2, opt, gpt2");
    let long = format!("\"{}\"", "x".repeat(500));
    let shown = format!("\"{}...", "x".repeat(59));
    check(
        &tiny("model_type", &long),
        &format!("`model_type` is {shown}: wanted one of llama, mistral, qwen2, opt, gpt2"),
    );
}

#[test]
fn a_missing_field_is_named() {
    #[track_caller]
    fn without(key: &str, expected: &str) {
        check(&TINY.replace(&format!("\"{key}\""), "\"other\""), expected);
    }
    without(
        "num_hidden_layers",
        "`num_hidden_layers` is missing: wanted the number of transformer layers, a whole number from 1 to 4096",
    );
    without(
        "intermediate_size",
        "`intermediate_size` is missing: wanted the width of the feed-forward network, a whole number from 1 to 4194304",
    );
    check(
        &TINY.replace("llama", "mistral").replace("num_key_value_heads", "other"),
        "`num_key_value_heads` is missing: wanted the number of key and value heads, a whole number from 1 to 4096",
    );
    check(
        &TINY_OPT.replace("max_position_embeddings", "other"),
        "`max_position_embeddings` is missing: wanted the longest context in tokens, a whole number from 1 to 4294967296",
    );
}

#[test]
fn an_impossible_value_is_named_with_what_is_allowed() {
    let layers = "wanted the number of transformer layers, a whole number from 1 to 4096";
    for value in ["0", "-3", "2.5", "1e30", "4097", "18446744073709551615", "\"32\"", "true", "[32]"] {
        let shown = serde_json::from_str::<Value>(value).expect("JSON");
        check(&tiny("num_hidden_layers", value), &format!("`num_hidden_layers` is {shown}: {layers}"));
    }
    check(
        &tiny("num_key_value_heads", "3"),
        "`num_key_value_heads` is 3: wanted a divisor of `num_attention_heads`, which is 4",
    );
    check(
        &tiny("hidden_size", "9"),
        "`hidden_size` is 9: wanted a multiple of `num_attention_heads`, which is 4, by at most 4096",
    );
    check(&tiny("tie_word_embeddings", "1"), "`tie_word_embeddings` is 1: wanted true or false");
    check(
        &tiny("hidden_act", "\"mish\""),
        "`hidden_act` is \"mish\": wanted silu, relu, gelu, gelu_new, gelu_fast or gelu_pytorch_tanh",
    );
}

#[test]
fn a_layout_that_is_not_modelled_is_refused() {
    check(
        &TINY_OPT.replace("ffn_dim", "do_layer_norm_before\": false, \"ffn_dim"),
        "`do_layer_norm_before` is false: wanted true: post-norm blocks are not modelled",
    );
    check(
        &TINY_OPT.replace("ffn_dim", "word_embed_proj_dim\": 4, \"ffn_dim"),
        "`word_embed_proj_dim` is 4: wanted hidden_size: a projected embedding is not modelled",
    );
    check(
        &TINY.replace("llama", "qwen2").replace(
            "vocab_size",
            "sliding_window\": 4, \"use_sliding_window\": true, \"max_window_layers\": 1, \"vocab_size",
        ),
        "`max_window_layers` is 1: wanted 0 or at least 2: a window in some of the layers only is not modelled",
    );
}

/// Any small JSON value.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (0_u64..9000).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,80}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Value::from))
}

const KEYS: [&str; 26] = [
    "num_hidden_layers",
    "hidden_size",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "intermediate_size",
    "ffn_dim",
    "vocab_size",
    "max_position_embeddings",
    "sliding_window",
    "use_sliding_window",
    "max_window_layers",
    "tie_word_embeddings",
    "hidden_act",
    "activation_function",
    "attention_bias",
    "mlp_bias",
    "enable_bias",
    "word_embed_proj_dim",
    "n_layer",
    "n_embd",
    "n_head",
    "n_inner",
    "n_positions",
    "model_type",
    "_name_or_path",
];

proptest! {
    #[test]
    fn random_text_never_panics(text in ".{0,200}") {
        let _ = ModelConfig::from_json(&text);
    }

    #[test]
    fn a_configuration_with_any_values_is_read_or_refused(
        start in prop::sample::select(&crate::MODELS[..]),
        family in prop::sample::select(vec!["llama", "mistral", "qwen2", "opt", "gpt2"]),
        changes in prop::collection::vec((prop::sample::select(&KEYS[..]), json()), 0..4),
    ) {
        let mut config: Value = serde_json::from_str(start.1).expect("JSON");
        config["model_type"] = family.into();
        for (key, value) in changes {
            config[key] = value;
        }
        if let Ok(model) = ModelConfig::from_json(&config.to_string()) {
            prop_assert!(model.parameters() > 0 && model.heads % model.kv_heads == 0);
            prop_assert!(model.weight_bytes(8) / 8 == model.parameters(), "weights fit 64 bits");
        }
    }

    #[test]
    fn any_accepted_size_and_any_step_is_counted_or_refused(
        layers in 1_u32..4, hidden in 1_u64..=1 << 20, own in 1_u32..=1 << 12, kv in 1_u32..=64, group in 1_u32..=64,
        batch in any::<u32>(), context in any::<u64>(), dtype_bytes in any::<u32>(),
    ) {
        let text = format!(
            r#"{{"model_type": "llama", "num_hidden_layers": {layers}, "hidden_size": {hidden}, "head_dim": {own},
                "num_attention_heads": {}, "num_key_value_heads": {kv}, "intermediate_size": 12, "vocab_size": 10}}"#,
            kv * group
        );
        let model = crate::read(&text);
        let graph = OperatorGraph::decode(&model, DecodeStep { batch, context, dtype_bytes });
        // Saturated or empty steps are refused; the others are exact.
        if graph.validate().is_ok() {
            prop_assert_eq!(graph.totals().weight_bytes, model.streamed_weight_bytes(batch, dtype_bytes));
        }
    }
}

#[test]
fn the_largest_model_that_is_accepted_fits_64_bits() {
    let text = r#"{"model_type": "llama", "num_hidden_layers": 4096, "hidden_size": 1048576, "head_dim": 4096,
        "num_attention_heads": 4096, "num_key_value_heads": 4096, "intermediate_size": 4194304, "vocab_size": 16777216}"#;
    let model = crate::read(text);
    let exact = 2 * (1_u128 << 44) + 4096 * (4 * (1 << 44) + 3 * (1 << 42) + 2 * (1 << 20)) + (1 << 20);
    assert_eq!(u128::from(model.parameters()), exact);
    assert_eq!(u128::from(model.weight_bytes(8)), 8 * exact);
}
