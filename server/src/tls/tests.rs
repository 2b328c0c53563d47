//! Settings that work, and the errors of those that do not.

use super::*;

const CERTIFICATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates");
const JKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/golden/store.jks");

/// Configures TLS from lines of a configuration file, with a good key store unless they name one.
fn configured(lines: &str) -> Result<ServerConfig, TlsError> {
    let mut pairs = vec![("ssl.keyStore.location".into(), format!("{CERTIFICATES}/server.pem"))];
    for line in lines.replace("CERTIFICATES", CERTIFICATES).replace("JKS_FILE", JKS).lines() {
        let (key, value) = line.trim().split_once('=').unwrap();
        pairs.push((key.to_owned(), value.to_owned()));
    }
    for_clients(Settings::of_clients(&pairs))
}

fn error(lines: &str) -> String {
    configured(lines).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn key_and_trust_stores_may_be_pem_or_jks() {
    let password_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(password_file.path(), "päßword\n").unwrap();
    let by_path = format!(
        "ssl.keyStore.location=JKS_FILE\nssl.keyStore.passwordPath={}\n\
         ssl.keyStore.password=overruled",
        password_file.path().display()
    );
    for lines in [
        "ssl.trustStore.location=CERTIFICATES/ca.pem",
        "ssl.trustStore.location=CERTIFICATES/ca.pem\nssl.trustStore.type=PEM",
        "ssl.keyStore.location=JKS_FILE\nssl.keyStore.password=päßword",
        "ssl.trustStore.location=JKS_FILE\nssl.trustStore.password=päßword",
        &by_path,
    ] {
        configured(lines).map(|_| ()).unwrap_or_else(|error| panic!("{lines}: {error}"));
    }
}

#[test]
fn errors_name_the_key_and_the_file_and_what_to_do() {
    let stored = for_clients(Settings::of_clients(&[])).map(|_| ()).unwrap_err().to_string();
    assert!(stored.starts_with("ssl.keyStore.location is missing: expected a PEM or JKS"));
    for (lines, parts) in [
        ("ssl.keyStore.location=/nosuch.pem", &["ssl.keyStore.location=/nosuch.pem", "read"][..]),
        ("ssl.keyStore.location=CERTIFICATES/ca.pem", &["ca.pem: has no private key"]),
        ("ssl.keyStore.location=JKS_FILE\nssl.keyStore.password=x", &["the password is wrong"]),
        ("ssl.trustStore.location=JKS_FILE\nssl.trustStore.password=x", &["password is wrong"]),
        ("ssl.keyStore.type=DOC", &["ssl.keyStore.type=DOC: expected PEM or JKS"]),
        ("ssl.clientAuth=maybe", &["ssl.clientAuth=maybe: expected none, want or need"]),
        ("ssl.clientAuth=need", &["ssl.trustStore.location is missing"]),
        ("ssl.enabledProtocols=SSLv3,TLSv1", &["ssl.enabledProtocols=SSLv3,TLSv1: expected TLSv1"]),
        ("ssl.ciphersuites=TLS_RSA_WITH_NULL_MD5", &["ssl.ciphersuites=TLS_RSA_WITH_NULL_MD5"]),
        (
            "ssl.protocol=TLSv1.3\nssl.ciphersuites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            &["a suite of each protocol"],
        ),
        ("ssl.crl=true", &["ssl.crl=true: expected false, and ssl.crlFile", "none are fetched"]),
        ("ssl.ocsp=true\nssl.crlFile=CERTIFICATES/ca.pem", &["ssl.ocsp=true: expected false"]),
        (
            "ssl.trustStore.location=CERTIFICATES/ca.pem\nssl.crlFile=CERTIFICATES/ca.pem",
            &["ssl.crlFile=", "ca.pem: has no revocation list"],
        ),
        ("ssl.keyStore.passwordPath=/nosuch", &["ssl.keyStore.passwordPath=/nosuch: cannot be"]),
    ] {
        let error = error(lines);
        assert!(parts.iter().all(|part| error.contains(part)), "{lines}: {error}");
    }
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let read = |name: &str| std::fs::read_to_string(format!("{CERTIFICATES}/{name}")).unwrap();
    let mixed = tempfile::NamedTempFile::new().unwrap();
    let (server, client) = (read("server.pem"), read("client.pem"));
    let key = server.split("-----BEGIN CERTIFICATE").next().unwrap();
    let certificate = &client[client.find("-----BEGIN CERTIFICATE").unwrap()..];
    std::fs::write(mixed.path(), format!("{key}{certificate}")).unwrap();
    let error = error(&format!("ssl.keyStore.location={}", mixed.path().display()));
    assert!(error.contains("does not belong to its first certificate"), "{error}");
}

#[test]
fn clients_must_show_a_certificate_if_there_is_a_trust_store() {
    let pairs = [("ssl.clientAuth".to_owned(), " Want ".to_owned())];
    let (set, unset) = (Settings::of_clients(&pairs), Settings::of_clients(&[]));
    assert_eq!(set.client_auth(ClientAuth::Need).unwrap(), ClientAuth::Want);
    assert_eq!(unset.client_auth(ClientAuth::Need).unwrap(), ClientAuth::Need);
    assert_eq!(unset.client_auth(ClientAuth::None).unwrap(), ClientAuth::None);
    // Links have keys of their own.
    assert_eq!(Settings::of_links(&pairs).client_auth(ClientAuth::Need).unwrap(), ClientAuth::Need);
}

#[test]
fn protocols_and_suites_are_what_the_keys_say() {
    let versions = |value: &str| {
        let pairs = [("ssl.enabledProtocols".to_owned(), value.to_owned())];
        versions(Settings::of_clients(&pairs))
            .unwrap()
            .iter()
            .map(|v| v.version)
            .collect::<Vec<_>>()
    };
    use rustls::ProtocolVersion::{TLSv1_2, TLSv1_3};
    assert_eq!(versions(""), [TLSv1_3, TLSv1_2]);
    assert_eq!(versions("TLSv1.1, TLSv1.2"), [TLSv1_2]);
    assert_eq!(versions("TLSv1.3"), [TLSv1_3]);
    let names = "TLS_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,TLS_RSA_WITH_RC4";
    let pairs = [("ssl.ciphersuites".to_owned(), names.to_owned())];
    assert_eq!(cipher_suites(Settings::of_clients(&pairs)).unwrap().len(), 2);
}

#[test]
fn links_need_a_certificate_at_both_ends() {
    let of = |lines: &str| {
        let lines = lines.replace("CERTIFICATES", CERTIFICATES);
        let pairs: Vec<(String, String)> = lines
            .lines()
            .map(|line| line.split_once('=').unwrap())
            .map(|(key, value)| (format!("ssl.quorum.{key}"), value.to_owned()))
            .collect();
        LinkTls::configure(Settings::of_links(&pairs)).map(|tls| tls.checks_dialler)
    };
    let keys = "keyStore.location=CERTIFICATES/server.pem\n";
    let both = format!("{keys}trustStore.location=CERTIFICATES/ca.pem\n");
    assert!(of(&both).unwrap());
    assert!(!of(&format!("{both}hostnameVerification=false\n")).unwrap());
    assert!(!of(&format!("{both}clientHostnameVerification=false\n")).unwrap());
    for (lines, parts) in [
        (keys, &["ssl.quorum.trustStore.location is missing"][..]),
        ("trustStore.location=CERTIFICATES/ca.pem", &["ssl.quorum.keyStore.location is missing"]),
        (&format!("{both}clientAuth=want"), &["ssl.quorum.clientAuth=want: expected need"]),
        (&format!("{both}clientAuth=none"), &["ssl.quorum.clientAuth=none: expected need"]),
        (&format!("{both}hostnameVerification=maybe"), &["hostnameVerification=maybe: expected"]),
        (&format!("{both}protocol=TLSv1"), &["ssl.quorum.protocol=TLSv1: expected TLSv1.3"]),
    ] {
        let error = of(lines).map(|_| ()).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{lines}: {error}");
    }
}
