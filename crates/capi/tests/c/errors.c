/* What is no request at all: null pointers, wrong sizes, wrong moments. None of it changes anything. */
#include "market.h"

#include <string.h>

static void nulls_are_errors(void)
{
    market *m = new_market();
    jb_list_instrument listing;
    jb_credits credits;
    uint32_t count;

    EQ(jb_create(NULL, NOON, NULL), JB_ERR_NULL);
    EQ(jb_create_empty(NULL), JB_ERR_NULL);
    OK(jb_destroy(NULL));
    EQ(jb_advance(NULL, NOON), JB_ERR_NULL);
    EQ(jb_check(NULL), JB_ERR_NULL);
    CHECK(jb_fault_text(NULL) == NULL);
    EQ(jb_send_new_order(m->engine, BOB, NULL, NULL), JB_ERR_NULL);
    EQ(jb_apply(m->engine, BOB, 1, JB_MSG_NEW_ORDER, NULL, sizeof(jb_new_order), NULL), JB_ERR_NULL);
    EQ(jb_default_listing(HOUR, NULL), JB_ERR_NULL);
    EQ(jb_default_listing(NULL, &listing), JB_ERR_NULL);
    OK(jb_default_listing("TPU6E.DE.20261124T1400.H", &listing));
    EQ(jb_list(m->engine, &listing, NULL, NULL), JB_ERR_NULL);
    OK(jb_get_instrument_count(m->engine, &count));
    EQ(count, 1);
    EQ(jb_get_credits(m->engine, BOB, NULL), JB_ERR_NULL);
    EQ(jb_get_levels(m->engine, m->hour, JB_BUY, NULL, 3, &count), JB_ERR_NULL);
    OK(jb_get_levels(m->engine, m->hour, JB_BUY, NULL, 0, &count));
    OK(jb_get_levels(m->engine, m->hour, JB_BUY, NULL, 0, NULL));
    EQ(jb_register(m->engine, ALICE, NULL, 1, NULL), JB_ERR_NULL);
    EQ(jb_get_credits(m->engine, 999, &credits), JB_ERR_NOT_FOUND);
    end_market(m);
}

static void shapes_are_checked(void)
{
    market *m = new_market();
    jb_new_order order;
    jb_session_opened opened;
    jb_list_instrument listing;
    jb_level level;
    uint64_t before, after;
    uint32_t count;

    OK(jb_get_last_seq(m->engine, &before));
    memset(&order, 0, sizeof order);
    EQ(jb_apply(m->engine, BOB, 1, JB_MSG_NEW_ORDER, &order, sizeof order - 8, NULL), JB_ERR_SIZE);
    EQ(jb_apply(m->engine, BOB, 1, JB_MSG_NEW_ORDER, &order, 5, NULL), JB_ERR_SIZE);
    EQ(jb_apply(m->engine, BOB, 1, JB_MSG_CANCEL_ORDER, &order, sizeof order, NULL), JB_ERR_SIZE);
    EQ(jb_apply(m->engine, BOB, 1, JB_MSG_NEW_ORDER, &order, (size_t)1 << 40, NULL), JB_ERR_SIZE);
    EQ(jb_apply(m->engine, BOB, 1, 9999, &order, sizeof order, NULL), JB_ERR_TEMPLATE);
    EQ(jb_apply(m->engine, BOB, 1, JB_MSG_ORDER_ACCEPTED, &order, sizeof order, NULL), JB_ERR_TEMPLATE);
    memset(&opened, 0, sizeof opened);
    opened.connection = UINT64_MAX;
    EQ(jb_apply(m->engine, BOB, 1, JB_MSG_SESSION_OPENED, &opened, sizeof opened, NULL), JB_ERR_VALUE);
    EQ(jb_default_listing("H200S.DE", &listing), JB_ERR_TEXT);
    EQ(jb_default_listing("\xff\xfe", &listing), JB_ERR_TEXT);
    EQ(jb_register(m->engine, ALICE, "H200S.DE.20261124T1401.H", 1, NULL), JB_ERR_TEXT);
    EQ(jb_deliver(m->engine, "", NULL), JB_ERR_TEXT);
    EQ(jb_get_levels(m->engine, m->hour, 3, &level, 1, &count), JB_ERR_VALUE);
    EQ(jb_get_levels(m->engine, 99, JB_BUY, &level, 1, &count), JB_ERR_NOT_FOUND);
    OK(jb_get_last_seq(m->engine, &after));
    EQ(before, after);
    end_market(m);
}

static void origins_are_checked(void)
{
    market *m = new_market();
    jb_result result;
    uint64_t id;

    EQ(jb_limit(m->engine, 999, m->hour, JB_BUY, EC(1), 1, JB_TIF_GTC, &result), JB_ERR_ORIGIN);
    EQ(jb_close_session(m->engine, BOB, 7), JB_ERR_ORIGIN);
    EQ(jb_get_last_client_order_id(m->engine, BOB, 7, &id), JB_ERR_NOT_FOUND);
    OK(jb_open_session(m->engine, 999, 1, 0, JB_KEEP_ORDERS, &result));
    EQ(result.reject_reason, JB_REJECT_UNKNOWN_ACCOUNT);
    EQ(result.answer, JB_MSG_LOGON_REJECTED);
    OK(jb_add_account(m->engine, BOB, JB_ROLE_BUYER, 0, &result));
    EQ(result.reject_reason, JB_REJECT_ACCOUNT_EXISTS);
    OK(jb_add_account(m->engine, 50, JB_ROLE_BUYER | JB_ROLE_OPERATOR, 0, &result));
    EQ(result.reject_reason, JB_REJECT_INVALID_ROLES);
    end_market(m);
}

static void batches_open_once(void)
{
    market *m = new_market();
    EQ(jb_end(m->engine), JB_ERR_BATCH);
    OK(jb_begin(m->engine, NOON));
    EQ(jb_begin(m->engine, NOON), JB_ERR_BATCH);
    EQ(jb_advance(m->engine, NOON), JB_ERR_BATCH);
    OK(jb_end(m->engine));
    end_market(m);
}

typedef struct inside {
    jb_engine *engine;
    uint32_t instrument;
    int calls;
} inside;

/* The engine may be asked from within the callback, and nothing else. */
static void call_back(void *user, const jb_event *event)
{
    inside *in = user;
    jb_best best;
    uint64_t count;
    CHECK(event->data != NULL);
    OK(jb_get_best(in->engine, in->instrument, &best));
    OK(jb_get_open_order_count(in->engine, &count));
    EQ(count, 1);
    EQ(jb_advance(in->engine, NOON), JB_ERR_BUSY);
    EQ(jb_limit(in->engine, BOB, in->instrument, JB_BUY, EC(1), 1, JB_TIF_GTC, NULL), JB_ERR_BUSY);
    EQ(jb_on_event(in->engine, NULL, NULL), JB_ERR_BUSY);
    EQ(jb_destroy(in->engine), JB_ERR_BUSY);
    in->calls += 1;
}

static void callbacks_may_ask(void)
{
    market *m = new_market();
    inside in;
    in.engine = m->engine;
    in.instrument = m->hour;
    in.calls = 0;
    OK(jb_on_event(m->engine, call_back, &in));
    rest(m, BOB, JB_BUY, EC(1), 1);
    EQ(in.calls, 2);
    OK(jb_on_event(m->engine, NULL, NULL));
    rest(m, BOB, JB_BUY, EC(1), 1);
    EQ(in.calls, 2);
    end_market(m);
}

void test_errors(void)
{
    nulls_are_errors();
    shapes_are_checked();
    origins_are_checked();
    batches_open_once();
    callbacks_may_ask();
}
