// What the files of vivarium-qemu-preload.so share.
#pragma once
#include <stddef.h>
#include <sys/types.h>

/** A function that replaces QEMU's or the C library's of that name. */
#define EXPORTED __attribute__((visibility("default")))

/* memory_layers.c */
enum {
  page_bytes = 4096,
  /** When there are that many, the next freeze merges all but the bottom one. */
  max_layers = 32,
};
/** The descriptors of the layers, bottom first. Returns their number. */
int layer_descriptors(const int **descriptors);
/** Whether any of it is guest memory, where a page that is discarded becomes that of a layer again. */
int has_guest_memory(const void *from, size_t bytes);
/** Whether it is the file that QEMU takes for the guest memory, whose content belongs to layers now. */
int is_layered_memory(int fd);
/** Advice for all of the guest memory, which a mapping that is renewed does not keep: it is repeated then. */
void keep_advice(const void *from, size_t bytes, int advice);
/** Copies what the guest has written so far, so that `freeze_layer` has less to copy. Returns 0, or -1 with errno. */
int prepare_layer(size_t *copied);
/** Makes what the guest has written the next layer. The guest's CPUs must be stopped. Returns 0, or -1 with errno. */
int freeze_layer(size_t *copied);
/** Discards what `prepare_layer` has copied. */
void discard_prepared_layer(void);

/* written_pages.c */
typedef int (*run_visitor)(size_t from, size_t to, void *context);
/**
 * Visits every run of pages that are this process's own or that `is_included` names, as offsets into the memory. Returns 0, or -1 when a
 * visit has failed.
 */
int visit_written_pages(const char *memory, size_t bytes, int (*is_included)(size_t page), run_visitor visit, void *context);

/* control_socket.c */
/** Serves the commands of the daemon in a thread of its own. Returns 0, or -1 with errno. */
int start_control_socket(const char *path);

/* startup_pages.c */
/** Whether QEMU may still be starting. What only then happens need not be fast. */
int is_starting(void);
/** Discards the pages that only the start needed. */
void discard_startup_pages(void);
