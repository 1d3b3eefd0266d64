/* Orders over several books at once: all of it or nothing. */
#include "market.h"

#include <string.h>

#define NEXT_HOUR "H200S.DE.20261124T1500.H"

static uint32_t list_next_hour(market *m)
{
    jb_list_instrument listing;
    jb_result result;
    OK(jb_default_listing(NEXT_HOUR, &listing));
    OK(jb_send_list_instrument(m->engine, JB_OPERATOR, &listing, &result));
    EQ(result.reject_reason, 0);
    OK(jb_register(m->engine, ALICE, NEXT_HOUR, 100, NULL));
    return (uint32_t)result.result;
}

static uint64_t ask_in(market *m, uint32_t instrument, int64_t price, uint32_t qty)
{
    jb_result result;
    OK(jb_limit(m->engine, ALICE, instrument, JB_SELL, price, qty, JB_TIF_GTC, &result));
    EQ(result.reject_reason, 0);
    return result.order_id;
}

static void baskets_and_sweeps_are_whole(void)
{
    market *m = new_market();
    uint32_t next = list_next_hour(m);
    jb_basket basket;
    jb_block_sweep sweep;
    jb_result result;

    ask_in(m, m->hour, EC(10), 5);
    ask_in(m, next, EC(12), 2);
    memset(&basket, 0, sizeof basket);
    basket.count = 2;
    basket.legs[0].instrument = m->hour;
    basket.legs[0].price = EC(10);
    basket.legs[0].qty = 3;
    basket.legs[0].side = JB_BUY;
    basket.legs[1] = basket.legs[0];
    basket.legs[1].instrument = next;
    basket.legs[1].price = EC(12);
    OK(jb_send_basket(m->engine, BOB, &basket, &result));
    EQ(result.reject_reason, JB_REJECT_FOK_NOT_FILLABLE);
    EQ(free_credits(m, BOB), EC(1000000));
    basket.legs[1].qty = 1;
    forget_events(m);
    OK(jb_send_basket(m->engine, BOB, &basket, &result));
    EQ(result.reject_reason, 0);
    EQ(result.filled_qty, 4);
    EQ(events_of(m, JB_MSG_LEG_DONE), 2);
    EQ(((const jb_sweep_done *)last_event(m, JB_MSG_SWEEP_DONE))->bought, EC(42));

    memset(&sweep, 0, sizeof sweep);
    memcpy(sweep.class_code, "H200S", 5);
    memcpy(sweep.area, "DE", 2);
    sweep.start_minute = (uint32_t)(NOON / (60 * SECOND)) + 120;
    sweep.window_minutes = 60;
    sweep.windows = 2;
    sweep.side = JB_BUY;
    sweep.qty = 1;
    sweep.price = EC(10);
    OK(jb_send_block_sweep(m->engine, BOB, &sweep, &result));
    EQ(result.reject_reason, JB_REJECT_AVERAGE_PRICE_NOT_MET);
    sweep.price = EC(11);
    OK(jb_send_block_sweep(m->engine, BOB, &sweep, &result));
    EQ(result.reject_reason, 0);
    EQ(result.filled_qty, 2);
    EQ(((const jb_sweep_done *)last_event(m, JB_MSG_SWEEP_DONE))->average_price, EC(11));
    end_market(m);
}

void test_sweeps(void)
{
    baskets_and_sweeps_are_whole();
}
