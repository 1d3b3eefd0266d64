//! Sets a price war up on a running exchange: accounts, windows, yields, capacity, credits.

use joulebook_agents::price_war::{Participant, PriceWar};
use joulebook_client::{
    AccountKey, Changes, Client, ClientConfig, ClientError, Events, KeyError, MarketData, Rejection,
    Subscription, Venue,
};
use joulebook_protocol::messages::{DepositCredits, MintCredits, OpenAccount, pad_text};
use joulebook_protocol::{Command, RejectReason};
use joulebook_types::{AccountId, MicroEc, TimeNs, Window};

use crate::Fleet;

/// A participant, logged on and funded.
#[derive(Debug)]
pub struct Performer {
    pub participant: Participant,
    pub account: AccountId,
    pub client: Client,
    pub events: Events,
}

/// Everything stands ready; nobody trades yet.
#[derive(Debug)]
pub struct Stage {
    pub war: PriceWar,
    pub windows: Vec<Window>,
    pub performers: Vec<Performer>,
    pub(crate) market: MarketData,
    pub(crate) changes: Changes,
}

/// What could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    #[error("{who} cannot log on: {why}")]
    Logon { who: String, why: ClientError },
    #[error("cannot {what}: {why}")]
    Request { what: String, why: Rejection },
    #[error("cannot make a key: {0}")]
    Key(#[from] KeyError),
}

/// Requests that wait for their answers at once while the stage is set.
const REQUESTS_AT_ONCE: usize = 64;

impl Stage {
    /// Opens accounts, one per participant and from `first_account` on, and logs everybody on at `venue`. `operator` and
    /// `issuer` are sessions of accounts with those roles; the run is to take `run_seconds` from `now`.
    pub async fn set(
        war: PriceWar,
        venue: &Venue,
        operator: &Client,
        issuer: &Client,
        first_account: AccountId,
        (now, run_seconds): (TimeNs, u32),
    ) -> Result<Self, StageError> {
        let windows: Vec<Window> = war.front_windows(now, run_seconds).collect();
        list(&war, &windows, operator).await?;
        let credits = |participant| war.credits(participant, run_seconds);
        let participants = war.participants();
        mint(participants.iter().map(|participant| credits(*participant)), issuer).await?;

        let mut performers = Vec::with_capacity(participants.len());
        let mut account = first_account;
        for participant in participants {
            let key = open_account(participant, &mut account, operator).await?;
            deposit(account, credits(participant), issuer).await?;
            let logon = Client::connect(ClientConfig::new(venue.clone(), key)).await;
            let (client, events) =
                logon.map_err(|why| StageError::Logon { who: participant.to_string(), why })?;
            performers.push(Performer { participant, account, client, events });
            account = account.next();
        }
        register(&war, &windows, &performers).await?;

        let market = MarketData::connect(venue.clone(), Subscription::All).await;
        let logon_error = |why| StageError::Logon { who: "the market observer".to_owned(), why };
        let (mut market, changes) = market.map_err(logon_error)?;
        market.synced().await.map_err(logon_error)?;
        Ok(Self { war, windows, performers, market, changes })
    }

    /// Lets everybody trade from now on.
    pub fn start(self) -> Fleet {
        Fleet::start(self)
    }
}

/// Lists the windows of both blocs. Those that are listed already are taken as they are.
async fn list(war: &PriceWar, windows: &[Window], operator: &Client) -> Result<(), StageError> {
    for bloc in &war.blocs {
        let what = || format!("set the yield of {}", bloc.class);
        let done = operator.request(|id| war.yield_entry(bloc, id).into()).await;
        done.map_err(|why| StageError::Request { what: what(), why })?;
        for chunk in windows.chunks(REQUESTS_AT_ONCE) {
            // All are sent before the first answer is awaited.
            let mut listings = Vec::with_capacity(chunk.len());
            for window in chunk {
                listings.push(operator.request(|id| war.listing(bloc, *window, id).into()));
            }
            for listing in listings {
                match listing.await {
                    Err(why) if !is(&why, RejectReason::AlreadyListed) => {
                        let what = format!("list windows of {}", bloc.class);
                        return Err(StageError::Request { what, why });
                    }
                    Ok(_) | Err(_) => {}
                }
            }
        }
    }
    Ok(())
}

async fn mint(credits: impl Iterator<Item = MicroEc>, issuer: &Client) -> Result<(), StageError> {
    let amount = credits.fold(MicroEc::ZERO, |sum, credits| sum.checked_add(credits).unwrap_or(MicroEc::MAX));
    let attestation = 1;
    let mint = |client_order_id| Command::from(MintCredits { client_order_id, amount, attestation });
    let done = issuer.request(mint).await;
    done.map(|_| ()).map_err(|why| StageError::Request { what: format!("mint {amount} EC"), why })
}

/// Opens an account with a new key, the first that is free from `account` on: an earlier war may have left some.
async fn open_account(
    participant: Participant,
    account: &mut AccountId,
    operator: &Client,
) -> Result<AccountKey, StageError> {
    loop {
        let key = AccountKey::generate(*account)?;
        let open = OpenAccount {
            account: *account,
            roles: participant.roles().bits(),
            public_key: key.public_key(),
            name: pad_text(&participant.to_string()),
            ..OpenAccount::default()
        };
        match operator.request(|id| OpenAccount { client_order_id: id, ..open }.into()).await {
            Ok(_) => return Ok(key),
            Err(why) if is(&why, RejectReason::AccountExists) => *account = account.next(),
            Err(why) => {
                let what = format!("open account {account} for {participant}");
                return Err(StageError::Request { what, why });
            }
        }
    }
}

async fn deposit(to: AccountId, amount: MicroEc, issuer: &Client) -> Result<(), StageError> {
    if amount == MicroEc::ZERO {
        return Ok(());
    }
    let deposit = |client_order_id| DepositCredits { client_order_id, amount, to, reserved: 0 };
    let done = issuer.request(|id| deposit(id).into()).await;
    done.map(|_| ()).map_err(|why| StageError::Request { what: format!("deposit {amount} EC to {to}"), why })
}

/// Every seller registers its capacity itself, all windows at once.
async fn register(war: &PriceWar, windows: &[Window], performers: &[Performer]) -> Result<(), StageError> {
    for performer in performers {
        let Participant::Seller { bloc, .. } = performer.participant else { continue };
        let bloc = &war.blocs[bloc];
        for chunk in windows.chunks(REQUESTS_AT_ONCE) {
            let mut registrations = Vec::with_capacity(chunk.len());
            for window in chunk {
                registrations.push(performer.client.request(|id| war.registration(bloc, *window, id).into()));
            }
            for registration in registrations {
                let what = || format!("register capacity of {}", performer.participant);
                registration.await.map_err(|why| StageError::Request { what: what(), why })?;
            }
        }
    }
    Ok(())
}

fn is(rejection: &Rejection, reason: RejectReason) -> bool {
    matches!(rejection, Rejection::Rejected(rejected) if rejected.reason == reason.raw())
}
