/* Evidence of charge 3: what a cycle takes more than it gives back. Included by assb_detection.c. Why, and where the
 * numbers come from, says firmware/assb/detection/returns.py. */

#define RETURN_FRAC ((real)0.007)
#define RETURN_V ((real)0.003)
#define DOUBT_SHARE ((real)0.1)
#define OFFSET_MOST ((real)1.5)
#define PACK_FRAC ((real)0.002)
#define PACK_SHARE ((real)0.1)
#define PACK_SLOPE_V ((real)0.25)
#define APART_SHARE ((real)0.5)
#define OWED_SHARE ((real)0.3)
#define OWED_S ((real)43200)
#define PACK_LEAST_C ((real)0.0007)
#define FLOWS_C ((real)0.02)
#define SETTLED_FRAC ((real)0.1)
#define SAME_FRAC ((real)0.05)
#define SAME_K ((real)2)
#define APART_S ((real)600)
#define RETURN_S ((real)14400)
#define HOUR_S ((real)3600)
#define RETURN_SIGMA ((real)0.4)
#define NET_MOST ((real)4)
#define TENTHS (ASSB_PASSES / 2)
#define TENTH_LAST ((real)0.99)

static void lose_returns(ASSB_EST(returns) *r)
{
    for (int k = 0; k < ASSB_PASSES; k++)
        r->at_s[k] = r->owed[k] = 0;
    r->told_s[0] = r->told_s[1] = 0;
    r->tenth = r->score = r->leak_c = r->edge = r->passed = 0;
}

/* Single precision holds them for months. */
static void begin_counters(ASSB_EST(returns) *r)
{
    if (magnitude(r->net) > NET_MOST) {
        for (int k = 0; k < ASSB_PASSES; k++)
            r->net_at[k] = r->net_at[k] - r->net;
        r->net = 0;
    }
    if (r->clock_s > LONG_S) {
        for (int k = 0; k < ASSB_PASSES; k++)
            r->at_s[k] = r->at_s[k] > LONG_S / 2 ? r->at_s[k] - LONG_S / 2 : 0;
        for (int way = 0; way < 2; way++) {
            r->told_s[way] = r->told_s[way] > LONG_S / 2 ? r->told_s[way] - LONG_S / 2 : 0;
            r->first_s[way] = r->first_s[way] - LONG_S / 2;
        }
        r->clock_s = r->clock_s - LONG_S / 2;
    }
}

/* Against what the pack's cycles took, and least_c: what the sensor's offset may have counted. */
static void judge_returns(ASSB_EST(returns) *r, const real took_c[2], real least_c, real doubt2)
{
    real taken[2];
    for (int way = 0; way < 2; way++)
        taken[way] = r->more[way] - took_c[way] * r->over_s[way] / HOUR_S;
    int low = taken[0] < taken[1] ? 0 : 1;
    if (r->told_s[0] <= 0 || r->told_s[1] <= 0 || taken[low] <= 0)
        return;
    int latest = (int)r->way; /* a leak that has gone on has taken no less */
    real less = taken[1 - latest] - taken[latest], apart = less > 0 ? APART_SHARE * less : 0;
    real least_frac = least_c * r->over_s[low] / HOUR_S;
    real score = (taken[low] - least_frac) / ASSB_EST(square_root)(doubt2 + apart * apart);
    if (score <= r->score)
        return;
    r->score = score;
    r->leak_c = HOUR_S * taken[low] / r->over_s[low];
    for (int way = 0; way < 2; way++)
        r->leak_c = r->grows_c[way] > r->leak_c ? r->grows_c[way] : r->leak_c;
}

/* Since this tenth was passed the last time. */
static void compare_pass(ASSB_EST(returns) *r, int way, real more, real over_s)
{
    real since_s = r->clock_s - r->first_s[way];
    if (r->way != way || r->told_s[way] <= 0) {
        r->first[way] = r->latest[way] = more;
        r->first_s[way] = r->clock_s;
        r->grows_c[way] = 0;
    } else if (since_s >= APART_S) {
        r->grows_c[way] = HOUR_S * (more - r->first[way]) / since_s;
    }
    r->more[way] = least(more, r->latest[way]);
    r->latest[way] = more;
    r->over_s[way] = over_s;
    r->told_s[way] = r->clock_s;
    r->way = way;
}

static void pass_tenth(const detection_params_t *q, ASSB_EST(returns) *r, int k, real current_a, real degc,
                       real soc_var, real slope_v, real lost_ohm)
{
    int is_same = magnitude(current_a - r->current_a[k]) <= SAME_FRAC * magnitude(current_a);
    if (r->at_s[k] > 0 && is_same && magnitude(degc - r->degc[k]) <= SAME_K) {
        real by_v = RETURN_V / slope_v;
        real more = r->net - r->net_at[k] + r->owed[k];
        r->owed[k] = least(more, 0);
        compare_pass(r, k / TENTHS, more, r->clock_s - r->at_s[k]);
        static const real nothing[2] = {0, 0};
        r->passed = slope_v < PACK_SLOPE_V ? 0 : (real)(k + 1);
        real moved2 = r->soc_var[k] - soc_var;
        r->doubt2 = DOUBT_SHARE * (soc_var + r->soc_var[k]) + (moved2 > 0 ? moved2 : 0) + by_v * by_v;
        r->score = r->leak_c = 0;
        real owed = 0;
        for (int j = 0; j < ASSB_PASSES; j++)
            if (r->at_s[j] > 0 && r->clock_s - r->at_s[j] <= OWED_S && r->owed[j] < owed)
                owed = r->owed[j];
        real lost = lost_ohm * magnitude(current_a) / slope_v;
        r->contact2 = OWED_SHARE * OWED_SHARE * owed * owed + lost * lost;
        real doubt2 = RETURN_FRAC * RETURN_FRAC + r->doubt2 + r->contact2;
        judge_returns(r, nothing, OFFSET_MOST * q->charge_offset_c, doubt2);
    }
    r->net_at[k] = r->net;
    r->at_s[k] = r->clock_s;
    r->current_a[k] = current_a;
    r->degc[k] = degc;
    r->soc_var[k] = soc_var;
}

/* After each window of a few seconds; slope_v 0: in a knee of the OCV. */
static void see_returns(const detection_params_t *q, ASSB_EST(charge_evidence) *c, const state_t *state,
                        const reference_t *pack, real current_a, real size_c, real degc, real slope_v, real lost_ohm)
{
    ASSB_EST(returns) *r = &c->returns;
    begin_counters(r);
    for (int way = 0; way < 2; way++)
        if (r->told_s[way] > 0 && r->clock_s - r->told_s[way] > RETURN_S)
            r->told_s[way] = r->score = r->leak_c = r->passed = 0;
    if (pack->passed > 0 && pack->passed == r->passed)
        judge_returns(r, pack->took_c, PACK_LEAST_C, PACK_FRAC * PACK_FRAC + PACK_SHARE * r->doubt2 + r->contact2);
    real before = r->tenth, settled_v = c->slow_ohm * current_a;
    int up = current_a > 0;
    r->tenth = 1 + (real)(int)(TENTHS * clamp(state->soc, 0, TENTH_LAST));
    if (before <= 0 || r->tenth != before + (up ? 1 : -1) || size_c < FLOWS_C)
        return;
    int k = up ? (int)before : TENTHS + (int)r->tenth, again = r->edge == (real)k;
    r->edge = (real)k;
    if (!again && slope_v > 0 && magnitude(c->open2_v - settled_v) <= SETTLED_FRAC * magnitude(settled_v))
        pass_tenth(q, r, k, current_a, degc, state->covariance[0], slope_v, lost_ohm);
}
