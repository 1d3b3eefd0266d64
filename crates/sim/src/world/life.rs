//! The exchange's process comes and goes.

use joulebook_journal::LocalConfig;
use joulebook_protocol::Command;
use joulebook_protocol::messages::{Genesis, OpenAccount, Restarted, Seed};
use joulebook_types::{Role, Roles, ShardId};
use ring::signature::KeyPair;

use crate::checks::{Check, Violation};
use crate::dice::Dice;
use crate::disk::Crash;
use crate::exchange::{Began, Exchange, Medium, Recovered, SHARD, Step, TERM, recover};
use crate::flow::{OPERATOR, TRADERS};
use crate::plan::Fault;
use crate::world::World;

impl World {
    pub(super) fn run_exchange(&mut self) -> Result<(), Violation> {
        let now = self.scene.now();
        let Some(exchange) = &mut self.exchange else {
            return if self.start_at <= now { self.start() } else { Ok(()) };
        };
        if exchange.next_event().is_none_or(|at| now < at) {
            return Ok(());
        }
        let step = exchange.step()?;
        exchange.check_time()?;
        // The disk may have been asked for something that took no time.
        self.scan()?;
        self.check_committed()?;
        match step {
            Step::Running => Ok(()),
            Step::Stopped => {
                self.scene.note("exchange", &[2], || "has stopped".into());
                self.scene.count("clean stops");
                self.check_stopped()?;
                self.down(Crash::Kill);
                Ok(())
            }
            Step::Died => {
                let crash = if self.exchange_dice.chance(1, 2) { Crash::Kill } else { Crash::PowerLoss };
                self.down(crash);
                Ok(())
            }
            Step::Faulted(fault) => {
                self.scene.note("exchange", &[3], || format!("stops with a fault: {fault}"));
                self.scene.count("faults of the log");
                self.down_after_fault();
                Ok(())
            }
        }
    }

    /// The operator starts the machine anew, or the exchange alone. Then memory still shows what the disk did not take.
    fn down_after_fault(&mut self) {
        let crash = if self.fault_dice.chance(1, 2) { Crash::Kill } else { Crash::PowerLoss };
        if crash == Crash::Kill {
            self.scene.count("starts on a machine whose disk failed");
        }
        self.down(crash);
    }

    /// The process or the machine is gone, now.
    pub(super) fn down(&mut self, crash: Crash) {
        self.exchange = None;
        self.disk.crash(crash);
        self.store.crash(&mut self.exchange_dice);
        if crash == Crash::PowerLoss {
            self.clocks.repair_steady();
        }
        let pause = if self.is_healed { 1_000_000 } else { self.exchange_dice.spread(100_000, 400_000_000) };
        self.start_at = self.scene.now() + pause;
    }

    fn start(&mut self) -> Result<(), Violation> {
        self.starts += 1;
        // What came to the disk with the last breath.
        self.scan()?;
        self.try_flips()?;
        let dies =
            !self.is_healed && self.plan.faults.has(Fault::DieInRecovery) && self.exchange_dice.chance(1, 3);
        if dies {
            self.disk.fail_after(self.exchange_dice.spread(1, 40) as u32);
        }
        match recover(self.medium()) {
            // The process dies right behind the last call that still worked.
            Ok(_) | Err(_) if dies => {
                self.scene.count("deaths in recovery");
                self.scene.note("exchange", &[4], || "dies while it starts".into());
                let crash = if self.exchange_dice.chance(1, 2) { Crash::Kill } else { Crash::PowerLoss };
                self.down(crash);
                Ok(())
            }
            Ok(recovered) => self.open(recovered),
            Err(_) if self.disk.is_dead() => {
                self.scene.note("exchange", &[5], || "does not start: its disk fails".into());
                self.down_after_fault();
                Ok(())
            }
            Err(error) => Check::Recovery.broken(error.to_string()),
        }
    }

    fn open(&mut self, recovered: Recovered) -> Result<(), Violation> {
        self.scan()?;
        self.check_recovered(&recovered)?;
        let first = self.first_commands(&recovered);
        let parts = (self.scene.clone(), Dice::new(self.exchange_dice.bits(), self.starts));
        let began = Began { snapshot: recovered.snapshot, damaged: recovered.damaged.clone() };
        let mut exchange = Exchange::start(
            parts,
            self.plan.exchange,
            self.clocks.clone(),
            self.fabric.clone(),
            recovered,
            &first,
        );
        if let Some(plan) = self.plan.snapshots.filter(|_| self.plan.store.is_none()) {
            exchange.follow(self.disk.clone(), plan, &began)?;
        }
        self.exchange = Some(exchange);
        Ok(())
    }

    /// What is replayed from the disk is what is durable, all of it and nothing else.
    fn check_recovered(&self, recovered: &Recovered) -> Result<(), Violation> {
        let (found, durable) = (&recovered.engine, self.audit.engine());
        self.scene.count("recoveries");
        if recovered.snapshot.is_some() {
            self.scene.count("recoveries from a snapshot");
        }
        self.scene
            .note("exchange", &[1, found.last_seq().raw()], || format!("starts after {}", found.last_seq()));
        Check::Replay.that(found.last_seq() == durable.last_seq(), || {
            format!("recovery finds command {}, and {} is durable", found.last_seq(), durable.last_seq())
        })?;
        Check::Replay.that(found.event_chain_hash() == durable.event_chain_hash(), || {
            "the events of a recovery differ from those of the same commands before".into()
        })?;
        Check::Replay.that(found.state_hash() == durable.state_hash(), || {
            "the state of a recovery differs from that of the same commands before".into()
        })
    }

    /// After a clean stop nothing is left that is not durable.
    fn check_stopped(&self) -> Result<(), Violation> {
        let Some(exchange) = &self.exchange else { return Ok(()) };
        let (ran, durable) = (exchange.engine(), self.audit.engine());
        if self.disk.has_refused() && durable.last_seq() < ran.last_seq() {
            // There was no room for what was taken last when the disk was last asked, and nobody was told of it.
            return self.check_committed();
        }
        Check::Replay.that(ran.last_seq() == durable.last_seq(), || {
            format!("a clean stop leaves command {} behind {}", ran.last_seq(), durable.last_seq())
        })?;
        Check::Replay
            .that(ran.state_hash() == durable.state_hash(), || "a clean stop leaves another state".into())
    }

    /// As the daemon's start does: a genesis, or word of the restart; then a new seed.
    fn first_commands(&mut self, recovered: &Recovered) -> Vec<Command> {
        let mut commands = match recovered.engine.is_started() {
            true => vec![Command::Restarted(Restarted::default())],
            false => self.genesis(),
        };
        commands.push(Command::Seed(Seed { seed: self.exchange_dice.bits() }));
        commands
    }

    fn genesis(&self) -> Vec<Command> {
        let genesis = Genesis {
            shard: ShardId::new(1),
            accounts_max: 10,
            sessions_max: 40,
            instruments_max: 10,
            orders_max: 200,
            outbox_events_max: 1_000_000,
            session_outcomes_max: 100_000,
            outcomes_max: 1_000_000,
            ..Genesis::default()
        };
        let bits = |roles: &[Role]| roles.iter().copied().collect::<Roles>().bits();
        let open = |account, roles, self_trade_group| {
            let mut public_key = [0; 32];
            public_key.copy_from_slice(self.keys[&account].public_key().as_ref());
            OpenAccount { account, roles, self_trade_group, public_key, ..OpenAccount::default() }.into()
        };
        let mut commands: Vec<Command> = vec![genesis.into()];
        commands.push(open(OPERATOR, bits(&[Role::Operator, Role::Issuer]), 0));
        for (index, account) in TRADERS.into_iter().enumerate() {
            commands.push(open(account, bits(&[Role::Seller, Role::Buyer, Role::Maker]), index as u32 / 3));
        }
        commands
    }

    /// What there is to start from.
    pub(super) fn medium(&mut self) -> Medium {
        let dice = Dice::new(self.exchange_dice.bits(), self.starts);
        match self.plan.store {
            None => Medium::Disk { disk: self.disk.clone(), config: self.journal_config() },
            Some(delays) => Medium::Store { store: self.store.clone(), delays, dice },
        }
    }

    pub(super) fn journal_config(&self) -> LocalConfig {
        LocalConfig {
            term: TERM,
            segment_bytes: self.plan.segment_bytes,
            group_bytes_max: self.plan.group_bytes_max,
            ..LocalConfig::new(SHARD, self.plan.seed ^ 0x6a6f)
        }
    }
}
