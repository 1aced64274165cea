//! Fences that lie: about their order, their leaves, their keys and their lengths.

use super::Expect::{Error, Refused};
use super::attacks;
use super::craft::{Image, of, options};

/// Bytes of a fence of an integer.
const FENCE: usize = 18;
/// Bytes before the fences of a list.
const HEAD: usize = 8;

/// Three leaves of ascending keys, each with a fence.
pub fn ascending() -> Image {
    of(&options(), |w| {
        for i in 0..60_i64 {
            w.insert(i * 3 - 40, &i.to_le_bytes()).unwrap();
            if i % 20 == 19 {
                w.seal().unwrap();
            }
        }
    })
}

/// The bytes of the image whose list of fences was changed.
fn fences(f: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    ascending()
        .edit_root(|r| {
            assert_eq!(r.fences[..HEAD], [3, 0, 0, 0, 56, 0, 0, 0]);
            f(&mut r.fences);
        })
        .bytes
}

/// Where fence `n` starts.
const fn at(n: usize) -> usize {
    HEAD + n * FENCE
}

attacks! {
    fences_out_of_order: Refused("its fences are out of order") => fences(|all| {
        let second = all[at(1)..at(2)].to_vec();
        all.copy_within(at(2)..at(3), at(1));
        all[at(2)..at(3)].copy_from_slice(&second);
    });
    a_fence_that_stands_twice: Refused("its fences are out of order") =>
        fences(|all| all.copy_within(at(0)..at(1), at(1)));
    fences_of_descending_keys: Refused("its fences are out of order") =>
        fences(|all| all[at(1) + 10..at(2)].fill(0));
    more_fences_than_there_are: Refused("its fences are out of order") =>
        fences(|all| all[..4].fill(0xff));
    fewer_fences_than_there_are: Refused("its fences are out of order") => fences(|all| all[0] = 1);
    fences_as_long_as_numbers_go: Refused("a list is longer than its segment") =>
        fences(|all| all[4..8].fill(0xff));
    a_fence_without_a_key: Refused("its fences are out of order") => fences(|all| all[at(0) + 8] = 0);
    a_fence_with_a_key_behind_the_list: Refused("its fences are out of order") =>
        fences(|all| all[at(2) + 8] = 255);
    a_fence_inside_a_leaf: Refused("its fences are not those of its leaves") =>
        fences(|all| all[at(1)] += 1);
    a_fence_behind_all_records: Refused("its fences are not those of its leaves") =>
        fences(|all| all[at(2)..at(2) + 8].fill(0xff));
    a_fence_above_the_keys_of_its_leaf: Error("does not lead from the key to the record") =>
        fences(|all| all[at(1) + 17] += 1);
    a_fence_below_the_keys_of_its_leaf: Error("does not lead from the key to the record") =>
        fences(|all| all[at(1) + 17] -= 4);
    a_fence_of_another_kind: Error("does not lead from the key to the record") =>
        fences(|all| all[at(2) + 9] = 3);
    leaves_without_their_fences: Error("does not lead from the key to the record") =>
        fences(|all| *all = vec![0; HEAD]);
}
