//! Sessions as text: tables for many, a list of facts for one.

use std::fmt::Write;

use serde_json::Value;

/// Live sessions, one on a line.
pub(super) fn live(sessions: &Value) -> String {
    const COLUMNS: [(&str, &str); 7] = [
        ("SESSION", "session_id"),
        ("CLIENT", "client"),
        ("TIMEOUT MS", "timeout_ms"),
        ("SILENT MS", "silent_ms"),
        ("EXPIRES IN MS", "expires_in_ms"),
        ("EPHEMERALS", "ephemerals"),
        ("LOCAL", "local"),
    ];
    table(sessions, &COLUMNS, "no live sessions\n")
}

/// Sessions that ended, one on a line.
pub(super) fn ended(sessions: &Value) -> String {
    const COLUMNS: [(&str, &str); 5] = [
        ("SESSION", "session_id"),
        ("ENDED AT", "ended_at"),
        ("BY", "ended_by"),
        ("EPHEMERALS LOST", "ephemerals_lost"),
        ("REASON", "reason"),
    ];
    table(sessions, &COLUMNS, "no session has ended, as far as the server remembers\n")
}

/// All that is known of one session.
pub(super) fn one(session: &Value) -> String {
    facts(session, "")
}

/// Why a znode vanished: the sentence first, then what it rests on.
pub(super) fn why(answer: &Value) -> String {
    let mut text = match answer["explanation"].as_str() {
        Some(explanation) => format!("{explanation}\n"),
        None => String::new(),
    };
    for (key, title) in [("owner", "owner"), ("ended", "its session"), ("deleted", "its deletion")]
    {
        if answer[key].is_object() {
            let _ = write!(text, "\n{title}:\n{}", facts(&answer[key], "  "));
        }
    }
    text
}

/// Refusals, one on a line.
pub(super) fn denials(denials: &Value) -> String {
    let list = denials.as_array().map(Vec::as_slice).unwrap_or_default();
    if list.is_empty() {
        return "nobody was refused anything, as far as the server remembers\n".to_owned();
    }
    let line = |denial: &Value| {
        let times = match denial["times"].as_u64() {
            Some(times @ 2..) => format!(" ({times} times)"),
            _ => String::new(),
        };
        let (at, client) = (plain(&denial["at"]), plain(&denial["client"]));
        format!("{at}  {client}  {}{times}\n", plain(&denial["explanation"]))
    };
    list.iter().map(line).collect()
}

/// One event on a line.
pub(super) fn event(event: &Value) -> String {
    let mut line = format!(
        "{}  {:<18}  {}",
        plain(&event["at"]),
        plain(&event["kind"]).replace('_', " "),
        plain(&event["session_id"])
    );
    if !event["client"].is_null() {
        let _ = write!(line, "  client {}", plain(&event["client"]));
    }
    if !event["reason"].is_null() {
        let _ = write!(line, "  {}", plain(&event["reason"]));
    }
    line.push('\n');
    line
}

fn table(rows: &Value, columns: &[(&str, &str)], empty: &str) -> String {
    let rows: Vec<Vec<String>> = rows
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| columns.iter().map(|(_, key)| plain(&row[key])).collect())
        .collect();
    if rows.is_empty() {
        return empty.to_owned();
    }
    let titles: Vec<&str> = columns.iter().map(|(title, _)| *title).collect();
    crate::table::table(&titles, &rows)
}

/// An object's fields, one on a line, lists below their name.
fn facts(object: &Value, indent: &str) -> String {
    let Some(fields) = object.as_object() else { return format!("{indent}{}\n", plain(object)) };
    let title = |key: &str| key.replace('_', " ");
    let width = fields.keys().map(|key| key.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (key, value) in fields {
        let name = format!("{}:", title(key));
        match value {
            Value::Array(items) if !items.is_empty() => {
                let _ = writeln!(text, "{indent}{name}");
                for item in items {
                    let _ = writeln!(text, "{indent}  {}", plain(item));
                }
            }
            Value::Object(inner) if !inner.is_empty() => {
                let _ = write!(text, "{indent}{name}\n{}", facts(value, &format!("{indent}  ")));
            }
            _ => {
                let _ = writeln!(text, "{indent}{name:<0$}  {1}", width + 1, plain(value));
            }
        }
    }
    text
}

/// A value as people write it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Object(fields) if fields.is_empty() => "none".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tables_line_up_and_facts_are_named() {
        let sessions = json!([
            {"session_id": "0x1", "client": null, "timeout_ms": 4000, "silent_ms": 5,
             "expires_in_ms": 3995, "ephemerals": 0},
            {"session_id": "0x10000f3", "client": "127.0.0.1:5", "timeout_ms": 30000,
             "silent_ms": 5, "expires_in_ms": 3995, "ephemerals": 12},
        ]);
        let text = live(&sessions);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("SESSION    CLIENT       TIMEOUT MS"), "{text}");
        assert!(lines[1].starts_with("0x1        -            4000"), "{text}");
        assert_eq!(live(&json!([])), "no live sessions\n");
        let text = one(&json!({"ended_by": "client", "ephemeral_paths": ["/a", "/b"], "x": []}));
        assert_eq!(
            text,
            "ended by:         client\nephemeral paths:\n  /a\n  /b\nx:                none\n"
        );
    }

    #[test]
    fn an_explanation_stands_before_what_it_rests_on() {
        let answer = json!({
            "path": "/x", "exists": false, "explanation": "It went.", "owner": null,
            "ended": {"session_id": "0x1", "reason": "expired"}, "deleted": null,
        });
        assert_eq!(
            why(&answer),
            "It went.\n\nits session:\n  reason:      expired\n  session id:  0x1\n"
        );
    }
}
