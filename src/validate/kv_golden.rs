//! Suite `kv-golden`: k-means, product quantisation, look-up attention, scalar quantisers and selections against vectors
//! that were worked out in FP64.
//!
//! Numbers agree to 1e-5 (of the largest number of their tensor, where that is more than 1); codes, assignments and
//! selections are equal. The reference says how near the nearest and the second nearest centroid come for any point: where
//! that is far above the rounding of FP32, codes have no excuse to differ.

use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::SafeTensors;
use serde_json::Value;
use workloads::kv::attention::dense;
use workloads::kv::{
    Clustering, Codec, EncodedHead, Importance, Pq, PqHead, Prefill, TurboquantLike, Weights, Workspace, cluster,
    nearest_codes, parse,
};

use super::error::ValidateError;
use super::kv_reference::{bytes, wrong_file};
use super::outcome::{Case, Outcome};
use super::{Options, Suite};

const SHIPPED: &[u8] = include_bytes!("../../validation/kv/golden.safetensors");
const SHIPPED_INFO: &str = include_str!("../../validation/kv/golden.json");
const SHIPPED_PATH: &str = "validation/kv/golden.safetensors";

/// The bound of numbers.
const BOUND: f64 = 1e-5;
/// The softmax scale of the reference.
const SCALE: f32 = 0.125;

/// The suite.
#[derive(Clone, Copy, Debug)]
pub struct KvGolden;

impl Suite for KvGolden {
    fn name(&self) -> &'static str {
        "kv-golden"
    }

    fn about(&self) -> &'static str {
        "k-means, product quantisation, quantisers and selections against golden vectors"
    }

    fn run(&self, options: &Options) -> Result<Outcome, ValidateError> {
        let Some(path) = &options.reference else {
            return validate(SHIPPED_PATH, SHIPPED, SHIPPED_INFO);
        };
        let (tensors, info) = beside(path);
        let remedy = "--reference takes a folder with golden.safetensors and golden.json, or one of the two";
        let data = bytes(&tensors, remedy)?;
        let text = String::from_utf8(bytes(&info, remedy)?)
            .map_err(|_| wrong_file(&info.display().to_string(), "this is not text in UTF-8", remedy))?;
        validate(&tensors.display().to_string(), &data, &text)
    }
}

/// The two files of a reference, whichever of them or their folder is named.
fn beside(path: &Path) -> (PathBuf, PathBuf) {
    if path.is_dir() {
        return (path.join("golden.safetensors"), path.join("golden.json"));
    }
    (path.with_extension("safetensors"), path.with_extension("json"))
}

/// The reference's tensors.
struct Golden<'a> {
    name: &'a str,
    tensors: SafeTensors<'a>,
}

impl Golden<'_> {
    fn wrong(&self, problem: String, remedy: &str) -> ValidateError {
        wrong_file(self.name, problem, remedy)
    }

    /// The numbers of a tensor, and its shape.
    fn tensor(&self, name: &str) -> Result<(Vec<f64>, Vec<usize>), ValidateError> {
        let tensor = self
            .tensors
            .tensor(name)
            .map_err(|_| self.wrong(format!("there is no tensor `{name}`"), "write all tensors of golden.py"))?;
        let data = tensor.data();
        let numbers: Vec<f64> = match tensor.dtype() {
            Dtype::F64 => data.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect(),
            Dtype::F32 => data.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect(),
            Dtype::I32 => data.as_chunks().0.iter().map(|bytes| f64::from(i32::from_le_bytes(*bytes))).collect(),
            other => {
                return Err(
                    self.wrong(format!("tensor `{name}` has the type {other:?}"), "F64, F32 and I32 can be read")
                );
            }
        };
        if let Some(index) = numbers.iter().position(|number| !number.is_finite()) {
            return Err(self.wrong(format!("tensor `{name}`, element {index} is {}", numbers[index]), "write numbers"));
        }
        Ok((numbers, tensor.shape().to_vec()))
    }

    /// A tensor of inputs: rows of a length.
    fn input(&self, name: &str, columns: Option<usize>) -> Result<Vec<f32>, ValidateError> {
        let (numbers, shape) = self.tensor(name)?;
        let fits = match columns {
            Some(columns) => shape.len() == 2 && shape[1] == columns && shape[0] > 0,
            None => shape.len() == 1,
        };
        if !fits {
            return Err(
                self.wrong(format!("tensor `{name}` has the shape {shape:?}"), "it must be as golden.py makes it")
            );
        }
        Ok(numbers.into_iter().map(|number| number as f32).collect())
    }
}

/// What has been compared.
struct Compared<'a> {
    golden: &'a Golden<'a>,
    cases: Vec<Case>,
}

impl Compared<'_> {
    fn push(&mut self, tensor: &str, what: &str, count: usize, deviation: f64, bound: f64) {
        self.cases.push(Case {
            line: 0,
            row: vec![tensor.to_owned(), what.to_owned(), count.to_string()],
            reference: 0.0,
            ours: deviation,
            exact: deviation <= bound,
            extra: vec![bound.to_string()],
        });
    }

    /// Numbers: the largest difference, of the largest number.
    fn numbers(&mut self, tensor: &str, ours: impl IntoIterator<Item = f64>) -> Result<(), ValidateError> {
        let (reference, _) = self.golden.tensor(tensor)?;
        let ours: Vec<f64> = ours.into_iter().collect();
        let largest = reference.iter().fold(1.0, |most: f64, number| most.max(number.abs()));
        let differences = ours.iter().zip(&reference).map(|(a, b)| (a - b).abs() / largest);
        let mut worst = differences.fold(0.0, f64::max);
        if ours.len() != reference.len() || ours.iter().any(|number| !number.is_finite()) {
            worst = f64::INFINITY;
        }
        self.push(tensor, "largest difference", reference.len(), worst, BOUND);
        Ok(())
    }

    fn floats(&mut self, tensor: &str, ours: &[f32]) -> Result<(), ValidateError> {
        self.numbers(tensor, ours.iter().map(|number| f64::from(*number)))
    }

    /// Codes: how many differ.
    fn codes(&mut self, tensor: &str, ours: impl IntoIterator<Item = u32>) -> Result<(), ValidateError> {
        let (reference, _) = self.golden.tensor(tensor)?;
        let ours: Vec<f64> = ours.into_iter().map(f64::from).collect();
        let differ = ours.iter().zip(&reference).filter(|(a, b)| (*a - *b).abs() > 0.5).count();
        let differ = differ + ours.len().abs_diff(reference.len());
        self.push(tensor, "codes that differ", reference.len(), differ as f64, 0.0);
        Ok(())
    }
}

/// The codes of a side, token by token.
fn by_token(head: &PqHead, is_keys: bool, window: usize) -> Vec<u32> {
    let side = if is_keys { head.keys() } else { head.values() };
    let tokens = side.codes(window, 0).len();
    let sub_vectors = 0..PQ.sub_vectors as usize;
    (0..tokens)
        .flat_map(|token| sub_vectors.clone().map(move |sub| u32::from(side.codes(window, sub)[token])))
        .collect()
}

/// Product quantisation as the reference has it.
const PQ: Pq = Pq { sub_vectors: 8, centroids: 16, iterations: 4, unrounded: true, ..Pq::PLAIN };

/// The inputs of the reference.
struct Inputs {
    d: usize,
    keys: Vec<f32>,
    values: Vec<f32>,
    queries: Vec<f32>,
    weights: Vec<f32>,
}

impl Inputs {
    fn prefill<'a>(&'a self, observed: Option<&'a [f32]>) -> Prefill<'a> {
        Prefill {
            keys: &self.keys,
            values: &self.values,
            head_dim: self.d,
            importance: Importance {
                accumulated: Some(&self.weights),
                queries_end: self.weights.len(),
                observed,
                observed_queries: 1,
            },
        }
    }

    /// Some of the tokens.
    fn part(&self, tokens: std::ops::Range<usize>) -> Prefill<'_> {
        let rows = tokens.start * self.d..tokens.end * self.d;
        let importance = Importance {
            accumulated: Some(&self.weights[tokens]),
            queries_end: self.weights.len(),
            ..Importance::default()
        };
        Prefill { keys: &self.keys[rows.clone()], values: &self.values[rows], head_dim: self.d, importance }
    }
}

fn inputs(golden: &Golden<'_>) -> Result<Inputs, ValidateError> {
    let (_, shape) = golden.tensor("k")?;
    let [tokens, d] = shape[..] else {
        return Err(golden.wrong(format!("tensor `k` has the shape {shape:?}"), "it must be (tokens, head_dim)"));
    };
    if tokens < 128 || !d.is_multiple_of(64) || d == 0 {
        let remedy = "golden.py takes 128 tokens of a head of 64 elements";
        return Err(golden.wrong(format!("tensor `k` has the shape {shape:?}"), remedy));
    }
    let inputs = Inputs {
        d,
        keys: golden.input("k", Some(d))?,
        values: golden.input("v", Some(d))?,
        queries: golden.input("q", Some(d))?,
        weights: golden.input("w", None)?,
    };
    if inputs.values.len() != inputs.keys.len() || inputs.weights.len() != tokens {
        return Err(
            golden.wrong("`k`, `v` and `w` have other numbers of tokens".to_owned(), "write a row for each token")
        );
    }
    Ok(inputs)
}

fn validate(name: &str, data: &[u8], info: &str) -> Result<Outcome, ValidateError> {
    let tensors = SafeTensors::deserialize(data).map_err(|error| {
        wrong_file(name, format!("is cut off or no safetensors file ({error})"), "name a whole safetensors file")
    })?;
    let info: Value = serde_json::from_str(info).map_err(|error| {
        wrong_file(name, format!("golden.json beside it is no JSON: {error}"), "write golden.json with golden.py")
    })?;
    let golden = Golden { name, tensors };
    let inputs = inputs(&golden)?;
    let mut compared = Compared { golden: &golden, cases: Vec::new() };
    k_means(&inputs, &mut compared)?;
    product_quantisation(&inputs, &info, &mut compared)?;
    quantisers(&inputs, &info, &mut compared)?;
    selections(&inputs, &mut compared)?;
    let cases = compared.cases;
    let gaps = info["min_relative_distance_gap"].as_object();
    let gap = gaps.into_iter().flatten().filter_map(|(_, gap)| gap.as_f64()).fold(f64::INFINITY, f64::min);
    Ok(outcome(name, cases, gap))
}

fn outcome(name: &str, cases: Vec<Case>, gap: f64) -> Outcome {
    let failed: Vec<&Case> = cases.iter().filter(|case| !case.exact).collect();
    let worst = |what: &str| cases.iter().filter(|case| case.row[1] == what).map(|case| case.ours).fold(0.0, f64::max);
    let (difference, codes) = (worst("largest difference"), worst("codes that differ"));
    let mut notes = vec![
        format!(
            "numbers differ by at most {difference:.1e} (bound {BOUND:e}), codes and selections by {codes} (bound 0)"
        ),
        format!("the nearest two centroids of a point differ by at least {gap:.1e} of their distance"),
    ];
    let lines = failed.iter().take(10).map(|case| format!("{name}: {}: {} {:e}", case.row[0], case.row[1], case.ours));
    notes.extend(lines);
    Outcome {
        parts: None,
        suite: "kv-golden".to_owned(),
        reference: name.to_owned(),
        columns: ["tensor", "measure", "elements"].map(str::to_owned).to_vec(),
        extra_columns: vec!["bound".to_owned()],
        passed: failed.is_empty(),
        bound: vec![("difference".to_owned(), BOUND), ("codes".to_owned(), 0.0)],
        found: vec![
            ("difference".to_owned(), difference),
            ("codes".to_owned(), codes),
            ("least_distance_gap".to_owned(), gap),
        ],
        notes,
        cases,
    }
}

/// k-means of the first eight channels: 16 centroids, 0 to 10 iterations, with weights and without.
fn k_means(inputs: &Inputs, compared: &mut Compared<'_>) -> Result<(), ValidateError> {
    let points: Vec<f32> = inputs.keys.chunks_exact(inputs.d).flat_map(|key| &key[..8]).copied().collect();
    let tokens = points.len() / 8;
    let initial = || (0..16).flat_map(|j| &points[j * tokens / 16 * 8..][..8]).copied().collect();
    for iterations in [0, 1, 5, 10] {
        for (tag, weights) in [("km", None), ("kmw", Some(&inputs.weights[..]))] {
            let clustering = Clustering { dimension: 8, iterations, weights, ..Clustering::default() };
            let (centroids, codes) = cluster(&points, initial(), clustering);
            compared.floats(&format!("{tag}_C_it{iterations}"), &centroids)?;
            compared.codes(&format!("{tag}_a_it{iterations}"), codes.into_iter().map(u32::from))?;
        }
    }
    Ok(())
}

fn product_quantisation(inputs: &Inputs, info: &Value, compared: &mut Compared<'_>) -> Result<(), ValidateError> {
    let (d, tokens) = (inputs.d, inputs.weights.len());
    let heads = inputs.queries.len() / d;
    let mut workspace = Workspace::default();
    let mut exact = (vec![0.0; heads * tokens], vec![0.0; heads * d]);
    dense(&inputs.queries, &inputs.keys, &inputs.values, d, SCALE, &mut exact.0, &mut exact.1);
    compared.floats("exact_prob", &exact.0)?;
    compared.floats("exact_out", &exact.1)?;
    let refused = |error: workloads::kv::CodecError| compared_error(&error);
    for (tag, weights) in [("pq", Weights::None), ("pqw", Weights::Attention)] {
        let head = PqHead::encode(Pq { weights, ..PQ }, &inputs.prefill(None)).map_err(refused)?;
        compared.floats(&format!("{tag}_Ck"), head.keys().codebook(0))?;
        compared.floats(&format!("{tag}_Cv"), head.values().codebook(0))?;
        compared.codes(&format!("{tag}_ck"), by_token(&head, true, 0))?;
        compared.codes(&format!("{tag}_cv"), by_token(&head, false, 0))?;
        let tables: Vec<Vec<f64>> =
            inputs.queries.chunks_exact(d).map(|query| head.keys().lookup_table(query, SCALE)).collect();
        // A token's score is the sum of its look-ups.
        let codes = by_token(&head, true, 0);
        let scores = tables.iter().flat_map(|table| {
            let lookups = |codes: &[u32]| (0..).zip(codes).map(|(sub, code)| table[sub * 16 + *code as usize]).sum();
            codes.chunks_exact(8).map(lookups).collect::<Vec<f64>>()
        });
        compared.numbers(&format!("{tag}_scores"), scores)?;
        compared.numbers(&format!("{tag}_LUT"), tables.iter().flatten().copied())?;
        let mut out = vec![0.0; heads * d];
        head.attend(&inputs.queries, SCALE, &mut workspace, &mut out);
        let probabilities = workspace.probabilities().unwrap_or_default().to_vec();
        compared.floats(&format!("{tag}_prob"), &probabilities)?;
        let masses = probabilities.chunks_exact(tokens).flat_map(|row| {
            head.values().masses(&row.iter().map(|probability| f64::from(*probability)).collect::<Vec<_>>())
        });
        compared.numbers(&format!("{tag}_acc_per_centroid"), masses.collect::<Vec<_>>())?;
        compared.floats(&format!("{tag}_out"), &out)?;
        // How far that is from exact attention, which golden.json has.
        let errors = info[format!("{tag}_rel_err_vs_exact")].as_array().cloned().unwrap_or_default();
        let rows = out.chunks_exact(d).zip(exact.1.chunks_exact(d)).zip(errors);
        for (index, ((ours, exact), reference)) in rows.enumerate() {
            let square = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
            let norm: f64 = exact.iter().map(|x| f64::from(*x).powi(2)).sum();
            let error = (ours.iter().zip(exact).map(square).sum::<f64>() / norm).sqrt();
            let difference = (error - reference.as_f64().unwrap_or(f64::INFINITY)).abs();
            let name = format!("{tag}_rel_err_vs_exact[{index}]");
            compared.push(&name, "largest difference", 1, difference, BOUND);
        }
    }
    // Tokens 64 and later with the codebook of the first 64.
    let mut head = PqHead::encode(PQ, &inputs.part(0..64)).map_err(refused)?;
    compared.floats("online_Ck", head.keys().codebook(0))?;
    let rows = inputs.keys.chunks_exact(d).zip(inputs.values.chunks_exact(d)).skip(64);
    rows.for_each(|(key, value)| head.append(key, value));
    compared.codes("online_codes", by_token(&head, true, 0)[64 * 8..].iter().copied())?;
    // Windows of 32 tokens.
    let pq = Pq { weights: Weights::Attention, window: 32, ..PQ };
    let head = PqHead::encode(pq, &inputs.part(0..128)).map_err(refused)?;
    for window in 0..4 {
        compared.floats(&format!("win{window}_Ck"), head.keys().codebook(window))?;
        compared.codes(&format!("win{window}_ck"), by_token(&head, true, window))?;
    }
    Ok(())
}

/// A codec that refuses the reference's inputs.
fn compared_error(error: &workloads::kv::CodecError) -> ValidateError {
    wrong_file("golden.safetensors", error.to_string(), error.remedy())
}

fn quantisers(inputs: &Inputs, info: &Value, compared: &mut Compared<'_>) -> Result<(), ValidateError> {
    let (d, tokens) = (inputs.d, inputs.weights.len());
    let signs = compared.golden.input("turbo_signs", None)?;
    let mut check = |tag: &str, encoded: &dyn EncodedHead, exact_bits: bool| -> Result<(), ValidateError> {
        let (mut keys, mut values) = (vec![0.0; tokens * d], vec![0.0; tokens * d]);
        encoded.decode(&mut keys, &mut values);
        compared.floats(&format!("{tag}_k"), &keys)?;
        compared.floats(&format!("{tag}_v"), &values)?;
        if exact_bits {
            let bits = encoded.stored_bits() as f64 / (2 * tokens * d) as f64;
            let reference = info[format!("{tag}_bits")].as_f64().unwrap_or(f64::INFINITY);
            compared.push(&format!("{tag}_bits"), "largest difference", 1, (bits - reference).abs(), 1e-9);
        }
        Ok(())
    };
    for (tag, text) in [
        ("kivi2", "kivi:bits=2,group=32,residual=32"),
        ("kivi4", "kivi:bits=4,group=32,residual=32"),
        ("tok4", "int:bits=4"),
        ("wkv4", "wkvquant-like:bits=4,group=64,recent=0,channels=unrounded"),
    ] {
        let codec = parse(text).map_err(|error| compared_error(&error))?;
        check(tag, codec.encode(&inputs.prefill(None)).map_err(|error| compared_error(&error))?.as_ref(), true)?;
    }
    let turbo = TurboquantLike { bits: 3, seed: 0 };
    let encoded = turbo.encode_with(&inputs.prefill(None), &signs).map_err(|error| compared_error(&error))?;
    check("turbo3", encoded.as_ref(), true)
}

fn selections(inputs: &Inputs, compared: &mut Compared<'_>) -> Result<(), ValidateError> {
    let (d, tokens) = (inputs.d, inputs.weights.len());
    let observed = compared.golden.input("snap_obs", None)?;
    let mut workspace = Workspace::default();
    let mut out = vec![0.0; inputs.queries.len()];
    // Parts of the whole that give the reference's numbers of tokens: 48, 48, 32, 32, 32, and 32 beside 16 sinks.
    let part = |kept: usize, of: usize| (kept as f64 + 0.5) / of as f64;
    let (a_third, a_quarter) = (part(48, tokens), part(32, tokens));
    for (tensor, text) in [
        ("snap_keep", format!("snapkv:window=16,keep={a_third}")),
        ("snap_keep_avg5", format!("snapkv:window=16,kernel=5,pool=mean,keep={a_third}")),
        ("h2o_keep", format!("h2o:keep={a_quarter}")),
        ("stream_keep", format!("streaming-llm:sinks=4,keep={a_quarter}")),
        ("quest_keep", "quest:page=16,budget=32".to_owned()),
        (
            "pqcache_keep",
            format!("pqcache:m=2,k=16,iterations=4,sinks=16,keep={},codebook=unrounded", part(32, tokens - 16)),
        ),
    ] {
        let codec: Box<dyn Codec> = parse(&text).map_err(|error| compared_error(&error))?;
        let prefill = inputs.prefill(Some(&observed));
        let encoded = codec.encode(&prefill).map_err(|error| compared_error(&error))?;
        encoded.attend(&inputs.queries, SCALE, &mut workspace, &mut out);
        let kept = encoded.kept();
        let chosen = if kept.is_empty() { workspace.chosen() } else { kept };
        compared.codes(tensor, chosen.iter().copied())?;
    }
    // The observed attention itself, and PQCache's index of the keys.
    let mut probabilities = vec![0.0; inputs.queries.len() / d * tokens];
    dense(&inputs.queries, &inputs.keys, &inputs.values, d, SCALE, &mut probabilities, &mut out);
    let sums = (0..tokens).map(|t| probabilities.iter().skip(t).step_by(tokens).map(|p| f64::from(*p)).sum());
    compared.numbers("snap_obs", sums.collect::<Vec<f64>>())?;
    let index = Pq { sub_vectors: 2, centroids: 16, ..PQ };
    let head = PqHead::encode(index, &inputs.part(16..tokens)).map_err(|error| compared_error(&error))?;
    compared.floats("pqcache_C", head.keys().codebook(0))?;
    let side = head.keys();
    let codes = (0..tokens - 16).flat_map(|token| [0, 1].map(|sub| u32::from(side.codes(0, sub)[token])));
    compared.codes("pqcache_codes", codes)?;
    // The nearest codes of a table and of one point are the same.
    let half = d / 2;
    let left: Vec<f32> = inputs.keys.chunks_exact(d).skip(16).flat_map(|key| &key[..half]).copied().collect();
    let again = nearest_codes(&left, &side.codebook(0)[..16 * half], half);
    let differ = again.iter().zip(side.codes(0, 0)).filter(|(a, b)| a != b).count();
    compared.push("pqcache_codes of sub-vector 0 again", "codes that differ", again.len(), differ as f64, 0.0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_every_tensor_met() {
        let outcome = KvGolden.run(&Options::default()).unwrap();
        assert!(outcome.passed, "{:#?}", outcome.notes);
        assert!(outcome.cases.len() > 70, "{}", outcome.cases.len());
        // Every expected output of the file has been compared.
        let file = SafeTensors::deserialize(SHIPPED).unwrap();
        let inputs = ["k", "v", "q", "w", "turbo_signs"];
        for name in file.names().into_iter().filter(|name| !inputs.contains(name)) {
            assert!(outcome.cases.iter().any(|case| case.row[0] == name), "{name} has not been compared");
        }
    }

    #[test]
    fn is_a_changed_code_found() {
        let mut data = SHIPPED.to_vec();
        let start = 8 + u64::from_le_bytes(data[..8].try_into().unwrap()) as usize;
        let header: Value = serde_json::from_slice(&data[8..start]).unwrap();
        let place = start + header["pq_ck"]["data_offsets"][0].as_u64().unwrap() as usize;
        data[place] ^= 1;
        let outcome = validate("golden", &data, SHIPPED_INFO).unwrap();
        assert!(!outcome.passed);
        let failed: Vec<&str> = outcome.cases.iter().filter(|case| !case.exact).map(|case| &case.row[0][..]).collect();
        assert_eq!(failed, ["pq_ck"]);
    }

    #[test]
    fn are_files_that_are_cut_off_or_not_there_refused() {
        let error = validate("golden", &SHIPPED[..1000], SHIPPED_INFO).unwrap_err();
        assert!(error.is_input() && error.to_string().contains("cut off"), "{error}");
        let nowhere = Options { reference: Some("no/such".into()), ..Options::default() };
        let error = KvGolden.run(&nowhere).unwrap_err().to_string();
        assert!(error.starts_with("no/such.safetensors: cannot be read"), "{error}");
    }
}
