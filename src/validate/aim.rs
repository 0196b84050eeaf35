//! Suite `aim-block`: one transformer block on GDDR6-AiM, against the public simulator of the device.
//!
//! Each row is the program of a block for one token, run by `pim_device::aim`. The reference is what the AiM simulator
//! gives for the traces of CENT (ASPLOS 2025). The suite passes where every row is within 10 %.

use pim_device::aim::block::{AimBlock, BlockShape};
use pim_device::aim::{AimError, AimSpec, run};
use workloads::ModelConfig;

use super::error::ValidateError;
use super::outcome::{Case, Outcome};
use super::parallel::in_parallel;
use super::table::{Row, Table};
use super::{Options, Suite};
use crate::catalogue::nearest;
use crate::scenario::EMBEDDED_MODELS;

/// The table that is shipped, and its path in the repository.
const SHIPPED: &str = include_str!("../../validation/aim/llama_block.csv");
const SHIPPED_PATH: &str = "validation/aim/llama_block.csv";

const COLUMNS: [&str; 4] = ["model", "context", "channels", "cycles"];

/// How far off a row may be.
const BOUND: f64 = 0.1;

/// The suite.
#[derive(Clone, Copy, Debug)]
pub struct AimBlocks;

impl Suite for AimBlocks {
    fn name(&self) -> &'static str {
        "aim-block"
    }

    fn about(&self) -> &'static str {
        "transformer blocks on GDDR6-AiM against the AiM simulator with the traces of CENT"
    }

    fn run(&self, options: &Options) -> Result<Outcome, ValidateError> {
        let table = match &options.reference {
            Some(path) => Table::read(path, &COLUMNS)?,
            None => Table::parse(SHIPPED_PATH, SHIPPED.as_bytes(), &COLUMNS)?,
        };
        validate(&table, options.threads)
    }
}

/// One row of the table, understood.
#[derive(Debug)]
struct Asked {
    block: AimBlock,
    reference: f64,
}

/// Reads a row, and tries whether the device can hold its block.
fn read(table: &Table, row: &Row, device: &AimSpec) -> Result<Asked, ValidateError> {
    let shape = shape(table, row)?;
    let [context, channels] = [whole(table, row, "context")?, whole(table, row, "channels")?];
    let reference = table.number(row, "cycles")?;
    if reference <= 0.0 {
        let problem = format!("`cycles` is {reference}");
        return Err(table.wrong(row, "cycles", 0, problem, "write how many cycles the block takes, more than none"));
    }
    let block = AimBlock::new(shape, context, channels);
    block.program(device).map_err(|error| refused(table, row, &error))?;
    Ok(Asked { block, reference })
}

/// A block that the device cannot hold, at the column that is to blame.
fn refused(table: &Table, row: &Row, error: &AimError) -> ValidateError {
    let column = match error {
        AimError::Shape { what, .. } if what.contains("context") => "context",
        AimError::Shape { what, .. } if what.contains("channels") => "channels",
        AimError::Capacity { .. } => "channels",
        _ => "model",
    };
    table.wrong(row, column, 0, error.to_string(), "change the row, or leave it out")
}

fn whole(table: &Table, row: &Row, column: &str) -> Result<u64, ValidateError> {
    let text = table.text(row, column);
    text.parse().map_err(|_| {
        let problem = format!("`{column}` is \"{text}\", which is not a whole number");
        table.wrong(row, column, 0, problem, "write a whole number such as 4096")
    })
}

/// The shape of a built-in model, found by its letters and digits.
fn shape(table: &Table, row: &Row) -> Result<BlockShape, ValidateError> {
    let letters = |name: &str| -> String {
        name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
    };
    let written = table.text(row, "model");
    let wrong = |problem: String, remedy: String| table.wrong(row, "model", 0, problem, remedy);
    let found = EMBEDDED_MODELS.iter().find(|(name, _)| letters(name) == letters(written));
    let Some((_, config)) = found else {
        let names = || EMBEDDED_MODELS.iter().map(|(name, _)| *name);
        let hint = nearest(&written.to_lowercase(), names())
            .map_or_else(String::new, |nearest| format!("did you mean `{nearest}`? "));
        let remedy = format!("{hint}there are: {}", names().collect::<Vec<_>>().join(", "));
        return Err(wrong(format!("there is no model `{written}`"), remedy));
    };
    let model = ModelConfig::from_json(config).map_err(|error| wrong(error.to_string(), String::new()))?;
    if !model.gated {
        let problem = format!("the block of `{written}` is not of the Llama family");
        return Err(wrong(problem, "the program is written for RMSNorm, rotary positions and a gated FFN".to_owned()));
    }
    Ok(BlockShape {
        hidden: model.hidden,
        ffn: model.intermediate,
        heads: u64::from(model.heads),
        kv_heads: u64::from(model.kv_heads),
        head_dim: u64::from(model.head_dim),
    })
}

fn validate(table: &Table, threads: usize) -> Result<Outcome, ValidateError> {
    let device = AimSpec::gddr6_aim();
    let asked: Result<Vec<Asked>, ValidateError> = table.rows().iter().map(|row| read(table, row, &device)).collect();
    let asked = asked?;
    let compute = |index: usize| -> Result<Case, ValidateError> {
        let row = &table.rows()[index];
        let Asked { block, reference } = &asked[index];
        let executed = block.program(&device).and_then(|program| run(&device, &program));
        let cycles = executed.map_err(|error| refused(table, row, &error))?.cycles.0;
        let ours = cycles as f64;
        Ok(Case {
            line: row.line(),
            row: row.fields(),
            reference: *reference,
            ours,
            exact: (ours - reference).abs() < 0.5,
            extra: Vec::new(),
        })
    };
    let cases: Result<Vec<Case>, ValidateError> = in_parallel(asked.len(), threads, &compute).into_iter().collect();
    Ok(outcome(table, cases?))
}

fn outcome(table: &Table, cases: Vec<Case>) -> Outcome {
    let worst = cases.iter().map(Case::relative_error).fold(0.0, f64::max);
    let beyond: Vec<&Case> = cases.iter().filter(|case| case.relative_error() > BOUND).collect();
    let mut notes = vec![format!(
        "{} of {} rows equal to the cycle, the worst off by {:.4} % (bound {:.0} %)",
        cases.iter().filter(|case| case.exact).count(),
        cases.len(),
        100.0 * worst,
        100.0 * BOUND,
    )];
    for case in beyond.iter().take(10) {
        let place = format!("{}:{}", table.name(), case.line);
        notes.push(format!("{place}: {} cycles here, {} in the table", case.ours, case.reference));
    }
    Outcome {
        suite: "aim-block".to_owned(),
        reference: table.name().to_owned(),
        columns: table.columns().to_vec(),
        bound: vec![("max_error".to_owned(), BOUND)],
        found: vec![("max_error".to_owned(), worst)],
        notes,
        passed: beyond.is_empty(),
        cases,
        ..Outcome::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &str) -> Table {
        Table::parse("t.csv", format!("model,context,channels,cycles\n{rows}").as_bytes(), &COLUMNS).unwrap()
    }

    #[test]
    fn are_shipped_rows_met_to_the_cycle() {
        let shipped = Table::parse(SHIPPED_PATH, SHIPPED.as_bytes(), &COLUMNS).unwrap();
        let outcome = validate(&shipped, 2).unwrap();
        assert!(outcome.passed);
        assert_eq!(outcome.exact(), shipped.rows().len(), "{:#?}", outcome.cases);
    }

    #[test]
    fn is_a_row_beyond_the_bound_found() {
        let outcome = validate(&table("llama 2 7b,1,8,419752\nLlama2-7B,1,8,500000\n"), 1).unwrap();
        assert_eq!((outcome.passed, outcome.exact()), (false, 1));
        assert!(outcome.notes[1].starts_with("t.csv:3: 419752 cycles here"), "{:?}", outcome.notes);
    }

    #[track_caller]
    fn check_refused(rows: &str, message: &str) {
        let error = validate(&table(rows), 1).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(error.is_input() && !error.remedy().is_empty());
    }

    #[test]
    fn is_a_bad_row_refused_where_it_is_bad() {
        check_refused("Llama2-8B,1,8,1", "t.csv:2:1: there is no model `Llama2-8B`");
        check_refused("opt-66b,1,8,1", "t.csv:2:1: the block of `opt-66b` is not of the Llama family");
        check_refused("Llama2-7B,1.5,8,1", "t.csv:2:11: `context` is \"1.5\", which is not a whole number");
        check_refused("Llama2-7B,0,8,1", "t.csv:2:11: the context is 0: wanted 1 to 16777216 tokens");
        check_refused("Llama2-7B,1,33,1", "t.csv:2:13: the number of channels is 33: wanted 1 to 32");
        check_refused("Llama2-7B,1,8,0", "t.csv:2:15: `cycles` is 0");
        let small = "the block needs 17660 rows of each bank, which has 16384: use more channels or a shorter cache";
        check_refused("Llama2-70B,1,3,1", &format!("t.csv:2:14: {small}"));
    }
}
