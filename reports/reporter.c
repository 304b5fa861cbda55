/*
 * Who reports?
 *
 * Called by who makes documents and mails.  Pure.
 */
#include "reports/work.h"

const struct reporter *
reporter_of(const struct config *config, struct reporter_texts *texts)
{
	struct reporter *reporter = &texts->reporter;

	mailbox_print(&config->report_contact, texts->contact);
	mailbox_print(&config->report_from, texts->from);
	reporter->organization = config->report_organization;
	reporter->contact = texts->contact;
	reporter->from = texts->from;
	reporter->domain = config->report_contact.domain.name;
	reporter->hostname = config->hostname[0] != '\0' ? config->hostname :
	    reporter->domain;
	return reporter;
}
