//! The metrics that every message or connection touches. Their handles are looked up once: by name it takes as long as to parse a frame.

use std::sync::LazyLock;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

/// Frames from clients.
pub static FRAMES_RECEIVED: LazyLock<Counter> = LazyLock::new(|| counter!("deskbell_frames_received_total"));
/// Their bytes.
pub static RECEIVED_BYTES: LazyLock<Counter> = LazyLock::new(|| counter!("deskbell_received_bytes_total"));
/// Frames to clients.
pub static FRAMES_SENT: LazyLock<Counter> = LazyLock::new(|| counter!("deskbell_frames_sent_total"));
/// Their bytes.
pub static SENT_BYTES: LazyLock<Counter> = LazyLock::new(|| counter!("deskbell_sent_bytes_total"));
/// Messages that the hub took from the bus.
pub static BUS_RECEIVES: LazyLock<Counter> = LazyLock::new(|| counter!("deskbell_bus_receives_total"));
/// From the arrival of a command that writes to its answer.
pub static ACCEPT_TO_ACK: LazyLock<Histogram> = LazyLock::new(|| histogram!("deskbell_accept_to_ack_seconds"));
/// From a command's decision to its entries in the outboxes of this node.
pub static ACCEPT_TO_DELIVERED: LazyLock<Histogram> =
    LazyLock::new(|| histogram!("deskbell_accept_to_delivered_seconds"));
/// TCP connections of the public listener.
pub static CONNECTIONS: LazyLock<Gauge> = LazyLock::new(|| gauge!("deskbell_connections"));
/// Sockets that said `connect` and wait their turn.
pub static GREETINGS_WAITING: LazyLock<Gauge> = LazyLock::new(|| gauge!("deskbell_greetings_waiting"));
/// Connections that wait before their TLS handshake for that line to be shorter.
pub static HANDSHAKES_HELD_BACK: LazyLock<Gauge> = LazyLock::new(|| gauge!("deskbell_handshakes_held_back"));
