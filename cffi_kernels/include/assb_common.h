/* What the kernels share. Text between the cdef markers is cut out for cffi by build_kernels.py. */
#ifndef ASSB_COMMON_H
#define ASSB_COMMON_H

/* cdef begin */
/* 0 is success; anything negative means that the call changed nothing. */
enum assb_status {
    ASSB_OK = 0,
    ASSB_BAD_VOLTAGE = -1, /* not finite, or outside the plausible range of the parameters */
    ASSB_BAD_CURRENT = -2,
    ASSB_BAD_TEMPERATURE = -3,
    ASSB_BAD_PRESSURE = -4,
    ASSB_BAD_DT = -5, /* not finite, not positive, or above the parameters' dt_max_s */
    ASSB_BAD_PARAMETER = -6,
    ASSB_BAD_SHORT = -7, /* short conductance not finite or negative */
    ASSB_BAD_SOC = -8    /* initial SOC or its sigma */
};

enum assb_dimension {
    ASSB_OCV_POINTS = 129, /* SOC 0..1 in steps of 1/128 */
    ASSB_TEMPERATURE_POINTS = 12,
    ASSB_PRESSURE_POINTS = 8,
    ASSB_R0_POINTS = 96,
    ASSB_STATES = 5,
    ASSB_RC_PAIRS = 3,
    ASSB_VISCOUS = 2
};
/* cdef end */

#endif
