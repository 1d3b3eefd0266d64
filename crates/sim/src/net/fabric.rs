//! Datagrams on their way.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use crate::dice::Dice;
use crate::net::channel::Frame;
use crate::scene::Scene;

/// A machine's address.
pub type Host = u32;

/// How datagrams fare.
#[derive(Clone, Copy, Debug)]
pub struct NetProfile {
    /// Shortest and longest usual delay.
    pub delay_ns: (u64, u64),
    /// In a million.
    pub lost_ppm: u32,
    pub doubled_ppm: u32,
    /// Take up to fifty times as long as others, so that later ones overtake them.
    pub late_ppm: u32,
}

impl NetProfile {
    /// Nothing happens to a datagram but time.
    pub const PERFECT: Self = Self { delay_ns: (20_000, 60_000), lost_ppm: 0, doubled_ppm: 0, late_ppm: 0 };
}

/// What is sent.
#[derive(Clone, Debug)]
pub(super) struct Datagram {
    pub from: Host,
    pub to: Host,
    /// The client's name of the connection.
    pub connection: u64,
    /// The server's proof that this is not a leftover of an older connection; zero before it is known.
    pub token: u64,
    pub body: Body,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    Frames {
        /// The number of the first.
        first: u64,
        frames: Vec<Frame>,
        /// Everything below has come in the other direction.
        ack: u64,
    },
    /// The connection is over.
    Close,
    /// There is no such connection here.
    Unknown,
}

/// A handle to the network; clones are the same network.
#[derive(Clone, Debug)]
pub struct Fabric(Rc<RefCell<Wires>>);

#[derive(Debug)]
struct Wires {
    scene: Scene,
    dice: Dice,
    profile: NetProfile,
    /// By arrival; the second number keeps datagrams of one instant apart.
    flying: BTreeMap<(u64, u64), Datagram>,
    arrived: BTreeMap<Host, VecDeque<Datagram>>,
    last_serial: u64,
    troubles: BTreeMap<Host, Trouble>,
}

/// What is wrong with a machine's connection, and until when.
#[derive(Clone, Copy, Debug, Default)]
struct Trouble {
    /// Nothing it sends arrives.
    mute_until: u64,
    /// Nothing arrives at it.
    deaf_until: u64,
    /// Everything to and from it waits for this moment.
    clogged_until: u64,
}

impl Fabric {
    pub fn new(scene: Scene, dice: Dice, profile: NetProfile) -> Self {
        Self(Rc::new(RefCell::new(Wires {
            scene,
            dice,
            profile,
            flying: BTreeMap::new(),
            arrived: BTreeMap::new(),
            last_serial: 0,
            troubles: BTreeMap::new(),
        })))
    }

    pub fn set_profile(&self, profile: NetProfile) {
        self.0.borrow_mut().profile = profile;
    }

    /// Cuts what a machine sends, what it hears, or both.
    pub fn cut(&self, host: Host, mute: bool, deaf: bool, until: u64) {
        let mut wires = self.0.borrow_mut();
        let trouble = wires.troubles.entry(host).or_default();
        if mute {
            trouble.mute_until = until;
        }
        if deaf {
            trouble.deaf_until = until;
        }
    }

    /// Holds everything from and to a machine back, to come all at once.
    pub fn clog(&self, host: Host, until: u64) {
        self.0.borrow_mut().troubles.entry(host).or_default().clogged_until = until;
    }

    /// All troubles are over.
    pub fn heal(&self) {
        self.0.borrow_mut().troubles.clear();
    }

    /// When the next datagram arrives somewhere.
    pub fn next_event(&self) -> Option<u64> {
        self.0.borrow().flying.first_key_value().map(|((at, _), _)| *at)
    }

    /// Lets arrive what is due, and calls `at` with each machine that something came to.
    pub fn deliver(&self, mut at: impl FnMut(Host)) {
        let wires = &mut *self.0.borrow_mut();
        let now = wires.scene.now();
        while let Some(entry) = wires.flying.first_entry().filter(|entry| entry.key().0 <= now) {
            let datagram = entry.remove();
            let host = datagram.to;
            wires.arrived.entry(host).or_default().push_back(datagram);
            at(host);
        }
    }

    /// Something waits to be received.
    pub fn has_mail(&self, host: Host) -> bool {
        self.0.borrow().arrived.get(&host).is_some_and(|mail| !mail.is_empty())
    }

    /// The process at a machine is gone, and with it what it had not received.
    pub fn forget(&self, host: Host) {
        self.0.borrow_mut().arrived.remove(&host);
    }

    /// A number that was not used before.
    pub(super) fn fresh_number(&self) -> u64 {
        self.0.borrow_mut().fresh_number()
    }

    pub(super) fn receive(&self, host: Host) -> Option<Datagram> {
        self.0.borrow_mut().arrived.get_mut(&host)?.pop_front()
    }

    pub(super) fn send(&self, datagram: Datagram) {
        self.0.borrow_mut().send(datagram);
    }
}

impl Wires {
    fn fresh_number(&mut self) -> u64 {
        self.last_serial += 1;
        self.last_serial
    }

    fn send(&mut self, datagram: Datagram) {
        self.scene.count("datagrams");
        let now = self.scene.now();
        let trouble_of = |host| self.troubles.get(&host).copied().unwrap_or_default();
        let (from, to) = (trouble_of(datagram.from), trouble_of(datagram.to));
        if now < from.mute_until || now < to.deaf_until {
            return self.scene.count("datagrams cut");
        }
        if self.dice.ppm(self.profile.lost_ppm) {
            return self.scene.count("datagrams lost");
        }
        let clogged_until = from.clogged_until.max(to.clogged_until);
        if self.dice.ppm(self.profile.doubled_ppm) {
            self.scene.count("datagrams doubled");
            self.fly(datagram.clone(), clogged_until);
        }
        self.fly(datagram, clogged_until);
    }

    fn fly(&mut self, datagram: Datagram, clogged_until: u64) {
        let (shortest, longest) = self.profile.delay_ns;
        let mut delay = self.dice.between(shortest, longest);
        if self.dice.ppm(self.profile.late_ppm) {
            self.scene.count("datagrams late");
            delay *= self.dice.between(2, 50);
        }
        let at = (self.scene.now() + delay).max(clogged_until + delay % 1_000);
        let serial = self.fresh_number();
        self.flying.insert((at, serial), datagram);
    }
}
