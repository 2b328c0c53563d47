//! What can be typed while the servers run.

use std::str::FromStr;

/// One line of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Ends a server at once, as `kill -9` does.
    Kill(Which),
    /// Has a server stand still, as `kill -STOP` does.
    Pause(Which),
    /// Ends a pause.
    Resume(Which),
    /// Starts a server that does not run.
    Start(Which),
    Status,
    Help,
    Quit,
}

/// Which server is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Id(u64),
    Leader,
}

/// Every command, for those who ask or mistype.
pub(super) const HELP: &str =
    "kill N, pause N, resume N, start N (N is a server's number, or leader), status, quit";

impl FromStr for Command {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let with_server: fn(Which) -> Self = match words[..] {
            ["kill", ..] => Self::Kill,
            ["pause", ..] => Self::Pause,
            ["resume", ..] => Self::Resume,
            ["start", ..] => Self::Start,
            ["status"] => return Ok(Self::Status),
            ["help" | "?"] => return Ok(Self::Help),
            ["quit" | "exit"] => return Ok(Self::Quit),
            _ => return Err(format!("{:?} is no command; there are: {HELP}", line.trim())),
        };
        let which = match words[1..] {
            ["leader"] => Some(Which::Leader),
            [id] => id.parse().ok().map(Which::Id),
            _ => None,
        };
        which
            .map(with_server)
            .ok_or_else(|| format!("{0} which server? As in {0} 1, or {0} leader", words[0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_name_a_server_by_number_or_as_the_leader() {
        let read = |line: &str| line.parse::<Command>();
        assert_eq!(read("kill 2"), Ok(Command::Kill(Which::Id(2))));
        assert_eq!(read("  pause   leader "), Ok(Command::Pause(Which::Leader)));
        assert_eq!(read("status"), Ok(Command::Status));
        assert_eq!(read("quit"), Ok(Command::Quit));
        for line in ["kill", "kill x", "kill 1 2", "start -1"] {
            let error = read(line).expect_err(line);
            assert!(error.contains("which server"), "{line}: {error}");
        }
        let error = read("reboot 1").expect_err("no command");
        assert!(error.contains("\"reboot 1\"") && error.contains("resume N"), "{error}");
    }
}
