/* Sessions, numbers, batches, time, and any command as its struct. */
#include "market.h"

#include <string.h>

static void numbers_are_used_once(void)
{
    market *m = new_market();
    jb_new_order order;
    jb_order_query query;
    jb_account_query all;
    jb_result first, again, asked;
    uint64_t last;

    memset(&order, 0, sizeof order);
    order.client_order_id = 500;
    order.instrument = m->hour;
    order.price = EC(3);
    order.qty = 1;
    order.side = JB_BUY;
    order.time_in_force = JB_TIF_GTC;
    OK(jb_send_new_order(m->engine, BOB, &order, &first));
    EQ(first.client_order_id, 500);
    EQ(first.repeated, 0);
    OK(jb_send_new_order(m->engine, BOB, &order, &again));
    EQ(again.answer, JB_MSG_REQUEST_REPEATED);
    EQ(again.repeated, JB_REPEATED_ACCEPTED);
    EQ(again.order_id, first.order_id);
    EQ(held_credits(m, BOB), EC(3));
    order.client_order_id = 0;
    OK(jb_send_new_order(m->engine, BOB, &order, &again));
    EQ(again.client_order_id, 501);
    OK(jb_get_last_client_order_id(m->engine, BOB, JB_SESSION, &last));
    EQ(last, 501);

    memset(&query, 0, sizeof query);
    query.target = 500;
    OK(jb_send_order_query(m->engine, BOB, &query, &asked));
    EQ(asked.order_id, first.order_id);
    EQ(asked.leaves_qty, 1);
    forget_events(m);
    memset(&all, 0, sizeof all);
    OK(jb_send_account_query(m->engine, BOB, &all, &asked));
    EQ(asked.answer, JB_MSG_SNAPSHOT_END);
    EQ(events_of(m, JB_MSG_ORDER_STATUS), 2);
    EQ(events_of(m, JB_MSG_CREDIT_BALANCE), 1);
    EQ(((const jb_credit_balance *)last_event(m, JB_MSG_CREDIT_BALANCE))->held, EC(6));
    OK(jb_send_account_query(m->engine, ALICE, &all, NULL));
    EQ(events_of(m, JB_MSG_CAPACITY_BALANCE), 4);
    EQ(((const jb_capacity_balance *)last_event(m, JB_MSG_CAPACITY_BALANCE))->registered, 100);
    end_market(m);
}

static void sessions_come_and_go(void)
{
    market *m = new_market();
    jb_new_order order;
    jb_session_closed closed;
    jb_result result;
    uint64_t count;

    OK(jb_open_session(m->engine, BOB, 2, 0, 5000, &result));
    EQ(result.reject_reason, 0);
    memset(&order, 0, sizeof order);
    order.instrument = m->hour;
    order.price = EC(3);
    order.qty = 1;
    order.side = JB_BUY;
    order.time_in_force = JB_TIF_GTC;
    forget_events(m);
    OK(jb_apply(m->engine, BOB, 2, JB_MSG_NEW_ORDER, &order, sizeof order, &result));
    EQ(result.client_order_id, 1);
    EQ(m->log[0].template_id, JB_MSG_ORDER_ACCEPTED);
    EQ(m->log[0].account, BOB);
    EQ(m->log[0].session, 2);
    EQ(m->log[0].size, sizeof(jb_order_accepted));
    EQ(m->log[1].template_id, JB_MSG_BOOK_UPDATE);
    EQ(m->log[1].account, 0);
    OK(jb_close_session(m->engine, BOB, 2));
    OK(jb_advance(m->engine, NOON + 4 * SECOND));
    OK(jb_get_open_order_count(m->engine, &count));
    EQ(count, 1);
    OK(jb_advance(m->engine, NOON + 5 * SECOND));
    OK(jb_get_open_order_count(m->engine, &count));
    EQ(count, 0);

    /* What happened meanwhile is told on return. */
    forget_events(m);
    OK(jb_open_session(m->engine, BOB, 2, 1, 0, &result));
    EQ(result.answer, JB_MSG_LOGON_ACCEPTED);
    EQ(result.result, 1);
    EQ(result.order_id, 0);
    EQ(events_of(m, JB_MSG_LOGON_ACCEPTED), 1);
    EQ(events_of(m, JB_MSG_ORDER_CANCELED), 1);
    EQ(((const jb_order_canceled *)last_event(m, JB_MSG_ORDER_CANCELED))->reason, JB_CANCEL_DISCONNECTED);
    OK(jb_open_session(m->engine, BOB, 2, 2, 0, NULL));
    EQ(((const jb_terminate *)last_event(m, JB_MSG_TERMINATE))->reason, JB_CLOSE_SUPERSEDED);
    memset(&closed, 0, sizeof closed);
    closed.reason = JB_CLOSE_LOGOUT;
    OK(jb_apply(m->engine, BOB, 2, JB_MSG_SESSION_CLOSED, &closed, sizeof closed, NULL));
    EQ(jb_apply(m->engine, BOB, 2, JB_MSG_NEW_ORDER, &order, sizeof order, NULL), JB_ERR_ORIGIN);
    end_market(m);
}

/* An engine without a house, fed with nothing but structs. */
static jb_engine *bare_run(uint64_t seed)
{
    jb_engine *engine;
    jb_genesis genesis;
    jb_seed random;
    jb_open_account open;
    jb_session_opened opened;
    jb_advance_time advance;
    jb_restarted restarted;

    memset(&genesis, 0, sizeof genesis);
    genesis.shard = 1;
    genesis.accounts_max = 4;
    genesis.sessions_max = 4;
    genesis.instruments_max = 4;
    genesis.orders_max = 16;
    genesis.outbox_events_max = 16;
    genesis.session_outcomes_max = 16;
    genesis.outcomes_max = 16;
    memset(&random, 0, sizeof random);
    random.seed = seed;
    memset(&open, 0, sizeof open);
    open.account = 1;
    open.roles = JB_ROLE_BUYER;
    memset(&opened, 0, sizeof opened);
    memset(&advance, 0, sizeof advance);
    memset(&restarted, 0, sizeof restarted);

    OK(jb_create_empty(&engine));
    EQ(jb_apply(engine, 0, 0, JB_MSG_SEED, &random, sizeof random, NULL), JB_ERR_ORIGIN);
    OK(jb_begin(engine, NOON));
    OK(jb_apply(engine, 0, 0, JB_MSG_GENESIS, &genesis, sizeof genesis, NULL));
    OK(jb_apply(engine, 0, 0, JB_MSG_SEED, &random, sizeof random, NULL));
    OK(jb_apply(engine, 0, 0, JB_MSG_OPEN_ACCOUNT, &open, sizeof open, NULL));
    OK(jb_apply(engine, 1, 1, JB_MSG_SESSION_OPENED, &opened, sizeof opened, NULL));
    OK(jb_end(engine));
    EQ(jb_fund(engine, 1, EC(1), NULL), JB_ERR_ORIGIN);
    OK(jb_begin(engine, NOON + SECOND));
    OK(jb_apply(engine, 0, 0, JB_MSG_ADVANCE_TIME, &advance, sizeof advance, NULL));
    OK(jb_apply(engine, 0, 0, JB_MSG_RESTARTED, &restarted, sizeof restarted, NULL));
    OK(jb_end(engine));
    EQ(jb_cancel(engine, 1, 1, NULL), JB_ERR_ORIGIN);
    return engine;
}

static void same_calls_same_hashes(void)
{
    jb_engine *left = bare_run(7), *right = bare_run(7);
    uint8_t left_state[32], right_state[32];
    uint64_t left_events[2], right_events[2], seq;

    OK(jb_get_state_hash(left, left_state));
    OK(jb_get_state_hash(right, right_state));
    CHECK(memcmp(left_state, right_state, sizeof left_state) == 0);
    OK(jb_get_event_hash(left, left_events));
    OK(jb_get_event_hash(right, right_events));
    CHECK(memcmp(left_events, right_events, sizeof left_events) == 0);
    OK(jb_get_last_seq(left, &seq));
    OK(jb_open_session(left, 1, 1, 0, 0, NULL));
    OK(jb_get_state_hash(left, left_state));
    CHECK(memcmp(left_state, right_state, sizeof left_state) != 0);
    OK(jb_destroy(left));
    OK(jb_destroy(right));
}

static void batches_share_a_time(void)
{
    market *m = new_market();
    jb_result result;
    uint64_t time;

    OK(jb_begin(m->engine, NOON + 3 * SECOND));
    forget_events(m);
    OK(jb_limit(m->engine, BOB, m->hour, JB_BUY, EC(2), 1, JB_TIF_GTC, &result));
    EQ(events_of(m, JB_MSG_ORDER_ACCEPTED), 1);
    EQ(m->log[0].command_seq, m->log[1].command_seq);
    OK(jb_cancel(m->engine, BOB, result.order_id, &result));
    EQ(result.reject_reason, 0);
    OK(jb_end(m->engine));
    EQ(((const jb_order_canceled *)last_event(m, JB_MSG_ORDER_CANCELED))->stamp.sequenced, NOON + 3 * SECOND);
    OK(jb_begin(m->engine, NOON));
    OK(jb_end(m->engine));
    OK(jb_get_time(m->engine, &time));
    EQ(time, NOON + 3 * SECOND);
    end_market(m);
}

static void the_public_state_is_told_anew(void)
{
    market *m = new_market();
    rest(m, BOB, JB_BUY, EC(2), 1);
    rest(m, ALICE, JB_SELL, EC(3), 1);
    forget_events(m);
    OK(jb_publish_state(m->engine));
    EQ(events_of(m, JB_MSG_ACCOUNT_DEFINITION), 6);
    EQ(events_of(m, JB_MSG_INSTRUMENT_DEFINITION), 1);
    EQ(events_of(m, JB_MSG_BOOK_UPDATE), 2);
    end_market(m);
}

void test_sessions(void)
{
    numbers_are_used_once();
    sessions_come_and_go();
    same_calls_same_hashes();
    batches_share_a_time();
    the_public_state_is_told_anew();
}
