/* A channel, inside this folder. */
#ifndef VIVARIUM_CHANNEL_H
#define VIVARIUM_CHANNEL_H

#include <sys/types.h>

#include "protocol/protocol.h"

struct channel {
  uint32_t id; /* 0: free */
  pid_t pid;
  int in, out, err; /* -1: closed. On a terminal `in` and `out` are the same device, opened twice. */
  int held;         /* A terminal whose program has closed it. Closing it here would send SIGHUP to a program that is about to exit. */
  uint8_t *pending; /* ring of INITIAL_CREDIT bytes; NULL until the host sends input */
  size_t pending_from, pending_count;
  uint32_t credit;   /* bytes that may be sent to the host */
  uint32_t consumed; /* bytes the process has read since the last grant */
  int status;        /* of waitpid, once exited */
  bool in_ended, on_terminal, exited;
};

/* channel_process.c */
void close_fd(int *fd);
void channel_clear(struct channel *channel);
/* Closes everything, and makes the channel free. */
void channel_release(struct channel *channel);
/* Starts the process of a request. Returns 0, or -1. */
int channel_start(struct channel *channel, const struct service_table *services, const struct request *request);
void channel_signal(struct channel *channel, int number);
/* Ends the process group as a terminal that hangs up, and kills it a second later. */
void channel_hang_up(struct channel *channel);

#endif
