//! The enumerations. Their numbers are the published ones.

enumeration! {
    /// What an entry of the log is.
    EntryType {
        /// A change of the replicated state, or nothing: a new leader's first entry is empty.
        EntryNormal = 0,
        /// A [`super::ConfChange`].
        EntryConfChange = 1,
        /// A [`super::ConfChangeV2`].
        EntryConfChangeV2 = 2,
    }
}

enumeration! {
    /// What a message asks or answers. Those marked *local* never leave a server.
    MessageType {
        /// Local: start an election.
        MsgHup = 0,
        /// Local: send heartbeats.
        MsgBeat = 1,
        /// Append these entries to the log, if you lead.
        MsgPropose = 2,
        /// The leader's entries.
        MsgAppend = 3,
        /// How far the sender's log now agrees, or from where it does not.
        MsgAppendResponse = 4,
        /// A candidate asks for a vote.
        MsgRequestVote = 5,
        /// The vote.
        MsgRequestVoteResponse = 6,
        /// The leader's snapshot, for a log too far behind.
        MsgSnapshot = 7,
        /// The leader is alive.
        MsgHeartbeat = 8,
        /// So is the sender.
        MsgHeartbeatResponse = 9,
        /// Local: a message did not arrive.
        MsgUnreachable = 10,
        /// Local: a snapshot arrived or did not.
        MsgSnapStatus = 11,
        /// Local: does a quorum still answer?
        MsgCheckQuorum = 12,
        /// Hand leadership to the sender.
        MsgTransferLeader = 13,
        /// Start an election without waiting.
        MsgTimeoutNow = 14,
        /// Ask for an index at which a read is current.
        MsgReadIndex = 15,
        /// That index.
        MsgReadIndexResp = 16,
        /// Would you vote for me?
        MsgRequestPreVote = 17,
        /// The answer, binding nobody.
        MsgRequestPreVoteResponse = 18,
    }
}

enumeration! {
    /// How to get from one configuration to the next.
    ConfChangeTransition {
        /// At once if a single member changes, else as [`ConfChangeTransition::Implicit`].
        Auto = 0,
        /// Through a joint configuration, left as soon as it is safe.
        Implicit = 1,
        /// Through a joint configuration, left by a further change.
        Explicit = 2,
    }
}

enumeration! {
    /// What happens to one member.
    ConfChangeType {
        /// It becomes a voter.
        AddNode = 0,
        /// It leaves.
        RemoveNode = 1,
        /// It becomes a learner: it gets the log but has no vote.
        AddLearnerNode = 2,
    }
}
