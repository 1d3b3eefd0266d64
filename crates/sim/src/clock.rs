//! Virtual time, and the two clocks that the exchange reads of it.

use std::cell::Cell;
use std::rc::Rc;

use joulebook_sequencer::RawClock;

/// The time of the simulated world in nanoseconds since its start; all parts share it. It moves only when the world
/// says so.
#[derive(Clone, Debug, Default)]
pub struct WorldTime(Rc<Cell<u64>>);

impl WorldTime {
    pub fn now(&self) -> u64 {
        self.0.get()
    }

    /// # Panics
    /// When time would go back.
    pub fn advance_to(&self, now: u64) {
        assert!(self.0.get() <= now, "the world's time goes forward");
        self.0.set(now);
    }
}

/// The clocks of the machine that the exchange runs on. Clones read the same clocks.
#[derive(Clone, Debug)]
pub struct Clocks {
    time: WorldTime,
    settings: Rc<Settings>,
}

#[derive(Debug, Default)]
struct Settings {
    /// What the real-time clock says at the world's start.
    epoch_ns: Cell<u64>,
    /// How far somebody has set the real-time clock off.
    real_offset_ns: Cell<i64>,
    /// Both clocks stand still at this world time.
    frozen_at: Cell<Option<u64>>,
    /// How much less the steady clock says than it should; a machine that does this is broken.
    steady_back_ns: Cell<u64>,
}

/// Where the steady clock begins: it has nothing to do with the time of day.
const STEADY_ORIGIN_NS: u64 = 5_000_000_000;

impl Clocks {
    /// Clocks of which the real one says `epoch_ns` at the world's start.
    pub fn new(time: WorldTime, epoch_ns: u64) -> Self {
        let settings = Settings::default();
        settings.epoch_ns.set(epoch_ns);
        Self { time, settings: Rc::new(settings) }
    }

    /// Sets the real-time clock `by_ns` forward or back.
    pub fn step_real(&self, by_ns: i64) {
        let offset = self.settings.real_offset_ns.get().saturating_add(by_ns);
        self.settings.real_offset_ns.set(offset);
    }

    /// Sets the real-time clock right.
    pub fn set_right(&self) {
        self.settings.real_offset_ns.set(0);
    }

    /// Both clocks stand still from now on.
    pub fn freeze(&self) {
        self.settings.frozen_at.set(Some(self.time.now()));
    }

    /// Both clocks go on, at the right time.
    pub fn thaw(&self) {
        self.settings.frozen_at.set(None);
    }

    /// The steady clock goes back, which it must not.
    pub fn set_steady_back(&self, by_ns: u64) {
        self.settings.steady_back_ns.set(by_ns);
    }

    /// A restarted machine's steady clock is right again.
    pub fn repair_steady(&self) {
        self.settings.steady_back_ns.set(0);
        self.thaw();
    }

    /// What the real-time clock says.
    pub fn real_ns(&self) -> u64 {
        let right = self.settings.epoch_ns.get() + self.shown();
        right.saturating_add_signed(self.settings.real_offset_ns.get())
    }

    /// What the steady clock says.
    pub fn steady_ns(&self) -> u64 {
        (STEADY_ORIGIN_NS + self.shown()).saturating_sub(self.settings.steady_back_ns.get())
    }

    /// World time at which the steady clock will say `steady_ns`, if nobody touches it.
    pub fn world_at(&self, steady_ns: u64) -> u64 {
        let wait = steady_ns.saturating_sub(self.steady_ns());
        self.time.now().saturating_add(wait)
    }

    fn shown(&self) -> u64 {
        self.settings.frozen_at.get().unwrap_or_else(|| self.time.now())
    }
}

impl RawClock for Clocks {
    fn real_ns(&mut self) -> u64 {
        Clocks::real_ns(self)
    }

    fn steady_ns(&mut self) -> u64 {
        Clocks::steady_ns(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_do_what_they_are_made_to() {
        let time = WorldTime::default();
        let clocks = Clocks::new(time.clone(), 1_000_000);
        time.advance_to(50);
        assert_eq!((clocks.real_ns(), clocks.steady_ns()), (1_000_050, STEADY_ORIGIN_NS + 50));
        clocks.step_real(-600);
        assert_eq!(clocks.real_ns(), 999_450);
        clocks.freeze();
        time.advance_to(90);
        assert_eq!((clocks.real_ns(), clocks.steady_ns()), (999_450, STEADY_ORIGIN_NS + 50));
        clocks.thaw();
        clocks.set_right();
        clocks.set_steady_back(40);
        assert_eq!((clocks.real_ns(), clocks.steady_ns()), (1_000_090, STEADY_ORIGIN_NS + 50));
        assert_eq!(clocks.world_at(STEADY_ORIGIN_NS + 60), 100);
        clocks.repair_steady();
        assert_eq!(clocks.steady_ns(), STEADY_ORIGIN_NS + 90);
    }
}
