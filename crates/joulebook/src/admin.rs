//! `joulebook admin`: the operator's, issuer's, seller's and meter's requests, one command each.

mod control;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use joulebook_client::{Client, ClientConfig, Rejection};
use joulebook_protocol::Command;
use joulebook_protocol::messages::{
    DeliverSlot, DepositCredits, ListInstrument, MintCredits, OpenAccount, RegisterCapacity, RetireCredits,
    SetYield, pad_text,
};
use joulebook_server::identity::account_key;
use joulebook_types::{
    AccountId, ClassCode, ClientOrderId, InstrumentId, MicroEc, ModelId, Price, Role, Roles, Symbol, TimeNs,
    Yield,
};

use self::control::ControlCommand;
use crate::Failure;
use crate::connect::{Endpoint, FolderArgs, OpenFolder};
use crate::span::Until;
use crate::trade::Listed;

#[derive(Args)]
#[command(after_help = "Examples:
  joulebook admin list H200S.DE.20261224T1400.H --tick 0.01 --accelerators 8 --reference-price 27
  joulebook admin yield H200S 15387 --model 1 --name llama2-70b/server
  joulebook admin open-account 20 --roles seller,maker --name dora
  joulebook admin mint 1000000 --attestation 77
  joulebook admin deposit 10 50000
  joulebook admin register H200S.DE.20261224T1400.H 320 --as alice
  joulebook admin deliver H200S.DE.20261224T1400.H
  joulebook admin phase auction H200S.DE.20261224T1400.H --duration 60s")]
pub struct AdminArgs {
    #[command(flatten)]
    folder: FolderArgs,
    #[command(subcommand)]
    command: AdminCommand,
}

#[derive(Subcommand)]
enum AdminCommand {
    #[command(flatten)]
    Setup(SetupCommand),
    #[command(flatten)]
    Control(ControlCommand),
}

#[derive(Subcommand)]
enum SetupCommand {
    /// List an instrument (operator).
    List {
        /// Class, power zone, start in UTC and length: Q a quarter hour, H an hour, D a day.
        symbol: Symbol,
        /// Smallest price step, in EC per accelerator-hour.
        #[arg(long, default_value = "0.01")]
        tick: Price,
        /// Accelerators in one lot.
        #[arg(long, default_value_t = 8)]
        accelerators: u16,
        /// Lowest price, EC per accelerator-hour; the tick if not given.
        #[arg(long, value_name = "PRICE")]
        band_low: Option<Price>,
        /// Highest price.
        #[arg(long, value_name = "PRICE", default_value = "1000000")]
        band_high: Price,
        /// Trading ends this many minutes before the window starts.
        #[arg(long, default_value_t = 5)]
        gate_minutes: u32,
        /// The most lots of one order.
        #[arg(long, default_value_t = 1_000_000)]
        max_lots: u32,
        /// In millionths of the notional.
        #[arg(long, default_value_t = 0)]
        taker_fee_ppm: i32,
        /// In millionths of the notional; negative is a rebate, at most the taker's fee.
        #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
        maker_fee_ppm: i32,
        /// What auctions and bands refer to before the first trade; 0 is nothing.
        #[arg(long, value_name = "PRICE", default_value = "0")]
        reference_price: Price,
        /// When trading opens: 20261224T0600 (UTC) or +15m; at once if not given.
        #[arg(long, value_name = "TIME")]
        opens: Option<Until>,
    },
    /// Open an account (operator). Without a public key, a new key is made: `keys/NAME.key` in the folder.
    OpenAccount {
        account: u32,
        /// Comma separated: issuer, seller, buyer, maker, meter.
        #[arg(long, value_delimiter = ',', required = true)]
        roles: Vec<String>,
        /// Ed25519 public key of somebody who keeps the secret elsewhere, 64 hex digits.
        #[arg(long)]
        public_key: Option<String>,
        /// Up to 16 bytes; also names the key file.
        #[arg(long)]
        name: String,
        /// Accounts of one non-zero group never trade with each other.
        #[arg(long, default_value_t = 0)]
        group: u32,
    },
    /// Set the tokens that a class yields, in kilo-tokens per accelerator-hour (operator). Zero removes it.
    Yield {
        class: ClassCode,
        ktok_per_hour: u32,
        #[arg(long, default_value_t = 1)]
        model: u16,
        #[arg(long, default_value = "")]
        name: String,
    },
    /// Create energy credits (issuer).
    Mint {
        /// In EC.
        amount: MicroEc,
        /// Number of the proof of the energy behind them.
        #[arg(long, default_value_t = 0)]
        attestation: u64,
    },
    /// Destroy free energy credits (issuer).
    Retire {
        /// In EC.
        amount: MicroEc,
    },
    /// Move free credits of the issuer to an account (issuer).
    Deposit {
        /// The number of who gets them.
        account: u32,
        /// In EC.
        amount: MicroEc,
    },
    /// Register accelerators for every quarter hour of the symbol's window (seller).
    Register {
        symbol: Symbol,
        accelerators: u32,
        /// Whose key: a name in the folder's `keys`.
        #[arg(long = "as", default_value = "alice")]
        who: String,
    },
    /// Say that the symbol's window was delivered: the sellers get what waited in escrow (meter).
    Deliver { symbol: Symbol },
}

/// A request and who must send it.
struct Order {
    endpoint: Endpoint,
    key: String,
    commands: Vec<Command>,
    done: String,
    /// A key file made for it, which goes again if the exchange refuses the account.
    new_key: Option<PathBuf>,
}

pub fn run(args: AdminArgs) -> Result<(), Failure> {
    let folder = args.folder.open()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let order = match &args.command {
            AdminCommand::Control(control) => {
                let instrument = match control.symbol() {
                    Some(symbol) => Listed::open(&args.folder).await?.id(symbol)?,
                    None => InstrumentId::NONE,
                };
                let (command, done) = control.order(instrument)?;
                Order {
                    endpoint: Endpoint::Operator,
                    key: "operator".into(),
                    commands: vec![command],
                    done,
                    new_key: None,
                }
            }
            AdminCommand::Setup(setup) => order(setup, &folder)?,
        };
        let venue = folder.venue(order.endpoint)?;
        let (client, _events) = Client::connect(ClientConfig::new(venue, folder.key(&order.key)?)).await?;
        let mut result = 0;
        for command in order.commands {
            let answer = client.request(|id| numbered(command, id)).await;
            if let (Err(Rejection::Rejected(_)), Some(path)) = (&answer, &order.new_key) {
                std::fs::remove_file(path)?;
            }
            result = answer?.result;
        }
        client.close().await;
        println!("{}", order.done.replace("{result}", &result.to_string()));
        Ok(())
    })
}

fn order(command: &SetupCommand, folder: &OpenFolder) -> Result<Order, Failure> {
    let from = |endpoint, key: &str, command: Command, done: String| Order {
        endpoint,
        key: key.into(),
        commands: vec![command],
        done,
        new_key: None,
    };
    Ok(match command {
        SetupCommand::List { symbol, .. } => {
            let done = format!("{symbol} is instrument {{result}}");
            from(Endpoint::Operator, "operator", Command::ListInstrument(listing(command, symbol)), done)
        }
        SetupCommand::OpenAccount { account, roles, public_key, name, group } => {
            let path = folder.path().join("keys").join(format!("{name}.key"));
            let new_key = (public_key.is_none() && !path.exists()).then_some(path);
            let open = OpenAccount {
                account: AccountId::new(*account),
                roles: parse_roles(roles)?.bits(),
                self_trade_group: *group,
                public_key: match public_key {
                    Some(hex) => parse_key(hex)?,
                    None => account_file_key(folder, *account, name)?,
                },
                name: pad_text(name),
                ..OpenAccount::default()
            };
            let (command, done) = (Command::OpenAccount(open), format!("account {account} is open"));
            Order { new_key, ..from(Endpoint::Operator, "operator", command, done) }
        }
        SetupCommand::Yield { class, ktok_per_hour, model, name } => {
            let set = SetYield {
                class: *class,
                yield_ktok: Yield::new(*ktok_per_hour),
                model: ModelId::new(*model),
                model_name: pad_text(name),
                ..SetYield::default()
            };
            let done = format!("{class} yields {ktok_per_hour} ktok per accelerator-hour of model {model}");
            from(Endpoint::Operator, "operator", Command::SetYield(set), done)
        }
        SetupCommand::Mint { amount, attestation } => {
            let mint = MintCredits { amount: *amount, attestation: *attestation, ..MintCredits::default() };
            from(Endpoint::Public, "issuer", Command::MintCredits(mint), format!("minted {amount} EC"))
        }
        SetupCommand::Retire { amount } => {
            let retire = RetireCredits { amount: *amount, ..RetireCredits::default() };
            from(Endpoint::Public, "issuer", Command::RetireCredits(retire), format!("retired {amount} EC"))
        }
        SetupCommand::Deposit { account, amount } => {
            let deposit =
                DepositCredits { amount: *amount, to: AccountId::new(*account), ..DepositCredits::default() };
            let done = format!("deposited {amount} EC to account {account}");
            from(Endpoint::Public, "issuer", Command::DepositCredits(deposit), done)
        }
        SetupCommand::Register { symbol, accelerators, who } => {
            let register = RegisterCapacity {
                class: symbol.class,
                area: symbol.area,
                start_minute: symbol.window.start_minute(),
                window_minutes: symbol.window.minutes(),
                accelerators: *accelerators,
                ..RegisterCapacity::default()
            };
            let done = format!("registered {accelerators} accelerators for {symbol}");
            from(Endpoint::Public, who, Command::RegisterCapacity(register), done)
        }
        SetupCommand::Deliver { symbol } => {
            let deliver = |slot| {
                Command::DeliverSlot(DeliverSlot {
                    class: symbol.class,
                    area: symbol.area,
                    slot,
                    ..DeliverSlot::default()
                })
            };
            Order {
                endpoint: Endpoint::Public,
                key: "meter".into(),
                commands: symbol.window.slots().map(deliver).collect(),
                done: format!("delivered {symbol}"),
                new_key: None,
            }
        }
    })
}

fn listing(command: &SetupCommand, symbol: &Symbol) -> ListInstrument {
    let SetupCommand::List {
        tick,
        accelerators,
        band_low,
        band_high,
        gate_minutes,
        max_lots,
        taker_fee_ppm,
        maker_fee_ppm,
        reference_price,
        opens,
        ..
    } = command
    else {
        unreachable!("called for listings only");
    };
    ListInstrument {
        class: symbol.class,
        area: symbol.area,
        start_minute: symbol.window.start_minute(),
        window_minutes: symbol.window.minutes(),
        accelerators_per_lot: *accelerators,
        tick: *tick,
        band_low: band_low.unwrap_or(*tick),
        band_high: *band_high,
        opens: opens.map_or(TimeNs::ZERO, Until::time),
        gate: TimeNs::from_minutes(symbol.window.start_minute().saturating_sub(*gate_minutes)),
        qty_max: *max_lots,
        taker_fee_ppm: *taker_fee_ppm,
        maker_fee_ppm: *maker_fee_ppm,
        reference_price: *reference_price,
        ..ListInstrument::default()
    }
}

/// `command` with its client order id, which only the session knows.
fn numbered(mut command: Command, id: ClientOrderId) -> Command {
    command.set_client_order_id(id);
    command
}

fn parse_roles(names: &[String]) -> Result<Roles, Failure> {
    let mut roles = Roles::NONE;
    for name in names {
        let role = Role::ALL.iter().find(|role| role.name() == name);
        let role = role.ok_or_else(|| {
            let known: Vec<&str> = Role::ALL.iter().map(|role| role.name()).collect();
            Failure::new(format!("unknown role `{name}`: choose from {}", known.join(", ")))
        })?;
        roles = roles.with(*role);
    }
    Ok(roles)
}

/// The public half of `keys/NAME.key`, which is made if it does not exist yet.
fn account_file_key(folder: &OpenFolder, account: u32, name: &str) -> Result<[u8; 32], Failure> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(Failure::new("the name of a key file has only letters, digits, - and _"));
    }
    Ok(account_key(folder.path(), account, name)?)
}

fn parse_key(hex: &str) -> Result<[u8; 32], Failure> {
    let mut key = [0; 32];
    let valid = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !valid {
        return Err(Failure::new("the public key is not 64 hex digits"));
    }
    for (index, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[index * 2..index * 2 + 2], 16)?;
    }
    Ok(key)
}
