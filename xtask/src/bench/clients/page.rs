//! The measured part about clients in `docs/benchmarks.md`.

use std::fmt::Write;
use std::path::Path;

use clap::ValueEnum;

use super::{Client, Part, wanted};
use crate::bench::criteria::number;
use crate::bench::page::{about, load, rewrite, verdicts};
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
        let _ = writeln!(text, "- {}: {}", part.name(), about(results));
    }
    text.push_str("\n### All medians\n");
    for (_, results) in measured {
        let _ = write!(text, "\n{}", medians(results));
    }
    text
}

/// The medians as a table, with a column for each client that was measured.
pub(super) fn medians(results: &Results) -> String {
    let measured =
        |client: &Client| results.keys().any(|key| results.median(client, key).is_some());
    let clients: Vec<Client> = Client::ALL.into_iter().filter(measured).collect();
    let mut text = String::from("| figure |");
    clients.iter().for_each(|client| text += &format!(" {} |", client.as_ref()));
    text += "\n| --- |";
    clients.iter().for_each(|_| text += " ---: |");
    text += "\n";
    for key in results.keys() {
        let name = key.replace('_', " ").replace('/', ": ");
        let shown =
            |client: &Client| results.median(client, key).map_or_else(|| "–".to_owned(), number);
        let values: Vec<String> = clients.iter().map(shown).collect();
        let _ = writeln!(text, "| {name} | {} |", values.join(" | "));
    }
    text
}

const MARKS: (&str, &str) = ("<!-- clients: begin -->", "<!-- clients: end -->");

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::bench::page::replace;

    #[test]
    fn only_clients_that_were_measured_have_a_column() {
        let mut results = Results::new(1);
        results.add(Client::Tenure, "read, 16 at a time/operations_per_second", 5000.0);
        results.add(Client::Kazoo, "read, 16 at a time/operations_per_second", 100.0);
        let table = medians(&results);
        assert!(table.starts_with("| figure | tenure-client | kazoo 2.11.0 |\n"), "{table}");
        assert!(table.contains("| read, 16 at a time: operations per second | 5,000 | 100 |"));
    }

    #[test]
    fn the_page_of_this_repository_has_its_marks() {
        let page = fs::read_to_string(crate::repository().join("docs/benchmarks.md")).unwrap();
        assert!(replace(&page, MARKS, "").is_some());
    }
}
