//! How a writer keeps the positions of frames: as they are given, or as integers.

use crate::codec::{MdFrame, MdFrameRef, Real, RealView, coordinate, quantise};
use crate::error::{Error, Result};

/// How a [`TrajectoryWriter`](super::TrajectoryWriter) keeps positions.
///
/// As integers of a fixed precision they take less than half the room, since the digits of a
/// decimal fraction do not compress as floating-point numbers. A frame reads the same either way.
/// The original program does not see positions that are integers.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Positions {
    /// As floating-point numbers.
    #[default]
    AsGiven,
    /// As integers of the [`precision`](crate::codec::MdFrame::precision) that a frame states,
    /// if they are such in every bit, as those from an XTC file are; others as they are given.
    Quantised,
    /// Rounded to integers of `1 / precision`, whatever they were: the nearest of each.
    /// Come back as `f32`, with this precision in the frame.
    Rounded(f32),
}

impl Positions {
    /// The variant of this name on the command line: `quantised` or `given`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "quantised" => Some(Self::Quantised),
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

/// What a writer does with positions.
#[derive(Debug, Default)]
pub(super) struct PositionEncoder {
    how: Positions,
    /// Rounded positions; the memory is used again.
    space: Vec<f32>,
}

impl PositionEncoder {
    pub(super) fn new(how: Positions) -> Result<Self> {
        if let Positions::Rounded(precision) = how
            && !(precision.is_finite() && precision > 0.0)
        {
            let why = format!("it is {precision:?}, but must be positive and finite");
            return Err(Error::invalid("precision", why));
        }
        Ok(Self { how, space: Vec::new() })
    }

    /// The frame with the positions that are to be kept of it, and whether they may be quantised.
    pub(super) fn keep<'a>(&'a mut self, frame: MdFrameRef<'a>) -> Result<(MdFrameRef<'a>, bool)> {
        match (self.how, frame.positions) {
            (Positions::AsGiven, _) | (_, None) => Ok((frame, false)),
            (Positions::Quantised, _) => Ok((frame, true)),
            (Positions::Rounded(precision), Some(positions)) => {
                let to = &mut self.space;
                to.clear();
                match positions {
                    RealView::F32(v) => round(v.iter().map(|x| f64::from(*x)), precision, to)?,
                    RealView::F64(v) => round(v.iter().copied(), precision, to)?,
                }
                let positions = Some(RealView::F32(to));
                Ok((MdFrameRef { positions, precision: Some(precision), ..frame }, true))
            }
        }
    }
}

fn round(values: impl Iterator<Item = f64>, precision: f32, to: &mut Vec<f32>) -> Result<()> {
    for (i, x) in values.enumerate() {
        let n = quantise(x, precision).ok_or_else(|| {
            let site = i / 3;
            let why = format!(
                "coordinate {x} of site {site} is not an integer of 31 bits at precision \
                 {precision}; lower the precision, or keep positions as they are"
            );
            Error::codec("md-frame", why)
        })?;
        to.push(coordinate(n, precision));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Field, Fields, MdFrameCodec, Values};
    use crate::depot::Item;
    use crate::store::Purpose;
    use crate::store::Readable;
    use crate::trajectory::{Sharing, TrajectoryWriter};
    use crate::{Layout, StoreOptions};

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

    fn store(how: Positions, frames: &[MdFrame]) -> TrajectoryWriter {
        let options = StoreOptions {
            layout: Layout { purpose: Purpose::Random, ..Layout::default() },
            ..StoreOptions::default()
        };
        let mut w = TrajectoryWriter::in_memory(&options).unwrap();
        w.keep_positions(how).unwrap();
        for (i, f) in (0..).zip(frames) {
            w.insert(i, f).unwrap();
        }
        w.commit().unwrap();
        w
    }

    #[test]
    fn quantised_positions_come_back_equal_by_every_way_of_reading() {
        // Small ones, and ones of many blocks, which are read in parts; with and without topology.
        let frames: Vec<_> = [1, 2, 3, 64, 65, 5000, 5001]
            .into_iter()
            .zip(0..)
            .map(|(sites, step)| frame(step, sites, Some(1000.0)))
            .collect();
        for sharing in [Sharing::Never, Sharing::Always] {
            let options = StoreOptions {
                layout: Layout { purpose: Purpose::Random, ..Layout::default() },
                ..StoreOptions::default()
            };
            let mut w = TrajectoryWriter::in_memory(&options).unwrap();
            w.share_topologies(sharing);
            w.keep_positions(Positions::Quantised).unwrap();
            for (i, f) in (0..).zip(&frames) {
                w.insert(i, f).unwrap();
            }
            assert_eq!(w.quantised(), 7);
            w.commit().unwrap();
            let stored = w.trajectory().unwrap();
            let joined = |item: Item<MdFrameCodec>| stored.joined(&item.view().unwrap()).unwrap();
            for (i, f) in (0..).zip(&frames) {
                assert_eq!(joined(stored.get(i).unwrap()), *f);
                assert_eq!(stored.weight_at(i).unwrap() as usize, f.nsites);
                for fields in [
                    Fields::of(&[Field::Positions]),
                    Fields::of(&[Field::Positions, Field::Velocities, Field::Types]),
                ] {
                    let part = stored.get_fields_at(i, fields).unwrap();
                    assert_eq!(part.positions, f.positions);
                    assert_eq!(part.types.is_some(), fields.has(Field::Types));
                }
                let velocities = stored.get_fields_at(i, Fields::of(&[Field::Velocities])).unwrap();
                assert_eq!(
                    (velocities.velocities, velocities.positions),
                    (f.velocities.clone(), None)
                );
            }
            let order = [6, 0, 3, 3, 5];
            let batch = stored.get_batch_at(&order).unwrap();
            for (view, i) in batch.iter().zip(order) {
                assert_eq!(
                    stored.joined(&view.unwrap()).unwrap(),
                    frames[usize::try_from(i).unwrap()]
                );
            }
            for (item, f) in stored.iter().zip(&frames) {
                assert_eq!(joined(item.unwrap()), *f);
            }
            // By name alone, from the bytes as they are stored.
            let codec = crate::codec::by_name("md-frame").unwrap();
            let bytes = stored.snapshot().get_at(2).unwrap();
            assert_eq!(codec.weight(&bytes).unwrap(), 3);
            assert!(
                codec.describe(&bytes).unwrap().contains("\"positions\":{\"dtype\":\"float32\"")
            );
            let why = crate::codec::MdFrameView::new(&bytes).unwrap_err().to_string();
            assert!(why.contains("expand"), "{why}");
            let report = stored.snapshot().verify(|_, _| Ok(())).unwrap();
            assert!(report.is_intact(), "{report:?}");
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
        let w = store(Positions::Quantised, &all);
        assert_eq!(w.quantised(), 0);
        for (item, right) in w.trajectory().unwrap().iter().zip(&all) {
            assert_eq!(item.unwrap().view().unwrap().to_owned(), *right);
        }
        let w = store(Positions::AsGiven, &[frame(0, 30, Some(1000.0))]);
        assert_eq!(w.quantised(), 0);
    }

    #[test]
    fn rounded_positions_are_the_nearest_and_say_so() {
        let given = MdFrame {
            nsites: 2,
            positions: Some(Real::F64(vec![0.123_44, -0.123_46, 7.000_05, 0.0, -3.2, 1e3])),
            ..MdFrame::default()
        };
        let w = store(Positions::Rounded(1e4), std::slice::from_ref(&given));
        assert_eq!(w.quantised(), 1);
        let back = w.trajectory().unwrap().get(0).unwrap().view().unwrap().to_owned();
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
            let why = w.insert(0, &bad).unwrap_err().to_string();
            assert!(why.contains("of site 1") && why.contains("lower the precision"), "{why}");
            assert!(w.is_empty());
        }
    }

    #[test]
    fn quantised_positions_of_water_take_less_than_half_the_room() {
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
        let (quantised, given) = (size(Positions::Quantised), size(Positions::AsGiven));
        assert!(quantised * 2 < given, "{quantised} {given}");
    }
}
