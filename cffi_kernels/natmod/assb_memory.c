/* memcpy, memmove and memset for a module that links no C library: compilers turn struct copies into calls of them.
 *
 * Volatile, or the compiler sees a memcpy in the loop and calls itself.
 */
#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t count);
void *memmove(void *to, const void *from, size_t count);
void *memset(void *to, int value, size_t count);

void *memcpy(void *restrict to, const void *restrict from, size_t count)
{
    volatile unsigned char *out = to;
    const unsigned char *in = from;
    while (count-- > 0)
        *out++ = *in++;
    return to;
}

void *memmove(void *to, const void *from, size_t count)
{
    volatile unsigned char *out = to;
    const volatile unsigned char *in = from;
    if (out < in) {
        while (count-- > 0)
            *out++ = *in++;
    } else {
        while (count-- > 0)
            out[count] = in[count];
    }
    return to;
}

void *memset(void *to, int value, size_t count)
{
    volatile unsigned char *out = to;
    while (count-- > 0)
        *out++ = (unsigned char)value;
    return to;
}
