//! The shell's commands: their names, flags and what they take. Parsing, completion and help all
//! read this one table.

/// A flag of a command, given with a single dash as in zkCli.
#[derive(Debug)]
pub(super) struct Flag {
    /// Without the dash.
    pub(super) name: &'static str,
    /// What its value is called, if it takes one.
    pub(super) value: Option<&'static str>,
    pub(super) help: &'static str,
}

/// What the arguments of a command are, for completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// A path first; what follows is free.
    Path,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// The name of a command.
    Command,
    /// Nothing that could be completed.
    Free,
}

/// One command.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) name: &'static str,
    /// Other names, which `help` does not list.
    pub(super) aliases: &'static [&'static str],
    pub(super) flags: &'static [Flag],
    /// Its arguments as the usage line shows them.
    pub(super) args: &'static str,
    /// How many arguments it must and may have.
    pub(super) arity: (usize, usize),
    pub(super) takes: Takes,
    pub(super) help: &'static str,
}

impl Spec {
    /// Its usage on one line.
    pub(super) fn usage(&self) -> String {
        let mut usage = self.name.to_owned();
        for flag in self.flags {
            match flag.value {
                Some(value) => usage.push_str(&format!(" [-{} {value}]", flag.name)),
                None => usage.push_str(&format!(" [-{}]", flag.name)),
            }
        }
        if !self.args.is_empty() {
            usage.push(' ');
            usage.push_str(self.args);
        }
        usage
    }

    /// Its name and arguments.
    pub(super) fn brief(&self) -> String {
        format!("{} {}", self.name, self.args)
    }

    pub(super) fn flag(&self, name: &str) -> Option<&'static Flag> {
        self.flags.iter().find(|flag| flag.name == name)
    }
}

/// The command of a name, in upper or lower case as it comes.
pub(super) fn find(name: &str) -> Option<&'static Spec> {
    COMMANDS.iter().find(|spec| {
        spec.name.eq_ignore_ascii_case(name)
            || spec.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
    })
}

const fn switch(name: &'static str, help: &'static str) -> Flag {
    Flag { name, value: None, help }
}

const fn valued(name: &'static str, value: &'static str, help: &'static str) -> Flag {
    Flag { name, value: Some(value), help }
}

const STAT: Flag = switch("s", "show the stat too");
const VERSION: Flag = valued("v", "version", "only if this is the current version");

/// Every command, in the order `help` lists them.
pub(super) const COMMANDS: &[Spec] = &[
    Spec {
        name: "ls",
        aliases: &["ls2"],
        flags: &[
            STAT,
            switch("w", "watch the list of children, once"),
            switch("R", "list all descendants, a path per line"),
        ],
        args: "path",
        arity: (1, 2),
        takes: Takes::Path,
        help: "list the children of a znode",
    },
    Spec {
        name: "get",
        aliases: &[],
        flags: &[
            STAT,
            switch("w", "watch the data, once"),
            switch("b", "show the data as base64"),
            switch("x", "show the data as a hex dump"),
        ],
        args: "path",
        arity: (1, 2),
        takes: Takes::Path,
        help: "show the data of a znode",
    },
    Spec {
        name: "stat",
        aliases: &[],
        flags: &[switch("w", "watch the znode, once; it need not exist")],
        args: "path",
        arity: (1, 2),
        takes: Takes::Path,
        help: "show the stat of a znode",
    },
    Spec {
        name: "create",
        aliases: &[],
        flags: &[
            switch("s", "sequential: a number is appended to the name"),
            switch("e", "ephemeral: it goes when this session ends"),
            switch("c", "container: it goes some time after its last child"),
            valued("t", "ttl", "it goes when unused for this many milliseconds"),
            switch("p", "create missing parents too"),
        ],
        args: "path [data] [acl]",
        arity: (1, 3),
        takes: Takes::Path,
        help: "create a znode; without data they are null",
    },
    Spec {
        name: "set",
        aliases: &[],
        flags: &[STAT, VERSION, switch("b", "the data are given as base64")],
        args: "path data",
        arity: (2, 3),
        takes: Takes::Path,
        help: "replace the data of a znode",
    },
    Spec {
        name: "delete",
        aliases: &[],
        flags: &[VERSION, switch("r", "with all descendants")],
        args: "path",
        arity: (1, 2),
        takes: Takes::Path,
        help: "delete a znode",
    },
    Spec {
        name: "deleteall",
        aliases: &["rmr"],
        flags: &[valued("b", "batch", "how many deletions may be under way at once (1000)")],
        args: "path",
        arity: (1, 1),
        takes: Takes::Path,
        help: "delete a znode with all descendants",
    },
    Spec {
        name: "getAcl",
        aliases: &[],
        flags: &[STAT],
        args: "path",
        arity: (1, 1),
        takes: Takes::Path,
        help: "show the access control list of a znode",
    },
    Spec {
        name: "setAcl",
        aliases: &[],
        flags: &[
            STAT,
            valued("v", "version", "only if this is the list's current version"),
            switch("R", "of all descendants too"),
        ],
        args: "path acl",
        arity: (2, 2),
        takes: Takes::Path,
        help: "replace the access control list; acl is scheme:id:cdrwa[,...]",
    },
    Spec {
        name: "addauth",
        aliases: &[],
        flags: &[],
        args: "scheme [auth]",
        arity: (1, 2),
        takes: Takes::OneOf(&["digest"]),
        help: "show credentials, for digest as user:password",
    },
    Spec {
        name: "whoami",
        aliases: &[],
        flags: &[],
        args: "",
        arity: (0, 0),
        takes: Takes::Free,
        help: "list the identities of this connection",
    },
    Spec {
        name: "sync",
        aliases: &[],
        flags: &[],
        args: "path",
        arity: (1, 1),
        takes: Takes::Path,
        help: "have the server catch up with the leader",
    },
    Spec {
        name: "getEphemerals",
        aliases: &[],
        flags: &[],
        args: "[path]",
        arity: (0, 1),
        takes: Takes::Path,
        help: "list this session's ephemerals, those that start with path",
    },
    Spec {
        name: "getAllChildrenNumber",
        aliases: &[],
        flags: &[],
        args: "path",
        arity: (1, 1),
        takes: Takes::Path,
        help: "count the descendants of a znode",
    },
    Spec {
        name: "addWatch",
        aliases: &[],
        flags: &[valued("m", "mode", "PERSISTENT or PERSISTENT_RECURSIVE, which is the default")],
        args: "path",
        arity: (1, 1),
        takes: Takes::Path,
        help: "watch a path again and again, whether or not there is a znode",
    },
    Spec {
        name: "removewatches",
        aliases: &[],
        flags: &[
            switch("c", "watches of children"),
            switch("d", "watches of data"),
            switch("p", "persistent watches"),
            switch("r", "persistent recursive watches"),
            switch("a", "all watches, which is the default"),
            switch("l", "forget them here even if no server can be told"),
        ],
        args: "path",
        arity: (1, 1),
        takes: Takes::Path,
        help: "remove this session's watches of a path",
    },
    Spec {
        name: "setquota",
        aliases: &[],
        flags: &[
            valued("n", "count", "soft limit of znodes"),
            valued("b", "bytes", "soft limit of bytes of data"),
            valued("N", "count", "hard limit of znodes"),
            valued("B", "bytes", "hard limit of bytes of data"),
        ],
        args: "path",
        arity: (1, 1),
        takes: Takes::Path,
        help: "limit what is below a path",
    },
    Spec {
        name: "listquota",
        aliases: &[],
        flags: &[],
        args: "path",
        arity: (1, 1),
        takes: Takes::Path,
        help: "show the limits of a path, and what is used",
    },
    Spec {
        name: "delquota",
        aliases: &[],
        flags: &[
            switch("n", "the soft limit of znodes"),
            switch("b", "the soft limit of bytes"),
            switch("N", "the hard limit of znodes"),
            switch("B", "the hard limit of bytes"),
        ],
        args: "path",
        arity: (1, 1),
        takes: Takes::Path,
        help: "remove limits of a path, all of them by default",
    },
    Spec {
        name: "config",
        aliases: &[],
        flags: &[
            switch("c", "only the version and what clients connect to"),
            switch("w", "watch the configuration, once"),
            STAT,
        ],
        args: "",
        arity: (0, 0),
        takes: Takes::Free,
        help: "show the configuration of the ensemble",
    },
    Spec {
        name: "reconfig",
        aliases: &[],
        flags: &[
            STAT,
            valued("v", "version", "only if the configuration has this version, in hex"),
            valued("file", "file", "all new members, from a file"),
            valued("members", "server.N=...[,...]", "all new members"),
            valued("add", "server.N=...[,...]", "members to add or change"),
            valued("remove", "N[,...]", "numbers of members to remove"),
        ],
        args: "",
        arity: (0, 0),
        takes: Takes::Free,
        help: "change the members of the ensemble",
    },
    Spec {
        name: "session",
        aliases: &[],
        flags: &[],
        args: "",
        arity: (0, 0),
        takes: Takes::Free,
        help: "show this session: id, state, timeout, how long it is valid, server",
    },
    Spec {
        name: "connect",
        aliases: &[],
        flags: &[],
        args: "[host:port[,...][/chroot]]",
        arity: (0, 1),
        takes: Takes::Free,
        help: "close the session and establish a new one",
    },
    Spec {
        name: "close",
        aliases: &[],
        flags: &[],
        args: "",
        arity: (0, 0),
        takes: Takes::Free,
        help: "close the session; its ephemerals go",
    },
    Spec {
        name: "history",
        aliases: &[],
        flags: &[],
        args: "",
        arity: (0, 0),
        takes: Takes::Free,
        help: "list the last commands with their numbers",
    },
    Spec {
        name: "redo",
        aliases: &[],
        flags: &[],
        args: "number",
        arity: (1, 1),
        takes: Takes::Free,
        help: "run a command of the history again",
    },
    Spec {
        name: "printwatches",
        aliases: &[],
        flags: &[],
        args: "[on|off]",
        arity: (0, 1),
        takes: Takes::OneOf(&["on", "off"]),
        help: "whether events are printed as they come",
    },
    Spec {
        name: "version",
        aliases: &[],
        flags: &[],
        args: "",
        arity: (0, 0),
        takes: Takes::Free,
        help: "show the version of this shell",
    },
    Spec {
        name: "help",
        aliases: &["?"],
        flags: &[],
        args: "[command]",
        arity: (0, 1),
        takes: Takes::Command,
        help: "list the commands, or explain one",
    },
    Spec {
        name: "quit",
        aliases: &["exit"],
        flags: &[],
        args: "",
        arity: (0, 0),
        takes: Takes::Free,
        help: "close the session and leave",
    },
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

    use super::*;

    #[test]
    fn names_are_unique_and_found_in_any_case() {
        let mut names: Vec<String> = COMMANDS
            .iter()
            .flat_map(|spec| spec.aliases.iter().chain([&spec.name]))
            .map(|name| name.to_ascii_lowercase())
            .collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
        assert_eq!(find("getacl").unwrap().name, "getAcl");
        assert_eq!(find("RMR").unwrap().name, "deleteall");
        assert!(find("gets").is_none());
    }

    #[test]
    fn a_usage_line_shows_flags_and_arguments() {
        assert_eq!(
            find("create").unwrap().usage(),
            "create [-s] [-e] [-c] [-t ttl] [-p] path [data] [acl]"
        );
        assert_eq!(find("whoami").unwrap().usage(), "whoami");
    }
}
