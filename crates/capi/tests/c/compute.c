/* Yields, token orders, delivery. */
#include "market.h"

#include <string.h>

static void tokens_are_bought(void)
{
    market *m = new_market();
    jb_set_yield yield;
    jb_token_order order;
    jb_result result;
    const jb_token_order_done *done;

    memset(&yield, 0, sizeof yield);
    memcpy(yield.class_code, "H200S", 5);
    yield.yield_ktok = 10000;
    yield.model = 1;
    memcpy(yield.model_name, "llama2-70b/server", 17);
    OK(jb_send_set_yield(m->engine, JB_OPERATOR, &yield, &result));
    EQ(result.reject_reason, 0);
    rest(m, ALICE, JB_SELL, EC(20), 5);
    /* A lot is 10 Mtok and costs 20 EC: 2 EC per Mtok. */
    memset(&order, 0, sizeof order);
    order.quantity = 30000;
    order.limit = EC(2);
    order.model = 1;
    order.time_in_force = JB_TIF_IOC;
    order.count = 1;
    order.instruments[0] = m->hour;
    OK(jb_send_token_order(m->engine, BOB, &order, &result));
    EQ(result.reject_reason, 0);
    EQ(result.filled_qty, 3);
    EQ(result.result, 30000 * 60);
    done = last_event(m, JB_MSG_TOKEN_ORDER_DONE);
    EQ(done->notional, EC(60));
    EQ(done->average_price, EC(2));
    end_market(m);
}

static void delivery_pays_the_seller(void)
{
    market *m = new_market();
    jb_deliver_slot deliver;
    jb_credits credits;
    jb_result result;
    uint64_t hours = 3600 * SECOND;

    rest(m, ALICE, JB_SELL, EC(10), 4);
    OK(jb_limit(m->engine, BOB, m->hour, JB_BUY, EC(10), 4, JB_TIF_IOC, NULL));
    OK(jb_get_credits(m->engine, ALICE, &credits));
    EQ(credits.escrow, EC(40));
    memset(&deliver, 0, sizeof deliver);
    memcpy(deliver.class_code, "H200S", 5);
    memcpy(deliver.area, "DE", 2);
    deliver.slot = (uint32_t)(NOON / (15 * 60 * SECOND)) + 8;
    OK(jb_send_deliver_slot(m->engine, JB_METER, &deliver, &result));
    EQ(result.reject_reason, JB_REJECT_SLOT_STILL_TRADING);
    OK(jb_advance(m->engine, NOON + 2 * hours - 300 * SECOND));
    EQ(phase_of(m), JB_PHASE_CLOSED);
    OK(jb_limit(m->engine, BOB, m->hour, JB_BUY, EC(10), 4, JB_TIF_IOC, &result));
    EQ(result.reject_reason, JB_REJECT_GATE_CLOSED);
    OK(jb_advance(m->engine, NOON + 3 * hours));
    OK(jb_deliver(m->engine, HOUR, &result));
    EQ(result.reject_reason, 0);
    EQ(result.result, EC(40));
    OK(jb_get_credits(m->engine, ALICE, &credits));
    EQ(credits.escrow, 0);
    EQ(credits.free, EC(1040));
    EQ(phase_of(m), JB_PHASE_SETTLED);
    OK(jb_deliver(m->engine, HOUR, &result));
    EQ(result.reject_reason, JB_REJECT_NOTHING_TO_DELIVER);
    end_market(m);
}

void test_compute(void)
{
    tokens_are_bought();
    delivery_pays_the_seller();
}
