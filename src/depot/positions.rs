//! How a writer keeps the positions of frames: as they are given, or as whole numbers.

use super::put::DepotWriter;
use crate::codec::whole_number;
use crate::codec::{Encoded, MdFrame, MdFrameCodec, MdFrameRef, Real, RealView, coordinate};
use crate::error::{Error, Result};

/// How [`DepotWriter::put_frame`] keeps positions.
///
/// As whole numbers of a fixed precision they take less than half the room, since the digits of a
/// decimal fraction do not compress as floating-point numbers. A frame reads the same either way.
/// The original program does not see positions that are whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Positions {
    /// As floating-point numbers.
    #[default]
    AsGiven,
    /// As whole numbers of the [`precision`](crate::codec::MdFrame::precision) that a frame states,
    /// if they are such in every bit, as those from an XTC file are; others as they are given.
    Whole,
    /// Rounded to whole numbers of `1 / precision`, whatever they were: the nearest of each.
    /// Come back as `f32`, with this precision in the frame.
    Rounded(f32),
}

impl Positions {
    /// The variant of this name on the command line: `whole` or `given`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "whole" => Some(Self::Whole),
            "given" => Some(Self::AsGiven),
            _ => None,
        }
    }

    /// What comes back of `frame` when it was kept so.
    ///
    /// # Errors
    /// [`Error::Codec`] if its positions cannot be rounded.
    pub(crate) fn kept(self, mut frame: MdFrame) -> Result<MdFrame> {
        let (Self::Rounded(precision), Some(positions)) = (self, &frame.positions) else {
            return Ok(frame);
        };
        let mut to = Vec::new();
        match positions {
            Real::F32(v) => round(v.iter().map(|x| f64::from(*x)), precision, &mut to)?,
            Real::F64(v) => round(v.iter().copied(), precision, &mut to)?,
        }
        frame.positions = Some(Real::F32(to));
        frame.precision = Some(precision);
        Ok(frame)
    }
}

/// What a writer does with positions, and what it did.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    how: Positions,
    whole: u64,
    space: Vec<f32>,
}

impl DepotWriter<MdFrameCodec> {
    /// Says how [`put_frame`](Self::put_frame) keeps positions from now on.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a precision that is not positive and finite.
    pub fn keep_positions(&mut self, how: Positions) -> Result<()> {
        if let Positions::Rounded(precision) = how
            && !(precision.is_finite() && precision > 0.0)
        {
            let why = format!("it is {precision:?}, but must be positive and finite");
            return Err(Error::invalid("precision", why));
        }
        self.keeping.how = how;
        Ok(())
    }

    /// Frames that [`put_frame`](Self::put_frame) put with their positions as whole numbers.
    #[must_use]
    pub const fn kept_whole(&self) -> u64 {
        self.keeping.whole
    }

    /// The record under construction becomes that of `frame`.
    pub(super) fn encode_frame(&mut self, frame: &MdFrameRef<'_>) -> Result<(Encoded, bool)> {
        self.space.clear();
        match (self.keeping.how, frame.positions) {
            (Positions::AsGiven, _) | (_, None) => {
                Ok((self.codec.encode_ref(frame, &mut self.space)?, false))
            }
            (Positions::Whole, _) => self.codec.encode_whole(frame, &mut self.space),
            (Positions::Rounded(precision), Some(positions)) => {
                let to = &mut self.keeping.space;
                to.clear();
                match positions {
                    RealView::F32(v) => round(v.iter().map(|x| f64::from(*x)), precision, to)?,
                    RealView::F64(v) => round(v.iter().copied(), precision, to)?,
                }
                let rounded = MdFrameRef {
                    positions: Some(RealView::F32(to)),
                    precision: Some(precision),
                    ..frame.clone()
                };
                self.codec.encode_whole(&rounded, &mut self.space)
            }
        }
    }

    /// Counts a frame that was put.
    pub(super) fn count_whole(&mut self, whole: bool) {
        self.keeping.whole += u64::from(whole);
    }
}

fn round(values: impl Iterator<Item = f64>, precision: f32, to: &mut Vec<f32>) -> Result<()> {
    for (i, x) in values.enumerate() {
        let whole = whole_number(x, precision).ok_or_else(|| {
            let site = i / 3;
            let why = format!(
                "coordinate {x} of site {site} is no whole number of 31 bits at precision \
                 {precision}; lower the precision, or keep positions as they are"
            );
            Error::codec("md-frame", why)
        })?;
        to.push(coordinate(whole, precision));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreOptions;
    use crate::codec::{Field, Fields, MdFrame, Real, Values};
    use crate::depot::{Item, Sharing};
    use crate::store::Purpose;
    use crate::store::Readable;

    fn frame(step: i64, sites: usize, precision: Option<f32>) -> MdFrame {
        let n =
            |i: usize| i32::try_from((i * 7919 + usize::try_from(step).unwrap()) % 3001).unwrap();
        MdFrame {
            nsites: sites,
            types: Some(vec![8; sites]),
            positions: Some(Real::F32((0..3 * sites).map(|i| coordinate(n(i), 1000.0)).collect())),
            velocities: Some(Real::F32((0..3 * sites).map(|i| i as f32 * 0.1).collect())),
            step: Some(step),
            precision,
            ..MdFrame::default()
        }
    }

    fn store(how: Positions, frames: &[MdFrame]) -> DepotWriter<MdFrameCodec> {
        let options = StoreOptions { purpose: Purpose::Random, ..StoreOptions::default() };
        let mut w = DepotWriter::in_memory(MdFrameCodec, &options).unwrap();
        w.keep_positions(how).unwrap();
        for (i, f) in (0..).zip(frames) {
            w.put_frame(i, i, f).unwrap();
        }
        w.commit().unwrap();
        w
    }

    #[test]
    fn whole_positions_come_back_equal_by_every_way_of_reading() {
        // Small ones, and ones of many blocks, which are read in parts; with and without topology.
        let frames: Vec<_> = [1, 2, 3, 64, 65, 5000, 5001]
            .into_iter()
            .zip(0..)
            .map(|(sites, step)| frame(step, sites, Some(1000.0)))
            .collect();
        for sharing in [Sharing::Never, Sharing::Always] {
            let options = StoreOptions { purpose: Purpose::Random, ..StoreOptions::default() };
            let mut w = DepotWriter::in_memory(MdFrameCodec, &options).unwrap();
            w.share_topologies(sharing);
            w.keep_positions(Positions::Whole).unwrap();
            for (i, f) in (0..).zip(&frames) {
                w.put_frame(i, i, f).unwrap();
            }
            assert_eq!(w.kept_whole(), 7);
            w.commit().unwrap();
            let depot = w.depot().unwrap();
            let whole = |item: Item<MdFrameCodec>| depot.whole(&item.view().unwrap()).unwrap();
            for (i, f) in (0..).zip(&frames) {
                assert_eq!(whole(depot.get(i).unwrap()), *f);
                assert_eq!(depot.sites_at(i).unwrap() as usize, f.nsites);
                for fields in [
                    Fields::of(&[Field::Positions]),
                    Fields::of(&[Field::Positions, Field::Velocities, Field::Types]),
                ] {
                    let part = depot.get_fields_at(i, fields).unwrap();
                    assert_eq!(part.positions, f.positions);
                    assert_eq!(part.types.is_some(), fields.has(Field::Types));
                }
                let velocities = depot.get_fields_at(i, Fields::of(&[Field::Velocities])).unwrap();
                assert_eq!(
                    (velocities.velocities, velocities.positions),
                    (f.velocities.clone(), None)
                );
            }
            let order = [6, 0, 3, 3, 5];
            let batch = depot.get_batch_at(&order).unwrap();
            for (view, i) in batch.iter().zip(order) {
                assert_eq!(
                    depot.whole(&view.unwrap()).unwrap(),
                    frames[usize::try_from(i).unwrap()]
                );
            }
            for (item, f) in depot.iter().zip(&frames) {
                assert_eq!(whole(item.unwrap()), *f);
            }
            // By name alone, from the bytes as they are stored.
            let codec = crate::codec::by_name("md-frame").unwrap();
            let bytes = depot.snapshot().get_at(2).unwrap();
            assert_eq!(codec.sites(&bytes).unwrap(), 3);
            assert!(
                codec.describe(&bytes).unwrap().contains("\"positions\":{\"dtype\":\"float32\"")
            );
            let why = crate::codec::MdFrameView::new(&bytes).unwrap_err().to_string();
            assert!(why.contains("expand"), "{why}");
            let report = depot.snapshot().verify(|_, _| Ok(())).unwrap();
            assert!(report.is_whole(), "{report:?}");
        }
    }

    #[test]
    fn what_is_not_of_the_precision_is_kept_as_it_is() {
        let mut off = frame(0, 30, Some(1000.0));
        let Some(Real::F32(positions)) = &mut off.positions else { panic!() };
        positions[77] = f32::from_bits(positions[77].to_bits() ^ 1);
        let wide = MdFrame { positions: Some(Real::F64(vec![0.5; 90])), ..off.clone() };
        let bare = MdFrame { positions: None, ..off.clone() };
        let all = [off, wide, bare, frame(1, 30, None), frame(2, 30, Some(999.0))];
        let w = store(Positions::Whole, &all);
        assert_eq!(w.kept_whole(), 0);
        for (item, right) in w.depot().unwrap().iter().zip(&all) {
            assert_eq!(item.unwrap().view().unwrap().to_owned(), *right);
        }
        let w = store(Positions::AsGiven, &[frame(0, 30, Some(1000.0))]);
        assert_eq!(w.kept_whole(), 0);
    }

    #[test]
    fn rounded_positions_are_the_nearest_and_say_so() {
        let given = MdFrame {
            nsites: 2,
            positions: Some(Real::F64(vec![0.123_44, -0.123_46, 7.000_05, 0.0, -3.2, 1e3])),
            ..MdFrame::default()
        };
        let w = store(Positions::Rounded(1e4), std::slice::from_ref(&given));
        assert_eq!(w.kept_whole(), 1);
        let back = w.depot().unwrap().get(0).unwrap().view().unwrap().to_owned();
        assert_eq!(back.precision, Some(1e4));
        let expected = [1234, -1235, 70001, 0, -32000, 10_000_000].map(|n| coordinate(n, 1e4));
        assert_eq!(back.positions, Some(Real::F32(expected.to_vec())));

        let mut w = store(Positions::AsGiven, &[]);
        for precision in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(w.keep_positions(Positions::Rounded(precision)).is_err());
        }
        w.keep_positions(Positions::Rounded(1e6)).unwrap();
        for x in [f64::NAN, 1e9] {
            let bad = MdFrame {
                nsites: 2,
                positions: Some(Real::F64(vec![0.0, 0.0, 0.0, 0.0, x, 0.0])),
                ..MdFrame::default()
            };
            let why = w.put_frame(0, 0, &bad).unwrap_err().to_string();
            assert!(why.contains("of site 1") && why.contains("lower the precision"), "{why}");
            assert!(w.is_empty());
        }
    }

    #[test]
    fn whole_positions_of_water_take_less_than_half_the_room() {
        // Molecules in no order, their atoms a tenth of a nanometre apart.
        let mut seed = 1_u64;
        let mut random = |n: u64| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            i32::try_from((seed >> 33) % n).unwrap()
        };
        let mut numbers = Vec::new();
        for _ in 0..2000 {
            let o = [random(3000), random(3000), random(3000)];
            numbers.extend(o);
            for _ in 0..2 {
                numbers.extend(o.map(|x| x + random(160) - 80));
            }
        }
        let frame = MdFrame {
            nsites: 6000,
            positions: Some(Real::F32(
                numbers.into_iter().map(|n| coordinate(n, 1000.0)).collect(),
            )),
            precision: Some(1000.0),
            frame_properties: vec![crate::codec::Property {
                name: "note".into(),
                shape: vec![],
                values: Values::Str(vec!["w".into()]),
            }],
            ..MdFrame::default()
        };
        let size = |how| {
            store(how, &vec![frame.clone(); 8]).snapshot().unwrap().info().unwrap().file_bytes
        };
        let (whole, given) = (size(Positions::Whole), size(Positions::AsGiven));
        assert!(whole * 2 < given, "{whole} {given}");
    }
}
