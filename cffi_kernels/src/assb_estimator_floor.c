/* Compiled once per precision through assb_estimator_floor_f32.c and assb_estimator_floor_f64.c. */
#include "assb_estimator.h"
#include "assb_estimator_floor.h"

#include <math.h>

typedef ASSB_REAL real;

void ASSB_EST(floor_run)(const ASSB_EST(params) *p, ASSB_EST(state) *state, const ASSB_EST(columns) *in, real *soc,
                         real *soc_var, long n)
{
    /* nothing that holds over the run is left in its loop */
    const double dt_s = (double)in->dt_s[0];
    const real d1 = (real)(1 - exp(-dt_s / (double)p->tau1_s)), d2 = (real)(1 - exp(-dt_s / (double)p->tau2_s));
    const real dl = (real)(1 - exp(-dt_s / (double)p->leak_tau_s));
    const real f1 = 1 - d1, f2 = 1 - d2, fl = 1 - dl;
    const real f11 = f1 * f1, f12 = f1 * f2, f22 = f2 * f2, fll = fl * fl;
    const real q1 = d1 * (2 - d1), q2 = d2 * (2 - d2);
    const real per_a = (real)(dt_s / (3600 * (double)p->capacity_ah)), turn = per_a * p->hysteresis_rate;
    const real efficiency = p->coulombic_efficiency_frac, hys_v = p->hysteresis_v;
    const real soc_q = (real)dt_s * p->soc_noise_frac_per_rts * p->soc_noise_frac_per_rts;
    const real rc_q = p->rc_sigma_v * p->rc_sigma_v, hys_q = p->hysteresis_sigma_frac * p->hysteresis_sigma_frac;
    const real leak_q = dl * (2 - dl) * p->leak_sigma_a * p->leak_sigma_a;
    const real over = p->overvoltage_sigma_frac, ohm_var = over * over, v_q = p->voltage_sigma_v * p->voltage_sigma_v;
    const real t_low = p->r0_temperature_degc[0], p_low = p->r0_pressure_mpa[0];
    const real per_k = 1 / (p->r0_temperature_degc[1] - t_low), per_mpa = 1 / (p->r0_pressure_mpa[1] - p_low);
    const real *voltage_v = in->voltage_v, *current_a = in->current_a;
    const real *temperature_degc = in->temperature_degc, *pressure_mpa = in->pressure_mpa;

    real z = state->soc, v1 = state->v1_v, v2 = state->v2_v, h = state->hysteresis, l = state->leak_a;
    const real *P = state->covariance, *D = state->resistance_cross;
    real zz = P[0], z1 = P[1], z2 = P[2], zh = P[3], zl = P[4], c11 = P[5], c12 = P[6], c1h = P[7], c1l = P[8];
    real c22 = P[9], c2h = P[10], c2l = P[11], hh = P[12], hl = P[13], ll = P[14];
    real ez = D[0], e1 = D[1], e2 = D[2], eh = D[3], el = D[4];

    for (long k = 0; k < n; k++) {
        real now_a = current_a[k], degc = temperature_degc[k];

        /* tables */
        real tx = (degc - t_low) * per_k, px = (pressure_mpa[k] - p_low) * per_mpa;
        int ti = (int)tx, pi = (int)px;
        real ft = tx - (real)ti, fp = px - (real)pi;
        const real *cold = p->r0_ohm + ti * ASSB_PRESSURE_POINTS + pi, *warm = cold + ASSB_PRESSURE_POINTS;
        real cold_ohm = cold[0] + fp * (cold[1] - cold[0]), warm_ohm = warm[0] + fp * (warm[1] - warm[0]);
        real r0 = cold_ohm + ft * (warm_ohm - cold_ohm);
        real zx = z * (ASSB_OCV_POINTS - 1);
        int zi = (int)zx;
        real rc = p->rc_factor[zi] + (zx - (real)zi) * (p->rc_factor[zi + 1] - p->rc_factor[zi]);
        real r1 = rc * (p->r1_ohm[ti] + ft * (p->r1_ohm[ti + 1] - p->r1_ohm[ti]));
        real r2 = rc * (p->r2_ohm[ti] + ft * (p->r2_ohm[ti + 1] - p->r2_ohm[ti]));

        /* time */
        real i = now_a - l;
        real sign = i > 0 ? 1 : -1;
        real moved = i > 0 ? per_a * efficiency : per_a;
        real x = turn * i * sign;
        real dh = x * (1 - x * ((real)0.5 - x * (real)(1.0 / 6)));
        real fh = 1 - dh, gz = -moved, g1 = -d1 * r1, g2 = -d2 * r2, gh = (h - sign) * fh * turn * sign;
        z += moved * i;
        v1 += d1 * (r1 * i - v1);
        v2 += d2 * (r2 * i - v2);
        h += dh * (sign - h);
        l *= fl;
        real a1 = f1 * c1l, a2 = f2 * c2l, ah = fh * hl;
        real mz = zl + gz * ll, m1 = a1 + g1 * ll, m2 = a2 + g2 * ll, mh = ah + gh * ll;
        real drift1 = over * r1 * i, drift2 = over * (r0 + r2) * i;
        zz += gz * (zl + mz) + soc_q;
        z1 = f1 * z1 + (zl * g1 + gz * m1);
        z2 = f2 * z2 + (zl * g2 + gz * m2);
        zh = fh * zh + (zl * gh + gz * mh);
        c11 = f11 * c11 + g1 * (a1 + m1) + (rc_q + drift1 * drift1) * q1;
        c12 = f12 * c12 + (a1 * g2 + g1 * m2);
        c1h = f1 * (fh * c1h) + (a1 * gh + g1 * mh);
        c22 = f22 * c22 + g2 * (a2 + m2) + (rc_q + drift2 * drift2) * q2;
        c2h = f2 * (fh * c2h) + (a2 * gh + g2 * mh);
        hh = fh * (fh * hh) + gh * (ah + mh) + hys_q * (dh * (2 - dh));
        zl = fl * mz;
        c1l = fl * m1;
        c2l = fl * m2;
        hl = fl * mh;
        ll = fll * ll + leak_q;
        ez += gz * el;
        e1 = f1 * e1 + g1 * el;
        e2 = f2 * e2 + g2 * el;
        eh = fh * eh + gh * el;
        el *= fl;

        /* voltage */
        zx = z * (ASSB_OCV_POINTS - 1);
        zi = (int)zx;
        real fz = zx - (real)zi;
        real slope = p->docv_v[zi + 1] - p->docv_v[zi], hz = p->docv_v[zi] + fz * slope;
        real ocv = p->ocv_v[zi] + fz * (p->ocv_v[zi + 1] - p->ocv_v[zi]) +
                   p->entropy_v_per_k * (degc - p->ocv_temperature_degc);
        real drop = r0 * now_a, bend = slope * (ASSB_OCV_POINTS - 1) * zz;
        real bz = (zz * hz + z1) + (z2 + (zh * hys_v - zl * r0));
        real b1 = (z1 * hz + c11) + (c12 + (c1h * hys_v - c1l * r0));
        real b2 = (z2 * hz + c12) + (c22 + (c2h * hys_v - c2l * r0));
        real bh = (zh * hz + c1h) + (c2h + (hh * hys_v - hl * r0));
        real bl = (zl * hz + c1l) + (c2l + (hl * hys_v - ll * r0));
        real seen = (ez * hz + e1) + (e2 + (eh * hys_v - el * r0));
        real hb = (bz * hz + b1) + (b2 + (bh * hys_v - bl * r0));
        real spread = drop * ohm_var * drop + (v_q + 20 * (bend * bend));
        real per_var = 1 / (hb + 2 * drop * seen + spread);
        real off = voltage_v[k] - (ocv + (hys_v * h + (v1 + v2)) + r0 * (now_a - l));
        real kz = (bz + ez * drop) * per_var, k1 = (b1 + e1 * drop) * per_var, k2 = (b2 + e2 * drop) * per_var;
        real kh = (bh + eh * drop) * per_var, kl = (bl + el * drop) * per_var;
        z += kz * off;
        v1 += k1 * off;
        v2 += k2 * off;
        h += kh * off;
        l += kl * off;

        /* Joseph form */
        real wz = ez - kz * seen, w1 = e1 - k1 * seen, w2 = e2 - k2 * seen, wh = eh - kh * seen, wl = el - kl * seen;
        real uz = bz + drop * wz, u1 = b1 + drop * w1, u2 = b2 + drop * w2, uh = bh + drop * wh, ul = bl + drop * wl;
        real s = spread + hb, drop_var = drop * ohm_var;
        real az = s * kz - uz, j1 = s * k1 - u1, j2 = s * k2 - u2, jh = s * kh - uh, jl = s * kl - ul;
        zz = zz - kz * uz + az * kz;
        z1 = z1 - kz * u1 + az * k1;
        z2 = z2 - kz * u2 + az * k2;
        zh = zh - kz * uh + az * kh;
        zl = zl - kz * ul + az * kl;
        c11 = c11 - k1 * u1 + j1 * k1;
        c12 = c12 - k1 * u2 + j1 * k2;
        c1h = c1h - k1 * uh + j1 * kh;
        c1l = c1l - k1 * ul + j1 * kl;
        c22 = c22 - k2 * u2 + j2 * k2;
        c2h = c2h - k2 * uh + j2 * kh;
        c2l = c2l - k2 * ul + j2 * kl;
        hh = hh - kh * uh + jh * kh;
        hl = hl - kh * ul + jh * kl;
        ll = ll - kl * ul + jl * kl;
        ez = wz - kz * drop_var;
        e1 = w1 - k1 * drop_var;
        e2 = w2 - k2 * drop_var;
        eh = wh - kh * drop_var;
        el = wl - kl * drop_var;
        soc[k] = z;
        soc_var[k] = zz;
    }
    state->soc = z;
    state->v1_v = v1;
    state->v2_v = v2;
    state->hysteresis = h;
    state->leak_a = l;
    const real covariance[] = {zz, z1, z2, zh, zl, c11, c12, c1h, c1l, c22, c2h, c2l, hh, hl, ll};
    const real cross[] = {ez, e1, e2, eh, el};
    for (int k = 0; k < ASSB_TRIANGLE; k++)
        state->covariance[k] = covariance[k];
    for (int k = 0; k < ASSB_STATES; k++)
        state->resistance_cross[k] = cross[k];
}

int ASSB_EST(nothing)(const ASSB_EST(params) *p, ASSB_EST(state) *state, real voltage_v, real current_a,
                      real temperature_degc, real pressure_mpa, real dt_s)
{
    (void)p, (void)state, (void)voltage_v, (void)current_a, (void)temperature_degc, (void)pressure_mpa, (void)dt_s;
    return 0;
}
