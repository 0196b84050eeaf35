//! One device of the catalogue and its figures.

use std::fmt;

use serde_json::{Map, Value};
use sim_core::{Bytes, Rate, Time};

use crate::catalogue::figures::{FigureField, LinkKind};
use crate::catalogue::{Catalogue, Kind};
use crate::scenario::quantity::{Dimension, Quantity, QuantityError};

/// How a figure is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FigureKind {
    /// The maker or a standard says so.
    Spec,
    /// Somebody measured it.
    Measured,
    /// Arithmetic on other figures.
    Derived,
    /// Taken because nothing better is at hand.
    Assumption,
    /// Commonly quoted, without a source that could be named.
    Unverified,
    /// Written in the scenario.
    Scenario,
}

impl FigureKind {
    /// As the catalogue has it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Spec => "spec",
            Self::Measured => "measured",
            Self::Derived => "derived",
            Self::Assumption => "assumption",
            Self::Unverified => "unverified",
            Self::Scenario => "scenario",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Spec, Self::Measured, Self::Derived, Self::Assumption, Self::Unverified]
            .into_iter()
            .find(|kind| kind.word() == word)
    }
}

impl fmt::Display for FigureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A figure of a device: configuration, with its origin.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// The key, such as `mem_bw_peak`.
    pub key: String,
    /// The number or the text, in `unit`.
    pub value: Value,
    /// The unit; a remark may follow it, as in `GB/s per socket`.
    pub unit: String,
    /// How it is known.
    pub kind: FigureKind,
    /// Who says so, or why it was assumed.
    pub source: String,
    /// What else there is to say.
    pub note: Option<String>,
}

/// A figure that a result rests on without a source.
#[derive(Clone, Debug, PartialEq)]
pub struct Assumption {
    /// The figure's key.
    pub key: String,
    /// Its value, as text with the unit where it has one.
    pub value: Value,
    /// Why it was taken.
    pub why: String,
}

/// A device of the catalogue, or a copy of one with figures that a scenario has overridden.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The name.
    pub name: String,
    /// The list that it is in.
    pub kind: Kind,
    /// Other names that are understood.
    pub aliases: Vec<String>,
    /// Whether enough is known to simulate it in a system. The others are listed for their figures.
    pub simulated: bool,
    /// Why it cannot be simulated, where there is more to say than that too little is known.
    pub why_not: Option<String>,
    /// The figures, in the order of the file.
    pub figures: Vec<Figure>,
}

impl Entry {
    /// The name and the aliases.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name.as_str()).chain(self.aliases.iter().map(String::as_str))
    }

    /// The family, if this is a link.
    pub fn link_kind(&self) -> Option<LinkKind> {
        let word = self.get("link_kind")?.value.as_str()?;
        LinkKind::from_word(word)
    }

    /// The figure of this key.
    pub fn get(&self, key: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.key == key)
    }

    /// A bandwidth.
    pub fn bandwidth(&self, key: &str) -> Result<Rate, FigureError> {
        match self.quantity(key, Dimension::Bandwidth)? {
            Quantity::Bandwidth(rate) => Ok(rate),
            _ => Err(self.unfit(key, "a bandwidth")),
        }
    }

    /// An amount of memory.
    pub fn bytes(&self, key: &str) -> Result<Bytes, FigureError> {
        match self.quantity(key, Dimension::Bytes)? {
            Quantity::Bytes(bytes) => Ok(bytes),
            _ => Err(self.unfit(key, "an amount of memory")),
        }
    }

    /// A span of time.
    pub fn time(&self, key: &str) -> Result<Time, FigureError> {
        match self.quantity(key, Dimension::Time)? {
            Quantity::Time(time) => Ok(time),
            _ => Err(self.unfit(key, "a time")),
        }
    }

    /// Operations per second.
    pub fn operations_per_second(&self, key: &str) -> Result<Rate, FigureError> {
        match self.quantity(key, Dimension::Operations)? {
            Quantity::Operations(rate) => Ok(rate),
            _ => Err(self.unfit(key, "a rate of operations")),
        }
    }

    /// An energy, in femtojoules.
    pub fn energy(&self, key: &str) -> Result<u64, FigureError> {
        match self.quantity(key, Dimension::Energy)? {
            Quantity::Energy(femtojoules) => Ok(femtojoules),
            _ => Err(self.unfit(key, "an energy")),
        }
    }

    /// A power, in microwatts.
    pub fn power(&self, key: &str) -> Result<u64, FigureError> {
        match self.quantity(key, Dimension::Power)? {
            Quantity::Power(microwatts) => Ok(microwatts),
            _ => Err(self.unfit(key, "a power")),
        }
    }

    /// A share of more than 0 and at most 1.
    pub fn fraction(&self, key: &str) -> Result<f64, FigureError> {
        match self.quantity(key, Dimension::Fraction)? {
            Quantity::Fraction(share) => Ok(share),
            _ => Err(self.unfit(key, "a fraction")),
        }
    }

    /// A whole number.
    pub fn integer(&self, key: &str) -> Result<u64, FigureError> {
        let value = self.value(key)?.as_u64();
        value.ok_or_else(|| self.unfit(key, "a whole number"))
    }

    /// A text.
    pub fn text(&self, key: &str) -> Result<&str, FigureError> {
        let value = self.value(key)?.as_str();
        value.ok_or_else(|| self.unfit(key, "a text"))
    }

    /// True or false.
    pub fn flag(&self, key: &str) -> Result<bool, FigureError> {
        let value = self.value(key)?.as_bool();
        value.ok_or_else(|| self.unfit(key, "true or false"))
    }

    /// The figures that are known in one of these ways, in the order of the file.
    pub fn figures_of_kind(&self, kinds: &[FigureKind]) -> impl Iterator<Item = &Figure> {
        self.figures.iter().filter(move |figure| kinds.contains(&figure.kind))
    }

    /// The figures without a source among those that the simulator reads.
    pub fn assumptions(&self) -> Vec<Assumption> {
        self.figures_of_kind(&[FigureKind::Assumption, FigureKind::Unverified])
            .filter(|figure| FigureField::of(self.kind).iter().any(|field| field.key == figure.key))
            .map(|figure| Assumption {
                key: figure.key.clone(),
                value: if figure.unit.is_empty() { figure.value.clone() } else { figure.written().into() },
                why: figure.source.clone(),
            })
            .collect()
    }

    /// Puts the scenario's own figure in the place of the catalogue's.
    pub fn set(&mut self, key: &str, value: Value, unit: &str) {
        let ours = Figure {
            key: key.to_owned(),
            value,
            unit: unit.to_owned(),
            kind: FigureKind::Scenario,
            source: "the scenario".to_owned(),
            note: None,
        };
        match self.figures.iter_mut().find(|figure| figure.key == key) {
            Some(figure) => *figure = ours,
            None => self.figures.push(ours),
        }
    }

    fn value(&self, key: &str) -> Result<&Value, FigureError> {
        self.get(key)
            .map(|figure| &figure.value)
            .ok_or_else(|| FigureError::Missing { entry: self.name.clone(), key: key.to_owned() })
    }

    fn quantity(&self, key: &str, dimension: Dimension) -> Result<Quantity, FigureError> {
        self.value(key)?;
        match self.get(key).map(|figure| figure.quantity(dimension)) {
            Some(Ok(quantity)) => Ok(quantity),
            Some(Err(reason)) => Err(FigureError::Quantity { entry: self.name.clone(), key: key.to_owned(), reason }),
            None => Err(self.unfit(key, dimension.phrase())),
        }
    }

    fn unfit(&self, key: &str, wanted: &'static str) -> FigureError {
        FigureError::Unfit { entry: self.name.clone(), key: key.to_owned(), wanted }
    }
}

impl Figure {
    /// The number and the unit, as they stand in the catalogue.
    pub fn written(&self) -> String {
        let value = match &self.value {
            Value::String(text) => text.clone(),
            // What was divided has digits that mean nothing.
            Value::Number(number) if number.is_f64() => {
                number.as_f64().map_or_else(|| number.to_string(), |value| rounded(value, 4))
            }
            Value::Array(ends) if ends.len() == 2 => format!("{} to {}", ends[0], ends[1]),
            Value::Object(parts) => {
                let parts: Vec<_> = parts.iter().map(|(key, value)| format!("{key} {value}")).collect();
                parts.join(", ")
            }
            other => other.to_string(),
        };
        if self.unit.is_empty() { value } else { format!("{value} {}", self.unit) }
    }

    /// As a quantity of `dimension`.
    pub(crate) fn quantity(&self, dimension: Dimension) -> Result<Quantity, QuantityError> {
        let Value::Number(number) = &self.value else {
            return Err(QuantityError::NotANumber { dimension });
        };
        // "GB/s per socket" is in GB/s, and "of peak" is a plain share.
        let unit = self.unit.split(" per ").next().unwrap_or_default();
        let unit = unit.split(" of ").next().unwrap_or_default();
        let unit = if unit.starts_with("of ") { "" } else { unit };
        Quantity::parse(&format!("{number} {unit}"), dimension)
    }
}

/// `value` with at most this many decimals and no zeros at the end.
fn rounded(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A figure that cannot be used. The run cannot go on; the catalogue or an override is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FigureError {
    /// The entry has no such figure.
    #[error("`{entry}` has no figure `{key}` in the catalogue")]
    Missing {
        /// The entry.
        entry: String,
        /// The key that was asked for.
        key: String,
    },
    /// The figure is of another type.
    #[error("`{key}` of `{entry}` is not {wanted}")]
    Unfit {
        /// The entry.
        entry: String,
        /// The key that was asked for.
        key: String,
        /// What it was read as.
        wanted: &'static str,
    },
    /// The figure does not measure what it was read as.
    #[error("`{key}` of `{entry}`: {reason}")]
    Quantity {
        /// The entry.
        entry: String,
        /// The key that was asked for.
        key: String,
        /// What is wrong with it.
        reason: QuantityError,
    },
}

/// Reads one file of the catalogue. The error says what is wrong with it; only a test ever sees one.
pub(super) fn read(kind: Kind, text: &str) -> Result<Vec<Entry>, String> {
    let entries: Map<String, Value> = serde_json::from_str(text).map_err(|error| format!("{kind}: {error}"))?;
    entries
        .into_iter()
        .map(|(name, value)| {
            let Value::Object(fields) = value else {
                return Err(format!("{name} is not a table"));
            };
            let mut entry =
                Entry { name, kind, aliases: Vec::new(), simulated: true, why_not: None, figures: Vec::new() };
            for (key, value) in fields {
                match (key.as_str(), value) {
                    ("aliases", Value::Array(aliases)) => {
                        entry.aliases.extend(aliases.iter().filter_map(Value::as_str).map(str::to_owned));
                    }
                    ("simulated", Value::Bool(simulated)) => entry.simulated = simulated,
                    ("simulated", Value::String(why)) => {
                        entry.simulated = false;
                        entry.why_not = Some(why);
                    }
                    (_, Value::Object(figure)) => {
                        let figure =
                            read_figure(&key, &figure).map_err(|why| format!("{}.{key}: {why}", entry.name))?;
                        entry.figures.push(figure);
                    }
                    _ => return Err(format!("{}.{key} is not a figure", entry.name)),
                }
            }
            Ok(entry)
        })
        .collect()
}

fn read_figure(key: &str, figure: &Map<String, Value>) -> Result<Figure, String> {
    let text = |field: &str| {
        let value = figure.get(field).and_then(Value::as_str).map(str::to_owned);
        value.ok_or_else(|| format!("no {field}"))
    };
    let kind = text("kind")?;
    let source = text("source")?;
    if source.is_empty() {
        return Err("the source is empty".to_owned());
    }
    Ok(Figure {
        key: key.to_owned(),
        value: figure.get("value").cloned().ok_or("no value")?,
        unit: text("unit")?,
        kind: FigureKind::from_word(&kind).ok_or_else(|| format!("`{kind}` is not a kind"))?,
        source,
        note: figure.get("note").and_then(Value::as_str).map(str::to_owned),
    })
}

impl Catalogue {
    /// A catalogue read strictly, for tests of the files.
    #[cfg(test)]
    pub(super) fn strict() -> Result<Self, String> {
        let mut entries = Vec::new();
        for kind in Kind::ALL {
            entries.extend(read(kind, kind.text())?);
        }
        Ok(Self { entries })
    }
}
