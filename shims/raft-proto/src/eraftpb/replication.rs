//! The log and what servers tell each other about it.

use bytes::Bytes;

use super::{ConfState, EntryType, MessageType};

message! {
    /// One record of the log.
    Entry {
        /// What the data is.
        plain entry_type: EntryType = 1, get_entry_type, set_entry_type;
        /// The term of the leader that made it.
        plain term: u64 = 2, get_term, set_term;
        /// Its place in the log.
        plain index: u64 = 3, get_index, set_index;
        /// The payload.
        bytes data: Bytes = 4, get_data, set_data, mut_data, take_data;
        /// Bytes for the proposer's use.
        bytes context: Bytes = 6, get_context, set_context, mut_context, take_context;
        /// Unused; part of the published interface.
        plain sync_log: bool = 5, get_sync_log, set_sync_log;
    }
}

message! {
    /// The place in the log that a snapshot stands for.
    SnapshotMetadata {
        /// The configuration at that place.
        nested conf_state: ConfState = 1, get_conf_state, set_conf_state, mut_conf_state,
            take_conf_state, has_conf_state;
        /// The last index that the snapshot contains.
        plain index: u64 = 2, get_index, set_index;
        /// The term of the entry there.
        plain term: u64 = 3, get_term, set_term;
    }
}

message! {
    /// The replicated state at one index.
    Snapshot {
        /// The state, or what leads to it.
        bytes data: Bytes = 1, get_data, set_data, mut_data, take_data;
        /// The place in the log.
        nested metadata: SnapshotMetadata = 2, get_metadata, set_metadata, mut_metadata,
            take_metadata, has_metadata;
    }
}

impl Snapshot {
    /// Whether this stands for no place in the log at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.get_metadata().index == 0
    }
}

message! {
    /// What one server tells another. Which fields mean something depends on the type.
    Message {
        /// What is asked or answered.
        plain msg_type: MessageType = 1, get_msg_type, set_msg_type;
        /// The receiver.
        plain to: u64 = 2, get_to, set_to;
        /// The sender.
        plain from: u64 = 3, get_from, set_from;
        /// The sender's term; zero in local messages.
        plain term: u64 = 4, get_term, set_term;
        /// The term of the entry at `index`.
        plain log_term: u64 = 5, get_log_term, set_log_term;
        /// The index that the message is about.
        plain index: u64 = 6, get_index, set_index;
        /// Entries to append after `index`.
        list entries: Entry = 7, get_entries, set_entries, mut_entries, take_entries;
        /// The sender's commit index.
        plain commit: u64 = 8, get_commit, set_commit;
        /// The term of the entry at `commit`.
        plain commit_term: u64 = 15, get_commit_term, set_commit_term;
        /// The snapshot to restore.
        nested snapshot: Snapshot = 9, get_snapshot, set_snapshot, mut_snapshot, take_snapshot,
            has_snapshot;
        /// The index from which a follower asks for a snapshot.
        plain request_snapshot: u64 = 13, get_request_snapshot, set_request_snapshot;
        /// Whether the answer is no.
        plain reject: bool = 10, get_reject, set_reject;
        /// Where a rejecting follower's log may agree.
        plain reject_hint: u64 = 11, get_reject_hint, set_reject_hint;
        /// Bytes for the use of whoever asked.
        bytes context: Bytes = 12, get_context, set_context, mut_context, take_context;
        /// The candidate's priority for receivers that know no `priority`.
        plain deprecated_priority: u64 = 14, get_deprecated_priority, set_deprecated_priority;
        /// The candidate's priority.
        plain priority: i64 = 16, get_priority, set_priority;
    }
}

message! {
    /// What a server must remember before it answers anybody.
    HardState {
        /// The newest term seen.
        plain term: u64 = 1, get_term, set_term;
        /// Who got this server's vote in that term; zero for nobody.
        plain vote: u64 = 2, get_vote, set_vote;
        /// The highest index known to be committed.
        plain commit: u64 = 3, get_commit, set_commit;
    }
}
