//! What zkCli prints, in its shape: stat blocks, access control lists, identities, hex dumps; and
//! the same as JSON.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tenure_wire::{Acl, Perms, Stat};

/// The eleven lines of a stat, each with its newline.
pub(super) fn stat_block(stat: &Stat) -> String {
    format!(
        "cZxid = {}\nctime = {}\nmZxid = {}\nmtime = {}\npZxid = {}\ncversion = {}\n\
         dataVersion = {}\naclVersion = {}\nephemeralOwner = {:#x}\ndataLength = {}\n\
         numChildren = {}\n",
        stat.czxid,
        date(stat.ctime),
        stat.mzxid,
        date(stat.mtime),
        stat.pzxid,
        stat.cversion,
        stat.version,
        stat.aversion,
        stat.ephemeral_owner,
        stat.data_length,
        stat.num_children
    )
}

/// A stat as JSON: zxids and the owner in hex, as 64 bits do not fit into JSON's numbers; times in
/// milliseconds since the Unix epoch.
pub(super) fn stat_json(stat: &Stat) -> Value {
    json!({
        "czxid": stat.czxid.to_string(),
        "ctime": stat.ctime,
        "mzxid": stat.mzxid.to_string(),
        "mtime": stat.mtime,
        "pzxid": stat.pzxid.to_string(),
        "cversion": stat.cversion,
        "version": stat.version,
        "aversion": stat.aversion,
        "ephemeralOwner": format!("{:#x}", stat.ephemeral_owner),
        "dataLength": stat.data_length,
        "numChildren": stat.num_children,
    })
}

/// Entries as `'scheme,'id` and `: cdrwa`, two lines each.
pub(super) fn acl_lines(acls: &[Acl<'_>]) -> String {
    let mut text = String::new();
    for acl in acls {
        let _ = writeln!(text, "'{},'{}\n: {}", acl.scheme, acl.id, letters(acl.perms));
    }
    text
}

/// Entries as JSON.
pub(super) fn acl_json(acls: &[Acl<'_>]) -> Value {
    acls.iter()
        .map(|acl| json!({"scheme": acl.scheme, "id": acl.id, "perms": letters(acl.perms)}))
        .collect()
}

/// Permissions and their letters, in the order they are shown in.
pub(super) const PERM_LETTERS: [(char, Perms); 5] = [
    ('c', Perms::CREATE),
    ('d', Perms::DELETE),
    ('r', Perms::READ),
    ('w', Perms::WRITE),
    ('a', Perms::ADMIN),
];

fn letters(perms: Perms) -> String {
    PERM_LETTERS.iter().filter(|(_, perm)| perms.contains(*perm)).map(|(c, _)| c).collect()
}

/// Paths or names as `[a, b]`.
pub(super) fn bracketed<S: AsRef<str>>(names: &[S]) -> String {
    let names: Vec<_> = names.iter().map(AsRef::as_ref).collect();
    format!("[{}]", names.join(", "))
}

/// Bytes as base64, on one line.
pub(super) fn base64(data: &[u8]) -> String {
    STANDARD.encode(data)
}

/// The bytes of a base64 text.
pub(super) fn from_base64(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
    STANDARD.decode(text)
}

/// Data as JSON: a string where it is UTF-8, base64 under another name where it is not.
pub(super) fn data_json(data: Option<&[u8]>) -> (&'static str, Value) {
    match data.map(str::from_utf8) {
        None => ("data", Value::Null),
        Some(Ok(text)) => ("data", text.into()),
        Some(Err(_)) => ("data_base64", base64(data.unwrap_or_default()).into()),
    }
}

/// Sixteen bytes a row, in hex and as ASCII, framed. Nothing for no bytes.
pub(super) fn hex_dump(data: &[u8]) -> String {
    const FRAME: &str =
        "+--------+-------------------------------------------------+----------------+\n";
    let mut text = String::new();
    if data.is_empty() {
        return text;
    }
    let _ = writeln!(text, "{:9}+{:-<49}+", "", "");
    let columns: String = (0..16).map(|i| format!("  {i:x}")).collect();
    let _ = writeln!(text, "{:9}|{columns} |", "");
    text.push_str(FRAME);
    for (row, bytes) in data.chunks(16).enumerate() {
        let hex: String = bytes.iter().map(|byte| format!(" {byte:02x}")).collect();
        let ascii: String = bytes
            .iter()
            .map(|&byte| if (0x20..0x7f).contains(&byte) { byte as char } else { '.' })
            .collect();
        let _ = writeln!(text, "|{:08x}|{hex:48} |{ascii:16}|", row * 16);
    }
    text.push_str(FRAME);
    text
}

/// A time as Java prints it, always in UTC: `Thu Jan 01 00:00:00 UTC 1970`.
pub(super) fn date(unix_ms: i64) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = unix_ms.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let weekday = WEEKDAYS[days.rem_euclid(7) as usize];
    let (year, month, day) = civil(days);
    format!(
        "{weekday} {} {day:02} {:02}:{:02}:{:02} UTC {year}",
        MONTHS[month],
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// Year, month counted from zero and day of a day counted from 1970-01-01.
fn civil(days: i64) -> (i64, usize, i64) {
    // Years are taken to begin in March, so that the leap day comes last.
    let since = days + 719_468;
    let (era, day_of_era) = (since.div_euclid(146_097), since.rem_euclid(146_097));
    let leaps = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leaps) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = (march_month + 2) % 12;
    let year = year_of_era + era * 400 + i64::from(month < 2);
    (year, month as usize, day)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

    use tenure_wire::Zxid;

    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "Thu Jan 01 00:00:00 UTC 1970");
        assert_eq!(date(951_782_399_999), "Mon Feb 28 23:59:59 UTC 2000");
        assert_eq!(date(951_782_400_000), "Tue Feb 29 00:00:00 UTC 2000");
        assert_eq!(date(1_795_534_833_000), "Tue Nov 24 15:40:33 UTC 2026");
        assert_eq!(date(4_107_542_399_000), "Sun Feb 28 23:59:59 UTC 2100");
        assert_eq!(date(-1), "Wed Dec 31 23:59:59 UTC 1969");
        // No time of a broken server may panic.
        date(i64::MIN);
        date(i64::MAX);
    }

    #[test]
    fn a_stat_has_the_names_and_order_of_zkcli() {
        let stat = Stat {
            czxid: Zxid(0x1_0000_0002),
            mzxid: Zxid(-1),
            version: 3,
            ephemeral_owner: 0x10_0000_0000_0001,
            data_length: 5,
            ..Stat::default()
        };
        let block = stat_block(&stat);
        assert!(block.starts_with("cZxid = 0x100000002\nctime = Thu Jan 01 00:00:00 UTC 1970\n"));
        assert!(block.contains("\nmZxid = 0xffffffffffffffff\n"), "{block}");
        assert!(block.contains("\nephemeralOwner = 0x10000000000001\ndataLength = 5\n"), "{block}");
        assert_eq!(block.lines().count(), 11);
        assert_eq!(stat_json(&stat)["czxid"], "0x100000002");
    }

    #[test]
    fn a_hex_dump_is_framed_and_padded() {
        let dump = hex_dump(b"0123456789abcdefAZ\x7f\x81");
        let lines: Vec<_> = dump.lines().collect();
        assert_eq!(lines.len(), 6);
        assert_eq!(lines[1], "         |  0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f |");
        assert_eq!(
            lines[3],
            "|00000000| 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66 |0123456789abcdef|"
        );
        assert_eq!(
            lines[4],
            "|00000010| 41 5a 7f 81                                     |AZ..            |"
        );
        assert_eq!(hex_dump(b""), "");
    }

    #[test]
    fn lists_and_acls_look_as_in_zkcli() {
        assert_eq!(bracketed(&["a", "b"]), "[a, b]");
        assert_eq!(bracketed::<&str>(&[]), "[]");
        assert_eq!(acl_lines(&[Acl::OPEN]), "'world,'anyone\n: cdrwa\n");
        assert_eq!(acl_json(&[Acl::OPEN])[0]["perms"], "cdrwa");
    }

    #[test]
    fn data_that_is_no_text_is_base64_in_json() {
        assert_eq!(data_json(Some(b"abc")), ("data", "abc".into()));
        assert_eq!(data_json(Some(b"\xff")), ("data_base64", "/w==".into()));
        assert_eq!(data_json(None), ("data", Value::Null));
    }
}
