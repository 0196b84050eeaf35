//! The generators' traces.

use std::fmt::Write as _;

use super::super::{MNEMONICS, shipped};
use super::*;

/// The lines of a trace, as the generators write them.
fn lines(trace: &Trace) -> String {
    let mut text = String::new();
    for piece in &trace.pieces {
        let word = MNEMONICS.iter().find(|(_, command)| *command == piece.command).unwrap().0;
        for line in piece.from..piece.to {
            let (request, channel) = (line / piece.channels, line % piece.channels);
            let address = piece.base + piece.grid.at(request).offset + channel * CHANNEL;
            writeln!(text, "{word} 0x{address:08x}").unwrap();
        }
    }
    text
}

#[test]
fn are_the_traces_of_the_generators_written_line_by_line() {
    let mut compared = 0;
    for (name, expected) in shipped::FILES {
        let Some(name) = name.strip_suffix(".trace") else { continue };
        let Some((mode, rest)) = name.split_once("_L") else { continue };
        let (_, mode) = Mode::NAMES.into_iter().find(|(known, _)| *known == mode).unwrap();
        let (tokens, rest) = rest.split_once("_dh").unwrap();
        let (head_dimension, heads) = rest.split_once("_nh").unwrap();
        let [tokens, head_dimension, heads] = [tokens, head_dimension, heads].map(|text| text.parse().unwrap());
        let trace = Trace::new(&Shape { mode, tokens, head_dimension, heads, element: 2 }).unwrap();
        assert!(lines(&trace) == *expected, "{name}");
        compared += 1;
    }
    assert_eq!(compared, 8);
}

#[test]
fn are_fans_the_lines_of_the_trace_in_order() {
    // 20 heads: slices end between two channels of a request.
    let shape = Shape { mode: Mode::Bank, tokens: 500, head_dimension: 96, heads: 20, element: 2 };
    let trace = Trace::new(&shape).unwrap();
    let mut text = String::new();
    for Fan { request, channels } in trace.fans() {
        assert!(!channels.is_empty());
        let word = MNEMONICS.iter().find(|(_, command)| *command == request.command).unwrap().0;
        for channel in channels {
            writeln!(text, "{word} {channel} {:?} {}", request.address, request.column).unwrap();
        }
    }
    let expected: String = lines(&trace)
        .lines()
        .flat_map(|line| {
            let (word, address) = line.split_once(" 0x").unwrap();
            let address = u64::from_str_radix(address, 16).unwrap();
            let (at, column) = address::decode(address);
            [format!("{word} {} {at:?} {column}", address::channel(address)), "\n".to_owned()]
        })
        .collect();
    assert!(text == expected);
}

#[test]
fn are_the_splits_of_a_trace_those_of_its_fans() {
    for (tokens, heads) in [(128, 1), (128, 16), (500, 20), (768, 32), (4_100, 37)] {
        for (_, mode) in Mode::NAMES {
            let trace = Trace::new(&Shape { mode, tokens, head_dimension: 96, heads, element: 2 }).unwrap();
            let mut splits = Splits::default();
            for fan in trace.fans() {
                splits.insert(*fan.channels.start());
                splits.insert(fan.channels.end() + 1);
            }
            // A piece whose fans are all parts says nothing that a fan does not.
            assert_eq!(trace.splits(), splits, "{mode:?} {tokens} {heads}");
        }
    }
}
