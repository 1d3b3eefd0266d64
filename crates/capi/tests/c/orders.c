/* Orders of one instrument: what they answer, what they leave in the book, what they cost. */
#include "market.h"

#include <string.h>

static void limit_orders_trade(void)
{
    market *m = new_market();
    jb_result result;
    jb_order order;
    jb_best best;
    jb_level levels[2];
    const jb_trade *trade;
    const jb_order_filled *filled;
    uint64_t ask, count;
    uint32_t depth;

    ask = rest(m, ALICE, JB_SELL, EC(10), 5);
    rest(m, ALICE, JB_SELL, EC(11), 3);
    rest(m, ALICE, JB_SELL, EC(11), 4);
    rest(m, BOB, JB_BUY, EC(9), 2);
    EQ(held_credits(m, BOB), EC(18));
    OK(jb_get_best(m->engine, m->hour, &best));
    EQ(best.bid.price, EC(9));
    EQ(best.bid.qty, 2);
    EQ(best.ask.price, EC(10));
    EQ(best.ask.orders, 1);
    OK(jb_get_levels(m->engine, m->hour, JB_SELL, levels, 2, &depth));
    EQ(depth, 2);
    EQ(levels[1].price, EC(11));
    EQ(levels[1].qty, 7);
    EQ(levels[1].orders, 2);
    OK(jb_get_levels(m->engine, m->hour, JB_SELL, levels, 1, &depth));
    EQ(depth, 2);

    forget_events(m);
    OK(jb_limit(m->engine, BOB, m->hour, JB_BUY, EC(10), 2, JB_TIF_IOC, &result));
    EQ(result.reject_reason, 0);
    EQ(result.filled_qty, 2);
    EQ(result.leaves_qty, 0);
    EQ(result.cancel_reason, 0);
    EQ(events_of(m, JB_MSG_TRADE), 1);
    EQ(events_of(m, JB_MSG_ORDER_FILLED), 2);
    EQ(events_of(m, JB_MSG_BOOK_UPDATE), 1);
    trade = last_event(m, JB_MSG_TRADE);
    EQ(trade->price, EC(10));
    EQ(trade->qty, 2);
    EQ(trade->maker_order_id, ask);
    EQ(trade->aggressor, JB_BUY);
    filled = last_event(m, JB_MSG_ORDER_FILLED);
    EQ(filled->order_id, result.order_id);
    EQ(filled->liquidity, 2);
    EQ(filled->stamp.sequenced, NOON);
    EQ(free_credits(m, BOB), EC(1000000 - 18 - 20));

    OK(jb_get_order(m->engine, ask, &order));
    EQ(order.order_id, ask);
    EQ(order.account, ALICE);
    EQ(order.session, JB_SESSION);
    EQ(order.instrument, m->hour);
    EQ(order.side, JB_SELL);
    EQ(order.price, EC(10));
    EQ(order.qty, 5);
    EQ(order.leaves_qty, 3);
    EQ(order.shown_qty, 3);
    EQ(order.state, JB_ORDER_RESTING);
    EQ(jb_get_order(m->engine, result.order_id, &order), JB_ERR_NOT_FOUND);
    OK(jb_get_open_order_count(m->engine, &count));
    EQ(count, 4);

    OK(jb_limit(m->engine, BOB, m->hour, JB_BUY, EC(10), 4, JB_TIF_FOK, &result));
    EQ(result.reject_reason, JB_REJECT_FOK_NOT_FILLABLE);
    EQ(result.limit, 3);
    EQ(result.value, 4);
    OK(jb_limit(m->engine, BOB, m->hour, JB_BUY, EC(10), 4, JB_TIF_IOC, &result));
    EQ(result.filled_qty, 3);
    EQ(result.cancel_reason, JB_CANCEL_IMMEDIATE_REMAINDER);
    end_market(m);
}

static void orders_change_and_end(void)
{
    market *m = new_market();
    jb_result result;
    jb_order order;
    jb_order orders[4];
    jb_cancel_order cancel;
    jb_replace_order replace;
    jb_mass_cancel mass;
    uint64_t first, second, other;
    uint32_t count;

    first = rest(m, BOB, JB_BUY, EC(5), 10);
    second = rest(m, BOB, JB_BUY, EC(5), 10);
    OK(jb_replace(m->engine, BOB, first, EC(5), 6, &result));
    EQ(result.reject_reason, 0);
    EQ(result.answer, JB_MSG_ORDER_REPLACED);
    EQ(result.order_id, first);
    EQ(result.leaves_qty, 6);
    EQ(((const jb_order_replaced *)last_event(m, JB_MSG_ORDER_REPLACED))->kept_priority, 1);
    OK(jb_get_orders(m->engine, BOB, 0, orders, 4, &count));
    EQ(count, 2);
    EQ(orders[0].order_id, first);
    OK(jb_get_orders(m->engine, ALICE, 0, orders, 4, &count));
    EQ(count, 0);

    memset(&replace, 0, sizeof replace);
    replace.order_id = first;
    replace.slot = JB_SLOT_UNKNOWN;
    replace.price = EC(6);
    replace.qty = 7;
    OK(jb_send_replace_order(m->engine, BOB, &replace, &result));
    EQ(result.reject_reason, 0);
    OK(jb_get_order(m->engine, first, &order));
    EQ(order.price, EC(6));
    OK(jb_replace(m->engine, BOB, first, EC(6), 7, &result));
    EQ(result.reject_reason, JB_REJECT_NOTHING_TO_REPLACE);

    OK(jb_cancel(m->engine, BOB, first, &result));
    EQ(result.reject_reason, 0);
    EQ(result.order_id, first);
    EQ(result.cancel_reason, JB_CANCEL_REQUESTED);
    OK(jb_cancel(m->engine, BOB, first, &result));
    EQ(result.reject_reason, JB_REJECT_UNKNOWN_ORDER);
    OK(jb_get_order(m->engine, second, &order));
    memset(&cancel, 0, sizeof cancel);
    cancel.target = order.client_order_id;
    cancel.slot = order.slot;
    OK(jb_send_cancel_order(m->engine, BOB, &cancel, &result));
    EQ(result.order_id, second);
    EQ(held_credits(m, BOB), 0);

    rest(m, BOB, JB_BUY, EC(5), 1);
    rest(m, BOB, JB_BUY, EC(4), 1);
    other = rest(m, ALICE, JB_SELL, EC(7), 1);
    OK(jb_cancel_all(m->engine, BOB, m->hour, JB_BUY, &result));
    EQ(result.reject_reason, 0);
    EQ(result.result, 2);
    EQ(result.answer, JB_MSG_MASS_CANCEL_DONE);
    memset(&mass, 0, sizeof mass);
    mass.account = ALICE;
    mass.scope = JB_CANCEL_SCOPE_ACCOUNT;
    OK(jb_send_mass_cancel(m->engine, JB_OPERATOR, &mass, &result));
    EQ(result.result, 1);
    EQ(jb_get_order(m->engine, other, &order), JB_ERR_NOT_FOUND);
    end_market(m);
}

void test_orders(void)
{
    limit_orders_trade();
    orders_change_and_end();
}
