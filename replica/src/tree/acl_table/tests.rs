//! Tests of the table of access control lists.

use std::collections::BTreeMap;

use super::*;
use crate::fuzz::Random;

fn list(number: usize) -> AclList {
    let id = format!("user{number}:h");
    vec![AclEntry { perms: Perms::ALL, scheme: "digest".into(), id: id.into() }]
}

fn again(table: &AclTable) -> AclTable {
    let mut bytes = Vec::new();
    table.encode(&mut bytes);
    let mut reader = Reader::new(&bytes);
    let again = AclTable::decode(&mut reader).unwrap();
    assert_eq!(reader.remaining(), 0);
    again
}

#[test]
fn the_open_list_is_always_there() {
    let mut table = AclTable::new();
    assert_eq!(table.intern(vec![AclEntry::world(Perms::ALL)]), AclTable::OPEN);
    table.add_ref(AclTable::OPEN);
    table.release(AclTable::OPEN);
    assert_eq!(table.get(AclTable::OPEN), [AclEntry::world(Perms::ALL)]);
}

#[test]
fn equal_lists_share_an_id_and_the_lowest_free_id_is_used_first() {
    let mut table = AclTable::new();
    let ids: Vec<_> = (0..4).map(|number| table.intern(list(number))).collect();
    assert_eq!(ids, [AclId(1), AclId(2), AclId(3), AclId(4)]);
    for id in &ids {
        table.add_ref(*id);
    }
    assert_eq!(table.intern(list(2)), AclId(3));
    table.add_ref(AclId(3));
    table.release(AclId(3));
    assert!(table.contains(AclId(3)));
    for id in [3, 1] {
        table.release(AclId(id));
        assert!(!table.contains(AclId(id)));
    }
    assert_eq!(table.intern(list(9)), AclId(1));
    assert_eq!(table.intern(list(0)), AclId(3));
    assert_eq!(table.intern(list(8)), AclId(5));
    assert_eq!(table.len(), 6);
}

#[test]
fn damaged_tables_are_refused() {
    let mut bytes = Vec::new();
    bytes.put_vector_len(1);
    bytes.put_i32(FREE);
    assert!(AclTable::decode(&mut Reader::new(&bytes)).is_err());
    assert!(AclTable::decode(&mut Reader::new(&[0, 0, 0, 0])).is_err());
    let mut table = AclTable::new();
    let id = table.intern(list(1));
    table.add_ref(id);
    let mut bytes = Vec::new();
    table.encode(&mut bytes);
    for end in 0..bytes.len() {
        assert!(AclTable::decode(&mut Reader::new(&bytes[..end])).is_err(), "{end}");
    }
    let half = bytes[4..].to_vec();
    bytes[3] = 4;
    bytes.extend(half);
    assert!(AclTable::decode(&mut Reader::new(&bytes)).is_err(), "lists repeat");
}

#[test]
fn seeded_use_agrees_with_a_naive_model_and_survives_snapshots() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let mut table = AclTable::new();
        let mut uses: BTreeMap<usize, u32> = BTreeMap::new();
        let mut ids: BTreeMap<usize, AclId> = BTreeMap::new();
        for step in 0..5_000 {
            let number = random.below(12);
            if random.below(2) == 0 {
                let id = table.intern(list(number));
                let taken = |id: &u32| ids.values().any(|other| other.0 == *id);
                let lowest = (1..).find(|id| !taken(id)).map(AclId).unwrap();
                assert_eq!(id, *ids.get(&number).unwrap_or(&lowest), "seed {seed} step {step}");
                table.add_ref(id);
                ids.insert(number, id);
                *uses.entry(number).or_default() += 1;
            } else if let Some(left) = uses.get_mut(&number) {
                table.release(ids[&number]);
                *left -= 1;
                if *left == 0 {
                    uses.remove(&number);
                    ids.remove(&number);
                }
            }
            assert_eq!(table.len(), ids.len() + 1, "seed {seed} step {step}");
            for (number, id) in &ids {
                assert_eq!(table.get(*id), list(*number), "seed {seed} step {step}");
            }
            if random.below(100) == 0 {
                let restored = again(&table);
                table = restored;
                for (number, count) in &uses {
                    (0..*count).for_each(|_| table.add_ref(ids[number]));
                }
            }
        }
    }
}
