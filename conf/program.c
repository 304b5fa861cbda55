/*
 * What are the programs called?
 *
 * Called by everybody; apart from proc.c so that tools without confinement
 * (culverctl) need not link it.
 */
#include "conf/proc.h"

const char *
program_name(enum program program)
{
	static const char *const names[PROGRAMS_N] = {
		[PROGRAM_PARENT] = "culverd",
		[PROGRAM_SMTPD] = "culver-smtpd",
		[PROGRAM_QUEUE] = "culver-queue",
		[PROGRAM_POLICY] = "culver-policy",
		[PROGRAM_FETCH] = "culver-fetch",
		[PROGRAM_DELIVERY] = "culver-delivery",
		[PROGRAM_WORKER] = "culver-worker",
		[PROGRAM_REPORTS] = "culver-reports",
		[PROGRAM_SIGN] = "culver-sign"
	};

	return program < PROGRAMS_N && names[program] != NULL ?
	    names[program] : "culver";
}
