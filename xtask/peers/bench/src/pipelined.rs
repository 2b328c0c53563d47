//! Pipelined reads and writes of one session, through this client or another.

use std::collections::VecDeque;
use std::future::{Future, IntoFuture};
use std::time::{Duration, Instant};

use crate::process::cpu_seconds;
use crate::{Figures, Outcome};

const PATH: &str = "/client-bench";
const DATA: &[u8] = &[b'x'; 100];

/// How many requests are under way at any time, and for how long to measure.
type Load = (usize, Duration);

pub(crate) async fn run(
    hosts: &str,
    client: &str,
    load: &str,
    depth: usize,
    span: Duration,
) -> Outcome {
    match client {
        "tenure" => tenure(hosts, load, (depth, span)).await,
        "zookeeper-client" => other(hosts, load, (depth, span)).await,
        _ => Err(format!("no client {client}").into()),
    }
}

async fn tenure(hosts: &str, load: &str, span: Load) -> Outcome {
    let session = tenure_client::Session::establish(hosts).await?;
    session.create_all(PATH).await?;
    session.set(PATH, DATA).await?;
    match load {
        "read" => drive(span, || session.get(PATH).into_future(), |node| node.data.len()).await,
        "write" => drive(span, || session.set(PATH, DATA).into_future(), |_| DATA.len()).await,
        _ => Err(format!("no load {load}").into()),
    }
}

async fn other(hosts: &str, load: &str, span: Load) -> Outcome {
    use zookeeper_client::{Acls, Client, CreateMode, Error};

    let client = Client::connect(hosts).await?;
    match client.create(PATH, DATA, &CreateMode::Persistent.with_acls(Acls::anyone_all())).await {
        Ok(_) | Err(Error::NodeExists) => {}
        Err(error) => return Err(error.into()),
    }
    client.set_data(PATH, DATA, None).await?;
    match load {
        "read" => drive(span, || Box::pin(client.get_data(PATH)), |(data, _)| data.len()).await,
        "write" => {
            drive(span, || Box::pin(client.set_data(PATH, DATA, None)), |_| DATA.len()).await
        }
        _ => Err(format!("no load {load}").into()),
    }
}

/// Keeps as many requests under way as wanted, awaiting the oldest: a moment to warm up, then for
/// the time span.
async fn drive<F, T, E>(
    (depth, span): Load,
    request: impl Fn() -> F,
    length: impl Fn(T) -> usize,
) -> Outcome
where
    F: Future<Output = Result<T, E>> + Unpin,
    E: std::error::Error + 'static,
{
    let mut under_way: VecDeque<F> = (0..depth).map(|_| request()).collect();
    let (mut operations, mut start, mut cpu) = (0_u64, Instant::now(), 0.0);
    let mut warm = false;
    loop {
        let oldest = under_way.pop_front().ok_or("nothing under way")?;
        assert_eq!(length(oldest.await?), DATA.len());
        under_way.push_back(request());
        operations += 1;
        if operations % 64 != 0 {
            continue;
        }
        if !warm && start.elapsed() >= Duration::from_millis(300) {
            (warm, operations, start, cpu) = (true, 0, Instant::now(), cpu_seconds());
        } else if warm && start.elapsed() >= span {
            break;
        }
    }
    Ok(figures(operations as f64, start.elapsed().as_secs_f64(), cpu_seconds() - cpu))
}

fn figures(operations: f64, wall: f64, cpu: f64) -> Figures {
    let per_operation = cpu * 1e6 / operations;
    vec![
        ("operations_per_second", operations / wall),
        ("client_cpu_us_per_operation", per_operation),
    ]
}
