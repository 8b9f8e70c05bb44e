/* A client from the environment: ZCRM_ACCESS_TOKEN and its kin, see SETTINGS in connection.c. */
#ifndef CONNECTION_H
#define CONNECTION_H

#include "zcrm.h"

/* The value of an environment variable; NULL when it isn't set or empty. */
const char *variable(const char *name);
/* 1, or 0 after saying on stderr what is missing. */
int environment_is_complete(void);
/* The client, to be freed with zcrm_client_free(); NULL after saying on stderr why there is none. */
zcrm_client *connect_from_environment(void);

#endif
