/*
 * What must hold whatever the table says.
 */
#ifndef CULVER_TEST_PROPERTY_H
#define CULVER_TEST_PROPERTY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Check all properties over all inputs; tell the caller of each by name and
 * how many inputs break it.
 */
void	property_check(void (*tell)(const char *name, unsigned broken));

/*
 * The same over facts drawn by chance, of all that fits their types: the same
 * seed draws the same.
 */
void	property_draw(uint64_t seed, unsigned draws_n,
	    void (*tell)(const char *name, unsigned broken));

#endif
