//! What does `pimscope trace` print?

use std::io;
use std::path::Path;

use reports::csv::{SpanReader, SpanWriter};
use reports::trace_view::{Filter, lines};
use reports::{Category, ReportError, Time};

use crate::made_up::{offload, pim};

fn file() -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = SpanWriter::new(&mut out).unwrap();
    for input in [offload("gpu-offload", 1, 1, Category::CommunicationPcie, 2_000), pim("attacc", 1, 1, 2, 60)] {
        writer.system("", &input.name, &input.actors, &input.spans).unwrap();
    }
    writer.finish().unwrap();
    out
}

fn shown(filter: &Filter) -> String {
    let file = file();
    let rows = SpanReader::new(&file[..], Path::new("spans.csv")).unwrap();
    let mut text = String::new();
    lines(rows, filter, &mut |line| {
        text.push_str(line);
        text.push('\n');
        Ok(())
    })
    .unwrap();
    text
}

#[test]
fn what_happened() {
    insta::assert_snapshot!(shown(&Filter::default()));
}

#[test]
fn what_was_on_the_critical_path() {
    insta::assert_snapshot!(shown(&Filter { critical_path: true, ..Filter::default() }));
}

#[test]
fn is_every_filter_applied() {
    let filter = Filter {
        actor: Some("pim0.*".to_owned()),
        kind: Some("atten???n".to_owned()),
        from: Some(Time::from_us(10)),
        to: Some(Time::from_us(500)),
        critical_path: false,
    };
    let text = shown(&filter);
    assert_eq!(text.lines().count(), 2 + 2, "{text}");
    let late = Filter { from: Some(Time::from_us(1_000_000)), ..Filter::default() };
    assert_eq!(shown(&late), "");
}

#[test]
fn does_a_closed_pipe_end_it() {
    let file = file();
    let rows = SpanReader::new(&file[..], Path::new("spans.csv")).unwrap();
    let error = lines(rows, &Filter::default(), &mut |_| Err(io::ErrorKind::BrokenPipe.into())).unwrap_err();
    assert!(matches!(error, ReportError::Output { source } if source.kind() == io::ErrorKind::BrokenPipe));
}
