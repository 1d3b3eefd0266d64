/* Quotes, what protects their makers, and what keeps the market orderly. */
#include "market.h"

#include <string.h>

static void quotes_replace_each_other(void)
{
    market *m = new_market();
    jb_mass_quote quote;
    jb_result result;
    jb_best best;
    uint64_t count;

    OK(jb_quote(m->engine, CAROL, m->hour, EC(9), 5, EC(11), 5, &result));
    EQ(result.reject_reason, 0);
    EQ(result.result, 1);
    EQ(result.answer, JB_MSG_MASS_QUOTE_ACK);
    OK(jb_get_best(m->engine, m->hour, &best));
    EQ(best.bid.price, EC(9));
    EQ(best.ask.price, EC(11));
    OK(jb_quote(m->engine, CAROL, m->hour, EC(8), 4, 0, 0, &result));
    OK(jb_get_best(m->engine, m->hour, &best));
    EQ(best.bid.price, EC(8));
    EQ(best.bid.qty, 4);
    EQ(best.ask.orders, 0);
    OK(jb_get_open_order_count(m->engine, &count));
    EQ(count, 1);

    memset(&quote, 0, sizeof quote);
    quote.count = 2;
    quote.pairs[0].instrument = 99;
    quote.pairs[1].instrument = m->hour;
    quote.pairs[1].bid = EC(9);
    quote.pairs[1].bid_qty = 1;
    OK(jb_send_mass_quote(m->engine, CAROL, &quote, &result));
    EQ(result.result, 2);
    EQ(((const jb_quote_rejected *)last_event(m, JB_MSG_QUOTE_REJECTED))->reason, JB_REJECT_UNKNOWN_INSTRUMENT);
    OK(jb_quote(m->engine, BOB, m->hour, EC(8), 4, 0, 0, &result));
    EQ(result.reject_reason, JB_REJECT_NOT_AUTHORISED);
    end_market(m);
}

static void protection_pulls_quotes(void)
{
    market *m = new_market();
    jb_set_protection protection;
    jb_reset_protection reset;
    jb_result result;
    uint64_t count;

    memset(&protection, 0, sizeof protection);
    memcpy(protection.class_code, "H200S", 5);
    protection.window_ms = 1000;
    protection.fills_max = 1;
    OK(jb_send_set_protection(m->engine, CAROL, &protection, &result));
    EQ(result.reject_reason, 0);
    OK(jb_quote(m->engine, CAROL, m->hour, EC(9), 5, EC(11), 5, NULL));
    OK(jb_limit(m->engine, BOB, m->hour, JB_BUY, EC(11), 1, JB_TIF_IOC, &result));
    EQ(result.filled_qty, 1);
    EQ(((const jb_protection_triggered *)last_event(m, JB_MSG_PROTECTION_TRIGGERED))->canceled_orders, 2);
    OK(jb_get_open_order_count(m->engine, &count));
    EQ(count, 0);
    OK(jb_quote(m->engine, CAROL, m->hour, EC(9), 5, EC(11), 5, &result));
    EQ(result.result, 0);
    EQ(((const jb_quote_rejected *)last_event(m, JB_MSG_QUOTE_REJECTED))->reason, JB_REJECT_PROTECTION_FROZEN);
    memset(&reset, 0, sizeof reset);
    memcpy(reset.class_code, "H200S", 5);
    OK(jb_send_reset_protection(m->engine, CAROL, &reset, &result));
    EQ(result.result, 1);
    OK(jb_quote(m->engine, CAROL, m->hour, EC(9), 5, EC(11), 5, &result));
    EQ(result.result, 1);
    end_market(m);
}

static void killed_accounts_are_out(void)
{
    market *m = new_market();
    jb_kill_switch kill;
    jb_result result;

    rest(m, BOB, JB_BUY, EC(3), 1);
    memset(&kill, 0, sizeof kill);
    kill.account = BOB;
    kill.scope = JB_KILL_SCOPE_ACCOUNT;
    kill.action = JB_KILL_ACTION_KILL;
    OK(jb_send_kill_switch(m->engine, JB_OPERATOR, &kill, &result));
    EQ(result.result, 1);
    EQ(((const jb_order_canceled *)last_event(m, JB_MSG_ORDER_CANCELED))->reason, JB_CANCEL_KILLED);
    OK(jb_limit(m->engine, BOB, m->hour, JB_BUY, EC(3), 1, JB_TIF_GTC, &result));
    EQ(result.reject_reason, JB_REJECT_ENTRY_DISABLED);
    kill.action = JB_KILL_ACTION_ENABLE;
    OK(jb_send_kill_switch(m->engine, JB_OPERATOR, &kill, &result));
    EQ(result.reject_reason, 0);
    rest(m, BOB, JB_BUY, EC(3), 1);
    end_market(m);
}

static void caps_and_timers_hold(void)
{
    market *m = new_market();
    jb_set_limits limits;
    jb_set_dead_man dead_man;
    jb_result result;
    uint64_t count;

    memset(&limits, 0, sizeof limits);
    limits.account = BOB;
    limits.open_orders_max = 1;
    limits.order_value_max = EC(100);
    OK(jb_send_set_limits(m->engine, JB_OPERATOR, &limits, &result));
    EQ(result.reject_reason, 0);
    OK(jb_limit(m->engine, BOB, m->hour, JB_BUY, EC(10), 11, JB_TIF_GTC, &result));
    EQ(result.reject_reason, JB_REJECT_ORDER_VALUE_CAP);
    EQ(result.limit, EC(100));
    EQ(result.value, EC(110));
    rest(m, BOB, JB_BUY, EC(10), 10);
    OK(jb_limit(m->engine, BOB, m->hour, JB_BUY, EC(10), 1, JB_TIF_GTC, &result));
    EQ(result.reject_reason, JB_REJECT_OPEN_ORDER_CAP);

    memset(&dead_man, 0, sizeof dead_man);
    dead_man.timeout_ms = 1000;
    OK(jb_send_set_dead_man(m->engine, BOB, &dead_man, &result));
    EQ(result.reject_reason, 0);
    OK(jb_advance(m->engine, NOON + SECOND));
    EQ(((const jb_order_canceled *)last_event(m, JB_MSG_ORDER_CANCELED))->reason, JB_CANCEL_DEAD_MAN);
    OK(jb_get_open_order_count(m->engine, &count));
    EQ(count, 0);
    end_market(m);
}

void test_makers(void)
{
    quotes_replace_each_other();
    protection_pulls_quotes();
    killed_accounts_are_out();
    caps_and_timers_hold();
}
