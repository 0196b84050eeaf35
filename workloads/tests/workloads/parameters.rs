//! Do the counts equal the published ones?

use crate::{MODELS, TINY, TINY_OPT, model, read};
use workloads::{ModelConfig, Positions};

#[test]
fn parameters_equal_the_published_checkpoints() {
    #[track_caller]
    fn check(name: &str, expected: u64) {
        assert_eq!(model(name).parameters(), expected, "{name}");
    }
    check("mistral-7b", 7_241_732_096);
    check("llama-2-7b", 6_738_415_616);
    check("llama-2-13b", 13_015_864_320);
    check("llama-2-70b", 68_976_648_192);
    check("llama-3.1-8b", 8_030_261_248);
    check("llama-3.1-70b", 70_553_706_496);
    check("llama-3.2-3b", 3_212_749_824);
    check("smollm2-135m", 134_515_008);
    check("qwen2.5-72b", 72_706_203_648);
    // 4(h² + h) + 2hf + f + h + 4h a layer, 50272 + 2050 rows of h, 2h for the final norm.
    check("opt-66b", 65_719_701_504);
    // Brown et al. 2020, table D.1, counts 174 600 million.
    check("gpt3-175b", 174_604_259_328);
}

#[test]
fn parameters_of_tiny_models_equal_the_hand_count() {
    #[track_caller]
    fn check(text: &str, expected: u64) {
        assert_eq!(read(text).parameters(), expected);
    }
    // A layer: q 64, k 32, v 32, o 64, three FFN matrices of 96, two norms of 8.
    let layer = 64 + 32 + 32 + 64 + 3 * 96 + 2 * 8;
    check(TINY, 80 + 2 * layer + 8 + 80);
    check(&with(TINY, r#""tie_word_embeddings": true"#), 80 + 2 * layer + 8);
    check(&with(TINY, r#""attention_bias": true"#), 80 + 2 * (layer + 16 + 8) + 8 + 80);
    check(&with(TINY, r#""mlp_bias": true"#), 80 + 2 * (layer + 24 + 8) + 8 + 80);
    check(&TINY.replace("llama", "qwen2"), 80 + 2 * (layer + 16) + 8 + 80);
    // Heads of 3 instead of 2: the projections no longer have the width of the residual stream.
    check(&with(TINY, r#""head_dim": 3"#), 80 + 2 * (96 + 48 + 48 + 96 + 3 * 96 + 2 * 8) + 8 + 80);
    // OPT: four 8 x 8 with bias, two FFN matrices with bias, LayerNorms of 16, 5 + 2 positions.
    check(TINY_OPT, 80 + 56 + 2 * (4 * 72 + 96 + 12 + 96 + 8 + 32) + 16);
    check(&with(TINY_OPT, r#""enable_bias": false"#), 80 + 56 + 2 * (4 * 64 + 96 + 96 + 32) + 16);
}

#[test]
fn gpt2_widens_its_ffn_four_times_unless_told() {
    let text = r#"{"model_type": "gpt2", "n_embd": 8, "n_head": 2, "n_layer": 1, "n_positions": 4,
        "vocab_size": 10, "n_inner": null}"#;
    assert_eq!(read(text).intermediate, 32);
    assert_eq!(read(&text.replace("null", "12")).intermediate, 12);
    assert_eq!(read(text).positions, Positions::Learned { rows: 4 });
}

#[test]
fn kv_bytes_per_token_equal_the_published_figures() {
    #[track_caller]
    fn check(name: &str, kib: u64) {
        assert_eq!(model(name).kv_bytes_per_token(2), kib * 1024, "{name}");
        let layer = model(name).kv_bytes_per_token_layer(2);
        assert_eq!(layer * u64::from(model(name).layers), kib * 1024, "{name}");
    }
    check("mistral-7b", 128);
    check("llama-2-7b", 512);
    check("llama-2-70b", 320);
    check("llama-3.2-3b", 112);
    check("gpt3-175b", 4608);
}

#[test]
fn the_embedding_table_is_resident_but_only_looked_up() {
    let untied = read(TINY);
    assert_eq!(untied.weight_bytes(2), 2 * untied.parameters());
    // All but the embedding table, and one row of it per sequence.
    assert_eq!(untied.streamed_weight_bytes(3, 2), 2 * (untied.parameters() - 80 + 3 * 8));
    // Tied: the one table is streamed for the head, and looked up as well.
    let tied = read(&with(TINY, r#""tie_word_embeddings": true"#));
    assert_eq!(tied.streamed_weight_bytes(3, 2), untied.streamed_weight_bytes(3, 2));
    assert_eq!(tied.streamed_weight_bytes(3, 2), 2 * (tied.parameters() + 3 * 8));
    // Learned positions: one row per sequence of their table too.
    let opt = read(TINY_OPT);
    assert_eq!(opt.streamed_weight_bytes(3, 2), 2 * (opt.parameters() - 56 + 3 * 16));
    // AQPIM's first-order arithmetic has W = 14.2 GB for Mistral-7B.
    assert_eq!(model("mistral-7b").streamed_weight_bytes(16, 2) / 100_000_000, 142);
}

#[test]
fn a_sliding_window_is_visible_and_limits_what_is_read() {
    #[track_caller]
    fn check(text: &str, window: Option<u64>, attended: u64) {
        let model = read(text);
        assert_eq!(model.sliding_window, window);
        assert_eq!(model.attended_tokens(8192), attended);
    }
    let mistral = TINY.replace("llama", "mistral");
    check(&mistral, None, 8192);
    check(&with(&mistral, r#""sliding_window": null"#), None, 8192);
    check(&with(&mistral, r#""sliding_window": 4096"#), Some(4096), 4096);
    check(&with(&mistral, r#""sliding_window": 16384"#), Some(16384), 8192);
    let qwen2 = with(&TINY.replace("llama", "qwen2"), r#""sliding_window": 4096"#);
    check(&qwen2, None, 8192);
    check(&with(&qwen2, r#""use_sliding_window": true, "max_window_layers": 0"#), Some(4096), 4096);
    check(&with(&qwen2, r#""use_sliding_window": true, "max_window_layers": 2"#), None, 8192);
}

#[test]
fn defaults_are_those_of_the_family() {
    assert_eq!(read(TINY).head_dim, 2);
    assert_eq!(read(&TINY.replace(r#""num_key_value_heads": 2,"#, "")).kv_heads, 4);
    assert_eq!(read(TINY).max_positions, None);
    assert!(read(TINY_OPT).tied_embeddings && !read(TINY).tied_embeddings);
    assert_eq!(read(TINY).name, "llama");
    assert_eq!(read(&with(TINY, r#""_name_or_path": "acme/tiny""#)).name, "acme/tiny");
}

#[test]
fn every_shipped_configuration_is_read() {
    for (name, text) in MODELS {
        let model = ModelConfig::from_json(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(model.max_positions.is_some(), "{name}");
    }
}

/// The object with one more pair.
fn with(text: &str, pair: &str) -> String {
    format!("{}, {pair}}}", text.trim_end_matches('}'))
}
