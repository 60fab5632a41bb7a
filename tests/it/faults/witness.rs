//! Those who write while things break, what they were promised, and whether the promise was kept.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use serde_json::{Value, json};

use crate::support::{Client, Server, Setup, fresh};

/// One visitor and everything that it wrote.
pub(super) struct Writer {
    token: String,
    pub(super) client: Client,
    pub(super) chat: String,
    /// What was sent, in the order sent: key and text.
    sent: Vec<(String, String)>,
    /// What was acknowledged: key and `ok`.
    acked: BTreeMap<String, Value>,
}

/// A server on which nobody is slowed down.
pub(super) async fn fast_server() -> Server {
    let mut setup = Setup::new();
    setup.limit("writes_per_second", 1_000_000).limit("write_burst", 1_000_000);
    setup.start().await
}

impl Writer {
    pub(super) async fn begin(server: &Server) -> Self {
        let token = server.session(&server.project).await["token"].as_str().unwrap().to_owned();
        let mut client = server.join(&token).await;
        let chat = client.rings("0").await;
        Self { token, client, chat, sent: Vec::new(), acked: BTreeMap::new() }
    }

    pub(super) async fn crowd(server: &Server, count: usize) -> Vec<Self> {
        let mut writers = Vec::with_capacity(count);
        for _ in 0..count {
            writers.push(Self::begin(server).await);
        }
        writers
    }

    /// Writes one message after the other until the socket is closed; each acknowledgement counts. Returns the code.
    pub(super) async fn writes_until_closed(&mut self, acked: &Rc<Cell<usize>>) -> u16 {
        loop {
            match self.writes().await {
                Ok(answer) => {
                    assert_eq!(answer["type"], "ok", "{answer}");
                    acked.set(acked.get() + 1);
                }
                Err(code) => return code,
            }
        }
    }

    /// Writes the next message; what is answered, or the code that the socket was closed with.
    pub(super) async fn writes(&mut self) -> Result<Value, u16> {
        let (key, text) = (fresh(), (self.sent.len() + 1).to_string());
        self.sent.push((key.clone(), text.clone()));
        self.sends(&key, &text).await
    }

    async fn sends(&mut self, key: &str, text: &str) -> Result<Value, u16> {
        let send = json!({"type": "send", "conversation": self.chat, "key": key, "body": {"text": text}});
        let answer = self.client.try_ask(send).await?;
        if answer["type"] == "ok" {
            self.acked.insert(key.to_owned(), answer.clone());
        }
        Ok(answer)
    }

    pub(super) fn count_acked(&self) -> usize {
        self.acked.len()
    }

    /// Comes back and sends what was not acknowledged again, as an outbox does.
    pub(super) async fn comes_back(&mut self, server: &Server) {
        self.client = server.join(&self.token).await;
        for (key, text) in self.sent.clone() {
            if !self.acked.contains_key(&key) {
                assert_eq!(self.sends(&key, &text).await.unwrap()["type"], "ok");
            }
        }
    }

    /// Every acknowledged message is there once, in order, as acknowledged; and none that nobody sent.
    pub(super) async fn finds_all(&mut self) {
        let thread = self.client.history(&self.chat, "thread").await;
        let seqs: Vec<u64> = thread.iter().map(|entry| entry["seq"].as_u64().unwrap()).collect();
        assert_eq!(seqs, (1..=thread.len() as u64).collect::<Vec<_>>(), "dense, from 1");
        let own: Vec<&Value> = thread.iter().filter(|entry| entry["event"] == "message" && entry["seq"] != 1).collect();
        for (key, answer) in &self.acked {
            let found: Vec<&&Value> = own.iter().filter(|entry| entry["key"] == **key).collect();
            assert_eq!(found.len(), 1, "{answer} is there {} times", found.len());
            assert_eq!((&found[0]["seq"], &found[0]["entry"]), (&answer["seq"], &answer["entry"]));
        }
        let sent: BTreeMap<&str, &str> = self.sent.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
        for entry in &own {
            let text = sent.get(entry["key"].as_str().unwrap()).unwrap_or_else(|| panic!("nobody sent {entry}"));
            assert_eq!(entry["body"]["text"], *text);
        }
        let order: Vec<u64> =
            own.iter().map(|entry| entry["body"]["text"].as_str().unwrap().parse().unwrap()).collect();
        assert!(order.is_sorted(), "in the order sent: {order:?}");
        let different: BTreeSet<u64> = order.iter().copied().collect();
        assert_eq!(different.len(), order.len(), "none twice");
    }

    pub(super) fn sent_all(&self) -> bool {
        self.sent.len() == self.acked.len()
    }
}
