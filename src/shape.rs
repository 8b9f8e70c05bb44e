//! Rows of a list that look like the one before them: only their values are read.
//!
//! The rows of a page have the same keys in the same order. What stands between the values of a row is compared with what stood there in a row
//! that serde has read, so that no key is looked for and nothing is parsed; a row of another form is serde's again. It takes a fifth of the
//! instructions.

use crate::text::plain_length;

/// Values of a row that are wanted, and in the last place one of those that aren't.
pub(crate) type Values<'t> = [&'t str; 16];
const UNWANTED: usize = 15;

/// A key, and the key within its object, if the value is one.
pub(crate) type Path = (&'static str, &'static str);

/// How a row looks.
pub(crate) struct Shape {
    row: String,
    values: Vec<Place>,
    /// Where the last value ends.
    tail: usize,
}

/// A value of the row, and what stands before it.
struct Place {
    from: usize,
    to: usize,
    which: usize,
    is_text: bool,
}

impl Shape {
    /// The shape of a row that serde has read as it is documented; `wanted` are the values to be read. `None` of one that isn't plain: with blanks,
    /// lists, escapes or objects within objects.
    pub(crate) fn of(row: &str, wanted: &[Path]) -> Option<Shape> {
        let bytes = row.as_bytes();
        let mut shape = Shape { row: row.to_owned(), values: Vec::new(), tail: 0 };
        let (mut at, mut keys) = (1, Vec::new());
        while bytes.first() == Some(&b'{') && at < bytes.len() {
            match bytes[at] {
                b',' => at += 1,
                b'}' => {
                    keys.pop();
                    at += 1;
                }
                b'"' => {
                    let (key, colon) = scalar(row, at)?;
                    at = colon + 1;
                    let (outer, inner) = keys.first().map_or((key, ""), |outer| (*outer, key));
                    match bytes.get(colon..colon + 2)? {
                        b":{" if keys.is_empty() => {
                            keys.push(key);
                            at += 1;
                        }
                        [b':', _] => {
                            let (_, end) = scalar(row, at)?;
                            shape.add(at, end, place(wanted, outer, inner));
                            at = end;
                        }
                        _ => return None,
                    }
                }
                _ => return None,
            }
        }
        (at == bytes.len()).then_some(shape)
    }

    fn add(&mut self, at: usize, end: usize, which: Option<usize>) {
        if let Some(which) = which {
            let is_text = self.row.as_bytes()[at] == b'"';
            self.values.push(Place { from: self.tail, to: at, which, is_text });
            self.tail = end;
        }
    }

    /// The values of the row that begins there, and where it ends; `None` if it doesn't look so.
    pub(crate) fn read<'t>(&self, text: &'t str, mut at: usize) -> Option<(Values<'t>, usize)> {
        let mut values = [""; 16];
        for place in &self.values {
            at = self.same(text, at, place.from..place.to)?;
            let (value, end) = scalar(text, at)?;
            let first = text.as_bytes()[at];
            if place.which != UNWANTED && !place.takes(first) {
                return None;
            }
            values[place.which] = if first == b'n' { "" } else { value };
            at = end;
        }
        Some((values, self.same(text, at, self.tail..self.row.len())?))
    }

    /// Where what stands there ends, if it is the same as in the row.
    fn same(&self, text: &str, at: usize, part: std::ops::Range<usize>) -> Option<usize> {
        let part = &self.row.as_bytes()[part];
        let end = at + part.len();
        (text.as_bytes().get(at..end)? == part).then_some(end)
    }
}

impl Place {
    /// Whether a wanted value that begins so may stand here: one of the kind that stood here in the row, or `null`.
    fn takes(&self, first: u8) -> bool {
        match first {
            b'n' => true,
            b'"' => self.is_text,
            _ => !self.is_text && first.is_ascii_digit(),
        }
    }
}

/// Where a value goes. `None`: it is `null` in place of an object that is wanted, so that another row is read by serde if it has anything else.
fn place(wanted: &[Path], outer: &str, inner: &str) -> Option<usize> {
    let is_object = inner.is_empty() && wanted.iter().any(|(key, within)| *key == outer && !within.is_empty());
    let which = wanted.iter().position(|path| *path == (outer, inner));
    if is_object { None } else { Some(which.unwrap_or(UNWANTED)) }
}

/// The string without escapes, whole number, or word that begins there, and where it ends.
fn scalar(text: &str, at: usize) -> Option<(&str, usize)> {
    let bytes = &text.as_bytes()[at..];
    let length = match bytes.first()? {
        b'"' => {
            let end = at + 1 + plain_length(&bytes[1..]);
            return (text.as_bytes().get(end) == Some(&b'"')).then(|| (&text[at + 1..end], end + 1));
        }
        b'0' => 1, // what follows is no digit, or no row goes on so
        b'1'..=b'9' => bytes.iter().take_while(|b| b.is_ascii_digit()).count(),
        _ => ["null", "true", "false"].iter().find(|word| bytes.starts_with(word.as_bytes()))?.len(),
    };
    Some((&text[at..at + length], at + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: &[Path] = &[("id", ""), ("Owner", "id")];

    fn read(first: &str, second: &str) -> Option<Vec<String>> {
        let text = format!("[{second}]");
        let (values, end) = Shape::of(first, WANTED)?.read(&text, 1)?;
        assert_eq!(end, second.len() + 1);
        Some(values[..2].iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_row_of_the_same_keys_gives_its_values_and_another_none() {
        let row = r#"{"id":"1","Owner":{"name":"ü","id":"2"},"$state":"save","a":{"b":null,"c":true},"d":0}"#;
        let like = |values: [&str; 5]| {
            let [id, name, owner, state, d] = values;
            format!(r#"{{"id":{id},"Owner":{{"name":{name},"id":{owner}}},"$state":{state},"a":{{"b":"x","c":false}},"d":{d}}}"#)
        };
        let values = |id: &str, owner: &str| Some(vec![id.to_owned(), owner.to_owned()]);
        assert_eq!(read(row, row), values("1", "2"));
        assert_eq!(read(row, &like([r#""34567890123""#, r#""a name that is longer than eight""#, "null", "true", "10"])), values("34567890123", ""));
        for odd in [
            ["1", r#""""#, r#""2""#, "1", "1"],
            ["true", r#""""#, r#""2""#, "1", "1"],
            ["[]", r#""""#, r#""2""#, "1", "1"],
            [r#""1\u0030""#, r#""""#, r#""2""#, "1", "1"],
            ["\"1\n\"", r#""""#, r#""2""#, "1", "1"],
            [r#""1""#, "nul", r#""2""#, "1", "1"],
            [r#""1""#, "null", r#""2""#, "1.5", "1"],
            [r#""1""#, "null", r#""2""#, "-1", "1"],
            [r#""1""#, "null", r#""2""#, "1", "01"],
            [r#""1""#, "null", r#""2""#, r#""x"#, "1"],
        ] {
            assert_eq!(read(row, &like(odd)), None, "{odd:?}");
        }
        for other in ["", "{", r#"{"id":"1"}"#, r#"{"id": "1","Owner":null}"#, &row.replace("$state", "$stale"), &row.replace("id", "Id")] {
            assert_eq!(read(row, other), None, "{other}");
        }
    }

    #[test]
    fn only_a_plain_row_has_a_shape() {
        for plain in [r#"{"id":"1"}"#, r#"{"id":1,"x":{}}"#, r#"{"Owner":null}"#, "{}"] {
            assert!(Shape::of(plain, WANTED).is_some(), "{plain}");
        }
        for other in [r#"{"id":"1","x":[]}"#, r#"{"x":{"y":{}}}"#, r#"{"id": "1"}"#, r#"{"\u0069d":"1"}"#, r#"{"x":-1}"#, r#"{"x":1.5}"#, "[]", ""] {
            assert!(Shape::of(other, WANTED).is_none(), "{other}");
        }
        assert_eq!(read(r#"{"Owner":null}"#, r#"{"Owner":"x"}"#), None, "what stands in the place of an object is read by serde");
    }
}
