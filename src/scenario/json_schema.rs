//! The JSON Schema (draft 2020-12) of a scenario, made from the table that also checks it.

use serde_json::{Map, Value, json};
use workloads::kv;

use crate::catalogue::{Catalogue, Kind, Shape};
use crate::scenario::kernel;
use crate::scenario::quantity::Dimension;
use crate::scenario::schema::{
    Fallback, Field, MOST_SEQUENCES, MOST_SYSTEMS, NAME_LENGTH, Presence, ROOT, SWEEP, SWEEP_DOC, Section, Takes,
};

/// What `pimscope schema` prints.
pub fn json_schema() -> Value {
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "pimscope scenario",
    });
    // A scenario of kernels has other keys; by its kind it is told apart.
    schema["if"] = json!({
        "required": ["workload"],
        "properties": {
            "workload": { "required": ["kind"], "properties": { "kind": { "const": "pim-kernel" } } },
        },
    });
    schema["then"] = whole(kernel::ROOT);
    schema["else"] = whole(ROOT);
    schema
}

/// The schema of a kind of scenario.
fn whole(root: &Section) -> Value {
    let mut schema = table(root);
    schema["properties"][SWEEP] = json!({
        "description": SWEEP_DOC,
        "type": "object",
        "additionalProperties": {
            "anyOf": [
                { "type": "array", "minItems": 1 },
                { "type": "object", "description": "`workload.context` without quotes in TOML." },
            ],
        },
    });
    schema
}

fn section(section: &Section) -> Value {
    let table = table(section);
    let Some(short) = section.shorthand.and_then(|key| section.fields.iter().find(|field| field.key == key)) else {
        return match section.presence {
            Presence::Repeated => json!({ "type": "array", "minItems": 1, "maxItems": MOST_SYSTEMS, "items": table }),
            _ => table,
        };
    };
    json!({ "description": section.doc, "anyOf": [field(short), table] })
}

fn table(section: &Section) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for each in section.fields.iter().chain(section.parameters()) {
        properties.insert(each.key.to_owned(), field(each));
        if let Some(also) = each.also {
            properties.insert(
                also.to_owned(),
                json!({ "$comment": format!("The same as `{}`.", each.key), "type": alias_type(each) }),
            );
        }
        if each.fallback == Fallback::Required {
            required.push(each.key);
        }
    }
    for inner in section.sections {
        properties.insert(inner.key.to_owned(), self::section(inner));
        if matches!(inner.presence, Presence::Required | Presence::Repeated) {
            required.push(inner.key);
        }
    }
    for figure in section.overridable() {
        properties.insert(figure.key.to_owned(), described(plain(figure.shape), figure.doc));
    }
    let mut table = json!({
        "description": section.doc,
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        table["required"] = json!(required);
    }
    table
}

/// Devices have texts for names; parameters are numbers too.
fn alias_type(field: &Field) -> Value {
    if matches!(field.takes, Takes::Parameter) { json!(["integer", "number", "string"]) } else { json!("string") }
}

fn described(mut schema: Value, doc: &str) -> Value {
    schema["description"] = json!(doc);
    schema
}

fn field(field: &Field) -> Value {
    let mut schema = match field.takes {
        Takes::Text => json!({ "type": "string", "minLength": 1 }),
        Takes::Name => {
            json!({ "type": "string", "minLength": 1, "maxLength": NAME_LENGTH, "pattern": "^[^./\\\\][^/\\\\]*$" })
        }
        Takes::Word(words) => {
            let words: Vec<_> = words.iter().filter(|word| word.ready).collect();
            let choices: Vec<_> =
                words.iter().map(|word| json!({ "const": word.word, "description": word.doc.trim() })).collect();
            json!({ "type": "string", "oneOf": choices })
        }
        Takes::Plain(shape) => plain(shape),
        Takes::Codec => {
            let names: Vec<_> = kv::codecs().map(kv::Codec::name).collect();
            json!({ "type": "string", "pattern": format!("^({})(:.*)?$", names.join("|")) })
        }
        Takes::Parameter => json!({ "type": ["integer", "number", "string"] }),
        Takes::Lengths { least, most } => {
            let length = plain(Shape::Integer { least, most });
            json!({
                "anyOf": [length, { "type": "array", "minItems": 1, "maxItems": MOST_SEQUENCES, "items": length }],
            })
        }
    };
    let doc = match field.fallback {
        Fallback::Depends(on) => format!("{} Default: {on}.", field.doc),
        _ => field.doc.to_owned(),
    };
    match field.fallback {
        Fallback::Integer(integer) => schema["default"] = json!(integer),
        Fallback::Flag(flag) => schema["default"] = json!(flag),
        Fallback::Text(text) => schema["default"] = json!(text),
        Fallback::Required | Fallback::Depends(_) => {}
    }
    described(schema, &doc)
}

fn plain(shape: Shape) -> Value {
    match shape {
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Integer { least, most: u64::MAX } => json!({ "type": "integer", "minimum": least }),
        Shape::Integer { least, most } => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Shape::Word(words) => json!({ "type": "string", "enum": words }),
        Shape::Quantity { dimension, .. } => quantity(dimension),
        // Names are not an enum here: aliases and either case are understood too.
        Shape::Device(kind) => json!({ "type": "string", "examples": names(kind) }),
    }
}

fn names(kind: Kind) -> Vec<&'static str> {
    let entries = Catalogue::embedded().of(kind).filter(|entry| entry.simulated);
    entries.map(|entry| entry.name.as_str()).collect()
}

fn quantity(dimension: Dimension) -> Value {
    const NUMBER: &str = r"^\s*\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?";
    if dimension == Dimension::Fraction {
        return json!({
            "anyOf": [
                { "type": "number", "exclusiveMinimum": 0, "maximum": 1 },
                { "type": "string", "pattern": format!(r"{NUMBER}\s*%?\s*$") },
            ],
        });
    }
    let units: Vec<_> = dimension.units().collect();
    json!({
        "type": "string",
        "pattern": format!(r"{NUMBER}\s*({})\s*$", units.join("|")),
        "examples": [dimension.example()],
    })
}
