//! Every message with random content goes through its encoding and back, and no input panics.

use bytes::Bytes;
use protobuf::{Message as Codec, ProtobufError, WireError};

use crate::eraftpb::{
    ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState,
    Entry, EntryType, HardState, Message, MessageType, Snapshot, SnapshotMetadata,
};
use crate::wire::MAX_LIST;

/// A small reproducible generator (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Numbers of every length, zero among them.
    fn number(&mut self) -> u64 {
        let shift = self.below(65);
        self.next().checked_shr(shift as u32).unwrap_or(0)
    }

    fn flag(&mut self) -> bool {
        self.below(2) == 1
    }

    fn bytes(&mut self) -> Bytes {
        let length = self.below(200);
        (0..length).map(|_| self.next() as u8).collect()
    }

    fn list<T>(&mut self, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let length = self.below(5);
        (0..length).map(|_| make(self)).collect()
    }

    fn entry(&mut self) -> Entry {
        let types =
            [EntryType::EntryNormal, EntryType::EntryConfChange, EntryType::EntryConfChangeV2];
        Entry {
            entry_type: types[self.below(3) as usize],
            term: self.number(),
            index: self.number(),
            data: self.bytes(),
            context: self.bytes(),
            sync_log: self.flag(),
        }
    }

    fn conf_state(&mut self) -> ConfState {
        ConfState {
            voters: self.list(Self::number),
            learners: self.list(Self::number),
            voters_outgoing: self.list(Self::number),
            learners_next: self.list(Self::number),
            auto_leave: self.flag(),
        }
    }

    fn metadata(&mut self) -> SnapshotMetadata {
        let mut metadata = SnapshotMetadata::default();
        metadata.set_index(self.number());
        metadata.set_term(self.number());
        if self.flag() {
            metadata.set_conf_state(self.conf_state());
        }
        metadata
    }

    fn snapshot(&mut self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.set_data(self.bytes());
        if self.flag() {
            snapshot.set_metadata(self.metadata());
        }
        snapshot
    }

    fn message(&mut self) -> Message {
        let mut message = Message::default();
        let number = [8, self.below(19) as u8];
        message.merge_from_bytes(&number).unwrap();
        message.to = self.number();
        message.from = self.number();
        message.term = self.number();
        message.log_term = self.number();
        message.index = self.number();
        message.entries = self.list(Self::entry);
        message.commit = self.number();
        message.commit_term = self.number();
        message.request_snapshot = self.number();
        message.reject = self.flag();
        message.reject_hint = self.number();
        message.context = self.bytes();
        message.deprecated_priority = self.number();
        message.priority = self.number().cast_signed();
        if self.flag() {
            message.set_snapshot(self.snapshot());
        }
        message
    }

    fn hard_state(&mut self) -> HardState {
        HardState { term: self.number(), vote: self.number(), commit: self.number() }
    }

    fn change_type(&mut self) -> ConfChangeType {
        let types =
            [ConfChangeType::AddNode, ConfChangeType::RemoveNode, ConfChangeType::AddLearnerNode];
        types[self.below(3) as usize]
    }

    fn change(&mut self) -> ConfChange {
        ConfChange {
            id: self.number(),
            change_type: self.change_type(),
            node_id: self.number(),
            context: self.bytes(),
        }
    }

    fn step(&mut self) -> ConfChangeSingle {
        ConfChangeSingle { change_type: self.change_type(), node_id: self.number() }
    }

    fn change_v2(&mut self) -> ConfChangeV2 {
        let transitions = [
            ConfChangeTransition::Auto,
            ConfChangeTransition::Implicit,
            ConfChangeTransition::Explicit,
        ];
        ConfChangeV2 {
            transition: transitions[self.below(3) as usize],
            changes: self.list(Self::step),
            context: self.bytes(),
        }
    }
}

/// Encodes and decodes values, whole, cut short at every place, and with one byte replaced.
fn survives<T>(mut make: impl FnMut(&mut Random) -> T)
where
    T: Codec + Clone + PartialEq + std::fmt::Debug,
{
    let mut random = Random(11);
    for _ in 0..300 {
        let value = make(&mut random);
        let bytes = value.write_to_bytes().unwrap();
        assert_eq!(value.compute_size() as usize, bytes.len());
        assert_eq!(T::parse_from_bytes(&bytes).unwrap(), value);
        for end in 0..bytes.len() {
            // A cut between two fields leaves a valid, shorter message.
            if let Ok(shorter) = T::parse_from_bytes(&bytes[..end]) {
                assert_ne!(shorter.write_to_bytes().unwrap(), bytes);
            }
        }
        let mut damaged = bytes;
        for _ in 0..damaged.len().min(50) {
            let place = random.below(damaged.len() as u64) as usize;
            damaged[place] = random.next() as u8;
            let _ = T::parse_from_bytes(&damaged);
        }
    }
}

#[test]
fn every_message_survives_its_encoding() {
    survives(Random::entry);
    survives(Random::conf_state);
    survives(Random::metadata);
    survives(Random::snapshot);
    survives(Random::message);
    survives(Random::hard_state);
    survives(Random::change);
    survives(Random::step);
    survives(Random::change_v2);
}

#[test]
fn the_bytes_are_those_of_the_published_crate() {
    let entry = Entry { term: 1, index: 300, data: "x".into(), ..Entry::default() };
    assert_eq!(entry.write_to_bytes().unwrap(), [0x10, 1, 0x18, 0xac, 2, 0x22, 1, b'x']);
    let state = ConfState { voters: vec![1, 300], auto_leave: true, ..ConfState::default() };
    assert_eq!(state.write_to_bytes().unwrap(), [0x08, 1, 0x08, 0xac, 2, 0x28, 1]);
    let mut message = Message::default();
    message.set_priority(-1);
    let minus_one = [0x80, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    assert_eq!(message.write_to_bytes().unwrap(), minus_one);
    let mut snapshot = Snapshot::default();
    snapshot.mut_metadata();
    assert_eq!(snapshot.write_to_bytes().unwrap(), [0x12, 0]);
}

#[test]
fn unknown_fields_are_skipped() {
    let bytes = [0x98, 6, 1, 0x99, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0x9a, 6, 1, 7, 0x9d, 6, 0, 0, 0, 0];
    assert_eq!(HardState::parse_from_bytes(&bytes), Ok(HardState::default()));
    let with_commit = [&bytes[..], &[0x18, 5]].concat();
    assert_eq!(HardState::parse_from_bytes(&with_commit).unwrap().commit, 5);
}

#[test]
fn numbers_of_a_list_may_come_in_blocks() {
    let state = ConfState::parse_from_bytes(&[0x08, 1, 0x0a, 2, 2, 3, 0x08, 4]).unwrap();
    assert_eq!(state.voters, [1, 2, 3, 4]);
}

#[test]
fn broken_rules_are_named() {
    let error = |bytes: &[u8]| match Message::parse_from_bytes(bytes) {
        Err(ProtobufError::WireError(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(error(&[0x10]), WireError::UnexpectedEof);
    assert_eq!(error(&[0x62, 5, 1]), WireError::UnexpectedEof);
    // A length close to the end of the address space must not be added to anything.
    let huge = [0x62, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    assert_eq!(error(&huge), WireError::UnexpectedEof);
    assert_eq!(error(&[[0x10].as_slice(), &[0xff; 10]].concat()), WireError::IncorrectVarint);
    assert_eq!(error(&[0x03]), WireError::IncorrectTag(3));
    assert_eq!(error(&[0x00]), WireError::IncorrectTag(0));
    assert_eq!(error(&[0x12, 0]), WireError::UnexpectedWireType(2));
    assert_eq!(error(&[0x08, 19]), WireError::InvalidEnumValue(19));
}

#[test]
fn a_list_without_end_is_refused() {
    let entries = [0x3a, 0].repeat(MAX_LIST + 1);
    let refused = Message::parse_from_bytes(&entries);
    assert_eq!(refused, Err(WireError::ListTooLong.into()));
    assert_eq!(Message::parse_from_bytes(&entries[2..]).unwrap().entries.len(), MAX_LIST);
}

#[test]
fn nested_messages_are_absent_until_touched() {
    let mut message = Message::default();
    assert!(!message.has_snapshot());
    assert!(message.get_snapshot().is_empty());
    message.mut_snapshot().mut_metadata().set_index(3);
    assert!(message.has_snapshot() && !message.get_snapshot().is_empty());
    assert_eq!(message.take_snapshot().take_metadata().index, 3);
    assert!(!message.has_snapshot());
    assert_eq!(MessageType::default(), MessageType::MsgHup);
}
