/* Bytes of one run, and what a run says of itself. */
#ifndef FUZZ_H
#define FUZZ_H
#include <stddef.h>

typedef struct {
  const unsigned char *bytes;
  size_t count, at;
} fuzz_input;

/* The next byte; 0 when none is left. */
unsigned fuzz_byte(fuzz_input *in);
int fuzz_left(const fuzz_input *in);
/* Ends the run with the text, and the input left in a file, unless it holds. */
void claim(int holds, const char *text);

void assb_est_f32_fuzz(fuzz_input *in);
void assb_est_f64_fuzz(fuzz_input *in);
#endif
