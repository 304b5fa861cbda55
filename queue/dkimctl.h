/*
 * What an operator does with keys: make one, compare it with the DNS, see what
 * it signs.
 */
#ifndef CULVER_QUEUE_DKIMCTL_H
#define CULVER_QUEUE_DKIMCTL_H

/*
 * `culver-sign ctl [-c FILE] ...`, answered on standard output; needs neither
 * relay nor settings.  Local I/O.  What is wrong is a sentence on standard
 * error, behind the name under which it was started.  Returns the exit status
 * (conf/control.h):
 *
 *	key			standard input: is this file a key that signs?
 *	dkim generate DOMAIN SELECTOR --file PATH [--type T] [--bits N]
 *	dkim check DOMAIN SELECTOR --file PATH
 *				standard input: the line of `culver-policy
 *				ctl check txt SELECTOR._domainkey.DOMAIN`;
 *				what does not fit gets the record of the file
 *	dkim sign DOMAIN SELECTOR --file PATH
 *				standard input: a message, LF will do
 */
int	dkimctl_run(int argc, char **argv);

#endif
