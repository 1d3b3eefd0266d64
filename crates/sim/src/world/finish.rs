//! The end of a run: troubles end, everything is answered, and everybody sees the same.

use joulebook_journal::SnapshotStorage;

use crate::checks::{Check, Violation};
use crate::client::Client;
use crate::exchange::{Exchange, recover, recover_disk};
use crate::world::{PATIENCE_NS, World};

impl World {
    /// Every snapshot and the commands behind it make what all commands make.
    fn check_snapshots(&self) -> Result<(), Violation> {
        if self.plan.store.is_some() {
            return Ok(());
        }
        let mut copy = self.disk.fork();
        let durable = self.audit.engine();
        let right = (durable.state_hash(), durable.event_chain_hash());
        while let Some(newest) = copy.list().unwrap_or_default().pop() {
            let recovered = match recover_disk(&copy, self.journal_config()) {
                Ok(recovered) => recovered,
                Err(error) => {
                    return Check::Snapshot.broken(format!("from the snapshot at {}: {error}", newest.seq));
                }
            };
            self.scene.count("snapshots replayed from");
            Check::Snapshot.that(recovered.snapshot == Some(newest), || {
                format!("the snapshot at {} cannot be used", newest.seq)
            })?;
            let found = (recovered.engine.state_hash(), recovered.engine.event_chain_hash());
            Check::Snapshot.that(found == right, || {
                format!("from the snapshot at {} comes another state", newest.seq)
            })?;
            if copy.remove(newest).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<(), Violation> {
        self.scene.note("world", &[1], || "all troubles end".into());
        self.heal();
        self.clients.iter_mut().for_each(Client::rest);
        let limit = self.scene.now() + PATIENCE_NS;
        let mut starts = self.starts;
        while !self.is_quiet() {
            if starts != self.starts {
                // What failed before the troubles ended may take the exchange down after it: who has its answer asks
                // again, for it may not have noticed.
                starts = self.starts;
                self.clients.iter_mut().for_each(Client::rest);
            }
            if limit <= self.scene.now() {
                return self.stuck();
            }
            self.turn(limit)?;
        }
        self.check_quiet()?;
        self.stop_cleanly(limit)?;
        self.check_from_disk()
    }

    fn is_quiet(&mut self) -> bool {
        let clients = self.clients.iter().all(Client::is_settled);
        clients
            && self.fabric.next_event().is_none()
            && self.exchange.as_mut().is_some_and(Exchange::is_settled)
    }

    fn stuck(&mut self) -> Result<(), Violation> {
        let mut what = String::from("all troubles are over, and still:");
        for client in self.clients.iter().filter(|client| !client.is_settled()) {
            what += &format!("\n  {}", client.describe());
        }
        if let Some(exchange) = &mut self.exchange {
            what += &format!("\n  {}", exchange.describe());
        }
        Check::Liveness.broken(what)
    }

    /// Engine, disk and feeds say the same.
    fn check_quiet(&mut self) -> Result<(), Violation> {
        let Some(exchange) = &self.exchange else { return Ok(()) };
        let (ran, durable) = (exchange.engine(), self.audit.engine());
        Check::Replay.that(ran.last_seq() == durable.last_seq(), || {
            format!("the engine is at {}, the disk at {}", ran.last_seq(), durable.last_seq())
        })?;
        Check::Replay.that(ran.event_chain_hash() == durable.event_chain_hash(), || {
            "what ran said something else than its replay".into()
        })?;
        Check::Replay.that(ran.state_hash() == durable.state_hash(), || {
            "what ran has another state than its replay".into()
        })?;
        self.clients.iter().try_for_each(|client| client.check_feed(durable))
    }

    fn stop_cleanly(&mut self, limit: u64) -> Result<(), Violation> {
        let starts = self.starts;
        if let Some(exchange) = &mut self.exchange {
            exchange.begin_stop();
        }
        while self.exchange.is_some() && self.starts == starts {
            Check::Liveness.that(self.scene.now() < limit, || "a clean stop does not end".into())?;
            self.turn(limit)?;
        }
        Ok(())
    }

    /// The files alone make the same exchange.
    fn check_from_disk(&mut self) -> Result<(), Violation> {
        let recovered = match recover(self.medium()) {
            Ok(recovered) => recovered,
            Err(error) => return Check::Recovery.broken(format!("after a clean stop: {error:?}")),
        };
        let (found, durable) = (recovered.engine, self.audit.engine());
        Check::Replay.that(found.state_hash() == durable.state_hash(), || {
            "the files of a clean stop make another state".into()
        })?;
        self.check_snapshots()?;
        self.scene.note("world", &[2, found.last_seq().raw()], || format!("ends at {}", found.last_seq()));
        Ok(())
    }
}
