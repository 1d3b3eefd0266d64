//! The script language, on the engine: anything that can be written down happens to a market, and everything adds up.

use std::cell::RefCell;
use std::rc::Rc;

use joulebook_engine::{Destination, Engine, Events};
use joulebook_protocol::SequencedCommand;
use joulebook_testkit::script::{Exchange, Heard, Market};
use joulebook_types::{SeqNum, TimeNs};

use crate::Traits;

/// Lines that are carried out at most.
const LINES_MAX: usize = 40;

pub(crate) fn run(input: &[u8], traits: &mut Traits) {
    let text = String::from_utf8_lossy(input);
    let mut market = Market::new(Traded::default());
    for line in text.lines().take(LINES_MAX) {
        match market.run(line) {
            Ok(answer) => {
                for heard in &answer.heard {
                    traits.saw("heard", id_of(heard));
                }
            }
            Err(error) => {
                assert!(!error.is_empty(), "{line}: an error says what is wrong");
                traits.counted("wrong", line.len());
            }
        }
    }
}

fn id_of(heard: &Heard) -> u64 {
    match heard {
        Heard::Public(event) => event.template_id().into(),
        Heard::Private(_, event) => event.template_id().into(),
        Heard::Session(_, message) => message.template_id().into(),
    }
}

/// The state after lines that the language takes.
pub(crate) fn engine_after(lines: &str) -> Rc<RefCell<Engine>> {
    let traded = Traded::default();
    let engine = Rc::clone(&traded.engine);
    let mut market = Market::new(traded);
    for line in lines.lines() {
        market.run(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    engine
}

#[derive(Default)]
struct Traded {
    engine: Rc<RefCell<Engine>>,
    events: Events,
}

impl Exchange for Traded {
    fn begin_batch(&mut self, first_seq: SeqNum, time: TimeNs) {
        self.engine.borrow_mut().begin_batch(first_seq, time, &mut self.events);
    }

    fn apply(&mut self, command: &SequencedCommand) {
        self.engine.borrow_mut().apply(command, &mut self.events);
    }

    fn end_batch(&mut self) {
        self.engine.borrow_mut().end_batch(&mut self.events);
        self.engine.borrow().recount().expect("everything adds up after every command");
    }

    fn take_events(&mut self) -> Vec<Heard> {
        let heard = self.events.iter().map(|record| {
            let to = match record.destination {
                Destination::Public => None,
                Destination::Connection(connection) => Some(connection),
            };
            Heard::read(to, record.frame)
        });
        let heard = heard.collect();
        self.events.clear();
        heard
    }
}

pub(crate) const WORDS: &[&str] = &[
    "market ",
    "market empty\n",
    "fees 500/-200 ",
    "reference 27.00 ",
    "with orders_max=2 ",
    "alice ",
    "bob ",
    "carol ",
    "dave ",
    "mia ",
    "operator ",
    "issuer ",
    "meter ",
    "system ",
    "sells ",
    "buys ",
    "5 ",
    "at 27.00 ",
    "at market ",
    "for 1000 EC ",
    "post-only ",
    "ioc ",
    "fok ",
    "until 13:30 ",
    "min 3 ",
    "show 2 ",
    "stop 26.50 ",
    "trail 0.50 ",
    "trail 100 bps ",
    "from 28.00 ",
    "self-trade cancel-both ",
    "cancels #3 ",
    "replaces #3 to 5 at 27.01 ",
    "reduces #3 by 2 ",
    "mass-cancels ",
    "oco sells 5 at 28.00 or stop 26.00 at 25.90 ",
    "batch: ",
    "; ",
    "quotes ",
    "protects H200S 3 fills 20 lots 1000 EC in 10 s ",
    "basket: ",
    "sweep buys 2 at 27.00 in 4 windows from ",
    "buys tokens 500000 ktok at 1.80 on ",
    "H200S ",
    "TPU6E ",
    "H200S.DE.1400.H ",
    "halts ",
    "opens ",
    "pre-opens ",
    "auctions ",
    "for 10 s random 2 s ",
    "kills carol ",
    "bands 20.00..40.00 dynamic 500 bps ",
    "asks for everything ",
    "velocity 1.00 in 10 s halt 2 s auction 5 s ",
    "wait 5 s\n",
    "wait until 13:55\n",
    "book\n",
    "show all\n",
    "seed 42 ",
    "restarts ",
    "as 7 ",
    "with side=9 ",
    "legs[1].qty=0 ",
    "connects grace 5 s ",
    "disconnects ",
    "mints 1000 EC ",
    "delivers H200S.DE.1400.Q ",
    "registers 800 of ",
    "lists L40S.DE.1400.H tick 0.001 lots of 1 ",
    "\n",
];
