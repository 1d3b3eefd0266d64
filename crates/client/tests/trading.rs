//! A client against the real engine, over real QUIC, with connections that break.

mod common;
#[path = "common/exchange.rs"]
mod exchange;
#[path = "trading/several.rs"]
mod several;

use std::time::Duration;

use exchange::{ALICE, BOB, BOOK, Exchange, key};
use joulebook_client::{
    AccountKey, Client, ClientConfig, ClientError, Events, MarketData, MarketNotice, Notice, Rejection,
    Repeat, RequestError, Subscription,
};
use joulebook_protocol::messages::{CancelOrder, NewOrder, ReplaceOrder};
use joulebook_protocol::{CloseReason, Command, Event, RejectReason};
use joulebook_types::{AccountId, ClientOrderId, InstrumentId, Price, Side, TimeInForce};

fn order(side: Side, price: &str, qty: u32) -> NewOrder {
    NewOrder {
        price: price.parse().unwrap(),
        instrument: BOOK,
        qty,
        side: side.raw(),
        time_in_force: TimeInForce::Gtc.raw(),
        ..NewOrder::default()
    }
}

/// Waits for the first notice that `wanted` accepts. A test that waits in vain is ended by its runner.
async fn until<T>(events: &mut Events, mut wanted: impl FnMut(Notice) -> Option<T>) -> T {
    loop {
        let notice = events.next().await.expect("the session goes on");
        if let Some(found) = wanted(notice) {
            return found;
        }
    }
}

#[tokio::test]
async fn requests_get_their_answers() {
    let exchange = Exchange::start();
    let (alice, mut events) = exchange.connect(ALICE).await.unwrap();
    let rests = alice.place(order(Side::Sell, "27.00", 4)).await.unwrap();
    assert_eq!(
        (rests.qty, rests.price, rests.client_order_id),
        (4, "27.00".parse().unwrap(), ClientOrderId::new(1))
    );

    let replace = ReplaceOrder {
        order_id: rests.order_id,
        slot: rests.slot,
        price: rests.price,
        qty: 3,
        ..ReplaceOrder::default()
    };
    let replaced = alice.replace(replace).await.unwrap();
    assert_eq!((replaced.leaves_qty, replaced.kept_priority), (3, 1));

    // Both are on their way before either is awaited.
    let (first, second) =
        (alice.place(order(Side::Sell, "27.01", 1)), alice.place(order(Side::Sell, "27.02", 1)));
    assert_eq!(second.await.unwrap().client_order_id.raw(), first.await.unwrap().client_order_id.raw() + 1);

    let (bob, _) = exchange.connect(BOB).await.unwrap();
    bob.place(order(Side::Buy, "27.00", 2)).await.unwrap();
    let fill = until(&mut events, |notice| match notice {
        Notice::Event { event: Event::OrderFilled(fill), .. } => Some(fill),
        _ => None,
    });
    let fill = fill.await;
    assert_eq!((fill.order_id, fill.qty, fill.leaves_qty), (rests.order_id, 2, 1));

    let by_target = CancelOrder { target: rests.client_order_id, ..CancelOrder::default() };
    assert_eq!(alice.cancel(by_target).await.unwrap().canceled_qty, 1);
    assert_eq!(alice.unanswered(), 0);
}

#[tokio::test]
async fn refusals_carry_reason_limit_and_value() {
    let exchange = Exchange::start();
    let (alice, _events) = exchange.connect(ALICE).await.unwrap();
    let error = alice.place(order(Side::Sell, "27.005", 4)).await.unwrap_err();
    let Rejection::Rejected(rejected) = &error else { panic!("{error}") };
    assert_eq!(rejected.reason, RejectReason::PriceOffTick.raw());
    assert_eq!((rejected.limit, rejected.value), (10_000, 27_005_000));
    assert!(
        error.to_string().contains("PriceOffTick")
            && error.to_string().contains("value 27.005 EC. Field: price."),
        "{error}"
    );

    let error = alice.place(order(Side::Sell, "27.00", 2_000)).await.unwrap_err();
    assert!(error.to_string().contains("QtyAboveMax"), "{error}");
    let ended = alice.place(order(Side::Sell, "27.00", 4)).await.unwrap();
    let nothing_left =
        ReplaceOrder { order_id: ended.order_id, price: ended.price, qty: 0, ..ReplaceOrder::default() };
    let error = alice.replace(nothing_left).await.unwrap_err();
    assert!(matches!(error, Rejection::Ended { .. }), "{error}");
}

#[tokio::test]
async fn a_wrong_key_looks_like_an_unknown_account() {
    let exchange = Exchange::start();
    let wrong = AccountKey::from_seed(ALICE, &[200; 32]).unwrap();
    let unknown = AccountKey::from_seed(AccountId::new(77), &[77; 32]).unwrap();
    for (key, account) in [(wrong, ALICE), (unknown, AccountId::new(77))] {
        let error = Client::connect(ClientConfig::new(exchange.venue(), key)).await.unwrap_err();
        assert!(matches!(error, ClientError::BadKey { account: named } if named == account), "{error}");
    }
}

#[tokio::test]
async fn a_lost_connection_loses_and_doubles_nothing() {
    let exchange = Exchange::start();
    let mut config = ClientConfig::new(exchange.venue(), key(ALICE));
    config.cancel_on_disconnect_ms = u32::MAX;
    let (alice, mut events) = Client::connect(config).await.unwrap();
    let (bob, _) = exchange.connect(BOB).await.unwrap();
    let mut placed = Vec::new();
    for round in 0..5 {
        let rests = alice.place(order(Side::Sell, "27.00", 2)).await.unwrap();
        exchange.cut();
        // Entered while nobody is connected: waits in the client, and is sent once there is a connection again.
        let late = alice.place(order(Side::Sell, "30.00", 1));
        // Bob is cut off as well; his order trades with Alice's while she may still be away.
        let taken = bob.place(order(Side::Buy, "27.00", 2)).await.unwrap();
        let late = late.await.unwrap();
        assert!(late.order_id != rests.order_id && taken.order_id != rests.order_id, "round {round}");
        placed.push(rests.order_id);
    }
    let (mut filled, mut resumed, mut last_seq) = (Vec::new(), 0, 0);
    while filled.len() < placed.len() || resumed < 5 {
        match events.next().await.expect("the session goes on") {
            Notice::Event { event, .. } => {
                let stamp = match event {
                    Event::OrderFilled(fill) => {
                        filled.push(fill.order_id);
                        fill.stamp
                    }
                    Event::OrderAccepted(accepted) => accepted.stamp,
                    other => panic!("{other:?}"),
                };
                assert_eq!(stamp.event_seq, last_seq + 1, "no gap, no repeat");
                last_seq = stamp.event_seq;
            }
            Notice::Resumed { snapshot } => {
                assert!(!snapshot);
                resumed += 1;
            }
            Notice::Disconnected(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(filled, placed, "every fill once, in order");
    assert_eq!(exchange.look(|engine| engine.open_order_count()), 5, "the five at 30.00 rest, none twice");
    assert_eq!(exchange.look(|engine| engine.recount()), Ok(()));
}

#[tokio::test]
async fn requests_wait_out_an_outage() {
    let exchange = Exchange::start();
    let mut config = ClientConfig::new(exchange.venue(), key(ALICE));
    config.answer_timeout = Duration::from_millis(200);
    let (alice, mut events) = Client::connect(config).await.unwrap();
    exchange.set_down(true);
    let why = until(&mut events, |notice| match notice {
        Notice::Disconnected(why) => Some(why),
        _ => None,
    });
    why.await;
    let error = alice.place(order(Side::Sell, "27.00", 4)).await.unwrap_err();
    let Rejection::NoAnswerYet { client_order_id, .. } = error else { panic!("{error}") };
    assert_eq!((alice.unanswered(), exchange.commands()), (1, 0));

    exchange.set_down(false);
    let accepted = until(&mut events, |notice| match notice {
        Notice::Event { event: Event::OrderAccepted(accepted), answers } => {
            assert_eq!(answers, Some(client_order_id));
            Some(accepted)
        }
        _ => None,
    });
    assert_eq!(accepted.await.client_order_id, client_order_id);
    assert_eq!(exchange.commands(), 1, "sent once");
}

#[tokio::test]
async fn the_same_session_elsewhere_ends_this_one() {
    let exchange = Exchange::start();
    let (first, mut events) = exchange.connect(ALICE).await.unwrap();
    let (_second, _) = exchange.connect(ALICE).await.unwrap();
    let ended = until(&mut events, |notice| match notice {
        Notice::Ended(why) => Some(why),
        _ => None,
    });
    let ended = ended.await;
    assert!(matches!(ended, ClientError::Closed { reason: CloseReason::Superseded }), "{ended}");
    assert!(events.next().await.is_none(), "nothing follows the end");
    let error = first.place(order(Side::Sell, "27.00", 1)).await.unwrap_err();
    assert!(matches!(error, Rejection::SessionOver(_)), "{error}");
}

#[tokio::test]
async fn closing_cancels_what_the_setting_says() {
    let exchange = Exchange::start();
    let mut config = ClientConfig::new(exchange.venue(), key(ALICE));
    config.cancel_on_disconnect_ms = 0;
    let (alice, events) = Client::connect(config).await.unwrap();
    alice.place(order(Side::Sell, "27.00", 4)).await.unwrap();
    let last_seq = alice.last_event_seq();
    alice.close().await;
    drop(events);

    // The next run of the same client goes on where this one ended, and hears of the cancel.
    let mut config = ClientConfig::new(exchange.venue(), key(ALICE));
    config.last_event_seq = last_seq;
    let (alice, mut events) = Client::connect(config).await.unwrap();
    let canceled = until(&mut events, |notice| match notice {
        Notice::Event { event: Event::OrderCanceled(canceled), .. } => Some(canceled),
        other => panic!("{other:?}"),
    });
    assert_eq!(canceled.await.stamp.event_seq, last_seq + 1);
    assert_eq!(alice.next_client_order_id(), Ok(ClientOrderId::new(2)), "ids go on as well");
}

#[tokio::test]
async fn ids_of_ones_own_must_grow_and_repeats_are_told() {
    let exchange = Exchange::start();
    let (alice, mut events) = exchange.connect(ALICE).await.unwrap();
    let numbered = |id: u64| -> Command {
        NewOrder { client_order_id: ClientOrderId::new(id), ..order(Side::Sell, "27.00", 1) }.into()
    };
    assert_eq!(alice.submit_numbered(&numbered(7)).unwrap(), ClientOrderId::new(7));
    let error = alice.submit_numbered(&numbered(7)).unwrap_err();
    let stale = RequestError::StaleId { last: ClientOrderId::new(7) };
    assert!(matches!(error, Rejection::NotSent(why) if why == stale), "{error}");
    let answered = until(&mut events, |notice| match notice {
        Notice::Event { answers, .. } => answers,
        _ => None,
    });
    assert_eq!(answered.await, ClientOrderId::new(7));
    let next = alice.submit(|id| NewOrder { client_order_id: id, ..order(Side::Sell, "27.00", 1) }.into());
    assert_eq!(next.unwrap(), ClientOrderId::new(8));
    alice.close().await;

    // A client that forgot what it sent is told, and has no second order.
    let (alice, _events) = exchange.connect(ALICE).await.unwrap();
    let again = alice.request(|_| numbered(7)).await.unwrap_err();
    let Rejection::Repeated { outcome, order_id, .. } = again else { panic!("{again}") };
    assert_eq!((outcome, order_id.is_none()), (Repeat::Accepted, false));
    assert_eq!(exchange.look(|engine| engine.open_order_count()), 2);
}

#[tokio::test]
async fn unread_notices_hold_the_exchange_back_and_lose_nothing() {
    let exchange = Exchange::start();
    let mut config = ClientConfig::new(exchange.venue(), key(ALICE));
    config.notices_max = 1;
    let (alice, mut events) = Client::connect(config).await.unwrap();
    let submit =
        || alice.submit(|id| NewOrder { client_order_id: id, ..order(Side::Sell, "27.00", 1) }.into());
    let sent: Vec<ClientOrderId> = (0..500).map(|_| submit().unwrap()).collect();
    let mut answered = Vec::new();
    while answered.len() < sent.len() {
        if let Notice::Event { answers: Some(id), .. } = events.next().await.unwrap() {
            answered.push(id);
        }
    }
    assert_eq!(answered, sent);
}

#[tokio::test]
async fn market_data_follows_the_book_through_a_reconnect() {
    let exchange = Exchange::start();
    let (alice, _events) = exchange.connect(ALICE).await.unwrap();
    alice.place(order(Side::Sell, "27.00", 4)).await.unwrap();
    let (mut market, mut changes) = MarketData::connect(exchange.venue(), Subscription::All).await.unwrap();
    market.synced().await.unwrap();
    let best = |market: &MarketData| market.best(BOOK, Side::Sell).map(|level| (level.price, level.qty));
    let ask = |text: &str| text.parse::<Price>().unwrap();
    assert_eq!(best(&market), Some((ask("27.00"), 4)));
    let symbol = market.read(|feed| {
        let definition = feed.market(BOOK).unwrap().definition.unwrap();
        let window =
            joulebook_types::Window::new(definition.start_minute, definition.window_minutes).unwrap();
        joulebook_types::Symbol { class: definition.class, area: definition.area, window }
    });
    assert_eq!(market.instrument(symbol).unwrap().instrument, BOOK);

    alice.place(order(Side::Sell, "26.50", 1)).await.unwrap();
    while best(&market) != Some((ask("26.50"), 1)) {
        market.changed().await.unwrap();
    }
    exchange.set_down(true);
    while !matches!(changes.next().await, Some(MarketNotice::Disconnected(_))) {}
    assert_eq!(best(&market), None, "nobody quotes on a book that may be wrong");
    exchange.set_down(false);
    market.synced().await.unwrap();
    assert_eq!(best(&market), Some((ask("26.50"), 1)));

    let (mut single, _) =
        MarketData::connect(exchange.venue(), Subscription::Instruments(vec![InstrumentId::new(1)]))
            .await
            .unwrap();
    single.synced().await.unwrap();
    assert_eq!(best(&single), Some((ask("26.50"), 1)));
}
