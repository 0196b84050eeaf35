//! Suite `kv-costs`: bytes, operations and look-ups of the codecs against a table that was worked out by hand.
//!
//! Every number of the table is a whole one and must be met exactly; a zero means that the table does not count it. Bits
//! per element are met to the table's four digits.

use workloads::kv::{Codec, CodecCost, HeadShape, Pq, PqCache, parse};

use super::error::ValidateError;
use super::kv_reference::Settings;
use super::outcome::{Case, Outcome};
use super::table::{Row, Table};
use super::{Options, Suite};

const SHIPPED: &str = include_str!("../../validation/kv/cost_model.csv");
const SHIPPED_PATH: &str = "validation/kv/cost_model.csv";

const COLUMNS: [&str; 9] = [
    "n_ctx",
    "d_head",
    "group",
    "method",
    "params",
    "bits_per_elem",
    "bytes_read_per_step",
    "flop_per_step",
    "table_lookups",
];
/// What is compared, and with `adds` where the table has it.
const METRICS: [&str; 5] = ["bits_per_elem", "bytes_read_per_step", "flop_per_step", "table_lookups", "adds"];
/// The table rounds bits per element to four digits.
const ROUNDING: f64 = 5.1e-5;

/// The suite.
#[derive(Clone, Copy, Debug)]
pub struct KvCosts;

impl Suite for KvCosts {
    fn name(&self) -> &'static str {
        "kv-costs"
    }

    fn about(&self) -> &'static str {
        "bytes, operations and look-ups of KV codecs against a cost model"
    }

    fn run(&self, options: &Options) -> Result<Outcome, ValidateError> {
        let table = match &options.reference {
            Some(path) if path.is_dir() => Table::read(&path.join("cost_model.csv"), &COLUMNS)?,
            Some(path) => Table::read(path, &COLUMNS)?,
            None => Table::parse(SHIPPED_PATH, SHIPPED.as_bytes(), &COLUMNS)?,
        };
        compare(&table)
    }
}

/// A row's head shape and tokens.
fn whole(table: &Table, row: &Row, column: &str) -> Result<u64, ValidateError> {
    let number = table.number(row, column)?;
    if number >= 1.0 && number <= f64::from(u32::MAX) && number.fract() == 0.0 {
        return Ok(number as u64);
    }
    let problem = format!("`{column}` is \"{}\"", table.text(row, column));
    Err(table.wrong(row, column, 0, problem, "write a whole number of at least 1"))
}

/// Our numbers of a row, in the order of [`METRICS`]; bits per element of all n tokens.
fn ours(table: &Table, row: &Row) -> Result<[f64; 5], ValidateError> {
    let tokens = whole(table, row, "n_ctx")?;
    let head =
        HeadShape { head_dim: whole(table, row, "d_head")? as u32, query_heads: whole(table, row, "group")? as u32 };
    let mut settings = Settings::of(table, row, "params", ',');
    let elements = (2 * tokens * u64::from(head.head_dim)) as f64;
    let stored = |codec: &dyn Codec| 8.0 * codec.stored_bytes(head, tokens) as f64 / elements;
    let attend = |codec: &dyn Codec| (stored(codec), codec.attend(head, tokens).near);
    let (bits, cost): (f64, CodecCost) = match table.text(row, "method") {
        "fp16" => attend(settings.codec("fp16")?.as_ref()),
        "uniform/KIVI" => {
            let (bits, group) = (settings.need("b")?, settings.need("G")?);
            attend(settings.codec(&format!("kivi:bits={bits},group={group},residual=0"))?.as_ref())
        }
        "PQ" => {
            let _ = settings.get("1 window");
            let pq = pq(&mut settings)?;
            attend(&pq)
        }
        "PQ encode new token" => (0.0, pq(&mut settings)?.encoding(head, 1)),
        "PQ prefill clustering" => {
            let _ = settings.get("m any");
            let pq = Pq { centroids: settings.number("K")?, iterations: settings.number("I")?, ..Pq::PLAIN };
            (0.0, pq.clustering(head, tokens))
        }
        "PQCache" => {
            let ratio = settings.need_spaced("ratio")?;
            let (m, k) = (settings.need("m")?, settings.need("K")?);
            let text = format!("pqcache:m={m},k={k},sinks=0,newest=0,keep={ratio}");
            let codec = settings.codec(&text)?;
            let (_, cost) = attend(codec.as_ref());
            let codebook = PqCache { centroids: settings.number("K")?, ..PqCache::DEFAULT };
            // The table leaves the codebook out of the bytes, and counts codes for each element of K, not of K and V.
            let read_bytes = cost.read_bytes - codebook.codebook_bytes(head);
            let bits = 16.0 + codec.bits_per_token(head) as f64 / f64::from(head.head_dim);
            (bits, CodecCost { read_bytes, ..cost })
        }
        "Quest" => {
            let (page, budget) = (settings.need("page")?, settings.need("budget")?);
            attend(settings.codec(&format!("quest:page={page},budget={budget}"))?.as_ref())
        }
        "SnapKV/H2O/StreamingLLM" => {
            let keep = settings.need_spaced("keep")?;
            // Of H2O the sums that choose are not in the table; all three read the kept tokens alike.
            let methods =
                ["streaming-llm", "h2o", "snapkv"].map(|method| settings.codec(&format!("{method}:keep={keep}")));
            let [streaming, h2o, snapkv] = methods;
            let (streaming, h2o, snapkv) = (streaming?, h2o?, snapkv?);
            let costs = [&streaming, &h2o, &snapkv].map(|codec| codec.attend(head, tokens).near);
            if costs[1] != costs[0] || costs[2] != costs[0] {
                let problem = format!("the three methods differ: {costs:?}");
                return Err(settings.wrong(
                    0,
                    problem,
                    "take rows in which SnapKV's window is smaller than what is kept",
                ));
            }
            (stored(streaming.as_ref()), costs[0])
        }
        "TurboQuant-like" => {
            let bits = settings.need("b")?;
            attend(settings.codec(&format!("turboquant-like:bits={bits}"))?.as_ref())
        }
        other => {
            let known = "fp16, uniform/KIVI, PQ, PQ encode new token, PQ prefill clustering, PQCache, Quest, \
                         SnapKV/H2O/StreamingLLM, TurboQuant-like";
            let problem = format!("there is no method `{other}`");
            return Err(table.wrong(row, "method", 0, problem, format!("methods are {known}")));
        }
    };
    settings.finish()?;
    Ok([bits, cost.read_bytes as f64, cost.flops as f64, cost.lookups as f64, cost.adds as f64])
}

fn pq(settings: &mut Settings<'_>) -> Result<Pq, ValidateError> {
    let (sub_vectors, centroids) = (settings.number("m")?, settings.number("K")?);
    // Read once more as text, so that the bounds are those of the command line.
    let text = format!("pq:m={sub_vectors},k={centroids}");
    parse(&text).map_err(|error| settings.refused(&error))?;
    Ok(Pq { sub_vectors, centroids, ..Pq::PLAIN })
}

fn compare(table: &Table) -> Result<Outcome, ValidateError> {
    let mut cases = Vec::new();
    let mut notes = Vec::new();
    let has_adds = table.columns().iter().any(|column| column == "adds");
    for row in table.rows() {
        let ours = ours(table, row)?;
        for (metric, ours) in METRICS.into_iter().zip(ours) {
            if metric == "adds" && !has_adds {
                continue;
            }
            let reference = table.number(row, metric)?;
            if reference == 0.0 {
                continue;
            }
            let bound = if metric == "bits_per_elem" { ROUNDING } else { 0.0 };
            let exact = (ours - reference).abs() <= bound;
            if !exact && notes.len() < 10 {
                let text = |column| table.text(row, column);
                notes.push(format!(
                    "{}:{}: {} {}: {metric} is {ours} here and {reference} in the table",
                    table.name(),
                    row.line(),
                    text("method"),
                    text("params"),
                ));
            }
            cases.push(Case {
                line: row.line(),
                row: row.fields(),
                reference,
                ours,
                exact,
                extra: vec![metric.to_owned()],
            });
        }
    }
    let exact = cases.iter().filter(|case| case.exact).count();
    notes.insert(0, format!("{exact} of {} numbers met exactly (bits per element to four digits)", cases.len()));
    Ok(Outcome {
        parts: None,
        suite: "kv-costs".to_owned(),
        reference: table.name().to_owned(),
        columns: table.columns().to_vec(),
        extra_columns: vec!["metric".to_owned()],
        passed: exact == cases.len(),
        cases,
        bound: vec![("difference".to_owned(), 0.0)],
        found: vec![("numbers_met".to_owned(), exact as f64)],
        notes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_every_row_met() {
        let outcome = KvCosts.run(&Options::default()).unwrap();
        assert!(outcome.passed, "{:#?}", outcome.notes);
        assert!(outcome.cases.len() > 500, "{}", outcome.cases.len());
    }

    #[test]
    fn is_a_wrong_number_found_and_a_wrong_row_refused() {
        let head = SHIPPED.lines().next().unwrap();
        let row = |params: &str, flops: u32| {
            let text = format!("{head}\nx,2048,128,1,PQ,\"{params}\",3.0,196608,{flops},65536,65536,\n");
            Table::parse("t.csv", text.as_bytes(), &COLUMNS).and_then(|table| compare(&table))
        };
        assert!(row("m=16,K=256,1 window", 131_072).unwrap().passed);
        assert!(!row("m=16,K=256,1 window", 131_073).unwrap().passed);
        let error = row("m=16,K=1,1 window", 1).unwrap_err().to_string();
        assert!(error.starts_with("t.csv:2:18: pq:m=16,k=1: character 11: `k` is \"1\""), "{error}");
        let error = row("m=16,K=256,2 windows", 1).unwrap_err().to_string();
        assert_eq!(error, "t.csv:2:29: `2 windows` is unknown here");
    }
}
