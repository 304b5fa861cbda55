/*
 * Values of "reports" that are no plain kind.  Private to config.c.
 */
#ifndef CULVER_CONFIGREPORT_H
#define CULVER_CONFIGREPORT_H

#include "kind.h"

KIND_PARSER(configreport_parse_report_address);
KIND_PRINTER(configreport_print_report_address);
KIND_PARSER(configreport_parse_text);
KIND_PARSER(configreport_parse_report_at);
KIND_PRINTER(configreport_print_report_at);
KIND_PARSER(configreport_parse_dkim);
KIND_PRINTER(configreport_print_dkim);

/* Give back what these keywords hold. */
void	configreport_free(struct config *);

#endif
