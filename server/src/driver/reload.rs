//! Another configuration for the running server: what counts at once is applied.

use std::sync::Arc;

use super::{Driver, Rules};
use crate::admin::ServerEventKind;
use crate::config::{Changes, ServerConfig, changes};

impl Driver {
    /// Applies what needs no restart; says what that was, and what waits for one.
    pub(super) fn reload(&mut self, config: &ServerConfig) -> Changes {
        let (started, last) = &self.texts;
        let changes = changes(started, last, &config.initial_text);
        self.texts.1.clone_from(&config.initial_text);
        let before = self.rules;
        self.rules = Rules {
            throttled_op_wait: before.throttled_op_wait,
            limits: before.limits,
            storm: before.storm,
            local_sessions: before.local_sessions,
            ..crate::rules(config)
        };
        self.words = Arc::new(config.four_letter_words.clone());
        let (connections, sessions) = (&config.connections, &config.sessions);
        for listener in &mut self.listeners {
            listener.set_limits(connections.max_per_address, connections.max_total);
        }
        self.replica.set_session_timeouts(sessions.min_timeout_ms, sessions.max_timeout_ms);
        self.config.max_per_address = connections.max_per_address;
        self.config.min_session_timeout_ms = sessions.min_timeout_ms;
        self.config.max_session_timeout_ms = sessions.max_timeout_ms;
        let Changes { applied, needs_restart } = changes.clone();
        self.tell(ServerEventKind::Reloaded { applied, needs_restart });
        changes
    }
}
