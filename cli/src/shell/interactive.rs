//! The shell on a terminal: editing, history, completion, and events that come meanwhile.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{ColorMode, CompletionType, Config, Context, Editor, ExternalPrinter, Helper};
use tenure_client::Session;

use super::complete::complete;
use super::core::{Flow, Shell};
use super::error::{FAILED, INTERRUPTED, ShellError};
use super::events::{Event, Poller, Sink};
use super::prompt::StatePrompt;
use super::wait::Waiter;

/// How long completion waits for a server: a prompt that hangs is worse than no candidates.
const COMPLETION_LIMIT: Duration = Duration::from_millis(500);
/// Lines kept in the history file.
const HISTORY_LINES: usize = 5000;

type LineEditor = Editor<Assistant, FileHistory>;

/// A line editor, or why there is none.
pub(super) fn editor(colors: bool, waiter: &Waiter) -> Result<LineEditor, ReadlineError> {
    let config = Config::builder()
        .max_history_size(HISTORY_LINES)?
        // Whoever types a space first wants a line forgotten.
        .history_ignore_space(true)
        .history_ignore_dups(true)?
        .completion_type(CompletionType::List)
        .color_mode(if colors { ColorMode::Enabled } else { ColorMode::Disabled })
        .build();
    let mut editor = Editor::with_config(config)?;
    editor.set_helper(Some(Assistant { session: RefCell::new(None), waiter: waiter.clone() }));
    Ok(editor)
}

/// Prints events above the line that is being typed.
pub(super) fn sink(
    editor: &mut LineEditor,
    prints_events: Arc<AtomicBool>,
) -> Result<Sink, ReadlineError> {
    let printer = Mutex::new(editor.create_external_printer()?);
    Ok(Arc::new(move |event: Event| {
        let is_wanted = prints_events.load(Ordering::Relaxed);
        let text = match (&event, is_wanted) {
            (_, true) => event.text(),
            (Event::Watch(_), false) => return,
            // The prompt is to be drawn again, with the new state: a line up, a line down.
            (Event::Change(_), false) => "\x1b[A\n".to_owned(),
        };
        if let Ok(mut printer) = printer.lock() {
            // A terminal that is gone is noticed by whoever reads from it.
            let _ = printer.print(text);
        }
    }))
}

/// Reads and runs lines until the end of input or `quit`.
pub(super) fn run(shell: &mut Shell, mut editor: LineEditor, poller: Poller) -> u8 {
    if let Err(error) = shell.watches.poll_in_background(poller) {
        shell.out.error(&error.into());
        return FAILED;
    }
    if let Err(error) = greet(shell) {
        return error.exit_code();
    }
    let file = history_file();
    if let Some(file) = &file {
        // There may be none yet.
        let _ = editor.load_history(file);
    }
    while !shell.waiter.is_terminated() {
        shell.waiter.reset();
        if let Some(assistant) = editor.helper() {
            assistant.session.replace(shell.session.clone());
        }
        let number = shell.history.next_number();
        let prompt = StatePrompt::new(shell.session.as_ref(), &shell.settings.hosts, number);
        match editor.readline(&prompt) {
            Ok(line) => {
                remember(&mut editor, &line, file.as_ref());
                match shell.line(&line) {
                    Ok(Flow::Continue) => {}
                    Ok(Flow::Quit) => break,
                    Err(error) => shell.show(&error),
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => {
                shell.out.error(&ShellError::Failed(format!("the terminal: {error}")));
                break;
            }
        }
    }
    if let Some(assistant) = editor.helper() {
        assistant.session.replace(None);
    }
    // That it is closed now is no news.
    shell.prints_events.store(false, Ordering::Relaxed);
    shell.close();
    if shell.waiter.is_terminated() { INTERRUPTED } else { 0 }
}

/// Establishes a session, unless there is one; fails if none can ever come of it.
fn greet(shell: &mut Shell) -> Result<(), ShellError> {
    if shell.session.is_none() {
        shell.out.remark(&format!("Connecting to {} ...", shell.settings.hosts));
        if let Err(error) = shell.establish_or_go_on() {
            shell.out.error(&error);
            if shell.session.is_none() {
                return Err(error);
            }
            shell.out.remark("Still trying; the prompt shows when a server is there.");
            return Ok(());
        }
    }
    shell.tell_connection();
    shell.out.remark("'help' lists the commands; Tab completes them, and paths.");
    Ok(())
}

/// Keeps a line for later runs, unless it holds a password.
fn remember(editor: &mut LineEditor, line: &str, file: Option<&PathBuf>) {
    let is_secret = line.trim_start().to_ascii_lowercase().starts_with("addauth");
    if line.trim().is_empty() || is_secret {
        return;
    }
    let _ = editor.add_history_entry(line);
    if let Some(file) = file {
        // A home that cannot be written costs the history, not the shell.
        let _ = editor.append_history(file);
    }
}

/// Where lines are kept from run to run, if there is such a place.
fn history_file() -> Option<PathBuf> {
    let from = |name| std::env::var_os(name).filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let state = from("XDG_STATE_HOME").or_else(|| Some(from("HOME")?.join(".local/state")))?;
    let folder = state.join("tenure");
    fs::create_dir_all(&folder).ok()?;
    Some(folder.join("shell_history"))
}

/// What the editor asks while a line is typed.
pub(super) struct Assistant {
    session: RefCell<Option<Session>>,
    waiter: Waiter,
}

impl Assistant {
    fn children(&self, path: &str) -> Vec<String> {
        let session = self.session.borrow();
        let Some(session) = session.as_ref().filter(|session| session.state().is_connected())
        else {
            return Vec::new();
        };
        let listed = self.waiter.wait(session.children(path).send(), Some(COMPLETION_LIMIT));
        match listed {
            Ok(Ok(children)) => children.names,
            _ => Vec::new(),
        }
    }
}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, candidates) = complete(&line[..pos], |path| self.children(path));
        let pair = |candidate: super::complete::Candidate| Pair {
            display: candidate.shown,
            replacement: candidate.text,
        };
        Ok((start, candidates.into_iter().map(pair).collect()))
    }
}

impl Helper for Assistant {}
impl Highlighter for Assistant {}
impl Validator for Assistant {}
impl Hinter for Assistant {
    type Hint = String;
}
