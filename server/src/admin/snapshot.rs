//! `snapshot` over admin HTTP: saves one of everything up to now, and streams its file.
//!
//! Writing it may take longer than a connection may be silent. Then the answer is 202, and whoever
//! asks again gets the one that was begun.

use std::fs::File;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Mutex as BlockingMutex;
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_core::Stream;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;

use super::operate::{OperateError, SavedSnapshot};
use super::query::{AdminClient, AdminQuery};
use super::report::ServerReport;
use super::version::version;
use crate::config::AdminSettings;
use crate::limits;

/// The snapshots that were asked for.
pub(crate) struct Snapshots {
    enabled: bool,
    interval: Duration,
    longest_wait: Duration,
    under_way: Mutex<Option<UnderWay>>,
    /// When the last one was handed out.
    handed_out: BlockingMutex<Option<Instant>>,
}

struct UnderWay {
    /// When somebody last asked for it.
    asked: Instant,
    saving: JoinHandle<Option<Result<SavedSnapshot, OperateError>>>,
}

/// A server that serves and has an id. That follows serving within moments, which are waited for.
async fn named(client: &AdminClient) -> Result<ServerReport, (StatusCode, String)> {
    let unavailable = |why: String| (StatusCode::SERVICE_UNAVAILABLE, why);
    for _ in 0..LOOKS_FOR_ID {
        let silent = || unavailable(OperateError::NoAnswer.to_string());
        let server = client.ask(AdminQuery::Server).await.ok_or_else(silent)?;
        if !server.readings.serving {
            return Err(unavailable(OperateError::NotServing.to_string()));
        }
        if server.readings.cluster != 0 {
            return Ok(server);
        }
        tokio::time::sleep(LOOK_FOR_ID_EVERY).await;
    }
    Err(unavailable(NO_ID.to_owned()))
}

/// A second in all: the id is one entry of the log, and a disk that takes longer is in trouble.
const LOOKS_FOR_ID: u32 = 50;
const LOOK_FOR_ID_EVERY: Duration = Duration::from_millis(20);

/// Nobody could tell later of which ensemble such a snapshot was.
const NO_ID: &str =
    "there is no id yet: the first leader, or a server by itself, is about to give one; ask again";

/// Chunks read ahead of what the client has taken.
const CHUNKS_AHEAD: usize = 2;

impl Snapshots {
    /// An answer is held back for no longer than `longest_wait`.
    pub(crate) fn new(admin: &AdminSettings, longest_wait: Duration) -> Self {
        Snapshots {
            enabled: admin.snapshot,
            interval: Duration::from_millis(admin.snapshot_interval_ms.into()),
            longest_wait,
            under_way: Mutex::new(None),
            handed_out: BlockingMutex::new(None),
        }
    }

    /// Saves one and answers with its file, or, for `streaming=false`, only with what it is.
    pub(crate) async fn answer(&self, streaming: Option<&str>, client: &AdminClient) -> Response {
        match self.try_answer(streaming, client).await {
            Ok(response) => response,
            Err((status, error)) => {
                let body = json!({"command": "snapshot", "error": error});
                let kind = [(header::CONTENT_TYPE, "application/json")];
                (status, kind, format!("{body:#}\n")).into_response()
            }
        }
    }

    async fn try_answer(
        &self,
        streaming: Option<&str>,
        client: &AdminClient,
    ) -> Result<Response, (StatusCode, String)> {
        self.admit()?;
        let server = named(client).await?;
        let saved = self.saved(client).await?;
        let failed = |error: io::Error| {
            (StatusCode::SERVICE_UNAVAILABLE, format!("{}: {error}", saved.path.display()))
        };
        let file = File::open(&saved.path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        *self.handed_out.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) =
            Some(Instant::now());
        let zxid = saved.zxid.to_string();
        if streaming == Some("false") {
            let body = json!({"last_zxid": zxid, "snapshot_size": size.to_string(),
                "command": "snapshot", "error": null});
            return Ok(axum::Json(body).into_response());
        }
        let about = [
            ("content-type", "application/octet-stream".to_owned()),
            ("content-length", size.to_string()),
            ("last_zxid", zxid),
            ("snapshot_size", size.to_string()),
            ("tenure-version", version()),
            ("tenure-cluster", format!("{:016x}", server.readings.cluster)),
        ];
        let mut response = Body::from_stream(file_stream(file).map_err(failed)?).into_response();
        for (name, value) in about {
            let value = value.parse().expect("numbers and versions are legal in a header");
            response.headers_mut().insert(name, value);
        }
        Ok(response)
    }

    fn admit(&self) -> Result<(), (StatusCode, String)> {
        let refuse = |status, error: &str| Err((status, error.to_owned()));
        if !self.enabled {
            let error = "switched off: admin.snapshot.enabled=false";
            return refuse(StatusCode::SERVICE_UNAVAILABLE, error);
        }
        let handed_out = *self.handed_out.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if handed_out.is_some_and(|at| at.elapsed() < self.interval) {
            let error = format!(
                "one was handed out less than {} ms ago; see admin.rateLimiterIntervalInMS",
                self.interval.as_millis()
            );
            return refuse(StatusCode::TOO_MANY_REQUESTS, &error);
        }
        Ok(())
    }

    /// The snapshot under way, or a new one, once it is durable.
    async fn saved(&self, client: &AdminClient) -> Result<SavedSnapshot, (StatusCode, String)> {
        let Ok(mut slot) = self.under_way.try_lock() else {
            let error = "somebody else is waiting for one".to_owned();
            return Err((StatusCode::TOO_MANY_REQUESTS, error));
        };
        let now = Instant::now();
        // What nobody came back for says nothing of today.
        slot.take_if(|under_way| now - under_way.asked > limits::SNAPSHOT_KEPT);
        let under_way = slot.get_or_insert_with(|| {
            let client = client.clone();
            let saving = async move {
                client.ask_within(limits::SNAPSHOT_WAIT, AdminQuery::TakeSnapshot).await
            };
            UnderWay { asked: now, saving: tokio::spawn(saving) }
        });
        under_way.asked = now;
        match tokio::time::timeout(self.longest_wait, &mut under_way.saving).await {
            Err(_) => {
                let error = "it is being written; ask again".to_owned();
                Err((StatusCode::ACCEPTED, error))
            }
            Ok(done) => {
                *slot = None;
                let answer = done.ok().flatten().unwrap_or(Err(OperateError::NoAnswer));
                answer.map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, error.to_string()))
            }
        }
    }
}

/// A file's bytes as they are read.
struct FileStream(Receiver<io::Result<Bytes>>);

impl Stream for FileStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

/// Reads on a thread of its own: the admin thread must not wait for a disk.
fn file_stream(file: File) -> io::Result<FileStream> {
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    thread::Builder::new().name("tenure-backup".into()).spawn(move || send(file, &sender))?;
    Ok(FileStream(receiver))
}

/// At a pace that leaves room for everything that clients wait for.
fn send(mut file: File, to: &Sender<io::Result<Bytes>>) {
    let (began, mut sent) = (Instant::now(), 0_u64);
    loop {
        let mut chunk = vec![0; limits::TRANSFER_CHUNK_BYTES];
        let read = match file.read(&mut chunk) {
            Ok(0) => return,
            Ok(read) => read,
            Err(error) => {
                // The stream ends with it, and the client sees that it is short.
                _ = to.blocking_send(Err(error));
                return;
            }
        };
        chunk.truncate(read);
        sent += read as u64;
        // Whoever asked has hung up.
        if to.blocking_send(Ok(chunk.into())).is_err() {
            return;
        }
        let due = Duration::from_secs_f64(sent as f64 / limits::TRANSFER_BYTES_PER_SECOND);
        thread::sleep(due.saturating_sub(began.elapsed()));
    }
}
