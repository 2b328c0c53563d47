//! The users of SASL DIGEST-MD5, as a JAAS login configuration lists them.
//!
//! Of such a file only the section `Server` counts, and of that only the options
//! `user_NAME="PASSWORD"`; the class names in it mean nothing here.

/// Names and passwords in the section `Server`, in the order of the file.
pub(crate) fn users(text: &str) -> Vec<(String, String)> {
    let Some(section) = section(text, "Server") else { return Vec::new() };
    let mut found = Vec::new();
    let mut rest = section;
    while let Some((_, after)) = rest.split_once("user_") {
        rest = after;
        let Some((name, after)) = after.split_once('=') else { break };
        let Some((password, after)) = after.trim_start().strip_prefix('"').and_then(quoted) else {
            continue;
        };
        found.push((name.trim().trim_matches('"').to_owned(), password));
        rest = after;
    }
    found
}

/// What stands between the braces after a name.
fn section<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = text;
    while let Some((head, after)) = rest.split_once('{') {
        let (body, next) = after.split_once('}')?;
        if head.trim().rsplit([' ', '\t', '\n', '\r', ';']).next() == Some(name) {
            return Some(body);
        }
        rest = next;
    }
    None
}

/// A value up to its closing quote, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' if !escaped => return Some((value, &text[at + 1..])),
            '\\' if !escaped => escaped = true,
            c => {
                escaped = false;
                value.push(c);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::users;

    #[test]
    fn users_of_the_server_section_are_found() {
        let text = "Client { x required user_no=\"one\"; };\nServer {\n    \
                    org.apache.zookeeper.server.auth.DigestLoginModule required\n    \
                    user_super=\"super_secret\"\n    user_jaas=\"a \\\"quoted\\\" word\";\n};";
        let expected = [("super", "super_secret"), ("jaas", "a \"quoted\" word")]
            .map(|(n, p)| (n.into(), p.into()));
        assert_eq!(users(text), expected);
    }

    #[test]
    fn files_that_are_no_login_configuration_have_no_users() {
        for text in ["", "Server", "Server {", "Server { user_a }", "Server { user_a=\"b };", "}{"]
        {
            assert_eq!(users(text), [], "{text}");
        }
    }
}
