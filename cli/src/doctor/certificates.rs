//! Certificates: until when they count.

use std::time::{SystemTime, UNIX_EPOCH};

use tenure_server::config::ServerConfig;
use tenure_server::validities;

use super::finding::{Finding, Findings};

const DAY_S: u64 = 86_400;
/// Time enough to order a new one.
const SOON_S: u64 = 30 * DAY_S;

pub(super) fn look(config: &ServerConfig) -> Vec<Finding> {
    let mut found = Findings::about("certificates");
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    match validities(&config.tls) {
        Err(error) => found.problem(error.to_string(), "name a file that holds certificates"),
        Ok(certificates) => {
            for certificate in certificates {
                let shown = format!("{}={}", certificate.key, certificate.path);
                let left_s = certificate.not_after_s.checked_sub(now_s);
                match left_s {
                    _ if certificate.not_before_s > now_s => found.problem(
                        format!("{shown}: does not count yet"),
                        "look at this machine's clock, or use another certificate",
                    ),
                    None => found.problem(
                        format!(
                            "{shown}: expired {} days ago",
                            days(now_s, certificate.not_after_s)
                        ),
                        "replace it now: nobody who checks it connects",
                    ),
                    Some(left_s) if left_s < SOON_S => found.warning(
                        format!("{shown}: expires in {} days", left_s / DAY_S),
                        "replace it before that",
                    ),
                    Some(left_s) => {
                        found.good(format!("{shown}: counts for {} more days", left_s / DAY_S));
                    }
                }
            }
        }
    }
    found.into_list()
}

fn days(later_s: u64, earlier_s: u64) -> u64 {
    later_s.saturating_sub(earlier_s) / DAY_S
}
