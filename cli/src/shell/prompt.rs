//! The prompt, which shows the session's state while a line is being typed too.

use rustyline::Prompt;
use tenure_client::{Session, State};

/// A prompt whose width does not change, because the editor has measured it already.
pub(super) struct StatePrompt {
    session: Option<Session>,
    /// Plain and coloured, by state.
    texts: Vec<(State, String, String)>,
}

/// Longest connect string that is shown whole, in characters.
const SHOWN_CHARS: usize = 40;

/// Every state a session can be in.
const STATES: [State; 6] = [
    State::NotConnected,
    State::Connecting,
    State::Connected,
    State::ConnectedReadOnly,
    State::AuthFailed,
    State::Closed,
];

impl StatePrompt {
    /// The prompt of a session, or of none, for the command of this number.
    pub(super) fn new(session: Option<&Session>, hosts: &str, number: usize) -> Self {
        let hosts = shortened(hosts);
        let now = state_of(session);
        let width = text(&hosts, now, number).chars().count();
        let texts = STATES.map(|state| {
            let plain = fitted(&hosts, state, number, width);
            let name = state.name();
            let coloured = format!("\x1b[{}m{name}\x1b[0m", colour(state));
            let coloured = plain.replacen(name, &coloured, 1);
            (state, plain, coloured)
        });
        Self { session: session.cloned(), texts: texts.into() }
    }

    fn now(&self) -> &(State, String, String) {
        let state = state_of(self.session.as_ref());
        let found = self.texts.iter().find(|(of, _, _)| *of == state);
        found.unwrap_or(&self.texts[0])
    }
}

impl Prompt for StatePrompt {
    fn raw(&self) -> &str {
        &self.now().1
    }

    fn styled(&self) -> &str {
        &self.now().2
    }
}

fn state_of(session: Option<&Session>) -> State {
    session.map_or(State::Closed, Session::state)
}

fn text(hosts: &str, state: State, number: usize) -> String {
    format!("[tenure: {hosts}({state}) {number}] ")
}

/// The prompt in exactly this width: padded, or without what says least.
fn fitted(hosts: &str, state: State, number: usize, width: usize) -> String {
    let attempts = [
        text(hosts, state, number),
        format!("[tenure:{hosts}({state}) {number}] "),
        format!("[{hosts}({state}) {number}] "),
        format!("({state}) {number}] "),
        format!("({state}) "),
    ];
    let fitting = attempts.into_iter().find(|attempt| attempt.chars().count() <= width);
    // Too narrow for any: rather no state than a line that is drawn wrongly.
    format!("{:<width$}", fitting.unwrap_or_default())
}

fn colour(state: State) -> u8 {
    match state {
        State::Connected | State::ConnectedReadOnly => 32,
        State::Connecting | State::NotConnected => 33,
        State::AuthFailed | State::Closed => 31,
    }
}

fn shortened(hosts: &str) -> String {
    match hosts.char_indices().nth(SHOWN_CHARS) {
        None => hosts.to_owned(),
        Some((cut, _)) => format!("{}...", &hosts[..cut]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_width_is_kept_whatever_the_state_becomes() {
        for hosts in ["h:1", "localhost:2181"] {
            for now in STATES {
                let before = text(hosts, now, 7);
                let width = before.chars().count();
                for state in STATES {
                    let after = fitted(hosts, state, 7, width);
                    assert_eq!(after.chars().count(), width, "{after:?}");
                    assert!(after.contains(state.name()), "{after:?}");
                }
                assert_eq!(fitted(hosts, now, 7, width), before);
            }
        }
    }

    #[test]
    fn without_a_session_it_is_closed() {
        let prompt = StatePrompt::new(None, &"x".repeat(50), 3);
        assert_eq!(prompt.raw(), format!("[tenure: {}...(CLOSED) 3] ", "x".repeat(40)));
        assert!(prompt.styled().contains("\x1b[31mCLOSED\x1b[0m"));
    }
}
