//! What a client writes in one go comes in whatever pieces: each of its frames is answered at once, not with the next thing that comes.

use serde_json::json;

use crate::support::{Client, Server, Setup, Stream, certificate, tls_client};

const TEXT: u8 = 0x81;
const BEGINNING: u8 = 0x01;
const LAST: u8 = 0x80;
const PING: u8 = 0x89;

/// A masked frame of less than 64 KiB; the mask is zero, so the payload stands as it is.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = match u8::try_from(payload.len()) {
        Ok(length @ 0..126) => vec![first, 0x80 | length],
        _ => [&[first, 0x80 | 0x7e], &u16::try_from(payload.len()).unwrap().to_be_bytes()[..]].concat(),
    };
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

/// Something to be answered, made longer by so many bytes.
fn question(id: u32, longer: usize) -> Vec<u8> {
    json!({"type": "dance", "id": id, "with": "x".repeat(longer)}).to_string().into_bytes()
}

fn setup(more: impl FnOnce(&mut Setup)) -> Setup {
    let mut setup = Setup::new();
    setup.limit("writes_per_second", 100_000).limit("write_burst", 100_000).limit("control_frames_per_10s", 10_000);
    more(&mut setup);
    setup
}

/// Two frames in one write, less than a buffer takes; then two, a fragmented one, a ping and one more in one write, of many lengths:
/// so that a buffer ends anywhere in them.
async fn all_are_answered(mut client: Client) {
    assert!(client.write_raw(&[frame(TEXT, &question(900, 0)), frame(TEXT, &question(901, 0))].concat()).await);
    for asked in [900, 901] {
        assert_eq!(client.answer(asked).await["code"], "unknown_type", "{asked}");
    }
    for (id, longer) in (1_000..).step_by(10).zip((0..600).step_by(7)) {
        let long = question(id + 2, 300 + longer);
        let (begins, ends) = long.split_at(100 + longer / 2);
        let pieces = [
            frame(TEXT, &question(id, longer)),
            frame(TEXT, &question(id + 1, 20)),
            frame(BEGINNING, begins),
            frame(LAST, ends),
            frame(PING, b"there?"),
            frame(TEXT, &question(id + 3, 0)),
        ];
        assert!(client.write_raw(&pieces.concat()).await);
        for asked in id..id + 4 {
            assert_eq!(client.answer(asked).await["code"], "unknown_type", "{asked}, {longer} bytes longer");
        }
    }
    // What is wrong is found as soon.
    let unmasked = [&frame(TEXT, &question(9_000, 0))[..], &[BEGINNING, 1, b'x']].concat();
    assert!(client.write_raw(&unmasked).await);
    assert_eq!(client.closed().await, 1002);
}

#[tokio::test]
async fn without_tls() {
    let server = setup(|_| {}).start().await;
    all_are_answered(server.visitor().await).await;
}

#[tokio::test]
async fn with_tls() {
    let mut made = None;
    let ready = setup(|setup| {
        made = Some(certificate(setup.path()));
        let file = |name: &str| setup.path().join(name).display().to_string();
        let (cert, key) = (file("cert.pem"), file("key.pem"));
        setup.text("tls.cert_file", &cert).text("tls.key_file", &key);
    });
    let config = tls_client(&[&made.unwrap()], &[&rustls::version::TLS13]);
    let server: Server = ready.start_tls(config.clone()).await;
    let stream = Stream::dial(server.address, Some(&config)).await.unwrap();
    let mut visitor = Client::over(stream, server.address, None).await.unwrap();
    let session = server.session(&server.project).await;
    visitor.connect(session["token"].as_str().unwrap(), json!([])).await;
    all_are_answered(visitor).await;
}
