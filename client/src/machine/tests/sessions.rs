//! Establishing, keeping, losing and closing sessions; what may be believed meanwhile.

use std::time::Duration;

use tenure_wire::{
    AUTH_XID, Account, ConnectRequest, ConnectResponse, EndedBy, ErrorCode, OpCode, PING_XID,
    Response, SessionId, Stat, TENURE_PASSWORD, TENURE_PROTOCOL, Zxid,
};

use super::lab::{Lab, PASSWORD, SESSION, TIMEOUT_MS, at, get, set};
use crate::machine::{Failure, Host, Interruption};
use crate::status::{LinkFault, Liveness, LostReason, Risk, State};
use crate::token::SessionToken;

const MARGIN_MS: u64 = TIMEOUT_MS / 100;

#[test]
fn a_session_goes_through_its_states_by_name() {
    let mut lab = Lab::with(|_| {});
    let connect = lab.connect();
    assert_eq!((connect.session, connect.timeout_ms), (SessionId(0), TIMEOUT_MS as i32));
    assert_eq!(lab.machine.valid_until(), None);
    lab.ms = 5;
    lab.confirm(SESSION, TIMEOUT_MS as i32);
    let token = lab.machine.token().unwrap();
    assert_eq!((token.id, token.password), (SESSION, PASSWORD));
    lab.machine.close(Some(1), lab.now());
    lab.act();
    let sent = lab.sent();
    assert_eq!(sent[0].op, OpCode::CloseSession);
    assert_eq!(lab.machine.valid_until(), None, "what is being closed is not believed in");
    lab.reply(sent[0].xid, Response::Empty);
    assert!(matches!(lab.finished[..], [(1, Ok(_))]));
    assert!(lab.machine.is_over());
    let changes = [
        (State::Connecting, Liveness::Establishing),
        (State::Connected, Liveness::Live),
        (State::Closed, Liveness::Lost(LostReason::Closed)),
    ];
    assert_eq!(lab.changes, changes);
}

#[test]
fn the_deadline_counts_from_when_packets_were_sent_not_answered() {
    let mut lab = Lab::with(|_| {});
    lab.connect();
    lab.ms = 400;
    lab.confirm(SESSION, TIMEOUT_MS as i32);
    assert_eq!(lab.machine.valid_until(), Some(at(TIMEOUT_MS - MARGIN_MS)));
    lab.pass(TIMEOUT_MS);
    assert_eq!(lab.ms, TIMEOUT_MS / 3, "then a ping is due");
    assert_eq!(lab.sent_ops(), [OpCode::Ping]);
    lab.ms += 300;
    lab.reply(PING_XID, Response::Empty);
    let until = at(TIMEOUT_MS / 3 + TIMEOUT_MS - MARGIN_MS);
    assert_eq!(lab.machine.valid_until(), Some(until));
}

#[test]
fn writes_vouch_and_reads_do_not() {
    let mut lab = Lab::established();
    lab.ms = 500;
    lab.submit(&get("/a"), 1);
    let read = lab.sent().remove(0);
    lab.ms = 600;
    lab.reply(read.xid, Response::Data { data: None, stat: Stat::default() });
    assert_eq!(lab.machine.valid_until(), Some(at(TIMEOUT_MS - MARGIN_MS)));
    lab.submit(&set("/a"), 2);
    let write = lab.sent().remove(0);
    lab.ms = 700;
    lab.reply(write.xid, Response::Stat(Stat::default()));
    assert_eq!(lab.machine.valid_until(), Some(at(600 + TIMEOUT_MS - MARGIN_MS)));
    lab.submit(&set("/a"), 3);
    let refused = lab.sent().remove(0);
    lab.refuse(refused.xid, ErrorCode::BadVersion);
    assert_eq!(lab.machine.valid_until(), Some(at(600 + TIMEOUT_MS - MARGIN_MS)));
}

#[test]
fn reads_alone_do_not_keep_pings_away() {
    let mut lab = Lab::established();
    for number in 0..20 {
        lab.submit(&get("/a"), number);
        let mut sent = lab.sent();
        let is_due = lab.ms >= TIMEOUT_MS / 3;
        assert_eq!(sent[0].op == OpCode::Ping, is_due, "{} ms", lab.ms);
        if is_due {
            return;
        }
        lab.reply(sent.remove(0).xid, Response::Data { data: None, stat: Stat::default() });
        lab.pass(100);
    }
    panic!("no ping was ever sent");
}

#[test]
fn a_silent_server_is_a_risk_then_left_then_the_session_is_lost_at_its_deadline() {
    let mut lab = Lab::with(|settings| {
        settings.hosts.push(Host { name: "two".to_owned(), port: 2 });
    });
    lab.establish();
    lab.pass(TIMEOUT_MS);
    assert_eq!(lab.sent_ops(), [OpCode::Ping]);
    lab.pass(TIMEOUT_MS / 6);
    let until = at(TIMEOUT_MS - MARGIN_MS);
    let silent = Liveness::AtRisk { until, cause: Risk::Silent };
    assert_eq!(lab.changes.last(), Some(&(State::Connected, silent)));
    lab.pass(TIMEOUT_MS / 6);
    let fault = LinkFault::Silent { silent: Duration::from_millis(TIMEOUT_MS * 2 / 3) };
    let gone = Liveness::AtRisk { until, cause: Risk::Disconnected(fault) };
    assert_eq!(lab.changes.last(), Some(&(State::Connecting, gone)));
    lab.pass(TIMEOUT_MS / 3 - MARGIN_MS - 1);
    assert!(!lab.machine.liveness().is_lost());
    let tried: Vec<&str> = lab.opened.iter().map(|(_, host)| host.name.as_str()).collect();
    assert!(tried.len() > 2 && tried[1] != tried[0], "others are tried: {tried:?}");
    lab.pass(1);
    assert!(matches!(lab.lost_reason(), LostReason::DeadlinePassed { .. }));
    assert_eq!(lab.machine.state(), State::Closed);
    assert_eq!(lab.machine.next_deadline(), None);
}

#[test]
fn the_same_session_gets_back_to_live() {
    let mut lab = Lab::established();
    lab.ms = 1000;
    lab.lose_link();
    assert_eq!(lab.machine.state(), State::Connecting);
    lab.reopen();
    let (connect, sent_ms) = (lab.connect(), lab.ms);
    assert_eq!((connect.session, connect.last_zxid_seen), (SESSION, Zxid(0)));
    lab.confirm(SESSION, TIMEOUT_MS as i32);
    assert_eq!(lab.changes.last(), Some(&(State::Connected, Liveness::Live)));
    assert_eq!(lab.machine.valid_until(), Some(at(sent_ms + TIMEOUT_MS - MARGIN_MS)));
}

#[test]
fn a_session_that_the_server_does_not_know_is_lost() {
    let other = SessionId(SESSION.0 + 1);
    for answer in [
        ConnectResponse::refused(Some(false)),
        ConnectResponse { timeout_ms: 3000, session: other, ..ConnectResponse::default() },
    ] {
        let mut lab = Lab::established();
        lab.submit(&get("/a"), 1);
        lab.lose_link();
        lab.reopen();
        lab.connect();
        lab.shake(answer);
        let expired = LostReason::Expired { account: None };
        assert_eq!(*lab.lost_reason(), expired);
        let cause = Interruption::Lost(expired);
        let failed = Err(Failure::Interrupted { sent: false, cause });
        assert_eq!(lab.finished, [(1, failed.clone())]);
        lab.submit(&get("/a"), 2);
        assert_eq!(lab.finished.last(), Some(&(2, failed)));
    }
}

#[test]
fn a_process_that_was_paused_knows_that_it_was_at_fault() {
    let mut lab = Lab::established();
    lab.pass_with_pings(2_500, 1);
    lab.submit(&set("/a"), 1);
    lab.sent();
    lab.ms += 2 * TIMEOUT_MS;
    lab.machine.timeout_at(lab.now());
    lab.act();
    assert!(matches!(lab.lost_reason(), LostReason::Paused { paused } if paused.as_secs() >= 4));
    let failed = |lab: &Lab| {
        let cause = Interruption::Lost(lab.lost_reason().clone());
        [(1, Err(Failure::Interrupted { sent: true, cause }))]
    };
    assert_eq!(lab.finished, failed(&lab), "what was asked does not blame the link");
    // Also if the first it hears of is that the server hung up.
    let mut lab = Lab::established();
    lab.submit(&set("/a"), 1);
    lab.sent();
    lab.ms += 2 * TIMEOUT_MS;
    lab.lose_link();
    assert!(matches!(lab.lost_reason(), LostReason::Paused { .. }));
    assert_eq!(lab.finished, failed(&lab));
}

#[test]
fn an_answer_that_waited_out_a_pause_counts_from_when_it_was_asked_for() {
    let mut lab = Lab::established();
    lab.pass(TIMEOUT_MS);
    assert_eq!(lab.sent_ops(), [OpCode::Ping]);
    lab.ms = TIMEOUT_MS + 100;
    lab.reply(PING_XID, Response::Empty);
    let until = at(TIMEOUT_MS / 3 + TIMEOUT_MS - MARGIN_MS);
    assert_eq!(lab.machine.valid_until(), Some(until), "read before the clock was looked at");
}

#[test]
fn an_answer_that_comes_after_the_deadline_makes_nobody_believe_again() {
    let mut lab = Lab::established();
    lab.submit(&set("/a"), 1);
    let write = lab.sent().remove(0).xid;
    lab.pass(TIMEOUT_MS / 2);
    assert_eq!(lab.sent_ops(), [OpCode::Ping]);
    lab.pass(TIMEOUT_MS / 4);
    assert!(matches!(lab.machine.liveness(), Liveness::AtRisk { cause: Risk::Silent, .. }));
    let before = lab.changes.len();
    lab.ms = 2 * TIMEOUT_MS;
    lab.reply(write, Response::Stat(Stat::default()));
    assert_eq!(lab.changes.len(), before + 1, "{:?}", &lab.changes[before..]);
    assert!(matches!(lab.lost_reason(), LostReason::Paused { .. }));
}

#[test]
fn refused_writes_do_not_put_off_the_heartbeat() {
    let mut lab = Lab::established();
    for number in 0..20 {
        lab.pass(TIMEOUT_MS / 4);
        lab.submit(&set("/a"), number);
        for sent in lab.sent() {
            match sent.op {
                OpCode::Ping => lab.reply(PING_XID, Response::Empty),
                _ => lab.refuse(sent.xid, ErrorCode::NodeExists),
            }
        }
        for sent in lab.sent() {
            assert_eq!(sent.op, OpCode::Ping, "a refusal vouches for nothing");
            lab.reply(PING_XID, Response::Empty);
        }
    }
    assert_eq!(lab.changes.len(), 2, "never at risk: {:?}", lab.changes);
}

#[test]
fn a_session_that_is_confirmed_too_late_is_not_believed_in() {
    let mut lab = Lab::with(|_| {});
    lab.connect();
    // This process does not run until after the deadline of what it is about to hear.
    lab.ms += TIMEOUT_MS;
    lab.confirm(SESSION, TIMEOUT_MS as i32);
    assert_eq!(lab.states(), [State::Connecting], "it was never live: {:?}", lab.changes);
    lab.reopen();
    lab.establish();
    assert_eq!(*lab.machine.liveness(), Liveness::Live);
}

#[test]
fn an_idle_session_lives_on_heartbeats() {
    let mut lab = Lab::established();
    lab.pass_with_pings(100 * TIMEOUT_MS, 3);
    assert_eq!(lab.changes.len(), 2, "{:?}", lab.changes);
}

#[test]
fn refused_credentials_are_final() {
    let mut lab = Lab::established();
    lab.add_auth(1);
    lab.submit(&set("/a"), 2);
    assert_eq!(lab.sent_ops(), [OpCode::Auth, OpCode::SetData]);
    lab.refuse(AUTH_XID, ErrorCode::AuthFailed);
    assert_eq!(lab.machine.state(), State::AuthFailed);
    let reason = LostReason::AuthFailed { scheme: Some("digest".to_owned()) };
    assert_eq!(*lab.lost_reason(), reason);
    let cause = Interruption::Lost(reason);
    let unknown = Err(Failure::Interrupted { sent: true, cause });
    let refused = Err(Failure::Code(ErrorCode::AuthFailed.code()));
    assert_eq!(lab.finished, [(2, unknown), (1, refused)]);
    assert!(lab.machine.is_over());
}

#[test]
fn credentials_are_shown_again_on_every_link_before_requests() {
    let mut lab = Lab::established();
    lab.add_auth(1);
    lab.add_auth(2);
    assert_eq!(lab.sent_ops(), [OpCode::Auth, OpCode::Auth]);
    lab.reply(AUTH_XID, Response::Empty);
    assert!(matches!(lab.finished[..], [(1, Ok(_))]));
    lab.submit(&get("/a"), 3);
    lab.lose_link();
    lab.reopen();
    lab.establish();
    assert_eq!(lab.sent_ops(), [OpCode::Auth, OpCode::Auth, OpCode::GetData]);
    lab.reply(AUTH_XID, Response::Empty);
    assert_eq!(lab.finished.len(), 1, "the first was confirmed before");
    lab.reply(AUTH_XID, Response::Empty);
    assert!(matches!(lab.finished[..], [(1, Ok(_)), (2, Ok(_))]));
}

#[test]
fn requests_before_a_close_are_carried_out_and_none_after_it() {
    let mut lab = Lab::established();
    lab.submit(&set("/a"), 1);
    lab.machine.close(Some(2), lab.now());
    lab.machine.close(Some(3), lab.now());
    lab.act();
    lab.submit(&set("/a"), 4);
    let cause = Interruption::Lost(LostReason::Closed);
    let late = (4, Err(Failure::Interrupted { sent: false, cause }));
    assert_eq!(lab.finished, [late]);
    let sent = lab.sent();
    assert_eq!(
        sent.iter().map(|s| s.op).collect::<Vec<_>>(),
        [OpCode::SetData, OpCode::CloseSession]
    );
    lab.reply(sent[0].xid, Response::Stat(Stat::default()));
    lab.reply(sent[1].xid, Response::Empty);
    let done: Vec<u32> = lab.finished.iter().map(|(number, _)| *number).collect();
    assert_eq!(done, [4, 1, 2, 3]);
}

#[test]
fn a_close_without_a_link_looks_for_one_until_the_deadline() {
    let mut lab = Lab::established();
    lab.lose_link();
    lab.machine.close(Some(1), lab.now());
    lab.act();
    lab.reopen();
    lab.connect();
    lab.confirm(SESSION, TIMEOUT_MS as i32);
    let sent = lab.sent();
    assert_eq!(sent[0].op, OpCode::CloseSession);
    // The link breaks before the answer; the next server does not know the session any more.
    lab.lose_link();
    lab.reopen();
    lab.connect();
    lab.shake(ConnectResponse::refused(Some(false)));
    assert!(matches!(lab.finished[..], [(1, Ok(_))]), "{:?}", lab.finished);
    assert_eq!(
        lab.states(),
        [State::Connecting, State::Connected, State::Connecting, State::Closed]
    );

    let mut lab = Lab::established();
    lab.lose_link();
    lab.machine.close(Some(1), lab.now());
    lab.act();
    lab.pass(TIMEOUT_MS);
    assert!(lab.machine.is_over());
    let [(1, Err(Failure::Interrupted { sent: false, cause: Interruption::Link(_) }))] =
        &lab.finished[..]
    else {
        panic!("whoever closes learns that no server was told: {:?}", lab.finished)
    };
}

#[test]
fn a_token_resumes_and_is_not_believed_in_before_a_server_confirms_it() {
    let token = SessionToken::new(SESSION, PASSWORD, Duration::from_millis(2000));
    let mut lab = Lab::with(|settings| settings.resume = Some(token));
    assert_eq!(lab.machine.valid_until(), None);
    let connect = lab.connect();
    assert_eq!((connect.session, connect.timeout_ms), (SESSION, 2000));
    lab.confirm(SESSION, 2000);
    assert_eq!(lab.machine.valid_until(), Some(at(2000 - 20)));
}

#[test]
fn establishing_ends_at_its_limit_with_the_last_fault() {
    let mut lab = Lab::with(|settings| settings.establish_limit = Some(Duration::from_millis(500)));
    lab.lose_link();
    lab.pass(499);
    assert!(!lab.machine.is_over());
    lab.pass(1);
    let after = Duration::from_millis(500);
    assert!(matches!(
        lab.lost_reason(),
        LostReason::NotEstablished { after: limit, cause: Some(_) } if *limit == after
    ));
}

#[test]
fn a_session_that_is_left_is_not_closed() {
    let mut lab = Lab::established();
    lab.machine.leave();
    lab.act();
    assert_eq!(*lab.lost_reason(), LostReason::Left);
    assert_eq!(lab.link, None);
    assert!(lab.transmit().is_empty());
}

#[test]
fn a_server_that_cannot_write_vouches_for_nothing_and_its_session_is_its_own() {
    let mut lab = Lab::with(|settings| settings.read_only = true);
    assert_eq!(lab.connect().read_only, Some(true));
    lab.shake(read_only_session());
    assert_eq!(lab.machine.state(), State::ConnectedReadOnly);
    assert_eq!(lab.machine.valid_until(), None);
    lab.pass_with_pings(10 * TIMEOUT_MS, 1);
    assert_eq!(lab.machine.state(), State::ConnectedReadOnly, "pings keep the link");
    assert_eq!(lab.machine.valid_until(), None);
    lab.lose_link();
    lab.reopen();
    assert_eq!(lab.connect().session, SessionId(0), "no other server knows it");
    lab.confirm(SessionId(5), TIMEOUT_MS as i32);
    assert_eq!(lab.changes.last(), Some(&(State::Connected, Liveness::Live)));
    assert!(lab.machine.valid_until().is_some());
}

#[test]
fn at_a_server_that_cannot_write_one_that_can_is_looked_for() {
    let host = |name: &str| Host { name: name.to_owned(), port: 1 };
    let mut lab = Lab::with(|settings| {
        settings.read_only = true;
        settings.hosts = ["one", "two", "three"].map(host).to_vec();
    });
    lab.connect();
    lab.shake(read_only_session());
    let at = lab.opened[0].1.clone();
    lab.pass(99);
    assert_eq!(lab.asked, []);
    lab.pass(1);
    let first = lab.asked.pop().unwrap();
    lab.pass(600);
    assert_eq!(lab.asked, [], "one question at a time");
    lab.machine.writer_answered(&host("stranger"), true, lab.now());
    lab.machine.writer_answered(&first, false, lab.now());
    lab.pass(199);
    assert_eq!(lab.asked, [], "the pause grows");
    lab.pass(1);
    let second = lab.asked.pop().unwrap();
    assert!(first != second && first != at && second != at, "{at} {first} {second}");
    assert_eq!(lab.machine.state(), State::ConnectedReadOnly);
    lab.machine.writer_answered(&second, true, lab.now());
    lab.act();
    assert_eq!(lab.machine.last_fault(), Some(&LinkFault::WriterFound));
    lab.reopen();
    assert_eq!(lab.opened.last().map(|(_, host)| host), Some(&second));
    assert_eq!(lab.connect().session, SessionId(0));
    lab.confirm(SessionId(5), TIMEOUT_MS as i32);
    lab.pass_with_pings(TIMEOUT_MS, 1);
    assert_eq!(lab.asked, [], "this one can write");
}

fn read_only_session() -> ConnectResponse {
    ConnectResponse {
        timeout_ms: TIMEOUT_MS as i32,
        session: SESSION,
        password: PASSWORD,
        read_only: Some(true),
        ..ConnectResponse::default()
    }
}

#[test]
fn a_tenure_server_gives_an_account_of_the_end_to_whoever_held_the_session() {
    let mut lab = Lab::with(|_| {});
    let mut bytes = Vec::new();
    lab.machine.connected(lab.link.unwrap(), lab.now());
    lab.machine.transmit(lab.now(), &mut bytes, 1000);
    let request = ConnectRequest::decode(&bytes[4..]).unwrap();
    assert_eq!(request.password, Some(&TENURE_PASSWORD[..]));
    lab.shake(ConnectResponse {
        protocol_version: TENURE_PROTOCOL,
        timeout_ms: TIMEOUT_MS as i32,
        session: SESSION,
        password: PASSWORD,
        read_only: Some(false),
        account: None,
    });
    lab.lose_link();
    lab.reopen();
    assert_eq!(lab.connect().protocol_version, TENURE_PROTOCOL);
    let account = Account {
        by: EndedBy::Operator,
        ended_at_ms: 7,
        silent_ms: None,
        explanation: Some("closed by an operator".to_owned()),
    };
    let refused = ConnectResponse::refused(Some(false));
    lab.shake(ConnectResponse { account: Some(account), ..refused });
    let LostReason::ClosedElsewhere { account } = lab.lost_reason() else { panic!() };
    assert_eq!((account.ended_at_ms, account.silent), (7, None));
    assert_eq!(lab.lost_reason().to_string(), "closed elsewhere: closed by an operator");
}

#[test]
fn credentials_that_are_not_confirmed_in_time_cost_no_session_that_is_there() {
    let limit = Some(Duration::from_millis(500));
    let mut lab = Lab::with(|settings| settings.establish_limit = limit);
    lab.add_auth(1);
    lab.establish();
    assert_eq!(lab.sent_ops(), [OpCode::Auth]);
    lab.pass(499);
    assert!(lab.finished.is_empty());
    lab.pass(1);
    let cause = Interruption::TimedOut;
    assert_eq!(lab.finished, [(1, Err(Failure::Interrupted { sent: false, cause }))]);
    assert_eq!((lab.machine.state(), lab.machine.liveness()), (State::Connected, &Liveness::Live));
    lab.reply(AUTH_XID, Response::Empty);
    assert_eq!(lab.machine.state(), State::Connected, "the late answer is taken all the same");
}
