//! Leaves out of a log what looks like a key: somebody may name another file by mistake, or have pasted one into a log.

/// How a recovery share begins as text, before its index and 64 hexadecimal digits.
const SHARE: &[u8] = b"spike:";
const SHARE_DIGITS: usize = 64;

/// The lines without those that hold a recovery share or a private key, and how many were left out.
pub(super) fn without_keys(text: &[u8]) -> (Vec<u8>, usize) {
    let (mut kept, mut left_out, mut is_in_key) = (Vec::with_capacity(text.len()), 0, false);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        is_in_key |= begins_key(line);
        if is_in_key || holds_share(line) {
            left_out += 1;
        } else {
            kept.extend_from_slice(line);
        }
        is_in_key &= !(contains(line, b"-----END ") && contains(line, b"PRIVATE KEY-----"));
    }
    (kept, left_out)
}

fn begins_key(line: &[u8]) -> bool {
    contains(line, b"-----BEGIN ") && contains(line, b"PRIVATE KEY-----")
}

fn holds_share(line: &[u8]) -> bool {
    let starts = line.windows(SHARE.len()).enumerate().filter(|(_, window)| *window == SHARE);
    starts.map(|(at, _)| line.split_at(at + SHARE.len()).1).any(|rest| {
        let mut parts = rest.splitn(2, |byte| *byte == b':');
        let (index, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let digits = value.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        !index.is_empty() && index.iter().all(u8::is_ascii_digit) && digits >= SHARE_DIGITS
    })
}

fn contains(line: &[u8], part: &[u8]) -> bool {
    line.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `--log` took any file, a recovery share as well.
    #[test]
    fn a_recovery_share_or_a_private_key_in_a_log_is_left_out() {
        let share = format!("spike:2:{}\n", "0a".repeat(32));
        let in_json = format!("{{\"pasted\":\"{}\"}}\n", share.trim());
        let key = "-----BEGIN EC PRIVATE KEY-----\nAAAA\nBBBB\n-----END EC PRIVATE KEY-----\n";
        let text = ["one\n", &share, "two\n", key, "three\n", &in_json, "four"].concat();
        let (kept, left_out) = without_keys(text.as_bytes());
        assert_eq!(String::from_utf8(kept).unwrap(), "one\ntwo\nthree\nfour");
        assert_eq!(left_out, 6);
        let cut = without_keys(b"a\n-----BEGIN PRIVATE KEY-----\nAAAA");
        assert_eq!(cut, (b"a\n".to_vec(), 2));
    }

    #[test]
    fn what_only_resembles_a_key_stays() {
        let hash = "ab".repeat(32);
        for line in [
            format!("{{\"hash\":\"{hash}\"}}\n"),
            format!("spike:x:{hash}\n"),
            "spike:1:abc\n".to_owned(),
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(),
            "a file spike:\n".to_owned(),
        ] {
            assert_eq!(without_keys(line.as_bytes()), (line.clone().into_bytes(), 0), "{line}");
        }
    }
}
