/* What all parts of the test share: checks that count, and a small market with a log of its events. */
#ifndef MARKET_H
#define MARKET_H

#include "joulebook.h"

#define HOUR "H200S.DE.20261124T1400.H"
/* 2026-11-24T12:00Z, two hours before the window. */
#define NOON UINT64_C(1795521600000000000)
#define SECOND UINT64_C(1000000000)
#define EC(credits) ((int64_t)((credits) * JB_EC))

enum { ALICE = 10, BOB = 20, CAROL = 30 };

#define CHECK(condition) check((condition) != 0, #condition, __FILE__, __LINE__)
#define EQ(left, right) check_equal((int64_t)(left), (int64_t)(right), #left " == " #right, __FILE__, __LINE__)
#define OK(call) EQ(call, JB_OK)

void check(int passed, const char *what, const char *file, int line);
void check_equal(int64_t left, int64_t right, const char *what, const char *file, int line);
int same_text(const char *left, const char *right);

typedef struct logged {
    uint64_t data[64];
    uint64_t command_seq;
    uint32_t account;
    uint32_t session;
    uint16_t template_id;
    uint16_t size;
} logged;

enum { LOG_MAX = 4096 };

typedef struct market {
    jb_engine *engine;
    uint32_t hour;
    unsigned count;
    logged log[LOG_MAX];
} market;

/* One hour of H200S; Alice sells 100 lots of it, Bob and Carol (a maker too) have 1,000,000 EC, Alice 1,000. */
market *new_market(void);
void end_market(market *m);
/* Keeps every event in the log. */
void keep_event(void *user, const jb_event *event);
void forget_events(market *m);
unsigned events_of(const market *m, uint16_t template_id);
/* The struct of the newest event of a kind; the program ends when there is none. */
const void *last_event(const market *m, uint16_t template_id);
/* A limit order that is accepted; returns its id. */
uint64_t rest(market *m, uint32_t account, uint8_t side, int64_t price, uint32_t qty);
int64_t free_credits(market *m, uint32_t account);
int64_t held_credits(market *m, uint32_t account);
uint64_t level_qty(market *m, uint8_t side, int64_t price);
uint8_t phase_of(market *m);

void test_setup(void);
void test_errors(void);
void test_orders(void);
void test_linked(void);
void test_sessions(void);
void test_makers(void);
void test_compute(void);
void test_sweeps(void);
void test_phases(void);
void test_calls(void);

#endif
