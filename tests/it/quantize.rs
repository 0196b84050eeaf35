//! What does `pimscope quantize` leave, and what does it refuse?

use std::fs;
use std::path::Path;

use crate::common::{pimscope, root, tree};

/// Four heads of 512 tokens.
fn small() -> String {
    root().join("validation/kv/kv_smollm2_L512_small.safetensors").display().to_string()
}

#[track_caller]
fn quantize(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    let file = small();
    let all: Vec<&str> = ["quantize", &file].into_iter().chain(arguments.iter().copied()).collect();
    let output = pimscope(directory, &all, None);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_table_three_files_and_the_same_bytes_again() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["--codec", "int:bits=4", "--codec", "pq:m=16,k=64", "--layers", "10,14", "--out"];
    for out in ["a", "b"] {
        let (code, table, error) = quantize(directory.path(), &[&arguments[..], &[out]].concat());
        assert_eq!((code, &error[..]), (0, ""));
        assert!(table.starts_with("kv_smollm2_L512_small.safetensors: 384 tokens, mean of 2 heads"), "{table}");
        let row = table.lines().find(|line| line.starts_with("int:bits=4")).unwrap();
        assert_eq!(row.split_whitespace().nth(1), Some("4.500"), "{table}");
    }
    assert_eq!(tree(&directory.path().join("a")).len(), 3);
    for file in ["errors.csv", "summary.json", "error-bits.svg"] {
        let read = |out: &str| fs::read(directory.path().join(out).join(file)).unwrap();
        assert_eq!(read("a"), read("b"), "{file}");
    }
    // The rows are those of the reference table: layer 14, KV head 2, four bits for each token.
    let rows = fs::read_to_string(directory.path().join("a/errors.csv")).unwrap();
    assert_eq!(rows.lines().count(), 1 + 2 * 2);
    let reference = fs::read_to_string(root().join("validation/kv/attention_error_n384.csv")).unwrap();
    let of_table = |line: &&str| line.starts_with("384,14,2,per_token,b=4,");
    let expected: Vec<&str> = reference.lines().find(of_table).unwrap().split(',').skip(5).collect();
    let ours = rows.lines().find(|line| line.starts_with("384,14,2,int,")).unwrap();
    let ours: Vec<&str> = ours.rsplitn(8, ',').take(7).collect();
    for (ours, expected) in ours.into_iter().rev().zip(expected) {
        let (ours, expected): (f64, f64) = (ours.parse().unwrap(), expected.parse().unwrap());
        assert!((ours - expected).abs() <= 2e-6, "{ours} {expected}");
    }
    let summary: serde_json::Value =
        serde_json::from_slice(&fs::read(directory.path().join("a/summary.json")).unwrap()).unwrap();
    assert_eq!(summary["n_ctx"], 384);
    assert_eq!(summary["codecs"][1]["queries_per_head"], 192);
    assert_eq!(summary["codecs"][0]["bytes_per_head"], 384 * 72);
}

#[test]
fn the_default_set_leaves_out_what_does_not_fit() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["--layers", "0", "--context", "200", "--generated", "10", "--out", "a"];
    let (code, table, error) = quantize(directory.path(), &arguments);
    assert_eq!((code, &error[..]), (0, ""));
    assert!(table.contains("200 tokens, 10 of them generated"), "{table}");
    assert!(table.contains("left out: pq:m=32,k=512"), "{table}");
    assert!(table.lines().any(|line| line.starts_with("kivi:bits=2")), "{table}");
}

#[test]
fn quiet_is_quiet() {
    let directory = tempfile::tempdir().unwrap();
    let (code, table, error) = quantize(directory.path(), &["--codec", "fp16", "--layers", "0", "-q", "--out", "a/b"]);
    assert_eq!((code, &table[..], &error[..]), (0, "", ""));
    assert_eq!(tree(&directory.path().join("a/b")).len(), 3);
}

#[track_caller]
fn refused(arguments: &[&str], wanted: &str) {
    let directory = tempfile::tempdir().unwrap();
    let (code, table, error) = quantize(directory.path(), arguments);
    let error = error.replace("\n  │ ", " ").split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!((code, &table[..]), (2, ""), "{error}");
    assert!(error.contains(wanted), "`{wanted}` is not in\n{error}");
    assert!(tree(directory.path()).is_empty(), "something was left behind");
}

#[test]
fn mistakes_are_located_and_leave_nothing() {
    refused(&["--codec", "pq:m=24,k=16"], "24 sub-vectors do not divide a head of 64 elements");
    refused(&["--codec", "pq:k=65537"], "character 6: `k` is \"65537\"");
    refused(&["--codec", "pq:m=32,k=385"], "385 centroids for 384 tokens");
    refused(&["--codec", "pq:m=32,k=16,sinks=400"], "400 sinks and 32 newest tokens are more than 384 tokens");
    refused(&["--codec", "pq:m=32,itertions=4"], "did you mean `iterations`?");
    refused(&["--codec", "kiwi"], "did you mean `kivi`?");
    refused(&["--layers", "0,7"], "has no layer 7");
    refused(&["--layers", "x"], "\"x\" is no layer");
    refused(&["--context", "449"], "queries behind at most 448 tokens");
    refused(&["--generated", "384"], "--generated 384: of 384 tokens");
    refused(&["--codec", "pq:m=16,k=16,sinks=8,recent=32", "--generated", "360"], "more than 24 tokens");
}

#[test]
fn files_that_cannot_be_read_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let whole = fs::read(small()).unwrap();
    fs::write(directory.path().join("half"), &whole[..whole.len() / 2]).unwrap();
    for (file, wanted) in [("half", "is cut off"), ("none", "cannot be read"), (".", "cannot be read")] {
        let output = pimscope(directory.path(), &["quantize", file, "--out", "out"], None);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && error.contains(wanted), "{error}");
        assert!(!directory.path().join("out").exists());
    }
}
