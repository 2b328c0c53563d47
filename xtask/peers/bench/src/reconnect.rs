//! The link of a session with many one-time watches is cut, while another session of the process
//! goes on with its requests.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tenure_client::{OneTimeWatch, Session};

use crate::Outcome;
use crate::process::cpu_seconds;
use crate::proxy::Proxy;

const PARENT: &str = "/client-bench-watched";
const PAYLOAD: &str = "/client-bench-payload";

/// Requests under way while everything is prepared.
const DEPTH: usize = 512;

/// Every so many watches, one is tried out in the end.
const TRIED_EVERY: usize = 997;

pub(crate) async fn run(hosts: &str, count: usize) -> Outcome {
    let proxy = Proxy::before(hosts, Duration::ZERO)?;
    let watching = Session::establish(&proxy.hosts()).await?;
    let other = Session::builder(hosts).establish().await?;
    other.create_all(PARENT).await?;
    other.create_all(PAYLOAD).await?;
    let paths: Vec<String> = (0..count).map(|n| format!("{PARENT}/node-{n:06}")).collect();
    create(&other, &paths).await?;
    let mut watches = watch(&watching, &paths).await?;
    // What a neighbour sees when nothing happens, and while the watches come back.
    let calm = neighbour(other.clone());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let calm = calm.finish().await?;
    let busy = neighbour(other.clone());
    let (begin, cpu) = (Instant::now(), cpu_seconds());
    proxy.cut();
    // A request of this session waits until all watches are set again.
    watching.get(PAYLOAD).await?;
    let back = begin.elapsed();
    let cpu = cpu_seconds() - cpu;
    // What is left to do for the server, once the old connection and its watches are gone.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let busy = busy.finish().await?;
    let tried: Vec<usize> = (0..count).step_by(TRIED_EVERY).collect();
    for index in &tried {
        other.set(&paths[*index], "changed").await?;
    }
    for index in tried.iter().rev() {
        let event = watches.swap_remove(*index).await?;
        assert_eq!(event.path, paths[*index]);
    }
    Ok(vec![
        ("watches", count as f64),
        ("watches_tried_out_afterwards", tried.len() as f64),
        ("back_after_ms", back.as_secs_f64() * 1e3),
        ("client_cpu_ms_until_back", cpu * 1e3),
        ("neighbour_worst_ms", busy.worst.as_secs_f64() * 1e3),
        ("neighbour_worst_before_ms", calm.worst.as_secs_f64() * 1e3),
        ("neighbour_requests", busy.requests as f64),
    ])
}

async fn create(session: &Session, paths: &[String]) -> Result<(), tenure_client::Error> {
    let mut under_way = VecDeque::with_capacity(DEPTH);
    for path in paths {
        if under_way.len() == DEPTH {
            if let Some(oldest) = under_way.pop_front() {
                created(oldest).await?;
            }
        }
        under_way.push_back(session.create(path, "").send());
    }
    for reply in under_way {
        created(reply).await?;
    }
    Ok(())
}

/// What an earlier round left is as good.
async fn created(
    reply: tenure_client::Reply<tenure_client::Created>,
) -> Result<(), tenure_client::Error> {
    use tenure_client::{Error, ErrorCode};

    match reply.await {
        Err(Error::Refused { code: ErrorCode::NodeExists, .. }) => Ok(()),
        other => other.map(|_| ()),
    }
}

async fn watch(
    session: &Session,
    paths: &[String],
) -> Result<Vec<OneTimeWatch>, tenure_client::Error> {
    let mut watches = Vec::with_capacity(paths.len());
    let mut under_way = VecDeque::with_capacity(DEPTH);
    for path in paths {
        if under_way.len() == DEPTH {
            if let Some(oldest) = under_way.pop_front() {
                let (_, watch) = oldest.await?;
                watches.push(watch);
            }
        }
        under_way.push_back(session.exists(path).watch().send());
    }
    for reply in under_way {
        watches.push(reply.await?.1);
    }
    Ok(watches)
}

/// A session that issues one read after the other, until it is told to stop.
struct Neighbour {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Result<Delays, tenure_client::Error>>,
}

struct Delays {
    worst: Duration,
    requests: u64,
}

fn neighbour(session: Session) -> Neighbour {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let task = tokio::spawn(async move {
        let mut delays = Delays { worst: Duration::ZERO, requests: 0 };
        while !stopped.load(Ordering::Relaxed) {
            let begin = Instant::now();
            session.get(PAYLOAD).await?;
            delays.worst = delays.worst.max(begin.elapsed());
            delays.requests += 1;
        }
        Ok(delays)
    });
    Neighbour { stop, task }
}

impl Neighbour {
    async fn finish(self) -> Result<Delays, Box<dyn std::error::Error>> {
        self.stop.store(true, Ordering::Relaxed);
        Ok(self.task.await??)
    }
}
