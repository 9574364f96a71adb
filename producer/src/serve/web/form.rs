//! What a form sends, or the query of a URL: names and texts.

/// Pairs in the order in which they came.
#[derive(Debug, Clone, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        Self(form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// A field that says something: what is empty was not filled in.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let (_, text) = self.0.iter().find(|(known, _)| known == name)?;
        Some(text.trim()).filter(|text| !text.is_empty())
    }

    /// The field as it was typed.
    pub(super) fn exact(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str())
    }

    /// Without these fields.
    pub(super) fn without(&self, names: &[&str]) -> Self {
        Self(
            self.0
                .iter()
                .filter(|(name, text)| !names.contains(&name.as_str()) && !text.is_empty())
                .cloned()
                .collect(),
        )
    }

    /// With this field in place of what it was.
    pub(super) fn with(&self, name: &str, text: &(impl ToString + ?Sized)) -> Self {
        let mut form = self.without(&[name]);
        form.0.push((name.to_owned(), text.to_string()));
        form
    }

    pub(super) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// A path with this query.
    pub(super) fn url(&self, path: &str) -> String {
        if self.0.is_empty() {
            return path.to_owned();
        }
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish();
        format!("{path}?{query}")
    }
}

/// Part of a path.
pub(super) fn segment(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~@".contains(&byte);
    // A segment of dots alone would be taken for a way up.
    let dots = text.bytes().all(|byte| byte == b'.');
    text.bytes()
        .map(|byte| if plain(byte) && !dots { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// The address of a task's page.
pub(super) fn task_path(reference: &str) -> String {
    let (queue, id) = reference.split_once('/').unwrap_or(("default", reference));
    format!("/tasks/{}/{}", segment(queue), segment(id))
}

/// Whether it is a path on this server, and nothing that a browser takes for the name of another one.
pub(super) fn is_local(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && path.bytes().all(|byte| (0x21..0x7f).contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_server_are_led_to() {
        for good in ["/", "/nodes?state=lost", "/tasks/default/a%2Fb"] {
            assert!(is_local(good), "{good}");
        }
        for bad in [
            "",
            "nodes",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/\t/evil.example",
            "/a b",
            "javascript:alert(1)",
        ] {
            assert!(!is_local(bad), "{bad}");
        }
    }

    #[test]
    fn a_query_comes_back_as_it_was_given() {
        let form = Form::parse(b"q=a%26b&state=&label=zone%3Da&page=2");
        assert_eq!((form.get("q"), form.get("state"), form.get("none")), (Some("a&b"), None, None));
        assert_eq!(form.with("page", &3).url("/nodes"), "/nodes?q=a%26b&label=zone%3Da&page=3");
        assert_eq!(Form::default().url("/nodes"), "/nodes");
    }

    #[test]
    fn a_segment_stays_one_segment() {
        assert_eq!(segment("a/b?c#d"), "a%2Fb%3Fc%23d");
        assert_eq!((segment(".."), segment("a.b")), ("%2E%2E".to_owned(), "a.b".to_owned()));
        assert_eq!(task_path("q/x y"), "/tasks/q/x%20y");
    }
}
