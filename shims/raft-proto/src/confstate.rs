//! Building and comparing configurations.

use crate::eraftpb::ConfState;

impl<Voters, Learners> From<(Voters, Learners)> for ConfState
where
    Voters: IntoIterator<Item = u64>,
    Learners: IntoIterator<Item = u64>,
{
    fn from((voters, learners): (Voters, Learners)) -> Self {
        Self {
            voters: voters.into_iter().collect(),
            learners: learners.into_iter().collect(),
            ..Self::default()
        }
    }
}

/// Whether both describe the same configuration; the order within a list says nothing.
#[must_use]
pub fn conf_state_eq(a: &ConfState, b: &ConfState) -> bool {
    a.auto_leave == b.auto_leave
        && same_members(&a.voters, &b.voters)
        && same_members(&a.learners, &b.learners)
        && same_members(&a.voters_outgoing, &b.voters_outgoing)
        && same_members(&a.learners_next, &b.learners_next)
}

fn same_members(a: &[u64], b: &[u64]) -> bool {
    // Equal lists are the usual case and need no search.
    a == b || (a.iter().all(|id| b.contains(id)) && b.iter().all(|id| a.contains(id)))
}
