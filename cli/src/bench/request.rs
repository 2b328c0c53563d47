//! Requests as ready-made bytes: encoded once, copied per operation, only the xid written anew.

use tenure_wire::{
    Acl, ConnectRequest, Create, CreateMode, OpCode, PASSWORD_LEN, PING_XID, Request,
    RequestHeader, SessionId, Xid, Zxid, frame,
};

use super::link::Ticket;

/// Frames of one length, of which any can be appended to a send buffer at the cost of a copy.
pub(crate) struct Template {
    frames: Vec<u8>,
    stride: usize,
}

impl Template {
    /// Keeps `frames`, which must all have the same length.
    pub(crate) fn new(frames: impl IntoIterator<Item = Vec<u8>>) -> Template {
        let mut all = Vec::new();
        let mut stride = 0;
        for frame in frames {
            assert!(
                stride == 0 || stride == frame.len(),
                "frames of one template differ in length"
            );
            stride = frame.len();
            all.extend_from_slice(&frame);
        }
        assert!(stride > 0, "a template has at least one frame");
        Template { frames: all, stride }
    }

    /// How many frames there are to choose from.
    pub(crate) fn len(&self) -> usize {
        self.frames.len() / self.stride
    }

    /// Appends frame number `which` with this xid.
    pub(crate) fn append(&self, which: usize, xid: i32, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.frames[which * self.stride..][..self.stride]);
        out[start + 4..start + 8].copy_from_slice(&xid.to_be_bytes());
    }
}

/// The first packet of a connection: a new session with this timeout, or the one to resume, of a
/// client that has seen changes up to the zxid.
pub(crate) fn connect(timeout_ms: i32, resume: Option<(Ticket, Zxid)>) -> Vec<u8> {
    let nobody = Ticket { session: SessionId(0), password: [0; PASSWORD_LEN] };
    let (ticket, last_zxid_seen) = resume.unwrap_or((nobody, Zxid(0)));
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen,
        timeout_ms,
        session: ticket.session,
        password: Some(&ticket.password),
        read_only: Some(false),
    };
    let mut out = Vec::new();
    let start = frame::begin(&mut out);
    request.encode(&mut out);
    frame::end(&mut out, start);
    out
}

pub(crate) fn ping() -> Vec<u8> {
    encode(PING_XID, &Request::Ping)
}

pub(crate) fn close_session() -> Vec<u8> {
    encode(CLOSE_XID, &Request::CloseSession)
}

pub(crate) fn get_data(path: &str, watch: bool) -> Vec<u8> {
    encode(Xid(0), &Request::GetData { path: path.into(), watch })
}

pub(crate) fn exists(path: &str) -> Vec<u8> {
    encode(Xid(0), &Request::Exists { path: path.into(), watch: false })
}

pub(crate) fn set_data(path: &str, data: &[u8]) -> Vec<u8> {
    encode(Xid(0), &Request::SetData { path: path.into(), data: Some(data), version: -1 })
}

pub(crate) fn create(path: &str, data: &[u8], mode: CreateMode) -> Vec<u8> {
    let create = Create {
        op: OpCode::Create,
        path: path.into(),
        data: Some(data),
        acl: vec![Acl::OPEN],
        flags: mode.flags(),
        ttl_ms: None,
    };
    encode(Xid(0), &Request::Create(create))
}

pub(crate) fn sync(path: &str) -> Vec<u8> {
    encode(Xid(0), &Request::Sync { path: path.into() })
}

pub(crate) fn delete(path: &str) -> Vec<u8> {
    encode(Xid(0), &Request::Delete { path: path.into(), version: -1 })
}

fn encode(xid: Xid, request: &Request<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let start = frame::begin(&mut out);
    RequestHeader { xid, op: request.op().code() }.encode(&mut out);
    request.encode(&mut out);
    frame::end(&mut out, start);
    out
}

/// The xid of the request that closes a session; no other has it.
pub(crate) const CLOSE_XID: Xid = Xid(i32::MAX);

#[cfg(test)]
mod tests {
    use super::{Template, connect, get_data};

    #[test]
    fn the_connect_packet_has_the_length_servers_expect() {
        assert_eq!(connect(30_000, None).len(), 4 + 45);
    }

    #[test]
    fn a_template_changes_only_the_xid() {
        let template = Template::new([get_data("/a", false), get_data("/b", false)]);
        assert_eq!(template.len(), 2);
        let mut out = vec![9];
        template.append(1, 0x0102_0304, &mut out);
        let mut wanted = get_data("/b", false);
        wanted[4..8].copy_from_slice(&[1, 2, 3, 4]);
        assert_eq!(out[0], 9);
        assert_eq!(out[1..], wanted);
    }

    #[test]
    #[should_panic(expected = "differ in length")]
    fn a_template_refuses_frames_of_two_lengths() {
        Template::new([get_data("/a", false), get_data("/bb", false)]);
    }
}
