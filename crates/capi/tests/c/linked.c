/* Orders that wait, that are linked, that hide, that come in one message. */
#include "market.h"

#include <string.h>

static jb_new_order limit_order(const market *m, uint8_t side, int64_t price, uint32_t qty)
{
    jb_new_order order;
    memset(&order, 0, sizeof order);
    order.instrument = m->hour;
    order.side = side;
    order.price = price;
    order.qty = qty;
    order.time_in_force = JB_TIF_GTC;
    return order;
}

static void orders_without_a_price(void)
{
    market *m = new_market();
    jb_result result;
    int64_t price;

    EQ(jb_get_last_trade_price(m->engine, m->hour, &price), JB_ERR_NOT_FOUND);
    rest(m, ALICE, JB_SELL, EC(10), 5);
    rest(m, ALICE, JB_SELL, EC(12), 5);
    OK(jb_market(m->engine, BOB, m->hour, JB_BUY, 6, JB_TIF_IOC, &result));
    EQ(result.reject_reason, 0);
    EQ(result.filled_qty, 6);
    OK(jb_get_last_trade_price(m->engine, m->hour, &price));
    EQ(price, EC(12));
    OK(jb_market(m->engine, BOB, m->hour, JB_BUY, 5, JB_TIF_FOK, &result));
    EQ(result.reject_reason, JB_REJECT_FOK_NOT_FILLABLE);
    OK(jb_market(m->engine, BOB, m->hour, JB_BUY, 5, JB_TIF_GTC, &result));
    EQ(result.reject_reason, JB_REJECT_NOT_OPEN);
    forget_events(m);
    OK(jb_budget(m->engine, BOB, m->hour, EC(30), &result));
    EQ(result.reject_reason, 0);
    EQ(result.filled_qty, 2);
    EQ(result.cancel_reason, 0);
    EQ(result.answer, JB_MSG_SWEEP_DONE);
    EQ(((const jb_sweep_done *)last_event(m, JB_MSG_SWEEP_DONE))->bought, EC(24));
    OK(jb_budget(m->engine, BOB, m->hour, 0, &result));
    EQ(result.reject_reason, JB_REJECT_BUDGET_NOT_POSITIVE);
    end_market(m);
}

static void orders_that_hide_or_end(void)
{
    market *m = new_market();
    jb_new_order order;
    jb_reduce_order reduce;
    jb_result result;
    jb_order seen;
    uint64_t iceberg;

    order = limit_order(m, JB_SELL, EC(10), 10);
    order.display_qty = 2;
    OK(jb_send_new_order(m->engine, ALICE, &order, &result));
    iceberg = result.order_id;
    EQ(level_qty(m, JB_SELL, EC(10)), 2);
    OK(jb_get_order(m->engine, iceberg, &seen));
    EQ(seen.leaves_qty, 10);
    EQ(seen.shown_qty, 2);
    OK(jb_reduce(m->engine, ALICE, iceberg, 3, &result));
    EQ(result.reject_reason, 0);
    EQ(result.leaves_qty, 7);
    memset(&reduce, 0, sizeof reduce);
    reduce.order_id = iceberg;
    reduce.slot = JB_SLOT_UNKNOWN;
    OK(jb_send_reduce_order(m->engine, ALICE, &reduce, &result));
    EQ(result.reject_reason, JB_REJECT_QTY_ZERO);

    order = limit_order(m, JB_BUY, EC(10), 9);
    order.min_qty = 8;
    OK(jb_send_new_order(m->engine, BOB, &order, &result));
    EQ(result.reject_reason, JB_REJECT_MIN_QTY_NOT_FILLABLE);
    EQ(result.limit, 7);
    order = limit_order(m, JB_BUY, EC(10), 3);
    order.flags = JB_FLAG_POST_ONLY;
    OK(jb_send_new_order(m->engine, BOB, &order, &result));
    EQ(result.reject_reason, JB_REJECT_POST_ONLY_WOULD_TRADE);

    order = limit_order(m, JB_BUY, EC(4), 3);
    order.time_in_force = JB_TIF_GTD;
    order.expires = NOON + SECOND;
    OK(jb_send_new_order(m->engine, BOB, &order, &result));
    EQ(result.leaves_qty, 3);
    OK(jb_advance(m->engine, NOON + SECOND));
    EQ(((const jb_order_canceled *)last_event(m, JB_MSG_ORDER_CANCELED))->reason, JB_CANCEL_EXPIRED);
    EQ(jb_get_order(m->engine, result.order_id, &seen), JB_ERR_NOT_FOUND);
    end_market(m);
}

static void stops_wait_for_trades(void)
{
    market *m = new_market();
    jb_new_order order;
    jb_order seen, waiting[4];
    jb_result stop, trail;
    uint32_t count;

    OK(jb_stop(m->engine, BOB, m->hour, JB_BUY, EC(11), EC(13), 2, &stop));
    EQ(stop.reject_reason, 0);
    OK(jb_get_order(m->engine, stop.order_id, &seen));
    EQ(seen.state, JB_ORDER_WAITING);
    EQ(seen.trigger, JB_TRIGGER_STOP);
    EQ(seen.trigger_price, EC(11));
    EQ(seen.shown_qty, 0);
    EQ(held_credits(m, BOB), EC(26));
    order = limit_order(m, JB_SELL, 0, 1);
    order.order_type = JB_ORDER_TYPE_MARKET;
    order.trigger = JB_TRIGGER_TRAILING;
    order.trail_distance = EC(2);
    OK(jb_send_new_order(m->engine, ALICE, &order, &trail));
    EQ(trail.reject_reason, 0);
    OK(jb_get_pending_stops(m->engine, m->hour, waiting, 4, &count));
    EQ(count, 2);
    EQ(waiting[0].order_id, stop.order_id);
    EQ(waiting[1].trigger_price, 0);
    OK(jb_get_pending_stops(m->engine, 99, waiting, 4, &count));
    EQ(count, 0);
    OK(jb_get_orders(m->engine, 0, m->hour, waiting, 4, &count));
    EQ(count, 2);

    /* A trade at 12 fires the stop, which rests, and is the peak of the trailing one: 12 less 2. */
    rest(m, ALICE, JB_SELL, EC(12), 1);
    forget_events(m);
    OK(jb_limit(m->engine, CAROL, m->hour, JB_BUY, EC(12), 1, JB_TIF_IOC, NULL));
    EQ(events_of(m, JB_MSG_ORDER_TRIGGERED), 1);
    EQ(((const jb_order_triggered *)last_event(m, JB_MSG_ORDER_TRIGGERED))->print_price, EC(12));
    OK(jb_get_order(m->engine, stop.order_id, &seen));
    EQ(seen.state, JB_ORDER_RESTING);
    EQ(seen.price, EC(13));
    OK(jb_get_order(m->engine, trail.order_id, &seen));
    EQ(seen.trigger_price, EC(10));
    OK(jb_get_pending_stops(m->engine, 0, waiting, 4, &count));
    EQ(count, 1);
    OK(jb_stop(m->engine, ALICE, m->hour, JB_SELL, 0, 0, 1, &stop));
    EQ(stop.reject_reason, JB_REJECT_INVALID_TRIGGER);
    end_market(m);
}

static void one_cancels_the_other(void)
{
    market *m = new_market();
    jb_oco_order oco;
    jb_result results[2];
    jb_order seen;

    memset(&oco, 0, sizeof oco);
    oco.instrument = m->hour;
    oco.side = JB_SELL;
    oco.qty = 2;
    oco.price = EC(20);
    oco.trigger_price = EC(8);
    oco.stop_price = EC(7);
    oco.time_in_force = JB_TIF_GTC;
    OK(jb_oco(m->engine, ALICE, &oco, results));
    EQ(results[0].reject_reason, 0);
    EQ(results[1].reject_reason, 0);
    EQ(results[1].client_order_id, results[0].client_order_id + 1);
    OK(jb_get_order(m->engine, results[0].order_id, &seen));
    EQ(seen.state, JB_ORDER_RESTING);
    OK(jb_get_order(m->engine, results[1].order_id, &seen));
    EQ(seen.state, JB_ORDER_WAITING);
    OK(jb_limit(m->engine, BOB, m->hour, JB_BUY, EC(20), 1, JB_TIF_IOC, NULL));
    EQ(jb_get_order(m->engine, results[1].order_id, &seen), JB_ERR_NOT_FOUND);
    EQ(((const jb_order_canceled *)last_event(m, JB_MSG_ORDER_CANCELED))->reason, JB_CANCEL_LINKED_ORDER);
    OK(jb_get_order(m->engine, results[0].order_id, &seen));
    EQ(seen.leaves_qty, 1);

    oco.trigger_price = 0;
    OK(jb_send_oco_order(m->engine, ALICE, &oco, &results[0]));
    EQ(results[0].reject_reason, JB_REJECT_INVALID_TRIGGER);
    end_market(m);
}

static void many_requests_in_one(void)
{
    market *m = new_market();
    jb_order_batch batch;
    jb_result results[4];
    uint64_t old, count;
    int index;

    old = rest(m, BOB, JB_BUY, EC(3), 5);
    memset(&batch, 0, sizeof batch);
    batch.count = 4;
    for (index = 0; index < 4; index++) {
        batch.entries[index].slot = JB_SLOT_UNKNOWN;
    }
    batch.entries[0].kind = JB_ENTRY_NEW;
    batch.entries[0].side = JB_BUY;
    batch.entries[0].time_in_force = JB_TIF_GTC;
    batch.entries[0].instrument = m->hour;
    batch.entries[0].qty = 2;
    batch.entries[0].price = EC(4);
    batch.entries[1].kind = JB_ENTRY_REPLACE;
    batch.entries[1].order_id = old;
    batch.entries[1].qty = 5;
    batch.entries[1].price = EC(5);
    batch.entries[2].kind = JB_ENTRY_REDUCE;
    batch.entries[2].order_id = old;
    batch.entries[2].qty = 1;
    batch.entries[3].kind = JB_ENTRY_CANCEL;
    batch.entries[3].order_id = 999;
    OK(jb_batch(m->engine, BOB, &batch, results, 4));
    EQ(results[0].answer, JB_MSG_ORDER_ACCEPTED);
    EQ(results[1].answer, JB_MSG_ORDER_REPLACED);
    EQ(results[1].order_id, old);
    EQ(results[2].leaves_qty, 4);
    EQ(results[3].reject_reason, JB_REJECT_UNKNOWN_ORDER);
    EQ(results[3].client_order_id, results[0].client_order_id + 3);
    OK(jb_get_open_order_count(m->engine, &count));
    EQ(count, 2);
    EQ(held_credits(m, BOB), EC(8 + 20));

    memset(&batch, 0, sizeof batch);
    OK(jb_send_order_batch(m->engine, BOB, &batch, &results[0]));
    EQ(results[0].reject_reason, JB_REJECT_INVALID_COUNT);
    EQ(results[0].limit, 16);
    end_market(m);
}

void test_linked(void)
{
    orders_without_a_price();
    orders_that_hide_or_end();
    stops_wait_for_trades();
    one_cancels_the_other();
    many_requests_in_one();
}
