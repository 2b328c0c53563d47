//! What `tenure dev` prints.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::command::HELP;
use super::leadership::News;
use super::server::Server;
use crate::table::table;

/// Standard output, which nobody need read.
#[derive(Clone, Copy)]
pub(super) struct Screen {
    start: Instant,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// Something happened just now.
    pub(super) fn event(&self, text: &str) {
        self.text(&format!("{:>9.3} s  {text}\n", self.start.elapsed().as_secs_f64()));
    }

    pub(super) fn text(&self, text: &str) {
        let mut out = io::stdout().lock();
        // Whoever read it has read enough; the servers run on.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

/// The addresses that clients need.
pub(super) fn connect_string(servers: &[Server]) -> String {
    let hosts: Vec<String> = servers.iter().map(|server| server.plan.clients.to_string()).collect();
    hosts.join(",")
}

/// One server on a line.
pub(super) fn status(servers: &[Server]) -> String {
    let row = |server: &Server| {
        vec![
            server.plan.id.to_string(),
            server.state.name().to_owned(),
            server.plan.clients.to_string(),
            format!("http://{}", server.plan.admin),
            server.pid().map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            server.plan.log.display().to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = servers.iter().map(row).collect();
    table(&["SERVER", "ROLE", "CLIENTS", "ADMIN", "PROCESS", "LOG"], &rows)
}

/// What can be done now.
pub(super) fn advice(servers: &[Server]) -> String {
    let program = std::env::args().next().unwrap_or_else(|| "tenure".to_owned());
    let hosts = connect_string(servers);
    let play = match servers.len() {
        1 => "kill 1, and start 1 to bring it back",
        _ => "kill leader, and see who leads next; start N brings it back",
    };
    format!(
        "
Try elsewhere:  {program} shell -s {hosts}
                {program} ensemble status -s {hosts}
Type here:      {play}
All commands:   {HELP}
Stop it:        Ctrl-C or quit; sessions and data are kept

"
    )
}

/// An election has ended.
pub(super) fn leads(news: News, servers: usize) -> String {
    let News { leader, before, without } = news;
    let without = without.as_millis();
    match (servers, before) {
        (1, None) => format!("server {leader} serves, {without} ms after the start"),
        (1, _) => format!("server {leader} serves again; {without} ms without it as seen here"),
        (_, None) => format!("server {leader} leads now, {without} ms after the start"),
        (_, Some(before)) if before == leader => {
            format!("server {leader} leads again; {without} ms without a leader as seen here")
        }
        (_, Some(before)) => format!(
            "server {leader} leads now, server {before} did before; {without} ms without a leader \
             as seen here"
        ),
    }
}

/// A server that did not serve does again.
pub(super) fn back(server: &Server, from: &str, after: Duration) -> String {
    let (id, role) = (server.plan.id, server.state.name());
    format!("server {id} is back as {role}, {} ms after {from}", after.as_millis())
}
