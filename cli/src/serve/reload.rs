//! SIGHUP: the configuration is read again, and what can be changed at once is.

use std::io::{self, IsTerminal};
use std::thread;

use signal_hook::consts::SIGHUP;
use signal_hook::iterator::Signals;
use tenure_server::config::LogLevel;
use tenure_server::{Reloader, ServerHandle};
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{Registry, reload};

use super::{Args, configure};

/// The means to change how much is logged.
pub(super) struct LogVolume {
    handle: reload::Handle<LevelFilter, Registry>,
    /// What the command line says, which wins.
    wanted: Option<Level>,
}

impl LogVolume {
    pub(super) fn new(
        handle: reload::Handle<LevelFilter, Registry>,
        wanted: Option<Level>,
    ) -> Self {
        Self { handle, wanted }
    }

    /// Logs as much as a configuration says, unless the command line says otherwise.
    pub(super) fn follow(&self, configured: Option<LogLevel>) {
        let configured = configured.map(|level| match level {
            LogLevel::Error => Level::ERROR,
            LogLevel::Warn => Level::WARN,
            LogLevel::Info => Level::INFO,
            LogLevel::Debug => Level::DEBUG,
            LogLevel::Trace => Level::TRACE,
        });
        let level = self.wanted.or(configured).unwrap_or(super::USUAL_LEVEL);
        // Without the subscriber there is no log whose volume could be wrong.
        let _ = self.handle.modify(|filter| *filter = LevelFilter::from_level(level));
    }
}

/// Stops the server on the signals that ask for it, and reloads its configuration on SIGHUP.
pub(super) fn obey(mut signals: Signals, server: &ServerHandle, args: &Args, volume: LogVolume) {
    let (stopper, reloader, args) = (server.stopper(), server.reloader(), args.clone());
    let had_terminal = io::stdin().is_terminal();
    thread::spawn(move || {
        for signal in signals.forever() {
            // A terminal that was closed says the same, and takes the server with it.
            let is_hung_up = had_terminal && !io::stdin().is_terminal();
            match signal == SIGHUP && !is_hung_up {
                true => reload(&args, &reloader, &volume),
                false => stopper.stop(),
            }
        }
    });
}

fn reload(args: &Args, reloader: &Reloader, volume: &LogVolume) {
    let (config, warnings) = match configure(args) {
        Ok(read) => read,
        Err(error) => {
            return tracing::error!("{error}; nothing is changed, the server goes on as it was");
        }
    };
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    volume.follow(config.log_level);
    // What changed is logged by the server itself.
    if let Err(error) = reloader.reload(&config) {
        tracing::error!("the configuration was not applied: {error}");
    }
}
