//! The measured part about ensembles in `docs/benchmarks.md`.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Context;
use clap::ValueEnum;

use super::{Part, wanted};
use crate::bench::page::{circumstances, medians, replace, verdicts};
use crate::bench::results::Results;

/// Rewrites what stands between the two marks from all results that are in the folder.
pub(super) fn update(page: &Path, results: &Path) -> anyhow::Result<()> {
    let mut measured = Vec::new();
    for part in Part::value_variants() {
        if let Some(results) = Results::load(&results.join(format!("{}.json", part.name())))? {
            measured.push((*part, results));
        }
    }
    let old =
        fs::read_to_string(page).with_context(|| format!("cannot read {}", page.display()))?;
    let new = replace(&old, MARKS, &render(&measured))
        .with_context(|| format!("{} has lost its marks", page.display()))?;
    fs::write(page, new).with_context(|| format!("cannot write {}", page.display()))
}

fn render(measured: &[(Part, Results)]) -> String {
    let all = measured.iter().flat_map(|(part, results)| wanted::judge(*part, results));
    let mut text = verdicts(all);
    text.push_str("\n### Circumstances\n\n");
    for (part, results) in measured {
        let _ = writeln!(text, "- {}", circumstances(part.name(), results));
    }
    text.push_str("\n### All medians\n\nRatios are Tenure's figure divided by ZooKeeper's.\n");
    for (_, results) in measured {
        let _ = write!(text, "\n{}", medians(results));
    }
    text
}

const MARKS: (&str, &str) = ("<!-- ensemble: begin -->", "<!-- ensemble: end -->");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::subject::Subject::{Tenure, ZooKeeper};

    #[test]
    fn a_part_has_its_verdicts_and_medians() {
        let mut results = Results::new(1);
        results.add(Tenure, "kill/without_writes_ms", 200.0);
        results.add(ZooKeeper, "kill/without_writes_ms", 2000.0);
        let page = render(&[(Part::Kill, results)]);
        assert!(page.contains("| kill: without writes ms | 200 | 2,000 | 0.1 | – |"), "{page}");
        assert!(page.contains("- kill: "), "{page}");
        assert!(page.contains("| 0.1× | 200 against 2,000 | met |"), "{page}");
    }

    #[test]
    fn the_page_of_this_repository_has_its_marks() {
        let page = fs::read_to_string(crate::repository().join("docs/benchmarks.md")).unwrap();
        assert!(replace(&page, MARKS, "").is_some());
    }
}
