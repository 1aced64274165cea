//! Options with a few values that have names: refused by the names that there are, and known to
//! the completions of shells.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use vlstore::codec::{AnyCodec, CODECS, Field};
use vlstore::formats::FormatKind;
use vlstore::loader::Shuffle;
use vlstore::maintain::Balance;
use vlstore::trajectory::{AtomGroup, Duplicates, Masses};
use vlstore::trajectory::{FrameForm, Positions, Sharing};
use vlstore::{Alignment, Compression, Durability, Purpose};

/// A parser of one of these names, each of which `of` knows.
fn one_of<T: Clone + Send + Sync + 'static>(
    names: impl IntoIterator<Item = impl Into<PossibleValue>>,
    of: impl Fn(&str) -> Option<T> + Clone + Send + Sync + 'static,
) -> impl TypedValueParser<Value = T> {
    // The names were compared before `of` is asked.
    PossibleValuesParser::new(names).try_map(move |name| of(&name).ok_or("this is not known"))
}

/// A format of trajectories that is read.
pub(crate) fn format() -> impl TypedValueParser<Value = FormatKind> {
    one_of_formats(FormatKind::ALL)
}

/// A format of trajectories that is written.
pub(crate) fn written_format() -> impl TypedValueParser<Value = FormatKind> {
    one_of_formats(FormatKind::WRITTEN)
}

fn one_of_formats(all: &'static [FormatKind]) -> impl TypedValueParser<Value = FormatKind> {
    let names = all
        .iter()
        .map(|kind| PossibleValue::new(kind.name()).aliases(kind.extensions().iter().copied()));
    one_of(names, |name| FormatKind::from_name(name).ok())
}

/// A kind of residues, by its name.
pub(crate) fn atom_group() -> impl TypedValueParser<Value = AtomGroup> {
    one_of(AtomGroup::ALL.map(AtomGroup::name), |name| AtomGroup::from_name(name).ok())
}

/// A field of frames, by its name.
pub(crate) fn field() -> impl TypedValueParser<Value = String> {
    one_of(Field::ALL.map(Field::name), |name| Some(name.to_owned()))
}

/// A codec of records, by its name.
pub(crate) fn codec() -> impl TypedValueParser<Value = &'static str> {
    let known = |name: &str| CODECS.map(AnyCodec::name).into_iter().find(|n| *n == name);
    one_of(CODECS.map(AnyCodec::name), known)
}

/// What parts have equally much of.
pub(crate) fn balance() -> impl TypedValueParser<Value = Balance> {
    one_of(Balance::ALL.map(Balance::name), Balance::from_name)
}

pub(crate) fn purpose() -> impl TypedValueParser<Value = Purpose> {
    one_of(Purpose::ALL.iter().map(|p| p.name()), Purpose::from_name)
}

pub(crate) fn alignment() -> impl TypedValueParser<Value = Alignment> {
    one_of(Alignment::ALL.iter().map(|a| a.name()), Alignment::from_name)
}

pub(crate) fn durability() -> impl TypedValueParser<Value = Durability> {
    one_of(Durability::ALL.iter().map(|d| d.name()), Durability::from_name)
}

pub(crate) fn compression() -> impl TypedValueParser<Value = Compression> {
    one_of(Compression::ALL.iter().map(|c| c.name()), Compression::from_name)
}

pub(crate) fn sharing() -> impl TypedValueParser<Value = Sharing> {
    let all = [Sharing::Never, Sharing::Repeated, Sharing::Always];
    one_of(all.map(Sharing::name), Sharing::from_name)
}

pub(crate) fn duplicates() -> impl TypedValueParser<Value = Duplicates> {
    one_of(Duplicates::ALL.map(Duplicates::name), Duplicates::from_name)
}

pub(crate) fn masses() -> impl TypedValueParser<Value = Masses> {
    one_of([Masses::AsGiven, Masses::OfElements].map(Masses::name), Masses::from_name)
}

/// How records are shuffled, by name.
pub(crate) fn shuffle() -> impl TypedValueParser<Value = Shuffle> {
    let all = [Shuffle::Windows, Shuffle::Global, Shuffle::Sequential];
    one_of(all.map(Shuffle::name), Shuffle::from_name)
}

pub(crate) fn positions() -> impl TypedValueParser<Value = Positions> {
    one_of(["quantised", "given"], Positions::from_name)
}

pub(crate) fn frames() -> impl TypedValueParser<Value = FrameForm> {
    one_of([FrameForm::Table, FrameForm::Lean].map(FrameForm::name), FrameForm::from_name)
}

/// `--threads` and `--level` are numbers; these are all other options that have names.
#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Arg, Command};

    fn parse<T: Clone + Send + Sync + 'static>(
        parser: impl TypedValueParser<Value = T>,
        text: &str,
    ) -> Result<T, String> {
        let arg = Arg::new("x").long("x").value_parser(parser);
        let found = Command::new("p").arg(arg).try_get_matches_from(["p", "--x", text]);
        found.map_err(|e| e.to_string()).map(|m| m.get_one::<T>("x").unwrap().clone())
    }

    #[test]
    fn every_name_is_known_and_others_are_refused_with_the_list() {
        assert_eq!(parse(format(), "xyz"), Ok(FormatKind::ExtXyz));
        assert_eq!(parse(format(), "xtc"), Ok(FormatKind::Xtc));
        assert_eq!(parse(codec(), "flat-f32"), Ok("flat-f32"));
        assert_eq!(parse(compression(), "stored"), Ok(Compression::Stored));
        for purpose_name in ["dense", "balanced", "random"] {
            assert_eq!(parse(purpose(), purpose_name).unwrap().name(), purpose_name);
        }
        let said = parse(alignment(), "middle").unwrap_err();
        assert!(said.contains("block, no_cross, contiguous, start"), "{said}");
        for (said, names) in [
            (parse(durability(), "x").unwrap_err(), "none, kernel, sync"),
            (parse(sharing(), "x").unwrap_err(), "never, repeated, always"),
            (parse(positions(), "x").unwrap_err(), "quantised, given"),
            (parse(frames(), "x").unwrap_err(), "table, lean"),
            (parse(shuffle(), "x").unwrap_err(), "windows, global, sequential"),
            (parse(field(), "x").unwrap_err(), "positions, velocities, forces"),
        ] {
            assert!(said.contains(names), "{said}");
        }
    }
}
