//! Whether a value has the shape that a schema says: the part of JSON Schema that the documents
//! use. A keyword that is not known here fails, so that nothing passes unlooked at.
//!
//! Stricter than the documents are to clients: a field that no schema names is an error too.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Said to people, or about requests.
const SILENT: [&str; 6] =
    ["description", "title", "default", "additionalProperties", "writeOnly", "example"];

pub(super) struct Checker<'a> {
    pub(super) document: &'a Value,
}

impl Checker<'_> {
    /// All that is wrong with a value.
    pub(super) fn errors(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut errors = Vec::new();
        self.check(schema, value, "", &mut errors);
        errors
    }

    /// Checks it as a whole: nothing in it may be without a name in the schema.
    fn check(&self, schema: &Value, value: &Value, at: &str, errors: &mut Vec<String>) {
        let named = self.check_part(schema, value, at, errors);
        let (Some(named), Value::Object(fields)) = (named, value) else { return };
        let unnamed = fields.keys().filter(|field| !named.contains(*field));
        errors.extend(unnamed.map(|field| format!("{at}/{field} is in no schema")));
    }

    /// Checks what the schema says, and returns the fields that it names; none where it leaves an
    /// object open.
    fn check_part(
        &self,
        schema: &Value,
        value: &Value,
        at: &str,
        errors: &mut Vec<String>,
    ) -> Option<BTreeSet<String>> {
        let rules = schema.as_object().unwrap_or_else(|| panic!("{at}: {schema} is no schema"));
        let mut named = None;
        let mut name = |more: Option<BTreeSet<String>>| {
            if let Some(more) = more {
                named.get_or_insert_with(BTreeSet::new).extend(more);
            }
        };
        for (keyword, rule) in rules {
            match keyword.as_str() {
                "$ref" => name(self.check_part(self.resolve(rule), value, at, errors)),
                "allOf" => {
                    for part in rule.as_array().expect("allOf has parts") {
                        name(self.check_part(part, value, at, errors));
                    }
                }
                "oneOf" | "anyOf" => self.check_choice(rule, value, at, errors),
                "properties" => {
                    let properties = rule.as_object().expect("properties have names");
                    self.check_fields(properties, value, at, errors);
                    name(Some(properties.keys().cloned().collect()));
                }
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(rule, item, &format!("{at}/{index}"), errors);
                    }
                }
                "required" => {
                    let missing = rule.as_array().into_iter().flatten().filter(|field| {
                        value.is_object() && value.get(field.as_str().unwrap_or("")).is_none()
                    });
                    errors.extend(missing.map(|field| format!("{at}/{field} is missing")));
                }
                other if SILENT.contains(&other) => {}
                other => {
                    if !holds(other, rule, value) {
                        errors.push(format!("{at}: {value} is not {other} {rule}"));
                    }
                }
            }
        }
        named
    }

    fn check_fields(
        &self,
        properties: &Map<String, Value>,
        value: &Value,
        at: &str,
        errors: &mut Vec<String>,
    ) {
        for (field, schema) in properties {
            if let Some(value) = value.get(field) {
                self.check(schema, value, &format!("{at}/{field}"), errors);
            }
        }
    }

    fn check_choice(&self, choices: &Value, value: &Value, at: &str, errors: &mut Vec<String>) {
        let choices = choices.as_array().expect("a choice has parts");
        let tried: Vec<_> = choices.iter().map(|choice| self.errors(choice, value)).collect();
        if !tried.iter().any(Vec::is_empty) {
            errors.push(format!("{at} fits none of {} schemas: {tried:?}", choices.len()));
        }
    }

    fn resolve(&self, reference: &Value) -> &Value {
        let place = reference.as_str().and_then(|place| place.strip_prefix('#'));
        let found = place.and_then(|place| self.document.pointer(place));
        found.unwrap_or_else(|| panic!("{reference} leads nowhere"))
    }
}

/// The keywords that look at the value alone. Those for one type hold of all others.
fn holds(keyword: &str, rule: &Value, value: &Value) -> bool {
    let text = value.as_str();
    let length = text.map(|text| text.chars().count() as u64);
    let items = value.as_array().map(|items| items.len() as u64);
    let bound = rule.as_u64().unwrap_or(0);
    match keyword {
        "type" => match rule {
            Value::Array(types) => types.iter().any(|kind| is_type(kind, value)),
            kind => is_type(kind, value),
        },
        "const" => value == rule,
        "enum" => rule.as_array().is_some_and(|values| values.contains(value)),
        "format" => text.is_none_or(|text| is_format(rule, text)),
        "minLength" => length.is_none_or(|length| length >= bound),
        "maxLength" => length.is_none_or(|length| length <= bound),
        "minItems" => items.is_none_or(|items| items >= bound),
        "maxItems" => items.is_none_or(|items| items <= bound),
        "minimum" => value.as_f64().is_none_or(|number| rule.as_f64().is_some_and(|b| number >= b)),
        "maximum" => value.as_f64().is_none_or(|number| rule.as_f64().is_some_and(|b| number <= b)),
        // Patterns are about what clients send, which is not looked at.
        "pattern" => true,
        other => panic!("the checker does not know {other}"),
    }
}

fn is_type(kind: &Value, value: &Value) -> bool {
    match kind.as_str() {
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("string") => value.is_string(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => panic!("{kind} is no type"),
    }
}

fn is_format(format: &Value, text: &str) -> bool {
    match format.as_str() {
        Some("uuid") => text.parse::<uuid::Uuid>().is_ok_and(|id| id.to_string() == text),
        Some("date-time") => OffsetDateTime::parse(text, &Rfc3339).is_ok() && text.ends_with('Z'),
        Some("email") => text.contains('@'),
        Some("password" | "uri-reference" | "uri" | "binary") => true,
        _ => panic!("the checker does not know the format {format}"),
    }
}

mod tests {
    use serde_json::json;

    use super::*;

    /// What the checker has to find, since all tests rely on it.
    #[test]
    fn whatever_differs_is_found() {
        let document = json!({ "parts": {
            "base": { "type": "object", "required": ["id"], "properties": {
                "id": { "type": "string", "format": "uuid" },
                "count": { "type": "integer", "format": "int64", "minimum": 0 },
            }},
            "whole": { "allOf": [{ "$ref": "#/parts/base" }, { "type": "object", "properties": {
                "kind": { "type": "string", "enum": ["a", "b"] },
                "peer": { "oneOf": [{ "type": "null" }, { "$ref": "#/parts/base" }] },
                "list": { "type": "array", "items": { "$ref": "#/parts/base" } },
            }}]},
        }});
        let checker = Checker { document: &document };
        let schema = json!({ "$ref": "#/parts/whole" });
        let id = uuid::Uuid::now_v7().to_string();
        let good = [
            json!({ "id": id }),
            json!({ "id": id, "kind": "a", "peer": null, "count": 0, "list": [{ "id": id }] }),
            json!({ "id": id, "peer": { "id": id, "count": 1 } }),
        ];
        for value in good {
            assert_eq!(checker.errors(&schema, &value), Vec::<String>::new(), "{value}");
        }
        let bad = [
            json!({}),
            json!({ "id": "x" }),
            json!({ "id": 1 }),
            json!({ "id": id, "more": 1 }),
            json!({ "id": id, "count": -1 }),
            json!({ "id": id, "count": 1.5 }),
            json!({ "id": id, "kind": "c" }),
            json!({ "id": id, "peer": { "id": id, "more": 1 } }),
            json!({ "id": id, "list": [{ "id": id }, {}] }),
            json!({ "id": id, "list": {} }),
            json!([]),
            Value::Null,
        ];
        for value in bad {
            assert!(!checker.errors(&schema, &value).is_empty(), "{value} passes");
        }
    }
}
