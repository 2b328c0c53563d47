//! Requests over time: their order, what a lost link does to them, and pings in front of them.

use tenure_wire::{OpCode, PING_XID, Request, Response, Stat, Xid, Zxid};

use super::lab::{Lab, TIMEOUT_MS, at, get, set};
use crate::machine::{Failure, Interruption, Submission, encode};

#[test]
fn requests_wait_for_the_session_and_go_in_order() {
    let mut lab = Lab::with(|_| {});
    lab.submit(&set("/a"), 1);
    lab.submit(&get("/a"), 2);
    assert!(lab.transmit().is_empty());
    lab.establish();
    assert_eq!(lab.sent_ops(), [OpCode::SetData, OpCode::GetData]);
    lab.reply(Xid(1), Response::Stat(Stat::default()));
    lab.reply(Xid(2), Response::Data { data: None, stat: Stat::default() });
    assert_eq!(lab.finished.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(lab.machine.last_zxid(), Zxid(12));
}

#[test]
fn a_ping_goes_before_whatever_the_application_has_queued() {
    let mut lab = Lab::established();
    for number in 0..1000 {
        lab.submit(&set("/a"), number);
    }
    let mut bytes = Vec::new();
    lab.machine.transmit(lab.now(), &mut bytes, 100);
    assert!(bytes.len() < 200, "no more than was asked for");
    // Nothing is answered; writes are on their way, so that a ping is due a third later.
    lab.pass(TIMEOUT_MS / 3);
    let sent = lab.sent();
    assert_eq!(sent[0].xid, PING_XID);
    assert!(sent.len() > 900);
}

#[test]
fn a_request_may_be_given_up_at_a_deadline_of_its_own() {
    let mut lab = Lab::established();
    let submit = |lab: &mut Lab, request: &Request<'_>, number, deadline| {
        let (op, frame) = (request.op(), encode(request));
        let deadline = Some(at(deadline));
        let (completion, watch) = (Some(number), None);
        lab.machine.submit(Submission { op, frame, completion, watch, deadline });
    };
    submit(&mut lab, &set("/a"), 1, 10);
    submit(&mut lab, &get("/a"), 2, 20);
    lab.sent();
    submit(&mut lab, &set("/b"), 3, 15);
    lab.pass(30);
    let cause = Interruption::TimedOut;
    let given_up = |sent| Err(Failure::Interrupted { sent, cause: cause.clone() });
    assert_eq!(lab.finished, [(1, given_up(true)), (3, given_up(false)), (2, given_up(false))]);
    // The late replies are taken all the same, and the one in the middle was never sent.
    lab.reply(Xid(1), Response::Stat(Stat::default()));
    lab.reply(Xid(2), Response::Data { data: None, stat: Stat::default() });
    assert!(lab.sent_ops().is_empty());
    assert_eq!(lab.finished.len(), 3);
}

#[test]
fn the_next_link_gets_the_newest_zxid_seen_in_replies() {
    let mut lab = Lab::established();
    lab.submit(&get("/a"), 1);
    lab.sent();
    lab.zxid = 41;
    lab.reply(Xid(1), Response::Data { data: None, stat: Stat::default() });
    lab.zxid = 90;
    lab.notify(tenure_wire::EventType::NodeCreated, "/b");
    lab.lose_link();
    lab.reopen();
    assert_eq!(lab.connect().last_zxid_seen, Zxid(42));
}
