//! The session password that ZooKeeper derives from the session id.

use crate::handshake::PASSWORD_LEN;
use crate::ids::SessionId;

/// The password a ZooKeeper server gives this session. Anyone can compute it, so it is no secret;
/// it is of use for sessions taken over from such a server.
pub fn derived_password(session: SessionId) -> [u8; PASSWORD_LEN] {
    // The generator is Java's: a 48-bit linear congruence, its seed scrambled with the multiplier.
    let mut state = (session.0 as u64 ^ SALT ^ MULTIPLIER) & MASK;
    let mut password = [0; PASSWORD_LEN];
    for word in password.chunks_exact_mut(4) {
        state = state.wrapping_mul(MULTIPLIER).wrapping_add(ADDEND) & MASK;
        word.copy_from_slice(&((state >> 16) as u32).to_le_bytes());
    }
    password
}

const SALT: u64 = 0xB341_5C00;
const MULTIPLIER: u64 = 0x5_DEEC_E66D;
const ADDEND: u64 = 0xB;
const MASK: u64 = (1 << 48) - 1;
