//! Every bound of the I/O around a replica, each with its reason.

use std::time::Duration;

/// How long a member is without a leader at least before it serves reads: longer than elections
/// take, so that clients find another server rather than old answers.
pub const READ_ONLY_AFTER_MS: u64 = 2_000;

/// Bytes taken from a socket by one read, of which each connection has one in a turn of the loop.
/// One scratch buffer of this size serves every connection, so it costs memory once; larger reads
/// no longer save noticeable time per request, and would let one connection hold up the others.
pub const READ_CHUNK_BYTES: usize = 64 * 1024;

/// Bytes taken by one read while the server is over its outstanding limit: a connection without
/// outstanding requests may still hand in a few, so that nobody starves, but not a bufferful.
pub const READ_CHUNK_OVER_LIMIT_BYTES: usize = 4 * 1024;

/// How long connections are read, or written, in one turn of the loop while several tenants share
/// the server. Between two turns it is looked who else has something; that takes a few
/// microseconds, so shorter turns would cost the busy ones and longer ones the others.
pub const TURN: Duration = Duration::from_micros(80);

/// How long one tenant is served before the next has its turn: some tens of requests.
pub const TURN_SHARE: Duration = Duration::from_micros(40);

/// Bytes taken by one read while several tenants share the server: some hundred requests, of which
/// what does not fit into a share of time has to be kept.
pub const READ_CHUNK_SHARED_BYTES: usize = 16 * 1024;

/// Of the requests that may wait for an answer, a tenant that is not alone has one of so many parts
/// at most. Writes that become durable together keep all the others waiting: an eighth of the usual
/// thousand takes no longer than the sync itself, and still keeps the disk busy.
pub const TENANTS_THAT_SHARE: usize = 8;

/// Frames processed between two looks at the clock.
pub const FRAMES_PER_LOOK: u32 = 8;

/// Handshakes that wait for a new session at once. Further ones wait unread, so that clients who
/// come back to a session they had never stand behind more than these.
pub const OPENINGS_AT_ONCE: usize = 256;

/// How often it is looked at the memory: a system call, while the server may get some ten megabytes
/// more.
pub const MEMORY_LOOK: Duration = Duration::from_millis(100);

/// Percent of the limit of memory at which writes are taken again that need more. So much has to be
/// deleted first that it does not come and go with every request.
pub const MEMORY_FREE_PERCENT: u64 = 95;

/// Roughly what a znode, a session and a watch take beside their bytes, where it is estimated what
/// has become free.
pub const ZNODE_BYTES: u64 = 160;
/// See [`ZNODE_BYTES`].
pub const SESSION_BYTES: u64 = 256;
/// See [`ZNODE_BYTES`].
pub const WATCH_BYTES: u64 = 64;

/// How often all watches are counted for the sake of those who may have no more.
pub const RECOUNT: Duration = Duration::from_millis(100);

/// Addresses and identities of which it is remembered which limits they reached.
pub const TENANTS_REMEMBERED: usize = 1000;

/// Connections left unread that are looked at in one turn of the loop.
pub const RESUMES_PER_TURN: usize = 64;

/// Requests of one connection that may wait for their turn before its socket is left unread. Deep
/// enough for any pipelining client; a connection that floods holds this many frames at most,
/// plus one read.
pub const OUTSTANDING_PER_CONNECTION: usize = 4096;

/// Unsent reply bytes from which on a connection's requests are no longer processed: it asks
/// faster than it reads. Processing resumes below.
pub const UNSENT_SOFT_BYTES: usize = 256 * 1024;

/// Unsent bytes at which a connection is closed. Requests stop at the soft bound, so only
/// notifications and one reply (a multi-read of many large znodes, or the children of a huge one)
/// get beyond it; a client that lets this much lie does not read at all.
pub const UNSENT_HARD_BYTES: usize = 64 * 1024 * 1024;

/// The same once [`UNSENT_CROWDED_BYTES`] is reached: those who owe most are closed first.
pub const UNSENT_HARD_CROWDED_BYTES: usize = 4 * 1024 * 1024;

/// Unsent bytes of all connections together from which on the soft bound shrinks to
/// [`UNSENT_SOFT_CROWDED_BYTES`], so that many slow readers cannot add up.
pub const UNSENT_CROWDED_BYTES: usize = 256 * 1024 * 1024;

/// Unsent bytes of all connections together from which on whoever does not take an answer at once,
/// and owes more than [`UNSENT_SOFT_CROWDED_BYTES`], is closed: memory ends somewhere.
pub const UNSENT_FULL_BYTES: usize = 512 * 1024 * 1024;

/// The soft bound of a single connection once [`UNSENT_CROWDED_BYTES`] is reached.
pub const UNSENT_SOFT_CROWDED_BYTES: usize = 16 * 1024;

/// Connections accepted in one turn of the loop, so that a storm of them does not hold up those
/// that are already here.
pub const ACCEPTS_PER_TURN: u32 = 32;

/// How long accepting rests after the process ran out of file descriptors or memory for sockets.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often a lasting shortage of descriptors is logged.
pub const ACCEPT_SHORT_LINE: Duration = Duration::from_secs(10);

/// Readiness events taken by one poll.
pub const EVENTS_PER_POLL: usize = 1024;

/// How long a closed connection is drained so that its last reply is not destroyed by a reset.
pub const LINGER: Duration = Duration::from_secs(1);

/// Snapshot chunks that may wait for the snapshot thread. Enough to keep it busy; more would only
/// hold memory.
pub const SNAPSHOT_CHUNKS_IN_FLIGHT: usize = 4;

/// Snapshots kept at least, whatever the configuration says: one to start from, one to fall back
/// on, one to look back at. More are removed after each new one, so that disk use stays bounded.
pub const SNAPSHOTS_RETAINED: u32 = 3;

/// Length of the queue of clients waiting to be accepted, unless configured; the operating system
/// caps it. Short queues turn a reconnecting crowd into seconds of retries.
pub const LISTEN_BACKLOG: i32 = 4096;

/// How long the disk thread waits for more work before it uses the time to fill the log ahead.
pub const DISK_IDLE: Duration = Duration::from_millis(10);

/// Log bytes after which the disk thread fills the file ahead although it is busy: as much as one
/// step fills. What was filled in idle time stays ahead, and no sync is spent on more than that.
pub const LOG_FILL_EVERY_BYTES: usize = 512 * 1024;

/// Bytes that an entry takes in the log beside its data, at most.
pub const LOG_RECORD_BYTES: usize = 48;

/// How often a write to a full disk is tried again.
pub const DISK_FULL_RETRY: Duration = Duration::from_secs(1);

/// Tries per log line while the disk is full.
pub const DISK_FULL_TRIES_PER_LINE: u32 = 10;

/// How long a graceful stop waits for requests under way.
pub const STOP_GRACE: Duration = Duration::from_secs(2);

/// Steps in the lives of sessions remembered for those who follow them live; less than a megabyte.
pub const SESSION_EVENTS: usize = 4096;

/// Steps in one answer, which is copied on the I/O thread.
pub const SESSION_EVENTS_PER_PAGE: usize = 1000;

/// How long an answer with the next step may be held back.
pub const SESSION_EVENTS_WAIT: Duration = Duration::from_secs(30);

/// Largest file of keys or certificates that is read. The authorities that Java trusts by itself
/// take a twentieth of it.
pub const TLS_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Reads of one TLS connection in search of plaintext before the others get their turn: records
/// may have no content, and handshakes take several.
pub const TLS_READS_AT_ONCE: u32 = 16;

/// Plaintext encrypted at once: the most that a TLS record can have. More would only lie in memory
/// a second time while the client does not read.
pub const TLS_RECORD_BYTES: usize = 16 * 1024;

/// How often it is looked whether files of keys and certificates have changed: soon enough for
/// whoever renews them and tries, and seldom enough to cost nothing.
pub const TLS_RELOAD: Duration = Duration::from_secs(1);

/// Output buffers kept for reuse instead of being given back to the allocator.
pub const SPARE_BUFFERS: usize = 64;

/// Largest output buffer worth keeping.
pub const SPARE_BUFFER_BYTES: usize = 64 * 1024;

/// Messages that may wait for a link to another member. Consensus bears their loss, so a member
/// that is away or does not keep up costs no more memory than this.
pub const PEER_QUEUE: usize = 4096;

/// Longest message between members: a batch of entries of the largest frames, with room to spare.
pub const PEER_MESSAGE_BYTES: usize = 256 * 1024 * 1024;

/// Bytes gathered for one read or write of a link.
pub const PEER_BUFFER_BYTES: usize = 64 * 1024;

/// How long whoever dials the peer port may take to say who it is.
pub const PEER_HELLO: Duration = Duration::from_secs(5);

/// Connections to the peer port that have not said yet who they are. Members take milliseconds for
/// that, so many more are no members; each has a thread.
pub const PEER_STRANGERS: usize = 32;

/// Addresses of members that are remembered, to tell those who come from there from strangers.
pub const PEER_ADDRESSES: usize = 256;

/// Snapshots that may come from other members at once. Only the leader sends any, so more than one
/// or two are left over from links that broke.
pub const PEER_SNAPSHOTS: usize = 8;

/// Servers whose refusals are remembered, so that each reason makes one log line.
pub const PEER_REFUSALS: usize = 256;

/// How long dialling another member may take.
pub const PEER_CONNECT: Duration = Duration::from_secs(2);

/// How long a link may have nothing to say before it is looked whether the other end is there.
pub const PEER_IDLE: Duration = Duration::from_millis(100);

/// How long a link may take no bytes before it counts as broken.
pub const PEER_STALL: Duration = Duration::from_secs(10);

/// Bytes read and sent at once of a snapshot for another member.
pub const TRANSFER_CHUNK_BYTES: usize = 256 * 1024;

/// Pace at which a snapshot is sent, so that it takes neither the disk nor the network from those
/// who wait for replies: a million small znodes take two or three seconds.
pub const TRANSFER_BYTES_PER_SECOND: f64 = 64.0 * 1024.0 * 1024.0;

/// How long the snapshot that somebody asked for over admin HTTP may take: very large trees on slow
/// disks.
pub const SNAPSHOT_WAIT: Duration = Duration::from_secs(1800);

/// How long one is kept for whoever asked for it and was told to come back.
pub const SNAPSHOT_KEPT: Duration = Duration::from_secs(60);

/// How long a member may take to check a snapshot that it has received whole.
pub const TRANSFER_VERDICT: Duration = Duration::from_secs(300);

/// Time in which a member reads a snapshot that it has received: no other is sent meanwhile.
pub const TRANSFER_REST: Duration = Duration::from_secs(5);

/// Time between attempts to send a snapshot.
pub const TRANSFER_RETRY: Duration = Duration::from_millis(300);

/// Time between attempts to reach another member.
pub const PEER_RETRY: Duration = Duration::from_millis(100);

/// The same after one that was refused: it takes an operator to change that.
pub const PEER_REFUSED_RETRY: Duration = Duration::from_millis(500);

/// How long the I/O loop may take to answer before the server counts as unhealthy: probes give up
/// sooner than other askers.
pub const HEALTH_ANSWER: Duration = Duration::from_secs(2);

/// How long the disk may take for one write or sync before the server counts as unhealthy. Another
/// member leads long before that.
pub const DISK_STUCK: Duration = Duration::from_secs(30);

/// A pause of the I/O loop that is worth an event: clients with short timeouts notice it.
pub const PAUSE_EVENT: Duration = Duration::from_millis(500);

/// How often the wall clock is compared with the monotonic one.
pub const CLOCK_CHECK: Duration = Duration::from_millis(100);

/// How far the two may come apart between two looks before it counts as a step.
pub const CLOCK_STEP: Duration = Duration::from_millis(500);

/// Expiries soon after one another that make a storm: more than one machine's clients usually are.
pub const STORM_EXPIRIES: u64 = 20;

/// A storm is over when nobody expired for this long,
pub const STORM_QUIET: Duration = Duration::from_secs(2);

/// or after this long, so that one without an end is told of too.
pub const STORM_LONGEST: Duration = Duration::from_secs(30);

/// What happened this long before a storm may have caused it: the longest usual session timeout.
pub const STORM_CAUSE: Duration = Duration::from_secs(60);

/// Sessions of a storm whose clients' addresses are looked at.
pub const STORM_SESSIONS_LOOKED_AT: usize = 1024;

/// Slow syncs, and whoever reaches a limit, are told of once as long as they are no further apart
/// than this.
pub const EVENTS_TOGETHER: Duration = Duration::from_secs(60);

/// One of so many requests is looked at for the path it is about.
pub const HOT_PATH_EVERY: u32 = 32;

/// Paths that are counted. Whatever makes more than one of so many requests is among them.
pub const HOT_PATHS: usize = 64;

/// Requests looked at before all counts are halved, so that the list tells of the present.
pub const HOT_PATH_MEMORY: u64 = 8192;

/// Longer paths are counted by their beginning.
pub const HOT_PATH_BYTES: usize = 256;

/// Events of the server that are remembered for operators.
pub const SERVER_EVENTS: usize = 256;

/// How long a member may be silent and still count as connected. Its leader hears of it several
/// times a second.
pub const MEMBER_HEARD: Duration = Duration::from_secs(2);

/// Entries that a member may lack and still count as in sync: less than a second of writes.
pub const MEMBER_IN_SYNC_ENTRIES: u64 = 10_000;

/// Changes of the leader that are remembered for operators.
pub const ELECTIONS: usize = 64;

/// Refusals that are remembered for operators.
pub const DENIALS: usize = 256;

/// Records that wait for the audit log: a tenth of a second of the fastest writes.
pub const AUDIT_QUEUE: usize = 16 * 1024;

/// Bytes of their texts: an access control list may be as long as a frame.
pub const AUDIT_QUEUE_BYTES: usize = 32 << 20;

/// Bytes written to the audit log at once, if so many wait.
pub const AUDIT_WRITE_BYTES: usize = 256 * 1024;
