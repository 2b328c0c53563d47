//! The version that the server tells, in the form that clients and scripts parse.

/// The release whose behaviour this server has. Clients read the first three numbers to decide
/// which operations they may use.
const COMPATIBLE_WITH: &str = "3.9.5";

/// When this was built, if the builder says so.
const BUILT_ON: &str = match option_env!("TENURE_BUILT_ON") {
    Some(date) => date,
    None => "2026-11-23 00:00 UTC",
};

/// Such as `3.9.5-tenure-0.1.0, built on 2026-11-23 00:00 UTC`.
pub fn version() -> String {
    format!("{COMPATIBLE_WITH}-tenure-{}, built on {BUILT_ON}", env!("CARGO_PKG_VERSION"))
}
