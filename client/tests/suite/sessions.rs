//! The life of sessions: established, resumed, at risk, lost, closed, left.

use std::time::{Duration, Instant};

use tenure_client::{
    Change, Error, ErrorCode, EstablishError, HostsError, LinkFault, Liveness, LostReason, Moment,
    OpCode, Session, SessionToken, State,
};
use tenure_testing::Direction;

use super::support::{LONG, PATIENCE, SHORT, Scene, at_once, change, eventually, within};

#[tokio::test]
async fn an_established_session_knows_itself() {
    let scene = Scene::new().await;
    let before = Moment::now();
    let session = scene.builder().timeout(SHORT).establish().await.unwrap();
    assert_eq!((session.state(), session.liveness()), (State::Connected, Liveness::Live));
    assert_eq!(session.timeout(), SHORT);
    assert!(session.id().0 != 0 && session.is_valid());
    let until = session.valid_until().unwrap();
    assert!(until > before && until < Moment::now() + SHORT, "less a margin");
    assert_eq!(session.token().unwrap().id(), session.id());
    assert_eq!(within(session.established()).await, Ok(()));
    // Heartbeats keep it.
    eventually("a heartbeat was answered", || session.valid_until().unwrap() > until).await;
}

#[tokio::test]
async fn a_started_session_may_be_used_before_it_is_established() {
    let scene = Scene::new().await;
    scene.network.refuse();
    let session = scene.builder().auth("digest", "ann:secret").start().unwrap();
    assert_eq!(session.liveness(), Liveness::Establishing);
    assert_eq!((session.id().0, session.valid_until()), (0, None));
    let request = session.create("/early", "").send();
    eventually("it is tried again and again", || scene.network.accepted() > 2).await;
    assert_eq!(session.state(), State::Connecting);
    scene.network.accept();
    assert_eq!(within(session.established()).await, Ok(()));
    assert_eq!(within(request).await.unwrap().path, "/early");
    let who = within(session.who_am_i()).await.unwrap();
    assert!(who.iter().any(|id| id.user == "ann"), "{who:?}");
}

#[tokio::test]
async fn servers_that_do_not_answer_are_an_error_in_time() {
    let scene = Scene::new().await;
    scene.network.partition();
    let since = Instant::now();
    let limit = Duration::from_millis(400);
    let failed = within(scene.builder().establish_timeout(limit).establish()).await.unwrap_err();
    let EstablishError::Lost(LostReason::NotEstablished { after, .. }) = &failed else {
        panic!("{failed}")
    };
    assert_eq!(*after, limit);
    assert!(since.elapsed() >= limit && since.elapsed() < limit * 10, "{:?}", since.elapsed());
}

#[tokio::test]
async fn strange_timeouts_are_negotiated() {
    let scene = Scene::new().await;
    for timeout in [Duration::ZERO, Duration::MAX] {
        let session = within(scene.builder().timeout(timeout).establish()).await.unwrap();
        assert!(session.timeout() > Duration::ZERO && session.timeout() < LONG * 1000);
        session.close().await.unwrap();
        scene.network.refuse();
        let limit = Duration::from_millis(100);
        let refused = scene.builder().timeout(timeout).establish_timeout(limit);
        let failed = within(refused.establish()).await.unwrap_err();
        assert!(matches!(failed, EstablishError::Lost(LostReason::NotEstablished { .. })));
        scene.network.accept();
    }
}

#[tokio::test]
async fn wrong_connect_strings_say_what_is_wrong() {
    let cases = ["", " , ", "/only-a-chroot", "a:port", "a:0", ":1", "a:1/x/", "a b:1", "[::1:1"];
    for text in cases {
        let error = Session::establish(text).await.unwrap_err();
        assert!(matches!(error, EstablishError::Hosts(_)), "{text:?}: {error}");
    }
    let error = Session::builder("good:1,bad:port").start().unwrap_err();
    let EstablishError::Hosts(HostsError::Host { host, .. }) = &error else { panic!("{error}") };
    assert_eq!(host, "bad:port");
}

#[tokio::test]
async fn a_closed_session_takes_its_ephemerals_with_it() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    let other = scene.session().await;
    session.create("/e", "").ephemeral().await.unwrap();
    let last = session.create("/last", "").send();
    session.close().await.unwrap();
    assert!(within(last).await.is_ok(), "what was handed in before is carried out");
    assert_eq!(other.exists("/e").await.unwrap(), None);
    assert_eq!((session.state(), session.valid_until()), (State::Closed, None));
    assert_eq!(session.liveness(), Liveness::Lost(LostReason::Closed));
    let error = within(session.get("/")).await.unwrap_err();
    assert_eq!(error, Error::Lost(LostReason::Closed));
    assert_eq!(error.lost(), Some(&LostReason::Closed));
    assert_eq!(within(session.lost()).await, LostReason::Closed);
    assert_eq!(within(session.established()).await, Err(LostReason::Closed));
    assert!(within(session.close()).await.is_ok(), "once more is no mistake");
}

#[tokio::test]
async fn the_last_handle_closes() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    let other = scene.session().await;
    session.create("/e", "").ephemeral().await.unwrap();
    let (_, mut gone) = other.exists("/e").watch().await.unwrap();
    let clone = session.clone();
    let (_, watch) = session.exists("/x").watch().await.unwrap();
    drop(session);
    drop(clone);
    other.sync("/").await.unwrap();
    assert!(at_once(&mut gone).await.is_none(), "a watch is a handle too");
    drop(watch);
    // Long before the session would expire by itself.
    assert_eq!(within(gone).await.unwrap().path, "/e");
}

#[tokio::test]
async fn a_session_can_be_left_and_resumed() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    let created = session.create("/e", "").ephemeral().await.unwrap();
    let token = session.token().unwrap();
    session.leave();
    assert_eq!(within(session.lost()).await, LostReason::Left);
    assert_eq!(within(session.get("/")).await.unwrap_err(), Error::Lost(LostReason::Left));
    let token: SessionToken = token.to_string().parse().unwrap();
    let again = within(scene.direct().resume(token.clone())).await.unwrap();
    assert_eq!(again.id(), token.id());
    assert_eq!(again.exists("/e").await.unwrap(), Some(created.stat));
    assert_eq!(again.ephemerals("/").await.unwrap(), ["/e"]);
    within(again.delete("/e")).await.unwrap();
}

#[tokio::test]
async fn a_session_that_is_gone_cannot_be_resumed() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    let token = session.token().unwrap();
    let wrong = SessionToken::new(token.id(), [7; 16], LONG);
    let refused = within(scene.direct().resume(wrong)).await.unwrap_err();
    let EstablishError::Lost(LostReason::Expired { .. }) = refused else { panic!("{refused}") };
    assert!(session.is_valid(), "a wrong password must not harm the owner");
    session.close().await.unwrap();
    let refused = within(scene.direct().resume(token)).await.unwrap_err();
    // Tenure tells who ended it.
    let gone = matches!(
        &refused,
        EstablishError::Lost(LostReason::Expired { .. } | LostReason::ClosedElsewhere { .. })
    );
    assert!(gone, "{refused}");
}

#[tokio::test]
async fn a_session_resumed_elsewhere_loses_its_first_link_only() {
    let scene = Scene::new().await;
    let first = scene.builder().establish().await.unwrap();
    first.create("/e", "").ephemeral().await.unwrap();
    let mut changes = first.changes();
    let second = within(scene.direct().resume(first.token().unwrap())).await.unwrap();
    assert_eq!(second.id(), first.id());
    within(second.sync("/")).await.unwrap();
    change(&mut changes, |change| matches!(change.liveness, Liveness::AtRisk { .. })).await;
    second.leave();
    change(&mut changes, |change| change.liveness == Liveness::Live).await;
    assert_eq!(within(first.ephemerals("/")).await.unwrap(), ["/e"]);
}

#[tokio::test]
async fn behind_a_partition_the_holder_knows_before_anybody_else() {
    let scene = Scene::new().await;
    let holder = scene.builder().timeout(SHORT).establish().await.unwrap();
    let observer = scene.session().await;
    holder.create("/lock", "").ephemeral().await.unwrap();
    let (_, gone) = observer.exists("/lock").watch().await.unwrap();
    let gone = tokio::spawn(async move {
        gone.await.unwrap();
        Moment::now()
    });
    let mut changes = holder.changes();
    let pending = holder.set("/lock", "unanswered");
    scene.network.partition();
    let pending = pending.send();
    let until = holder.valid_until().unwrap();
    let mut told = Vec::new();
    while let Some(change) = within(changes.next()).await {
        told.push(change);
    }
    let lost = told.last().unwrap();
    let Liveness::Lost(LostReason::DeadlinePassed { silent, cause: Some(_) }) = &lost.liveness
    else {
        panic!("{told:?}")
    };
    assert!(told.iter().any(|change| matches!(change.liveness, Liveness::AtRisk { .. })));
    assert!(lost.at >= until && *silent <= holder.timeout(), "{lost} after {silent:?}");
    let gone_at = within(gone).await.unwrap();
    assert!(gone_at > until, "the ephemeral went {:?} early", until.since(gone_at));
    assert!(gone_at > lost.at, "the loss was told {:?} late", lost.at.since(gone_at));
    let error = within(pending).await.unwrap_err();
    assert!(error.may_have_happened() && matches!(error, Error::Unknown { .. }), "{error}");
    assert!(matches!(holder.get("/").await, Err(Error::Lost(LostReason::DeadlinePassed { .. }))));
    scene.network.heal();
}

#[tokio::test]
async fn one_way_holes_are_partitions_too() {
    for direction in [Direction::ToServer, Direction::ToClient] {
        let scene = Scene::new().await;
        let session = scene.builder().timeout(SHORT).establish().await.unwrap();
        scene.network.blackhole(direction);
        let reason = within(session.lost()).await;
        assert!(matches!(reason, LostReason::DeadlinePassed { .. }), "{direction:?}: {reason}");
    }
}

#[tokio::test]
async fn work_stops_with_the_session() {
    let scene = Scene::new().await;
    let session = scene.builder().timeout(SHORT).establish().await.unwrap();
    assert_eq!(within(session.run_while_valid(async { 7 })).await, Ok(7));
    let mut last = Moment::now();
    scene.network.partition();
    let until = session.valid_until().unwrap();
    let working = session.run_while_valid(async {
        loop {
            last = Moment::now();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let stopped: Result<(), LostReason> = within(working).await;
    assert!(matches!(stopped, Err(LostReason::DeadlinePassed { .. })), "{stopped:?}");
    // It was going on when the deadline came, and no longer after it. The moment is taken a
    // little later than the deadline is looked at.
    assert!(last > until - Duration::from_millis(200), "{:?} too early", until.since(last));
    assert!(last < until + Duration::from_millis(50), "{:?} too late", last.since(until));
    scene.network.heal();
}

#[tokio::test]
async fn work_waits_for_the_session_and_survives_a_cut() {
    let scene = Scene::new().await;
    scene.network.refuse();
    let session = scene.builder().start().unwrap();
    let working = tokio::spawn({
        let session = session.clone();
        async move {
            let inner = session.clone();
            session
                .run_while_valid(async move {
                    assert!(inner.is_valid());
                    let (_, finish) = inner.exists("/finish").watch().await.unwrap();
                    inner.create("/begun", "").await.unwrap();
                    finish.await.unwrap()
                })
                .await
        }
    });
    scene.network.accept();
    let other = scene.session().await;
    while other.exists("/begun").await.unwrap().is_none() {}
    scene.network.cut();
    other.create("/finish", "").await.unwrap();
    assert_eq!(within(working).await.unwrap().unwrap().path, "/finish");
}

#[tokio::test]
async fn an_expired_session_is_told_by_the_server() {
    let scene = Scene::new().await;
    let session = scene.builder().establish().await.unwrap();
    // Another holder of the same session closes it.
    let thief = within(scene.direct().resume(session.token().unwrap())).await.unwrap();
    within(thief.close()).await.unwrap();
    let reason = within(session.lost()).await;
    let told = matches!(reason, LostReason::Expired { .. } | LostReason::ClosedElsewhere { .. });
    assert!(told, "{reason}");
    assert_eq!(session.state(), State::Closed);
    assert_eq!(within(session.get("/")).await.unwrap_err(), Error::Lost(reason));
}

#[tokio::test]
async fn refused_credentials_are_the_end() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    let mut changes = session.changes();
    let error = within(session.add_auth("no-such-scheme", b"x")).await.unwrap_err();
    let (code, op, path) = (ErrorCode::AuthFailed, OpCode::Auth, String::new());
    assert_eq!(error, Error::Refused { code, op, path });
    let last = change(&mut changes, |change: &Change| change.liveness.is_lost()).await;
    let reason = LostReason::AuthFailed { scheme: Some("no-such-scheme".to_owned()) };
    assert_eq!((last.state, &last.liveness), (State::AuthFailed, &Liveness::Lost(reason.clone())));
    assert_eq!(within(changes.next()).await, None);
    assert_eq!(within(session.get("/")).await.unwrap_err(), Error::Lost(reason.clone()));
    let again = within(session.add_auth("digest", b"a:b")).await.unwrap_err();
    assert_eq!(again, Error::Lost(reason.clone()), "the true reason, also afterwards");

    let builder = scene.direct().auth("digest", "a:b").auth("no-such-scheme", "x");
    let failed = within(builder.establish()).await.unwrap_err();
    let EstablishError::Lost(lost) = &failed else { panic!("{failed}") };
    assert_eq!(*lost, reason);
}

#[tokio::test]
async fn a_close_that_reaches_no_server_says_so() {
    let scene = Scene::new().await;
    let session = scene.builder().timeout(SHORT).establish().await.unwrap();
    scene.network.refuse();
    scene.network.cut();
    eventually("the link is lost", || !session.state().is_connected()).await;
    let closing = Instant::now();
    let outcome = within(session.close()).await;
    assert!(outcome.is_err(), "nobody was told");
    assert!(closing.elapsed() < PATIENCE / 2, "{:?}", closing.elapsed());
    assert_eq!(session.liveness(), Liveness::Lost(LostReason::Closed), "from the call on");
}

#[tokio::test]
async fn a_close_during_a_cut_waits_for_the_next_link() {
    let scene = Scene::new().await;
    let session = scene.builder().establish().await.unwrap();
    session.create("/e", "").ephemeral().await.unwrap();
    scene.network.refuse();
    scene.network.cut();
    eventually("the link is lost", || !session.state().is_connected()).await;
    let closing = tokio::spawn({
        let session = session.clone();
        async move { session.close().await }
    });
    eventually("it is closing", || session.state() == State::Closed).await;
    scene.network.accept();
    within(closing).await.unwrap().unwrap();
    assert_eq!(scene.session().await.exists("/e").await.unwrap(), None);
}

#[tokio::test]
async fn a_server_that_can_write_will_do_for_reading() {
    let scene = Scene::new().await;
    let session = within(scene.builder().read_only(true).establish()).await.unwrap();
    assert_eq!(session.state(), State::Connected);
    session.create("/w", "").await.unwrap();
}

#[tokio::test]
async fn nothing_answered_any_more_is_a_risk_first() {
    let scene = Scene::new().await;
    let session = scene.builder().timeout(SHORT * 2).establish().await.unwrap();
    let mut changes = session.changes();
    scene.network.blackhole(Direction::ToClient);
    let risk =
        change(&mut changes, |change| matches!(change.liveness, Liveness::AtRisk { .. })).await;
    assert!(matches!(&risk.liveness,
        Liveness::AtRisk { cause: tenure_client::Risk::Silent, until } if *until > risk.at));
    assert_eq!(risk.state, State::Connected, "the link is still there");
    scene.network.heal();
    change(&mut changes, |change| change.liveness == Liveness::Live).await;
    let fault = |change: &Change| match &change.liveness {
        Liveness::AtRisk { cause: tenure_client::Risk::Disconnected(fault), .. } => {
            matches!(fault, LinkFault::Silent { .. })
        }
        _ => false,
    };
    scene.network.blackhole(Direction::ToClient);
    change(&mut changes, fault).await;
    scene.network.heal();
}
