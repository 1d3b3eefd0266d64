/* Versions, engines, accounts, instruments, funds, capacity. */
#include "market.h"

#include <string.h>

static void versions_and_names(void)
{
    EQ(jb_abi_version(), JB_ABI_VERSION);
    EQ(jb_message_size(JB_MSG_NEW_ORDER), sizeof(jb_new_order));
    EQ(jb_message_size(JB_MSG_MASS_QUOTE), sizeof(jb_mass_quote));
    EQ(jb_message_size(9999), 0);
    CHECK(same_text(jb_message_name(JB_MSG_NEW_ORDER), "NewOrder"));
    CHECK(same_text(jb_message_name(9999), "unknown"));
    CHECK(same_text(jb_reject_name(JB_REJECT_QTY_ZERO), "QtyZero"));
    CHECK(same_text(jb_reject_text(JB_REJECT_QTY_ZERO), "A quantity of zero lots."));
    CHECK(same_text(jb_cancel_text(JB_CANCEL_MASS_CANCELED), "A mass cancel."));
    CHECK(same_text(jb_cancel_text(200), "unknown"));
    CHECK(same_text(jb_error_text(JB_ERR_TEMPLATE), "No command has this template id."));
    CHECK(same_text(jb_error_text(-1), "unknown"));
}

static void limits_are_kept(void)
{
    jb_engine *engine = NULL;
    jb_genesis limits;
    jb_list_instrument listing;
    jb_result result;
    uint32_t first, second;

    memset(&limits, 0, sizeof limits);
    limits.accounts_max = 2;
    EQ(jb_create(&limits, NOON, &engine), JB_ERR_VALUE);
    CHECK(engine == NULL);

    limits.accounts_max = 4;
    limits.instruments_max = 1;
    limits.orders_max = 1;
    OK(jb_create(&limits, NOON, &engine));
    OK(jb_add_account(engine, BOB, JB_ROLE_BUYER, 0, &result));
    EQ(result.reject_reason, 0);
    EQ(result.result, BOB);
    OK(jb_add_account(engine, CAROL, JB_ROLE_BUYER, 0, &result));
    EQ(result.reject_reason, JB_REJECT_ACCOUNT_LIMIT);
    OK(jb_default_listing(HOUR, &listing));
    EQ(listing.tick, 10000);
    OK(jb_list(engine, &listing, &first, &result));
    EQ(first, 1);
    OK(jb_default_listing("TPU6E.DE.20261124T1400.Q", &listing));
    second = 77;
    OK(jb_list(engine, &listing, &second, &result));
    EQ(result.reject_reason, JB_REJECT_INSTRUMENT_LIMIT);
    EQ(second, 77);
    OK(jb_fund(engine, BOB, EC(10), &result));
    EQ(result.reject_reason, 0);
    OK(jb_limit(engine, BOB, first, JB_BUY, EC(1), 1, JB_TIF_GTC, &result));
    EQ(result.reject_reason, 0);
    OK(jb_limit(engine, BOB, first, JB_BUY, EC(1), 1, JB_TIF_GTC, &result));
    EQ(result.reject_reason, JB_REJECT_ORDER_LIMIT);
    EQ(result.limit, 1);
    EQ(result.value, 2);
    OK(jb_destroy(engine));
}

static void instruments_are_found(void)
{
    market *m = new_market();
    jb_instrument_definition definition;
    uint32_t count, id;
    uint64_t time, deadline;

    OK(jb_get_instrument_count(m->engine, &count));
    EQ(count, 1);
    OK(jb_get_instrument_id(m->engine, HOUR, &id));
    EQ(id, m->hour);
    EQ(jb_get_instrument_id(m->engine, "H200S.DE.20261124T1500.H", &id), JB_ERR_NOT_FOUND);
    OK(jb_get_instrument(m->engine, m->hour, &definition));
    CHECK(strncmp(definition.class_code, "H200S", 8) == 0);
    CHECK(strncmp(definition.area, "DE", 8) == 0);
    EQ(definition.window_minutes, 60);
    EQ(definition.phase, JB_PHASE_OPEN);
    EQ(jb_get_instrument(m->engine, 99, &definition), JB_ERR_NOT_FOUND);
    EQ(phase_of(m), JB_PHASE_OPEN);
    OK(jb_get_time(m->engine, &time));
    EQ(time, NOON);
    OK(jb_get_next_deadline(m->engine, &deadline));
    EQ(deadline, definition.gate);
    end_market(m);
}

static void credits_and_capacity_move(void)
{
    market *m = new_market();
    jb_mint_credits mint;
    jb_deposit_credits deposit;
    jb_retire_credits retire;
    jb_register_capacity capacity;
    jb_open_account open;
    jb_position positions[4];
    jb_totals totals;
    jb_result result;
    uint32_t count;

    memset(&mint, 0, sizeof mint);
    mint.amount = EC(5);
    OK(jb_send_mint_credits(m->engine, JB_ISSUER, &mint, &result));
    EQ(result.result, EC(5));
    memset(&deposit, 0, sizeof deposit);
    deposit.amount = EC(3);
    deposit.to = ALICE;
    OK(jb_send_deposit_credits(m->engine, JB_ISSUER, &deposit, NULL));
    EQ(free_credits(m, ALICE), EC(1003));
    memset(&retire, 0, sizeof retire);
    retire.amount = EC(2);
    OK(jb_send_retire_credits(m->engine, JB_ISSUER, &retire, &result));
    EQ(result.reject_reason, 0);
    OK(jb_get_totals(m->engine, &totals));
    EQ(totals.minted - totals.retired, EC(2001003));
    EQ(totals.free, EC(2001003));
    EQ(totals.held + totals.escrow + totals.fees + totals.rounding, 0);
    OK(jb_fund(m->engine, 999, EC(1), &result));
    EQ(result.reject_reason, JB_REJECT_UNKNOWN_ACCOUNT);
    OK(jb_get_totals(m->engine, &totals));
    EQ(totals.minted - totals.retired, EC(2001003));

    memset(&open, 0, sizeof open);
    open.account = 40;
    open.roles = JB_ROLE_SELLER;
    memcpy(open.name, "dora", 4);
    OK(jb_send_open_account(m->engine, JB_OPERATOR, &open, &result));
    EQ(result.result, 40);
    OK(jb_open_session(m->engine, 40, JB_SESSION, 0, JB_KEEP_ORDERS, NULL));
    memset(&capacity, 0, sizeof capacity);
    memcpy(capacity.class_code, "H200S", 5);
    memcpy(capacity.area, "DE", 2);
    capacity.start_minute = (uint32_t)(NOON / (60 * SECOND)) + 120;
    capacity.window_minutes = 15;
    capacity.accelerators = 7;
    OK(jb_send_register_capacity(m->engine, 40, &capacity, &result));
    EQ(result.reject_reason, 0);
    OK(jb_get_positions(m->engine, 40, HOUR, positions, 4, &count));
    EQ(count, 4);
    EQ(positions[0].registered, 7);
    EQ(positions[0].free, 7);
    EQ(positions[0].slot, capacity.start_minute / 15);
    EQ(positions[1].registered, 0);
    EQ(jb_get_positions(m->engine, 999, HOUR, positions, 4, &count), JB_ERR_NOT_FOUND);
    end_market(m);
}

void test_setup(void)
{
    versions_and_names();
    limits_are_kept();
    instruments_are_found();
    credits_and_capacity_move();
}
