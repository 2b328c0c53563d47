//! Several writes as one, and several reads as one.

use tenure_client::{
    Acl, CreateMode, Error, ErrorCode, OpCode, Outcome, Perms, ReadOutcome, TransactionError,
};

use super::support::{Scene, within};

#[tokio::test]
async fn all_writes_happen_in_order() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    session.create("/old", "").await.unwrap();
    let transaction = session
        .transaction()
        .check("/old", 0)
        .create("/t", "1", CreateMode::Persistent)
        .set("/t", "2", Some(0))
        .create("/t/e-", "", CreateMode::EphemeralSequential)
        .create("/t/c", "", CreateMode::Container)
        .delete("/old", Some(0));
    assert_eq!(transaction.len(), 6);
    let outcomes = within(transaction.commit()).await.unwrap();
    assert_eq!(outcomes.len(), 6);
    assert_eq!(outcomes[0], Outcome::Checked);
    let Outcome::Created { path, stat } = &outcomes[1] else { panic!("{outcomes:?}") };
    assert_eq!(path, "/t");
    let czxid = stat.expect("the server tells").czxid;
    let Outcome::Set(stat) = &outcomes[2] else { panic!("{outcomes:?}") };
    assert_eq!((stat.version, stat.mzxid), (1, czxid), "one change for all");
    let Outcome::Created { path, .. } = &outcomes[3] else { panic!("{outcomes:?}") };
    assert_eq!(path, "/t/e-0000000000");
    assert_eq!(outcomes[5], Outcome::Deleted);
    assert_eq!(&session.get("/t").await.unwrap().data[..], b"2");
    assert_eq!(session.exists("/old").await.unwrap(), None);
    assert_eq!(session.ephemerals("/").await.unwrap(), ["/t/e-0000000000"]);
}

#[tokio::test]
async fn one_that_fails_is_named_and_none_happens() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    session.create("/a", "").await.unwrap();
    let begin = || session.transaction().set("/a", "changed", None);
    let cases = [
        (begin().check("/a", 7), ErrorCode::BadVersion, OpCode::Check, "/a"),
        (begin().set("/a", "", Some(7)), ErrorCode::BadVersion, OpCode::SetData, "/a"),
        (begin().delete("/none", None), ErrorCode::NoNode, OpCode::Delete, "/none"),
        (
            begin().create("/a", "", CreateMode::Persistent),
            ErrorCode::NodeExists,
            OpCode::Create2,
            "/a",
        ),
        (
            begin().create("/none/x", "", CreateMode::Ephemeral),
            ErrorCode::NoNode,
            OpCode::Create2,
            "/none/x",
        ),
    ];
    for (transaction, error, op, path) in cases {
        let failed = within(transaction.delete("/a", None).commit()).await.unwrap_err();
        let path = path.to_owned();
        assert_eq!(failed, TransactionError::Failed { index: 1, op, path, error });
    }
    let node = session.get("/a").await.unwrap();
    assert_eq!((node.stat.version, node.data.len()), (0, 0));
}

#[tokio::test]
async fn access_control_holds_inside() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    let closed = [Acl { perms: Perms::READ, scheme: "world".into(), id: "anyone".into() }];
    let first = session.transaction().create_with_acl("/c", "", CreateMode::Persistent, &closed);
    within(first.commit()).await.unwrap();
    let failed = session.transaction().set("/c", "", None).commit().await.unwrap_err();
    let (op, path) = (OpCode::SetData, "/c".to_owned());
    assert_eq!(failed, TransactionError::Failed { index: 0, op, path, error: ErrorCode::NoAuth });
}

#[tokio::test]
async fn what_cannot_succeed_is_not_sent() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    assert_eq!(session.transaction().commit().await, Ok(Vec::new()));
    assert!(session.transaction().is_empty());
    let timed = session.transaction().create("/t", "", CreateMode::PersistentTtl).commit().await;
    let Err(TransactionError::Error(Error::Invalid { op: OpCode::CreateTtl, .. })) = timed else {
        panic!("{timed:?}")
    };
    let huge = vec![0; 600_000];
    let huge = session.transaction().set("/", &huge, None).set("/", &huge, None).commit().await;
    let Err(TransactionError::Error(Error::Invalid { op: OpCode::Multi, .. })) = huge else {
        panic!("{huge:?}")
    };
    assert_eq!(session.get("/").await.unwrap().stat.version, 0);
}

#[tokio::test]
async fn reads_fail_one_by_one() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    session.create("/a", "data").await.unwrap();
    session.create("/a/x", "").null_data().await.unwrap();
    session.create("/a/b", "").await.unwrap();
    let reads = session.read_many().get("/a").get("/none").children("/a").children("/none");
    let outcomes = within(reads.get("/a/x").commit()).await.unwrap();
    assert_eq!(outcomes.len(), 5);
    let Ok(ReadOutcome::Node(node)) = &outcomes[0] else { panic!("{outcomes:?}") };
    assert_eq!((&node.data[..], node.stat.num_children), (&b"data"[..], 2));
    assert_eq!(outcomes[1], Err(ErrorCode::NoNode));
    assert_eq!(outcomes[2], Ok(ReadOutcome::Children(vec!["b".to_owned(), "x".to_owned()])));
    assert_eq!(outcomes[3], Err(ErrorCode::NoNode));
    assert!(matches!(&outcomes[4], Ok(ReadOutcome::Node(node)) if node.is_null));
    assert_eq!(session.read_many().commit().await, Ok(Vec::new()));
}
