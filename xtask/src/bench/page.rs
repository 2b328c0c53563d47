//! The measured part of `docs/benchmarks.md`; the prose around it is written by hand.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Context;

use super::criteria::{Verdict, judge, number};
use super::results::Results;
use super::scene::Scene;
use super::subject::Subject::{Echo, Tenure, ZooKeeper};

/// Rewrites what stands between the two marks from all results that are in the folder.
pub(crate) fn update(page: &Path, results: &Path) -> anyhow::Result<()> {
    let measured = load(results, Scene::ALL, |scene| scene.name())?;
    rewrite(page, (BEGIN, END), &render(&measured))
}

/// What was measured of these, as far as its results are in the folder.
pub(crate) fn load<P: Copy>(
    folder: &Path,
    parts: &[P],
    name: impl Fn(P) -> &'static str,
) -> anyhow::Result<Vec<(P, Results)>> {
    let mut measured = Vec::new();
    for part in parts {
        let path = folder.join(format!("{}.json", name(*part)));
        if let Some(results) = Results::load(&path)? {
            measured.push((*part, results));
        }
    }
    Ok(measured)
}

/// Rewrites what stands between two marks of a page.
pub(crate) fn rewrite(page: &Path, marks: (&str, &str), measured: &str) -> anyhow::Result<()> {
    let old =
        fs::read_to_string(page).with_context(|| format!("cannot read {}", page.display()))?;
    let new = replace(&old, marks, measured)
        .with_context(|| format!("{} has lost its marks", page.display()))?;
    fs::write(page, new).with_context(|| format!("cannot write {}", page.display()))
}

/// Replaces what stands between two marks.
pub(crate) fn replace(page: &str, (begin, end): (&str, &str), measured: &str) -> Option<String> {
    let (before, rest) = page.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}\n\n{measured}\n{end}{after}"))
}

fn render(measured: &[(Scene, Results)]) -> String {
    let all = measured.iter().flat_map(|(scene, results)| judge(*scene, results));
    let mut text = verdicts(all);
    text.push_str("\n### Circumstances\n\n");
    for (scene, results) in measured {
        let _ = writeln!(text, "- {}", circumstances(scene.name(), results));
    }
    text.push_str("\n### All medians\n\n");
    text.push_str("Ratios are Tenure's figure divided by ZooKeeper's.\n\n");
    text.push_str(HEAD);
    for (_, results) in measured {
        text.extend(results.keys().map(|key| row(key, results)));
    }
    text
}

/// A table of what was wanted and measured.
pub(crate) fn verdicts(all: impl Iterator<Item = Verdict>) -> String {
    let mut text = String::from("### Wanted and measured\n\n");
    text.push_str("| load | what | wanted | measured | figures | verdict |\n");
    text.push_str("| --- | --- | --- | --- | --- | --- |\n");
    for verdict in all {
        let Verdict { load, what, wanted, measured, figures, .. } = &verdict;
        let word = verdict.word();
        let _ = writeln!(text, "| {load} | {what} | {wanted} | {measured} | {figures} | {word} |");
    }
    text
}

/// The medians of one scene as a table.
pub(crate) fn medians(results: &Results) -> String {
    let rows = results.keys().map(|key| row(key, results));
    std::iter::once(HEAD.to_owned()).chain(rows).collect()
}

/// When, on what and with which versions both servers were measured.
pub(crate) fn circumstances(scene: &str, results: &Results) -> String {
    let java = |name: &str| results.about[name].as_str().unwrap_or_default().to_owned();
    let zookeeper = format!("ZooKeeper {} on {}", java("zookeeper"), java("java"));
    format!("{scene}: {}; {zookeeper}", about(results))
}

/// When and on what something was measured.
pub(crate) fn about(results: &Results) -> String {
    let about = |name: &str| match &results.about[name] {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    format!(
        "{}, {} rounds, Tenure {}; {} cores of {}, {}, Linux {}; load average at the beginning {}",
        about("date"),
        about("rounds"),
        about("tenure"),
        about("cores"),
        about("processor"),
        about("memory"),
        about("kernel"),
        about("load_average_at_begin"),
    )
}

fn row(key: &str, results: &Results) -> String {
    let shown = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), number);
    let (tenure, zookeeper) = (results.median(Tenure, key), results.median(ZooKeeper, key));
    let ratio = tenure.zip(zookeeper).filter(|(_, z)| *z != 0.0).map(|(t, z)| t / z);
    let name = key.replace('_', " ").replace('/', ": ");
    format!(
        "| {name} | {} | {} | {} | {} |\n",
        shown(tenure),
        shown(zookeeper),
        shown(ratio),
        shown(results.median(Echo, key))
    )
}

const HEAD: &str = "| figure | Tenure | ZooKeeper | ratio | echo |\n\
                    | --- | ---: | ---: | ---: | ---: |\n";
const BEGIN: &str = "<!-- measured: begin -->";
const END: &str = "<!-- measured: end -->";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_part_between_the_marks_is_replaced() {
        let page = format!("# Title\n\n{BEGIN}\nold\n{END}\n\nprose\n");
        let marks = (BEGIN, END);
        let new = replace(&page, marks, "table").unwrap();
        assert_eq!(new, format!("# Title\n\n{BEGIN}\n\ntable\n{END}\n\nprose\n"));
        assert_eq!(replace("no marks", marks, "table"), None);
    }

    #[test]
    fn rows_show_both_servers_and_their_ratio() {
        let mut results = Results::new(1);
        results.add(Tenure, "read-32x16/read.p99", 30.0);
        results.add(ZooKeeper, "read-32x16/read.p99", 60.0);
        let wanted = "| read-32x16: read.p99 | 30 | 60 | 0.5 | – |\n";
        assert_eq!(row("read-32x16/read.p99", &results), wanted);
        let page = render(&[(Scene::Throughput, results)]);
        assert!(page.contains(wanted) && page.contains("| not measured |"), "{page}");
        assert!(page.contains("1 rounds"), "{page}");
    }

    #[test]
    fn the_page_of_this_repository_has_its_marks() {
        let page = fs::read_to_string(crate::repository().join("docs/benchmarks.md")).unwrap();
        assert!(replace(&page, (BEGIN, END), "").is_some());
    }
}
