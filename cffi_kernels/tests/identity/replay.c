/* Replays samples through estimator and detectors and writes their state: the same bytes wherever this is compiled for.
 *
 * Standard input: parameters, those of the detectors, SOC and its sigma, then samples to the end. Standard output: the
 * status of each sample as one byte, then the state, then what the detectors keep. No C library: Linux system calls on x86-64, ARM (Thumb) and RISC-V, for emulators as well.
 */
#define ASSB_PRECISION 32
#include "assb_estimator.h"
#include "assb_detection.h"

#include <stddef.h>

#if defined(__x86_64__)
enum { READ = 0, WRITE = 1, EXIT = 60 };
static long call(long number, long a, long b, long c)
{
    long answer;
    __asm__ volatile("syscall" : "=a"(answer) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return answer;
}
#elif defined(__arm__)
enum { READ = 3, WRITE = 4, EXIT = 1 };
long call(long number, long a, long b, long c);
__asm__(".thumb\n.syntax unified\n.global call\n.type call, %function\ncall:\n"
        "push {r4, r7, lr}\nmov r7, r0\nmov r0, r1\nmov r1, r2\nmov r2, r3\nsvc #0\npop {r4, r7, pc}\n");
#elif defined(__riscv)
enum { READ = 63, WRITE = 64, EXIT = 93 };
static long call(long number, long a, long b, long c)
{
    register long n __asm__("a7") = number;
    register long x __asm__("a0") = a, y __asm__("a1") = b, z __asm__("a2") = c;
    __asm__ volatile("ecall" : "+r"(x) : "r"(n), "r"(y), "r"(z) : "memory");
    return x;
}
#endif

/* Whether all `count` bytes came; a pipe may give them in pieces. */
static int take(void *buffer, long count)
{
    char *at = buffer;
    while (count > 0) {
        long got = call(READ, 0, (long)at, count);
        if (got <= 0)
            return 0;
        at += got;
        count -= got;
    }
    return 1;
}

static assb_est_f32_params params;
static assb_est_f32_detection_params thresholds;
static assb_est_f32_state state;
static assb_est_f32_detection detection;

static void detect(const assb_est_f32_sample *in)
{
    assb_est_f32_detection_sample sample = {
        in->voltage_v, in->current_a, in->temperature_degc, in->pressure_mpa, 0, in->pressure_mpa, in->dt_s, 1, 0};
    assb_est_f32_reference reference;
    if (!assb_est_f32_detection_sample_taken(&thresholds, &params, &detection, &state, &sample))
        return;
    assb_est_f32_detection_reference(&detection, 1, 0, &reference);
    assb_est_f32_detection_second(&thresholds, &params, &detection, &state, &sample, &reference);
}

static int replay(void)
{
    float start[2];
    assb_est_f32_sample sample;
    if (!take(&params, sizeof params) || !take(&thresholds, sizeof thresholds) || !take(start, sizeof start) || assb_est_f32_check(&params) != ASSB_OK)
        return 1;
    if (assb_est_f32_reset(&params, &state, start[0], start[1]) != ASSB_OK)
        return 2;
    assb_est_f32_detection_reset(&detection);
    while (take(&sample, sizeof sample)) {
        signed char status = (signed char)assb_est_f32_step(&params, &state, &sample);
        call(WRITE, 1, (long)&status, 1);
        if (status == ASSB_OK)
            detect(&sample);
        else
            assb_est_f32_detection_blind(&detection);
    }
    if (call(WRITE, 1, (long)&state, sizeof state) != (long)sizeof state)
        return 3;
    return call(WRITE, 1, (long)&detection, sizeof detection) == (long)sizeof detection ? 0 : 3;
}

void begin(void);
void begin(void)
{
    call(EXIT, replay(), 0, 0);
}

#if defined(__x86_64__) /* the stack pointer of a fresh process is aligned as a call would not leave it */
__asm__(".global _start\n_start:\nandq $-16, %rsp\ncall begin\n");
#elif defined(__arm__)
__asm__(".thumb\n.global _start\n.type _start, %function\n.thumb_func\n_start:\nbl begin\n");
#else
__asm__(".global _start\n_start:\n.option push\n.option norelax\nla gp, __global_pointer$\n.option pop\ncall begin\n");
#endif
