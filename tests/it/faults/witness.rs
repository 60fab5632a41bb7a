//! Those who write while things break, what they were promised, and whether the promise was kept.

use std::{cell::Cell, collections::BTreeMap, rc::Rc};

use serde_json::{Value, json};

use crate::support::{Client, Server, Setup, fresh};

/// One visitor and everything that it wrote.
pub(super) struct Writer {
    token: String,
    /// Brings the same visitor back.
    resume: String,
    pub(super) client: Client,
    pub(super) chat: String,
    /// What was sent, in the order sent: key and text.
    sent: Vec<(String, String)>,
    /// What was acknowledged: key and `ok`.
    acked: BTreeMap<String, Value>,
}

/// A server on which nobody is slowed down.
pub(super) async fn fast_server() -> Server {
    fast().start().await
}

/// Its configuration.
pub(super) fn fast() -> Setup {
    let mut setup = Setup::new();
    setup.limit("writes_per_second", 1_000_000).limit("write_burst", 1_000_000);
    setup
}

impl Writer {
    pub(super) async fn begin(server: &Server) -> Self {
        let session = server.session(&server.project).await;
        let text = |field: &str| session[field].as_str().unwrap().to_owned();
        let (token, resume) = (text("token"), text("resume"));
        let mut client = server.join(&token).await;
        let chat = client.rings("0").await;
        Self { token, resume, client, chat, sent: Vec::new(), acked: BTreeMap::new() }
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

    /// Writes the next message, or again the one that was refused, as an outbox does; what is answered, or the code that
    /// the socket was closed with.
    pub(super) async fn writes(&mut self) -> Result<Value, u16> {
        if self.sent.last().is_none_or(|(key, _)| self.acked.contains_key(key)) {
            self.sent.push((fresh(), (self.sent.len() + 1).to_string()));
        }
        let (key, text) = self.sent.last().cloned().unwrap();
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

    /// Comes to a server of another time, as a widget does: its token is refused, another is given for the same visitor, and
    /// where it was means nothing there.
    pub(super) async fn comes_to_another_time(&mut self, server: &Server) {
        let mut refused = server.socket().await;
        let asked = json!({"type": "connect", "token": self.token, "resume": []});
        assert_eq!(refused.answer_to(asked).await["code"], "unauthorized");
        assert_eq!(refused.closed().await, 4501);
        let asked = json!({"project": server.project.public_key, "resume": self.resume});
        let session = server.ask_session(&asked).await.with_status(201).json();
        self.token = session["token"].as_str().unwrap().to_owned();
        let last = self.acked.values().map(|answer| answer["seq"].as_u64().unwrap()).max().unwrap_or(1);
        self.client = server.socket().await;
        let position = json!([{"conversation": self.chat, "epoch": "k1", "seq": last}]);
        self.client.connect(&self.token, position).await;
        let found = &self.client.hello["conversations"][0];
        assert_eq!((&found["conversation"], &found["resumed"]), (&json!(self.chat), &json!(false)), "{found}");
        assert_ne!(found["epoch"], "k1");
    }

    /// Sends again all that it ever sent. The first `kept` were acknowledged before the backup: they are there, as they were.
    /// How many were not there.
    pub(super) async fn sends_all_again(&mut self, kept: usize) -> usize {
        let mut lost = 0;
        for (number, (key, text)) in self.sent.clone().into_iter().enumerate() {
            let before = self.acked.get(&key).cloned();
            let answer = self.sends(&key, &text).await.unwrap();
            let is_there = answer["duplicate"] == true;
            let same = |field: &str| before.as_ref().is_some_and(|before| before[field] == answer[field]);
            assert!(number >= kept || (is_there && same("seq") && same("entry")), "{number}: {before:?} and {answer}");
            lost += usize::from(!is_there);
        }
        lost
    }

    /// Every acknowledged message is there once, in order, as acknowledged; and none that nobody sent.
    pub(super) async fn finds_all(&mut self) {
        let thread = self.client.history(&self.chat, "thread").await;
        judge(&thread, &self.sent, &self.acked).unwrap_or_else(|broken| panic!("{broken}"));
    }

    pub(super) fn sent_all(&self) -> bool {
        self.sent.len() == self.acked.len()
    }
}

/// Whether a thread keeps what was promised to its one writer. Its first entry is the opening.
fn judge(thread: &[Value], sent: &[(String, String)], acked: &BTreeMap<String, Value>) -> Result<(), String> {
    if thread.iter().zip(1_u64..).any(|(entry, seq)| entry["seq"] != seq) {
        return Err("the sequence is not dense".to_owned());
    }
    let own: Vec<&Value> = thread.iter().skip(1).filter(|entry| entry["event"] == "message").collect();
    for (key, answer) in acked {
        let found: Vec<&&Value> = own.iter().filter(|entry| entry["key"] == **key).collect();
        let as_acked = |entry: &Value| (&entry["seq"], &entry["entry"]) == (&answer["seq"], &answer["entry"]);
        if found.len() != 1 || !as_acked(found[0]) {
            return Err(format!("acknowledged as {answer}, and kept as {found:?}"));
        }
    }
    let mut rest = sent.iter();
    for entry in own {
        // In the order sent: what is kept is found by only ever going on.
        if !rest.any(|(key, text)| entry["key"] == **key && entry["body"]["text"] == **text) {
            return Err(format!("not sent, not in this order, or not only once: {entry}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq: u64, text: &str) -> Value {
        json!({"seq": seq, "entry": format!("id-{text}"), "event": "message", "key": format!("k{text}"), "body": {"text": text}})
    }

    /// Three were sent, the first two acknowledged.
    fn verdict(thread: &[Value]) -> Result<(), String> {
        let sent: Vec<_> = ["1", "2", "3"].iter().map(|text| (format!("k{text}"), (*text).to_owned())).collect();
        let answer = |seq: u64, text: &str| (format!("k{text}"), json!({"seq": seq, "entry": format!("id-{text}")}));
        judge(thread, &sent, &BTreeMap::from([answer(2, "1"), answer(3, "2")]))
    }

    #[test]
    fn a_log_that_keeps_its_word_passes() {
        assert_eq!(verdict(&[entry(1, "0"), entry(2, "1"), entry(3, "2")]), Ok(()));
        assert_eq!(verdict(&[entry(1, "0"), entry(2, "1"), entry(3, "2"), entry(4, "3")]), Ok(()));
    }

    #[test]
    fn a_broken_log_is_found_out() {
        for (what, thread) in [
            ("lost", vec![entry(1, "0"), entry(2, "1")]),
            ("twice", vec![entry(1, "0"), entry(2, "1"), entry(3, "2"), entry(4, "2")]),
            ("swapped", vec![entry(1, "0"), entry(2, "2"), entry(3, "1")]),
            ("a hole", vec![entry(1, "0"), entry(2, "1"), entry(4, "2")]),
            ("invented", vec![entry(1, "0"), entry(2, "1"), entry(3, "2"), entry(4, "9")]),
            (
                "another id than acknowledged",
                vec![entry(1, "0"), entry(2, "1"), {
                    let mut other = entry(3, "2");
                    other["entry"] = "id-other".into();
                    other
                }],
            ),
            (
                "other words",
                vec![entry(1, "0"), entry(2, "1"), {
                    let mut other = entry(3, "2");
                    other["body"]["text"] = "two".into();
                    other
                }],
            ),
        ] {
            assert!(verdict(&thread).is_err(), "{what}");
        }
    }
}
