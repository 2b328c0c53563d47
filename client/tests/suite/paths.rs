//! Paths that no server takes are refused by every operation before anything is sent.

use tenure_client::{Acl, CreateMode, Error, TransactionError, WatchMode};

use super::support::{Scene, within};

/// Wrong in every operation. Without a leading slash, a chroot would make another znode's path of
/// them.
const WRONG: [&str; 6] = ["", "x", "/x/", "//", "/a/../b", "/nul\0"];

#[tokio::test]
async fn every_operation_refuses_them() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    for wrong in WRONG {
        let outcomes: [(&str, Option<Error>); 12] = [
            ("create", within(session.create(wrong, "")).await.err()),
            ("set", within(session.set(wrong, "")).await.err()),
            ("delete", within(session.delete(wrong)).await.err()),
            ("set_acl", within(session.set_acl(wrong, &[Acl::OPEN])).await.err()),
            ("get", within(session.get(wrong)).await.err()),
            ("exists", within(session.exists(wrong)).await.err()),
            ("children", within(session.children(wrong)).await.err()),
            ("acl", within(session.acl(wrong)).await.err()),
            ("watch", within(session.watch(wrong, WatchMode::Recursive)).await.err()),
            ("sync", within(session.sync(wrong)).await.err()),
            ("count_descendants", within(session.count_descendants(wrong)).await.err()),
            ("remove_watches", within(session.remove_watches(wrong, None)).await.err()),
        ];
        for (op, error) in outcomes {
            let Some(Error::Invalid { path, .. }) = &error else {
                panic!("{op} {wrong:?}: {error:?}")
            };
            assert_eq!(path, wrong, "{op}");
        }
        let watching = [
            ("get", within(session.get(wrong).watch()).await.err()),
            ("exists", within(session.exists(wrong).watch()).await.err()),
            ("children", within(session.children(wrong).watch()).await.err()),
        ];
        for (op, error) in watching {
            assert!(matches!(error, Some(Error::Invalid { .. })), "{op} {wrong:?}: {error:?}");
        }
        let many = within(session.read_many().get("/").children(wrong).commit()).await;
        assert!(matches!(many, Err(Error::Invalid { .. })), "{wrong:?}: {many:?}");
        let transactions = [
            session.transaction().check(wrong, 0),
            session.transaction().create(wrong, "", CreateMode::Persistent),
            session.transaction().set(wrong, "", None),
            session.transaction().delete(wrong, None),
        ];
        for transaction in transactions {
            let outcome = within(transaction.set("/", "", None).commit()).await;
            let Err(TransactionError::Error(Error::Invalid { path, .. })) = &outcome else {
                panic!("{wrong:?}: {outcome:?}")
            };
            assert_eq!(path, wrong);
        }
    }
    assert_eq!(session.get("/").await.unwrap().stat.version, 0, "nothing was sent");
}
