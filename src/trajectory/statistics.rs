//! Statistics of frames, as training wants them: computed once in bounded memory, kept in the
//! attributes with the state that they belong to.

use super::fields::Frames;
use crate::codec::{Field, Fields, Real};
use crate::error::{Error, Result};
use crate::store::Readable;
use crate::store::Snapshot;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The attribute under which a store keeps its statistics.
pub const STATISTICS: &str = "statistics";

/// Bytes of records that are read together, and how many of them at most.
const WINDOW: u64 = 8 << 20;
const WINDOW_FRAMES: usize = 1024;
/// Types that are counted; beyond them a store has no types that could be statistics.
const TYPES: usize = 4096;

/// Statistics of all frames of a store, in the units of the store.
///
/// A value that is not finite counts as absent. Standard deviations are those of all values,
/// not of a sample.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Statistics {
    /// Number of frames.
    pub frames: u64,
    /// Sites of all frames together.
    pub sites: u64,
    /// Fewest and most sites of a frame; 0 without frames.
    pub sites_range: [u64; 2],
    /// Frames that have an energy.
    pub energies: u64,
    /// Mean of their energies.
    pub energy_mean: Option<f64>,
    /// Frames with an energy and at least one site.
    pub energies_per_site: u64,
    /// Mean over those frames of the energy divided by the number of sites.
    pub energy_per_site_mean: Option<f64>,
    /// Standard deviation of that.
    pub energy_per_site_std: Option<f64>,
    /// Components of forces: three for each site that has one.
    pub force_components: u64,
    /// Root of the mean square of a component.
    pub force_rms: Option<f64>,
    /// Largest absolute value of a component.
    pub force_max: Option<f64>,
    /// Number of sites of each type; the type is that of the store, for elements commonly the
    /// atomic number.
    pub types: BTreeMap<i32, u64>,
}

/// Mean and sum of squared deviations of a row of numbers, as they come (Welford).
#[derive(Debug, Default)]
struct Running {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Running {
    #[expect(clippy::cast_precision_loss, reason = "a count far below 2^53")]
    fn add(&mut self, value: f64) {
        self.count += 1;
        let off = value - self.mean;
        self.mean += off / self.count as f64;
        self.squares += off * (value - self.mean);
    }

    fn mean(&self) -> Option<f64> {
        (self.count > 0).then_some(self.mean)
    }

    #[expect(clippy::cast_precision_loss, reason = "a count far below 2^53")]
    fn std(&self) -> Option<f64> {
        (self.count > 0).then(|| (self.squares / self.count as f64).sqrt())
    }
}

/// Sum of squares and largest absolute value of the finite numbers.
fn squares(forces: &Real) -> (u64, f64, f64) {
    let add = |(n, sum, max): (u64, f64, f64), f: f64| {
        if f.is_finite() { (n + 1, f.mul_add(f, sum), max.max(f.abs())) } else { (n, sum, max) }
    };
    match forces {
        Real::F32(v) => v.iter().map(|f| f64::from(*f)).fold((0, 0.0, 0.0), add),
        Real::F64(v) => v.iter().copied().fold((0, 0.0, 0.0), add),
    }
}

impl Statistics {
    /// Computes the statistics of all frames of a store or data set, in one pass over the blocks in which
    /// energies, types and forces lie, and in bounded memory.
    ///
    /// `progress` is told the frames done and to do; its error ends the work.
    ///
    /// # Errors
    /// As [`Frames::frames_at`]; [`Error::Limit`] for more than 4096 types; what `progress`
    /// returns.
    pub fn compute(
        snapshot: &dyn Readable,
        mut progress: impl FnMut(u64, u64) -> Result<()>,
    ) -> Result<Self> {
        let total = snapshot.len();
        let fields = Fields::of(&[Field::Energy, Field::Types, Field::Forces]);
        let mut out = Self { sites_range: [u64::MAX, 0], ..Self::default() };
        let (mut energy, mut per_site) = (Running::default(), Running::default());
        let (mut sum, mut max) = (0.0, 0.0_f64);
        let mut next = 0;
        while next < total {
            progress(next, total)?;
            let mut window = Vec::new();
            let mut bytes = 0;
            while next < total && window.len() < WINDOW_FRAMES && bytes < WINDOW {
                bytes += snapshot.location_at(next)?.len();
                window.push(next);
                next += 1;
            }
            for frame in snapshot.frames_at(&window, fields)? {
                let sites = frame.nsites as u64;
                out.frames += 1;
                out.sites += sites;
                let [fewest, most] = out.sites_range;
                out.sites_range = [fewest.min(sites), most.max(sites)];
                if let Some(e) = frame.energy.filter(|e| e.is_finite()) {
                    energy.add(e);
                    if let Ok(n @ 1..) = u32::try_from(frame.nsites) {
                        per_site.add(e / f64::from(n));
                    }
                }
                for t in frame.types.iter().flatten() {
                    *out.types.entry(*t).or_default() += 1;
                }
                if out.types.len() > TYPES {
                    let (asked, max) = (out.types.len() as u64, TYPES as u64);
                    return Err(Error::Limit { what: "types in statistics", asked, max });
                }
                if let Some(forces) = &frame.forces {
                    let (n, s, m) = squares(forces);
                    out.force_components += n;
                    sum += s;
                    max = max.max(m);
                }
            }
        }
        progress(total, total)?;
        if out.frames == 0 {
            out.sites_range = [0, 0];
        }
        (out.energies, out.energy_mean) = (energy.count, energy.mean());
        out.energies_per_site = per_site.count;
        out.energy_per_site_mean = per_site.mean();
        out.energy_per_site_std = per_site.std();
        if out.force_components > 0 {
            #[expect(clippy::cast_precision_loss, reason = "a count far below 2^53")]
            let n = out.force_components as f64;
            out.force_rms = Some((sum / n).sqrt());
            out.force_max = Some(max);
        }
        Ok(out)
    }

    /// As JSON, with the names of the fields; `types` is an object of counts by type.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let types: Map<String, Value> =
            self.types.iter().map(|(t, n)| (t.to_string(), json!(n))).collect();
        json!({
            "frames": self.frames,
            "sites": self.sites,
            "sites_range": self.sites_range,
            "energies": self.energies,
            "energy_mean": self.energy_mean,
            "energies_per_site": self.energies_per_site,
            "energy_per_site_mean": self.energy_per_site_mean,
            "energy_per_site_std": self.energy_per_site_std,
            "force_components": self.force_components,
            "force_rms": self.force_rms,
            "force_max": self.force_max,
            "types": types,
        })
    }

    /// What [`Statistics::to_json`] wrote; `None` if it is something else.
    #[must_use]
    pub fn from_json(value: &Value) -> Option<Self> {
        let int = |name: &str| value.get(name)?.as_u64();
        let real = |name: &str| match value.get(name)? {
            Value::Null => Some(None),
            other => other.as_f64().map(Some),
        };
        let range = value.get("sites_range")?.as_array()?;
        let types = value.get("types")?.as_object()?;
        let types = types.iter().map(|(t, n)| Some((t.parse().ok()?, n.as_u64()?)));
        Some(Self {
            frames: int("frames")?,
            sites: int("sites")?,
            sites_range: [range.first()?.as_u64()?, range.get(1)?.as_u64()?],
            energies: int("energies")?,
            energy_mean: real("energy_mean")?,
            energies_per_site: int("energies_per_site")?,
            energy_per_site_mean: real("energy_per_site_mean")?,
            energy_per_site_std: real("energy_per_site_std")?,
            force_components: int("force_components")?,
            force_rms: real("force_rms")?,
            force_max: real("force_max")?,
            types: types.collect::<Option<_>>()?,
        })
    }

    /// Those that a snapshot keeps in its attributes, and whether they are those of its records:
    /// they have the id of the file, the number of records ever put into it and the number that
    /// is left, which together change with every record that is put or deleted. They were
    /// computed at the commit that the result names.
    #[must_use]
    pub fn kept(snapshot: &Snapshot) -> Option<KeptStatistics> {
        let attributes = snapshot.attributes();
        let kept = attributes.get(STATISTICS)?;
        let int = |name: &str| kept.get(name).and_then(Value::as_u64);
        let current = kept.get("file").and_then(Value::as_str) == Some(&snapshot.file_id())
            && int("total") == Some(snapshot.total())
            && int("live") == Some(snapshot.len());
        Some(KeptStatistics {
            statistics: Self::from_json(kept)?,
            generation: int("generation")?,
            current,
        })
    }

    /// Those that a snapshot keeps, if they are those of its records; else computed.
    ///
    /// # Errors
    /// As [`Statistics::compute`].
    pub fn of(snapshot: &Snapshot, progress: impl FnMut(u64, u64) -> Result<()>) -> Result<Self> {
        match Self::kept(snapshot).filter(|kept| kept.current) {
            Some(kept) => Ok(kept.statistics),
            None => Self::compute(snapshot, progress),
        }
    }

    /// The attributes of a store with these statistics of `snapshot` in them.
    #[must_use]
    pub fn attributes(&self, snapshot: &Snapshot) -> Value {
        let mut kept = self.to_json();
        if let Some(members) = kept.as_object_mut() {
            members.insert("file".into(), snapshot.file_id().into());
            members.insert("generation".into(), snapshot.generation().into());
            members.insert("total".into(), snapshot.total().into());
            members.insert("live".into(), snapshot.len().into());
        }
        let mut attributes = snapshot.attributes();
        if !attributes.is_object() {
            attributes = json!({});
        }
        if let Some(members) = attributes.as_object_mut() {
            members.insert(STATISTICS.into(), kept);
        }
        attributes
    }
}

/// Statistics from the attributes of a store.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptStatistics {
    /// The statistics.
    pub statistics: Statistics,
    /// The commit at which they were computed.
    pub generation: u64,
    /// Whether no record was put or deleted since, so that they are those of the store.
    pub current: bool,
}
