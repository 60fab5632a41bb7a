//! What a start refuses, says and survives.

use std::{fs::File, os::unix::fs::PermissionsExt, process::Stdio};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use sqlx::Connection as _;
use tokio::process::Command;

use crate::support::{
    Redis, Request, Setup, certificate, certificate_for, open_database, own_address, postgres, sqlite, until, within,
};

/// A configuration with a certificate and its key.
fn with_certificate() -> Setup {
    let mut setup = Setup::new();
    certificate(setup.path());
    let file = |name: &str| setup.path().join(name).display().to_string();
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    setup.text("tls.cert_file", &cert).text("tls.key_file", &key);
    setup
}

#[tokio::test]
async fn a_bad_certificate_is_a_mistake_among_the_others() {
    for (what, named) in [
        ("no PEM", "tls.cert_file"),
        ("no key", "tls.key_file"),
        ("another key", "tls.key_file"),
        ("half a certificate", "tls.cert_file"),
    ] {
        let mut setup = with_certificate();
        let (cert, key) = (setup.path().join("cert.pem"), setup.path().join("key.pem"));
        match what {
            "no PEM" => std::fs::write(&cert, "hello").unwrap(),
            "no key" => std::fs::copy(&cert, &key).map(drop).unwrap(),
            "half a certificate" => {
                let text = "-----BEGIN CERTIFICATE-----\nMIIBIjANBgkq\n-----END CERTIFICATE-----\n";
                std::fs::write(&cert, text).unwrap();
            }
            _ => {
                let elsewhere = tempfile::tempdir().unwrap();
                certificate(elsewhere.path());
                std::fs::copy(elsewhere.path().join("key.pem"), &key).map(drop).unwrap();
            }
        }
        setup.text("log.format", "poem");
        for command in [["check-config"], ["serve"]] {
            let refused = setup.cli(command).await;
            assert_eq!(refused.code(), Some(64), "{what}: {}", refused.errors());
            for part in [named, "log.format"] {
                assert!(refused.errors().contains(part), "{what}: {part} is not in {}", refused.errors());
            }
        }
    }
}

#[tokio::test]
async fn a_good_certificate_is_accepted_and_doubts_are_told() {
    let setup = with_certificate();
    let key = setup.path().join("key.pem");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    let fine = setup.cli(["check-config"]).await;
    assert!(fine.text().contains("cert.pem") && fine.errors().is_empty(), "{}", fine.errors());

    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    let open = setup.cli(["check-config"]).await;
    open.text();
    assert!(open.errors().contains("can be read by everybody"), "{}", open.errors());

    let mut parameters = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    (parameters.not_before, parameters.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 2, 3));
    let pair = KeyPair::generate().unwrap();
    std::fs::write(setup.path().join("cert.pem"), parameters.self_signed(&pair).unwrap().pem()).unwrap();
    std::fs::write(&key, pair.serialize_pem()).unwrap();
    let old = setup.cli(["check-config"]).await;
    old.text();
    assert!(old.errors().contains("expired on 2021-02-03"), "{}", old.errors());
}

#[tokio::test]
async fn redis_is_reached_by_tls_and_only_where_its_certificate_is_trusted() {
    let (files, elsewhere, address) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), own_address());
    certificate_for(files.path(), address);
    certificate_for(elsewhere.path(), address);
    let file = |folder: &tempfile::TempDir, name: &str| folder.path().join(name).display().to_string();
    let (cert, key, bind) = (file(&files, "cert.pem"), file(&files, "key.pem"), address.to_string());
    let mut settings = vec!["--bind", &bind, "--tls-port", "6379", "--tls-auth-clients", "no"];
    settings.extend(["--tls-cert-file", &cert, "--tls-key-file", &key, "--tls-ca-cert-file", &cert]);
    settings.extend(["--user", "deskbell", "on", ">secret", "resetkeys", "resetchannels"]);
    settings.extend(["&deskbell:*", "+publish", "+subscribe", "+unsubscribe"]);
    let _redis = Redis::start_with(&settings).await;
    let setup = |trusted: &str| {
        let mut setup = Setup::new();
        setup.text("database.url", &postgres::database()).variable("SSL_CERT_FILE", trusted);
        setup.text("redis.url", &format!("rediss://deskbell:secret@{address}:6379"));
        setup
    };

    let server = setup(&cert).start().await;
    let ready = Request::get("/readyz").send(server.admin).await.with_status(200).json();
    assert_eq!(ready["bus_subscribed"], true, "{ready}");
    let refused = within("a refusal", setup(&file(&elsewhere, "cert.pem")).cli(["serve"])).await;
    assert_eq!(refused.code(), Some(1), "{}", refused.errors());
    assert!(refused.errors().contains("redis.url") && refused.errors().contains("ertificate"), "{}", refused.errors());
    assert!(!refused.errors().contains("secret"), "{}", refused.errors());
}

#[tokio::test]
async fn goodbyes_are_said_before_sessions_are_cut() {
    let mut setup = Setup::new();
    setup.limit("reconnect_window_ms", 20_000).limit("drain_ms", 10_000);
    let refused = setup.cli(["check-config"]).await;
    assert_eq!(refused.code(), Some(64));
    for part in ["limits.reconnect_window_ms", "limits.drain_ms"] {
        assert!(refused.errors().contains(part), "{part} is not in {}", refused.errors());
    }
    setup.limit("drain_ms", 20_000);
    setup.cli(["check-config"]).await.text();
}

#[tokio::test]
async fn the_demo_is_for_this_machine_whatever_sets_its_address() {
    for setting in ["listen=0.0.0.0:0", "public_url=https://chat.example.org"] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_deskbell"));
        command.args(["demo", "--listen", "127.0.0.1:0", "--set", setting, "--set", "proxies.trusted=10.0.0.0/8"]);
        command
            .args(["--set", "public_url=https://chat.example.org", "--set", setting, "--data-dir"])
            .arg(folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let output = within(format!("the demo with {setting}"), command.output()).await.unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{setting}: {told}");
        assert!(told.contains("passwords"), "{told}");
        assert!(!folder.path().join("deskbell.db").exists(), "nothing is made");
    }
}

/// Tools that renew certificates send it whenever they like.
#[tokio::test]
async fn a_hangup_during_the_start_kills_nobody() {
    let mut setup = with_certificate();
    // Its lock is easily held.
    setup.text("database.url", "sqlite");
    setup.cli(["migrate"]).await.text();
    // The start waits for this.
    let mut database = open_database(&sqlite(&setup.path().join("data"))).await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut database).await.unwrap();
    let log = setup.path().join("server.log");
    let mut command = Command::new(env!("CARGO_BIN_EXE_deskbell"));
    command.arg("serve").arg("--config").arg(setup.write()).stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(File::create(&log).unwrap()).kill_on_drop(true);
    let mut server = command.spawn().unwrap();
    let pid = server.id().unwrap().to_string();
    until("the start is under way", || async {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
        let mut open = open.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
        open.any(|file| file.ends_with("deskbell.lock")).then_some(())
    })
    .await;
    assert!(Command::new("kill").args(["-s", "HUP", &pid]).status().await.unwrap().success());
    sqlx::raw_sql("ROLLBACK").execute(&mut database).await.unwrap();
    database.close().await.unwrap();
    until("the server is up", || async {
        std::fs::read_to_string(&log).unwrap().contains("listening on").then_some(())
    })
    .await;
    assert_eq!(server.try_wait().unwrap(), None);
}
