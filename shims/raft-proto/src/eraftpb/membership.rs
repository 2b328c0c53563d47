//! Who takes part: configurations and changes of them.

use bytes::Bytes;

use super::{ConfChangeTransition, ConfChangeType};

message! {
    /// A configuration of the ensemble.
    ConfState {
        /// The voters.
        list voters: u64 = 1, get_voters, set_voters, mut_voters, take_voters;
        /// The members that only receive.
        list learners: u64 = 2, get_learners, set_learners, mut_learners, take_learners;
        /// The voters of the configuration being left; not empty only in a joint one.
        list voters_outgoing: u64 = 3, get_voters_outgoing, set_voters_outgoing,
            mut_voters_outgoing, take_voters_outgoing;
        /// The outgoing voters that become learners once the joint configuration is left.
        list learners_next: u64 = 4, get_learners_next, set_learners_next,
            mut_learners_next, take_learners_next;
        /// Whether the joint configuration is left without being asked.
        plain auto_leave: bool = 5, get_auto_leave, set_auto_leave;
    }
}

message! {
    /// A change of one member, older generation.
    ConfChange {
        /// A number for the proposer's use.
        plain id: u64 = 1, get_id, set_id;
        /// What happens to the member.
        plain change_type: ConfChangeType = 2, get_change_type, set_change_type;
        /// The member.
        plain node_id: u64 = 3, get_node_id, set_node_id;
        /// Bytes for the proposer's use.
        bytes context: Bytes = 4, get_context, set_context, mut_context, take_context;
    }
}

message! {
    /// One step of a [`ConfChangeV2`].
    ConfChangeSingle {
        /// What happens to the member.
        plain change_type: ConfChangeType = 1, get_change_type, set_change_type;
        /// The member.
        plain node_id: u64 = 2, get_node_id, set_node_id;
    }
}

message! {
    /// Any change of a configuration; without steps it leaves a joint one.
    ConfChangeV2 {
        /// Whether to go through a joint configuration.
        plain transition: ConfChangeTransition = 1, get_transition, set_transition;
        /// The steps, which take effect together.
        list changes: ConfChangeSingle = 2, get_changes, set_changes, mut_changes, take_changes;
        /// Bytes for the proposer's use.
        bytes context: Bytes = 3, get_context, set_context, mut_context, take_context;
    }
}
