//! Servers that do not answer, answer nonsense, or hang up, at every possible byte.

use tenure_wire::{ConnectResponse, OpCode, PING_XID, Response, SessionId, Stat, Xid, frame};

use super::lab::{Lab, SESSION, TIMEOUT_MS, get, set};
use crate::machine::{Failure, Host, Interruption};
use crate::status::{LinkFault, Liveness, Risk, State};

/// Why the link was given up.
fn fault(lab: &Lab) -> LinkFault {
    match lab.machine.liveness() {
        Liveness::AtRisk { cause: Risk::Disconnected(fault), .. } => fault.clone(),
        other => panic!("the link is not lost: {other}"),
    }
}

fn protocol(lab: &Lab) -> String {
    match fault(lab) {
        LinkFault::Protocol(what) => what,
        other => panic!("{other}"),
    }
}

#[test]
fn a_server_that_accepts_and_never_answers_is_left() {
    let mut lab = Lab::with(|_| {});
    lab.connect();
    lab.pass(TIMEOUT_MS + 100);
    assert!(lab.opened.len() > 1);
    assert_eq!(lab.states(), [State::Connecting], "never connected, never disconnected");
    assert!(matches!(lab.machine.last_fault(), Some(LinkFault::TimedOut { .. })));
}

#[test]
fn replies_come_out_the_same_however_their_bytes_are_cut() {
    let whole = {
        let mut lab = Lab::established();
        two_requests(&mut lab);
        let bytes = two_replies(&mut lab);
        lab.receive(&bytes);
        lab.finished
    };
    assert_eq!(whole.len(), 2);
    let length = two_replies(&mut Lab::established()).len();
    for cut in 0..=length {
        let mut lab = Lab::established();
        two_requests(&mut lab);
        let bytes = two_replies(&mut lab);
        lab.receive(&bytes[..cut]);
        lab.receive(&bytes[cut..]);
        assert_eq!(lab.finished, whole, "cut at {cut}");
    }
    let mut lab = Lab::established();
    two_requests(&mut lab);
    for byte in two_replies(&mut lab) {
        lab.receive(&[byte]);
    }
    assert_eq!(lab.finished, whole);
}

fn two_requests(lab: &mut Lab) {
    lab.submit(&get("/a"), 1);
    lab.submit(&set("/a"), 2);
    lab.sent();
}

fn two_replies(lab: &mut Lab) -> Vec<u8> {
    let stat = Stat { version: 4, ..Stat::default() };
    let mut bytes = lab.reply_bytes(Xid(1), 0, Response::Data { data: Some(b"data"), stat });
    bytes.extend(lab.reply_bytes(Xid(2), 0, Response::Stat(stat)));
    bytes
}

#[test]
fn a_server_that_hangs_up_at_any_byte_costs_the_link_and_no_more() {
    let length = two_replies(&mut Lab::established()).len();
    for cut in 0..length {
        let mut lab = Lab::established();
        two_requests(&mut lab);
        let bytes = two_replies(&mut lab);
        lab.receive(&bytes[..cut]);
        lab.lose_link();
        lab.reopen();
        lab.establish();
        let resent: Vec<OpCode> = lab.sent_ops();
        let read_done = lab.finished.iter().any(|(number, _)| *number == 1);
        assert_eq!(resent.is_empty(), read_done, "only the read is sent again, cut at {cut}");
        let write = lab.finished.iter().find(|(number, _)| *number == 2).unwrap();
        let cause = Interruption::Link(LinkFault::HungUp);
        assert_eq!(write.1, Err(Failure::Interrupted { sent: true, cause }));
    }
}

#[test]
fn handshakes_cut_anywhere_are_no_handshakes() {
    let mut bytes = Vec::new();
    let start = frame::begin(&mut bytes);
    let response = ConnectResponse { timeout_ms: 1, session: SESSION, ..Default::default() };
    response.encode(&mut bytes);
    frame::end(&mut bytes, start);
    for cut in 0..bytes.len() {
        let mut lab = Lab::with(|_| {});
        lab.connect();
        lab.receive(&bytes[..cut]);
        assert_eq!(lab.machine.token(), None);
        lab.lose_link();
        assert_eq!(lab.machine.state(), State::Connecting);
    }
}

#[test]
fn a_reply_with_a_wrong_xid_costs_the_link() {
    let mut lab = Lab::established();
    lab.submit(&get("/a"), 1);
    lab.sent();
    lab.reply(Xid(2), Response::Data { data: None, stat: Stat::default() });
    assert_eq!(protocol(&lab), "a reply with xid 2, while that to getData with xid 1 was due");
    assert!(lab.finished.is_empty(), "the read is still to be answered");

    let mut lab = Lab::established();
    lab.reply(Xid(1), Response::Empty);
    assert_eq!(protocol(&lab), "a reply with xid 1, while none was due");
    let mut lab = Lab::established();
    lab.reply(PING_XID, Response::Empty);
    assert_eq!(protocol(&lab), "an answer to a ping never sent");
}

#[test]
fn garbage_costs_the_link_and_never_more() {
    // Text of another protocol, lengths of all kinds, and bytes by chance.
    let mut random = crate::random::Random::new(42);
    let mut garbage: Vec<Vec<u8>> = vec![
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        vec![0; 100],
        vec![0xff; 100],
        vec![0, 0, 0, 1, 7],
        vec![0, 0, 0, 16, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ];
    for _ in 0..20_000 {
        let length = random.below(60);
        let mut bytes: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
        if random.chance(3, 4) && bytes.len() > 4 {
            let claimed = (bytes.len() as u32 - 4).to_be_bytes();
            bytes[..4].copy_from_slice(&claimed);
        }
        garbage.push(bytes);
    }
    for bytes in garbage {
        for attached in [false, true] {
            let mut lab = Lab::with(|_| {});
            lab.connect();
            if attached {
                lab.confirm(SESSION, TIMEOUT_MS as i32);
                lab.submit(&get("/a"), 1);
                lab.sent();
            }
            lab.receive(&bytes);
            if lab.link.is_some() {
                lab.lose_link();
            }
            assert!(!lab.machine.liveness().is_lost() || !attached, "{bytes:?}");
            assert!(lab.machine.next_deadline().is_some() || lab.machine.is_over());
        }
    }
}

#[test]
fn a_server_that_speaks_garbage_after_every_handshake_is_not_tried_without_pause() {
    let mut lab = Lab::established();
    lab.ms = 1;
    let mut attempts = 0;
    while lab.ms < 900 {
        lab.receive(&[0, 0, 0, 0]);
        attempts += 1;
        lab.reopen();
        lab.connect();
        lab.confirm(SESSION, TIMEOUT_MS as i32);
    }
    assert!(attempts < 40, "{attempts} attempts in 900 ms");
}

#[test]
fn a_server_that_is_silent_after_all_refused_for_long_does_not_cost_the_session() {
    for seed in 0..50 {
        let mut lab = Lab::with(|settings| {
            let host = |name: &str| Host { name: name.to_owned(), port: 1 };
            settings.hosts = vec![host("silent"), host("second"), host("third")];
            settings.seed = seed;
        });
        lab.establish();
        lab.lose_link();
        // Nobody leads: all refuse at once, many times over.
        while lab.ms < 600 {
            lab.reopen();
            lab.connect();
            lab.lose_link();
        }
        lab.reopen();
        while lab.opened.last().is_some_and(|(_, host)| host.name == "silent") {
            lab.connect();
            let silent = lab.link;
            while lab.link == silent {
                lab.pass(1);
            }
            lab.reopen();
        }
        lab.establish();
        assert!(lab.ms < TIMEOUT_MS * 2 / 3, "seed {seed}: {} ms", lab.ms);
    }
}

#[test]
fn a_reply_that_is_too_long_fails_its_request_alone() {
    let data = vec![7; 20_000];
    for step in [1, 3, 4096, 1 << 20] {
        let mut lab = Lab::established();
        lab.submit(&get("/large"), 1);
        lab.submit(&get("/small"), 2);
        lab.sent();
        let stat = Stat::default();
        let mut bytes = lab.reply_bytes(Xid(1), 0, Response::Data { data: Some(&data), stat });
        let length = bytes.len() - 4;
        bytes.extend(lab.reply_bytes(Xid(2), 0, Response::Data { data: Some(b"x"), stat }));
        for part in bytes.chunks(step) {
            lab.receive(part);
        }
        let failed = Failure::TooLong { bytes: length, limit: 10_000 };
        assert_eq!(lab.finished[0], (1, Err(failed)));
        assert!(matches!(lab.finished[1], (2, Ok(_))), "{step}");
        assert_eq!(lab.machine.state(), State::Connected);
    }
}

#[test]
fn a_frame_that_is_too_long_and_no_reply_costs_the_link() {
    for length in [20_000_i32, i32::MAX] {
        let mut lab = Lab::established();
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend([0; 16]);
        lab.receive(&bytes);
        assert!(protocol(&lab).contains("bytes"), "{}", protocol(&lab));
    }
}

#[test]
fn a_refusal_to_establish_is_not_an_expiry() {
    let mut lab = Lab::with(|_| {});
    lab.connect();
    lab.shake(ConnectResponse { timeout_ms: 0, session: SessionId(0), ..Default::default() });
    assert_eq!(lab.machine.state(), State::Connecting);
    assert_eq!(*lab.machine.liveness(), Liveness::Establishing);
}

#[test]
fn what_comes_from_an_old_link_is_ignored() {
    let mut lab = Lab::established();
    let old = lab.link.unwrap();
    lab.lose_link();
    lab.reopen();
    lab.establish();
    lab.machine.received(old, &[0, 0, 0, 0], lab.now());
    lab.machine.disconnected(old, LinkFault::HungUp, lab.now());
    lab.machine.connected(old, lab.now());
    lab.act();
    assert_eq!(lab.machine.state(), State::Connected);
}
