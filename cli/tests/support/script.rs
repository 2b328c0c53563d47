//! Random but repeatable sequences of requests over a small tree, and answers as plain text.

use std::collections::HashMap;

use super::client::Reply;
use super::ops::{ALL, Acl, CREATE, DELETE, Outcome, READ, WRITE, open, read_acl, read_outcomes};
use super::record::Fields;
use super::{Op, Random, Stat};

/// One thing a client does.
pub enum Step {
    /// Sends this request and awaits its answer.
    Request(Op),
    /// Authenticates as the user of this name.
    Authenticate(&'static str),
    /// Loses its connection and resumes its session on another.
    Reattach,
    /// Closes its session and opens another.
    Reopen,
}

/// Chooses steps.
pub struct Script {
    pub random: Random,
    /// The highest zxid seen some time ago, for setWatches.
    pub earlier_zxid: i64,
}

impl Script {
    /// The next step and how it is written in a transcript.
    pub fn step(&mut self) -> (String, Step) {
        match self.random.below(200) {
            0 => ("reattach".into(), Step::Reattach),
            1 | 2 => ("reopen".into(), Step::Reopen),
            3 | 4 => ("authenticate as bob".into(), Step::Authenticate("bob:secret")),
            5..75 => request(self.create()),
            75..95 => request(self.delete()),
            95..115 => request(self.set_data()),
            115..150 => request(self.read()),
            150..158 => request(self.set_acl()),
            158..175 => request(self.multi()),
            175..180 => request(self.multi_read()),
            180..192 => request(self.watch()),
            _ => request(self.set_watches()),
        }
    }

    fn path(&mut self) -> String {
        let depth = *self.random.pick(&[1, 1, 2, 2, 2, 3]);
        let part = |random: &mut Random| *random.pick(&["/a", "/a", "/b"]);
        let path: String = (0..depth).map(|_| part(&mut self.random)).collect();
        match self.random.below(90) {
            0 => format!("{path}/"),
            1 => format!("{path}/.."),
            2 => path.replacen('/', "", 1),
            3 => format!("/{path}"),
            4 => "/".into(),
            5 => "/zookeeper/quota".into(),
            6 => String::new(),
            7 => format!("{path}\0"),
            _ => path,
        }
    }

    fn version(&mut self) -> i32 {
        *self.random.pick(&[-1, -1, -1, 0, 1, 2])
    }

    fn data(&mut self) -> Option<Vec<u8>> {
        match self.random.below(8) {
            0 => None,
            1 => Some(Vec::new()),
            _ => Some(vec![b'x'; self.random.below(9) as usize]),
        }
    }

    fn acl(&mut self) -> Vec<Acl> {
        match self.random.below(30) {
            0 => Vec::new(),
            1 => vec![Acl::new(ALL, "auth", "")],
            2 => vec![Acl::new(READ, "world", "anyone")],
            3 => vec![Acl::new(WRITE | CREATE | DELETE, "world", "anyone")],
            4 => vec![
                Acl::new(ALL, "digest", "bob:fyVmFCwVbTJYrznoSu1koqYEYF0="),
                Acl::new(READ, "world", "anyone"),
            ],
            5 => vec![Acl::new(ALL, "nonsense", "x")],
            6 => vec![Acl::new(ALL, "ip", "127.0.0.1"), Acl::new(ALL, "ip", "127.0.0.1")],
            _ => open(),
        }
    }

    fn create(&mut self) -> Op {
        let (path, data, acl) = (self.path(), self.data(), self.acl());
        let (code, flags) = *self.random.pick(&[
            (1, 0),
            (1, 0),
            (1, 0),
            (1, 0),
            (1, 1),
            (1, 2),
            (1, 3),
            (15, 0),
            (15, 1),
            (15, 2),
            (19, 4),
            (21, 5),
            (21, 6),
            (21, 0),
            (1, 5),
            (15, 9),
        ]);
        let op = Op::create_with(code, &path, data.as_deref(), &acl, flags);
        match code {
            21 => {
                let ttls_ms: &[i64] = match flags {
                    // With a TTL of -1 ZooKeeper gives no answer but closes the connection.
                    0 => &[1_000_000],
                    _ => &[1_000_000, 1_000_000, 1_000_000, 0, -1],
                };
                Op::new(code, op.body.long(*self.random.pick(ttls_ms)))
            }
            _ => op,
        }
    }

    fn delete(&mut self) -> Op {
        Op::delete(&self.path(), self.version())
    }

    fn set_data(&mut self) -> Op {
        let data = self.data();
        Op::set_data_to(&self.path(), data.as_deref(), self.version())
    }

    fn read(&mut self) -> Op {
        let (path, watch) = (self.path(), self.random.below(3) == 0);
        match self.random.below(9) {
            0 | 1 => Op::exists(&path, watch),
            2 | 3 => Op::get_data(&path, watch),
            4 => Op::get_children(&path, watch),
            5 => Op::get_children2(&path, watch),
            6 => Op::get_acl(&path),
            // ZooKeeper counts the root as its own descendant if it is called by its empty name.
            7 if path.is_empty() => Op::get_all_children_number("/"),
            7 => Op::get_all_children_number(&path),
            _ => Op::get_ephemerals(&path),
        }
    }

    fn set_acl(&mut self) -> Op {
        let acl = self.acl();
        Op::set_acl(&self.path(), &acl, self.version())
    }

    fn multi(&mut self) -> Op {
        let ops: Vec<Op> = (0..1 + self.random.below(4))
            .map(|_| match self.random.below(10) {
                0..4 => {
                    // A bad mode inside a multi is a matter of decoding, tested elsewhere.
                    let path = self.path();
                    Op::create(&path, b"m", *self.random.pick(&[0, 0, 1, 2, 3]))
                }
                4..6 => self.delete(),
                6..8 => self.set_data(),
                _ => Op::check(&self.path(), self.version()),
            })
            .collect();
        Op::multi(&ops)
    }

    fn multi_read(&mut self) -> Op {
        let ops: Vec<Op> = (0..1 + self.random.below(4))
            .map(|_| match self.random.below(2) {
                0 => Op::get_data(&self.path(), true),
                _ => Op::get_children(&self.path(), true),
            })
            .collect();
        Op::multi_read(&ops)
    }

    fn watch(&mut self) -> Op {
        let path = self.path();
        match self.random.below(4) {
            0 | 1 => Op::add_watch(&path, *self.random.pick(&[0, 1, 1, 2])),
            2 => Op::remove_watches(&path, self.random.below(7) as i32),
            _ => Op::check_watches(&path, self.random.below(7) as i32),
        }
    }

    fn set_watches(&mut self) -> Op {
        let paths: Vec<String> = (0..5).map(|_| self.path()).collect();
        let lists: [&[&str]; 5] =
            [&[&paths[0]], &[&paths[1]], &[&paths[2]], &[&paths[3]], &[&paths[4]]];
        match self.random.below(2) {
            0 => Op::set_watches(self.earlier_zxid, lists[0], lists[1], lists[2]),
            _ => Op::set_watches2(self.earlier_zxid, lists),
        }
    }
}

/// A request's bytes are written as they are, but readable.
fn request(op: Op) -> (String, Step) {
    let mut text = format!("{} ", op.code);
    for byte in &op.body.0 {
        match byte {
            b' '..=b'~' if *byte != b'\\' => text.push(*byte as char),
            0 => text.push('.'),
            _ => text.push_str(&format!("\\{byte:x}")),
        }
    }
    let text = if matches!(op.code, 101 | 105) {
        // It holds a zxid, which is a server's own.
        let at = text.find(' ').expect("there is one") + 1;
        format!("{}<zxid> {} bytes", &text[..at], op.body.0.len())
    } else {
        text
    };
    (text, Step::Request(op))
}

/// Replaces what is a server's own by what all servers share: zxids by the step that caused them,
/// session ids by the client's number.
#[derive(Default)]
pub struct Names {
    pub steps: HashMap<i64, usize>,
    pub clients: HashMap<i64, usize>,
}

impl Names {
    pub fn zxid(&self, zxid: i64) -> String {
        match zxid {
            0 | -1 => zxid.to_string(),
            _ => self.steps.get(&zxid).map_or("?".into(), |step| format!("#{step}")),
        }
    }

    fn stat(&self, stat: &Stat) -> String {
        let zxids = [stat.czxid, stat.mzxid, stat.pzxid].map(|zxid| self.zxid(zxid)).join(" ");
        let owner = match stat.ephemeral_owner {
            0 => "-".into(),
            owner => self.clients.get(&owner).map_or("?".into(), |client| format!("c{client}")),
        };
        let (versions, sizes) =
            ([stat.version, stat.cversion, stat.aversion], [stat.data_length, stat.num_children]);
        format!("[{zxids} {versions:?} {owner} {sizes:?}]")
    }

    fn outcome(&self, outcome: Outcome) -> String {
        match outcome {
            Outcome::Create2(path, stat) => format!("{path} {}", self.stat(&stat)),
            Outcome::SetData(stat) => self.stat(&stat),
            Outcome::GetData(data, stat) => format!("{} {}", text(data), self.stat(&stat)),
            Outcome::GetChildren(mut names) => {
                names.sort();
                format!("{names:?}")
            }
            other => format!("{other:?}"),
        }
    }

    /// The answer to a request with this code.
    pub fn reply(&self, code: i32, reply: &Reply) -> String {
        if reply.err != 0 {
            return reply.err.to_string();
        }
        let mut fields = Fields(&reply.body);
        let sorted = |mut names: Vec<String>| {
            names.sort();
            format!("{names:?}")
        };
        match code {
            1 => fields.string(),
            15 | 19 | 21 => {
                format!("{} {}", fields.string(), self.stat(&Stat::read(&mut fields)))
            }
            3 | 5 | 7 => self.stat(&Stat::read(&mut fields)),
            4 => format!("{} {}", text(fields.buffer()), self.stat(&Stat::read(&mut fields))),
            6 => {
                let acl: Vec<String> = read_acl(&mut fields)
                    .into_iter()
                    .map(|entry| format!("{}:{}:{}", entry.perms, entry.scheme, entry.id))
                    .collect();
                format!("{} {}", acl.join(","), self.stat(&Stat::read(&mut fields)))
            }
            8 | 103 => sorted(fields.strings()),
            12 => format!("{} {}", sorted(fields.strings()), self.stat(&Stat::read(&mut fields))),
            14 | 22 => {
                let outcomes = read_outcomes(fields).into_iter();
                outcomes.map(|outcome| self.outcome(outcome)).collect::<Vec<_>>().join("; ")
            }
            104 | 106 => fields.int().to_string(),
            _ => format!("{:?}", reply.body),
        }
    }
}

fn text(data: Option<Vec<u8>>) -> String {
    data.map_or("null".into(), |data| format!("{:?}", String::from_utf8_lossy(&data)))
}
