//! What the audience sees: titles, explanations, what happens, and a pause between the steps.

use std::io::{self, BufRead, IsTerminal, Write};
use std::thread;
use std::time::Duration;

use tenure_client::{Change, Liveness, Moment, State};
use tokio::sync::mpsc;

/// The time between steps for those who do not press Enter.
const PACE: Duration = Duration::from_millis(1500);

/// The terminal, or whatever the output goes to.
pub(super) struct Stage {
    start: Moment,
    step: u32,
    has_colors: bool,
    pace: Pace,
}

enum Pace {
    Straight,
    Timed,
    /// One message for each line that was entered.
    Enter(mpsc::UnboundedReceiver<()>),
}

impl Stage {
    pub(super) fn new(auto: bool) -> Self {
        let shows = io::stdout().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let pace = match (shows, auto, io::stdin().is_terminal()) {
            (true, true, _) => Pace::Timed,
            (true, false, true) => lines().map_or(Pace::Timed, Pace::Enter),
            _ => Pace::Straight,
        };
        Self { start: Moment::now(), step: 0, has_colors: shows && !no_color, pace }
    }

    /// Text that stands by itself.
    pub(super) fn says(&self, text: &str) -> io::Result<()> {
        self.write(&format!("{text}\n"))
    }

    /// Begins a step, when the audience is ready for it.
    pub(super) async fn step(&mut self, title: &str, text: &str) -> io::Result<()> {
        if self.step > 0 {
            self.pause().await?;
        }
        self.step += 1;
        let title = self.painted(BOLD, &format!("{}. {title}", self.step));
        self.write(&format!("\n{title}\n{text}\n\n"))
    }

    /// A change of somebody's session.
    pub(super) fn change(&self, who: &str, change: &Change) -> io::Result<()> {
        let color = match change.state {
            State::NotConnected => DIM,
            State::Connecting => YELLOW,
            State::Connected | State::ConnectedReadOnly => GREEN,
            State::AuthFailed | State::Closed => RED,
        };
        let state = self.painted(color, &format!("{:<14}", change.state));
        let liveness = match &change.liveness {
            Liveness::AtRisk { until, .. } => {
                let left = until.since(change.at).as_millis();
                format!("{}; certain to live for another {left} ms", change.liveness)
            }
            liveness => liveness.to_string(),
        };
        self.line(change.at, who, &format!("{state} {liveness}"))
    }

    /// Something else that happened just now.
    pub(super) fn fact(&self, who: &str, fact: &str) -> io::Result<()> {
        self.line(Moment::now(), who, fact)
    }

    fn line(&self, at: Moment, who: &str, text: &str) -> io::Result<()> {
        let at = self.painted(DIM, &format!("{:>6} ms", at.since(self.start).as_millis()));
        self.write(&format!("{at}  {who:<8} {text}\n"))
    }

    async fn pause(&mut self) -> io::Result<()> {
        match &mut self.pace {
            Pace::Straight => {}
            Pace::Timed => tokio::time::sleep(PACE).await,
            Pace::Enter(lines) => {
                // What was entered while something happened was not meant for this.
                while lines.try_recv().is_ok() {}
                write(b"\n[Enter] ")?;
                if lines.recv().await.is_none() {
                    self.pace = Pace::Timed;
                }
            }
        }
        Ok(())
    }

    fn painted(&self, color: &str, text: &str) -> String {
        match self.has_colors {
            true => format!("{color}{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }

    fn write(&self, text: &str) -> io::Result<()> {
        write(text.as_bytes())
    }
}

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Reads lines on a thread of its own, which ends with the process: a blocking read cannot be
/// called off.
fn lines() -> io::Result<mpsc::UnboundedReceiver<()>> {
    let (sender, lines) = mpsc::unbounded_channel();
    thread::Builder::new().name("tour-enter".to_owned()).spawn(move || {
        for line in io::stdin().lock().lines() {
            if line.is_err() || sender.send(()).is_err() {
                return;
            }
        }
    })?;
    Ok(lines)
}
