//! A document against the schema: unknown keys, types, ranges, units, names, and the defaults of what is not there.

use crate::catalogue::{Catalogue, Entry, FigureField, Kind, Shape, nearest};
use crate::scenario::document::{Node, Origin, Value, clip, join};
use crate::scenario::error::{Fault, Problem};
use crate::scenario::quantity::{Dimension, Quantity};
use crate::scenario::schema::{Fallback, Field, MOST_SEQUENCES, NAME_LENGTH, Place, Presence, Section, Takes};
use crate::scenario::words::{Word, Words};

/// A section that has passed.
#[derive(Debug)]
pub(super) struct Checked {
    section: &'static Section,
    /// Its key path, for messages.
    pub(super) path: String,
    pub(super) origin: Origin,
    items: Vec<Item>,
    figures: Vec<Override>,
    sections: Vec<Checked>,
}

/// A field that has passed.
#[derive(Debug)]
struct Item {
    key: &'static str,
    setting: Setting,
    /// None for a default.
    origin: Option<Origin>,
}

/// A figure that the scenario puts in the place of the catalogue's.
#[derive(Debug)]
pub(super) struct Override {
    pub(super) field: &'static FigureField,
    pub(super) setting: Setting,
    pub(super) origin: Origin,
}

/// A value that has passed.
#[derive(Clone, Debug)]
pub(super) enum Setting {
    Text(String),
    Word(&'static str),
    Integer(u64),
    Flag(bool),
    Quantity(Quantity),
    Device(&'static Entry),
    /// One for each sequence, with its place.
    Lengths(Vec<(u64, Origin)>),
}

impl Checked {
    /// Where `key` was written; where its section was, if it has its default.
    pub(super) fn origin_of(&self, key: &str) -> Origin {
        let item = self.items.iter().find(|item| item.key == key);
        item.and_then(|item| item.origin.clone()).unwrap_or_else(|| self.origin.clone())
    }

    /// Whether `key` was written, and has not its default.
    pub(super) fn is_given(&self, key: &str) -> bool {
        self.items.iter().any(|item| item.key == key && item.origin.is_some())
    }

    /// `path.key`, as the user would write it.
    pub(super) fn path_of(&self, key: &str) -> String {
        join(&self.path, key)
    }

    pub(super) fn figures(&self) -> &[Override] {
        &self.figures
    }

    pub(super) fn section(&self, key: &str) -> Option<&Self> {
        self.sections(key).next()
    }

    pub(super) fn sections(&self, key: &str) -> impl Iterator<Item = &Self> {
        self.sections.iter().filter(move |section| section.section.key == key)
    }

    /// A section that the schema requires or gives defaults to.
    pub(super) fn need(&self, key: &'static str) -> Result<&Self, Fault> {
        self.section(key).ok_or_else(|| self.defect(key))
    }

    /// Whether `key` was written.
    pub(super) fn has(&self, key: &str) -> bool {
        self.items.iter().any(|item| item.key == key && item.origin.is_some())
    }

    fn setting(&self, key: &str) -> Option<&Setting> {
        self.items.iter().find(|item| item.key == key).map(|item| &item.setting)
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.setting(key) {
            Some(Setting::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn quantity(&self, key: &str) -> Option<Quantity> {
        match self.setting(key) {
            Some(Setting::Quantity(quantity)) => Some(*quantity),
            _ => None,
        }
    }

    pub(super) fn maybe_integer(&self, key: &str) -> Option<u64> {
        match self.setting(key) {
            Some(Setting::Integer(integer)) => Some(*integer),
            _ => None,
        }
    }

    /// The list under `key`, where it is one.
    pub(super) fn lengths(&self, key: &str) -> Option<&[(u64, Origin)]> {
        match self.setting(key) {
            Some(Setting::Lengths(lengths)) => Some(lengths),
            _ => None,
        }
    }

    pub(super) fn integer(&self, key: &'static str) -> Result<u64, Fault> {
        self.maybe_integer(key).ok_or_else(|| self.defect(key))
    }

    /// A whole number whose range in the schema fits in 32 bits.
    pub(super) fn small(&self, key: &'static str) -> Result<u32, Fault> {
        u32::try_from(self.integer(key)?).map_err(|_| self.defect(key))
    }

    pub(super) fn flag(&self, key: &'static str) -> Result<bool, Fault> {
        match self.setting(key) {
            Some(Setting::Flag(flag)) => Ok(*flag),
            _ => Err(self.defect(key)),
        }
    }

    pub(super) fn maybe_device(&self, key: &str) -> Option<&'static Entry> {
        match self.setting(key) {
            Some(Setting::Device(entry)) => Some(entry),
            _ => None,
        }
    }

    pub(super) fn device(&self, key: &'static str) -> Result<&'static Entry, Fault> {
        self.maybe_device(key).ok_or_else(|| self.defect(key))
    }

    pub(super) fn maybe_word<W: Words>(&self, key: &str) -> Option<W> {
        match self.setting(key) {
            Some(Setting::Word(word)) => W::from_word(word),
            _ => None,
        }
    }

    pub(super) fn word<W: Words>(&self, key: &'static str) -> Result<W, Fault> {
        self.maybe_word(key).ok_or_else(|| self.defect(key))
    }

    fn defect(&self, key: &'static str) -> Fault {
        Fault::new(Problem::Defect { key }, self.origin.clone())
    }
}

/// Checks `node` as `section`; `path` is its key path.
pub(super) fn check(section: &'static Section, node: &Node, path: &str) -> Result<Checked, Fault> {
    let mut checked = Checked {
        section,
        path: path.to_owned(),
        origin: node.origin.clone(),
        items: Vec::new(),
        figures: Vec::new(),
        sections: Vec::new(),
    };
    match (&node.value, section.shorthand) {
        (Value::Table(_), _) => {}
        (Value::Text(_), Some(shorthand)) => {
            // A plain text stands for the field that says which device it is.
            if let Some(Place::Field(field)) = section.find(shorthand) {
                checked.add(field, node, path)?;
            }
        }
        _ => return Err(not_a_table(section, node, path)),
    }
    for pair in node.pairs().unwrap_or_default() {
        let inner = join(path, &pair.key);
        match section.find(&pair.key) {
            Some(Place::Field(field)) => {
                if checked.items.iter().any(|item| item.key == field.key) {
                    let problem =
                        Problem::Twice { key: field.key.to_owned(), also: field.also.unwrap_or_default().to_owned() };
                    return Err(Fault::new(problem, pair.origin.clone()));
                }
                checked.add(field, &pair.node, &inner)?;
            }
            Some(Place::Figure(figure)) => checked.figures.push(Override {
                field: figure,
                setting: plain(figure.shape, &pair.node, &inner)?,
                origin: pair.origin.clone(),
            }),
            Some(Place::Section(section)) if section.presence == Presence::Repeated => {
                for (index, node) in repeated(section, &pair.node, &inner)?.iter().enumerate() {
                    checked.sections.push(check(section, node, &format!("{inner}[{index}]"))?);
                }
            }
            Some(Place::Section(section)) => checked.sections.push(check(section, &pair.node, &inner)?),
            None => return Err(Fault::new(unknown(section, &pair.key, path), pair.origin.clone())),
        }
    }
    checked.complete()?;
    Ok(checked)
}

impl Checked {
    fn add(&mut self, field: &'static Field, node: &Node, path: &str) -> Result<(), Fault> {
        let setting = match field.takes {
            Takes::Text | Takes::Name | Takes::Codec => named(field.takes, node, path)?,
            Takes::Parameter => parameter(node, path)?,
            Takes::Word(words) => word(words, node, path)?,
            Takes::Plain(shape) => plain(shape, node, path)?,
            Takes::Lengths { least, most } => lengths(least, most, node, path)?,
        };
        self.items.push(Item { key: field.key, setting, origin: Some(node.origin.clone()) });
        Ok(())
    }

    /// Fills in the defaults and refuses what has none.
    fn complete(&mut self) -> Result<(), Fault> {
        for field in self.section.fields {
            if self.items.iter().any(|item| item.key == field.key) {
                continue;
            }
            let setting = match field.fallback {
                Fallback::Depends(_) => continue,
                Fallback::Integer(integer) => Setting::Integer(integer),
                Fallback::Flag(flag) => Setting::Flag(flag),
                Fallback::Text(text) => match field.takes {
                    Takes::Plain(Shape::Device(kind)) => match Catalogue::embedded().find(kind, text) {
                        Ok(entry) => Setting::Device(entry),
                        Err(unknown) => {
                            return Err(Fault::new(Problem::UnknownDevice { unknown }, self.origin.clone()));
                        }
                    },
                    Takes::Codec => Setting::Text(text.to_owned()),
                    _ => Setting::Word(text),
                },
                Fallback::Required => {
                    return Err(self.missing(field.key, format!("write `{}`: {}", example(field), field.doc)));
                }
            };
            self.items.push(Item { key: field.key, setting, origin: None });
        }
        for section in self.section.sections {
            if self.section(section.key).is_some() {
                continue;
            }
            let path = join(&self.path, section.key);
            match section.presence {
                Presence::Optional => {}
                Presence::Defaulted => {
                    let empty = Node::table(self.origin.clone());
                    self.sections.push(check(section, &empty, &path)?);
                }
                Presence::Required if self.path.is_empty() => {
                    return Err(self.missing(section.key, format!("write a section [{path}]: {}", section.doc)));
                }
                Presence::Required => {
                    let field = section.fields.first().map_or_else(String::new, example);
                    return Err(
                        self.missing(section.key, format!("write `{} = {{ {field} }}`: {}", section.key, section.doc))
                    );
                }
                Presence::Repeated => {
                    return Err(self.missing(
                        section.key,
                        format!(
                            "write a section [[{path}]] with its name and its {}: {}",
                            section.sections.first().map_or("device", |first| first.key),
                            section.doc
                        ),
                    ));
                }
            }
        }
        Ok(())
    }

    fn missing(&self, key: &str, remedy: String) -> Fault {
        let problem = Problem::Missing { key: key.to_owned(), section: self.path.clone(), remedy };
        Fault::new(problem, self.origin.clone())
    }
}

/// A line that would be right, for a message.
fn example(field: &Field) -> String {
    let value = match field.takes {
        Takes::Text if field.key == "config" => "\"models/llama-2-7b.json\"".to_owned(),
        Takes::Codec => "\"fp16\"".to_owned(),
        Takes::Text | Takes::Name | Takes::Parameter => "\"...\"".to_owned(),
        Takes::Word(words) => format!("\"{}\"", words.first().map_or("", |word| word.word)),
        Takes::Plain(Shape::Integer { least, .. }) | Takes::Lengths { least, .. } => least.max(16).to_string(),
        Takes::Plain(Shape::Flag) => "true".to_owned(),
        Takes::Plain(Shape::Word(words)) => format!("\"{}\"", words.first().unwrap_or(&"")),
        Takes::Plain(Shape::Quantity { dimension, .. }) => format!("\"{}\"", dimension.example()),
        Takes::Plain(Shape::Device(Kind::Gpu)) => "\"H100-SXM-80GB\"".to_owned(),
        Takes::Plain(Shape::Device(Kind::Cpu)) => "\"Xeon-8480+\"".to_owned(),
        Takes::Plain(Shape::Device(Kind::Link)) => "\"PCIe5x16\"".to_owned(),
        Takes::Plain(Shape::Device(Kind::Pim)) => "\"hbm3-pim-bank\"".to_owned(),
    };
    let value = if field.key == "stacks" { "4".to_owned() } else { value };
    format!("{} = {value}", field.key)
}

fn unknown(section: &'static Section, key: &str, path: &str) -> Problem {
    let keys = section.keys();
    Problem::UnknownKey {
        key: clip(key),
        section: path.to_owned(),
        nearest: nearest(key, keys.iter().copied()).map(str::to_owned),
        allowed: keys.into_iter().map(str::to_owned).collect(),
    }
}

fn not_a_table(section: &'static Section, node: &Node, path: &str) -> Fault {
    let keys = section.keys();
    let wanted = match section.shorthand {
        Some(shorthand) => format!("a table, or a text for its `{shorthand}`,"),
        None => "a table".to_owned(),
    };
    let problem = Problem::WrongType {
        key: if path.is_empty() { "scenario".to_owned() } else { path.to_owned() },
        found: node.describe(),
        wanted,
        remedy: format!("keys: {}", keys.join(", ")),
    };
    Fault::new(problem, node.origin.clone())
}

/// The tables of a repeated section.
fn repeated<'a>(section: &Section, node: &'a Node, path: &str) -> Result<&'a [Node], Fault> {
    let most = crate::scenario::schema::MOST_SYSTEMS;
    match &node.value {
        Value::List(nodes) if !nodes.is_empty() && nodes.len() <= most => Ok(nodes),
        Value::List(nodes) => Err(Fault::new(
            Problem::Contradiction {
                message: format!("`{path}` lists {} systems", nodes.len()),
                remedy: format!("list 1 to {most}"),
            },
            node.origin.clone(),
        )),
        _ => Err(Fault::new(
            Problem::WrongType {
                key: path.to_owned(),
                found: node.describe(),
                wanted: "a list of tables".to_owned(),
                remedy: format!("write [[{}]] in TOML, or a list of objects in JSON", section.key),
            },
            node.origin.clone(),
        )),
    }
}

fn wrong_type(node: &Node, path: &str, wanted: &str, remedy: String) -> Fault {
    let problem =
        Problem::WrongType { key: path.to_owned(), found: node.describe(), wanted: wanted.to_owned(), remedy };
    Fault::new(problem, node.origin.clone())
}

fn named(takes: Takes, node: &Node, path: &str) -> Result<Setting, Fault> {
    let Value::Text(text) = &node.value else {
        return Err(wrong_type(node, path, "a text", "write it in quotes".to_owned()));
    };
    let sound = match takes {
        // Names become folders below --out.
        Takes::Name => {
            !text.starts_with('.')
                && !text.contains(['/', '\\'])
                && text.chars().count() <= NAME_LENGTH
                && !text.trim().is_empty()
        }
        _ => !text.trim().is_empty(),
    };
    // Scenarios' titles may be sentences, so only what could leave a folder or a line is refused.
    if sound && !text.chars().any(char::is_control) {
        return Ok(Setting::Text(text.clone()));
    }
    let problem = Problem::BadName { key: path.to_owned(), value: clip(text) };
    Err(Fault::new(problem, node.origin.clone()))
}

/// A number or a word, as text: what it has to be is the codec's business.
fn parameter(node: &Node, path: &str) -> Result<Setting, Fault> {
    match &node.value {
        Value::Integer { value: Some(value), .. } => Ok(Setting::Text(value.to_string())),
        Value::Integer { text, .. } | Value::Number(text) => Ok(Setting::Text(text.clone())),
        // What stands between two parameters of a codec's text cannot be part of one.
        Value::Text(text) if !text.trim().is_empty() && !text.contains([',', '=', ':']) => {
            named(Takes::Text, node, path)
        }
        Value::Text(text) => {
            Err(Fault::new(Problem::BadName { key: path.to_owned(), value: clip(text) }, node.origin.clone()))
        }
        _ => Err(wrong_type(node, path, "a number or a word", "see `pimscope list codecs`".to_owned())),
    }
}

fn word(words: &'static [Word], node: &Node, path: &str) -> Result<Setting, Fault> {
    let ready = || words.iter().filter(|word| word.ready).map(|word| word.word);
    let Value::Text(text) = &node.value else {
        let remedy = format!("write one of: {}", quoted(ready()));
        return Err(wrong_type(node, path, "a word", remedy));
    };
    match words.iter().find(|word| word.word == text) {
        Some(word) if word.ready => Ok(Setting::Word(word.word)),
        known => Err(not_a_word(known.is_some(), ready(), text, node, path)),
    }
}

fn not_a_word(
    later: bool,
    words: impl Iterator<Item = &'static str> + Clone,
    text: &str,
    node: &Node,
    path: &str,
) -> Fault {
    let meant = if later { None } else { nearest(text, words.clone()) };
    let problem = Problem::UnknownWord {
        key: path.to_owned(),
        value: clip(text),
        nearest: meant.map(str::to_owned),
        allowed: words.map(str::to_owned).collect(),
        later,
    };
    Fault::new(problem, node.origin.clone())
}

fn quoted(words: impl Iterator<Item = &'static str>) -> String {
    let words: Vec<_> = words.map(|word| format!("\"{word}\"")).collect();
    words.join(", ")
}

fn plain(shape: Shape, node: &Node, path: &str) -> Result<Setting, Fault> {
    match shape {
        Shape::Flag => match node.value {
            Value::Flag(flag) => Ok(Setting::Flag(flag)),
            _ => Err(wrong_type(node, path, "true or false", "write true or false, without quotes".to_owned())),
        },
        Shape::Integer { least, most } => integer(least, most, node, path),
        Shape::Word(words) => {
            let Value::Text(text) = &node.value else {
                let remedy = format!("write one of: {}", quoted(words.iter().copied()));
                return Err(wrong_type(node, path, "a word", remedy));
            };
            let word = words.iter().find(|word| *word == text);
            word.map(|word| Setting::Word(word))
                .ok_or_else(|| not_a_word(false, words.iter().copied(), text, node, path))
        }
        Shape::Quantity { dimension, zero } => quantity(dimension, zero, node, path),
        Shape::Device(kind) => device(kind, node, path),
    }
}

fn integer(least: u64, most: u64, node: &Node, path: &str) -> Result<Setting, Fault> {
    let Value::Integer { value, text } = &node.value else {
        let remedy = match &node.value {
            Value::Text(text) if text.trim().parse::<u64>().is_ok() => {
                format!("write {} without quotes", text.trim())
            }
            Value::Number(text) if text.ends_with(".0") => format!("write {}", text.trim_end_matches(".0")),
            _ => format!("write for example {}", least.max(1)),
        };
        return Err(wrong_type(node, path, "a whole number", remedy));
    };
    match value.and_then(|value| u64::try_from(value).ok()) {
        Some(value) if (least..=most).contains(&value) => Ok(Setting::Integer(value)),
        _ => Err(Fault::new(
            Problem::OutOfRange { key: path.to_owned(), value: clip(text), least, most },
            node.origin.clone(),
        )),
    }
}

/// A whole number, or a list of them.
fn lengths(least: u64, most: u64, node: &Node, path: &str) -> Result<Setting, Fault> {
    let Value::List(nodes) = &node.value else {
        return integer(least, most, node, path);
    };
    if nodes.is_empty() || nodes.len() as u64 > MOST_SEQUENCES {
        let problem = Problem::Contradiction {
            message: format!("`{path}` lists {} sequences", nodes.len()),
            remedy: format!("list 1 to {MOST_SEQUENCES}, or write one number for all"),
        };
        return Err(Fault::new(problem, node.origin.clone()));
    }
    let length = |(index, node): (usize, &Node)| {
        let path = format!("{path}[{index}]");
        match integer(least, most, node, &path)? {
            Setting::Integer(length) => Ok((length, node.origin.clone())),
            _ => Err(wrong_type(node, &path, "a whole number", String::new())),
        }
    };
    Ok(Setting::Lengths(nodes.iter().enumerate().map(length).collect::<Result<_, _>>()?))
}

fn quantity(dimension: Dimension, zero: bool, node: &Node, path: &str) -> Result<Setting, Fault> {
    // A number alone has no unit; the quantity's own message says which are wanted.
    let (Value::Text(text) | Value::Number(text) | Value::Integer { text, .. }) = &node.value else {
        let remedy = format!("write for example \"{}\"", dimension.example());
        return Err(wrong_type(node, path, dimension.phrase(), remedy));
    };
    let problem = match Quantity::parse(text, dimension) {
        Ok(quantity) if zero || !quantity.is_zero() => return Ok(Setting::Quantity(quantity)),
        Ok(_) => Problem::Zero { key: path.to_owned(), value: clip(text), dimension },
        Err(reason) => Problem::Quantity { key: path.to_owned(), value: clip(text), reason },
    };
    Err(Fault::new(problem, node.origin.clone()))
}

fn device(kind: Kind, node: &Node, path: &str) -> Result<Setting, Fault> {
    let Value::Text(text) = &node.value else {
        let remedy = format!("write a name of `pimscope list {}`", kind.plural());
        return Err(wrong_type(node, path, "a name of the catalogue", remedy));
    };
    let problem = match Catalogue::embedded().find(kind, text) {
        Ok(entry) if entry.simulated => return Ok(Setting::Device(entry)),
        Ok(entry) => Problem::NotSimulated {
            kind: kind.to_string(),
            name: entry.name.clone(),
            why: entry.why_not.clone(),
            allowed: Catalogue::embedded()
                .of(kind)
                .filter(|entry| entry.simulated)
                .map(|entry| entry.name.clone())
                .collect(),
        },
        Err(mut unknown) => {
            unknown.name = clip(&unknown.name);
            Problem::UnknownDevice { unknown }
        }
    };
    Err(Fault::new(problem, node.origin.clone()))
}
