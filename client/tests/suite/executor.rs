//! An executor that is blocked costs no session its life, and hears about it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tenure_client::Liveness;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::support::{SHORT, Scene, at_once, within};

/// Keeps the warnings that are logged.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        struct Text(String);
        impl Visit for Text {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!("{field}={value:?} ");
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn a_blocked_executor_keeps_its_session_and_is_warned() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let executor = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    executor.block_on(async {
        let scene = Scene::new().await;
        let session = scene.builder().timeout(SHORT).establish().await.unwrap();
        session.create("/e", "").ephemeral().await.unwrap();
        let mut changes = session.changes();
        within(changes.next()).await;
        let reply = session.get("/e").send();
        // The only thread of the executor does nothing for longer than the session lives without
        // a heartbeat.
        std::thread::sleep(SHORT * 2);
        assert!(session.is_valid());
        within(reply).await.unwrap();
        assert_eq!(session.liveness(), Liveness::Live);
        assert!(at_once(&mut Box::pin(changes.next())).await.is_none(), "no risk at all");
        assert_eq!(session.ephemerals("/").await.unwrap(), ["/e"]);
        assert_eq!(scene.network.accepted(), 1);
        let told = warnings.0.lock().unwrap().join("\n");
        assert!(told.contains("executor was blocked"), "{told:?}");
        assert!(told.contains(&session.id().to_string()), "{told:?}");
    });
}

#[test]
fn an_executor_that_runs_is_not_warned() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let executor = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    executor.block_on(async {
        let scene = Scene::new().await;
        let session = scene.builder().timeout(Duration::from_secs(4)).establish().await.unwrap();
        for _ in 0..100 {
            within(session.get("/")).await.unwrap();
        }
    });
    assert_eq!(*warnings.0.lock().unwrap(), Vec::<String>::new());
}
