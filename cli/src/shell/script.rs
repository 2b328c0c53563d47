//! Commands without a terminal: one from the command line, or many from standard input.

use std::future::poll_fn;
use std::io::{self, BufRead};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::task::Poll;
use std::thread;

use super::core::{Flow, Shell};
use super::error::{FAILED, INTERRUPTED, ShellError};
use super::events::Poller;
use super::spec;
use super::wait::Stopped;

/// Lines read ahead of the command that runs.
const LINES_AHEAD: usize = 64;

/// Runs one command.
pub(super) fn one(shell: &mut Shell, words: &[String], poller: &mut Poller) -> u8 {
    // What needs no server is not to fail for want of one.
    let is_offline = spec::find(&words[0])
        .is_none_or(|spec| matches!(spec.name, "help" | "version" | "quit" | "history"));
    let outcome = match is_offline {
        true => shell.words(words),
        false => super::parse::parse(words)
            .map_err(ShellError::from)
            .and_then(|_| shell.establish())
            .and_then(|()| shell.words(words)),
    };
    poller.poll_now();
    let code = show(shell, &outcome);
    shell.close();
    code
}

/// Runs the lines of standard input; the exit code is that of the first that failed.
pub(super) fn lines(shell: &mut Shell, poller: &mut Poller) -> u8 {
    let outcome = shell.establish();
    let mut code = match outcome {
        Ok(()) => 0,
        Err(error) => {
            shell.out.error(&error);
            return error.exit_code();
        }
    };
    let lines = match read_lines() {
        Ok(lines) => lines,
        Err(error) => {
            shell.out.error(&error.into());
            return FAILED;
        }
    };
    loop {
        let line = match next(shell, poller, &lines) {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(error) => {
                let failed = show(shell, &Err(error));
                if code == 0 {
                    code = failed;
                }
                break;
            }
        };
        let outcome = shell.line(&line);
        // What a command caused is told right behind it.
        poller.poll_now();
        let failed = show(shell, &outcome);
        if code == 0 {
            code = failed;
        }
        let is_over = matches!(outcome, Ok(Flow::Quit))
            || matches!(&outcome, Err(error) if error.is_broken_pipe())
            || failed == INTERRUPTED;
        if is_over {
            break;
        }
    }
    shell.close();
    match code {
        // It came with the end of the input.
        0 if shell.waiter.is_interrupted() => INTERRUPTED,
        code => code,
    }
}

/// The next line; events that come meanwhile are told at once.
fn next(
    shell: &Shell,
    poller: &mut Poller,
    lines: &Receiver<io::Result<String>>,
) -> Result<Option<String>, ShellError> {
    let line = poll_fn(|cx| {
        poller.poll(cx.waker());
        match lines.try_recv() {
            Ok(line) => Poll::Ready(line.map(Some)),
            Err(TryRecvError::Empty) => Poll::Pending,
            Err(TryRecvError::Disconnected) => Poll::Ready(Ok(None)),
        }
    });
    match shell.waiter.wait(line, None) {
        Ok(line) => line.map_err(|error| ShellError::Failed(format!("standard input: {error}"))),
        Err(Stopped::Interrupted | Stopped::TimedOut) => Err(ShellError::Interrupted),
    }
}

/// Reads on a thread of its own: a read that waits cannot be interrupted.
fn read_lines() -> io::Result<Receiver<io::Result<String>>> {
    let (sender, lines) = sync_channel(LINES_AHEAD);
    let waiting = thread::current();
    thread::Builder::new().name("shell-input".to_owned()).spawn(move || {
        for line in io::stdin().lock().lines() {
            let is_end = line.is_err();
            if sender.send(line).is_err() || is_end {
                break;
            }
            waiting.unpark();
        }
        drop(sender);
        waiting.unpark();
    })?;
    Ok(lines)
}

/// Shows an error; the exit code of the outcome.
fn show(shell: &Shell, outcome: &Result<Flow, ShellError>) -> u8 {
    match outcome {
        Ok(_) => 0,
        Err(error) if error.is_broken_pipe() => 0,
        Err(error) => {
            shell.show(error);
            error.exit_code()
        }
    }
}
