//! Who belongs to the ensemble, as consensus counts them.

use protobuf::Message as _;
use raft::eraftpb::ConfState;

/// The members at some index of the log. While they change there are two sets of voters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Members(ConfState);

/// Starts an encoding; older ones start with a voter's id, which is never 0.
const VERSION: [u8; 2] = [0, 1];

impl Members {
    /// A settled set: voters, and observers that do not vote.
    pub(crate) fn new(voters: &[u64], observers: &[u64]) -> Self {
        Members(ConfState::from((voters.to_vec(), observers.to_vec())))
    }

    /// Whether this member is all there is.
    pub(crate) fn is_only(&self, member: u64) -> bool {
        self.0.get_voters() == [member]
            && self.0.get_learners().is_empty()
            && self.0.get_voters_outgoing().is_empty()
    }

    /// The bytes that a snapshot carries.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let state = self.0.write_to_bytes().expect("encoding into memory does not fail");
        [&VERSION[..], &state].concat()
    }

    /// The members of [`Members::encode`]; `None` if these are not such bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        if let Some(state) = bytes.strip_prefix(&VERSION) {
            let mut members = ConfState::default();
            members.merge_from_bytes(state).ok()?;
            return Some(Members(members));
        }
        // Before there were other members than voters.
        let (ids, rest) = bytes.as_chunks::<8>();
        let voters: Vec<u64> = ids.iter().map(|id| u64::from_le_bytes(*id)).collect();
        let is_plausible = rest.is_empty() && !voters.is_empty() && !voters.contains(&0);
        is_plausible.then(|| Members::new(&voters, &[]))
    }
}

impl From<Members> for ConfState {
    fn from(members: Members) -> Self {
        members.0
    }
}

impl From<&ConfState> for Members {
    fn from(state: &ConfState) -> Self {
        Members(state.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_out_as_they_went_in_and_odd_bytes_do_not() {
        let joint = ConfState {
            voters: vec![1, 2],
            voters_outgoing: vec![1, 300],
            learners: vec![4],
            learners_next: vec![300],
            auto_leave: true,
        };
        for members in [Members::new(&[1, 2, 3], &[4]), Members(joint)] {
            assert_eq!(Members::decode(&members.encode()), Some(members));
        }
        let older = [1_u64.to_le_bytes(), 300_u64.to_le_bytes()].concat();
        assert_eq!(Members::decode(&older), Some(Members::new(&[1, 300], &[])));
        for odd in [&b""[..], &[1, 2, 3], &[0; 8], &[0, 2, 1]] {
            assert_eq!(Members::decode(odd), None, "{odd:?}");
        }
    }
}
