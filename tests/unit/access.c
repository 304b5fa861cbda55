/*
 * smtpd/access.c: who may send from here, and to whom.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smtpd/access.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static void
set(struct config *config, const char *keyword, const char *value)
{
	struct buffer error = { NULL, 0, 0 };

	if (!config_set(config, keyword, value, &error))
		fail_msg("%s %s: %s", keyword, value, error.text);
}

static struct config *
settings(bool root_mail, bool mail_domain)
{
	struct config *config = config_new();

	set(config, "hostname", "relay.our.example");
	if (mail_domain)
		set(config, "mail-domain", "our.example");
	set(config, "local-domain", "our.example relay.our.example localhost");
	if (root_mail)
		set(config, "root-mail", "admin@far.example");
	set(config, "relay-from", "127.0.0.0/8 ::1/128 192.0.2.0/24");
	return config;
}

static struct mailbox
mailbox(const char *local, const char *domain)
{
	struct mailbox mailbox = { "", { "" } };

	strcpy(mailbox.local, local);
	strcpy(mailbox.domain.name, domain);
	return mailbox;
}

struct row {
	const char	*local, *domain;
	bool		 may_relay;
	unsigned	 code;
	const char	*result;	/* printed, or the enhanced code */
};

static void
check_row(const struct config *config, const struct row *row, bool sender)
{
	struct mailbox address = mailbox(row->local, row->domain);
	struct answer answer;
	char text[MAILBOX_TEXT_MAX];
	const char *got;

	answer = sender ? access_sender(config, row->may_relay, &address) :
	    access_recipient(config, row->may_relay, &address);
	got = answer.code == 0 ? mailbox_print(&address, text) : answer.text;
	if (answer.code != row->code ||
	    strncmp(got, row->result, strlen(row->result)) != 0 ||
	    (answer.code == 0 && strcmp(got, row->result) != 0))
		fail_msg("%s@%s: %u %s", row->local, row->domain, answer.code,
		    got);
}

static void
check_rows(struct config *config, const struct row *rows, size_t n,
    bool sender)
{
	for (size_t i = 0; i < n; i++)
		check_row(config, &rows[i], sender);
	config_free(&config);
}

static void
recipients(void **state)
{
	static const struct row rows[] = {
		/* who may relay reaches everybody else */
		{ "a", "b.example", true, 0, "a@b.example" },
		{ "Mixed.Case", "b.example", true, 0, "Mixed.Case@b.example" },
		{ "a b", "b.example", true, 0, "\"a b\"@b.example" },
		{ "postmaster", "b.example", true, 0, "postmaster@b.example" },
		{ "root", "b.example", true, 0, "root@b.example" },
		{ "a", "sub.our.example", true, 0, "a@sub.our.example" },
		{ "a", "[192.0.2.1]", true, 0, "a@[192.0.2.1]" },
		{ "a%b.test", "c.example", true, 0, "a%b.test@c.example" },
		{ "b!a", "c.example", true, 0, "b!a@c.example" },
		/* strangers reach nobody else */
		{ "a", "b.example", false, 550, "5.7.1" },
		{ "postmaster", "b.example", false, 550, "5.7.1" },
		{ "a", "sub.our.example", false, 550, "5.7.1" },
		{ "a", "xour.example", false, 550, "5.7.1" },
		{ "a", "[192.0.2.1]", false, 550, "5.7.1" },
		{ "a", "[127.0.0.1]", false, 550, "5.7.1" },
		{ "root", "[127.0.0.1]", false, 550, "5.7.1" },
		/* routing in the local part gives no relay */
		{ "a%b.example", "our.example", false, 550, "5.1.1" },
		{ "b.example!a", "our.example", false, 550, "5.1.1" },
		{ "a@b.example", "our.example", false, 550, "5.1.1" },
		{ "a%b.example", "b.example", false, 550, "5.7.1" },
		/* the three names, at each local domain, for everybody */
		{ "root", "our.example", false, 0, "admin@far.example" },
		{ "Root", "our.example", true, 0, "admin@far.example" },
		{ "postmaster", "our.example", false, 0, "admin@far.example" },
		{ "POSTMASTER", "localhost", false, 0, "admin@far.example" },
		{ "PostMaster", "relay.our.example", true, 0,
		    "admin@far.example" },
		{ "mailer-daemon", "our.example", false, 0,
		    "admin@far.example" },
		{ "MAILER-DAEMON", "localhost", true, 0, "admin@far.example" },
		/* postmaster without domain, for everybody */
		{ "postmaster", "", false, 0, "admin@far.example" },
		{ "Postmaster", "", true, 0, "admin@far.example" },
		{ "PostMaster", "", false, 0, "admin@far.example" },
		/* nobody else is local */
		{ "a", "our.example", false, 550, "5.1.1" },
		{ "a", "our.example", true, 550, "5.1.1" },
		{ "a", "localhost", true, 550, "5.1.1" },
		{ "roots", "our.example", true, 550, "5.1.1" },
		{ "root ", "our.example", true, 550, "5.1.1" },
		{ "postmaster+x", "our.example", false, 550, "5.1.1" },
		{ "", "our.example", true, 550, "5.1.1" },
		/* bare names are completed for those who may relay */
		{ "root", "", true, 0, "admin@far.example" },
		{ "mailer-daemon", "", true, 0, "admin@far.example" },
		{ "a", "", true, 550, "5.1.1" },
		{ "root", "", false, 501, "5.1.3" },
		{ "mailer-daemon", "", false, 501, "5.1.3" },
		{ "a", "", false, 501, "5.1.3" },
	};

	(void)state;
	check_rows(settings(true, true), rows, COUNT(rows), false);
}

static void
recipients_without_root_mail(void **state)
{
	static const struct row rows[] = {
		{ "a", "b.example", true, 0, "a@b.example" },
		{ "a", "b.example", false, 550, "5.7.1" },
		{ "root", "our.example", true, 550, "5.1.1" },
		{ "postmaster", "our.example", false, 550, "5.1.1" },
		{ "postmaster", "", false, 550, "5.1.1" },
		{ "mailer-daemon", "localhost", true, 550, "5.1.1" },
	};

	(void)state;
	check_rows(settings(false, true), rows, COUNT(rows), false);
}

static void
senders(void **state)
{
	static const struct row rows[] = {
		{ "", "", true, 0, "" },
		{ "", "", false, 0, "" },
		{ "a", "b.example", true, 0, "a@b.example" },
		{ "a", "b.example", false, 0, "a@b.example" },
		{ "a", "our.example", false, 0, "a@our.example" },
		{ "a", "[192.0.2.1]", false, 0, "a@[192.0.2.1]" },
		{ "a", "", true, 0, "a@our.example" },
		{ "Root", "", true, 0, "Root@our.example" },
		{ "a", "", false, 501, "5.1.7" },
		{ "postmaster", "", false, 501, "5.1.7" },
		{ "", "b.example", true, 0, "\"\"@b.example" },
	};

	(void)state;
	check_rows(settings(true, true), rows, COUNT(rows), true);
}

static void
no_mail_domain(void **state)
{
	static const struct row rows[] = {
		{ "a", "", true, 501, "5.1." },
		{ "a", "b.example", true, 0, "a@b.example" },
	};
	struct config *config = settings(true, false);

	(void)state;
	config->mail_domain.name[0] = '\0';
	for (size_t i = 0; i < COUNT(rows); i++) {
		check_row(config, &rows[i], true);
		check_row(config, &rows[i], false);
	}
	config_free(&config);
}

static void
relaying(void **state)
{
	static const struct {
		const char	*address;
		bool		 may;
	} rows[] = {
		{ "127.0.0.1", true }, { "127.255.0.9", true },
		{ "192.0.2.0", true }, { "192.0.2.255", true },
		{ "192.0.3.0", false }, { "192.0.1.255", false },
		{ "10.0.0.1", false }, { "128.0.0.1", false },
		{ "::1", true }, { "::2", false }, { "::", false },
		{ "::ffff:127.0.0.1", true }, { "::ffff:192.0.2.9", true },
		{ "::ffff:10.0.0.1", false }, { "::127.0.0.1", false },
		{ "2001:db8::1", false }, { "fe80::1", false },
	};
	struct config *config = settings(true, true);
	struct address address;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_true(address_parse(slice_of(rows[i].address),
		    &address));
		if (access_may_relay(config, &address) != rows[i].may)
			fail_msg("%s", rows[i].address);
	}
	config_free(&config);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "SMTP-3.6.2-1, SMTP-7.9-1, SMTP-4.1.1.3-1, SMTP-4.5.1-2, "
		    "SMTP-2.3.11-1 recipients", recipients, NULL, NULL, NULL },
		{ "recipients where root-mail is not set",
		    recipients_without_root_mail, NULL, NULL, NULL },
		{ "SMTP-2.3.5-1 senders", senders, NULL, NULL, NULL },
		{ "SMTP-2.3.5-1 bare names where mail-domain is not known",
		    no_mail_domain, NULL, NULL, NULL },
		{ "SMTP-7.9-1 relay-from", relaying, NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
