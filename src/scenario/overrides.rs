//! `--set KEY=VALUE` and `[sweep]`: changes to the document before it is checked, so that one set of rules holds for all.
//!
//! A key is written with dots. `model.config`, `workload.batch`, `name` and `seed` are the scenario's; a key of a system
//! without its name, such as `kv.prefetch`, holds for every system (those that have the section, if not all need it);
//! `system.NAME.kv.prefetch` or `system.0.kv.prefetch` is one system's. Parts with dots in them stand in quotes.

use crate::catalogue::nearest;
use crate::scenario::document::{self, Node, Origin, Pair, Value, clip};
use crate::scenario::error::{Fault, Problem};
use crate::scenario::schema::{Place, Presence, SWEEP, Section};

/// A key of a sweep with its values.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) key: String,
    pub(super) path: Vec<String>,
    pub(super) values: Vec<Node>,
    pub(super) origin: Origin,
}

/// The section of systems.
const SYSTEM: &str = "system";

/// What a system of this schema is.
fn system_of(schema: &'static Section) -> &'static Section {
    schema.sections.iter().find(|section| section.key == SYSTEM).unwrap_or(schema)
}

/// Applies one `--set` to a document of this schema.
pub(super) fn set(schema: &'static Section, root: &mut Node, text: &str) -> Result<(), Fault> {
    let origin = || Origin::Flag(text.to_owned());
    let bad = |message: String| {
        let remedy = "write --set KEY=VALUE, such as --set workload.batch=8 or --set 'host.link.raw_bw=64 GB/s'";
        let remedy = remedy.to_owned();
        Fault::new(Problem::BadFlag { message, remedy }, origin())
    };
    let Some((key, value)) = text.split_once('=') else {
        return Err(bad("there is no `=`".to_owned()));
    };
    let key = key.trim();
    let path = split(key).map_err(bad)?;
    let node = document::from_flag(value, text)?;
    // What is set on the command line counts, also where the file sweeps over it.
    drop_axis(root, &path);
    apply(schema, root, &path, &node, &node.origin)
}

/// Takes the sweep out of the document. The keys are in the order of the file.
pub(super) fn take_sweep(root: &mut Node) -> Result<Vec<Axis>, Fault> {
    let Value::Table(pairs) = &mut root.value else {
        return Ok(Vec::new());
    };
    let Some(index) = pairs.iter().position(|pair| pair.key == SWEEP) else {
        return Ok(Vec::new());
    };
    let sweep = pairs.remove(index);
    let mut axes = Vec::new();
    if !matches!(sweep.node.value, Value::Table(_)) {
        return Err(not_a_list(SWEEP, &sweep.node, "a table of lists"));
    }
    flatten(&sweep.node, &[], &mut axes)?;
    Ok(axes)
}

/// `[sweep] workload.context = [...]` without quotes makes tables in tables: their keys are put together again.
fn flatten(node: &Node, above: &[String], axes: &mut Vec<Axis>) -> Result<(), Fault> {
    for pair in node.pairs().unwrap_or_default() {
        let mut path = above.to_vec();
        path.extend(split(&pair.key).map_err(|message| {
            let remedy = "keys of a sweep are written as for --set, such as \"workload.batch\"".to_owned();
            Fault::new(Problem::BadFlag { message, remedy }, pair.origin.clone())
        })?);
        let key = path.iter().fold(String::new(), |key, part| document::join(&key, part));
        match &pair.node.value {
            Value::Table(_) => flatten(&pair.node, &path, axes)?,
            Value::List(values) if values.is_empty() => {
                return Err(Fault::new(
                    Problem::Contradiction {
                        message: format!("the sweep over `{key}` has no values"),
                        remedy: "list at least one value, or leave the key out".to_owned(),
                    },
                    pair.node.origin.clone(),
                ));
            }
            Value::List(values) => {
                distinct(&key, values)?;
                axes.push(Axis { key, path, values: values.clone(), origin: pair.origin.clone() });
            }
            _ => return Err(not_a_list(&key, &pair.node, "a list of values")),
        }
    }
    Ok(())
}

/// A point is named by its values, so none may be there twice.
fn distinct(key: &str, values: &[Node]) -> Result<(), Fault> {
    let mut seen = std::collections::BTreeSet::new();
    match values.iter().find(|value| !seen.insert(value.json().to_string())) {
        None => Ok(()),
        Some(again) => Err(Fault::new(
            Problem::Contradiction {
                message: format!("the sweep over `{key}` has {} twice", again.describe()),
                remedy: "the points of a sweep are named by their values: list each once".to_owned(),
            },
            again.origin.clone(),
        )),
    }
}

fn not_a_list(key: &str, node: &Node, wanted: &str) -> Fault {
    let problem = Problem::WrongType {
        key: key.to_owned(),
        found: node.describe(),
        wanted: wanted.to_owned(),
        remedy: "write for example \"workload.context\" = [4096, 8192]".to_owned(),
    };
    Fault::new(problem, node.origin.clone())
}

/// Removes the sweep over `path`, if there is one.
fn drop_axis(root: &mut Node, path: &[String]) {
    fn remove(node: &mut Node, path: &[String]) {
        let Value::Table(pairs) = &mut node.value else {
            return;
        };
        pairs.retain_mut(|pair| {
            let Ok(parts) = split(&pair.key) else {
                return true;
            };
            match path.strip_prefix(parts.as_slice()) {
                Some([]) => false,
                Some(rest) => {
                    remove(&mut pair.node, rest);
                    true
                }
                None => true,
            }
        });
    }
    if let Value::Table(pairs) = &mut root.value
        && let Some(sweep) = pairs.iter_mut().find(|pair| pair.key == SWEEP)
    {
        remove(&mut sweep.node, path);
    }
}

/// Puts `node` at `path`, which was written at `place`.
pub(super) fn apply(
    schema: &'static Section,
    root: &mut Node,
    path: &[String],
    node: &Node,
    place: &Origin,
) -> Result<(), Fault> {
    let unknown = || Fault::new(unknown_key(schema, path), place.clone());
    let system = system_of(schema);
    let Some((first, rest)) = path.split_first() else {
        return Err(unknown());
    };
    if first == SWEEP && !rest.is_empty() {
        let key = rest.iter().fold(String::new(), |key, part| document::join(&key, part));
        if let Some(sweep) = entry(root, SWEEP, &node.origin) {
            insert(sweep, &key, node);
        }
        return Ok(());
    }
    if first == SYSTEM && rest.is_empty() {
        insert(root, first, node);
        return Ok(());
    }
    if first == SYSTEM {
        return apply_to_one(system, root, rest, node, place).unwrap_or_else(|| Err(unknown()));
    }
    // `platform` says "every system" in so many words.
    let (common, rest) = match first.as_str() {
        "platform" => (rest, rest),
        _ => (path, rest),
    };
    if first != "platform" && schema.find(first).is_some() {
        if !known(schema, path) {
            return Err(unknown());
        }
        let Some((last, above)) = path.split_last() else {
            return Err(unknown());
        };
        put(root, schema, above, last, node);
        return Ok(());
    }
    let Some((last, above)) = common.split_last().filter(|_| known(system, common)) else {
        return Err(unknown());
    };
    let optional = above.first().and_then(|key| match system.find(key) {
        Some(Place::Section(section)) if section.presence == Presence::Optional => Some(section.key),
        _ => None,
    });
    let mut reached = false;
    let mut systems = 0;
    for each in systems_of(root) {
        systems += 1;
        if optional.is_none_or(|section| each.get(section).is_some()) {
            put(each, system, above, last, node);
            reached = true;
        }
    }
    match optional {
        Some(section) if !reached && systems > 0 => Err(Fault::new(
            Problem::Contradiction {
                message: format!("no system has `{section}`, so `{}` holds for none", common.join(".")),
                remedy: format!("give it to one of them: system.0.{section}.{} = ...", rest.first().unwrap_or(last)),
            },
            place.clone(),
        )),
        _ => Ok(()),
    }
}

/// `system.NAME.key` and `system.0.key`. Nothing where the path is not a key.
fn apply_to_one(
    schema: &'static Section,
    root: &mut Node,
    rest: &[String],
    node: &Node,
    place: &Origin,
) -> Option<Result<(), Fault>> {
    let (selector, path) = rest.split_first()?;
    let (last, above) = path.split_last()?;
    if !known(schema, path) {
        return None;
    }
    let names: Vec<String> = systems_of(root)
        .map(|system| match system.get("name").map(|name| &name.value) {
            Some(Value::Text(name)) => name.clone(),
            _ => String::new(),
        })
        .collect();
    let index = names
        .iter()
        .position(|name| name == selector)
        .or_else(|| selector.parse().ok().filter(|index| *index < names.len()));
    match index.and_then(|index| systems_of(root).nth(index)) {
        Some(system) => {
            put(system, schema, above, last, node);
            Some(Ok(()))
        }
        None => Some(Err(Fault::new(
            Problem::BadFlag {
                message: format!("there is no system `{}`", clip(selector)),
                remedy: format!(
                    "write one of: {}; or its number from 0, or no system at all for all of them",
                    names.join(", ")
                ),
            },
            place.clone(),
        ))),
    }
}

fn systems_of(root: &mut Node) -> impl Iterator<Item = &mut Node> {
    let systems = match &mut root.value {
        Value::Table(pairs) => pairs.iter_mut().find(|pair| pair.key == SYSTEM),
        _ => None,
    };
    let list = match systems.map(|pair| &mut pair.node.value) {
        Some(Value::List(list)) => list.as_mut_slice(),
        _ => &mut [],
    };
    list.iter_mut()
}

/// Whether the schema has this path.
fn known(section: &'static Section, path: &[String]) -> bool {
    let mut section = Some(section);
    for key in path {
        match section.and_then(|section| section.find(key)) {
            Some(Place::Section(inner)) => section = Some(inner),
            Some(_) => section = None,
            None => return false,
        }
    }
    !path.is_empty()
}

fn unknown_key(schema: &'static Section, path: &[String]) -> Problem {
    let written = path.join(".");
    let mut keys = Vec::new();
    schema.dotted("", true, &mut keys);
    // The figures are left out of what is listed: all of them would hide the rest.
    let mut listed = Vec::new();
    schema.dotted("", false, &mut listed);
    // Of the keys of one system only what follows the system's name is compared.
    let compared = match path {
        [system, _, rest @ ..] if system == SYSTEM && !rest.is_empty() => rest.join("."),
        [platform, rest @ ..] if platform == "platform" => rest.join("."),
        _ => written.clone(),
    };
    // `dtype` for `model.dtype`: the last word is the right one.
    let last = |key: &&String| key.rsplit('.').next() == Some(compared.as_str());
    let meant = match keys.iter().find(last) {
        Some(key) => Some(key.as_str()),
        None => nearest(&compared, keys.iter().map(String::as_str)),
    };
    Problem::UnknownKey {
        key: clip(&written),
        section: String::new(),
        nearest: meant.map(str::to_owned),
        allowed: listed,
    }
}

/// Puts `node` under `above.last`, making the tables on the way.
fn put(root: &mut Node, section: &'static Section, above: &[String], last: &str, node: &Node) {
    let mut at = root;
    let mut section = Some(section);
    for key in above {
        section = match section.and_then(|section| section.find(key)) {
            Some(Place::Section(inner)) => Some(inner),
            _ => None,
        };
        let Some(inner) = entry(at, key, &node.origin) else {
            return;
        };
        at = inner;
        // `link = "PCIe5x16"` is short for a table; now that it gets a second key it has to become one.
        if let Some(shorthand) = section.and_then(|section| section.shorthand)
            && matches!(at.value, Value::Text(_))
        {
            let text = at.clone();
            at.value = Value::Table(Vec::new());
            insert(at, shorthand, &text);
        }
    }
    // A field has up to two names; the new value replaces the old one under either.
    if let Some(Place::Field(field)) = section.and_then(|section| section.find(last))
        && let Value::Table(pairs) = &mut at.value
    {
        pairs.retain(|pair| pair.key != field.key && Some(pair.key.as_str()) != field.also);
        // `--set kv.codec=...` names another codec with all its parameters. Those that the file has beside the old one go with
        // it; those of other flags stay, and are refused where the codec has no such parameter.
        if let (true, Some(section), Origin::Flag(_)) = (field.key == "codec", section, &node.origin) {
            let parameters = section.parameters();
            let of_codec = |key: &str| parameters.iter().any(|field| field.key == key || field.also == Some(key));
            pairs.retain(|pair| !of_codec(&pair.key) || matches!(pair.origin, Origin::Flag(_)));
        }
    }
    insert(at, last, node);
}

/// The node under `key`, a table if there was none. Nothing if `node` is not a table; the check will refuse that.
fn entry<'a>(node: &'a mut Node, key: &str, origin: &Origin) -> Option<&'a mut Node> {
    if node.get(key).is_none() {
        insert(node, key, &Node::table(origin.clone()));
    }
    match &mut node.value {
        Value::Table(pairs) => pairs.iter_mut().find(|pair| pair.key == key).map(|pair| &mut pair.node),
        _ => None,
    }
}

fn insert(node: &mut Node, key: &str, value: &Node) {
    if let Value::Table(pairs) = &mut node.value {
        pairs.retain(|pair| pair.key != key);
        pairs.push(Pair { key: key.to_owned(), origin: value.origin.clone(), node: value.clone() });
    }
}

/// The parts of a dotted key; a part in quotes may hold dots.
fn split(key: &str) -> Result<Vec<String>, String> {
    let mut parts = Vec::new();
    let mut rest = key.trim();
    loop {
        let (part, after) = if let Some(quote @ ('"' | '\'')) = rest.chars().next() {
            let inner = &rest[1..];
            let Some(end) = inner.find(quote) else {
                return Err(format!("the quote in `{}` is not closed", clip(key)));
            };
            (&inner[..end], inner[end + 1..].trim_start())
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            (rest[..end].trim(), &rest[end..])
        };
        if part.is_empty() {
            return Err(format!("the key `{}` has an empty part", clip(key)));
        }
        parts.push(part.to_owned());
        match after.strip_prefix('.') {
            Some(after) => rest = after.trim_start(),
            None if after.is_empty() => return Ok(parts),
            None => return Err(format!("the key `{}` has text after a quote", clip(key))),
        }
    }
}
