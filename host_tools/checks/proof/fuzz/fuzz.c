/* A small coverage-guided fuzzer: gcc has none of its own. Compile the targets
 * with -fsanitize-coverage=trace-pc, this file without. An input that takes a
 * new way through the code is kept, and injured further.
 *
 *     fuzz RUNS SEED CRASH_FILE [INPUT...]     inputs alone: they are run, and
 * nothing else
 */
#include "fuzz.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAYS 65536
#define CORPUS_MOST 4096
#define LENGTH_MOST 512
#define HEAD 16

const char *__asan_default_options(void);
const char *__ubsan_default_options(void);
void __sanitizer_cov_trace_pc(void);

static unsigned char taken[WAYS], known[WAYS];
static uintptr_t before;
static unsigned char corpus[CORPUS_MOST][LENGTH_MOST];
static size_t lengths[CORPUS_MOST], kept;
static uint32_t runs_through[WAYS];    /* a way, so far */
static size_t found[CORPUS_MOST], way; /* what was new about an input, and about the last one */
static unsigned char trial[LENGTH_MOST];
static size_t trial_length;
static const char *crash_file;
static uint64_t state;

/* A way is a place and the one before it; offsets, so that where the program
 * was loaded makes no difference. */
void __sanitizer_cov_trace_pc(void)
{
    uintptr_t here = ((uintptr_t)__builtin_return_address(0) - (uintptr_t)&assb_est_f32_fuzz) * 2654435761u >> 8;
    unsigned char *way = &taken[(here ^ before) % WAYS];
    if (*way < 255)
        ++*way;
    before = here >> 1;
}

unsigned fuzz_byte(fuzz_input *in)
{
    return in->at < in->count ? in->bytes[in->at++] : 0;
}

int fuzz_left(const fuzz_input *in)
{
    return in->at < in->count;
}

static void leave_input(void)
{
    FILE *file = fopen(crash_file, "wb");
    if (file) {
        fwrite(trial, 1, trial_length, file);
        fclose(file);
    }
}

/* Each sanitizer has a runtime of its own; an abort is what they share. */
const char *__asan_default_options(void)
{
    return "abort_on_error=1";
}

const char *__ubsan_default_options(void)
{
    return "abort_on_error=1:print_stacktrace=1";
}

static void aborted(int signal_number)
{
    (void)signal_number;
    leave_input();
    _Exit(1);
}

void claim(int holds, const char *text)
{
    if (holds)
        return;
    fprintf(stderr, "claim broken: %s\n", text);
    leave_input();
    exit(1);
}

static uint32_t draw(uint32_t below) /* xorshift64*: Vigna 2016, doi:10.1145/2845077 */
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * 2685821657736338717u) >> 33) % below;
}

/* Loops count by powers of two: another turn of a loop is no new way. */
static unsigned char bucket(unsigned char count)
{
    return count < 4 ? count : count < 8 ? 4 : count < 32 ? 5 : count < 128 ? 6 : 7;
}

static int runs_new(void)
{
    fuzz_input in = {trial, trial_length, 1};
    int is_new = 0;
    memset(taken, 0, sizeof taken);
    before = 0;
    (trial[0] % 2 ? assb_est_f32_fuzz : assb_est_f64_fuzz)(&in);
    for (size_t k = 0; k < WAYS; k++) {
        unsigned char bit = (unsigned char)(taken[k] ? 1u << bucket(taken[k]) % 8 : 0);
        runs_through[k] += bit != 0;
        if (bit & ~known[k]) {
            is_new = 1;
            way = k;
        }
        known[k] |= bit;
    }
    return is_new;
}

static void injure(void)
{
    uint32_t injuries = 1 + draw(2) * draw(4); /* mostly one, which leaves the rest as it led here */
    for (uint32_t k = 0; k < injuries; k++) {
        /* the beginning says what the rest is */
        size_t at = draw((uint32_t)(draw(2) || trial_length < HEAD ? trial_length : HEAD));
        size_t some = 1 + draw(32);
        size_t other = draw((uint32_t)kept);
        switch (draw(6)) {
        case 0:
            trial[at] ^= (unsigned char)(1u << draw(8));
            break;
        case 1:
            trial[at] = (unsigned char)draw(256);
            break;
        case 2: /* longer: some bytes again */
            if (trial_length + some <= LENGTH_MOST && at + some <= trial_length) {
                memmove(trial + at + some, trial + at, trial_length - at);
                trial_length += some;
            }
            break;
        case 3:
            if (trial_length > some + 1 && at + some <= trial_length) {
                memmove(trial + at, trial + at + some, trial_length - at - some);
                trial_length -= some;
            }
            break;
        case 4:
            trial_length = at + 1;
            break;
        default: /* the end of another */
            if (at < lengths[other]) {
                memcpy(trial + at, corpus[other] + at, lengths[other] - at);
                trial_length = lengths[other];
            }
        }
    }
}

static void keep(void)
{
    size_t at = kept < CORPUS_MOST ? kept++ : draw(CORPUS_MOST);
    memcpy(corpus[at], trial, trial_length);
    lengths[at] = trial_length;
    found[at] = way;
}

/* Of two inputs the one whose way the fewest runs took: what is easy to come to needs no more of them. After FairFuzz:
 * Lemieux & Sen 2018, doi:10.1145/3238147.3238176 */
static size_t rarest(void)
{
    size_t one = draw((uint32_t)kept), other = draw((uint32_t)kept);
    return runs_through[found[other]] < runs_through[found[one]] ? other : one;
}

static void read_input(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "%s can't be read\n", path);
        exit(2);
    }
    trial_length = fread(trial, 1, LENGTH_MOST, file);
    fclose(file);
    if (trial_length)
        runs_new();
}

int main(int count, char **arguments)
{
    if (count < 4) {
        fprintf(stderr, "usage: fuzz RUNS SEED CRASH_FILE [INPUT...]\n");
        return 2;
    }
    long runs = atol(arguments[1]);
    state = strtoull(arguments[2], NULL, 10) * 2 + 1;
    crash_file = arguments[3];
    signal(SIGABRT, aborted);
    for (int k = 4; k < count; k++)
        read_input(arguments[k]);
    if (count > 4)
        return 0;
    for (int k = 0; k < 8; k++) { /* each target in each precision */
        trial_length = LENGTH_MOST / 2;
        for (size_t at = 0; at < trial_length; at++)
            trial[at] = (unsigned char)draw(256);
        trial[0] = (unsigned char)(k % 2);
        trial[1] = (unsigned char)(k / 2);
        trial[2] = 0; /* sound parameters */
        runs_new();
        keep();
    }
    for (long run = 0; run < runs; run++) {
        size_t from = rarest();
        memcpy(trial, corpus[from], lengths[from]);
        trial_length = lengths[from];
        injure();
        if (runs_new())
            keep();
    }
    size_t ways = 0;
    for (size_t k = 0; k < WAYS; k++)
        ways += known[k] != 0;
    printf("{\"runs\": %ld, \"kept\": %zu, \"ways\": %zu}\n", runs, kept, ways);
    return 0;
}
