/* What the pieces of vivarium-tap share. */
#ifndef VIVARIUM_TAP_H
#define VIVARIUM_TAP_H

#include <stdint.h>
#include <sys/uio.h>

__attribute__((format(printf, 1, 2), noreturn)) void fail(const char *words, ...);

/** pcap on standard output. Ends the program when nobody reads it any more. */
void begin_pcap(uint32_t link_type);
/** One packet, from up to 4 pieces; `length` is what it had before it was cut. */
void write_packet(const struct iovec *pieces, int count, uint32_t length);

/** Nothing but copying can be done after this. */
void confine(void);

/** Until it is ended, or its parent has ended. */
__attribute__((noreturn)) void watch_device(const char *name);
__attribute__((noreturn)) void watch_flows(const char *group);

#endif
