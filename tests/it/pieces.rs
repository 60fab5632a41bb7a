//! What a client writes in one go comes in whatever pieces: each of its frames is answered at once, not with the next thing that comes.

use serde_json::json;

use crate::{
    support::{
        Client, Setup,
        raw::{LAST, PING, TEXT, TEXT_TO_BE_CONTINUED, frame},
    },
    tls,
};

/// Something to be answered, made longer by so many bytes.
fn question(id: u32, longer: usize) -> Vec<u8> {
    json!({"type": "dance", "id": id, "with": "x".repeat(longer)}).to_string().into_bytes()
}

/// Nothing of this is too much.
fn allow_all(setup: &mut Setup) {
    setup.limit("writes_per_second", 100_000).limit("write_burst", 100_000).limit("control_frames_per_10s", 10_000);
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
            frame(TEXT_TO_BE_CONTINUED, begins),
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
    let unmasked = [&frame(TEXT, &question(9_000, 0))[..], &[TEXT_TO_BE_CONTINUED, 1, b'x']].concat();
    assert!(client.write_raw(&unmasked).await);
    assert_eq!(client.closed().await, 1002);
}

#[tokio::test]
async fn without_tls() {
    let mut setup = Setup::new();
    allow_all(&mut setup);
    let server = setup.start().await;
    all_are_answered(server.visitor().await).await;
}

#[tokio::test]
async fn with_tls() {
    let (server, _) = tls::start(allow_all).await;
    all_are_answered(server.visitor().await).await;
}
