//! Does spans.csv come back as it was written, and does an error say where?

use std::io;
use std::path::Path;

use reports::csv::{COLUMNS, SpanReader, SpanRow, SpanWriter};
use reports::{Category, ReportError, SystemInput};

use crate::made_up::pim;

fn written(input: &SystemInput) -> String {
    let mut out = Vec::new();
    let mut writer = SpanWriter::new(&mut out).unwrap();
    writer.system("context=1, \"x\"", &input.name, &input.actors, &input.spans).unwrap();
    writer.finish().unwrap();
    String::from_utf8(out).unwrap()
}

fn read(text: &[u8]) -> Result<Vec<SpanRow>, ReportError> {
    SpanReader::new(text, Path::new("out/spans.csv"))?.collect()
}

#[test]
fn are_all_spans_read_back() {
    let input = pim("a, \"b\"\nc", 2, 2, 3, 14);
    let rows = read(written(&input).as_bytes()).unwrap();
    assert_eq!(rows.len(), input.spans.len());
    for (row, span) in rows.iter().zip(&input.spans) {
        let id = |id: reports::SpanId| (id.actor.index() as u32, id.number);
        assert_eq!((&*row.point, &*row.system), ("context=1, \"x\"", &*input.name));
        assert_eq!(row.actor, input.actors[span.id.actor.index()]);
        assert_eq!((row.actor_index, row.number), id(span.id));
        assert_eq!((&*row.kind, row.category), (span.kind, span.category));
        assert_eq!((row.token, row.layer), (span.tag.step, span.tag.layer));
        assert_eq!((row.ready, row.start, row.end), (span.ready, span.start, span.end));
        assert_eq!((row.launch, row.signal), (span.launch, span.signal));
        assert_eq!((row.bytes, row.operations), (span.bytes, span.operations));
        assert_eq!((row.cause, row.held_by), (span.cause.map(id), span.held_by.map(id)));
    }
}

#[track_caller]
fn check(text: &[u8], expected: &str) {
    assert_eq!(read(text).unwrap_err().to_string(), expected);
}

/// A file with a good line and then one in which a column is something else.
fn with(column: &str, value: &str) -> Vec<u8> {
    let mut lines: Vec<String> = written(&pim("s", 1, 1, 1, 14)).lines().map(str::to_owned).take(3).collect();
    let place = COLUMNS.iter().position(|name| *name == column).unwrap();
    // The point is the only field with a comma in it.
    let mut fields: Vec<String> = lines[2].rsplitn(COLUMNS.len(), ',').map(str::to_owned).collect();
    fields.reverse();
    value.clone_into(&mut fields[place]);
    lines[2] = fields.join(",");
    lines.join("\n").into_bytes()
}

#[test]
fn does_an_error_name_file_line_and_column() {
    check(&with("end_ps", "-1"), "out/spans.csv:3: `end_ps` is `-1`; it must be a whole number of 64 bits");
    check(
        &with("number", "4294967296"),
        "out/spans.csv:3: `number` is `4294967296`; it must be a whole number of 32 bits",
    );
    check(&with("cause", "3"), "out/spans.csv:3: `cause` is `3`; it must be actor:number or empty");
    insta::assert_snapshot!(read(&with("category", "compute.tpu")).unwrap_err());
}

#[test]
fn is_a_file_noticed_that_is_cut_off_or_another() {
    let text = written(&pim("s", 1, 1, 1, 14));
    let cut = text.lines().nth(1).unwrap();
    let cut = format!("{}\n{}", text.lines().next().unwrap(), &cut[..cut.len() - 12]);
    let message = read(cut.as_bytes()).unwrap_err().to_string();
    assert!(message.starts_with("out/spans.csv:2: it has "), "{message}");
    check(b"", "out/spans.csv:1: the column `point` is missing");
    check(b"point,sistem\n", "out/spans.csv:1: the column `system` was expected, `sistem` was found");
    check(b"\xff\xfe\n", "out/spans.csv:1: it is not UTF-8");
    let missing = SpanReader::open(Path::new("/nowhere/spans.csv")).unwrap_err().to_string();
    assert!(missing.starts_with("cannot read /nowhere/spans.csv: "), "{missing}");
}

#[test]
fn does_a_full_disk_stop_the_writer() {
    struct Full;
    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("full"))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let input = pim("s", 1, 1, 1, 14);
    let written = SpanWriter::new(Full).and_then(|mut writer| {
        writer.system("", &input.name, &input.actors, &input.spans)?;
        writer.finish()
    });
    assert_eq!(written.unwrap_err().to_string(), "full");
    assert_eq!(Category::from_key("queue"), Some(Category::Queue));
}
