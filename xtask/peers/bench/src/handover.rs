//! How long nobody holds a lock, after its holder released it or its holder's session ended.

use std::time::{Duration, Instant};

use tenure_client::{EventKind, Session};

use crate::Outcome;
use crate::process::median;

const LOCK: &str = "/client-bench-lock";
const PAYLOAD: &str = "/client-bench-payload";
const TIMEOUT: Duration = Duration::from_secs(4);

type Failure = Box<dyn std::error::Error>;

/// The holder and the waiter change places in every round.
pub(crate) async fn after_release(hosts: &str, rounds: usize) -> Outcome {
    let sessions = [establish(hosts).await?, establish(hosts).await?];
    sessions[0].create_all(LOCK).await?;
    sessions[0].create_all(PAYLOAD).await?;
    let mut times = Vec::new();
    let mut round_trips = [Vec::new(), Vec::new()];
    let mut held = enter(&sessions[0]).await?;
    for round in 0..rounds {
        let (holder, waiter) = (&sessions[round % 2], sessions[(round + 1) % 2].clone());
        let entry = enter(&waiter).await?;
        let waiting = tokio::spawn(async move {
            // An error that another task may carry.
            let held = wait(&waiter, &entry).await.map_err(|error| error.to_string());
            held.map(|()| (entry, Instant::now()))
        });
        // The waiter is to sleep: its watch is set once a few more round trips are over.
        for _ in 0..5 {
            let begin = Instant::now();
            holder.get(PAYLOAD).await?;
            round_trips[0].push(millis(begin));
            let begin = Instant::now();
            holder.set(PAYLOAD, "x").await?;
            round_trips[1].push(millis(begin));
        }
        let begin = Instant::now();
        let released = holder.delete(&held).send();
        let (entry, at) = waiting.await??;
        times.push(at.duration_since(begin).as_secs_f64() * 1e3);
        released.await?;
        held = entry;
    }
    let [reads, writes] = round_trips.map(|times| median(times).unwrap_or_default());
    let hand_over = median(times).unwrap_or_default();
    Ok(vec![
        ("hand_over_ms", hand_over),
        ("read_ms", reads),
        ("write_ms", writes),
        ("hand_over_in_round_trips", hand_over * 2.0 / (reads + writes)),
    ])
}

/// The holder falls silent in every round; an observer learns of the end of its session.
pub(crate) async fn after_crash(hosts: &str, rounds: usize) -> Outcome {
    let (waiter, observer) = (establish(hosts).await?, establish(hosts).await?);
    waiter.create_all(LOCK).await?;
    let mut times = Vec::new();
    let mut lateness = Vec::new();
    for _ in 0..rounds {
        let holder = establish(hosts).await?;
        let held = enter(&holder).await?;
        wait(&holder, &held).await?;
        let entry = enter(&waiter).await?;
        let (_, gone) = observer.exists(&held).watch().await?;
        let waiting = tokio::spawn({
            let waiter = waiter.clone();
            async move {
                let held = wait(&waiter, &entry).await.map_err(|error| error.to_string());
                held.map(|()| (entry, Instant::now()))
            }
        });
        let ended = tokio::spawn(async move { gone.await.map(|event| (event, Instant::now())) });
        holder.set(LOCK, "the last the server hears").await?;
        let silent = Instant::now();
        holder.leave();
        let (event, end) = ended.await??;
        assert_eq!(event.kind, EventKind::Deleted);
        let (entry, at) = waiting.await??;
        // Whichever of both learnt of the end first.
        times.push(at.saturating_duration_since(end).as_secs_f64() * 1e3);
        lateness.push((end.duration_since(silent).as_secs_f64() - TIMEOUT.as_secs_f64()) * 1e3);
        waiter.delete(&entry).await?;
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

fn millis(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1e3
}

/// Takes a place in the line.
async fn enter(session: &Session) -> Result<String, Failure> {
    let path = format!("{LOCK}/at-");
    Ok(session.create(&path, "").ephemeral().sequential().await?.path)
}

/// Waits until the place is the first, watching only the one before it.
async fn wait(session: &Session, entry: &str) -> Result<(), Failure> {
    loop {
        let names = session.children(LOCK).await?.names;
        let own = names.iter().position(|name| entry.ends_with(name)).ok_or("the place is gone")?;
        let Some(before) = own.checked_sub(1) else { return Ok(()) };
        let (found, gone) = session.exists(&format!("{LOCK}/{}", names[before])).watch().await?;
        if found.is_some() {
            gone.await?;
            // Nobody else was before it, and places are given out in ascending order.
            if before == 0 {
                return Ok(());
            }
        }
    }
}
