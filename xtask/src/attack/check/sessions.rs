//! The rules of sessions.

use super::{Rule, Violation};
use crate::attack::history::{Fate, Role};

/// All violations of these sessions.
pub(super) fn violations(fates: &[Fate]) -> Vec<Violation> {
    fates.iter().flat_map(of_one).collect()
}

fn of_one(fate: &Fate) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut add = |rule, at_us| {
        found.push(Violation { rule, at_us, lines: vec![fate.to_string()] });
    };
    let lost_us = fate.lost.as_ref().map(|(at_us, _)| *at_us);
    match fate.role {
        Role::Stays | Role::StaysAtOne => {
            if let Some(at_us) = lost_us.or(fate.gone_us) {
                add(Rule::SessionLost, at_us);
            }
        }
        Role::FallsSilent { heard_us } => {
            if let Some(gone_us) = fate.gone_us
                && gone_us < heard_us + fate.timeout_us
            {
                add(Rule::ExpiredEarly, gone_us);
            }
        }
    }
    // A session is to be taken for lost before others can see that it is.
    if let Some(gone_us) = fate.gone_us
        && lost_us.is_none_or(|lost_us| lost_us > gone_us)
    {
        add(Rule::ToldLate, gone_us);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT_US: u64 = 4_000_000;

    fn rules(role: Role, lost_us: Option<u64>, gone_us: Option<u64>) -> Vec<Rule> {
        let lost = lost_us.map(|at_us| (at_us, "planted".to_owned()));
        let fate = Fate { session: 1, id: 7, timeout_us: TIMEOUT_US, role, lost, gone_us };
        violations(&[fate]).into_iter().map(|violation| violation.rule).collect()
    }

    #[test]
    fn a_session_that_stays_must_not_be_lost() {
        assert_eq!(rules(Role::Stays, None, None), []);
        assert_eq!(rules(Role::Stays, Some(5), None), [Rule::SessionLost]);
        assert_eq!(rules(Role::Stays, Some(5), Some(9)), [Rule::SessionLost]);
        assert_eq!(rules(Role::Stays, None, Some(9)), [Rule::SessionLost, Rule::ToldLate]);
    }

    #[test]
    fn a_silent_session_ends_late_enough_and_its_client_knows_first() {
        let role = Role::FallsSilent { heard_us: 1_000_000 };
        assert_eq!(rules(role, Some(4_900_000), Some(5_000_000)), []);
        assert_eq!(rules(role, Some(4_900_000), Some(4_999_999)), [Rule::ExpiredEarly]);
        assert_eq!(rules(role, Some(5_100_000), Some(5_050_000)), [Rule::ToldLate]);
        assert_eq!(rules(role, None, Some(5_050_000)), [Rule::ToldLate]);
        // Nobody has looked yet.
        assert_eq!(rules(role, Some(4_900_000), None), []);
    }
}
