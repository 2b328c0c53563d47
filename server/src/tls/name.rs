//! Whom a certificate is for, as text: the form of RFC 2253 that Java's `X500Principal.getName()`
//! gives, which stands in ACLs of the `x509` scheme.

use std::fmt::Write;

use rustls::pki_types::CertificateDer;

use super::der::{self, Reader};

const SET: u8 = 0x31;
/// The number of the version, which certificates of version 1 lack.
const VERSION: u8 = 0xa0;

/// The subject of a certificate. `None` if it does not come apart.
pub(super) fn subject(certificate: &CertificateDer<'_>) -> Option<String> {
    let mut fields = Reader::new(certificate).inside(der::SEQUENCE)?.inside(der::SEQUENCE)?;
    if fields.element()?.tag == VERSION {
        // The serial number.
        fields.element()?;
    }
    // The algorithm, the issuer and the validity.
    for _ in 0..3 {
        fields.content(der::SEQUENCE)?;
    }
    distinguished(fields.content(der::SEQUENCE)?)
}

/// A distinguished name: its parts from the last to the first.
fn distinguished(name: &[u8]) -> Option<String> {
    let (mut name, mut parts) = (Reader::new(name), Vec::new());
    while !name.is_empty() {
        let mut set = name.inside(SET)?;
        let mut part = attribute(&mut set)?;
        while !set.is_empty() {
            part.push('+');
            part.push_str(&attribute(&mut set)?);
        }
        parts.push(part);
    }
    parts.reverse();
    Some(parts.join(","))
}

/// `TYPE=value`.
fn attribute(set: &mut Reader<'_>) -> Option<String> {
    let mut pair = set.inside(der::SEQUENCE)?;
    let kind = pair.content(der::OBJECT_ID)?;
    let value = pair.element()?;
    let keyword = KEYWORDS.iter().find(|(id, _)| *id == kind);
    let mut text = match keyword {
        Some((_, keyword)) => (*keyword).to_owned(),
        None => dotted(kind)?,
    };
    text.push('=');
    if keyword.is_some() && TEXTS.contains(&value.tag) {
        // Java takes the bytes of every kind of text for UTF-8.
        escape(&String::from_utf8_lossy(value.content), &mut text);
    } else {
        text.push('#');
        for byte in value.whole {
            // Never fails on a string.
            let _ = write!(text, "{byte:02x}");
        }
    }
    Some(text)
}

fn escape(value: &str, text: &mut String) {
    let is_space = |c| c == ' ' || c == '\r';
    let inner = value.trim_matches(is_space);
    let lead = value.len() - value.trim_start_matches(is_space).len();
    for (at, c) in value.char_indices() {
        match c {
            '\0' => text.push_str("\\00"),
            ',' | '=' | '+' | '<' | '>' | '#' | ';' | '"' | '\\' => text.extend(['\\', c]),
            _ if at < lead || at >= lead + inner.len() => text.extend(['\\', c]),
            _ => text.push(c),
        }
    }
}

/// An object identifier as numbers.
fn dotted(id: &[u8]) -> Option<String> {
    let mut numbers = Vec::new();
    let mut number: u64 = 0;
    for byte in id {
        number = number.checked_mul(128)? | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            numbers.push(std::mem::take(&mut number));
        }
    }
    // The first two are in one.
    let (&first, rest) = numbers.split_first()?;
    let root = (first / 40).min(2);
    let mut text = format!("{root}.{}", first - 40 * root);
    for number in rest {
        let _ = write!(text, ".{number}");
    }
    Some(text)
}

/// The kinds of attributes that have a name in RFC 2253.
const KEYWORDS: [(&[u8], &str); 9] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
];

/// UTF8String, PrintableString, TeletexString, IA5String, GeneralString and BMPString.
const TEXTS: [u8; 6] = [0x0c, 0x13, 0x14, 0x16, 0x1b, 0x1e];

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject;

    use super::*;

    fn of(hex: &str) -> Option<String> {
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        distinguished(Reader::new(&bytes).content(der::SEQUENCE)?)
    }

    /// Each name and what OpenJDK 17 makes of it.
    #[test]
    fn names_read_as_in_java() {
        for (name, expected) in [
            (
                "3035310b300906035504061302444531163014060355040a0c0d4578616d706c652c20496e632e310e\
                 300c06035504030c05616c696365",
                "CN=alice,O=Example\\, Inc.,C=DE",
            ),
            (
                "305a31133011060a0992268993f22c64011916036f72673111300f060a0992268993f22c6401010c01\
                 75310a300806035504090c0173310b300906035504080c027374310a300806035504070c016c310b30\
                 09060355040b0c026f75",
                "OU=ou,L=l,ST=st,STREET=s,UID=u,DC=org",
            ),
            (
                "3020311e301c06035504030c152023613d622b6322645c653c663e673b6823692c20",
                "CN=\\ \\#a\\=b\\+c\\\"d\\\\e\\<f\\>g\\;h\\#i\\,\\ ",
            ),
            ("300e310c300a06035504030c0323780d", "CN=\\#x\\\r"),
            ("300d310b300906035504030c022020", "CN=\\ \\ "),
            ("300b3109300706035504030c00", "CN="),
            ("30123110300e06035504030c0770c3a4c39f0001", "CN=päß\\00\u{1}"),
            ("300d310b30090603550403140270e4", "CN=p\u{fffd}"),
            ("300d310b3009060355040304026162", "CN=#04026162"),
            ("300d310b300906035504031a026162", "CN=#1a026162"),
            (
                "302c3112301006092a864886f70d0109011603614062310a300806035504040c0178310a3008060355\
                 040c0c0178",
                "2.5.4.12=#0c0178,2.5.4.4=#0c0178,1.2.840.113549.1.9.1=#1603614062",
            ),
            ("30163114300806035504030c01613008060355040b0c0162", "CN=a+OU=b"),
            ("3000", ""),
        ] {
            assert_eq!(of(name).as_deref(), Some(expected));
        }
    }

    #[test]
    fn damaged_names_are_no_names_and_no_panics() {
        let name = "302c3112301006092a864886f70d0109011603614062310a300806035504040c0178310a3008060\
                    355040c0c0178";
        for end in (2..name.len()).step_by(2) {
            assert_eq!(of(&name[..end]), None);
        }
        assert_eq!(of("3000").as_deref(), Some(""));
        for damaged in ["30023100", "3005310330010c", "30083106300406005500"] {
            assert_eq!(of(damaged), None, "{damaged}");
        }
    }

    #[test]
    fn certificates_of_any_version_have_a_subject() {
        let client = include_bytes!("../../tests/certificates/client.pem");
        let old = include_bytes!("../../tests/certificates/version1.pem");
        for certificate in [&client[..], old] {
            let der = CertificateDer::from_pem_slice(certificate).unwrap();
            let subject = subject(&der).unwrap();
            assert!(subject.starts_with("CN="), "{subject}");
            for end in 0..der.len() {
                let _ = super::subject(&CertificateDer::from(&der[..end]));
            }
        }
    }
}
