//! How long nobody holds a lock, after its holder released it or its holder's session ended.

use std::time::{Duration, Instant};

use tenure_client::recipe::Lock;
use tenure_client::{EventKind, Session};

use crate::Outcome;
use crate::process::median;
use crate::proxy::Proxy;

const LOCK: &str = "/client-bench-lock";
const PAYLOAD: &str = "/client-bench-payload";
const TIMEOUT: Duration = Duration::from_secs(4);

type Failure = Box<dyn std::error::Error>;

/// The holder and the waiter change places in every round. Bytes take `delay` longer each way, so
/// that round trips can be counted.
pub(crate) async fn after_release(hosts: &str, rounds: usize, delay: Duration) -> Outcome {
    let proxy = Proxy::before(hosts, delay)?;
    let sessions = [establish(&proxy.hosts()).await?, establish(&proxy.hosts()).await?];
    sessions[0].create_all(PAYLOAD).await?;
    let mut times = Vec::new();
    let (mut reads, mut writes) = (Vec::new(), Vec::new());
    let mut held = Lock::new(&sessions[0], LOCK).acquire().await?;
    for round in 0..rounds {
        let (holder, waiter) = (&sessions[round % 2], &sessions[(round + 1) % 2]);
        let lock = Lock::new(waiter, LOCK);
        let waiting = tokio::spawn(async move {
            let guard = lock.acquire().await;
            guard.map(|guard| (guard, Instant::now()))
        });
        // The waiter is to sleep: its watch is set once a few more round trips are over.
        for _ in 0..6 {
            let begin = Instant::now();
            holder.get(PAYLOAD).await?;
            reads.push(millis(begin.elapsed()));
            let begin = Instant::now();
            holder.set(PAYLOAD, "x").await?;
            writes.push(millis(begin.elapsed()));
        }
        let begin = Instant::now();
        let (released, acquired) = tokio::join!(held.release(), waiting);
        released?;
        let (guard, at) = acquired??;
        times.push(millis(at.duration_since(begin)));
        held = guard;
    }
    let [times, reads, writes] = [times, reads, writes].map(|all| median(all).unwrap_or_default());
    Ok(vec![
        ("hand_over_ms", times),
        ("read_ms", reads),
        ("write_ms", writes),
        ("hand_over_in_round_trips", times * 2.0 / (reads + writes)),
    ])
}

/// The holder falls silent in every round; an observer learns of the end of its session.
pub(crate) async fn after_crash(hosts: &str, rounds: usize) -> Outcome {
    let (waiter, observer) = (establish(hosts).await?, establish(hosts).await?);
    waiter.create_all(PAYLOAD).await?;
    let mut times = Vec::new();
    let mut lateness = Vec::new();
    for _ in 0..rounds {
        let holder = establish(hosts).await?;
        let held = Lock::new(&holder, LOCK).acquire().await?;
        let (_, gone) = observer.exists(held.path()).watch().await?;
        let lock = Lock::new(&waiter, LOCK);
        let waiting = tokio::spawn(async move {
            let guard = lock.acquire().await;
            guard.map(|guard| (guard, Instant::now()))
        });
        while observer.children(LOCK).await?.names.len() < 2 {
            tokio::task::yield_now().await;
        }
        let ended = tokio::spawn(async move { gone.await.map(|event| (event, Instant::now())) });
        let last = Instant::now();
        holder.set(PAYLOAD, "the last the server hears").await?;
        holder.leave();
        let (event, end) = ended.await??;
        assert_eq!(event.kind, EventKind::Deleted);
        let (guard, at) = waiting.await??;
        times.push(millis(at.saturating_duration_since(end)));
        lateness.push(millis(end.duration_since(last)) - millis(TIMEOUT));
        guard.release().await?;
    }
    let worst = times.iter().copied().fold(0.0, f64::max);
    Ok(vec![
        ("from_end_to_next_holder_ms", median(times).unwrap_or_default()),
        ("from_end_to_next_holder_worst_ms", worst),
        ("session_ended_late_by_ms", median(lateness).unwrap_or_default()),
    ])
}

async fn establish(hosts: &str) -> Result<Session, Failure> {
    Ok(Session::builder(hosts).timeout(TIMEOUT).establish().await?)
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}
