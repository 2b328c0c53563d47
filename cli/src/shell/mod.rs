//! `tenure shell`: every command of zkCli, on a terminal and in scripts.

mod acl;
mod args;
mod command;
mod complete;
mod core;
mod error;
mod events;
mod format;
mod history;
mod interactive;
mod output;
mod parse;
mod parsed;
mod prompt;
mod quota;
mod run;
mod script;
mod spec;
mod wait;
mod words;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tenure_client::Tls;

pub(crate) use args::{Args, normalized};

use self::core::{Settings, Shell};
use error::{FAILED, NO_SESSION, USAGE};
use events::{Event, Sink};
use history::History;
use output::Output;
use wait::Waiter;

/// Runs the shell, or one command of it.
pub(crate) fn run(args: Args) -> ExitCode {
    if let Some(file) = &args.client_configuration {
        eprintln!(
            "tenure shell: {file}: settings of zkCli's Java client mean nothing here; \
             leave -client-configuration out"
        );
        return ExitCode::from(USAGE);
    }
    let is_terminal =
        args.command.is_empty() && io::stdin().is_terminal() && io::stdout().is_terminal();
    let waiter = match Waiter::with_signals(is_terminal) {
        Ok(waiter) => waiter,
        Err(error) => {
            eprintln!("tenure shell: signals cannot be handled: {error}");
            return ExitCode::from(FAILED);
        }
    };
    let tls = match args.tls.told_by("shell") {
        Ok(tls) => tls,
        Err(code) => return code,
    };
    match is_terminal {
        true => on_terminal(&args, tls, waiter),
        false => in_script(&args, tls, waiter),
    }
}

fn on_terminal(args: &Args, tls: Option<Tls>, waiter: Waiter) -> ExitCode {
    let colors = wants_colors(args);
    let prints_events = Arc::new(AtomicBool::new(true));
    let with_sink = interactive::editor(colors, &waiter).and_then(|mut editor| {
        let sink = interactive::sink(&mut editor, Arc::clone(&prints_events));
        // A terminal that cannot move its cursor shows events when the line is done.
        let sink = sink.or_else(|_| Ok(plain_sink(args.json, &prints_events)));
        sink.map(|sink| (editor, sink))
    });
    let (editor, sink) = match with_sink {
        Ok(both) => both,
        Err(error) => {
            eprintln!("tenure shell: the terminal cannot be used: {error}");
            return ExitCode::from(FAILED);
        }
    };
    let (mut shell, poller) = shell(args, tls, waiter, colors, sink, prints_events);
    if args.waitforconnection
        && let Err(error) = shell.establish()
    {
        shell.out.error(&error);
        return ExitCode::from(NO_SESSION);
    }
    ExitCode::from(interactive::run(&mut shell, editor, poller))
}

fn in_script(args: &Args, tls: Option<Tls>, waiter: Waiter) -> ExitCode {
    let colors = wants_colors(args) && io::stderr().is_terminal();
    let prints_events = Arc::new(AtomicBool::new(true));
    let sink = plain_sink(args.json, &prints_events);
    let (mut shell, mut poller) = shell(args, tls, waiter, colors, sink, prints_events);
    ExitCode::from(match args.command.is_empty() {
        true => script::lines(&mut shell, &mut poller),
        false => script::one(&mut shell, &args.command, &mut poller),
    })
}

fn shell(
    args: &Args,
    tls: Option<Tls>,
    waiter: Waiter,
    colors: bool,
    sink: Sink,
    prints_events: Arc<AtomicBool>,
) -> (Shell, events::Poller) {
    let timeout = Duration::from_millis(args.timeout);
    let wait = match args.waitforconnection {
        true => timeout,
        false => Duration::from_millis(args.wait),
    };
    let hosts = args.server.clone();
    let (watches, poller) = events::watches(sink);
    let shell = Shell {
        settings: Settings { hosts, timeout, read_only: args.readonly, wait, tls },
        session: None,
        out: Output { json: args.json, colors },
        watches,
        history: History::default(),
        waiter,
        is_terminal: io::stdin().is_terminal() && io::stdout().is_terminal(),
        prints_events,
    };
    (shell, poller)
}

/// Watch events are results; what becomes of the session is a remark.
fn plain_sink(json: bool, prints_events: &Arc<AtomicBool>) -> Sink {
    let prints_events = Arc::clone(prints_events);
    Arc::new(move |event| {
        let out = Output { json, colors: false };
        let written = match &event {
            _ if !prints_events.load(Ordering::Relaxed) => Ok(()),
            Event::Watch(_) if json => out.document(&event.json()),
            Event::Watch(_) => out.text(&event.text()),
            Event::Change(change) if change.state.is_final() => Ok(()),
            Event::Change(_) => {
                out.remark(event.text().trim_end());
                Ok(())
            }
        };
        // The command that writes next notices a reader that is gone.
        drop(written);
    })
}

fn wants_colors(args: &Args) -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !args.json
        && !args.no_color
        && !no_color
        && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}
