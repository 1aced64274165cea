//! Records of an MD frame that lie: FlatBuffers bytes put together by hand.

use super::Expect::{Refused, Right};
use super::attacks;
use vlstore::codec::{
    AnyCodec, Codec, MdFrame, MdFrameCodec, MdFrameView, Property, Real, Values, aligned,
};
use vlstore::wire::AlignedBuf;

/// Looks at everything in a record.
pub fn ask(bytes: &[u8]) -> Vec<String> {
    let mut told = Vec::new();
    let mut moved = AlignedBuf::default();
    let expanded = match MdFrameCodec.expand(bytes) {
        Ok(expanded) => expanded,
        Err(e) => return vec![format!("refused: {e}")],
    };
    match MdFrameView::new(aligned(expanded.as_deref().unwrap_or(bytes), &mut moved).unwrap()) {
        Ok(view) => {
            let frame = view.to_owned();
            let mut again = Vec::new();
            if let Err(e) = MdFrameCodec.encode(&frame, &mut again) {
                told.push(e.to_string());
            }
            if let Err(e) = MdFrameCodec.describe(aligned(bytes, &mut moved).unwrap()) {
                told.push(e.to_string());
            }
        }
        Err(e) => told.push(format!("refused: {e}")),
    }
    let _ = MdFrameCodec.weight(bytes);
    told
}

fn frame() -> MdFrame {
    let property = |name: &str, values| Property { name: name.into(), shape: vec![], values };
    MdFrame {
        name: Some("water".into()),
        nsites: 3,
        types: Some(vec![8, 1, 1]),
        positions: Some(Real::F32(vec![0.5; 9])),
        forces: Some(Real::F64(vec![0.25; 9])),
        cell: Some([1.0; 9]),
        atom_properties: vec![
            property("label", Values::Str(vec!["O".into(), "H".into(), "H".into()])),
            property("molecule", Values::I64(vec![1, 1, 1])),
        ],
        frame_properties: vec![property("converged", Values::Bool(vec![true]))],
        ..MdFrame::default()
    }
}

/// The bytes of a good record, and where things in it are.
struct Bytes(Vec<u8>);

impl Bytes {
    fn new(frame: &MdFrame) -> Self {
        let mut out = Vec::new();
        MdFrameCodec.encode(frame, &mut out).unwrap();
        Self(out)
    }

    fn u32(&self, at: usize) -> usize {
        u32::from_le_bytes(self.0[at..at + 4].try_into().unwrap()) as usize
    }

    fn put(mut self, at: usize, n: u32) -> Vec<u8> {
        self.0[at..at + 4].copy_from_slice(&n.to_le_bytes());
        self.0
    }

    fn table(&self) -> usize {
        self.u32(0)
    }

    fn vtable_of(&self, table: usize) -> usize {
        (table as i64 - i64::from(self.u32(table) as u32 as i32)) as usize
    }

    /// Where field `id` of a table stands in its vtable.
    fn entry_of(&self, table: usize, id: usize) -> usize {
        self.vtable_of(table) + 4 + 2 * id
    }

    /// Where field `id` of a table is.
    fn field_of(&self, table: usize, id: usize) -> usize {
        let at = self.entry_of(table, id);
        let offset = u16::from_le_bytes(self.0[at..at + 2].try_into().unwrap());
        assert_ne!(offset, 0, "field {id} is there");
        table + usize::from(offset)
    }

    fn field(&self, id: usize) -> usize {
        self.field_of(self.table(), id)
    }

    /// Where the vector (its length) of field `id` is.
    fn vector(&self, id: usize) -> usize {
        let at = self.field(id);
        at + self.u32(at)
    }

    /// Where the first table of a vector of tables is.
    fn first_table(&self, id: usize) -> usize {
        let at = self.vector(id) + 4;
        at + self.u32(at)
    }
}

fn with(f: impl FnOnce(Bytes) -> Vec<u8>) -> Vec<u8> {
    f(Bytes::new(&frame()))
}

/// The lean record of two sites with its first word changed, and cut to `len` bytes.
fn lean(change: u32, len: usize) -> Vec<u8> {
    let frame = MdFrame {
        nsites: 2,
        types: Some(vec![8, 1]),
        positions: Some(Real::F32(vec![0.5; 6])),
        energy: Some(1.0),
        ..MdFrame::default()
    };
    let mut out = Vec::new();
    MdFrameCodec.encode_for(2, &frame.view(), &mut out).unwrap();
    assert_eq!(out.len(), 40);
    let word = u32::from_le_bytes(out[..4].try_into().unwrap()) ^ change;
    out[..4].copy_from_slice(&word.to_le_bytes());
    out.truncate(len);
    out
}

attacks! {
    a_lean_frame_that_is_whole: Right => lean(0, 40);
    a_lean_frame_that_is_cut: Refused("has 36 bytes, but its first word says 40") => lean(0, 36);
    a_lean_frame_of_its_first_word: Refused("has 4 bytes") => lean(0, 4);
    a_lean_frame_of_4095_sites: Refused("has 40 bytes, but its first word says") => lean((4095 ^ 2) << 19, 40);
    a_lean_frame_with_forces_that_are_not_there: Refused("says 64") => lean(1 << 2, 40);
    a_lean_frame_with_wide_positions: Refused("its first word says") => lean(1 << 5, 40);
    a_lean_frame_with_a_cell_that_is_not_there: Refused("says 112") => lean(1 << 11, 40);
    a_lean_frame_with_types_of_two_kinds: Refused("its first word is 0x") => lean(1 << 7, 40);
    a_lean_frame_with_a_bit_of_no_meaning: Refused("its first word is 0x") => lean(1 << 18, 40);
    a_lean_frame_with_bits_of_no_periodicity: Right => lean(5 << 14, 40);
    a_lean_frame_that_is_no_more: Refused("the record is not a frame") => lean(1 << 31, 40);
    a_frame_that_is_whole: Right => with(|b| b.0);
    a_record_of_no_bytes: Refused("the record is not a frame") => Vec::new();
    a_record_of_three_bytes: Refused("the record is not a frame") => vec![1, 2, 3];
    a_root_table_behind_the_record: Refused("the record is not a frame") => with(|b| b.put(0, 1 << 30));
    a_root_table_that_is_its_own_offset: Refused("it has no root table") => with(|b| b.put(0, 0));
    a_vtable_before_the_record: Refused("the record is not a frame") => with(|b| { let t = b.table(); b.put(t, i32::MAX as u32) });
    a_vtable_that_is_the_table_itself: Refused("its root table has no list of fields") => with(|b| { let t = b.table(); b.put(t, 0) });
    a_vtable_of_odd_length: Refused("the record is not a frame") => with(|mut b| {
        let v = b.vtable_of(b.table());
        b.0[v] |= 1;
        b.0
    });
    a_vtable_of_64_kilobytes: Refused("the record is not a frame") => with(|mut b| {
        let v = b.vtable_of(b.table());
        b.0[v..v + 2].copy_from_slice(&[0xfe, 0xff]);
        b.0
    });
    a_field_outside_its_table: Refused("the record is not a frame") => with(|mut b| {
        let e = b.entry_of(b.table(), 5);
        b.0[e..e + 2].copy_from_slice(&[0xfc, 0xff]);
        b.0
    });
    positions_of_four_billion_values: Refused("the record is not a frame") => with(|b| { let v = b.vector(5); b.put(v, u32::MAX) });
    positions_of_a_quarter_of_them: Refused("the record is not a frame") => with(|b| { let v = b.vector(5); b.put(v, 1 << 30) });
    positions_for_two_sites_of_three: Refused("positions has 6 values, but 3 sites need 9") =>
        with(|b| { let v = b.vector(5); b.put(v, 6) });
    more_sites_than_positions: Refused("sites need") => with(|b| { let f = b.field(1); b.put(f, 4) });
    fewer_than_no_sites: Refused("sites") => with(|b| { let f = b.field(1); b.put(f, u32::MAX) });
    as_many_sites_as_numbers_go: Refused("sites need") => with(|b| { let f = b.field(1); b.put(f, i32::MAX as u32) });
    positions_at_an_odd_place: Refused("the record is not a frame") => with(|b| { let f = b.field(5); let n = b.u32(f); b.put(f, n as u32 + 1) });
    forces_that_are_the_positions: Right => with(|b| {
        let (from, to) = (b.field(19), b.vector(5));
        b.put(from, (to - from) as u32)
    });
    a_field_that_leads_to_itself: Refused("positions has 0 values, but 3 sites need 9") => with(|b| { let f = b.field(5); b.put(f, 0) });
    a_property_that_is_the_frame_itself: Refused("the record is not a frame") => with(|b| {
        let at = b.vector(21) + 4;
        let root = b.table();
        b.put(at, (root as u32).wrapping_sub(at as u32))
    });
    four_billion_properties: Refused("the record is not a frame") => with(|b| { let v = b.vector(21); b.put(v, u32::MAX) });
    a_property_without_a_name: Refused("the record is not a frame") => with(|mut b| {
        let e = b.entry_of(b.first_table(21), 0);
        b.0[e..e + 2].fill(0);
        b.0
    });
    a_property_with_two_kinds_of_values: Refused("codec md-frame") => {
        // Where the texts are listed the booleans are found as well.
        with(|mut b| {
            let t = b.first_table(22);
            let (truths, ints) = (b.entry_of(t, 7), b.entry_of(t, 2));
            let offset = [b.0[truths], b.0[truths + 1]];
            b.0[ints..ints + 2].copy_from_slice(&offset);
            b.0
        })
    };
    a_name_of_four_gigabytes: Refused("the record is not a frame") => with(|b| { let v = b.vector(0); b.put(v, u32::MAX) });
    a_name_that_is_not_utf_8: Refused("the record is not a frame") => with(|mut b| {
        let v = b.vector(0) + 4;
        b.0[v..v + 2].fill(0xff);
        b.0
    });
    a_name_without_its_zero: Refused("the record is not a frame") => with(|mut b| {
        let v = b.vector(0);
        let end = v + 4 + b.u32(v);
        b.0[end] = 7;
        b.0
    });
    a_truth_value_that_is_seven: Refused("codec md-frame") => with(|mut b| {
        let t = b.first_table(22);
        let at = b.field_of(t, 7);
        let v = at + b.u32(at);
        b.0[v + 4] = 7;
        b.0
    });
    one_text_shared_by_a_million: Refused("the record is not a frame") => {
        let mut big = frame();
        big.nsites = 3;
        let mut b = Bytes::new(&big);
        // A list of a million offsets that all lead to one text of 4 KiB.
        let t = b.first_table(21);
        let list = b.field_of(t, 6);
        while !b.0.len().is_multiple_of(4) { b.0.push(0); }
        let n: u32 = 1 << 20;
        let at = b.0.len();
        b.0.extend(n.to_le_bytes());
        let text = at + 4 + 4 * n as usize;
        for i in 0..n as usize {
            b.0.extend(((text - (at + 4 + 4 * i)) as u32).to_le_bytes());
        }
        b.0.extend(4096_u32.to_le_bytes());
        b.0.extend([b'x'; 4096]);
        b.0.push(0);
        b.put(list, (at - list) as u32)
    };
}
