//! Symbols of the chemical elements.

/// By atomic number; 0 is `X`, an atom of no element.
const SYMBOLS: [&str; 119] = [
    "X", "H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S",
    "Cl", "Ar", "K", "Ca", "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge",
    "As", "Se", "Br", "Kr", "Rb", "Sr", "Y", "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd",
    "In", "Sn", "Sb", "Te", "I", "Xe", "Cs", "Ba", "La", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd",
    "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W", "Re", "Os", "Ir", "Pt", "Au", "Hg",
    "Tl", "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th", "Pa", "U", "Np", "Pu", "Am", "Cm",
    "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr", "Rf", "Db", "Sg", "Bh", "Hs", "Mt", "Ds", "Rg", "Cn",
    "Nh", "Fl", "Mc", "Lv", "Ts", "Og",
];

/// The symbol of an atomic number.
pub(super) fn symbol(number: i32) -> Option<&'static str> {
    SYMBOLS.get(usize::try_from(number).ok()?).copied()
}

/// The number of a site whose label is of no element.
pub(super) const UNKNOWN: i32 = 0;

/// Atomic numbers by the two letters of a symbol, counted from 1 (0: there is none); 255 where
/// no element has them.
#[expect(clippy::indexing_slicing, reason = "a const: it would not compile")]
const BY_LETTERS: [[u8; 27]; 27] = {
    let mut table = [[255; 27]; 27];
    let mut number: u8 = 0;
    while (number as usize) < SYMBOLS.len() {
        let symbol = SYMBOLS[number as usize].as_bytes();
        let second = if symbol.len() == 2 { letter(symbol[1]) } else { 0 };
        table[letter(symbol[0])][second] = number;
        number += 1;
    }
    table
};

const fn letter(c: u8) -> usize {
    if c.is_ascii_alphabetic() { (c.to_ascii_lowercase() - b'a') as usize + 1 } else { 0 }
}

/// The atomic number of a symbol in any case.
pub(super) fn number(symbol: &[u8]) -> Option<i32> {
    let (first, second) = match *symbol {
        [a] => (letter(a), 0),
        [a, b] if b.is_ascii_alphabetic() => (letter(a), letter(b)),
        _ => return None,
    };
    let number = *BY_LETTERS.get(first)?.get(second)?;
    (number != 255).then_some(i32::from(number))
}

/// The atomic number of a label: a symbol, an atomic number in digits, or an isotope of hydrogen.
pub(super) fn of_label(label: &str) -> Option<i32> {
    number(label.as_bytes())
        .or_else(|| label.parse().ok().filter(|n| symbol(*n).is_some()))
        .or_else(|| matches!(label, "D" | "T").then_some(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_symbols_belong_together() {
        for n in 0..119 {
            let name = symbol(n).unwrap();
            assert_eq!(number(name.as_bytes()), Some(n));
            assert_eq!(number(name.to_lowercase().as_bytes()), Some(n));
            assert_eq!(number(name.to_uppercase().as_bytes()), Some(n));
        }
        for (name, n) in [("X", 0), ("H", 1), ("FE", 26), ("i", 53), ("hG", 80), ("Og", 118)] {
            assert_eq!(number(name.as_bytes()), Some(n), "{name}");
        }
        assert_eq!((symbol(119), symbol(-1)), (None, None));
        for name in ["", "Q", "H1", "H ", "1", "D", "Xx", "Fee", "\u{e9}"] {
            assert_eq!(number(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn labels_may_be_numbers_and_isotopes() {
        for (label, n) in [("c", 6), ("6", 6), ("0", 0), ("118", 118), ("D", 1), ("T", 1)] {
            assert_eq!(of_label(label), Some(n), "{label}");
        }
        for label in ["119", "-1", "6.0", "d", "C_alpha", "CH3", ""] {
            assert_eq!(of_label(label), None, "{label}");
        }
    }
}
