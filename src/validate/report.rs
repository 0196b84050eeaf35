//! What a validation prints and leaves: a table for people, `validation.json`, and a file of cases for each suite.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::error::ValidateError;
use super::outcome::Outcome;

/// The table that is printed.
pub fn text(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:<20} {:>7} {:>7} {:>13} {:>13} {:>13}  result",
        "suite", "cases", "exact", "median error", "p95 error", "max error"
    );
    for outcome in outcomes {
        let errors = [0.5, 0.95, 1.0].map(|share| format!("{:.4} %", 100.0 * outcome.error_at(share)));
        let result = if outcome.passed { "passed" } else { "FAILED" };
        let _ = writeln!(
            text,
            "{:<20} {:>7} {:>7} {:>13} {:>13} {:>13}  {result}",
            outcome.suite,
            outcome.cases.len(),
            outcome.exact(),
            errors[0],
            errors[1],
            errors[2],
        );
        for note in &outcome.notes {
            let _ = writeln!(text, "    {note}");
        }
    }
    text
}

/// `validation.json`. Numbers that JSON has no word for (infinity) are null.
pub fn json(outcomes: &[Outcome]) -> Value {
    let pairs = |pairs: &[(String, f64)]| -> Value {
        pairs.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<Map<_, _>>().into()
    };
    let suites: Vec<Value> = outcomes
        .iter()
        .map(|outcome| {
            // A reference whose cases are lists says beside the cases how many parts `exact` is out of.
            let parts = outcome.parts.map(|parts| parts.total);
            json!({
                "suite": outcome.suite,
                "reference": outcome.reference,
                "cases": outcome.cases.len(),
                "exact": outcome.exact(),
                "exact_of": parts.unwrap_or(outcome.cases.len()),
                "median_error": outcome.error_at(0.5),
                "p95_error": outcome.error_at(0.95),
                "max_error": outcome.error_at(1.0),
                "bound": pairs(&outcome.bound),
                "found": pairs(&outcome.found),
                "passed": outcome.passed,
            })
        })
        .collect();
    json!({ "suites": suites })
}

/// `<suite>.csv`: the columns of the reference, then `ours`, `relative_error` and what the suite adds.
pub fn csv(outcome: &Outcome) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let heads = outcome.columns.iter().map(String::as_str).chain(["ours", "relative_error"]);
    // A vector takes every byte, so that writing to it cannot fail.
    let _ = writer.write_record(heads.chain(outcome.extra_columns.iter().map(String::as_str)));
    for case in &outcome.cases {
        let figures = [case.ours.to_string(), case.relative_error().to_string()];
        let _ = writer.write_record(case.row.iter().chain(&figures).chain(&case.extra));
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

/// Writes `validation.json` and the files of cases, each whole or not at all.
///
/// # Errors
/// [`ValidateError::Output`].
pub fn write(directory: &Path, outcomes: &[Outcome]) -> Result<(), ValidateError> {
    let write = |name: String, text: &str| {
        let path = directory.join(name);
        let failed =
            |error: reports::ReportError| ValidateError::Output { path: path.clone(), reason: error.to_string() };
        reports::files::write_text(&path, text).map_err(failed)
    };
    for outcome in outcomes {
        write(format!("{}.csv", outcome.suite), &csv(outcome))?;
    }
    let all = serde_json::to_string_pretty(&json(outcomes)).unwrap_or_default();
    write("validation.json".to_owned(), &format!("{all}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::Case;
    use crate::validate::outcome::Parts;

    fn outcome() -> Outcome {
        let case = |ours: f64| Case {
            line: 2,
            row: vec!["a,b".to_owned(), "2".to_owned()],
            reference: 2.0,
            ours,
            exact: (ours - 2.0).abs() < 1e-12,
            extra: vec!["0.5".to_owned()],
        };
        Outcome {
            suite: "small".to_owned(),
            reference: "small.csv".to_owned(),
            columns: vec!["model".to_owned(), "value".to_owned()],
            extra_columns: vec!["sigma".to_owned()],
            cases: vec![case(2.0), case(2.5)],
            parts: None,
            bound: vec![("sigma_max".to_owned(), 5.0)],
            found: vec![("sigma_max".to_owned(), f64::INFINITY)],
            notes: vec!["one line".to_owned()],
            passed: false,
        }
    }

    #[test]
    fn has_the_file_of_cases_every_column() {
        let expected = "model,value,ours,relative_error,sigma\n\"a,b\",2,2,0,0.5\n\"a,b\",2,2.5,0.25,0.5\n";
        assert_eq!(csv(&outcome()), expected);
    }

    #[test]
    fn is_the_json_what_the_design_says() {
        let json = json(&[outcome()]);
        let suite = &json["suites"][0];
        assert_eq!(suite["cases"], 2);
        assert_eq!((&suite["exact"], &suite["exact_of"]), (&Value::from(1), &Value::from(2)));
        let golden = Outcome { parts: Some(Parts { equal: 5, total: 6 }), ..outcome() };
        let golden = super::json(&[golden]);
        assert_eq!(
            (&golden["suites"][0]["exact"], &golden["suites"][0]["exact_of"]),
            (&Value::from(5), &Value::from(6))
        );
        assert_eq!(suite["median_error"], 0.0);
        assert_eq!(suite["p95_error"], 0.25);
        assert_eq!(suite["max_error"], 0.25);
        assert_eq!(suite["bound"]["sigma_max"], 5.0);
        assert_eq!(suite["found"]["sigma_max"], Value::Null);
        assert_eq!(suite["passed"], false);
    }

    #[test]
    fn does_the_table_say_what_failed() {
        let text = text(&[outcome()]);
        assert!(text.contains("FAILED") && text.contains("25.0000 %") && text.contains("    one line"), "{text}");
    }

    #[test]
    fn are_the_files_written_together() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("a/b");
        write(&out, &[outcome()]).unwrap();
        assert!(out.join("small.csv").exists() && out.join("validation.json").exists());
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(write(&file, &[outcome()]).is_err());
    }
}
