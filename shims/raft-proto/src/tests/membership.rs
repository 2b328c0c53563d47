//! Configurations and changes of them.

use crate::eraftpb::{ConfChange, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState};
use crate::{
    ConfChangeI, conf_state_eq, new_conf_change_single, parse_conf_change, stringify_conf_change,
};

#[test]
fn changes_are_read_and_written_as_words() {
    let steps = parse_conf_change("  v1 l2\tr18446744073709551615 ").unwrap();
    assert_eq!(steps[1], new_conf_change_single(2, ConfChangeType::AddLearnerNode));
    assert_eq!(stringify_conf_change(&steps), "v1 l2 r18446744073709551615");
    assert_eq!(parse_conf_change(" "), Ok(vec![]));
    for bad in ["x1", "v", "vv1", "v-1", "v18446744073709551616", "\u{e9}1"] {
        assert!(parse_conf_change(bad).unwrap_err().contains(bad), "{bad}");
    }
}

#[test]
fn order_does_not_tell_configurations_apart_but_members_do() {
    let state = |voters: &[u64]| ConfState::from((voters.to_vec(), [7]));
    assert!(conf_state_eq(&state(&[1, 2, 3]), &state(&[3, 1, 2])));
    assert!(!conf_state_eq(&state(&[1, 2, 3]), &state(&[1, 2])));
    assert!(!conf_state_eq(&state(&[1, 2]), &state(&[1, 2, 3])));
    let leaving = ConfState { auto_leave: true, ..state(&[1]) };
    assert!(!conf_state_eq(&leaving, &state(&[1])));
    let joint = ConfState { voters_outgoing: vec![1], ..state(&[1]) };
    assert!(!conf_state_eq(&joint, &state(&[1])));
}

#[test]
fn an_old_change_becomes_a_new_one_with_one_step() {
    let mut old = ConfChange { id: 9, node_id: 4, ..ConfChange::default() };
    old.set_change_type(ConfChangeType::RemoveNode);
    old.set_context("why".into());
    let new = old.as_v2().into_owned();
    assert_eq!(new.changes, [new_conf_change_single(4, ConfChangeType::RemoveNode)]);
    assert_eq!(new.get_context(), b"why");
    assert_eq!(old.as_v1(), Some(&old));
    assert_eq!(new.as_v1(), None);
    assert_eq!(old.into_v2(), new);
}

#[test]
fn joint_configurations_are_entered_for_many_steps_or_on_request() {
    let change = |steps: &str, transition| ConfChangeV2 {
        changes: parse_conf_change(steps).unwrap(),
        transition,
        ..ConfChangeV2::default()
    };
    use ConfChangeTransition::{Auto, Explicit, Implicit};
    assert_eq!(change("v1", Auto).enter_joint(), None);
    assert_eq!(change("v1 v2", Auto).enter_joint(), Some(true));
    assert_eq!(change("v1", Implicit).enter_joint(), Some(true));
    assert_eq!(change("v1 v2", Explicit).enter_joint(), Some(false));
    assert!(change("", Auto).leave_joint());
    assert!(!change("", Explicit).leave_joint());
    assert!(!change("v1", Auto).leave_joint());
}
