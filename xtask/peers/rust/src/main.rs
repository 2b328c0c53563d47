//! Checks a server through the crate zookeeper-client; see ../../README.md for what is printed.

mod guarding;
mod nodes;
mod watching;

use std::fmt::Debug;
use std::time::Duration;

use zookeeper_client::{
    Acls, Client, CreateMode, CreateOptions, Error, EventType, OneshotWatcher, PersistentWatcher,
    WatchedEvent,
};

const ROOT: &str = "/peers-rust";
const OPEN: Acls<'static> = Acls::anyone_all();

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Counts the failures and prints a line for each check.
#[derive(Default)]
struct Report {
    failed: usize,
}

impl Report {
    fn add(&mut self, name: &str, outcome: Outcome) {
        match outcome {
            Ok(()) => println!("ok {name}"),
            Err(reason) => {
                self.failed += 1;
                println!("FAIL {name}: {reason}");
            }
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let address = std::env::args().nth(1).ok_or("the server's address is missing")?;
    let client = connect(&address).await?;
    let other = connect(&address).await?;
    remove_all(&client, ROOT).await?;
    client.create(ROOT, b"", &persistent()).await?;
    let mut report = Report::default();
    nodes::check(&client, &mut report).await;
    watching::check(&client, &other, &mut report).await;
    guarding::check(&client, &other, &address, &mut report).await;
    report
        .add("session and watches survive a restart of the server", restart(&client, &other).await);
    remove_all(&client, ROOT).await?;
    println!("done {}", report.failed);
    Ok(())
}

async fn restart(client: &Client, other: &Client) -> Outcome {
    let file = &path("/persistent");
    let (_, _, watcher) = client.get_and_watch_data(file).await?;
    println!("restart");
    std::io::stdin().read_line(&mut String::new())?;
    let stat = loop {
        match client.check_stat(&path("/ephemeral")).await {
            Err(Error::ConnectionLoss) => tokio::time::sleep(Duration::from_millis(20)).await,
            answer => break answer?.ok_or("the ephemeral is gone")?,
        }
    };
    equal("owner", stat.ephemeral_owner, client.session_id().0)?;
    while let Err(error) = other.set_data(file, b"after", None).await {
        equal("error", error, Error::ConnectionLoss)?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    once(watcher, EventType::NodeDataChanged, file).await
}

async fn connect(address: &str) -> Result<Client, Error> {
    Client::connector().with_session_timeout(Duration::from_secs(20)).connect(address).await
}

fn path(name: &str) -> String {
    format!("{ROOT}{name}")
}

fn persistent() -> CreateOptions<'static> {
    CreateMode::Persistent.with_acls(OPEN)
}

fn equal<T: PartialEq + Debug>(what: &str, got: T, want: T) -> Outcome {
    if got == want { Ok(()) } else { Err(format!("{what} is {got:?}, not {want:?}").into()) }
}

fn refused<T: Debug>(got: Result<T, Error>, want: Error) -> Outcome {
    match got {
        Err(error) => equal("error", error, want),
        Ok(answer) => Err(format!("{answer:?} instead of {want:?}").into()),
    }
}

async fn once(watcher: OneshotWatcher, kind: EventType, path: &str) -> Outcome {
    let event = tokio::time::timeout(Duration::from_secs(15), watcher.changed()).await?;
    same(&event, kind, path)
}

async fn next(watcher: &mut PersistentWatcher, kind: EventType, path: &str) -> Outcome {
    let event = tokio::time::timeout(Duration::from_secs(15), watcher.changed()).await?;
    same(&event, kind, path)
}

fn same(event: &WatchedEvent, kind: EventType, path: &str) -> Outcome {
    equal("event", (event.event_type, event.path.as_str()), (kind, path))
}

async fn remove_all(client: &Client, node: &str) -> Result<(), Error> {
    let children = match client.list_children(node).await {
        Err(Error::NoNode) => return Ok(()),
        children => children?,
    };
    for child in children {
        Box::pin(remove_all(client, &format!("{node}/{child}"))).await?;
    }
    client.delete(node, None).await
}
