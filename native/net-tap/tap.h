/* What the files of vivarium-net-tap share. */
#ifndef VIVARIUM_TAP_H
#define VIVARIUM_TAP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/** Prints `vivarium-net-tap: MESSAGE` to standard error and exits with 125. */
__attribute__((format(printf, 1, 2), noreturn)) void fail(const char *message, ...);

/* open_tap.c */
/** Opens a tap of the current network namespace. @return a descriptor from `first_free_descriptor` on */
int open_tap(const char *name);
enum {
  first_free_descriptor = 500
};
/** Moves a descriptor above all that a caller has passed. */
int move_high(int fd);

/* run_with_taps.c */
/** Becomes the program that follows `--`, with the taps that come before it, in an empty network namespace. */
__attribute__((noreturn)) void run_with_taps(char **words);

/** IFF_TAP | IFF_NO_PI | IFF_VNET_HDR of <linux/if_tun.h>, which not every C library provides. */
#define TAP_FLAGS (0x0002 | 0x1000 | 0x4000)

/* reattach.c */
/** @return the exit code: 0 attached, 3 the process has no descriptor without a device, 4 it has several */
int reattach_tap(const char *pid_text, const char *tap);

/* hand_over.c */
/** Passes a tap to a running QEMU. @return the exit code */
int hand_over_tap(const char *socket_path, const char *tap, char **commands);

/* pcap.c: the file format of tcpdump and Wireshark. */
enum {
  pcap_magic = 0xa1b2c3d4
};
struct pcap_header {
  uint32_t magic;
  uint16_t major, minor;
  uint32_t zone, accuracy, longest, link_type;
};
struct pcap_header pcap_header_of(uint32_t link_type, uint32_t accuracy);
/**
 * Puts the header of a packet before its pieces (at most 4). @param length of the packet before it was cut
 * @return the bytes of all of them
 */
size_t add_packet_header(uint32_t header[4], struct iovec all[5], const struct iovec *pieces, int count, uint32_t length);
/** Begins pcap on standard output. The program ends with its parent, or when the reader closes. */
void begin_pcap(uint32_t link_type);
void write_packet(const struct iovec *pieces, int count, uint32_t length);

/* flow_files.c: the same in two files of a folder. Prints "ready". */
void begin_flow_files(const char *folder, uint32_t link_type);
void write_flow(const struct iovec *pieces, int count, uint32_t length);

/* syscall_filter.c */
/** Drops every capability, and allows only what copying packets needs, for good. */
void limit_to_copying(void);

/* capture.c, flow_log.c */
__attribute__((noreturn)) void capture_frames(const char *interface);
__attribute__((noreturn)) void record_flows(const char *group, const char *folder);

#endif
