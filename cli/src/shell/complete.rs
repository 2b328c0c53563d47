//! Completion of what is being typed: commands, their flags, and paths from the live tree.

use super::spec::{self, COMMANDS, Spec, Takes};
use super::words::{self, Word};

/// What may be put in the place of the word under the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// What the list of candidates shows.
    pub(super) shown: String,
    /// What replaces the line from the start of the word to the cursor.
    pub(super) text: String,
}

/// Candidates shown at most; beyond that a list helps nobody.
const MOST: usize = 1000;

/// The candidates for the word that ends where `typed` does, and where it starts in bytes.
/// `children` lists the children of a path, or nothing if that cannot be done quickly.
pub(super) fn complete(
    typed: &str,
    children: impl FnOnce(&str) -> Vec<String>,
) -> (usize, Vec<Candidate>) {
    let Ok(mut words) = words::scan(typed) else { return (typed.len(), Vec::new()) };
    let ends_in_space = typed.ends_with(char::is_whitespace);
    let is_new =
        words.last().is_none_or(|word| !word.open && (ends_in_space || word.quote.is_some()));
    if is_new {
        let start = typed.len();
        words.push(Word { text: String::new(), start, quote: None, open: false });
    }
    let Some((current, before)) = words.split_last() else { return (0, Vec::new()) };
    let mut candidates = match before.first().map(|name| spec::find(&name.text)) {
        None => names(&current.text),
        Some(None) => Vec::new(),
        Some(Some(spec)) => arguments(spec, before, current, children),
    };
    candidates.truncate(MOST);
    (current.start, candidates)
}

fn arguments(
    spec: &'static Spec,
    before: &[Word],
    current: &Word,
    children: impl FnOnce(&str) -> Vec<String>,
) -> Vec<Candidate> {
    if current.quote.is_none() && current.text.starts_with('-') {
        return flags(spec, before, &current.text);
    }
    let Some(position) = position(spec, before) else { return Vec::new() };
    match spec.takes {
        Takes::Path if position == 0 => paths(current, children),
        Takes::Command if position == 0 => names(&current.text),
        Takes::OneOf(words) if position == 0 => {
            words.iter().filter(|word| word.starts_with(&current.text)).map(|w| last(w)).collect()
        }
        _ => Vec::new(),
    }
}

/// Which argument comes next; none if it is the value of a flag.
fn position(spec: &Spec, before: &[Word]) -> Option<usize> {
    let (mut position, mut is_value) = (0, false);
    for word in &before[1..] {
        let name = word.text.strip_prefix('-').filter(|_| !is_value);
        match name {
            Some(name) => is_value = spec.flag(name).is_some_and(|flag| flag.value.is_some()),
            None if is_value => is_value = false,
            None => position += 1,
        }
    }
    (!is_value).then_some(position)
}

fn names(prefix: &str) -> Vec<Candidate> {
    let prefix = prefix.to_ascii_lowercase();
    let all = COMMANDS.iter().map(|spec| spec.name);
    all.filter(|name| name.to_ascii_lowercase().starts_with(&prefix)).map(last).collect()
}

fn flags(spec: &Spec, before: &[Word], prefix: &str) -> Vec<Candidate> {
    let is_given = |flag: &String| before.iter().any(|word| word.text == *flag);
    let all = spec.flags.iter().map(|flag| (format!("-{}", flag.name), flag.help));
    all.filter(|(flag, _)| flag.starts_with(prefix) && !is_given(flag))
        .map(|(flag, help)| Candidate {
            shown: format!("{flag}  {help}"),
            text: format!("{flag} "),
        })
        .collect()
}

/// A word after which another one follows.
fn last(word: &str) -> Candidate {
    Candidate { shown: word.to_owned(), text: format!("{word} ") }
}

fn paths(current: &Word, children: impl FnOnce(&str) -> Vec<String>) -> Vec<Candidate> {
    let typed = current.text.as_str();
    let Some(slash) = typed.rfind('/') else {
        let root = Candidate { shown: "/".to_owned(), text: "/".to_owned() };
        return if typed.is_empty() { vec![root] } else { Vec::new() };
    };
    let (parent, prefix) = (&typed[..slash], &typed[slash + 1..]);
    let names = children(if parent.is_empty() { "/" } else { parent });
    let matching: Vec<_> = names.iter().filter(|name| name.starts_with(prefix)).collect();
    if let [only] = &matching[..]
        && *only == prefix
    {
        // There is nothing to add but the way down.
        let text = opened(current, &format!("{typed}/"));
        return vec![Candidate { shown: format!("{only}/"), text }];
    }
    matching
        .iter()
        .map(|name| Candidate {
            shown: (*name).clone(),
            text: opened(current, &format!("{parent}/{name}")),
        })
        .collect()
}

/// A path as it is typed: with an opening quote if it needs one, open for more to come.
fn opened(current: &Word, path: &str) -> String {
    match current.quote {
        Some('\'') => format!("'{path}"),
        None if !path.contains(char::is_whitespace) => path.to_owned(),
        _ => format!("\"{}", path.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn children(path: &str) -> Vec<String> {
        let names: &[&str] = match path {
            "/" => &["app", "apple", "my node", "zookeeper"],
            "/app" => &["x1", "x2"],
            "/my node" => &["in it"],
            _ => &[],
        };
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn texts(typed: &str) -> Vec<String> {
        let (start, candidates) = complete(typed, children);
        candidates
            .iter()
            .map(|candidate| format!("{}{}", &typed[..start], candidate.text))
            .collect()
    }

    #[test]
    fn commands_are_completed_in_any_case() {
        assert_eq!(texts("getal"), ["getAllChildrenNumber "]);
        assert_eq!(texts("GETA"), ["getAcl ", "getAllChildrenNumber "]);
        assert_eq!(texts("").len(), COMMANDS.len());
        assert_eq!(texts("help del"), ["help delete ", "help deleteall ", "help delquota "]);
        assert_eq!(texts("nonsense "), [""; 0]);
    }

    #[test]
    fn flags_that_are_not_given_yet_are_offered() {
        assert_eq!(texts("ls -"), ["ls -s ", "ls -w ", "ls -R "]);
        assert_eq!(texts("ls -s -"), ["ls -s -w ", "ls -s -R "]);
        assert_eq!(texts("reconfig -m"), ["reconfig -members "]);
        assert_eq!(texts("printwatches o"), ["printwatches on ", "printwatches off "]);
    }

    #[test]
    fn paths_come_from_the_tree() {
        assert_eq!(texts("get "), ["get /"]);
        assert_eq!(texts("get /ap"), ["get /app", "get /apple"]);
        assert_eq!(texts("get -s /app/"), ["get -s /app/x1", "get -s /app/x2"]);
        assert_eq!(texts("get /zookeeper"), ["get /zookeeper/"]);
        assert_eq!(texts("get x"), [""; 0]);
        assert_eq!(texts("get /none/x"), [""; 0]);
    }

    #[test]
    fn only_the_first_argument_is_a_path() {
        assert_eq!(texts("set /app /"), [""; 0]);
        assert_eq!(texts("set -v "), [""; 0]);
        assert_eq!(texts("set -v 3 /appl"), ["set -v 3 /apple"]);
        assert_eq!(texts("whoami "), [""; 0]);
    }

    #[test]
    fn names_with_spaces_are_quoted() {
        assert_eq!(texts("get /my"), ["get \"/my node"]);
        assert_eq!(texts("get \"/my node/"), ["get \"/my node/in it"]);
        assert_eq!(texts("get '/my"), ["get '/my node"]);
        assert_eq!(texts("get \"/app\""), [""; 0]);
    }
}
