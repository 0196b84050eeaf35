//! accuracy.svg: the error that each system's KV codec makes, against the time of a token, with the memory that its KV cache takes.

use super::scatter::{Dot, Scatter, percent};
use crate::analyse::{PointReport, SystemReport};
use crate::error::ReportError;

/// The figure as SVG, over the systems of a run or of all points of a sweep; `None` where no error was measured.
pub fn svg(title: &str, systems: &[SystemReport], points: &[PointReport]) -> Result<Option<String>, ReportError> {
    let plain = systems.iter().map(|system| (String::new(), system));
    let swept = points.iter().flat_map(|point| {
        let keys: Vec<String> = point.keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
        point.systems.iter().map(move |system| (format!(" {}", keys.join(" ")), system))
    });
    let dots: Vec<Dot> = plain.chain(swept).filter_map(|(at, system)| dot(&at, system)).collect();
    let Some(accuracy) = systems.iter().chain(points.iter().flat_map(|p| &p.systems)).find_map(|s| s.accuracy.as_ref())
    else {
        return Ok(None);
    };
    let foot = format!(
        "Discs: memory of the KV cache. Error: output of attention, {} tokens of {}, mean of {} heads.",
        accuracy.context, accuracy.tensors, accuracy.heads
    );
    let heads = ["ms/token", "KV GiB", "error"];
    let across = "time per token, ms";
    Scatter { file: "accuracy.svg", title, across, heads: &heads, dots: &dots, foot: &foot }.svg().map(Some)
}

fn dot(at: &str, system: &SystemReport) -> Option<Dot> {
    let accuracy = system.accuracy.as_ref()?;
    let milliseconds = system.latency_per_token().seconds() * 1e3;
    let tokens =
        if system.lengths.is_empty() { u64::from(system.batch) * system.context } else { system.lengths.iter().sum() };
    let bytes = system.memory.kv_bytes_per_token as f64 * tokens as f64;
    Some(Dot {
        family: system.name.clone(),
        kind: Vec::new(),
        label: format!("{}{at}: {}", system.name, accuracy.codec),
        across: milliseconds,
        error: accuracy.error,
        area: bytes,
        columns: vec![
            format!("{milliseconds:.2}"),
            format!("{:.2}", bytes / f64::from(1 << 30)),
            percent(accuracy.error),
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::Accuracy;

    #[test]
    fn is_there_a_figure_where_errors_were_measured() {
        assert_eq!(svg("none", &[SystemReport::default()], &[]).unwrap(), None);
        let accuracy = Accuracy {
            codec: "pq:m=16,k=512".to_owned(),
            tensors: "a < b".to_owned(),
            heads: 2,
            context: 1920,
            error: 0.05,
            ..Accuracy::default()
        };
        let system = SystemReport { name: "aqpim".to_owned(), accuracy: Some(accuracy), ..SystemReport::default() };
        let figure = svg("t", &[system.clone(), SystemReport::default()], &[]).unwrap().unwrap();
        assert!(figure.contains("aqpim: pq:m=16,k=512") && figure.contains("a &lt; b") && figure.contains("5 %"));
        let point = PointReport { keys: vec![("workload.context".to_owned(), 4096.into())], systems: vec![system] };
        assert!(svg("t", &[], &[point]).unwrap().unwrap().contains("aqpim workload.context=4096"));
    }
}
