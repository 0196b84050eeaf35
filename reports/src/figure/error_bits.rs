//! error-bits.svg: what each KV codec stores against the error that it makes in attention's output.
//!
//! Each codec with its parameters is a numbered point; points of one codec have one marker, and those that differ in
//! numbers alone are joined in the order of their bits. The list beside the plot says what the numbers are.

use super::scatter::{Dot, Scatter, percent};
use crate::error::ReportError;

/// One codec with its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// What it has in common with others: the codec's name.
    pub family: String,
    /// The codec with the parameters that tell it apart.
    pub label: String,
    /// Stored bits per element of K and V.
    pub bits: f64,
    /// Relative error of the output, mean over queries and heads.
    pub error: f64,
}

/// The figure as SVG. `title` says what was measured.
pub fn svg(title: &str, points: &[Point]) -> Result<String, ReportError> {
    let dots: Vec<Dot> = points.iter().map(dot).collect();
    let across = "stored bits per element of K and V";
    let scatter = Scatter { file: "error-bits.svg", title, across, heads: &["bits", "error"], dots: &dots, foot: "" };
    scatter.svg()
}

fn dot(point: &Point) -> Dot {
    // Codecs whose parameters have the same names differ in numbers alone.
    let parameters = point.label.split_once(':').map_or("", |(_, parameters)| parameters);
    let names = parameters.split(',').map(|part| part.split('=').next().unwrap_or_default().trim().to_owned());
    Dot {
        family: point.family.clone(),
        kind: names.collect(),
        label: point.label.clone(),
        across: point.bits,
        error: point.error,
        area: 0.0,
        columns: vec![format!("{:.2}", point.bits), percent(point.error)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_all_points_drawn_and_named() {
        let point = |family: &str, bits: f64, error: f64| Point {
            family: family.to_owned(),
            label: format!("{family}:<{bits}>"),
            bits,
            error,
        };
        let points = [point("int", 4.0, 0.05), point("int", 8.0, 0.002), point("fp16", 16.0, 0.0)];
        let figure = svg("a & b", &points).unwrap();
        assert!(figure.contains("a &amp; b") && figure.contains("int:&lt;4&gt;"));
        assert!(figure.contains("5 %") && figure.contains("0.2 %") && figure.contains("0 %"), "{figure}");
        assert!(svg("none", &[]).is_ok());
    }
}
