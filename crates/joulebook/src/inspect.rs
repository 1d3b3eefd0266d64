//! `joulebook inspect`: what a data folder holds.

use std::fmt::Display;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use joulebook_server::Engine;
use joulebook_server::inspect::{
    BatchRow, Beginning, Following, From, Journal, Moment, OrderFinder, OrderLife, Place, SegmentRow,
    Segments, SeqRange, SnapshotRow, Stepper, Wanted, Woken, check_folder, command_line, command_object,
    event_line, event_object,
};
use joulebook_types::{AccountId, ClientOrderId, OrderId, SeqNum, SessionId};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use crate::Failure;
use crate::out::Out;

#[derive(Args)]
#[command(after_help = "Examples:
  joulebook inspect joulebook-data segments
  joulebook inspect joulebook-data commands --from 100 --to 120
  joulebook inspect joulebook-data commands --follow
  joulebook inspect joulebook-data events --json
  joulebook inspect joulebook-data order 17
  joulebook inspect joulebook-data client-order 10 1000 5")]
pub struct InspectArgs {
    /// The data folder of a daemon, running or not. Nothing is written to it.
    dir: PathBuf,
    #[command(subcommand)]
    what: What,
    /// One JSON object per line, with prices and credits in millionths and times in nanoseconds since 1970.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum What {
    /// The journal's files and what lies in each.
    Segments,
    /// The snapshots, oldest first.
    Snapshots,
    /// Every batch: its commands, its time, its place on the disk.
    Batches(RangeArgs),
    /// Every command as it was journaled. Needs no replay, so instruments are numbers.
    Commands(RangeArgs),
    /// Every event that the commands caused, by replaying them.
    Events(RangeArgs),
    /// An order's whole life: what entered it, its fills and changes, its end.
    Order { id: u64 },
    /// The life of what a client's request entered: account, session and client order id.
    ClientOrder { account: u32, session: u32, id: u64 },
}

#[derive(Args)]
struct RangeArgs {
    /// The first command.
    #[arg(long, value_name = "SEQ", default_value_t = 1, hide_default_value = true)]
    from: u64,
    /// The last command.
    #[arg(long, value_name = "SEQ", default_value_t = u64::MAX, hide_default_value = true)]
    to: u64,
    /// Go on, and show what a running daemon makes durable, until Ctrl-C.
    #[arg(long)]
    follow: bool,
}

impl RangeArgs {
    fn range(&self) -> SeqRange {
        SeqRange { first: SeqNum::new(self.from), last: SeqNum::new(self.to) }
    }
}

pub fn run(args: InspectArgs) -> Result<(), Failure> {
    check_folder(&args.dir)?;
    let mut view = View { dir: args.dir, out: Out::new(), json: args.json };
    match &args.what {
        What::Segments => view.segments()?,
        What::Snapshots => view.snapshots()?,
        What::Batches(range) => view.batches(range)?,
        What::Commands(range) => view.commands(range)?,
        What::Events(range) => view.events(range)?,
        What::Order { id } => view.order(Wanted::Order(OrderId::new(*id)))?,
        What::ClientOrder { account, session, id } => {
            let (account, session) = (AccountId::new(*account), SessionId::new(*session));
            view.order(Wanted::Request { account, session, client_order_id: ClientOrderId::new(*id) })?;
        }
    }
    view.out.flush()
}

struct View {
    dir: PathBuf,
    out: Out,
    json: bool,
}

impl View {
    /// Of a table for people.
    fn heading(&mut self, heading: impl Display) -> Result<(), Failure> {
        if self.json { Ok(()) } else { self.out.line(heading) }
    }

    fn row(&mut self, line: impl FnOnce() -> String, object: impl FnOnce() -> Value) -> Result<(), Failure> {
        if self.json { self.out.line(object()) } else { self.out.line(line()) }
    }

    fn segments(&mut self) -> Result<(), Failure> {
        let segments = Segments::read(&self.dir)?;
        self.heading(SegmentRow::HEADING)?;
        for row in &segments.rows {
            self.row(|| row.line(), || row.object())?;
        }
        self.out.flush()?;
        segments.error.map_or(Ok(()), |error| Err(error.into()))
    }

    fn snapshots(&mut self) -> Result<(), Failure> {
        let rows = SnapshotRow::all(&self.dir)?;
        if rows.is_empty() {
            return self.heading("the folder has no snapshots yet");
        }
        self.heading(SnapshotRow::HEADING)?;
        rows.iter().try_for_each(|row| self.row(|| row.line(), || row.object()))
    }

    fn batches(&mut self, args: &RangeArgs) -> Result<(), Failure> {
        let follow = Follow::begin(&self.dir, args.follow)?;
        let mut journal = Journal::open(&self.dir, Place::Oldest, args.follow)?;
        self.heading(BatchRow::HEADING)?;
        loop {
            while let Some(row) = BatchRow::next(&mut journal)? {
                if args.to < row.first_seq.raw() {
                    return Ok(());
                }
                if args.from <= row.last_seq().raw() {
                    self.row(|| row.line(), || row.object())?;
                }
            }
            if !follow.goes_on(&mut self.out)? {
                return Ok(());
            }
        }
    }

    fn commands(&mut self, args: &RangeArgs) -> Result<(), Failure> {
        let follow = Follow::begin(&self.dir, args.follow)?;
        let mut journal = Journal::open(&self.dir, Place::Oldest, args.follow)?;
        self.heading(format_args!("{:>10}  {:<20}  {:<9} what", "command", "time", "who"))?;
        loop {
            let mut written = Ok(());
            let is_over = journal.commands(args.range(), |seq, time, command| {
                let line = || command_line(seq, time, command);
                written = self.row(line, || command_object(seq, time, command));
                written.is_ok()
            })?;
            written?;
            if is_over || !follow.goes_on(&mut self.out)? {
                return Ok(());
            }
        }
    }

    fn events(&mut self, args: &RangeArgs) -> Result<(), Failure> {
        let follow = Follow::begin(&self.dir, args.follow)?;
        let range = args.range();
        let from = if args.from <= 1 { From::Anywhere } else { From::Seq(SeqNum::new(args.from - 1)) };
        let beginning = Beginning::choose(&self.dir, &from)?;
        let mut journal = beginning.open_journal(&self.dir, args.follow)?;
        let mut stepper = Stepper::new(beginning.engine);
        self.heading(format_args!("{:>10}  {:<20}  {:<9} what", "command", "time", "who"))?;
        loop {
            let mut written = Ok(());
            let is_over = journal.replay(&mut stepper, range.last, |engine, step| {
                if range.contains(step.seq) {
                    written = step.records().try_for_each(|record| {
                        let line = || event_line(engine, step, &record);
                        self.row(line, || event_object(engine, step, &record))
                    });
                }
                written.is_ok()
            })?;
            written?;
            if is_over || !follow.goes_on(&mut self.out)? {
                return Ok(());
            }
        }
    }

    fn order(&mut self, wanted: Wanted) -> Result<(), Failure> {
        let beginning = Beginning::choose(&self.dir, &From::Anywhere)?;
        let mut journal = beginning.open_journal(&self.dir, false)?;
        let begins = beginning.engine.last_seq();
        let mut finder = OrderFinder::new(wanted, &beginning.engine);
        let mut stepper = Stepper::new(beginning.engine);
        journal.find(&mut stepper, &mut finder)?;
        let engine = stepper.into_engine();
        for (index, life) in finder.lives().iter().enumerate() {
            if index > 0 {
                self.heading("")?;
            }
            self.life(life, &engine)?;
        }
        if !finder.lives().is_empty() {
            return Ok(());
        }
        match finder.request() {
            Some(request) => self.request(request),
            None => Err(Failure::new(finder.explanation(&engine, begins))),
        }
    }

    fn life(&mut self, life: &OrderLife, engine: &Engine) -> Result<(), Failure> {
        if self.json {
            for moment in &life.moments {
                self.out.line(moment.object(life.order_id))?;
            }
            return self.out.line(life.object(engine));
        }
        let (account, session) = life.owner;
        self.out.line(format_args!("order {}: {}", life.order_id, life.terms))?;
        self.out.line(format_args!(
            "account {account}, session {session}, client order {}",
            life.client_order_id
        ))?;
        if let Some(before) = &life.before {
            self.out.line(format_args!("it was entered before the journal begins; then: {before}"))?;
        }
        self.out.line("")?;
        for moment in &life.moments {
            self.moment(moment)?;
        }
        self.out.line("")?;
        self.out.line(life.ending(engine))
    }

    /// A request that entered no order: what it was and what came of it.
    fn request(&mut self, request: &Moment) -> Result<(), Failure> {
        if self.json {
            return self.out.line(request.object(OrderId::NONE));
        }
        self.out.line("the request entered no order")?;
        self.out.line("")?;
        self.moment(request)
    }

    fn moment(&mut self, moment: &Moment) -> Result<(), Failure> {
        self.out.line(&moment.cause)?;
        for event in &moment.events {
            self.out.line(format_args!("{:12}{:<9} {}", "", event.what, event.details))?;
        }
        Ok(())
    }
}

/// Whether, and how, to wait for more at the journal's end.
struct Follow(Option<Following>);

impl Follow {
    /// Before the journal is opened, so that no write is missed.
    fn begin(dir: &Path, follow: bool) -> Result<Self, Failure> {
        if !follow {
            return Ok(Self(None));
        }
        let following = Following::new(dir)?;
        let stopper = following.stopper();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut interrupt, mut terminate) = {
            let _context = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            });
            stopper.stop();
        })?;
        Ok(Self(Some(following)))
    }

    /// Shows what there is, and waits until there may be more. False when that is all.
    fn goes_on(&self, out: &mut Out) -> Result<bool, Failure> {
        let Some(following) = &self.0 else { return Ok(false) };
        out.flush()?;
        Ok(following.wait(std::io::stdout().as_fd())? == Woken::Written)
    }
}
