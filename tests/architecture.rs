//! The rules that the compiler does not know: who may import whom, where SQL and Redis are spoken,
//! and that the papers say what the code does. Needs no services.

#[path = "architecture/chart.rs"]
mod chart;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use chat_service::config::VARIABLES;
use chat_service::limits::Class;
use chat_service::metrics::{Declared, Metrics};
use chat_service::model::emoji::WORDS;

/// The top-level modules from the bottom up, and what each may import. Only modules further up in
/// this list may be named, so there are no circles. `lib`, `main` and `app` put it all together.
const RANKS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("error", &[]),
    ("search", &[]),
    ("origin", &[]),
    ("keyring", &[]),
    ("config", &["origin", "keyring"]),
    ("telemetry", &["config"]),
    ("lifeline", &[]),
    ("open_files", &[]),
    ("shutdown", &["lifeline"]),
    ("protocol", &["model"]),
    ("metrics", &["error", "protocol"]),
    ("store", &["model", "error", "search", "config"]),
    ("mail", &["model", "config", "metrics"]),
    ("media", &["model", "error"]),
    ("log", &["model", "error", "config", "metrics", "protocol"]),
    ("cluster", &["log"]),
    ("limits", &["model", "error", "config", "metrics", "log"]),
    ("writer", &["model", "error", "config", "metrics", "store", "log", "cluster"]),
    ("fanout", &["model", "error", "metrics", "protocol", "store", "log"]),
    ("presence", &["model", "error", "metrics", "protocol", "store", "log", "fanout"]),
    ("receipts", &["model", "error", "metrics", "protocol", "store", "log", "fanout"]),
    ("health", &["config", "metrics", "store", "log"]),
    ("jobs", &["model", "error", "config", "metrics", "store"]),
    ("accounts", &["model", "error", "keyring", "config", "metrics", "store", "mail", "limits"]),
    ("chats", &["model", "error", "config", "metrics", "protocol", "store", "log", "receipts"]),
    ("messages", &["model", "error", "search", "config", "metrics", "protocol", "store", "log"]),
    (
        "ws",
        &[
            "model", "error", "config", "metrics", "protocol", "log", "limits", "fanout",
            "presence", "receipts", "accounts", "chats", "messages", "health",
        ],
    ),
    (
        "http",
        &[
            "model", "error", "search", "config", "metrics", "shutdown", "protocol", "log",
            "limits", "presence", "receipts", "health", "jobs", "accounts", "chats", "messages",
            "ws",
        ],
    ),
    ("admin", &["model", "error", "config", "metrics", "store", "mail", "jobs", "accounts"]),
    ("probe", &["config"]),
    ("dev", &["lifeline"]),
];

/// These import whatever they put together.
const ROOTS: &[&str] = &["lib", "main", "app"];

/// Crates, and languages, that only some modules speak.
const HOMES: &[(&str, &[&str])] = &[
    ("jsonwebtoken::", &["keyring", "accounts"]),
    // `model` and `error` know sqlx's types; use cases and the writer pass connections on.
    ("sqlx::", &["model", "error", "store", "writer", "jobs", "accounts", "chats", "dev"]),
    ("fred::", &["error", "log", "cluster", "limits", "writer", "fanout", "presence", "receipts"]),
    ("axum::", &["ws", "http", "state", "app"]),
    ("hyper", &["http", "probe", "dev"]),
    ("utoipa_axum::", &["http"]),
    ("utoipa_swagger_ui::", &["http"]),
    ("lettre::", &["config", "mail"]),
    ("clap::", &["main", "admin", "probe", "dev"]),
    ("anyhow::", &["main", "app", "admin", "probe", "dev"]),
    ("SQL", &["store", "dev"]),
];

/// Where the code breaks a rule above. None may be added, and one that is mended must go.
const BREACHES: &[(&str, &str)] = &[];

const MAX_LINES: usize = 600;

struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// The top-level module that the file belongs to.
    fn module(&self) -> String {
        let inside = self.path.strip_prefix(root().join("src")).expect("it lies below src");
        let first = inside.iter().next().and_then(OsStr::to_str).expect("it has a plain name");
        first.trim_end_matches(".rs").to_owned()
    }

    /// Its lines without those that are comments as a whole.
    fn code(&self) -> impl Iterator<Item = &str> {
        self.text.lines().filter(|line| !line.trim_start().starts_with("//"))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn sources() -> Vec<Source> {
    sources_below("src")
}

fn sources_below(top: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut dirs = vec![root().join(top)];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).expect("sources can be read") {
            let path = entry.expect("sources can be read").path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("sources can be read");
                found.push(Source { path, text });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

/// The modules that a line of code reaches by `crate::`.
fn reached(line: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (place, _) in line.match_indices("crate::") {
        let before = line[..place].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let behind = &line[place + "crate::".len()..];
        let is_name = |c: &char| c.is_ascii_lowercase() || *c == '_';
        let name: String = behind.chars().take_while(is_name).collect();
        assert!(!name.is_empty(), "write one `use` a module, not a list: {line}");
        names.push(name);
    }
    names
}

/// Whether a line holds the beginning of a statement, as `store` writes them.
fn speaks_sql(line: &str) -> bool {
    const VERBS: [&str; 6] =
        ["select ", "insert into ", "update ", "delete from ", "begin ", "with "];
    let is_statement = |text: &str| VERBS.iter().any(|verb| text.starts_with(verb));
    line.contains("sqlx::query") || line.split('"').skip(1).step_by(2).any(is_statement)
}

/// Every (module, rule) that the code breaks, with the first place.
fn broken() -> BTreeMap<(String, String), String> {
    let ranks: BTreeMap<&str, &[&str]> = RANKS.iter().copied().collect();
    let mut broken = BTreeMap::new();
    for source in sources() {
        let module = source.module();
        let is_root = ROOTS.contains(&module.as_str());
        let allowed = ranks.get(module.as_str());
        assert!(is_root || allowed.is_some(), "give `{module}` a rank in tests/architecture.rs");
        let place =
            source.path.strip_prefix(root()).expect("it lies below the root").display().to_string();
        let mut note = |rule: String| {
            broken.entry((module.clone(), rule)).or_insert_with(|| place.clone());
        };
        for line in source.code() {
            for name in reached(line) {
                let known = allowed.is_some_and(|allowed| allowed.contains(&name.as_str()));
                if !is_root && name != module && !known {
                    note(name);
                }
            }
            for (what, homes) in HOMES {
                let is_spoken = if *what == "SQL" { speaks_sql(line) } else { names(line, what) };
                if is_spoken && !homes.contains(&module.as_str()) {
                    note((*what).to_owned());
                }
            }
        }
    }
    broken
}

/// Whether a line names a crate, rather than something whose name ends alike.
fn names(line: &str, what: &str) -> bool {
    line.match_indices(what).any(|(place, _)| {
        let before = line[..place].chars().next_back();
        let is_path = what.ends_with("::") || line.contains("::");
        is_path && !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '"')
    })
}

#[test]
fn modules_keep_to_their_ranks_and_homes() {
    let known: BTreeSet<(String, String)> =
        BREACHES.iter().map(|(module, rule)| ((*module).into(), (*rule).into())).collect();
    let found = broken();
    let new: Vec<_> = found.iter().filter(|(breach, _)| !known.contains(breach)).collect();
    assert!(new.is_empty(), "these break a rule (module, rule, place): {new:#?}");
    let mended: Vec<_> = known.iter().filter(|breach| !found.contains_key(*breach)).collect();
    assert!(mended.is_empty(), "take these out of BREACHES: {mended:?}");
}

#[test]
fn ranks_have_no_circles() {
    for (index, (module, allowed)) in RANKS.iter().enumerate() {
        let below: BTreeSet<&str> = RANKS[..index].iter().map(|(name, _)| *name).collect();
        for name in *allowed {
            assert!(below.contains(name), "`{module}` may not stand on `{name}`");
        }
    }
}

#[test]
fn files_say_what_they_are_and_stay_short() {
    for Source { path, text } in sources() {
        assert!(text.starts_with("//! "), "{} does not open with `//!`", path.display());
        let lines = text.lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines", path.display());
    }
}

#[test]
fn migrations_are_numbered_without_a_gap() {
    let entries = std::fs::read_dir(root().join("migrations")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| Path::new(name).extension().is_some_and(|extension| extension == "sql"));
    names.sort();
    assert!(!names.is_empty(), "there are migrations");
    for (number, name) in (1..).zip(&names) {
        assert!(name.starts_with(&format!("{number:04}_")), "{name} should be number {number}");
    }
}

/// `docs/BLOCKING.md` promises a test for each rule.
#[test]
fn every_rule_of_blocking_has_the_test_that_it_names() {
    let tests: String = sources_below("tests/it").into_iter().map(|source| source.text).collect();
    let paper = read("docs/BLOCKING.md");
    let (table, _) = paper.split_once("## Privacy").expect("privacy follows");
    let roads = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    assert_eq!(roads.count(), 13, "every road of a block has its rule");
    let is_test = |word: &&str| word.matches('_').count() >= 4 && !word.contains(['/', ' ']);
    let named: BTreeSet<&str> = paper.split('`').skip(1).step_by(2).filter(is_test).collect();
    assert!(named.len() >= 13, "{named:?}");
    for name in named {
        assert!(tests.contains(&format!("async fn {name}()")), "there is no test {name}");
    }
}

/// `docs/SEED.md` says of every feature which tests show it.
#[test]
fn every_test_that_the_list_of_features_names_exists() {
    let paper = read("docs/SEED.md");
    let mut tests = String::new();
    for dir in ["src", "tests", "loadtest"] {
        tests.extend(sources_below(dir).into_iter().map(|source| source.text));
    }
    let rows: Vec<Vec<&str>> = paper
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| asked for"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    assert!(rows.len() >= 80, "{} rows are not the whole list", rows.len());
    for row in rows {
        let [_, _, shown] = row[..] else { panic!("three columns: {row:?}") };
        let names: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        assert_eq!(names.is_empty(), shown == "–", "{row:?}");
        for name in names {
            // Property tests take what they are tried with.
            assert!(tests.contains(&format!("fn {name}(")), "there is no test {name}");
        }
    }
}

/// The words for emoji stand in the contract.
#[test]
fn the_contract_lists_every_word_for_an_emoji() {
    let mut table = String::from("| word | emoji |\n|---|---|\n");
    for (word, emoji) in WORDS {
        table = format!("{table}| `{word}` | {emoji} |\n");
    }
    assert_block("docs/PROTOCOL.md", "words", &table);
}

/// What stands in a paper between `<!-- name -->` and `<!-- /name -->`.
fn block(readme: &str, name: &str) -> String {
    let (from, to) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let start = readme.find(&from).unwrap_or_else(|| panic!("there is no {from}")) + from.len();
    let length = readme[start..].find(&to).unwrap_or_else(|| panic!("there is no {to}"));
    readme[start..start + length].to_owned()
}

fn assert_block(paper: &str, name: &str, expected: &str) {
    let found = block(&read(paper), name);
    assert!(found == expected, "between `{name}` and `/{name}` {paper} should say:\n{expected}");
}

#[test]
fn readme_lists_every_variable() {
    let mut table = String::from("| variable | default | meaning |\n|---|---|---|\n");
    for variable in VARIABLES {
        let row = format!("| `{}` | {} | {} |\n", variable.name, variable.default, variable.help);
        table.push_str(&row);
    }
    assert_block("README.md", "variables", &table);
}

/// R-RL-1.
#[test]
fn the_contract_lists_every_class_of_limits() {
    let mut table = String::from(
        "| class | counts | by | setting | default | beyond it |\n|---|---|---|---|---|---|\n",
    );
    for class in Class::ALL {
        let variable = VARIABLES.iter().find(|variable| variable.name == class.setting());
        let default = variable.expect("its setting is a variable").default;
        let (counts, by, bound) = (class.counts(), class.by().text(), class.at_bound());
        let (name, setting) = (class.name(), class.setting());
        let row = format!("| `{name}` | {counts} | {by} | `{setting}` | {default} | {bound} |\n");
        table.push_str(&row);
    }
    assert_block("docs/PROTOCOL.md", "limits", &table);
}

/// Each class has its own counter.
#[test]
fn every_class_is_counted() {
    let declared = &metrics()["chat_rate_limited_total"];
    let names: Vec<&str> = Class::ALL.iter().map(|class| class.name()).collect();
    assert_eq!(declared.labels, [("class", names)]);
}

/// What is declared, by name; a metric may be declared value by value.
fn metrics() -> BTreeMap<&'static str, Declared> {
    let mut found: BTreeMap<&str, Declared> = BTreeMap::new();
    for declared in Metrics::declared() {
        let Some(known) = found.get_mut(declared.name) else {
            found.insert(declared.name, declared);
            continue;
        };
        assert_eq!((known.kind, known.help), (declared.kind, declared.help), "{}", known.name);
        for ((label, values), (more_label, more)) in known.labels.iter_mut().zip(declared.labels) {
            assert_eq!(*label, more_label, "{}", known.name);
            values.extend(more);
        }
    }
    found
}

#[test]
fn the_paper_lists_every_metric() {
    let mut table = String::from("| metric | kind | labels | meaning |\n|---|---|---|---|\n");
    for (name, Declared { kind, labels, help, .. }) in metrics() {
        let labels =
            labels.iter().map(|(label, values)| format!("`{label}`: {}", values.join(", ")));
        let labels: Vec<String> = labels.collect();
        let labels = if labels.is_empty() { String::from("–") } else { labels.join("; ") };
        table = format!("{table}| `{name}` | {kind} | {labels} | {help} |\n");
    }
    assert_block("docs/METRICS.md", "metrics", &table);
}

/// The questions and stages in front of the table name metrics too.
#[test]
fn the_paper_of_metrics_names_none_that_there_is_not() {
    let metrics = metrics();
    let paper = read("docs/METRICS.md");
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = paper.split(|c| !is_word(c));
    let named = words.filter(|word| word.starts_with("chat_") || word.starts_with("process_"));
    let mut count = 0;
    for word in named.filter(|word| !word.ends_with('_')) {
        let name = word.strip_suffix("_bucket").unwrap_or(word);
        assert!(metrics.contains_key(name), "there is no {word}");
        count += 1;
    }
    assert!(count > metrics.len(), "the words were found: {count}");
}

/// Variables without a default of their own: an example stands for it.
fn has_default(default: &str) -> bool {
    !["required", "none"].contains(&default) && !default.contains('`')
}

#[test]
fn the_sample_of_settings_names_every_variable_with_its_default() {
    let sample = read(".env.example");
    let mut given = BTreeMap::new();
    for line in sample.lines() {
        let Some((name, value)) = line.trim_start_matches('#').split_once('=') else { continue };
        if name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_') {
            let before = given.insert(name.to_owned(), value.to_owned());
            assert!(before.is_none(), "{name} stands twice in .env.example");
        }
    }
    let known: BTreeSet<&str> = VARIABLES.iter().map(|variable| variable.name).collect();
    assert_eq!(given.keys().map(String::as_str).collect::<BTreeSet<_>>(), known);
    for variable in VARIABLES.iter().filter(|variable| has_default(variable.default)) {
        assert_eq!(given[variable.name], variable.default, "{} in .env.example", variable.name);
    }
}

/// What src/config.rs reads: each name, with the default where that stands beside it.
fn read_by_config() -> BTreeMap<String, Option<String>> {
    let files = ["src/config.rs", "src/config/mail.rs", "src/config/rates.rs"].map(|file| {
        let text = read(file);
        let start = text.find("impl Reader<'_> {").expect("the reader is there");
        text[start..text.find("#[cfg(test)]").unwrap_or(text.len())].to_owned()
    });
    let reader = files.concat();
    let mut found = BTreeMap::new();
    for (place, _) in reader.match_indices("(\"").chain(reader.match_indices("(\n")) {
        let behind = reader[place + 1..].trim_start();
        let Some((name, rest)) = behind.strip_prefix('"').and_then(|b| b.split_once('"')) else {
            continue;
        };
        if name.len() < 3 || !name.chars().all(|c| c.is_ascii_uppercase() || "_3".contains(c)) {
            continue;
        }
        let default = rest.trim_start_matches(',').trim_start();
        let default = if let Some(quoted) = default.strip_prefix('"') {
            quoted.split('"').next().map(str::to_owned)
        } else {
            let digits: String =
                default.chars().take_while(|c| c.is_ascii_digit() || *c == '_').collect();
            (!digits.is_empty()).then(|| digits.replace('_', ""))
        };
        found.insert(name.to_owned(), default);
    }
    found
}

#[test]
fn settings_are_read_as_they_are_listed() {
    let mut read = read_by_config();
    assert!(read.remove("HOSTNAME").is_some(), "it stands in NODE_NAME's default");
    let known: BTreeSet<&str> = VARIABLES.iter().map(|variable| variable.name).collect();
    assert_eq!(read.keys().map(String::as_str).collect::<BTreeSet<_>>(), known);
    for variable in VARIABLES.iter().filter(|variable| has_default(variable.default)) {
        let default = read[variable.name].as_deref();
        assert_eq!(default, Some(variable.default), "{} in config.rs", variable.name);
    }
}
