//! Watches over links: set again before anything else, taken back when nobody waits.

use tenure_wire::{
    ErrorCode, EventType, OpCode, Reader, Request, Response, SET_WATCHES_XID, Stat, Xid,
};

use super::lab::{Lab, Sent};
use crate::machine::{Event, EventKind, WatchKind};
use crate::status::LostReason;

fn get_and_watch(lab: &mut Lab, path: &str, number: u32) {
    let request = Request::GetData { path: path.into(), watch: true };
    lab.submit_watching(&request, number, Some((WatchKind::Data, path)));
}

fn answer(lab: &mut Lab) {
    let sent = lab.sent();
    for Sent { xid, op, .. } in sent {
        match op {
            OpCode::GetData => lab.reply(xid, Response::Data { data: None, stat: Stat::default() }),
            OpCode::AddWatch => lab.reply(xid, Response::ErrorCode(0)),
            OpCode::RemoveWatches => lab.reply(xid, Response::Empty),
            other => panic!("{other}"),
        }
    }
}

fn add_watch(lab: &mut Lab, path: &str, number: u32) {
    let request = Request::AddWatch { path: path.into(), mode: 1 };
    lab.submit_watching(&request, number, Some((WatchKind::Recursive, path)));
}

#[test]
fn a_one_time_watch_fires_once_and_an_older_notification_is_not_its_own() {
    let mut lab = Lab::established();
    get_and_watch(&mut lab, "/a", 1);
    let sent = lab.sent();
    lab.notify(EventType::NodeDataChanged, "/a");
    assert!(lab.notified.is_empty(), "the watch is not set before its reply");
    lab.reply(sent[0].xid, Response::Data { data: None, stat: Stat::default() });
    lab.notify(EventType::NodeDataChanged, "/a");
    lab.notify(EventType::NodeDataChanged, "/a");
    assert_eq!(lab.notified.len(), 1);
    assert!(lab.notified[0].2, "it was the last");
}

#[test]
fn watches_are_set_again_before_requests_and_persistent_watchers_told_of_the_gap() {
    let mut lab = Lab::established();
    get_and_watch(&mut lab, "/a", 1);
    add_watch(&mut lab, "/tree", 2);
    answer(&mut lab);
    lab.submit(&Request::Sync { path: "/".into() }, 3);
    lab.lose_link();
    lab.reopen();
    lab.establish();
    let sent = lab.sent();
    assert_eq!((sent[0].xid, sent[0].op), (SET_WATCHES_XID, OpCode::SetWatches2));
    assert_eq!(sent[1].op, OpCode::Sync);
    let mut reader = Reader::new(&sent[0].body);
    assert_eq!(reader.i64(), Ok(12), "up to where nothing was missed");
    assert_eq!(reader.texts().unwrap(), ["/a"]);
    assert!(lab.notified.is_empty());
    lab.notify(EventType::NodeDataChanged, "/a");
    lab.reply(SET_WATCHES_XID, Response::Empty);
    let gap = Event { kind: EventKind::Gap, path: "/tree".into(), zxid: None };
    assert_eq!(lab.notified.len(), 2);
    assert_eq!(lab.notified[1], (2, gap, false));
}

#[test]
fn thousands_of_watches_are_set_again_in_frames_within_the_limit() {
    let mut lab = Lab::established();
    let long = "x".repeat(200);
    for number in 0..5_000 {
        get_and_watch(&mut lab, &format!("/{long}{number}"), number);
    }
    while lab.machine.has_to_transmit(lab.now()) {
        answer(&mut lab);
    }
    lab.lose_link();
    lab.reopen();
    lab.establish();
    let mut paths = 0;
    while lab.machine.has_to_transmit(lab.now()) {
        for sent in lab.sent() {
            assert_eq!(sent.op, OpCode::SetWatches);
            assert!(sent.body.len() < 70_000, "{}", sent.body.len());
            let mut reader = Reader::new(&sent.body);
            reader.i64().unwrap();
            paths += reader.texts().unwrap().len();
        }
    }
    assert_eq!(paths, 5_000);
}

#[test]
fn the_servers_watch_goes_with_its_last_watcher() {
    let mut lab = Lab::established();
    get_and_watch(&mut lab, "/a", 1);
    get_and_watch(&mut lab, "/a", 2);
    answer(&mut lab);
    lab.machine.drop_watch("/a", 1);
    assert!(lab.sent().is_empty());
    lab.machine.drop_watch("/a", 2);
    let sent = lab.sent();
    assert_eq!(sent[0].op, OpCode::RemoveWatches);
    lab.refuse(sent[0].xid, ErrorCode::NoWatcher);
    lab.machine.drop_watch("/a", 2);
    assert!(lab.sent().is_empty());
}

#[test]
fn a_watch_is_not_removed_under_a_request_that_counts_on_it() {
    let mut lab = Lab::established();
    get_and_watch(&mut lab, "/a", 1);
    answer(&mut lab);
    get_and_watch(&mut lab, "/a", 2);
    let second = lab.sent();
    lab.machine.drop_watch("/a", 1);
    assert!(lab.sent().is_empty(), "it would remove the second watch too");
    lab.reply(second[0].xid, Response::Data { data: None, stat: Stat::default() });
    lab.notify(EventType::NodeDeleted, "/a");
    assert!(matches!(lab.notified[..], [(2, _, true)]));
}

#[test]
fn a_watch_dropped_before_its_request_was_answered_is_removed_then() {
    let mut lab = Lab::established();
    get_and_watch(&mut lab, "/a", 1);
    let sent = lab.sent();
    lab.machine.drop_watch("/a", 1);
    assert!(lab.sent().is_empty());
    lab.reply(sent[0].xid, Response::Data { data: None, stat: Stat::default() });
    assert_eq!(lab.sent_ops(), [OpCode::RemoveWatches]);
}

#[test]
fn exists_waits_for_what_is_missing_and_failed_reads_for_nothing() {
    let mut lab = Lab::established();
    let exists = Request::Exists { path: "/a".into(), watch: true };
    lab.submit_watching(&exists, 1, Some((WatchKind::Data, "/a")));
    get_and_watch(&mut lab, "/b", 2);
    lab.sent();
    lab.refuse(Xid(1), ErrorCode::NoNode);
    lab.refuse(Xid(2), ErrorCode::NoNode);
    assert!(matches!(&lab.finished[0], (1, Ok(reply)) if reply.code == ErrorCode::NoNode.code()));
    lab.notify(EventType::NodeCreated, "/b");
    assert!(lab.notified.is_empty());
    lab.lose_link();
    lab.reopen();
    lab.establish();
    let sent = lab.sent();
    let mut reader = Reader::new(&sent[0].body);
    reader.i64().unwrap();
    assert!(reader.texts().unwrap().is_empty(), "no data watch");
    assert_eq!(reader.texts().unwrap(), ["/a"], "but one for its existence");
}

#[test]
fn every_watch_ends_with_the_session() {
    let mut lab = Lab::established();
    get_and_watch(&mut lab, "/a", 1);
    add_watch(&mut lab, "/b", 2);
    answer(&mut lab);
    lab.machine.leave();
    lab.act();
    assert_eq!(lab.ended, [(1, LostReason::Left), (2, LostReason::Left)]);
}
