//! Records from real trajectories; if those are not on this machine, from the small one that
//! the project carries, and then the description says so.

use std::path::{Path, PathBuf};
use vlstore::codec::{Codec, MdFrame, MdFrameCodec, Real};
use vlstore::formats;

/// Atoms of a frame of the solvated dipeptide.
pub(crate) const ATOMS: usize = 1324;
/// Atoms of a small frame.
pub(crate) const SMALL: usize = 64;

/// Encoded records and what they are.
#[derive(Debug)]
pub(crate) struct Data {
    pub(crate) what: String,
    pub(crate) records: Vec<Vec<u8>>,
}

impl Data {
    /// Bytes of all records.
    pub(crate) fn bytes(&self) -> usize {
        self.records.iter().map(Vec::len).sum()
    }

    /// Mean length of a record.
    pub(crate) fn mean(&self) -> usize {
        self.bytes() / self.records.len().max(1)
    }
}

fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    path.exists().then_some(path)
}

fn read(path: &Path) -> Vec<MdFrame> {
    let mut reader = formats::open(path).unwrap();
    let mut out = Vec::new();
    let mut frame = MdFrame::default();
    while reader.next_frame(&mut frame).unwrap() {
        out.push(frame.clone());
    }
    out
}

fn encode(frame: &MdFrame) -> Vec<u8> {
    let mut out = Vec::new();
    MdFrameCodec.encode(frame, &mut out).unwrap();
    out
}

fn f32s(values: Option<&Real>) -> &[f32] {
    match values {
        Some(Real::F32(v)) => v,
        _ => &[],
    }
}

/// Frames of 1 324 atoms made of consecutive frames of the small trajectory that the project
/// carries, with the last digit of each coordinate moved by the number of the frame.
fn carried() -> Vec<MdFrame> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ala2-npt-peptide.xtc");
    let all = read(&path);
    let atoms: Vec<f32> = all.iter().flat_map(|f| f32s(f.positions.as_ref())).copied().collect();
    (0..201)
        .map(|i| {
            let from = i * 997 * 3;
            let moved = (i % 7) as f32 * 0.001;
            let at = |k: usize| atoms[(from + k) % atoms.len()] + moved;
            MdFrame {
                nsites: ATOMS,
                positions: Some(Real::F32((0..3 * ATOMS).map(at).collect())),
                cell: all[i % all.len()].cell,
                step: Some(i as i64),
                time: Some(i as f64),
                ..MdFrame::default()
            }
        })
        .collect()
}

/// `n` frames of 1 324 atoms: positions as float32, cell, step and time, as XTC gives them.
pub(crate) fn frames(n: usize) -> Data {
    let (distinct, from) = match shared("md/ala2-npt.xtc") {
        Some(path) => (read(&path), "a real XTC"),
        None => (carried(), "tests/data/ala2-npt-peptide.xtc tiled to 1324 atoms, shifted"),
    };
    let mut records = Vec::new();
    for (i, frame) in distinct.iter().cycle().take(n).enumerate() {
        let mut frame = frame.clone();
        frame.step = Some(i as i64);
        records.push(encode(&frame));
    }
    let d = Data { what: String::new(), records };
    let what = format!(
        "{n} frames of {ATOMS} atoms ({} distinct, {from}; positions f32, cell, step, time; {} B)",
        distinct.len(),
        d.mean()
    );
    Data { what, ..d }
}

/// Positions and forces of every frame of a TRR file in single precision.
///
/// Source of the layout: the GROMACS manual, «trr file format» (XDR, big-endian).
fn trr(bytes: &[u8]) -> Option<Vec<(Vec<f32>, Vec<f32>)>> {
    let int = |at: usize| {
        let b = bytes.get(at..at + 4)?.first_chunk()?;
        usize::try_from(i32::from_be_bytes(*b)).ok()
    };
    let list = |at: usize, len: usize| {
        let b = bytes.get(at..at + len)?;
        Some(b.as_chunks().0.iter().map(|c| f32::from_be_bytes(*c)).collect::<Vec<f32>>())
    };
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let head = at + 12 + int(at + 8)?.next_multiple_of(4);
        let [cell, virial, pressure, x, v, f] = [2, 3, 4, 7, 8, 9].map(|i| int(head + 4 * i));
        // Thirteen integers, then time and lambda.
        let x_at = head + 13 * 4 + 8 + cell? + virial? + pressure?;
        let f_at = x_at + x? + v?;
        out.push((list(x_at, x?)?, list(f_at, f?)?));
        at = f_at + f?;
    }
    Some(out)
}

/// `n` frames of 64 atoms: positions and forces as float32, atomic numbers, energy and cell;
/// about 1.9 KB each.
pub(crate) fn small(n: usize) -> Data {
    let real = shared("md/ala2-npt.trr").and_then(|p| trr(&std::fs::read(p).ok()?));
    let (distinct, from) = match real {
        Some(frames) => (frames, "windows of a real TRR"),
        None => {
            let frames = carried();
            let x: Vec<_> = frames.iter().map(|f| f32s(f.positions.as_ref()).to_vec()).collect();
            let made = (0..x.len()).map(|i| {
                let next = &x[(i + 1) % x.len()];
                let force = x[i].iter().zip(next).map(|(a, b)| (b - a) * 1234.5).collect();
                (x[i].clone(), force)
            });
            (made.collect(), "windows of tests/data/ala2-npt-peptide.xtc tiled, made-up forces")
        }
    };
    let windows = ATOMS / SMALL;
    let round = windows * distinct.len();
    let records: Vec<Vec<u8>> = (0..n)
        .map(|i| {
            let (x, f) = &distinct[i / windows % distinct.len()];
            // A later round cuts elsewhere, so that no two records are equal.
            let first = (i % windows * SMALL + i / round * 5) % (ATOMS - SMALL);
            let part = |v: &[f32]| Some(Real::F32(v[3 * first..3 * (first + SMALL)].to_vec()));
            encode(&MdFrame {
                nsites: SMALL,
                // Water, as nearly all of the source is: oxygen and two hydrogens.
                types: Some(
                    (0..SMALL).map(|a| if (first + a).is_multiple_of(3) { 8 } else { 1 }).collect(),
                ),
                positions: part(x),
                forces: part(f),
                energy: Some(f64::from(x[3 * first]) - 4000.0),
                cell: Some([3.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 3.0]),
                ..MdFrame::default()
            })
        })
        .collect();
    let d = Data { what: String::new(), records };
    let what = format!(
        "{n} frames of {SMALL} atoms ({from}; positions, forces f32, types, energy, cell; {} B)",
        d.mean()
    );
    Data { what, ..d }
}

/// Frames of very different sizes from an extended XYZ file, the whole file `times` times; its
/// period is longer than any block, so that repeating it does not make it denser.
pub(crate) fn mixed(times: usize) -> Option<Data> {
    let frames = read(&shared("extxyz/mptrj-random-1k.extxyz")?);
    if frames.is_empty() {
        return None;
    }
    let sites: Vec<usize> = frames.iter().map(|f| f.nsites).collect();
    let once: Vec<Vec<u8>> = frames.iter().map(encode).collect();
    let records: Vec<Vec<u8>> = (0..times).flat_map(|_| once.iter().cloned()).collect();
    let d = Data { what: String::new(), records };
    let what = format!(
        "{} mixed frames of {} to {} atoms ({} distinct, extended XYZ; {} B on average)",
        d.records.len(),
        sites.iter().min()?,
        sites.iter().max()?,
        once.len(),
        d.mean()
    );
    Some(Data { what, ..d })
}

/// A seeded generator (xorshift64*), the same in every run.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % n
    }

    /// A number of the normal distribution, as the sum of twelve even ones.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.below(1 << 40) as f64 / (1_u64 << 40) as f64).sum::<f64>() - 6.0
    }

    /// `count` numbers below `n`.
    pub(crate) fn list(&mut self, count: usize, n: u64) -> Vec<u64> {
        (0..count).map(|_| self.below(n)).collect()
    }
}

/// Frames that scatter around a few geometries, as those of molecular dynamics do: all bits of the
/// numbers are there. Forces follow from the displacements.
#[derive(Debug)]
pub(crate) struct Thermal {
    pub(crate) frames: Vec<MdFrame>,
}

impl Thermal {
    /// `molecules` of 9 to 29 sites, `crystals` of 64 with a cell and a stress, or `chains` of 100 to
    /// 1 900.
    pub(crate) fn named(name: &str) -> Self {
        let (count, shapes, least, most) = match name {
            "molecules" => (100_000, 400, 9, 29),
            "crystals" => (30_000, 200, 64, 64),
            _ => (1_500, 20, 100, 1900),
        };
        let mut random = Random(0x5eed);
        let shapes: Vec<(Vec<f64>, Vec<i32>)> = (0..shapes)
            .map(|_| {
                let sites = least + random.below(most - least + 1);
                let mut at = [0.0; 3];
                let mut places = Vec::new();
                for _ in 0..sites {
                    at.iter_mut().for_each(|x| *x += 1.4 * random.normal());
                    places.extend(at);
                }
                let kinds = [1, 6, 7, 8];
                (places, (0..sites).map(|_| kinds[random.below(4) as usize]).collect())
            })
            .collect();
        let frames = (0..count)
            .map(|_| {
                let (places, types) = &shapes[random.below(shapes.len() as u64) as usize];
                let moved: Vec<f64> = places.iter().map(|_| 0.036 * random.normal()).collect();
                let energy = moved.iter().map(|d| 10.0 * d * d).sum();
                let positions = places.iter().zip(&moved).map(|(x, d)| (x + d) as f32).collect();
                let nine = |by: f64| (name == "crystals").then(|| [0; 9].map(|_| by));
                MdFrame {
                    nsites: types.len(),
                    types: Some(types.clone()),
                    positions: Some(Real::F32(positions)),
                    forces: Some(Real::F32(moved.iter().map(|d| (-20.0 * d) as f32).collect())),
                    energy: Some(energy),
                    cell: nine(10.4 + 0.01 * random.normal()),
                    stress: nine(random.normal()),
                    ..MdFrame::default()
                }
            })
            .collect();
        Self { frames }
    }
}
