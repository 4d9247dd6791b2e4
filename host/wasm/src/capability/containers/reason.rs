//! Why a connection did not come about, or broke: every cause, in words that name the file or setting to look at.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError, Error as Tls};

/// An error with what is behind it.
pub(super) fn reason(error: &(dyn Error + 'static)) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut at = Some(error);
    while let Some(error) = at {
        let text = tls_behind(error).map_or_else(|| error.to_string(), tls);
        if !words.iter().any(|known| known.contains(&text)) {
            words.push(text);
        }
        at = error.source();
    }
    words.join(": ")
}

/// An error of the system that carries another one does not name it as its source.
fn tls_behind<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Tls> {
    let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.downcast_ref::<Tls>().or_else(|| within.and_then(|within| within.downcast_ref::<Tls>()))
}

fn tls(error: &Tls) -> String {
    let told = match error {
        Tls::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "its certificate is not from the authority in `ca`"
        }
        Tls::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => {
            "its certificate is for another name than the endpoint has"
        }
        Tls::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => "its certificate has expired",
        Tls::InvalidMessage(_) => "it does not speak TLS there; without `ca`, `client_certificate` and `client_key` it is asked without",
        // Engines use one word or the other for a certificate that is missing, strange or too old.
        Tls::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::AccessDenied,
        ) => "it wants a certificate that it trusts: see `client_certificate` and `client_key`",
        _ => return format!("TLS: {error}"),
    };
    format!("{told} ({error})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_tls_names_what_to_look_at() {
        let check = |error: Tls, expected: &str| {
            let told = reason(&io::Error::new(io::ErrorKind::InvalidData, error));
            assert!(told.contains(expected), "{told}");
        };
        check(Tls::InvalidCertificate(CertificateError::UnknownIssuer), "not from the authority in `ca`");
        check(Tls::AlertReceived(AlertDescription::UnknownCA), "`client_certificate`");
        check(Tls::InvalidMessage(rustls::InvalidMessage::InvalidContentType), "does not speak TLS");
        assert_eq!(reason(&io::Error::other("plain")), "plain");
    }
}
