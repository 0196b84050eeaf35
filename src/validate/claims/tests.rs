use super::*;

fn table(rows: &str) -> Table {
    let text = format!("paper,claim,metric,baseline,workload,value,source,grade\n{rows}");
    Table::parse("t.csv", text.as_bytes(), &COLUMNS).unwrap()
}

fn offload(comes_out: bool) -> Readings {
    let text = format!(
        "[[claim]]\npaper = \"P\"\nclaim = \"C\"\nunit = \"%\"\ndecided_by = \"the link\"\n[[claim.reading]]\n\
         what = \"share\"\nscenario = \"quickstart\"\nset = [\"workload.new_tokens=1\"]\n\
         measure = {{ name = \"host-communication-share\", system = \"gpu-offload\" }}\n\
         decides = [\"workload.context=64\", \"workload.new_tokens=2\"]\ncomes_out = {comes_out}\n"
    );
    toml::from_str(&text).unwrap()
}

#[test]
fn are_the_shipped_data_sound() {
    let readings: Readings = toml::from_str(READINGS).unwrap();
    let table = Table::parse(SHIPPED_PATH, SHIPPED.as_bytes(), &COLUMNS).unwrap();
    let asked = asked(&table, &readings).unwrap();
    // Every claim of the data is a row of the table, once.
    let wanted: usize = readings.claim.iter().map(|claim| claim.reading.len()).sum();
    assert_eq!(asked.len(), wanted);
    for Asked { claim, reading, .. } in asked {
        // A run gives the reasons where it can.
        let told = reading.measure.systems().is_some();
        assert_eq!(told, !reading.decides.is_empty(), "{}", reading.what);
        assert!((told || claim.decided_by.is_some()) && !reading.what.is_empty(), "{}", claim.name);
        for varied in std::iter::once(None).chain(reading.decides.iter().map(Some)) {
            let set: Vec<String> = reading.set.iter().chain(varied).cloned().collect();
            let loaded = Scenario::load(Path::new(&reading.scenario), &set);
            assert!(loaded.is_ok_and(|scenario| scenario.sweep.is_empty()), "{} {set:?}", reading.scenario);
        }
    }
}

#[test]
fn is_a_verdict_that_turns_a_failure() {
    let table = table("P,C,m,b,w,90-100%,s,A\nQ,other,m,b,w,3x,s,A\n");
    let outcome = compare(&table, &offload(true), 1).unwrap();
    assert!(outcome.passed && outcome.cases.len() == 1, "{:#?}", outcome.notes);
    assert!(outcome.notes[0].starts_with("1 of 2 published rows"), "{}", outcome.notes[0]);
    // What is on the path, and which of the two figures moves it.
    let column = |name| outcome.extra_columns.iter().position(|column| column == name).unwrap();
    let extra = |name| &outcome.cases[0].extra[column(name)];
    assert!(extra("spent_on").starts_with("gpu-offload: kv-fetch "), "{}", extra("spent_on"));
    assert!(extra("decided_by").starts_with("workload.context=64: "), "{}", extra("decided_by"));
    assert!(extra("decided_by").ends_with("; the link"), "{}", extra("decided_by"));
    assert!(extra("varied").contains("; workload.new_tokens=2: "), "{}", extra("varied"));
    let turned = compare(&table, &offload(false), 1).unwrap();
    assert!(!turned.passed && turned.notes.iter().any(|note| note.contains("has turned")), "{:#?}", turned.notes);
}

#[test]
fn is_a_value_without_numbers_located() {
    let table = table("P,C,m,b,w,plenty,s,A\n");
    let error = compare(&table, &offload(true), 1).unwrap_err();
    assert_eq!(error.to_string(), "t.csv:2:11: `value` is \"plenty\", and number 1 of it is asked for");
}

#[test]
fn are_digits_four_at_most() {
    assert_eq!([98.333_3, 0.047_12, 8.0, 0.0].map(digits), ["98.33", "0.04712", "8", "0"]);
}
