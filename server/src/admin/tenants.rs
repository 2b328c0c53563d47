//! Who shares the server: addresses and identities, what each has under way, and which limits were
//! reached by whom.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::query::{AdminClient, AdminQuery};
use super::sessions::Answered;

/// One address or identity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantReport {
    /// Its open connections.
    pub connections: u64,
    /// Requests of these that wait for an answer.
    pub outstanding: u64,
    /// Bytes of answers and notifications not sent to them yet.
    pub unsent_bytes: u64,
    /// Paths that they watch.
    pub watches: u64,
    /// How often it reached a limit since the start of this server, by the limit's name.
    pub limits_reached: BTreeMap<&'static str, u64>,
}

/// All of them, by name; who has no connections is there only if it has reached a limit.
pub type TenantReports = BTreeMap<String, TenantReport>;

/// The answer to `/tenants`.
pub(crate) async fn tenants(client: &AdminClient) -> Answered {
    let tenants = client.ask(AdminQuery::Tenants).await?;
    let shown: Vec<Value> = tenants.iter().map(|(name, tenant)| show(name, tenant)).collect();
    Some((StatusCode::OK, json!({"tenants": shown})))
}

fn show(name: &str, tenant: &TenantReport) -> Value {
    json!({
        "name": name,
        "connections": tenant.connections,
        "outstanding_requests": tenant.outstanding,
        "unsent_bytes": tenant.unsent_bytes,
        "watches": tenant.watches,
        "limits_reached": tenant.limits_reached,
    })
}
