#include "market.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int checks;
static int failures;
/* By template id: whether any event of the kind came. */
static unsigned char seen[256];

void check(int passed, const char *what, const char *file, int line)
{
    checks += 1;
    if (!passed) {
        failures += 1;
        printf("%s:%d: %s\n", file, line, what);
    }
}

void check_equal(int64_t left, int64_t right, const char *what, const char *file, int line)
{
    check(left == right, what, file, line);
    if (left != right) {
        printf("    %lld, not %lld\n", (long long)left, (long long)right);
    }
}

int same_text(const char *left, const char *right)
{
    return left != NULL && strcmp(left, right) == 0;
}

void keep_event(void *user, const jb_event *event)
{
    market *m = user;
    logged *entry;
    if (m->count == LOG_MAX || event->size > sizeof entry->data) {
        printf("the log is full, or an event of %u bytes is too long\n", (unsigned)event->size);
        exit(2);
    }
    seen[event->template_id & 255] = 1;
    EQ(event->size, jb_message_size(event->template_id));
    entry = &m->log[m->count++];
    memset(entry, 0, sizeof *entry);
    memcpy(entry->data, event->data, event->size);
    entry->command_seq = event->command_seq;
    entry->account = event->account;
    entry->session = event->session;
    entry->template_id = event->template_id;
    entry->size = event->size;
}

void forget_events(market *m)
{
    m->count = 0;
}

unsigned events_of(const market *m, uint16_t template_id)
{
    unsigned index, found = 0;
    for (index = 0; index < m->count; index++) {
        found += m->log[index].template_id == template_id;
    }
    return found;
}

const void *last_event(const market *m, uint16_t template_id)
{
    unsigned index;
    for (index = m->count; index > 0; index--) {
        if (m->log[index - 1].template_id == template_id) {
            return m->log[index - 1].data;
        }
    }
    printf("no %s among %u events\n", jb_message_name(template_id), m->count);
    exit(2);
}

market *new_market(void)
{
    market *m = calloc(1, sizeof *m);
    jb_list_instrument listing;
    if (m == NULL) {
        exit(2);
    }
    OK(jb_create(NULL, NOON, &m->engine));
    OK(jb_on_event(m->engine, keep_event, m));
    OK(jb_add_account(m->engine, ALICE, JB_ROLE_SELLER | JB_ROLE_BUYER, 0, NULL));
    OK(jb_add_account(m->engine, BOB, JB_ROLE_BUYER, 0, NULL));
    OK(jb_add_account(m->engine, CAROL, JB_ROLE_BUYER | JB_ROLE_MAKER | JB_ROLE_SELLER, 0, NULL));
    OK(jb_default_listing(HOUR, &listing));
    OK(jb_list(m->engine, &listing, &m->hour, NULL));
    OK(jb_register(m->engine, ALICE, HOUR, 100, NULL));
    OK(jb_register(m->engine, CAROL, HOUR, 100, NULL));
    OK(jb_fund(m->engine, ALICE, EC(1000), NULL));
    OK(jb_fund(m->engine, BOB, EC(1000000), NULL));
    OK(jb_fund(m->engine, CAROL, EC(1000000), NULL));
    forget_events(m);
    return m;
}

void end_market(market *m)
{
    OK(jb_check(m->engine));
    CHECK(jb_fault_text(m->engine) == NULL);
    OK(jb_destroy(m->engine));
    free(m);
}

uint64_t rest(market *m, uint32_t account, uint8_t side, int64_t price, uint32_t qty)
{
    jb_result result;
    OK(jb_limit(m->engine, account, m->hour, side, price, qty, JB_TIF_GTC, &result));
    EQ(result.reject_reason, 0);
    EQ(result.answer, JB_MSG_ORDER_ACCEPTED);
    return result.order_id;
}

int64_t free_credits(market *m, uint32_t account)
{
    jb_credits credits;
    OK(jb_get_credits(m->engine, account, &credits));
    return credits.free;
}

int64_t held_credits(market *m, uint32_t account)
{
    jb_credits credits;
    OK(jb_get_credits(m->engine, account, &credits));
    return credits.held;
}

uint64_t level_qty(market *m, uint8_t side, int64_t price)
{
    jb_level levels[64];
    uint32_t count, index;
    OK(jb_get_levels(m->engine, m->hour, side, levels, 64, &count));
    for (index = 0; index < count && index < 64; index++) {
        if (levels[index].price == price) {
            return levels[index].qty;
        }
    }
    return 0;
}

uint8_t phase_of(market *m)
{
    uint8_t phase = 0;
    OK(jb_get_phase(m->engine, m->hour, &phase));
    return phase;
}

static void every_event_was_seen(void)
{
    uint16_t id;
    for (id = JB_MSG_ORDER_ACCEPTED; id <= JB_MSG_AUCTION_INDICATION; id++) {
        if (jb_message_size(id) != 0 && !seen[id]) {
            printf("no %s came\n", jb_message_name(id));
            CHECK(seen[id]);
        }
    }
    CHECK(seen[JB_MSG_LOGON_ACCEPTED] && seen[JB_MSG_LOGON_REJECTED] && seen[JB_MSG_TERMINATE]);
}

int main(void)
{
    test_setup();
    test_errors();
    test_orders();
    test_linked();
    test_sessions();
    test_makers();
    test_compute();
    test_sweeps();
    test_phases();
    test_calls();
    every_event_was_seen();
    printf("%d checks, %d failed\n", checks, failures);
    return failures != 0;
}
