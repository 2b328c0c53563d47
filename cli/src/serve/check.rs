//! `tenure serve --check`: all that is wrong with a configuration, and nothing started.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use tenure_server::config::{Checked, ServerConfig, read_text};

use super::{Args, ArgumentError, BAD_USAGE, FAILED, configure, overridden};

/// Reads the configuration and says what it finds, line by line.
pub(super) fn run(args: &Args) -> ExitCode {
    let found = match checked(args) {
        Ok(checked) => Found::of(&checked, args),
        Err(error) => Found { errors: vec![error.to_string()], ..Found::default() },
    };
    match io::stdout().lock().write_all(found.text().as_bytes()) {
        // Whoever read the output has read enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => ExitCode::from(FAILED),
        _ if found.errors.is_empty() => ExitCode::SUCCESS,
        _ => ExitCode::from(BAD_USAGE),
    }
}

/// What a file says, with the lines of the command line, or what the arguments alone say.
fn checked(args: &Args) -> Result<Checked, ArgumentError> {
    if let [path] = args.config.as_slice() {
        let path = path.as_ref();
        let text = overridden(&read_text(path)?, &args.set)?;
        return Ok(ServerConfig::check_edited_file(path, &text));
    }
    let (config, warnings) = configure(args)?;
    Ok(Checked { config, errors: Vec::new(), warnings, ignored: Vec::new() })
}

#[derive(Default)]
struct Found {
    errors: Vec<String>,
    warnings: Vec<String>,
    ignored: Vec<String>,
}

impl Found {
    fn of(checked: &Checked, args: &Args) -> Self {
        let mut errors: Vec<String> = checked.errors.iter().map(ToString::to_string).collect();
        if errors.is_empty() {
            // What the file says makes sense; whether a server can be made of it is another matter.
            let refused = match configure(args) {
                Ok((config, _)) => tenure_server::check(&config).err().map(|e| e.to_string()),
                Err(error) => Some(error.to_string()),
            };
            errors.extend(refused);
        }
        Self {
            errors,
            warnings: checked.warnings.iter().map(ToString::to_string).collect(),
            ignored: checked.ignored.iter().map(ToString::to_string).collect(),
        }
    }

    fn text(&self) -> String {
        let lists =
            [("error", &self.errors), ("warning", &self.warnings), ("ignored", &self.ignored)];
        let lines = lists
            .iter()
            .flat_map(|(kind, list)| list.iter().map(move |line| format!("{kind}: {line}\n")));
        let counts = format!(
            "errors: {}, warnings: {}, keys without effect: {}; a server {} with this\n",
            self.errors.len(),
            self.warnings.len(),
            self.ignored.len(),
            if self.errors.is_empty() { "starts" } else { "does not start" }
        );
        lines.chain([counts]).collect()
    }
}
