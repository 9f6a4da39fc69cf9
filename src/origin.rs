//! Origins of web pages, in the one form in which browsers send them.

/// Whether a text is an origin as a browser would write it: a scheme, a host in lower case, and a
/// port where it is not the scheme's own. Anything else would never match, and so would look like
/// a permission without being one; `*` and `null` would be one for everybody.
pub fn is_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else { return false };
    let (host, port) = match authority.rsplit_once(':') {
        // The colons of an IPv6 address stand within brackets.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    is_scheme(scheme) && is_host(host) && port.is_none_or(|port| is_port(scheme, port))
}

fn is_scheme(text: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b);
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(is_inner)
}

fn is_host(text: &str) -> bool {
    if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
    !text.is_empty() && text.bytes().all(is_inner)
}

fn is_port(scheme: &str, text: &str) -> bool {
    let is_plain = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    let is_own = matches!((scheme, text), ("https", "443") | ("http", "80"));
    is_plain && !is_own && text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R-DE-12.
    #[test]
    fn only_what_browsers_send_is_an_origin() {
        for good in [
            "https://chat.example",
            "https://chat.example:8443",
            "http://localhost:4001",
            "http://127.0.0.1:4001",
            "http://[::1]:4001",
            "https://xn--bcher-kva.example",
            "capacitor://localhost",
        ] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "*",
            "null",
            "",
            "chat.example",
            "https://",
            "https://*.example",
            "https://chat.example/",
            "https://chat.example/app",
            "https://chat.example?x",
            "https://Chat.example",
            "https://me@chat.example",
            "https://chat.example:443",
            "http://chat.example:80",
            "https://chat.example:",
            "https://chat.example:0443",
            "https://chat.example:99999",
            "https://[chat.example]",
            "https://chat .example",
            "https://bücher.example",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
