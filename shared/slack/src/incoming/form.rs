//! URL-encoded forms, as browsers and Slack send them (`application/x-www-form-urlencoded`).

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::Refusal;

type Field<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The fields in order. Input that is not UTF-8, before or after decoding, is refused and never repaired.
pub(super) fn decode(body: &[u8]) -> Result<Vec<Field<'_>>, Refusal> {
    let body = std::str::from_utf8(body).map_err(|_| Refusal::NotUtf8)?;
    let pairs = body.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((text(name)?, text(value)?))
        })
        .collect()
}

/// The value of the first field with this name.
pub(super) fn field<'a>(fields: &'a [Field<'_>], name: &str) -> Option<&'a str> {
    fields.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
}

fn text(encoded: &str) -> Result<Cow<'_, str>, Refusal> {
    if !encoded.contains('+') {
        return percent_decode_str(encoded).decode_utf8().map_err(|_| Refusal::NotUtf8);
    }
    let spaced = encoded.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().map_err(|_| Refusal::NotUtf8)?;
    Ok(Cow::Owned(decoded.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded_once() {
        let fields = decode("a=1+2%2B3&&b&c==&a=9&d=%25zz&e=%E2%9C%85+ö".as_bytes()).unwrap();
        let of = |name| field(&fields, name);
        assert_eq!((of("a"), of("b"), of("c"), of("x")), (Some("1 2+3"), Some(""), Some("="), None));
        assert_eq!((of("d"), of("e")), (Some("%zz"), Some("✅ ö")));
    }

    #[test]
    fn input_that_is_not_text_is_refused() {
        for body in [&b"a=\xff"[..], b"a=%ff", b"%c3=1", b"a=%c3+%a9"] {
            assert_eq!(decode(body), Err(Refusal::NotUtf8), "{body:?}");
        }
    }
}
