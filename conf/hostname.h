/*
 * The full name of this machine, by /etc/hosts.
 */
#ifndef CULVER_HOSTNAME_H
#define CULVER_HOSTNAME_H

#include "addr.h"

/*
 * The full name of the machine that calls itself node, by the text of its
 * /etc/hosts: NODE.DOMAIN where a line has that, else the first name with a
 * dot of a line that has node, else node itself if it has a dot.  Pure.
 * name is "" when there is none.
 */
void	hostname_find(struct slice node, struct slice hosts,
	    char name[DOMAIN_TEXT_MAX]);

#endif
