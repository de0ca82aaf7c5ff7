/* The services that the host can ask for. */
#ifndef VIVARIUM_SERVICES_H
#define VIVARIUM_SERVICES_H

#include "protocol/protocol.h"

extern const struct service_table services;

#endif
