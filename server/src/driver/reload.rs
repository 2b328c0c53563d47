//! Another configuration for the running server: what counts at once is applied.

use std::sync::Arc;

use tenure_replica::{ConnId, Input};

use super::{Driver, Rules};
use crate::admin::ServerEventKind;
use crate::config::{Changes, LimitSettings, ServerConfig, changes};

impl Driver {
    /// Applies what needs no restart; says what that was, and what waits for one.
    pub(super) fn reload(&mut self, config: &ServerConfig) -> Changes {
        let (started, last) = &self.texts;
        let changes = changes(started, last, &config.initial_text);
        self.texts.1.clone_from(&config.initial_text);
        self.follow_rules(config);
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

    fn follow_rules(&mut self, config: &ServerConfig) {
        let (rules, now) = (crate::rules(config), self.clock.instant());
        // Whose sessions there are was counted by the limits of the start.
        let sessions = self.rules.limits.sessions;
        let limits = LimitSettings { sessions, ..rules.limits };
        self.rules = Rules { limits, local_sessions: self.rules.local_sessions, ..rules };
        self.limits_requests = self.rules.limits_requests();
        self.storm.set_rules(self.rules.storm, now);
        if let Some(refuses) = self.memory.set_limit(limits.memory, now) {
            let input = Input::RefuseGrowth(refuses);
            self.replica.step(input, self.clock.now(), &mut self.out);
        }
        // What is limited from now on was not counted before.
        let all: Vec<ConnId> = self.connections.iter().map(|connection| connection.id).collect();
        all.into_iter().for_each(|id| self.settle(id));
        self.look_at_paused();
    }
}
