//! How many there are, by address and together: sockets, and connections that are none.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;

/// Those who are here.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    held: Mutex<HashMap<IpAddr, usize>>,
    all: AtomicUsize,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// The address holds as many as it may.
    Address,
    /// The node does.
    Node,
}

/// A place in the crowd: given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Arc<Crowd>,
    address: Option<IpAddr>,
}

impl Crowd {
    /// Lets one more in, if its address holds fewer than `each` and all together fewer than `all`. One without an address
    /// counts among all only.
    pub(super) fn admit(self: &Arc<Self>, address: Option<IpAddr>, each: usize, all: usize) -> Result<Place, Full> {
        // From here on the place gives back what was taken.
        let mut place = Place { crowd: Arc::clone(self), address: None };
        if self.all.fetch_add(1, Ordering::Relaxed) >= all {
            return Err(Full::Node);
        }
        if let Some(address) = address {
            let mut addresses = self.held.lock();
            let held = addresses.entry(address).or_insert(0);
            if *held >= each {
                return Err(Full::Address);
            }
            *held += 1;
            place.address = Some(address);
        }
        Ok(place)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.all.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.all.fetch_sub(1, Ordering::Relaxed);
        let Some(address) = self.address else { return };
        let mut addresses = self.crowd.held.lock();
        if let Some(held) = addresses.get_mut(&address) {
            *held -= 1;
            if *held == 0 {
                addresses.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_back() {
        let crowd = Arc::new(Crowd::default());
        let [one, other] = ["203.0.113.9", "203.0.113.10"].map(|text| text.parse::<IpAddr>().ok());
        let first = crowd.admit(one, 1, 3).unwrap();
        assert_eq!(crowd.admit(one, 1, 3).unwrap_err(), Full::Address);
        let rest = [crowd.admit(other, 1, 3).unwrap(), crowd.admit(None, 1, 3).unwrap()];
        assert_eq!((crowd.admit(None, 1, 3).unwrap_err(), crowd.count()), (Full::Node, 3));
        drop((first, rest));
        assert_eq!((crowd.count(), crowd.held.lock().len()), (0, 0));
        assert!(crowd.admit(one, 1, 3).is_ok());
    }
}
