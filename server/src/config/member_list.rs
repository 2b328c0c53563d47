//! An ensemble without a file: its members in one line, `1=host:2888,2=host:2888,3=host:2888`.

use tenure_wire::{Member, MemberRole};

use super::error::MemberListError;
use super::settings::EnsembleSettings;

impl EnsembleSettings {
    /// Makes this the ensemble of a list of members, seen from one of them. Limits that nobody set
    /// get the values of the reference server's sample file.
    ///
    /// # Errors
    /// If the list has not the form, contradicts itself, or lacks this server.
    pub fn set_members(&mut self, my_id: u64, list: &str) -> Result<(), MemberListError> {
        let mut members = list.split(',').map(parse_item).collect::<Result<Vec<_>, _>>()?;
        members.sort_by_key(|member| member.id);
        for (n, member) in members.iter().enumerate() {
            let earlier = &members[..n];
            if earlier.iter().any(|other| other.id == member.id) {
                return Err(MemberListError::SameId { id: member.id });
            }
            if let Some(other) = earlier.iter().find(|other| share_an_address(other, member)) {
                let (first, second) = (other.id, member.id);
                return Err(MemberListError::SameAddress { first, second });
            }
        }
        if members.iter().all(|member| member.role == MemberRole::Observer) {
            return Err(MemberListError::NoVoter);
        }
        if members.iter().all(|member| member.id != my_id) {
            let ids: Vec<String> = members.iter().map(|member| member.id.to_string()).collect();
            return Err(MemberListError::Absent { my_id, listed: ids.join(", ") });
        }
        self.members = members;
        self.my_id = Some(my_id);
        self.init_limit.get_or_insert(INIT_LIMIT);
        self.sync_limit.get_or_insert(SYNC_LIMIT);
        Ok(())
    }
}

const INIT_LIMIT: u32 = 10;
const SYNC_LIMIT: u32 = 5;

fn parse_item(item: &str) -> Result<Member, MemberListError> {
    let member = item.trim().split_once('=').and_then(|(id, value)| {
        let id = id.trim().parse().ok().filter(|id| (1..=255).contains(id))?;
        Member::parse_short(id, value)
    });
    member.ok_or_else(|| MemberListError::Item { item: item.to_owned() })
}

fn share_an_address(a: &Member, b: &Member) -> bool {
    let place = |address: &super::MemberAddress| (address.host.clone(), address.quorum_port);
    a.addresses.iter().any(|x| b.addresses.iter().any(|y| place(x) == place(y)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(my_id: u64, list: &str) -> String {
        let mut settings = EnsembleSettings::default();
        let error = settings.set_members(my_id, list).expect_err(list);
        assert_eq!(settings, EnsembleSettings::default(), "{list}");
        error.to_string()
    }

    #[test]
    fn a_list_is_what_the_member_lines_of_a_file_are() {
        let mut settings = EnsembleSettings { sync_limit: Some(2), ..Default::default() };
        settings.set_members(2, "3=c:1:observer, 2=b:2888,1=a:2888").expect("a good list");
        let lines: Vec<String> = settings.members.iter().map(Member::to_string).collect();
        assert_eq!(
            lines,
            [
                "server.1=a:2888:3888:participant",
                "server.2=b:2888:3888:participant",
                "server.3=c:1:1001:observer"
            ]
        );
        assert!(settings.is_distributed());
        assert_eq!(settings.me().map(|me| me.id), Some(2));
        assert_eq!((settings.init_limit, settings.sync_limit), (Some(10), Some(2)));
    }

    #[test]
    fn mistakes_are_named() {
        for (my_id, list, said) in [
            (1, "", "\"\": expected ID=HOST:PORT"),
            (1, "1=a:2888,", "\"\": expected"),
            (1, "1=a:2888,2=b:many", "\"2=b:many\""),
            (1, "a:2888", "\"a:2888\""),
            (0, "0=a:2888", "from 1 to 255"),
            (1, "1=a:2888,256=b:2888", "\"256=b:2888\""),
            (1, "1=a:2888,1=b:2888", "member 1 is listed twice"),
            (1, "1=a:2888,2=a:2888", "members 1 and 2 have the same address"),
            (4, "1=a:2888,2=b:2888", "member 4 is not in the list, which has 1, 2"),
            (1, "1=a:2888:observer", "at least one must vote"),
        ] {
            let error = error(my_id, list);
            assert!(error.contains(said), "{list}: {error}");
        }
    }
}
