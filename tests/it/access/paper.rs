//! docs/ACCESS.md shows the table as it is tested.

use std::path::Path;

use super::table::{REST, Role, Row, SOCKET};

#[test]
fn the_paper_shows_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ACCESS.md");
    let paper = std::fs::read_to_string(path).unwrap();
    for (name, rows) in [("rest", REST), ("socket", SOCKET)] {
        let expected = shown(rows);
        let (from, to) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
        let found = paper.split_once(&from).and_then(|(_, rest)| rest.split_once(&to));
        let found = found.unwrap_or_else(|| panic!("docs/ACCESS.md has no part {name}")).0;
        assert!(found == expected, "between {from} and {to} it should say:\n{expected}");
    }
}

fn shown(rows: &[Row]) -> String {
    let mut table = String::from("| what | of |");
    for role in Role::ALL {
        table = format!("{table} {} |", role.name());
    }
    table.push_str("\n|---|---|");
    table.push_str(&"---|".repeat(Role::ALL.len()));
    table.push('\n');
    for row in rows {
        table = format!("{table}| `{}` | {} |", row.what.replace("/api/v1", ""), row.of.name());
        for (_, outcome) in row.cells() {
            table = format!("{table} {} |", outcome.name());
        }
        table.push('\n');
    }
    table
}
