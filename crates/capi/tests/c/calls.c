/* Call auctions. */
#include "market.h"

static void calls_uncross_at_one_price(void)
{
    market *m = new_market();
    jb_indication indication;
    jb_order order;
    jb_result market_order, result;
    int64_t price;

    OK(jb_set_instrument_phase(m->engine, m->hour, JB_PHASE_AUCTION, 5000, &result));
    EQ(phase_of(m), JB_PHASE_AUCTION);
    OK(jb_get_indication(m->engine, m->hour, &indication));
    EQ(indication.volume, 0);
    rest(m, ALICE, JB_SELL, EC(9), 10);
    rest(m, CAROL, JB_SELL, EC(11), 5);
    rest(m, BOB, JB_BUY, EC(12), 6);
    OK(jb_market(m->engine, BOB, m->hour, JB_BUY, 2, JB_TIF_GTC, &market_order));
    EQ(market_order.reject_reason, 0);
    OK(jb_get_order(m->engine, market_order.order_id, &order));
    EQ(order.state, JB_ORDER_CALL);
    EQ(order.order_type, JB_ORDER_TYPE_MARKET);
    EQ(order.price, 0);
    /* 8 lots wanted; at 9 ten are offered, at 11 and 12 fifteen: 9 leaves the fewest over. */
    OK(jb_get_indication(m->engine, m->hour, &indication));
    EQ(indication.price, EC(9));
    EQ(indication.volume, 8);
    EQ(indication.surplus, -2);
    OK(jb_advance(m->engine, NOON + SECOND));
    EQ(((const jb_auction_indication *)last_event(m, JB_MSG_AUCTION_INDICATION))->volume, 8);
    OK(jb_advance(m->engine, NOON + 5 * SECOND));
    EQ(phase_of(m), JB_PHASE_OPEN);
    EQ(events_of(m, JB_MSG_TRADE), 2);
    EQ(((const jb_trade *)last_event(m, JB_MSG_TRADE))->aggressor, 0);
    OK(jb_get_last_trade_price(m->engine, m->hour, &price));
    EQ(price, EC(9));
    EQ(level_qty(m, JB_SELL, EC(9)), 2);
    EQ(jb_get_order(m->engine, market_order.order_id, &order), JB_ERR_NOT_FOUND);
    EQ(jb_get_indication(m->engine, m->hour, &indication), JB_ERR_NOT_FOUND);
    end_market(m);
}

void test_calls(void)
{
    calls_uncross_at_one_price();
}
