//! Every limit, in one table: name, value, unit, what it is for, and the metric that counts how often it held.

use ipnet::IpNet;

use super::reader::Reader;

/// What `deskbell limits` says of one limit.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// The field's name; `limits.<name>` in the configuration.
    pub name: &'static str,
    /// `ms`, `bytes`, `/s` or what is counted.
    pub unit: &'static str,
    /// The metric that counts how often it held.
    pub metric: &'static str,
    /// What it bounds, and the arithmetic of its default.
    pub what: &'static str,
    /// The value when nothing is configured.
    pub default: u64,
    /// The least value that can be configured.
    pub least: u64,
    /// The greatest value that can be configured.
    pub most: u64,
}

/// A limit's value in the type that its users count in.
trait Amount: Copy {
    fn of(value: u64) -> Self;
    fn get(self) -> u64;
}

impl Amount for u64 {
    fn of(value: u64) -> Self {
        value
    }
    fn get(self) -> u64 {
        self
    }
}

impl Amount for u32 {
    fn of(value: u64) -> Self {
        Self::try_from(value).unwrap_or(Self::MAX)
    }
    fn get(self) -> u64 {
        self.into()
    }
}

impl Amount for usize {
    fn of(value: u64) -> Self {
        Self::try_from(value).unwrap_or(Self::MAX)
    }
    fn get(self) -> u64 {
        u64::try_from(self).unwrap_or(u64::MAX)
    }
}

macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident: $kind:ty = $default:literal, $unit:literal, $least:literal..=$most:literal, $metric:literal;)*) => {
        /// The limits that this node holds everyone to.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Limits {
            $($(#[doc = $doc])+ pub $name: $kind,)*
            /// Networks whose addresses are not counted (load tests). Limits per session hold for them too.
            pub exempt: Vec<IpNet>,
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)* exempt: Vec::new() }
            }
        }

        impl Limits {
            /// All limits, in the order of a connection's life.
            pub const TABLE: &'static [Limit] = &[$(Limit {
                name: stringify!($name),
                unit: $unit,
                metric: $metric,
                what: concat!($($doc),+),
                default: $default,
                least: $least,
                most: $most,
            }),*];

            /// The values, in the order of [`Limits::TABLE`].
            pub fn values(&self) -> Vec<u64> {
                vec![$(Amount::get(self.$name)),*]
            }

            /// Reads `limits.*`.
            pub(super) fn read(reader: &mut Reader) -> Self {
                Self {
                    $($name: Amount::of(reader.number(concat!("limits.", stringify!($name)), $default, $least..=$most)),)*
                    exempt: reader.networks("limits.exempt"),
                }
            }
        }
    };
}

limits! {
    /// How long a TLS handshake may take: two round trips over a bad mobile link, ten times over. Waiting its turn does not count.
    handshake_timeout_ms: u64 = 5_000, "ms", 100..=120_000, "deskbell_refusals_total{limit=\"handshake_timeout_ms\"}";
    /// How many TLS handshakes run at once; more wait their turn, for up to 15 s. One costs about 1 ms of a core. While a crowd waits for
    /// `greetings_at_once`, twice as many as that, each holds its turn for up to 2 s before it begins.
    handshakes_at_once: usize = 256, "handshakes", 1..=65_536, "deskbell_refusals_total{limit=\"handshakes_at_once\"}";
    /// How many handshakes of one address (IPv6: one /64) run at once; more wait their turn. A twelfth of all: no few addresses
    /// hold up the rest.
    handshakes_per_address: usize = 20, "handshakes", 1..=65_536, "deskbell_refusals_total{limit=\"handshakes_per_address\"}";
    /// How many connections one address (IPv6: one /64) may hold that are no sockets. A browser opens six; an office behind
    /// one address comes with a few dozen at a time.
    connections_per_address: usize = 100, "connections", 1..=1_000_000, "deskbell_refusals_total{limit=\"connections_per_address\"}";
    /// How many such connections this node holds: 20,000 take about 800 MiB with TLS, and 10,000 come back within seconds after a cut.
    connections_per_node: usize = 20_000, "connections", 1..=10_000_000, "deskbell_refusals_total{limit=\"connections_per_node\"}";
    /// How long a request's head may take to arrive.
    header_timeout_ms: u64 = 10_000, "ms", 100..=120_000, "deskbell_refusals_total{limit=\"header_timeout_ms\"}";
    /// The largest request head. Browsers send 1 to 2 KiB, and 4 KiB of cookies at most to one host.
    header_bytes: usize = 16_384, "bytes", 8_192..=1_048_576, "deskbell_refusals_total{limit=\"header_bytes\"}";
    /// The most header fields in a request. Browsers send about 20, proxies add 10.
    header_fields: usize = 64, "fields", 16..=1_024, "deskbell_refusals_total{limit=\"header_fields\"}";
    /// How long a socket may stay without a `connect` frame.
    connect_timeout_ms: u64 = 10_000, "ms", 100..=120_000, "deskbell_refusals_total{limit=\"connect_timeout_ms\"}";
    /// How many visitors who said `connect` are let in at once, and how many agents; more wait their turn, for up to 15 s. Each asks the
    /// database a few things one after the other: eight for each connection that reads (`database.pool`) keep those busy without a
    /// wait of seconds there.
    greetings_at_once: usize = 32, "greetings", 1..=65_536, "deskbell_refusals_total{limit=\"greetings_at_once\"}";
    /// The largest `connect` frame: a token of 1 KiB and the positions of fifty conversations.
    connect_bytes: usize = 8_192, "bytes", 1_024..=1_048_576, "deskbell_refusals_total{limit=\"connect_bytes\"}";
    /// The largest inbound frame and message: eight messages of 8,000 characters in a one-byte script.
    frame_bytes: usize = 65_536, "bytes", 8_192..=1_048_576, "deskbell_refusals_total{limit=\"frame_bytes\"}";
    /// How many fragments a message may come in. Browsers send one.
    fragments: usize = 16, "fragments", 1..=1_024, "deskbell_refusals_total{limit=\"fragments\"}";
    /// How many protocol-level pings and pongs a socket may send in 10 s. Proxies send one in 15 s.
    control_frames_per_10s: u32 = 10, "frames", 1..=10_000, "deskbell_refusals_total{limit=\"control_frames_per_10s\"}";
    /// After how long a silence towards a client the server pings it: half of the 60 s after which proxies cut.
    ping_after_ms: u64 = 25_000, "ms", 100..=600_000, "deskbell_pings_total";
    /// How long the client has to answer a ping.
    pong_within_ms: u64 = 10_000, "ms", 100..=600_000, "deskbell_refusals_total{limit=\"pong_within_ms\"}";
    /// How long one write to a socket may take.
    write_timeout_ms: u64 = 5_000, "ms", 100..=120_000, "deskbell_refusals_total{limit=\"write_timeout_ms\"}";
    /// How many sockets one address (IPv6: one /64) may hold. An office behind one address has about fifty.
    sockets_per_address: usize = 50, "sockets", 1..=1_000_000, "deskbell_refusals_total{limit=\"sockets_per_address\"}";
    /// How many sockets one visitor may hold: a tab is one at most.
    sockets_per_visitor: usize = 20, "sockets", 1..=1_000_000, "deskbell_refusals_total{limit=\"sockets_per_visitor\"}";
    /// How many sockets one agent may hold.
    sockets_per_agent: usize = 50, "sockets", 1..=1_000_000, "deskbell_refusals_total{limit=\"sockets_per_agent\"}";
    /// How many sockets the visitors and agents of one project may hold on this node.
    sockets_per_project: usize = 100_000, "sockets", 1..=10_000_000, "deskbell_refusals_total{limit=\"sockets_per_project\"}";
    /// How many sockets this node holds: 200,000 idle ones take about 4 GiB with TLS.
    sockets_per_node: usize = 200_000, "sockets", 1..=10_000_000, "deskbell_refusals_total{limit=\"sockets_per_node\"}";
    /// How many new sockets and sessions an address may ask for in a second, over time.
    handshakes_per_second: u32 = 5, "/s", 1..=1_000_000, "deskbell_refusals_total{limit=\"handshakes_per_second\"}";
    /// How many it may ask for at once after a pause: a browser restored with twenty tabs.
    handshake_burst: u32 = 20, "handshakes", 1..=1_000_000, "deskbell_refusals_total{limit=\"handshake_burst\"}";
    /// How many sign-ins an account, and an address, may try in 15 minutes.
    logins_per_15_minutes: u32 = 10, "sign-ins", 1..=1_000_000, "deskbell_refusals_total{limit=\"logins_per_15_minutes\"}";
    /// How many frames may wait for a slow reader before it is closed with 4002.
    outbox_frames: usize = 256, "frames", 8..=65_536, "deskbell_refusals_total{limit=\"outbox_frames\"}";
    /// How many bytes may wait for a visitor: 200 messages of 1 KiB.
    outbox_visitor_bytes: usize = 262_144, "bytes", 65_536..=67_108_864, "deskbell_refusals_total{limit=\"outbox_visitor_bytes\"}";
    /// How many bytes may wait for an agent, who follows several conversations.
    outbox_agent_bytes: usize = 1_048_576, "bytes", 65_536..=67_108_864, "deskbell_refusals_total{limit=\"outbox_agent_bytes\"}";
    /// How many writes a session may do in a second, over time. A person types one in three seconds.
    writes_per_second: u32 = 10, "/s", 1..=1_000_000, "deskbell_refusals_total{limit=\"writes_per_second\"}";
    /// How many writes it may do at once after a pause: what an outbox kept while offline.
    write_burst: u32 = 20, "writes", 1..=1_000_000, "deskbell_refusals_total{limit=\"write_burst\"}";
    /// After how many refusals in a row a session is closed with 4006.
    refusals_in_a_row: u32 = 10, "refusals", 1..=1_000_000, "deskbell_refusals_total{limit=\"refusals_in_a_row\"}";
    /// Memory from which on new visitors are refused, and places in line from four fifths of it. 0: four fifths of what the
    /// machine or the container has.
    shed_memory_bytes: u64 = 0, "bytes", 0..=1_099_511_627_776, "deskbell_refusals_total{limit=\"shed_memory_bytes\"}";
    /// Sockets and connections from which on new visitors are refused, and places in line from four fifths of them. 0: nine
    /// tenths of the open files that the system allows.
    shed_open_files: u64 = 0, "files", 0..=10_000_000, "deskbell_refusals_total{limit=\"shed_open_files\"}";
    /// How long writing to the log may take before new visitors are refused, and places in line from four fifths of it. A
    /// commit takes some milliseconds.
    shed_commit_ms: u64 = 2_000, "ms", 10..=60_000, "deskbell_refusals_total{limit=\"shed_commit_ms\"}";
    /// How long an agent may be gone before the conversations that wait for its answer go to others: a reload, a tunnel.
    hand_back_after_ms: u64 = 60_000, "ms", 100..=86_400_000, "deskbell_handed_back_total";
    /// Over how long a stopping node spreads its goodbyes, and clients their return.
    reconnect_window_ms: u64 = 5_000, "ms", 0..=600_000, "deskbell_closes_total{reason=\"draining\"}";
    /// How long a stopping node waits for its sessions before it cuts them.
    drain_ms: u64 = 10_000, "ms", 0..=600_000, "deskbell_sessions_cut_total";
}
