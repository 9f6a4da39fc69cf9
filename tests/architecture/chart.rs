//! The Helm chart knows the variables that a node knows.

use std::collections::{BTreeMap, BTreeSet};

use chat_service::config::{VARIABLES, Variable};
use serde_json::{Value, json};

use super::read;

const SCHEMA: &str = "helm/chat-service/values.schema.json";
const TEMPLATES: [&str; 2] =
    ["helm/chat-service/templates/_env.tpl", "helm/chat-service/templates/_pod.tpl"];

/// Other names of what the chart calls `S3_*`.
const ALIASES: &str = "MINIO_";

/// What the templates set by themselves, out of values of another name; and those of them that
/// come out of Secrets.
fn set_by_templates() -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut all, mut secret) = (BTreeSet::new(), BTreeSet::new());
    let is_name = |name: &str| {
        name.len() > 2 && name.bytes().all(|b| b"_3".contains(&b) || b.is_ascii_uppercase())
    };
    for line in TEMPLATES.map(read).iter().flat_map(|text| text.lines().map(str::trim)) {
        let given =
            line.strip_prefix("- name: ").or_else(|| line.split_once(": ").map(|(name, _)| name));
        all.extend(given.filter(|name| is_name(name)).map(str::to_owned));
        if let Some((_, rest)) = line.split_once(r#""chat-service.secretVariable" (list . ""#) {
            let name = rest.split('"').next().unwrap_or_default();
            all.insert(name.to_owned());
            secret.insert(name.to_owned());
        }
    }
    (all, secret)
}

#[test]
fn the_chart_can_set_every_variable() {
    let (by_templates, out_of_secrets) = set_by_templates();
    let known: BTreeMap<&str, &Variable> =
        VARIABLES.iter().map(|variable| (variable.name, variable)).collect();
    for name in &by_templates {
        assert!(known.contains_key(name.as_str()), "the chart sets {name}, which no node reads");
    }
    let by_name: serde_json::Map<String, Value> = VARIABLES
        .iter()
        .filter(|variable| !by_templates.contains(variable.name))
        .filter(|variable| !variable.name.starts_with(ALIASES))
        .map(|variable| {
            assert!(!variable.secret, "{} is a secret: give it values of its own", variable.name);
            let value = json!({ "description": variable.help, "$ref": "#/definitions/variable" });
            (variable.name.to_owned(), value)
        })
        .collect();
    let schema: Value = serde_json::from_str(&read(SCHEMA)).expect("the schema is JSON");
    let found = &schema["definitions"]["variables"]["properties"];
    let expected = Value::Object(by_name);
    assert_eq!(
        *found, expected,
        "definitions.variables.properties in {SCHEMA} should be:\n{expected:#}\n"
    );
    for variable in VARIABLES.iter().filter(|variable| variable.secret) {
        let is_out_of_secret = out_of_secrets.contains(variable.name);
        assert!(is_out_of_secret || variable.name.starts_with(ALIASES), "{}", variable.name);
    }
}

#[test]
fn the_chart_installs_this_version() {
    let expected = format!("appVersion: \"{}\"", env!("CARGO_PKG_VERSION"));
    let chart = read("helm/chat-service/Chart.yaml");
    assert!(chart.lines().any(|line| line == expected), "{expected} in Chart.yaml");
}
