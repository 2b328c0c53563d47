//! Group membership and service discovery: who is there, who was there before, and who is told.

use tenure_client::recipe::{Group, Loss, Service};
use tenure_client::{Error, Session};

use crate::world::{World, soon};

fn names(members: &[tenure_client::recipe::Member]) -> Vec<&str> {
    members.iter().map(|member| member.name.as_str()).collect()
}

#[tokio::test]
async fn members_come_and_go_and_others_see_it() {
    let world = World::start();
    let path = world.path("a/group");
    let sessions = world.sessions(3).await;
    let group = Group::new(&sessions[0], &path);
    assert_eq!(group.members().await.unwrap(), []);
    let mut changes = group.changes();
    assert_eq!(soon(changes.next()).await.unwrap(), []);
    let one = Group::new(&sessions[1], &path).join("one", "1").await.unwrap();
    let seen = soon(changes.next()).await.unwrap();
    assert_eq!(names(&seen), ["one"]);
    assert_eq!((&seen[0].data[..], seen[0].session), (&b"1"[..], sessions[1].id()));
    assert_eq!(seen[0].token, one.token());
    let two = Group::new(&sessions[2], &path).join("two", "2").await.unwrap();
    assert_eq!(names(&soon(changes.next()).await.unwrap()), ["one", "two"]);
    one.release().await.unwrap();
    assert_eq!(names(&soon(changes.next()).await.unwrap()), ["two"]);
    assert_eq!(names(&group.members().await.unwrap()), ["two"]);
    sessions[2].leave();
    assert_eq!(soon(changes.next()).await.unwrap(), []);
    assert!(matches!(soon(two.lost()).await, Loss::Session(_)));
    sessions[0].close().await.unwrap();
    assert!(soon(changes.next()).await.unwrap_err().lost().is_some());
}

#[tokio::test]
async fn a_name_belongs_to_one_member_at_a_time() {
    let world = World::calm();
    let path = world.path("group");
    let sessions = world.sessions(2).await;
    let group = Group::new(&sessions[0], &path);
    let member = group.join("me", "first").await.unwrap();
    let other = Group::new(&sessions[1], &path);
    assert!(group.try_join("me", "").await.unwrap().is_none(), "not even in the same session");
    assert!(other.try_join("me", "").await.unwrap().is_none());
    let join = |group: &Group, data: &'static str| {
        let group = group.clone();
        tokio::spawn(async move { group.join("me", data).await.unwrap() })
    };
    let (mut one, mut two) = (join(&other, "second"), join(&group, "third"));
    sessions[0].sync("/").await.unwrap();
    let first = member.token();
    member.release().await.unwrap();
    // One of them gets it, and the other one when that leaves.
    let (second, rest) = soon(async {
        tokio::select! {
            joined = &mut one => (joined.unwrap(), two),
            joined = &mut two => (joined.unwrap(), one),
        }
    })
    .await;
    assert!(second.token() > first);
    assert!(!rest.is_finished());
    drop(second);
    assert!(soon(rest).await.unwrap().is_held());
    for name in ["", "a/b"] {
        let error = group.join(name, "").await.unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
    }
    assert!(matches!(group.join("..", "").await.unwrap_err(), Error::Invalid { .. }));
}

#[tokio::test]
async fn a_join_that_is_given_up_leaves_others_members_alone() {
    let world = World::calm();
    let path = world.path("group");
    let sessions = world.sessions(2).await;
    let member = Group::new(&sessions[0], &path).join("me", "").await.unwrap();
    let waiting = tokio::spawn({
        let group = Group::new(&sessions[1], &path);
        async move { group.join("me", "").await }
    });
    for _ in 0..3 {
        sessions[1].sync("/").await.unwrap();
    }
    waiting.abort();
    assert!(soon(waiting).await.is_err());
    for session in &sessions {
        session.sync("/").await.unwrap();
        session.sync("/").await.unwrap();
    }
    assert!(member.is_held());
}

#[tokio::test]
async fn a_membership_whose_reply_got_lost_is_found_out() {
    let world = World::calm();
    let path = world.path("group");
    let watcher = world.session().await;
    watcher.create_all(&path).await.unwrap();
    let (session, proxy) = world.proxied().await;
    for waits in [true, false] {
        proxy.hold_replies();
        let joining = tokio::spawn({
            let group = Group::new(&session, &path);
            async move { group.join("me", "").await }
        });
        crate::world::children_count(&watcher, &path, 1).await;
        if !waits {
            joining.abort();
        }
        proxy.cut();
        proxy.heal();
        if waits {
            let membership = soon(joining).await.unwrap().unwrap();
            assert!(membership.is_held());
            membership.release().await.unwrap();
        } else {
            crate::world::children_count(&watcher, &path, 0).await;
        }
        assert!(session.is_valid());
    }
}

#[tokio::test]
async fn a_resumed_session_takes_its_membership_over() {
    let world = World::start();
    let path = world.path("group");
    let earlier = world.session().await;
    let member = Group::new(&earlier, &path).join("me", "old").await.unwrap();
    let token = earlier.token().unwrap();
    earlier.leave();
    let resumed = Session::builder(world.hosts()).resume(token).await.unwrap();
    let again = soon(Group::new(&resumed, &path).join("me", "new")).await.unwrap();
    assert_eq!(again.token(), member.token());
    let members = Group::new(&resumed, &path).members().await.unwrap();
    assert_eq!(&members[0].data[..], b"new");
}

#[tokio::test]
async fn instances_are_discovered_with_what_they_say_of_themselves() {
    let world = World::start();
    let path = world.path("a/service");
    let sessions = world.sessions(3).await;
    let mut discovery = Service::new(&sessions[0], &path).discover();
    assert_eq!(soon(discovery.next()).await.unwrap(), []);
    let one = Service::new(&sessions[1], &path).register("one", "10.0.0.1:80").await.unwrap();
    let seen = soon(discovery.next()).await.unwrap();
    assert_eq!((seen[0].id.as_str(), &seen[0].payload[..]), ("one", &b"10.0.0.1:80"[..]));
    assert_eq!((seen[0].session, seen[0].token), (sessions[1].id(), one.token()));
    one.set(one.path(), "10.0.0.1:8080").await.unwrap();
    assert_eq!(&soon(discovery.next()).await.unwrap()[0].payload[..], b"10.0.0.1:8080");
    assert!(one.is_held());
    let _two = Service::new(&sessions[2], &path).register("two", "").await.unwrap();
    assert_eq!(soon(discovery.next()).await.unwrap().len(), 2);
    sessions[1].leave();
    let left = soon(discovery.next()).await.unwrap();
    assert_eq!(left.iter().map(|instance| instance.id.as_str()).collect::<Vec<_>>(), ["two"]);
    sessions[0].close().await.unwrap();
    assert_eq!(soon(discovery.next()).await, None);
}
