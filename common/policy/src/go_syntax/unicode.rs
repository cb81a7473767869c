//! Unicode classes of Go 1.26: its names, and its sets of Unicode 15.0.
//!
//! The tables come from `regex-syntax`, with Unicode 16.0, and are reduced to the characters of 15.0. A digest of Go's
//! own tables, by name, verifies them (`tests/go_patterns`).

use regex_syntax::hir::ClassUnicode;

use super::{
    fold, set,
    tables::{assigned_in_15_0, table},
};

/// AHOM CONSONANT SIGN MEDIAL RA: `Mn` in Unicode 15.0, later `Mc`.
const MOVED: u32 = 0x1_171E;

/// `unicode.Categories`, without `LC`, which Go spells `Lc` here.
const CATEGORIES: [&str; 37] = [
    "C", "Cc", "Cf", "Cn", "Co", "Cs", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn",
    "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm",
    "So", "Z", "Zl", "Zp", "Zs",
];

/// `unicode.CategoryAliases`, in canonical spelling.
const CATEGORY_ALIASES: [(&str, &str); 42] = [
    ("Casedletter", "LC"),
    ("Closepunctuation", "Pe"),
    ("Cntrl", "Cc"),
    ("Combiningmark", "M"),
    ("Connectorpunctuation", "Pc"),
    ("Control", "Cc"),
    ("Currencysymbol", "Sc"),
    ("Dashpunctuation", "Pd"),
    ("Decimalnumber", "Nd"),
    ("Digit", "Nd"),
    ("Enclosingmark", "Me"),
    ("Finalpunctuation", "Pf"),
    ("Format", "Cf"),
    ("Initialpunctuation", "Pi"),
    ("Letter", "L"),
    ("Letternumber", "Nl"),
    ("Lineseparator", "Zl"),
    ("Lowercaseletter", "Ll"),
    ("Mark", "M"),
    ("Mathsymbol", "Sm"),
    ("Modifierletter", "Lm"),
    ("Modifiersymbol", "Sk"),
    ("Nonspacingmark", "Mn"),
    ("Number", "N"),
    ("Openpunctuation", "Ps"),
    ("Other", "C"),
    ("Otherletter", "Lo"),
    ("Othernumber", "No"),
    ("Otherpunctuation", "Po"),
    ("Othersymbol", "So"),
    ("Paragraphseparator", "Zp"),
    ("Privateuse", "Co"),
    ("Punct", "P"),
    ("Punctuation", "P"),
    ("Separator", "Z"),
    ("Spaceseparator", "Zs"),
    ("Spacingmark", "Mc"),
    ("Surrogate", "Cs"),
    ("Symbol", "S"),
    ("Titlecaseletter", "Lt"),
    ("Unassigned", "Cn"),
    ("Uppercaseletter", "Lu"),
];

/// The valid names of `unicode.Scripts`. Go 1.26 compares names without underscores, and so never finds those that have
/// one (`Old_Italic`). They are refused here too.
const SCRIPTS: &[&str] = &[
    "Adlam",
    "Ahom",
    "Arabic",
    "Armenian",
    "Avestan",
    "Balinese",
    "Bamum",
    "Batak",
    "Bengali",
    "Bhaiksuki",
    "Bopomofo",
    "Brahmi",
    "Braille",
    "Buginese",
    "Buhid",
    "Carian",
    "Chakma",
    "Cham",
    "Cherokee",
    "Chorasmian",
    "Common",
    "Coptic",
    "Cuneiform",
    "Cypriot",
    "Cyrillic",
    "Deseret",
    "Devanagari",
    "Dogra",
    "Duployan",
    "Elbasan",
    "Elymaic",
    "Ethiopic",
    "Georgian",
    "Glagolitic",
    "Gothic",
    "Grantha",
    "Greek",
    "Gujarati",
    "Gurmukhi",
    "Han",
    "Hangul",
    "Hanunoo",
    "Hatran",
    "Hebrew",
    "Hiragana",
    "Inherited",
    "Javanese",
    "Kaithi",
    "Kannada",
    "Katakana",
    "Kawi",
    "Kharoshthi",
    "Khmer",
    "Khojki",
    "Khudawadi",
    "Lao",
    "Latin",
    "Lepcha",
    "Limbu",
    "Lisu",
    "Lycian",
    "Lydian",
    "Mahajani",
    "Makasar",
    "Malayalam",
    "Mandaic",
    "Manichaean",
    "Marchen",
    "Medefaidrin",
    "Miao",
    "Modi",
    "Mongolian",
    "Mro",
    "Multani",
    "Myanmar",
    "Nabataean",
    "Nandinagari",
    "Newa",
    "Nko",
    "Nushu",
    "Ogham",
    "Oriya",
    "Osage",
    "Osmanya",
    "Palmyrene",
    "Phoenician",
    "Rejang",
    "Runic",
    "Samaritan",
    "Saurashtra",
    "Sharada",
    "Shavian",
    "Siddham",
    "Sinhala",
    "Sogdian",
    "Soyombo",
    "Sundanese",
    "Syriac",
    "Tagalog",
    "Tagbanwa",
    "Takri",
    "Tamil",
    "Tangsa",
    "Tangut",
    "Telugu",
    "Thaana",
    "Thai",
    "Tibetan",
    "Tifinagh",
    "Tirhuta",
    "Toto",
    "Ugaritic",
    "Vai",
    "Vithkuqi",
    "Wancho",
    "Yezidi",
    "Yi",
];

/// Go's set for `name` in `\p{name}`, folded if `fold`; `None` if Go does not know the name.
pub(super) fn class(name: &str, fold: bool) -> Option<ClassUnicode> {
    let name = canonical(name);
    let alias = CATEGORY_ALIASES.iter().find(|(alias, _)| *alias == name);
    let set = match name.as_str() {
        "Any" => set::range(0, u32::from(char::MAX)),
        "Ascii" => set::ascii(&[('\0', '\x7F')]),
        "Assigned" => set::negated(category("Cn")?),
        // Go does not fold this one.
        "Lc" | "Casedletter" => return category("LC"),
        name if CATEGORIES.contains(&name) => category(name)?,
        name if SCRIPTS.contains(&name) => {
            let mut script = table(&format!("sc={name}"))?;
            script.intersect(assigned_in_15_0());
            script
        }
        _ => category(alias?.1)?,
    };
    Some(if fold { fold::folded(&set) } else { set })
}

fn category(name: &str) -> Option<ClassUnicode> {
    if name == "Cs" {
        // Surrogates: no text contains one.
        return Some(set::empty());
    }
    let mut class = table(&format!("gc={name}"))?;
    class.intersect(assigned_in_15_0());
    // The one character that changed its category after 15.0.
    match name {
        "Mn" => class.union(&set::range(MOVED, MOVED)),
        "Mc" => class.difference(&set::range(MOVED, MOVED)),
        _ => {}
    }
    if matches!(name, "C" | "Cn") {
        class.union(&set::negated(assigned_in_15_0().clone()));
    }
    Some(class)
}

/// Go's canonical spelling: a capital, then small letters; no underscores, spaces and hyphens.
fn canonical(name: &str) -> String {
    let mut letters = name.chars().filter(|c| !matches!(c, '_' | '-' | ' '));
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters.map(|c| c.to_ascii_lowercase())).collect()
}
