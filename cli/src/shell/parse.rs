//! From the words of a line to a command, checked as far as that is possible without a server.

use std::time::Duration;

use tenure_client::{WatchKind, WatchMode};

use super::acl;
use super::command::{Command, Create, DataForm, Members, SpecRef, Typed, UsageError};
use super::format::from_base64;
use super::parsed::Parsed;
use super::quota::Quota;
use super::spec;

/// Reads the words of a line, of which there is at least one.
pub(super) fn parse(words: &[String]) -> Result<Typed, UsageError> {
    let name = words.first().map(String::as_str).unwrap_or_default();
    let spec = spec::find(name).ok_or_else(|| UsageError::NotFound(name.to_owned()))?;
    let parsed = Parsed::of(spec, &words[1..])
        .map_err(|error| UsageError::Parse { error, spec: SpecRef(spec) })?;
    let command = read(&parsed, name)?;
    Ok(Typed { command, deprecated: deprecation(&parsed, name) })
}

/// Older forms: `ls path watch`, `get path watch`, `stat path watch`, `set path data version`,
/// `delete path version`, `ls2` and `rmr`.
fn deprecation(parsed: &Parsed, name: &str) -> Option<&'static str> {
    match (parsed.spec.name, parsed.args.len()) {
        ("ls", 2) => Some("'ls path [watch]' is deprecated; use 'ls [-w] path'"),
        ("get", 2) => Some("'get path [watch]' is deprecated; use 'get [-w] path'"),
        ("stat", 2) => Some("'stat path [watch]' is deprecated; use 'stat [-w] path'"),
        ("set", 3) => Some("'set path data [version]' is deprecated; use 'set [-v version]'"),
        ("delete", 2) => Some("'delete path [version]' is deprecated; use 'delete [-v version]'"),
        ("ls", _) if name.eq_ignore_ascii_case("ls2") => {
            Some("'ls2' is deprecated; use 'ls [-s] path'")
        }
        ("deleteall", _) if name.eq_ignore_ascii_case("rmr") => {
            Some("'rmr' is deprecated; use 'deleteall path'")
        }
        _ => None,
    }
}

fn read(parsed: &Parsed, name: &str) -> Result<Command, UsageError> {
    match parsed.spec.name {
        "ls" | "get" | "stat" | "create" | "set" | "delete" | "deleteall" => {
            read_data(parsed, name)
        }
        "getAcl"
        | "setAcl"
        | "sync"
        | "getEphemerals"
        | "getAllChildrenNumber"
        | "addWatch"
        | "removewatches"
        | "setquota"
        | "listquota"
        | "delquota" => read_about(parsed),
        _ => read_other(parsed),
    }
}

/// Commands about a znode and its data.
fn read_data(parsed: &Parsed, name: &str) -> Result<Command, UsageError> {
    let has = |flag| parsed.has(flag);
    let path = || checked_path(parsed.arg(0));
    let watch =
        has("w") || matches!(parsed.spec.name, "ls" | "get" | "stat") && parsed.args.len() > 1;
    Ok(match parsed.spec.name {
        "ls" if watch && has("R") => {
            return Err(UsageError::Conflict(
                "ls: -w and -R do not go together; addWatch watches a whole subtree",
            ));
        }
        "ls" => {
            let stat = has("s") || name.eq_ignore_ascii_case("ls2");
            Command::Ls { path: path()?, stat, watch, recursive: has("R") }
        }
        "get" => {
            let form = match (has("b"), has("x")) {
                (_, true) => DataForm::Hex,
                (true, false) => DataForm::Base64,
                (false, false) => DataForm::Raw,
            };
            Command::Get { path: path()?, stat: has("s"), watch, form }
        }
        "stat" => Command::Stat { path: path()?, watch },
        "create" => Command::Create(create(parsed)?),
        "set" => {
            let data = match has("b") {
                false => parsed.arg(1).into_bytes(),
                true => from_base64(&parsed.arg(1))
                    .map_err(|error| UsageError::Base64(error.to_string()))?,
            };
            Command::Set { path: path()?, data, stat: has("s"), version: version(parsed, 2)? }
        }
        "delete" => match (has("r"), version(parsed, 1)?) {
            (true, None) => Command::DeleteAll { path: path()?, batch: DEFAULT_BATCH },
            (true, Some(_)) => {
                return Err(UsageError::Conflict("delete: -v and -r do not go together"));
            }
            (false, version) => Command::Delete { path: path()?, version },
        },
        "deleteall" => {
            let batch = number(parsed, "b", "a number from 1 up", 1..)?.unwrap_or(DEFAULT_BATCH);
            Command::DeleteAll { path: path()?, batch }
        }
        other => unreachable!("{other} is not about data"),
    })
}

/// Other commands about a path.
fn read_about(parsed: &Parsed) -> Result<Command, UsageError> {
    let has = |flag| parsed.has(flag);
    let path = || checked_path(parsed.arg(0));
    Ok(match parsed.spec.name {
        "getAcl" => Command::GetAcl { path: path()?, stat: has("s") },
        "setAcl" => Command::SetAcl {
            path: path()?,
            acl: acl::parse(&parsed.arg(1))?,
            stat: has("s"),
            version: version(parsed, 2)?,
            deep: has("R"),
        },
        "sync" => Command::Sync { path: path()? },
        "getEphemerals" => {
            let prefix = if parsed.args.is_empty() { "/".to_owned() } else { path()? };
            Command::GetEphemerals { prefix }
        }
        "getAllChildrenNumber" => Command::CountDescendants { path: path()? },
        "addWatch" => Command::AddWatch { path: path()?, mode: watch_mode(parsed)? },
        "removewatches" => {
            let path = path()?;
            Command::RemoveWatches { path, kind: watch_kind(parsed)?, local: has("l") }
        }
        "setquota" => Command::SetQuota { path: quota_path(path()?)?, quota: limits(parsed)? },
        "listquota" => Command::ListQuota { path: path()? },
        "delquota" => {
            let chosen = |flag| if has(flag) { 0 } else { -1 };
            let quota = Quota {
                count: chosen("n"),
                bytes: chosen("b"),
                hard_count: chosen("N"),
                hard_bytes: chosen("B"),
            };
            Command::DelQuota { path: quota_path(path()?)?, quota }
        }
        other => unreachable!("{other} is not about a path"),
    })
}

/// Commands that are not about a path.
fn read_other(parsed: &Parsed) -> Result<Command, UsageError> {
    let has = |flag| parsed.has(flag);
    let word =
        |expected| UsageError::Word { command: parsed.spec.name, value: parsed.arg(0), expected };
    Ok(match parsed.spec.name {
        "addauth" => Command::AddAuth { scheme: parsed.arg(0), auth: parsed.arg(1) },
        "whoami" => Command::WhoAmI,
        "config" => Command::Config { for_clients: has("c"), watch: has("w"), stat: has("s") },
        "reconfig" => reconfig(parsed)?,
        "session" => Command::Session,
        "connect" => Command::Connect { hosts: parsed.args.first().cloned() },
        "close" => Command::Close,
        "history" => Command::History,
        "redo" => {
            let number =
                parsed.arg(0).parse().map_err(|_| word("the numbers that history shows"))?;
            Command::Redo { number }
        }
        "printwatches" => match parsed.args.first().map(String::as_str) {
            None => Command::PrintWatches { on: None },
            Some("on") => Command::PrintWatches { on: Some(true) },
            Some("off") => Command::PrintWatches { on: Some(false) },
            Some(_) => return Err(word("on, off")),
        },
        "version" => Command::Version,
        "help" => match parsed.args.first() {
            None => Command::Help { command: None },
            Some(name) => {
                let found = spec::find(name).ok_or_else(|| UsageError::NotFound(name.clone()))?;
                Command::Help { command: Some(found) }
            }
        },
        "quit" => Command::Quit,
        other => unreachable!("{other} is in the table of commands, but not here"),
    })
}

fn create(parsed: &Parsed) -> Result<Create, UsageError> {
    let sequential = parsed.has("s");
    let path = parsed.arg(0);
    let create = Create {
        // A name of nothing but its number is fine.
        path: if sequential && path.starts_with('/') { path } else { checked_path(path)? },
        data: parsed.args.get(1).cloned(),
        acl: parsed.args.get(2).map(|text| acl::parse(text)).transpose()?,
        sequential,
        ephemeral: parsed.has("e"),
        container: parsed.has("c"),
        ttl: number(parsed, "t", "a number of milliseconds from 1 up", 1..)?
            .map(Duration::from_millis),
        parents: parsed.has("p"),
    };
    if create.container && (create.ephemeral || create.sequential) {
        return Err(UsageError::Conflict(
            "-c cannot be combined with -s or -e. Containers cannot be ephemeral or sequential.",
        ));
    }
    if create.ttl.is_some() && create.ephemeral {
        return Err(UsageError::Conflict("TTLs cannot be used with Ephemeral znodes"));
    }
    if create.ttl.is_some() && create.container {
        return Err(UsageError::Conflict("TTLs cannot be used with Container znodes"));
    }
    Ok(create)
}

fn reconfig(parsed: &Parsed) -> Result<Command, UsageError> {
    let text = |flag| parsed.value(flag).map(str::to_owned);
    let change = match (text("file"), text("members"), text("add"), text("remove")) {
        (Some(file), None, None, None) => Members::File(file),
        (None, Some(members), None, None) => Members::All(members),
        (None, None, None, None) => {
            return Err(UsageError::Conflict(
                "reconfig: nothing to change; give -file, -members, -add or -remove",
            ));
        }
        (None, None, add, remove) => Members::Change { add, remove },
        (Some(_), Some(_), _, _) => {
            return Err(UsageError::Conflict("reconfig: -file and -members do not go together"));
        }
        _ => {
            return Err(UsageError::Conflict(
                "Can't use -file or -members together with -add or -remove",
            ));
        }
    };
    let from_version = match parsed.value("v") {
        None => None,
        Some(hex) => {
            let digits = hex.trim_start_matches("0x");
            Some(i64::from_str_radix(digits, 16).map_err(|_| UsageError::Number {
                flag: "v",
                expected: "a version in hex, as config shows it",
                value: hex.to_owned(),
            })?)
        }
    };
    Ok(Command::Reconfig { change, from_version, stat: parsed.has("s") })
}

fn watch_mode(parsed: &Parsed) -> Result<WatchMode, UsageError> {
    match parsed.value("m") {
        None | Some("PERSISTENT_RECURSIVE") => Ok(WatchMode::Recursive),
        Some("PERSISTENT") => Ok(WatchMode::Persistent),
        Some(value) => Err(UsageError::Word {
            command: "addWatch",
            value: value.to_owned(),
            expected: "PERSISTENT, PERSISTENT_RECURSIVE",
        }),
    }
}

fn watch_kind(parsed: &Parsed) -> Result<Option<WatchKind>, UsageError> {
    let kinds = [
        ("c", Some(WatchKind::Children)),
        ("d", Some(WatchKind::Data)),
        ("p", Some(WatchKind::Persistent)),
        ("r", Some(WatchKind::Recursive)),
        ("a", None),
    ];
    let mut given = kinds.iter().filter(|(flag, _)| parsed.has(flag));
    match (given.next(), given.next()) {
        (None, _) => Ok(None),
        (Some((_, kind)), None) => Ok(*kind),
        (Some(_), Some(_)) => {
            Err(UsageError::Conflict("removewatches: give one of -c, -d, -p, -r and -a"))
        }
    }
}

fn limits(parsed: &Parsed) -> Result<Quota, UsageError> {
    let limit = |flag| number(parsed, flag, "a number greater than zero", 1..);
    let quota = Quota {
        count: limit("n")?.unwrap_or(-1),
        bytes: limit("b")?.unwrap_or(-1),
        hard_count: limit("N")?.unwrap_or(-1),
        hard_bytes: limit("B")?.unwrap_or(-1),
    };
    match quota {
        Quota::NONE => {
            Err(UsageError::Conflict("setquota: give at least one of -n, -b, -N and -B"))
        }
        quota => Ok(quota),
    }
}

fn quota_path(path: String) -> Result<String, UsageError> {
    match path.as_str() {
        "/" => Err(UsageError::Conflict("there are no quotas on /")),
        _ => Ok(path),
    }
}

fn checked_path(path: String) -> Result<String, UsageError> {
    if !path.starts_with('/') {
        return Err(UsageError::NoSlash);
    }
    if path.len() > 1 && path.ends_with('/') {
        return Err(UsageError::TrailingSlash);
    }
    Ok(path)
}

/// The version of `-v`, or of the older form's last argument.
fn version(parsed: &Parsed, older: usize) -> Result<Option<i32>, UsageError> {
    let Some(text) = parsed.value("v").or_else(|| parsed.args.get(older).map(String::as_str))
    else {
        return Ok(None);
    };
    let wrong = || UsageError::Number { flag: "v", expected: "a number", value: text.to_owned() };
    text.parse().map(Some).map_err(|_| wrong())
}

fn number<N: std::str::FromStr + PartialOrd>(
    parsed: &Parsed,
    flag: &'static str,
    expected: &'static str,
    range: impl std::ops::RangeBounds<N>,
) -> Result<Option<N>, UsageError> {
    let Some(text) = parsed.value(flag) else { return Ok(None) };
    match text.parse() {
        Ok(number) if range.contains(&number) => Ok(Some(number)),
        _ => Err(UsageError::Number { flag, expected, value: text.to_owned() }),
    }
}

/// How many deletions are under way at once, unless told otherwise; as in zkCli.
const DEFAULT_BATCH: usize = 1000;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

    use super::super::words;
    use super::*;

    fn typed(line: &str) -> Result<Typed, UsageError> {
        parse(&words::split(line).unwrap())
    }

    fn command(line: &str) -> Command {
        typed(line).unwrap().command
    }

    fn error(line: &str) -> String {
        typed(line).unwrap_err().to_string()
    }

    #[test]
    fn every_command_of_the_table_can_be_read() {
        for spec in spec::COMMANDS {
            let args: Vec<String> = match spec.name {
                "setquota" => vec!["-n".into(), "1".into(), "/a".into()],
                "reconfig" => vec!["-remove".into(), "1".into()],
                "setAcl" => vec!["/a".into(), "world:anyone:r".into()],
                "redo" => vec!["1".into()],
                _ => vec!["/a".into(); spec.arity.0],
            };
            let line: Vec<String> = [spec.name.to_owned()].into_iter().chain(args).collect();
            assert!(parse(&line).is_ok(), "{line:?}");
        }
    }

    #[test]
    fn flags_become_fields() {
        assert_eq!(
            command("ls -R -s /a"),
            Command::Ls { path: "/a".into(), stat: true, watch: false, recursive: true }
        );
        assert_eq!(
            command("set -b -v 3 /a Zm91cg=="),
            Command::Set { path: "/a".into(), data: b"four".into(), stat: false, version: Some(3) }
        );
        let Command::Create(create) = command("create -s -t 1000 / x world:anyone:r") else {
            panic!("it is a create");
        };
        assert_eq!((create.path.as_str(), create.sequential), ("/", true));
        assert_eq!(create.ttl, Some(Duration::from_secs(1)));
        assert_eq!(create.acl.unwrap().len(), 1);
        assert_eq!(
            command("reconfig -v 0x1f -remove 3,4"),
            Command::Reconfig {
                change: Members::Change { add: None, remove: Some("3,4".into()) },
                from_version: Some(31),
                stat: false
            }
        );
        assert_eq!(
            command("removewatches -d /a"),
            Command::RemoveWatches { path: "/a".into(), kind: Some(WatchKind::Data), local: false }
        );
    }

    #[test]
    fn older_forms_work_and_say_so() {
        let older = typed("ls /a watch").unwrap();
        assert!(matches!(older.command, Command::Ls { watch: true, .. }));
        assert!(older.deprecated.unwrap().contains("ls [-w] path"));
        let older = typed("set /a x 3").unwrap();
        assert!(matches!(older.command, Command::Set { version: Some(3), .. }));
        assert!(older.deprecated.is_some());
        assert!(typed("rmr /a").unwrap().deprecated.is_some());
        assert_eq!(typed("ls /a").unwrap().deprecated, None);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (line, message) in [
            ("frobnicate /", "Command not found: frobnicate"),
            ("get a", "Path must start with / character"),
            ("get /a/", "Path must not end with / character"),
            ("create -e -c /a", "-c cannot be combined with -s or -e."),
            ("create -e -t 5 /a", "TTLs cannot be used with Ephemeral znodes"),
            ("create -t abc /a", "-t argument must be a number of milliseconds"),
            ("create -t 0 /a", "-t argument must be a number of milliseconds"),
            ("create /a x digest:bad", "digest:bad does not have the form scheme:id:perm"),
            ("set -v x /a y", "-v argument must be a number, not \"x\""),
            ("set /a two words", "-v argument must be a number, not \"words\""),
            ("set -b /a !!", "the data are not base64"),
            ("setquota /a", "setquota: give at least one"),
            ("setquota -n 0 /a", "-n argument must be a number greater than zero"),
            ("setquota -n 5 /", "there are no quotas on /"),
            ("deleteall -b 0 /a", "-b argument must be a number from 1 up"),
            ("ls -R -w /a", "ls: -w and -R do not go together"),
            ("reconfig", "reconfig: nothing to change"),
            ("reconfig -members a -add b", "Can't use -file or -members together"),
            ("reconfig -v xyz -remove 1", "-v argument must be a version in hex"),
            ("addWatch -m FOO /a", "addWatch: \"FOO\" is not one of PERSISTENT"),
            ("removewatches -c -d /a", "removewatches: give one of"),
            ("printwatches maybe", "printwatches: \"maybe\" is not one of on, off"),
            ("redo x", "redo: \"x\" is not one of"),
            ("help foo", "Command not found: foo"),
            ("ls", "ls: too few arguments\nusage: ls [-s] [-w] [-R] path"),
        ] {
            assert!(error(line).starts_with(message), "{line}: {}", error(line));
        }
    }
}
