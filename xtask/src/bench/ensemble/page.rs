//! The measured part about ensembles in `docs/benchmarks.md`.

use std::fmt::Write;
use std::path::Path;

use clap::ValueEnum;

use super::{Part, wanted};
use crate::bench::page::{circumstances, load, medians, rewrite, verdicts};
use crate::bench::results::Results;

/// Rewrites what stands between the two marks from all results that are in the folder.
pub(super) fn update(page: &Path, results: &Path) -> anyhow::Result<()> {
    let measured = load(results, Part::value_variants(), |part| part.name())?;
    rewrite(page, MARKS, &render(&measured))
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
    use std::fs;

    use super::*;
    use crate::bench::page::replace;
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
