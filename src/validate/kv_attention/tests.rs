use std::sync::LazyLock;

use super::*;

/// Read once for all tests.
static TENSORS: LazyLock<Vec<KvTensors>> = LazyLock::new(|| shipped_tensors().unwrap());

const HEAD: &str = "n_ctx,layer,kv_head,method,params,bits_per_elem,rel_err_mean";

/// A table of one row about the shipped tensors.
fn row(text: &str) -> Result<Outcome, ValidateError> {
    let table = Table::parse("t.csv", format!("{HEAD}\n{text}\n").as_bytes(), &COLUMNS)?;
    let asked = vec![Asked::read(&table, &table.rows()[0], &TENSORS)?];
    let measured = measure(&asked, &TENSORS, 1)?;
    Ok(judge("t.csv", &table, &asked, &measured))
}

#[track_caller]
fn check_refused(text: &str, message: &str) {
    let error = row(text).unwrap_err();
    assert_eq!(error.to_string(), message);
    assert!(error.is_input() && !error.remedy().is_empty());
}

#[test]
fn is_a_row_of_each_kind_met_and_a_wrong_one_found() {
    // From the table: layer 14, KV head 2, 384 tokens.
    let shipped = shipped_tables().unwrap().pop().unwrap();
    let wanted = ["per_token", "kivi", "turbo_like", "snapkv", "quest", "pqcache"];
    for method in wanted {
        let of_method = |row: &&Row| shipped.text(row, "method") == method && shipped.text(row, "layer") == "14";
        let found = shipped.rows().iter().find(of_method).unwrap();
        let column = |name| shipped.text(found, name).to_owned();
        let text = |error: &str| {
            let (params, bits) = (column("params"), column("bits_per_elem"));
            format!("384,14,2,{method},{params},{bits},{error}")
        };
        assert!(row(&text(&column("rel_err_mean"))).unwrap().passed, "{method}");
        let wrong = column("rel_err_mean").parse::<f64>().unwrap() * 1.05 + 1e-5;
        assert!(!row(&text(&wrong.to_string())).unwrap().passed, "{method}");
    }
}

#[test]
fn are_rows_that_nobody_can_compute_refused_with_their_place() {
    check_refused("384,14,2,fp8,,8,0", "t.csv:2:10: there is no method `fp8`");
    check_refused("384,7,0,fp16,,16,0", "t.csv:2:5: no tensors of layer 7, KV head 0 with a context of 384");
    check_refused("385,14,2,fp16,,16,0", "t.csv:2:5: no tensors of layer 14, KV head 2 with a context of 385");
    check_refused("384,14,2,kivi,b=2;G=32,3,0", "t.csv:2:15: `R=` is missing");
    check_refused("384,14,2,pq,m=16;K=256;it=4;x=1,3,0", "t.csv:2:29: `x` is unknown here");
    check_refused("384,14,2,turbo_like,b=2;seed=8,3,0", "t.csv:2:25: the signs of seed 8 are not known");
    check_refused("384,14,2,pq,m=16;K=256;it=4;train=first 999,3,0", "t.csv:2:29: `train` is \"first 999\"");
    let error = row("384,14,2,pq,m=15;K=256;it=4,3,0").unwrap_err().to_string();
    assert!(error.contains("15 sub-vectors do not divide a head of 64 elements"), "{error}");
    let error = row("384,14,2,pq,m=16;K=512;it=4,3,0").unwrap_err().to_string();
    assert!(error.contains("512 centroids for 384 tokens"), "{error}");
}

#[test]
fn do_the_signs_equal_those_of_the_golden_vectors() {
    let golden = include_bytes!("../../../validation/kv/golden.safetensors");
    let file = safetensors::SafeTensors::deserialize(golden).unwrap();
    let signs = file.tensor("turbo_signs").unwrap();
    let signs = signs.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes) < 0.0);
    assert!(signs.enumerate().all(|(index, minus)| minus == (SIGNS_OF_SEED_7 >> index & 1 == 1)));
}
