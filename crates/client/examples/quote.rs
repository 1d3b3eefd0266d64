//! Quotes both sides of one window and prints the fills: `cargo run --example quote -- H200S.DE.20261124T1400.Q [account]`.
//! Start `joulebook demo --keep` in the same folder first; kill this one as you like, its orders go with it.

use joulebook_client::{Client, ClientConfig, Folder, MarketData, Notice, Subscription};
use joulebook_protocol::{Event, messages::NewOrder};
use joulebook_types::{Price, Side, Symbol, TimeInForce};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let symbol: Symbol = args.next().ok_or("name a symbol, such as H200S.DE.20261124T1400.Q")?.parse()?;
    let account = args.next().unwrap_or_else(|| "alice".to_owned());
    let folder = Folder::find()?;

    let (mut market, _changes) = MarketData::connect(folder.venue()?, Subscription::All).await?;
    market.synced().await?;
    let listed = market.instrument(symbol).ok_or("no such instrument is listed")?;
    let ask = market.best(listed.instrument, Side::Sell).ok_or("nobody sells it now")?.price;

    let (client, mut events) =
        Client::connect(ClientConfig::new(folder.venue()?, folder.key(&account)?)).await?;
    let quote = |side: Side, ticks: i64| NewOrder {
        price: Price::new(ask.raw() + ticks * listed.tick.raw()),
        instrument: listed.instrument,
        qty: 2,
        side: side.raw(),
        time_in_force: TimeInForce::Gtc.raw(),
        flags: NewOrder::POST_ONLY,
        ..NewOrder::default()
    };
    for (side, ticks) in [(Side::Buy, -3), (Side::Sell, 3)] {
        match client.place(quote(side, ticks)).await {
            Ok(order) => {
                println!("{side} {} at {} rests as order {}", order.qty, order.price, order.order_id)
            }
            Err(why) => println!("{side}: {why}"),
        }
    }
    while let Some(notice) = events.next().await {
        match notice {
            Notice::Event { event: Event::OrderFilled(fill), .. } => println!(
                "FILL order {} {} at {}, {} left, fee {}",
                fill.order_id, fill.qty, fill.price, fill.leaves_qty, fill.fee
            ),
            Notice::Disconnected(why) => println!("disconnected: {why}"),
            Notice::Resumed { .. } => println!("resumed, nothing lost"),
            Notice::Ended(why) => return Err(why.into()),
            Notice::Event { .. } | Notice::Refused(_) => {}
        }
    }
    Ok(())
}
