//! Lines of an audit log, as `spike audit verify` reads them: somebody may have written anything into the file.

use spike_daemon::chain::{LineHash, Mark};
use spike_pilot::audit_lines_verify;

/// Checks what holds of lines in which nothing is wrong.
pub fn check(data: &[u8]) -> bool {
    let lines: Vec<&[u8]> = data.split_inclusive(|byte| *byte == b'\n').collect();
    let marks: Vec<Option<Mark>> = lines.iter().map(|line| Mark::of(line)).collect();
    for (line, mark) in lines.iter().zip(&marks) {
        let Some(Mark { chain, number, previous }) = mark else { continue };
        // A mark is written in one way only.
        let text = format!(
            r#","chain":{{"id":"{}","seq":{number},"prev":"{previous}"}}}}"#,
            chain.as_str()
        );
        assert!(line.strip_suffix(b"\n").unwrap_or(line).ends_with(text.as_bytes()));
    }
    if !audit_lines_verify(data) {
        return false;
    }
    // Of one chain, each line has the hash of the one before.
    for (pair, lines) in marks.windows(2).zip(lines.windows(2)) {
        let ([Some(one), Some(two)], [line, _]) = (pair, lines) else {
            panic!("a line without a mark is in order")
        };
        if one.chain == two.chain {
            assert_eq!((two.number, two.previous), (one.number + 1, LineHash::of(line)));
        }
    }
    !lines.is_empty()
}
