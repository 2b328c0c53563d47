//! What the doctor finds, and how it is shown.

use serde_json::{Value, json};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// As it should be.
    Good,
    /// Worth knowing; nothing has to be done.
    Note,
    /// Will hurt some day.
    Warning,
    /// Hurts now, or keeps a server from starting.
    Problem,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// What was looked at.
    pub(super) area: &'static str,
    pub(super) level: Level,
    /// What was found.
    pub(super) what: String,
    /// What to do about it, if anything.
    pub(super) todo: Option<String>,
}

/// Findings about one area.
pub(super) struct Findings {
    area: &'static str,
    list: Vec<Finding>,
}

impl Findings {
    pub(super) fn about(area: &'static str) -> Self {
        Self { area, list: Vec::new() }
    }

    pub(super) fn good(&mut self, what: impl Into<String>) {
        self.push(Level::Good, what.into(), None);
    }

    pub(super) fn note(&mut self, what: impl Into<String>) {
        self.push(Level::Note, what.into(), None);
    }

    pub(super) fn warning(&mut self, what: impl Into<String>, todo: impl Into<String>) {
        self.push(Level::Warning, what.into(), Some(todo.into()));
    }

    pub(super) fn problem(&mut self, what: impl Into<String>, todo: impl Into<String>) {
        self.push(Level::Problem, what.into(), Some(todo.into()));
    }

    fn push(&mut self, level: Level, what: String, todo: Option<String>) {
        self.list.push(Finding { area: self.area, level, what, todo });
    }

    pub(super) fn into_list(self) -> Vec<Finding> {
        self.list
    }
}

/// Lines for people, the areas in their order.
pub(super) fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    let mut area = "";
    for finding in findings {
        if finding.area != area {
            area = finding.area;
            text.push_str(area);
            text.push('\n');
        }
        text.push_str(&format!("  {:<8} {}\n", finding.level.name(), finding.what));
        if let Some(todo) = &finding.todo {
            text.push_str(&format!("           -> {todo}\n"));
        }
    }
    let (problems, warnings) = (count(findings, Level::Problem), count(findings, Level::Warning));
    text.push_str(&match (problems, warnings) {
        (0, 0) => "Nothing has to be done.\n".to_owned(),
        _ => format!("problems: {problems}, warnings: {warnings}\n"),
    });
    text
}

/// The same for programs.
pub(super) fn json(findings: &[Finding]) -> Value {
    let shown = findings.iter().map(|finding| {
        json!({
            "area": finding.area,
            "level": finding.level.name(),
            "what": finding.what,
            "todo": finding.todo,
        })
    });
    json!({
        "problems": count(findings, Level::Problem),
        "warnings": count(findings, Level::Warning),
        "findings": shown.collect::<Vec<Value>>(),
    })
}

/// How many matter so much.
pub(super) fn count(findings: &[Finding], level: Level) -> usize {
    findings.iter().filter(|finding| finding.level == level).count()
}
