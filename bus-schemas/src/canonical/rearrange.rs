//! Puts the members of objects in order, in text that serde_json wrote: for types that do not declare them so.

/// Deepest nesting that is followed: twice what is ever read, and a bound on the stack.
const DEPTH_MAX: usize = 2 * super::DEPTH_MAX;

/// A member as it stands in what is written: its key, and where it ends.
struct Member {
    start: usize,
    key_end: usize,
    end: usize,
}

/// `json` as RFC 8785 wants it, or `None` wherever telling would need more than a glance: at keys with escapes or beyond
/// ASCII or given twice, at numbers with fractions or more than 15 digits.
pub(super) fn rearrange(json: &str) -> Option<String> {
    let mut out = Vec::with_capacity(json.len());
    let mut rest = json.as_bytes();
    value(&mut rest, &mut out, 0)?;
    String::from_utf8(out).ok()
}

fn value(rest: &mut &[u8], out: &mut Vec<u8>, depth: usize) -> Option<()> {
    match rest.first()? {
        _ if depth > DEPTH_MAX => None,
        b'{' => object(rest, out, depth),
        b'[' => list(rest, out, depth),
        b'"' => {
            let length = super::string_length(rest.get(1..)?)?.checked_add(2)?;
            copy(rest, out, length)
        }
        _ => {
            let length = rest.iter().take_while(|byte| !matches!(byte, b',' | b'}' | b']')).count();
            let scalar = rest.get(..length)?;
            if scalar.first().is_some_and(|first| matches!(first, b'-' | b'0'..=b'9')) {
                let digits = scalar.strip_prefix(b"-").unwrap_or(scalar);
                if digits.len() > 15 || !digits.iter().all(u8::is_ascii_digit) {
                    return None;
                }
            }
            copy(rest, out, length)
        }
    }
}

fn list(rest: &mut &[u8], out: &mut Vec<u8>, depth: usize) -> Option<()> {
    copy(rest, out, 1)?;
    while *rest.first()? != b']' {
        value(rest, out, depth + 1)?;
        if *rest.first()? == b',' {
            copy(rest, out, 1)?;
        }
    }
    copy(rest, out, 1)
}

fn object(rest: &mut &[u8], out: &mut Vec<u8>, depth: usize) -> Option<()> {
    copy(rest, out, 1)?;
    let begin = out.len();
    let mut members: Vec<Member> = Vec::new();
    while *rest.first()? != b'}' {
        let start = out.len();
        let length = super::string_length(rest.get(1..)?)?;
        let key = rest.get(1..=length)?;
        if !key.is_ascii() || key.contains(&b'\\') {
            return None;
        }
        let key_end = start + 1 + length;
        copy(rest, out, length + 3)?; // with its quotation marks and colon
        value(rest, out, depth + 1)?;
        members.push(Member { start, key_end, end: out.len() });
        if *rest.first()? == b',' {
            copy(rest, out, 1)?;
        }
    }
    sort(&mut members, out, begin)?;
    copy(rest, out, 1)
}

/// Writes the members, which `out` ends with, in the order of their keys.
fn sort(members: &mut [Member], out: &mut Vec<u8>, begin: usize) -> Option<()> {
    if members.is_sorted_by(|one, next| key_of(out, one) < key_of(out, next)) {
        return Some(());
    }
    let text = out.split_off(begin);
    for member in &mut *members {
        member.start -= begin;
        member.key_end -= begin;
        member.end -= begin;
    }
    members.sort_by(|one, next| key_of(&text, one).cmp(key_of(&text, next)));
    if !members.is_sorted_by(|one, next| key_of(&text, one) < key_of(&text, next)) {
        return None;
    }
    for (number, member) in members.iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        out.extend_from_slice(text.get(member.start..member.end)?);
    }
    Some(())
}

fn key_of<'a>(text: &'a [u8], member: &Member) -> &'a [u8] {
    text.get(member.start + 1..member.key_end).unwrap_or_default()
}

fn copy(rest: &mut &[u8], out: &mut Vec<u8>, length: usize) -> Option<()> {
    let (taken, after) = rest.split_at_checked(length)?;
    out.extend_from_slice(taken);
    *rest = after;
    Some(())
}
