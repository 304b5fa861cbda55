/*
 * The verbs of `culverctl report' and `check tlsrpt-record', over the control
 * socket of a running relay or alone (`culver-reports ctl').
 */
#ifndef CULVER_REPORTS_CTL_H
#define CULVER_REPORTS_CTL_H

#include "conf/control.h"
#include "reports/book.h"
#include "reports/life.h"

/* The program behind the verbs of `report'. */
struct ctl_reports {
	struct book		*book;
	struct life		*life;		/* NULL: no relay */
	const struct config	*config;
};
extern const struct control_verb ctl_reports_verbs[];

/*
 * `culver-reports ctl [-c FILE] NOUN VERB ARGUMENT...': run one verb without
 * a relay; returns its exit status.  argv stands behind "ctl".
 */
int	ctl_reports_alone(int argc, char **argv);

#endif
