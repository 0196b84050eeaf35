//! How much memory does a codec save, and are the bytes of its cost side those of its values?

use crate::codec_values::{head, prompt};
use workloads::kv::packing::Pages;
use workloads::kv::{Codec, HeadShape, codec, codecs, parse, text};

/// Mistral-7B: d 128, four query heads for each of 8 KV heads.
const MISTRAL: HeadShape = HeadShape { head_dim: 128, query_heads: 4 };

/// AQPIM's defaults: m 32, K 512 in nine bits, 8 + 32 tokens exact.
fn aqpim() -> Box<dyn Codec> {
    parse("pq:m=32,k=512,sinks=8,recent=32").unwrap()
}

#[test]
fn aqpim_saves_what_the_arithmetic_says() {
    #[track_caller]
    fn check(tokens: u64, packed: &str, padded: &str) {
        let (fp16, pq) = (codec("fp16").unwrap(), aqpim());
        let ratio = |bytes: u64| format!("{:.2}", fp16.stored_bytes(MISTRAL, tokens) as f64 / bytes as f64);
        assert_eq!(ratio(pq.stored_bytes(MISTRAL, tokens)), packed, "{tokens} tokens, packed");
        assert_eq!(ratio(pq.padded_bytes(MISTRAL, tokens, Pages::HBM)), padded, "{tokens} tokens, in words and pages");
    }
    check(4_096, "3.65", "3.44");
    check(8_192, "4.82", "4.47");
    check(16_384, "5.75", "5.49");
    check(32_768, "6.36", "6.20");
    check(131_072, "6.91", "6.77");
}

#[test]
fn sixteen_bit_indices_save_less() {
    // aqpim.md: 73 % at 32 k tokens with 16 bits against about 84 % with nine.
    let saved = |text: &str| {
        let bytes = parse(text).unwrap().stored_bytes(MISTRAL, 32_768) as f64;
        1.0 - bytes / codec("fp16").unwrap().stored_bytes(MISTRAL, 32_768) as f64
    };
    assert!((saved("pq:indices=u16") - 0.73).abs() < 0.005, "{}", saved("pq:indices=u16"));
    assert!((saved("pq") - 0.84).abs() < 0.005, "{}", saved("pq"));
}

#[test]
fn every_codec_needs_at_least_its_bytes_in_pages() {
    for codec in codecs() {
        for tokens in [0, 1, 39, 40, 41, 512, 4_096, 100_000] {
            let (packed, padded) =
                (codec.stored_bytes(MISTRAL, tokens), codec.padded_bytes(MISTRAL, tokens, Pages::HBM));
            assert!(padded >= packed && padded.is_multiple_of(1024), "{}: {tokens} tokens", text(codec));
        }
    }
}

/// Bits of the values against bytes of the costs, for a real head.
#[test]
fn what_is_stored_is_what_is_charged() {
    let head = head();
    let shape = HeadShape { head_dim: 64, query_heads: 3 };
    for tokens in [200, 384] {
        let prompt = prompt(&head, tokens);
        let n = tokens as u64;
        let exactly = [
            "fp16",
            "int:bits=8",
            "int:bits=3,group=16",
            "wkvquant-like",
            "wkvquant-like:bits=2,group=32,recent=0",
            "skvq-like:window=64",
            "turboquant-like:bits=3",
            "pq:m=16,k=64",
            "pq:m=8,k=100,weights=none,sinks=0,recent=0,window=128",
            "pq:m=32,k=16,indices=u16,sinks=3,recent=5",
            "streaming-llm",
            "h2o:keep=0.3",
            "snapkv",
            "quest:page=24",
        ];
        for name in exactly {
            let codec = parse(name).unwrap();
            let stored = codec.encode(&prompt).unwrap().stored_bits();
            assert_eq!(stored.div_ceil(8), codec.stored_bytes(shape, n), "{name}, {tokens} tokens");
        }
        // Room is reserved for the residual beside the codes of all tokens.
        let kivi = parse("kivi:bits=2,group=32,residual=64").unwrap();
        let stored = kivi.encode(&prompt).unwrap().stored_bits().div_ceil(8);
        let room = kivi.stored_bytes(shape, n) - stored;
        assert!(room <= 64 * (2 * 64 * 3 / 8) + 64 * 256, "{room} bytes of room");
        // Codes near the GPU, everything in the host's memory; sinks and newest tokens are in both.
        let pqcache = parse("pqcache:sinks=0,newest=0").unwrap();
        let stored = pqcache.encode(&prompt).unwrap().stored_bits().div_ceil(8);
        assert_eq!(stored, pqcache.stored_bytes(shape, n) + pqcache.host_bytes(shape, n));
        // The number of outliers is an expectation.
        let kvquant = parse("kvquant-like").unwrap();
        let stored = kvquant.encode(&prompt).unwrap().stored_bits() as f64 / 8.0;
        let charged = kvquant.stored_bytes(shape, n) as f64;
        assert!((stored / charged - 1.0).abs() < 0.05, "{stored} {charged}");
    }
}
