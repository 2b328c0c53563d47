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

#[cfg(test)]
mod tests {
    use super::*;

    /// Given out by ZooKeeper 3.9.5; also among the golden handshakes.
    #[test]
    fn the_password_is_the_one_of_a_real_server() {
        let password = derived_password(SessionId(0x0100_0017_f015_0000));
        assert_eq!(u128::from_be_bytes(password), 0xa181_b8fd_1a09_07b7_e707_25d8_f32f_747d);
        let password = derived_password(SessionId(0x0100_0017_f015_0001));
        assert_eq!(u128::from_be_bytes(password), 0xb4a2_b2fd_ba54_e6fb_dc4a_8c03_c7b8_884a);
    }
}
