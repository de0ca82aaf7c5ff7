/* What the pieces of vivarium-tap share. */
#ifndef VIVARIUM_TAP_H
#define VIVARIUM_TAP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

__attribute__((format(printf, 1, 2), noreturn)) void fail(const char *words, ...);

enum { pcap_magic = 0xa1b2c3d4 };
struct pcap_header {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, accuracy, longest, link_type;
};
struct pcap_header pcap_header_of(uint32_t link_type, uint32_t accuracy);
/** What `all` is to have for one packet from up to 4 pieces. @return its bytes */
size_t with_header(uint32_t header[4], struct iovec all[5], const struct iovec *pieces, int count, uint32_t length);

/** pcap on standard output. Ends the program when nobody reads it any more. */
void begin_pcap(uint32_t link_type);
/** One packet, from up to 4 pieces; `length` is what it had before it was cut. */
void write_packet(const struct iovec *pieces, int count, uint32_t length);

/** The same in files of a folder (record.c). Says "ready" on standard output. */
void begin_record(const char *folder, uint32_t link_type);
void record_packet(const struct iovec *pieces, int count, uint32_t length);

/** Nothing but copying can be done after this. */
void confine(void);

/** Until it is ended, or its parent has ended. */
__attribute__((noreturn)) void watch_device(const char *name);
/** Until it is ended. */
__attribute__((noreturn)) void record_flows(const char *group, const char *folder);

#endif
