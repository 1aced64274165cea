//! Masses of atoms by their elements.

use super::elements::symbol;
use crate::error::{Error, Result};

/// Standard atomic weights of the IUPAC by atomic number, in u, from its table of 2016; of an element
/// whose weight is an interval (such as hydrogen and carbon) the conventional value. 0 where there is
/// none, as of technetium.
const WEIGHTS: [f64; 93] = [
    0.0,
    1.008,
    4.002_602,
    6.94,
    9.012_183_1,
    10.81,
    12.011,
    14.007,
    15.999,
    18.998_403_163,
    20.179_7,
    22.989_769_28,
    24.305,
    26.981_538_5,
    28.085,
    30.973_761_998,
    32.06,
    35.45,
    39.948,
    39.098_3,
    40.078,
    44.955_908,
    47.867,
    50.941_5,
    51.996_1,
    54.938_044,
    55.845,
    58.933_194,
    58.693_4,
    63.546,
    65.38,
    69.723,
    72.63,
    74.921_595,
    78.971,
    79.904,
    83.798,
    85.467_8,
    87.62,
    88.905_84,
    91.224,
    92.906_37,
    95.95,
    0.0,
    101.07,
    102.905_5,
    106.42,
    107.868_2,
    112.414,
    114.818,
    118.71,
    121.76,
    127.6,
    126.904_47,
    131.293,
    132.905_451_96,
    137.327,
    138.905_47,
    140.116,
    140.907_66,
    144.242,
    0.0,
    150.36,
    151.964,
    157.25,
    158.925_35,
    162.5,
    164.930_33,
    167.259,
    168.934_22,
    173.054,
    174.966_8,
    178.49,
    180.947_88,
    183.84,
    186.207,
    190.23,
    192.217,
    195.084,
    196.966_569,
    200.592,
    204.38,
    207.2,
    208.980_4,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    232.037_7,
    231.035_88,
    238.028_91,
];

/// The masses, in u, of atoms whose types are atomic numbers: the standard atomic weights of the IUPAC
/// (2016, conventional values), which are those of the natural mixture of isotopes.
///
/// # Errors
/// [`Error::Invalid`] that names the first atom whose type is no element, or one without a standard weight.
pub fn standard_masses(types: &[i32]) -> Result<Vec<f64>> {
    let mass = |(site, number): (usize, &i32)| {
        let weight = usize::try_from(*number).ok().and_then(|n| WEIGHTS.get(n));
        weight.copied().filter(|w| *w > 0.0).ok_or_else(|| {
            let element = match (number, symbol(*number)) {
                (1.., Some(symbol)) => format!("{symbol}, which has no standard atomic weight"),
                _ => format!("{number}, which is not the atomic number of an element"),
            };
            Error::invalid("masses", format!("the type of atom {site} is {element}"))
        })
    };
    types.iter().enumerate().map(mass).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atoms_have_the_weights_of_their_elements_or_are_named() {
        assert_eq!(standard_masses(&[1, 8, 92]).unwrap(), [1.008, 15.999, 238.028_91]);
        assert_eq!(standard_masses(&[]).unwrap(), [0.0; 0]);
        for (types, says) in [
            ([6, 0], "atom 1 is 0, which is not"),
            ([6, 43], "atom 1 is Tc, which has no"),
            ([6, 93], "atom 1 is Np, which has no"),
            ([-6, 6], "atom 0 is -6, which is not"),
            ([6, 119], "atom 1 is 119, which is not"),
        ] {
            let said = standard_masses(&types).unwrap_err().to_string();
            assert!(said.contains(says), "{said}");
        }
    }
}
