//! TOML and JSON as one tree in which every node knows where it came from.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::scenario::error::{Fault, Problem};

/// Where a node was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// These bytes of the TOML file.
    Span(Range<usize>),
    /// This key path of the JSON file.
    Path(String),
    /// This `--set`.
    Flag(String),
    /// The file as a whole.
    Whole,
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

/// A value as it was written. Numbers keep their digits: what they mean depends on the field.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Table(Vec<Pair>),
    List(Vec<Node>),
    Text(String),
    /// A whole number; `value` is missing where 128 bits do not hold it.
    Integer {
        value: Option<i128>,
        text: String,
    },
    Number(String),
    Flag(bool),
    Date(String),
    Null,
}

/// A key, its place, and what it holds.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) key: String,
    pub(crate) origin: Origin,
    pub(crate) node: Node,
}

impl Node {
    pub(crate) fn text(text: &str, origin: Origin) -> Self {
        Self { value: Value::Text(text.to_owned()), origin }
    }

    pub(crate) fn table(origin: Origin) -> Self {
        Self { value: Value::Table(Vec::new()), origin }
    }

    /// The pairs, if this is a table.
    pub(crate) fn pairs(&self) -> Option<&[Pair]> {
        match &self.value {
            Value::Table(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// What is under `key`, if this is a table.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.pairs()?.iter().find(|pair| pair.key == key).map(|pair| &pair.node)
    }

    /// What it is, for a message: `the text "16"`.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            Value::Table(_) => "a table".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Text(text) => format!("the text \"{}\"", clip(text)),
            Value::Integer { text, .. } | Value::Number(text) => format!("the number {}", clip(text)),
            Value::Flag(flag) => flag.to_string(),
            Value::Date(text) => format!("the date {}", clip(text)),
            Value::Null => "null".to_owned(),
        }
    }

    /// The value without its place, as the point of a sweep is named by it.
    pub(crate) fn json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Table(pairs) => pairs.iter().map(|pair| (pair.key.clone(), pair.node.json())).collect(),
            Value::List(nodes) => nodes.iter().map(Self::json).collect(),
            Value::Text(text) | Value::Date(text) => Json::from(text.as_str()),
            Value::Integer { value, text } => {
                let small = value.and_then(|value| i64::try_from(value).ok()).map(Json::from);
                let large = value.and_then(|value| u64::try_from(value).ok()).map(Json::from);
                small.or(large).unwrap_or_else(|| Json::from(text.as_str()))
            }
            Value::Number(text) => {
                let number = text.parse().ok().and_then(serde_json::Number::from_f64);
                number.map_or_else(|| Json::from(text.as_str()), Json::Number)
            }
            Value::Flag(flag) => Json::from(*flag),
            Value::Null => Json::Null,
        }
    }
}

/// What a person wrote, short enough for one line of a message and without control characters.
pub(crate) fn clip(text: &str) -> String {
    const MOST: usize = 60;
    let mut shown: String = text.chars().take(MOST).flat_map(escape).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push_str("...");
    }
    shown
}

fn escape(character: char) -> impl Iterator<Item = char> {
    let control = character.is_control();
    let plain = (!control).then_some(character);
    plain.into_iter().chain(control.then(|| character.escape_default()).into_iter().flatten())
}

/// Reads TOML. The places are byte ranges of `text`.
pub(crate) fn from_toml(text: &str) -> Result<Node, Fault> {
    let table = DeTable::parse(text).map_err(|error| {
        let origin = error.span().map_or(Origin::Whole, Origin::Span);
        Fault::new(Problem::Syntax { format: "TOML", message: error.message().to_owned() }, origin)
    })?;
    let root = Origin::Whole;
    Ok(Node { value: toml_table(table.into_inner(), &Origin::Span), origin: root })
}

/// Reads the value of a `--set`: TOML where it is that, and otherwise the bare words as they stand.
pub(crate) fn from_flag(value: &str, flag: &str) -> Result<Node, Fault> {
    let origin = Origin::Flag(flag.to_owned());
    let value = value.trim();
    let place = |_: Range<usize>| Origin::Flag(flag.to_owned());
    match DeValue::parse(value) {
        Ok(parsed) => Ok(match toml_value(parsed, &place) {
            // `2026-11-22` is more likely a name than a date: no field takes a date.
            Node { value: Value::Date(text), .. } => Node::text(&text, origin),
            node => node,
        }),
        Err(error) if value.starts_with(['"', '\'', '[', '{']) => {
            Err(Fault::new(Problem::Syntax { format: "TOML", message: error.message().to_owned() }, origin))
        }
        Err(_) => Ok(Node::text(value, origin)),
    }
}

fn toml_table(table: DeTable<'_>, place: &dyn Fn(Range<usize>) -> Origin) -> Value {
    let mut pairs: Vec<_> =
        table.into_iter().map(|(key, value)| (key.span(), key.into_inner().into_owned(), value)).collect();
    // The parser sorts by name; the order of the file is the order of a sweep.
    pairs.sort_by_key(|(span, ..)| span.start);
    Value::Table(
        pairs
            .into_iter()
            .map(|(span, key, value)| Pair { key, origin: place(span), node: toml_value(value, place) })
            .collect(),
    )
}

fn toml_value(value: Spanned<DeValue<'_>>, place: &dyn Fn(Range<usize>) -> Origin) -> Node {
    let origin = place(value.span());
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(integer) => Value::Integer {
            value: i128::from_str_radix(integer.as_str(), integer.radix()).ok(),
            text: integer.to_string(),
        },
        DeValue::Float(float) => Value::Number(float.as_str().to_owned()),
        DeValue::Boolean(flag) => Value::Flag(flag),
        DeValue::Datetime(date) => Value::Date(date.to_string()),
        DeValue::Array(list) => Value::List(list.into_iter().map(|item| toml_value(item, place)).collect()),
        DeValue::Table(table) => toml_table(table, place),
    };
    Node { value, origin }
}

/// Reads JSON. The places are key paths such as `system[0].kv.home`.
pub(crate) fn from_json(text: &str) -> Result<Node, Fault> {
    let mut parsed: Json = serde_json::from_str(text).map_err(|error| {
        let origin = match offset(text, error.line(), error.column()) {
            Some(offset) => Origin::Span(offset..offset),
            None => Origin::Whole,
        };
        // The place is told apart from the message; serde_json puts both in one.
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        Fault::new(Problem::Syntax { format: "JSON", message }, origin)
    })?;
    place_json(&mut parsed.0, "");
    parsed.0.origin = Origin::Whole;
    Ok(parsed.0)
}

/// Byte offset of a line and column that count from one, column in bytes.
fn offset(text: &str, line: usize, column: usize) -> Option<usize> {
    let start = if line <= 1 { 0 } else { text.match_indices('\n').nth(line - 2)?.0 + 1 };
    Some((start + column.saturating_sub(1)).min(text.len()))
}

/// Gives every node below `node` its key path.
fn place_json(node: &mut Node, path: &str) {
    node.origin = Origin::Path(path.to_owned());
    match &mut node.value {
        Value::Table(pairs) => {
            for pair in pairs {
                let path = join(path, &pair.key);
                place_json(&mut pair.node, &path);
                pair.origin = Origin::Path(path);
            }
        }
        Value::List(nodes) => {
            for (index, node) in nodes.iter_mut().enumerate() {
                place_json(node, &format!("{path}[{index}]"));
            }
        }
        _ => {}
    }
}

/// `path.key`, with the key in quotes where it holds more than a name does.
pub(crate) fn join(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    let key = if plain { key.to_owned() } else { format!("\"{}\"", clip(key)) };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// A node that serde reads from JSON. Unlike `serde_json::Value` it refuses a key that stands there twice.
struct Json(Node);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

fn json(value: Value) -> Json {
    Json(Node { value, origin: Origin::Whole })
}

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Json, E> {
        Ok(json(Value::Flag(flag)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(json(Value::Integer { value: Some(number.into()), text: number.to_string() }))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(json(Value::Integer { value: Some(number.into()), text: number.to_string() }))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        // serde_json gives whole numbers past 64 bits as floating point.
        if number.fract() == 0.0 && number.abs() >= 9.2e18 {
            return Ok(json(Value::Integer { value: None, text: number.to_string() }));
        }
        // With its point, so that `16.0` is shown as what it is.
        Ok(json(Value::Number(format!("{number:?}"))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(json(Value::Text(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(json(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut nodes = Vec::new();
        while let Some(Json(node)) = list.next_element()? {
            nodes.push(node);
        }
        Ok(json(Value::List(nodes)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut pairs: Vec<Pair> = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        while let Some((key, Json(node))) = map.next_entry::<String, Json>()? {
            if !seen.insert(key.clone()) {
                let message = format!("the key \"{}\" stands there twice", clip(&key));
                return Err(serde::de::Error::custom(message));
            }
            let origin = Origin::Whole;
            pairs.push(Pair { key, origin, node });
        }
        Ok(json(Value::Table(pairs)))
    }
}
