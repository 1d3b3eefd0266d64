/* Phases and price bands. */
#include "market.h"

#include <string.h>

static void phases_follow_commands(void)
{
    market *m = new_market();
    jb_set_phase phase;
    jb_result result;

    OK(jb_set_instrument_phase(m->engine, m->hour, JB_PHASE_HALTED, 0, &result));
    EQ(result.reject_reason, 0);
    EQ(result.result, 1);
    EQ(phase_of(m), JB_PHASE_HALTED);
    OK(jb_limit(m->engine, BOB, m->hour, JB_BUY, EC(1), 1, JB_TIF_GTC, &result));
    EQ(result.reject_reason, JB_REJECT_NOT_OPEN);
    EQ(result.value, JB_PHASE_HALTED);
    OK(jb_set_instrument_phase(m->engine, m->hour, JB_PHASE_HALTED, 0, &result));
    EQ(result.reject_reason, JB_REJECT_INVALID_TRANSITION);
    memset(&phase, 0, sizeof phase);
    memcpy(phase.class_code, "H200S", 5);
    phase.phase = JB_PHASE_OPEN;
    OK(jb_send_set_phase(m->engine, JB_OPERATOR, &phase, &result));
    EQ(result.result, 1);
    EQ(phase_of(m), JB_PHASE_OPEN);
    EQ(((const jb_phase_changed *)last_event(m, JB_MSG_PHASE_CHANGED))->phase, JB_PHASE_OPEN);
    end_market(m);
}

static void bands_bound_prices(void)
{
    market *m = new_market();
    jb_set_bands bands;
    jb_result result;

    memset(&bands, 0, sizeof bands);
    bands.instrument = m->hour;
    bands.band_low = EC(5);
    bands.band_high = EC(15);
    OK(jb_send_set_bands(m->engine, JB_OPERATOR, &bands, &result));
    EQ(result.reject_reason, 0);
    EQ(((const jb_bands_changed *)last_event(m, JB_MSG_BANDS_CHANGED))->band_high, EC(15));
    OK(jb_limit(m->engine, BOB, m->hour, JB_BUY, EC(16), 1, JB_TIF_GTC, &result));
    EQ(result.reject_reason, JB_REJECT_PRICE_OUTSIDE_BAND);
    EQ(result.limit, EC(15));
    EQ(result.field_offset, offsetof(jb_new_order, price));
    end_market(m);
}

void test_phases(void)
{
    phases_follow_commands();
    bands_bound_prices();
}
