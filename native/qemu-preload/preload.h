// What the files of this library ask of each other.
#pragma once
#include <stddef.h>

/** Whether QEMU may still be starting: what is done then alone need not be quick. */
int starting(void);

/** What was needed for the start alone is given back. For the thread that has nothing else to do. */
void end_start(void);

/** Whether any of it is the guest's memory, of which a page that is given back is a layer's again. */
int has_guest_memory(const void *from, size_t bytes);
